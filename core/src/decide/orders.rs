//! Deciding what becomes of an order. The table of states in [`super`] is the specification.

use crate::{
    clock::Timestamp,
    contact::Contact,
    error::{Error, Result, Shortage},
    id::OrderId,
    inline_list::InlineList,
    ledger::{Change, Details, Entry, Kind},
    money::Cents,
    order::{Actor, Order, OrderLine, Receipt, Reference, Status},
    request::{Lines, OrderAction},
};

use super::{Batch, Context, Holds, Known, State};

impl State {
    pub(super) fn order(&mut self, id: OrderId, action: &OrderAction, context: Context<'_>) -> Result<Receipt> {
        match action {
            OrderAction::Purchase { lines, reference, contact } => {
                self.sell(id, lines, reference.as_ref(), contact.as_deref(), context)
            }
            OrderAction::Hold { lines, seconds, reference, contact } => {
                self.hold(id, (lines, *seconds), reference.as_ref(), contact.as_deref(), context)
            }
            OrderAction::Confirm => self.confirm(id, context),
            OrderAction::Extend { seen, expires_at } => self.extend(id, *seen, *expires_at, context),
            OrderAction::Cancel => self.cancel(id, context),
            OrderAction::Void => self.void(id, context),
            OrderAction::Fulfil => self.fulfil(id, context),
            OrderAction::Return { lines, key } => self.take_back(id, lines, *key, context),
            OrderAction::SetContact { contact } => self.set_contact(id, contact, context),
            OrderAction::EraseContact => self.erase_contact(id, context),
        }
    }

    /// The order with this id, if the id was ever used for one.
    fn find(&self, id: OrderId, batch: &Batch) -> Result<Option<Order>> {
        match self.known(id, batch) {
            None => Ok(None),
            Some(Known::Order(order)) => Ok(Some(order)),
            Some(Known::Entry(_)) => Err(Error::OrderIdReused { order: id }),
        }
    }

    pub(super) fn existing(&self, id: OrderId, batch: &Batch) -> Result<Order> {
        match self.known(id, batch) {
            Some(Known::Order(order)) => Ok(order),
            Some(Known::Entry(_)) | None => Err(Error::OrderNotFound { order: id }),
        }
    }

    pub(super) fn sell(
        &mut self,
        id: OrderId,
        lines: &Lines,
        reference: Option<&Reference>,
        contact: Option<&Contact>,
        context: Context<'_>,
    ) -> Result<Receipt> {
        let Some(order) = self.find(id, context.batch)? else {
            let details = Details { reference: reference.cloned(), actor: context.by.cloned(), ..Details::default() };
            return self.take_out(Kind::Sale, id, lines, (details, contact), context);
        };
        check_same(&order, lines, reference)?;
        match order.status {
            Status::Placed | Status::Fulfilled => Ok(replayed(order)),
            Status::Held => {
                may_act(&order, context.by)?;
                check_held_prices(&order, lines)?;
                self.note(Kind::Confirm, order, context)
            }
            Status::Cancelled | Status::Lapsed | Status::Voided => Err(Error::of_state(order)),
        }
    }

    fn hold(
        &mut self,
        id: OrderId,
        (lines, seconds): (&Lines, u32),
        reference: Option<&Reference>,
        contact: Option<&Contact>,
        context: Context<'_>,
    ) -> Result<Receipt> {
        let most = seconds_max(context.by.is_some());
        if !(1..=most).contains(&seconds) {
            return Err(Error::invalid("hold_seconds", format!("must be from 1 to {most}, not {seconds}")));
        }
        if let Some(order) = self.find(id, context.batch)? {
            check_same(&order, lines, reference)?;
            return match order.status {
                Status::Held | Status::Placed | Status::Fulfilled => Ok(replayed(order)),
                Status::Cancelled | Status::Lapsed | Status::Voided => Err(Error::of_state(order)),
            };
        }
        if self.holds.len() >= Holds::MAX {
            return Err(Error::overloaded(format!("{} orders are held, the most that may be", Holds::MAX)));
        }
        let (reference, actor) = (reference.cloned(), context.by.cloned());
        let expires_at = Some(later(context.now, seconds));
        let details = Details { expires_at, reference, actor, ..Details::default() };
        let receipt = self.take_out(Kind::Hold, id, lines, (details, contact), context)?;
        self.holds.insert(receipt.order.clone());
        Ok(receipt)
    }

    fn confirm(&mut self, id: OrderId, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        match order.status {
            Status::Placed | Status::Fulfilled => Ok(replayed(order)),
            Status::Held => {
                may_act(&order, context.by)?;
                self.note(Kind::Confirm, order, context)
            }
            Status::Cancelled | Status::Lapsed | Status::Voided => Err(Error::of_state(order)),
        }
    }

    fn extend(&mut self, id: OrderId, seen: Timestamp, expires_at: Timestamp, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        match order.status {
            Status::Placed | Status::Fulfilled => return Ok(replayed(order)),
            Status::Held => may_act(&order, context.by)?,
            Status::Cancelled | Status::Lapsed | Status::Voided => return Err(Error::of_state(order)),
        }
        let held_until = order.expires_at().unwrap_or_default();
        if held_until == expires_at {
            return Ok(replayed(order));
        }
        if held_until != seen {
            return Err(Error::HoldChanged { order: Box::new(order) });
        }
        let from = if order.is_held_by_shop() { context.now } else { order.placed_at };
        let latest = later(from, seconds_max(order.is_held_by_shop()));
        if expires_at <= seen || expires_at > latest {
            return Err(Error::invalid("expires_at", format!("must be after {seen} and at most {latest}")));
        }
        let details = Details { order: Some(id), expires_at: Some(expires_at), ..Details::default() };
        let order = self.change(Kind::Extend, order, InlineList::new(), details, context);
        Ok(Receipt { order, replayed: false })
    }

    pub(super) fn cancel(&mut self, id: OrderId, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        match order.status {
            Status::Held | Status::Placed => self.give_back(Kind::Return, order, context),
            Status::Cancelled | Status::Lapsed | Status::Voided => Ok(replayed(order)),
            Status::Fulfilled => Err(Error::of_state(order)),
        }
    }

    fn void(&mut self, id: OrderId, context: Context<'_>) -> Result<Receipt> {
        if self.find(id, context.batch)?.is_some() {
            return self.cancel(id, context);
        }
        let Context { by, now, batch } = context;
        let details = Details { actor: by.cloned(), ..Details::default() };
        let entry = self.append(Kind::Void, Some(id), InlineList::new(), details.boxed(), now, batch);
        let order = entry.order().expect("a void begins an order");
        self.known.insert(id, Known::Order(order.clone()));
        Ok(Receipt { order, replayed: false })
    }

    fn fulfil(&mut self, id: OrderId, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        match order.status {
            Status::Placed => self.note(Kind::Fulfil, order, context),
            Status::Fulfilled => Ok(replayed(order)),
            Status::Held | Status::Cancelled | Status::Lapsed | Status::Voided => Err(Error::of_state(order)),
        }
    }

    /// Some copies of a placed or fulfilled order come back.
    fn take_back(&mut self, id: OrderId, lines: &Lines, key: OrderId, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        match self.known(key, context.batch) {
            Some(Known::Entry(entry)) if is_return_of(&entry, id, lines) => return Ok(replayed(order)),
            Some(_) => return Err(Error::OrderIdReused { order: key }),
            None => {}
        }
        match order.status {
            Status::Placed | Status::Fulfilled => {}
            Status::Held | Status::Cancelled | Status::Lapsed | Status::Voided => return Err(Error::of_state(order)),
        }
        let mut back = InlineList::with_capacity(lines.iter().len());
        for line in lines {
            let kept = order.kept().find(|kept| kept.book == line.book);
            let left = kept.map_or(0, |kept| kept.quantity);
            let Some(kept) = kept.filter(|kept| line.quantity <= kept.quantity) else {
                let why = format!("{left} copies of book {} can come back, not {}", line.book, line.quantity);
                return Err(Error::invalid("lines", why));
            };
            back.push(OrderLine { quantity: line.quantity, ..kept });
        }
        let changes = self.plus(back.iter().copied())?;
        let Context { by, now, batch } = context;
        let details = Details { order: Some(id), actor: by.cloned(), ..Details::default() };
        let entry = self.append(Kind::Return, Some(key), changes, details.boxed(), now, batch).clone();
        let order = order.after(&entry);
        self.known.insert(key, Known::Entry(Box::new(entry)));
        self.known.insert(id, Known::Order(order.clone()));
        Ok(Receipt { order, replayed: false })
    }

    /// Lets the holds lapse whose time is up, those first whose time has been up for longest, [`Holds::LAPSES_MAX`] at most.
    ///
    /// The writer calls it before the commands of a batch: a hold has lapsed when this entry says so, and whatever confirms it before was
    /// in time.
    pub fn lapse(&mut self, now: Timestamp, batch: &mut Batch) {
        for _ in 0..Holds::LAPSES_MAX {
            let Some(order) = self.holds.due(now).cloned() else { return };
            let id = order.id;
            if self.give_back(Kind::Lapse, order, Context { by: None, now, batch }).is_err() {
                // Of a book that has all copies that a number can count. It stays until there is room again.
                tracing::error!(order = %id, "a hold cannot lapse: its copies have no room in stock");
                return;
            }
        }
    }

    /// Takes copies out of stock for a new order.
    fn take_out(
        &mut self,
        kind: Kind,
        id: OrderId,
        lines: &Lines,
        (details, contact): (Details, Option<&Contact>),
        context: Context<'_>,
    ) -> Result<Receipt> {
        self.check_contact(contact, &context)?;
        let mut changes = InlineList::with_capacity(lines.iter().len());
        let mut total = Cents::ZERO;
        for line in lines {
            let level = self.levels.get(line.book).ok_or(Error::BookNotFound { book: line.book })?;
            if !level.on_sale {
                return Err(Error::BookWithdrawn { book: line.book });
            }
            let Some(stock) = level.stock.checked_sub(line.quantity) else { return Err(self.out_of_stock(lines)) };
            if line.price_cents.is_some_and(|seen| seen != level.price_cents) {
                return Err(Error::PriceChanged { book: line.book, price_cents: level.price_cents });
            }
            let cost = level.price_cents.times(line.quantity).and_then(|cost| total.plus(cost));
            total = cost.ok_or_else(|| Error::invalid("quantity", "the order's total is too large an amount"))?;
            let delta = -i64::from(line.quantity);
            changes.push(Change { book: line.book, delta, price_cents: level.price_cents, stock });
        }
        let Context { now, batch, .. } = context;
        batch.begun.insert(id, batch.entries.len());
        let entry = self.append(kind, Some(id), changes, details.boxed(), now, batch);
        let order = entry.order().expect("a sale or a hold with a key is an order");
        debug_assert_eq!(order.total_cents, total);
        if contact.is_some() {
            self.keep_contact(&order, contact, batch);
        }
        Ok(Receipt { order, replayed: false })
    }

    /// Names every line that falls short.
    fn out_of_stock(&self, lines: &Lines) -> Error {
        let short = lines.iter().filter_map(|line| {
            let available = self.levels.get(line.book)?.stock;
            (available < line.quantity).then_some(Shortage { book: line.book, available })
        });
        Error::out_of_stock(short)
    }

    /// The changes that put copies into stock again.
    fn plus(&self, lines: impl Iterator<Item = OrderLine>) -> Result<InlineList<Change>> {
        let change = |OrderLine { book, quantity, unit_price_cents }| {
            let level = self.levels.get(book).ok_or(Error::BookNotFound { book })?;
            // Beyond the most copies of a book, which limits what a shop adds: what was bought or held must be able to come back.
            let stock = level.stock.checked_add(quantity).ok_or_else(|| {
                Error::invalid("stock", format!("book {book} would have more copies than can be counted"))
            })?;
            Ok(Change { book, delta: i64::from(quantity), price_cents: unit_price_cents, stock })
        };
        lines.map(change).collect()
    }

    /// Puts all copies of an order into stock again that have not come back yet.
    fn give_back(&mut self, kind: Kind, order: Order, context: Context<'_>) -> Result<Receipt> {
        let changes = self.plus(order.kept())?;
        let details = Details { actor: context.by.cloned(), ..Details::default() };
        let order = self.change(kind, order, changes, details, context);
        Ok(Receipt { order, replayed: false })
    }

    /// Appends an entry that changes an order's state and no book.
    fn note(&mut self, kind: Kind, order: Order, context: Context<'_>) -> Result<Receipt> {
        let order = self.change(kind, order, InlineList::new(), Details::default(), context);
        Ok(Receipt { order, replayed: false })
    }

    /// Appends an entry about an order, and returns the order after it.
    pub(super) fn change(
        &mut self,
        kind: Kind,
        order: Order,
        changes: InlineList<Change>,
        details: Details,
        Context { by, now, batch }: Context<'_>,
    ) -> Order {
        let id = order.id;
        let details = Details { actor: by.cloned(), ..details };
        let key = details.order.is_none().then_some(id);
        let entry = self.append(kind, key, changes, details.boxed(), now, batch);
        let order = order.after(entry);
        if order.status == Status::Held {
            self.holds.insert(order.clone());
        } else {
            self.holds.remove(id);
        }
        self.known.insert(id, Known::Order(order.clone()));
        order
    }
}

fn seconds_max(by_shop: bool) -> u32 {
    if by_shop { OrderAction::HOLD_SECONDS_MAX } else { OrderAction::PUBLIC_HOLD_SECONDS_MAX }
}

fn later(from: Timestamp, seconds: u32) -> Timestamp {
    Timestamp(from.0.saturating_add(i64::from(seconds) * 1000))
}

pub(super) fn replayed(order: Order) -> Receipt {
    Receipt { order, replayed: true }
}

/// Whether a call asks for what the order is. One that does not name a reference accepts any.
fn check_same(order: &Order, lines: &Lines, reference: Option<&Reference>) -> Result<()> {
    let is_other = reference.is_some() && order.reference() != reference;
    // A voided order has no lines to compare with.
    if order.status != Status::Voided && (!order.sold(lines) || is_other) {
        return Err(Error::OrderIdReused { order: order.id });
    }
    Ok(())
}

/// A buyer knows the id of an order that the shop holds for a payment, too.
fn may_act(order: &Order, by: Option<&Actor>) -> Result<()> {
    if order.is_held_by_shop() && by.is_none() {
        return Err(Error::Forbidden { message: "the shop holds this order, so only the shop places it".into() });
    }
    Ok(())
}

/// A purchase of a held order gets the prices at which it is held.
fn check_held_prices(order: &Order, lines: &Lines) -> Result<()> {
    for (held, line) in order.lines.iter().zip(lines) {
        if line.price_cents.is_some_and(|seen| seen != held.unit_price_cents) {
            return Err(Error::PriceChanged { book: held.book, price_cents: held.unit_price_cents });
        }
    }
    Ok(())
}

fn is_return_of(entry: &Entry, order: OrderId, lines: &Lines) -> bool {
    let back = entry.changes.iter().map(|change| (change.book, change.delta));
    entry.is_partial_return()
        && entry.order_id() == Some(order)
        && back.eq(lines.iter().map(|line| (line.book, i64::from(line.quantity))))
}

//! Deciding a change of a book: its price or stock, its text, or whether it is on sale.

use crate::{
    book::{Amend, BookText, NewBook, Text},
    error::{Error, Result, Shortage},
    id::{BookId, OrderId, Seq},
    ledger::{Change, Details, Entry, Kind},
    money::Cents,
};

use super::{Context, Known, Level, State};

impl State {
    /// Decides a change of one book. With a `key` that did the same before, the book's level now is the answer.
    pub(super) fn amend(
        &mut self,
        book: BookId,
        change: &Amend,
        key: Option<OrderId>,
        context: Context<'_>,
    ) -> Result<Level> {
        let Context { by, now, batch } = context;
        check_change(change)?;
        let level = self.levels.get(book).ok_or(Error::BookNotFound { book })?;
        match key.and_then(|key| Some((key, self.known(key, batch)?))) {
            Some((_, Known::Entry(entry))) if is_done(book, change, &entry) => return Ok(level),
            Some((order, _)) => return Err(Error::OrderIdReused { order }),
            None => {}
        }
        if key.is_none() && is_so_already(change, level) {
            return Ok(level);
        }
        let Target { kind, stock, price_cents, details } = target(book, level, change)?;
        if stock > level.stock {
            self.check_room(book, stock)?;
        }
        let text = match change {
            Amend::Revise { text, .. } => Some(self.rename(book, text)?),
            _ => None,
        };
        let changes = [Change { book, delta: i64::from(stock) - i64::from(level.stock), price_cents, stock }].into();
        let (seq, details) = (self.head.next(), Details { actor: by.cloned(), ..details }.boxed());
        let entry = self.push(Entry { seq, at: now, kind, key, changes, text, details }, batch);
        if let Some(key) = key {
            let entry = Box::new(entry.clone());
            self.known.insert(key, Known::Entry(entry));
        }
        if kind == Kind::Reprice {
            batch.repriced.insert(book);
        }
        self.levels.get(book).ok_or(Error::BookNotFound { book })
    }

    /// Gives a book the identity of its new text, unless that is another book's. Its old one stays.
    fn rename(&mut self, book: BookId, text: &BookText) -> Result<Text> {
        let identity = text.identity();
        match self.identities.get(&identity) {
            Some(other) if *other != book => return Err(Error::BookExists { book: *other }),
            _ => self.identities.insert(identity, book),
        };
        Ok(Text::from(text))
    }

    /// The stock and the copies that are held may both return to the shelf:
    /// together they stay within what a book may have.
    fn check_room(&self, book: BookId, stock: u32) -> Result<()> {
        let most = NewBook::STOCK_MAX;
        let held = self.holds.copies(book);
        if u64::from(stock) + u64::from(held) <= u64::from(most) {
            return Ok(());
        }
        let message = format!("a book has at most {most} copies, of which {held} are held");
        Err(Error::invalid("stock", message))
    }
}

/// A change that changes nothing is a mistake, not an entry.
fn check_change(change: &Amend) -> Result<()> {
    match change {
        Amend::StockDelta { delta: 0 } => Err(Error::invalid("stock_delta", "must not be 0")),
        Amend::Set { price_cents: None, stock: None, .. } => {
            Err(Error::invalid("price_cents", "a change sets the price, the stock, or both"))
        }
        Amend::StockDelta { .. } | Amend::Set { .. } | Amend::Revise { .. } | Amend::Withdraw | Amend::Relist => Ok(()),
    }
}

/// What an entry makes of a book.
struct Target {
    kind: Kind,
    stock: u32,
    price_cents: Cents,
    details: Details,
}

/// Whether a book is on sale, or off it, as asked. With a key there is an entry all the same: if the call is delivered again when that has
/// changed, it must not happen a second time.
fn is_so_already(change: &Amend, level: Level) -> bool {
    match change {
        Amend::Withdraw => !level.on_sale,
        Amend::Relist => level.on_sale,
        Amend::StockDelta { .. } | Amend::Set { .. } | Amend::Revise { .. } => false,
    }
}

/// The entry that a change takes.
fn target(book: BookId, level: Level, change: &Amend) -> Result<Target> {
    let Level { stock, price_cents, .. } = level;
    let kept = |kind, details| Target { kind, stock, price_cents, details };
    let to = match change {
        Amend::StockDelta { delta } => {
            Target { stock: stock_plus(level, book, *delta)?, ..kept(Kind::Restock, Details::default()) }
        }
        Amend::Set { price_cents, stock, version } => {
            let (kind, stock, price_cents) = set(book, level, (*price_cents, *stock, *version))?;
            Target { kind, stock, price_cents, details: Details::default() }
        }
        Amend::Revise { text_version: None, .. } => return Err(Error::VersionRequired),
        Amend::Revise { text_version: Some(seen), .. } if *seen != level.text_version => {
            return Err(Error::TextVersionMismatch { book, text_version: level.text_version });
        }
        Amend::Revise { .. } => kept(Kind::Revise, Details { withdrawn: !level.on_sale, ..Details::default() }),
        Amend::Withdraw => kept(Kind::Withdraw, Details::default()),
        Amend::Relist => kept(Kind::Relist, Details { text_version: Some(level.text_version), ..Details::default() }),
    };
    Ok(to)
}

/// The kind of entry that sets absolute values, and the stock and the price after it.
fn set(
    book: BookId,
    level: Level,
    (price_cents, stock, version): (Option<Cents>, Option<u32>, Option<Seq>),
) -> Result<(Kind, u32, Cents)> {
    if version.is_none() && stock.is_some() {
        return Err(Error::VersionRequired);
    }
    if version.is_some_and(|seen| seen != level.version) {
        return Err(Error::VersionMismatch { book, version: level.version });
    }
    let kind = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
    let stock = stock.unwrap_or(level.stock);
    if stock > NewBook::STOCK_MAX {
        return Err(Error::invalid("stock", format!("must be at most {}", NewBook::STOCK_MAX)));
    }
    Ok((kind, stock, price_cents.unwrap_or(level.price_cents)))
}

/// Whether an entry did what a change of `book` asks for. The version does not count: it was right when the entry was made.
fn is_done(book: BookId, change: &Amend, entry: &Entry) -> bool {
    let (kind, [done]) = (entry.kind, &entry.changes[..]) else { return false };
    let same = match change {
        Amend::StockDelta { delta } => kind == Kind::Restock && *delta == done.delta,
        Amend::Set { price_cents, stock, .. } => {
            let sets = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
            let stocked = stock.map_or(done.delta == 0, |stock| stock == done.stock);
            kind == sets && stocked && price_cents.is_none_or(|price| price == done.price_cents)
        }
        Amend::Revise { text, .. } => kind == Kind::Revise && entry.text == Some(Text::from(&**text)),
        Amend::Withdraw => kind == Kind::Withdraw,
        Amend::Relist => kind == Kind::Relist,
    };
    same && done.book == book
}

/// The stock after `delta` copies more: 0 to [`NewBook::STOCK_MAX`].
fn stock_plus(level: Level, book: BookId, delta: i64) -> Result<u32> {
    let stock = i64::from(level.stock).checked_add(delta);
    match stock.map(u32::try_from) {
        Some(Ok(stock)) if stock <= NewBook::STOCK_MAX => Ok(stock),
        Some(_) if delta < 0 => Err(Error::out_of_stock([Shortage { book, available: level.stock }])),
        _ => Err(Error::invalid("stock_delta", format!("a book has at most {} copies", NewBook::STOCK_MAX))),
    }
}

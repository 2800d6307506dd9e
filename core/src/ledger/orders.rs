//! What the entries of an order make of it.

use crate::{
    inline_list::InlineList,
    money::Cents,
    order::{Order, OrderDetails, OrderLine, Status},
};

use super::{Change, Entry, Kind};

impl Order {
    /// The order that an entry begins: a sale, a hold or a void. `None` for other entries.
    pub(crate) fn begun(entry: &Entry) -> Option<Self> {
        let status = match entry.kind {
            Kind::Sale => Status::Placed,
            Kind::Hold => Status::Held,
            Kind::Void => Status::Voided,
            _ => return None,
        };
        let lines: InlineList<OrderLine> = entry.changes.iter().map(sold_line).collect();
        let total = Cents::total(lines.iter().map(|line| (line.unit_price_cents, line.quantity)));
        let details = entry.details.as_ref().and_then(|details| {
            let held_by_shop = status == Status::Held && details.actor.is_some();
            let (reference, expires_at) = (details.reference.clone(), details.expires_at);
            OrderDetails { reference, expires_at, held_by_shop, ..OrderDetails::default() }.boxed()
        });
        Some(Self {
            id: entry.key?,
            status,
            lines,
            // Decided before the entry was appended: a total never overflows.
            total_cents: total.unwrap_or(Cents::MAX),
            placed_at: entry.at,
            seq: entry.seq,
            version: entry.seq,
            cancelled_at: None,
            details,
        })
    }

    /// This order after a later entry of its own.
    #[must_use]
    pub fn after(mut self, entry: &Entry) -> Self {
        self.version = entry.seq;
        match entry.kind {
            Kind::Confirm => self.status = Status::Placed,
            Kind::Return if entry.is_partial_return() => self.take_back(entry),
            Kind::Return => {
                self.status = Status::Cancelled;
                self.cancelled_at = Some(entry.at);
            }
            Kind::Lapse => {
                self.status = Status::Lapsed;
                self.details.get_or_insert_default().lapsed_at = Some(entry.at);
            }
            Kind::Fulfil => {
                self.status = Status::Fulfilled;
                self.details.get_or_insert_default().fulfilled_at = Some(entry.at);
            }
            Kind::Extend => {
                if let Some(expires_at) = entry.details.as_ref().and_then(|details| details.expires_at) {
                    self.details.get_or_insert_default().expires_at = Some(expires_at);
                }
            }
            _ => {}
        }
        self
    }

    fn take_back(&mut self, entry: &Entry) {
        for change in &entry.changes {
            let returned = &mut self.details.get_or_insert_default().returned;
            let (book, quantity) = (change.book, u32::try_from(change.delta).unwrap_or_default());
            match returned.binary_search_by_key(&book, |line| line.book) {
                Ok(at) => returned[at].quantity = returned[at].quantity.saturating_add(quantity),
                Err(at) => returned.insert(at, OrderLine { book, quantity, unit_price_cents: change.price_cents }),
            }
        }
    }

    /// The order that these entries make, if they are an order's: all of them, oldest first.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Self> {
        let mut entries = entries.into_iter();
        let begun = Self::begun(entries.next()?)?;
        Some(entries.fold(begun, Self::after))
    }
}

fn sold_line(change: &Change) -> OrderLine {
    let quantity = u32::try_from(-change.delta).unwrap_or_default();
    OrderLine { book: change.book, quantity, unit_price_cents: change.price_cents }
}

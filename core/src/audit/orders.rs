//! What the orders of a ledger have been through, entry by entry.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    clock::Timestamp,
    ledger::{Entry, Kind},
    order::OrderId,
};

use super::{Finding, Summary};

/// What a key has done so far.
#[derive(Clone, Copy, Debug)]
enum Used {
    Order(UsedByOrder),
    /// Changed a book, or took some copies of an order back.
    Other,
}

/// An order, in 16 bytes.
#[derive(Clone, Copy, Debug)]
struct UsedByOrder {
    /// Of the copies that are still out.
    fingerprint: u64,
    copies: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Held,
    Placed,
    Fulfilled,
    /// Cancelled, lapsed or voided.
    Closed,
}

/// The orders so far. Memory: about 32 bytes a key.
#[derive(Debug, Default)]
pub(super) struct Orders {
    keys: HashMap<OrderId, Used>,
    /// When the open holds end.
    holds: HashMap<OrderId, Timestamp>,
}

impl Orders {
    /// Takes the next entry.
    pub(super) fn take(&mut self, entry: &Entry, summary: &mut Summary) -> Result<(), Finding> {
        let seq = entry.seq;
        match entry.kind {
            Kind::Sale | Kind::Hold | Kind::Void => self.begin(entry, summary),
            Kind::Return if entry.is_partial_return() => {
                self.take_key(entry).and_then(|()| self.take_back(entry, summary))
            }
            Kind::Confirm | Kind::Lapse | Kind::Extend | Kind::Fulfil | Kind::Return => self.change(entry, summary),
            Kind::Erase => self.erase(entry),
            Kind::Restock
            | Kind::Reprice
            | Kind::Listing
            | Kind::Revise
            | Kind::Withdraw
            | Kind::Relist
            | Kind::Timeline => self.take_key(entry),
        }
        .map_err(|why| why.at(seq))
    }

    /// A key that nothing else has used.
    fn take_key(&mut self, entry: &Entry) -> Result<(), Why> {
        let Some(key) = entry.key else { return Ok(()) };
        match self.keys.insert(key, Used::Other) {
            None => Ok(()),
            Some(before) => {
                self.keys.insert(key, before);
                Err(Why::KeyUsedAgain(key))
            }
        }
    }

    fn begin(&mut self, entry: &Entry, summary: &mut Summary) -> Result<(), Why> {
        self.take_key(entry)?;
        let Some(key) = entry.key else { return Ok(()) };
        let state = match entry.kind {
            Kind::Sale => State::Placed,
            Kind::Hold => State::Held,
            _ => State::Closed,
        };
        let order = UsedByOrder { fingerprint: fingerprint(entry), copies: copies(entry), state };
        if state == State::Placed {
            summary.sales += 1;
            summary.copies_sold += u64::from(order.copies);
        }
        if let (State::Held, Some(expires_at)) = (state, expires_at(entry)) {
            self.holds.insert(key, expires_at);
        }
        self.keys.insert(key, Used::Order(order));
        Ok(())
    }

    /// A later entry of an order: it must be in a state for that.
    fn change(&mut self, entry: &Entry, summary: &mut Summary) -> Result<(), Why> {
        let Some(key) = entry.order_id() else { return Ok(()) };
        let order = match self.keys.get_mut(&key) {
            Some(Used::Order(order)) => order,
            _ if entry.kind == Kind::Return => return Err(Why::ReturnWithoutSale(key)),
            _ => return Err(Why::State(key, entry.kind)),
        };
        let before = order.state;
        let (allowed, after) = match entry.kind {
            Kind::Confirm => (before == State::Held, State::Placed),
            Kind::Lapse => (before == State::Held, State::Closed),
            Kind::Extend => (before == State::Held, State::Held),
            Kind::Fulfil => (before == State::Placed, State::Fulfilled),
            _ if before == State::Closed => return Err(Why::KeyUsedAgain(key)),
            _ => (matches!(before, State::Held | State::Placed), State::Closed),
        };
        if !allowed {
            return Err(Why::State(key, entry.kind));
        }
        order.state = after;
        let (copies_out, mirrored) = (order.copies, order.fingerprint == fingerprint(entry));
        match entry.kind {
            Kind::Confirm => {
                summary.sales += 1;
                summary.copies_sold += u64::from(copies_out);
            }
            Kind::Return if before == State::Placed => {
                summary.returns += 1;
                summary.copies_sold = summary.copies_sold.saturating_sub(u64::from(copies(entry)));
            }
            _ => {}
        }
        let held_until = match (after, expires_at(entry)) {
            (State::Held, Some(expires_at)) => self.holds.insert(key, expires_at),
            _ => self.holds.remove(&key),
        };
        match entry.kind {
            Kind::Lapse if held_until.is_some_and(|until| entry.at < until) => Err(Why::LapsedEarly(key)),
            Kind::Extend if held_until >= expires_at(entry) => Err(Why::State(key, Kind::Extend)),
            Kind::Return | Kind::Lapse if !mirrored => Err(Why::NotMirrored(key)),
            _ => Ok(()),
        }
    }

    /// The contact of an order was erased, whatever its state.
    fn erase(&self, entry: &Entry) -> Result<(), Why> {
        let Some(key) = entry.order_id() else { return Ok(()) };
        match self.keys.get(&key) {
            Some(Used::Order(_)) => Ok(()),
            _ => Err(Why::State(key, Kind::Erase)),
        }
    }

    /// Some copies of an order come back.
    fn take_back(&mut self, entry: &Entry, summary: &mut Summary) -> Result<(), Why> {
        let Some(key) = entry.order_id() else { return Ok(()) };
        let Some(Used::Order(order)) = self.keys.get_mut(&key) else { return Err(Why::ReturnWithoutSale(key)) };
        if !matches!(order.state, State::Placed | State::Fulfilled) {
            return Err(Why::State(key, Kind::Return));
        }
        summary.copies_sold = summary.copies_sold.saturating_sub(u64::from(copies(entry)));
        order.fingerprint = order.fingerprint.wrapping_sub(fingerprint(entry));
        match order.copies.checked_sub(copies(entry)) {
            Some(rest) => {
                order.copies = rest;
                Ok(())
            }
            None => Err(Why::NotMirrored(key)),
        }
    }
}

/// A finding without its place.
enum Why {
    KeyUsedAgain(OrderId),
    ReturnWithoutSale(OrderId),
    NotMirrored(OrderId),
    State(OrderId, Kind),
    LapsedEarly(OrderId),
}

impl Why {
    fn at(self, seq: crate::id::Seq) -> Finding {
        match self {
            Self::KeyUsedAgain(key) => Finding::KeyUsedAgain { seq, key },
            Self::ReturnWithoutSale(key) => Finding::ReturnWithoutSale { seq, key },
            Self::NotMirrored(key) => Finding::NotMirrored { seq, key },
            Self::State(key, kind) => Finding::State { seq, key, kind },
            Self::LapsedEarly(key) => Finding::LapsedEarly { seq, key },
        }
    }
}

fn expires_at(entry: &Entry) -> Option<Timestamp> {
    entry.details.as_ref()?.expires_at
}

/// A sum over the copies that an entry moves: what comes back in parts has the sum of what went out.
fn fingerprint(entry: &Entry) -> u64 {
    entry.changes.iter().fold(0, |sum, change| {
        let mut hasher = DefaultHasher::new();
        (change.book, change.price_cents).hash(&mut hasher);
        sum.wrapping_add(hasher.finish().wrapping_mul(change.delta.unsigned_abs()))
    })
}

fn copies(entry: &Entry) -> u32 {
    let copies = entry.changes.iter().fold(0, |sum: u64, change| sum.saturating_add(change.delta.unsigned_abs()));
    u32::try_from(copies).unwrap_or(u32::MAX)
}

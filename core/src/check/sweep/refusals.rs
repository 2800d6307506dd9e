//! Refusals: the reason must have been true at some moment of the call.
//!
//! A refusal shows a state just as an answer does: that a book had so many copies, cost so much, had this version, or
//! was not there. That state must be among those between the lower bound when the call was made and the upper bound
//! when it returned, and before the entry that the call's own key has made: afterwards the call would have been a
//! replay. The earliest such state raises the lower bound.

use super::{LowerBound, Sweep};
use crate::{
    book::{Amend, BookId},
    check::{
        ledger_index::{Pos, States},
        report::Rule,
    },
    decide::Level,
    error::Error,
    ledger::Seq,
    money::Cents,
    order::OrderId,
    request::{Lines, OrderAction},
};

impl Sweep<'_, '_> {
    /// A purchase may be refused because of the stock, the price, an unknown book or a used id, and for no other
    /// reason.
    pub(super) fn refused_purchase(
        &mut self,
        at: usize,
        (order, lines): (OrderId, &Lines),
        error: &Error,
        bound: LowerBound,
    ) {
        let uses = self.ledger.uses(order);
        let taken_out = uses.taken_out();
        let line = |book: &BookId| lines.iter().find(|line| line.book == *book);
        if matches!(error, Error::OrderIdReused { .. }) {
            // Another reference alone is a reason, too, which histories do not keep.
            let has_reference = taken_out > 0 && self.ledger.entry(taken_out).details.is_some();
            let other = taken_out > 0 && (has_reference || !self.ledger.sells(taken_out, lines).same);
            return self.check_reused(at, order, [other.then_some(taken_out), Some(uses.amend)]);
        }
        if let Error::PriceChanged { book, price_cents } = error
            && uses.hold > 0
        {
            return self.check_held_price(at, uses.hold, *book, *price_cents);
        }
        let Some(states) = self.possible_states(at, taken_out, bound) else { return };
        match error {
            Error::OutOfStock { book, available, .. } => {
                let wanted = line(book).map_or(0, |line| i64::from(line.quantity));
                self.check_out_of_stock(at, *book, *available, wanted, states);
            }
            Error::PriceChanged { book, price_cents } => {
                let other = line(book).and_then(|line| line.price_cents).is_some_and(|seen| seen != *price_cents);
                let timeline = self.ledger.timeline(*book).filter(|_| other);
                let found =
                    timeline.and_then(|timeline| timeline.find(states, |level| level.price_cents == *price_cents));
                self.check_true(at, found, || {
                    format!("book {book} did not cost {price_cents} then, or the purchase named this price")
                });
            }
            Error::BookNotFound { book } if line(book).is_some() => self.book_not_found(at, *book, bound),
            Error::BookWithdrawn { book } if line(book).is_some() => {
                let timeline = self.ledger.timeline(*book);
                let found = timeline.and_then(|timeline| timeline.find(states, |level| !level.on_sale));
                self.check_true(at, found, || format!("book {book} was on sale all the time"));
            }
            other => self.untrue(at, || format!("a purchase was refused for a reason that it cannot have: {other}")),
        }
    }

    /// Any other change of an order.
    pub(super) fn refused_change(
        &mut self,
        at: usize,
        (order, action): (OrderId, &OrderAction),
        error: &Error,
        bound: LowerBound,
    ) {
        match (action, error) {
            (OrderAction::Purchase { lines, .. } | OrderAction::Hold { lines, .. }, _) => {
                self.refused_purchase(at, (order, lines), error, bound);
            }
            (OrderAction::Return { key, .. }, Error::OrderIdReused { order: reused }) if reused == key => {
                let uses = self.ledger.uses(*key);
                self.check_reused(at, *key, [Some(uses.amend), self.ledger.entries_of(*key).first().copied()]);
            }
            (_, Error::OrderNotFound { .. }) => self.order_not_found(at, order, bound),
            (_, Error::OrderIdReused { .. }) => {
                self.check_reused(at, order, [Some(self.ledger.uses(order).amend), None]);
            }
            (_, other) => {
                self.untrue(at, || format!("an order was not changed for a reason that it cannot have: {other}"));
            }
        }
    }

    /// A purchase of a held order is refused for its price only if that is not the one at which it is held, or was not held yet.
    fn check_held_price(&mut self, at: usize, hold: Pos, book: BookId, price_cents: Cents) {
        let held = self.ledger.entry(hold).changes.iter().find(|change| change.book == book);
        let was = self.ledger.timeline(book).map(|timeline| {
            timeline.find(States { first: 0, last: self.upper }, |level| level.price_cents == price_cents)
        });
        if held.is_none_or(|held| held.price_cents != price_cents) && was.flatten().is_none() {
            self.untrue(at, || format!("book {book} was neither held nor sold at {price_cents}"));
        }
    }

    /// An amend may be refused because of the stock, the version, an unknown book or a used key, and for no other
    /// reason.
    pub(super) fn refused_amend(
        &mut self,
        at: usize,
        (asked, change, key): (BookId, &Amend, Option<OrderId>),
        error: &Error,
        bound: LowerBound,
    ) {
        let uses = key.map(|key| self.ledger.uses(key)).unwrap_or_default();
        if let (Error::OrderIdReused { .. }, Some(key)) = (error, key) {
            let other = uses.amend > 0 && !self.ledger.amends(uses.amend, asked, change).same;
            let order = self.ledger.entries_of(key).first().copied();
            return self.check_reused(at, key, [order, other.then_some(uses.amend)]);
        }
        let Some(states) = self.possible_states(at, uses.amend, bound) else { return };
        match (error, change) {
            (Error::OutOfStock { book, available, .. }, Amend::StockDelta { delta }) if *book == asked => {
                self.check_out_of_stock(at, asked, *available, delta.saturating_neg(), states);
            }
            (Error::VersionMismatch { book, version }, Amend::Set { version: Some(seen), .. })
                if *book == asked && version != seen =>
            {
                self.check_version(at, asked, *version, states);
            }
            (Error::TextVersionMismatch { book, text_version }, Amend::Revise { text_version: Some(seen), .. })
                if *book == asked && text_version != seen =>
            {
                let timeline = self.ledger.timeline(asked);
                let was = |level: &Level| level.text_version == *text_version;
                let found = timeline.and_then(|timeline| timeline.find(states, was));
                self.check_true(at, found, || {
                    format!("the text of book {book} was not at version {text_version} then")
                });
            }
            // What books are called is not kept for every moment.
            (Error::BookExists { book }, Amend::Revise { .. }) if *book != asked => {
                let listed = self.ledger.listed(*book);
                self.check_true(at, Some(listed).filter(|listed| (1..=states.last).contains(listed)), || {
                    format!("there was no book {book} of the same name")
                });
            }
            (Error::VersionRequired, Amend::Set { version: None, stock: Some(_), .. })
            | (Error::VersionRequired, Amend::Revise { text_version: None, .. }) => {}
            (Error::BookNotFound { book }, _) if *book == asked => self.book_not_found(at, asked, bound),
            (other, _) => self.untrue(at, || format!("an amend was refused for a reason that it cannot have: {other}")),
        }
    }

    /// The states in which a call can have been refused whose key made the entry `own`. `None` if the entry was known
    /// when the call was made: then it must not be refused.
    fn possible_states(&mut self, at: usize, own: Pos, bound: LowerBound) -> Option<States> {
        if own > 0 && own <= bound.observed {
            let seq = self.ledger.entry(own).seq;
            let why = || format!("a call was refused although its key had made entry {seq} before");
            self.report.add(Rule::SameAnswer, &[at], why);
            return None;
        }
        let last = own.checked_sub(1).map_or(self.upper, |before| before.min(self.upper));
        Some(States { first: bound.observed, last })
    }

    /// The stock must have been just `available`, and that must be less than the copies `wanted`.
    fn check_out_of_stock(&mut self, at: usize, book: BookId, available: u32, wanted: i64, states: States) {
        if i64::from(available) >= wanted {
            let why =
                || format!("book {book} was refused as out of stock with {available} in stock for the {wanted} asked");
            return self.report.add(Rule::OutOfStock, &[at], why);
        }
        let timeline = self.ledger.timeline(book);
        match timeline.and_then(|timeline| timeline.find(states, |level| level.stock == available)) {
            Some(pos) => self.observe(pos),
            None => {
                let why = || format!("book {book} had not {available} copies left at any moment of the call");
                self.report.add(Rule::OutOfStock, &[at], why);
            }
        }
    }

    /// The book must have been at this version.
    fn check_version(&mut self, at: usize, book: BookId, version: Seq, states: States) {
        let found = self.ledger.timeline(book).and_then(|timeline| timeline.version(version));
        let pos = found.and_then(|(_, found)| found.first_common(states));
        self.check_true(at, pos, || format!("book {book} was not at version {version} at any moment of the call"));
    }

    /// The reason was true in the state `pos`, or never.
    fn check_true(&mut self, at: usize, pos: Option<Pos>, why: impl FnOnce() -> String) {
        match pos {
            Some(pos) => self.observe(pos),
            None => self.untrue(at, why),
        }
    }

    /// A key is refused as used for something else: one of the entries `other` must have been possible by now.
    fn check_reused(&mut self, at: usize, key: OrderId, other: [Option<Pos>; 2]) {
        let upper = self.upper;
        if !other.into_iter().flatten().any(|pos| pos > 0 && pos <= upper) {
            self.untrue(at, || format!("{key} was refused as used for something else, which it had not been"));
        }
    }

    /// A book may be unknown only as long as no call knew of it.
    fn book_not_found(&mut self, at: usize, book: BookId, bound: LowerBound) {
        let listed = self.ledger.listed(book);
        if listed > 0 && listed <= bound.observed {
            self.untrue(at, || format!("book {book} was not found, but it had been listed before"));
        }
    }

    fn untrue(&mut self, at: usize, why: impl FnOnce() -> String) {
        self.report.add(Rule::TrueRefusal, &[at], why);
    }
}

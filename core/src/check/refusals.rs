//! A refusal is an answer too: its reason must have been true at some moment of the call.

use super::{
    index::{Pos, Stood},
    report::Rule,
    sweep::{Floor, Sweep},
};
use crate::{
    book::{Amend, BookId},
    error::Error,
    ledger::Seq,
    order::{Lines, OrderId},
};

/// The states among which a refusal's reason must be found.
#[derive(Clone, Copy)]
struct Window {
    from: Pos,
    to: Pos,
}

impl Sweep<'_, '_> {
    pub(super) fn refused_purchase(&mut self, at: usize, asked: (OrderId, &Lines), error: &Error, floor: Floor) {
        let (order, lines) = asked;
        let uses = self.ledger.uses(order);
        let line = |book: &BookId| lines.iter().find(|line| line.book == *book);
        if matches!(error, Error::OrderIdReused { .. }) {
            let sold = uses.sale > 0 && !self.sold(uses.sale, lines);
            return self.check_reused(at, order, [sold.then_some(uses.sale), Some(uses.amend)]);
        }
        let Some(window) = self.window(at, uses.sale, floor) else { return };
        match error {
            Error::OutOfStock { book, available } => {
                let wanted = line(book).map_or(0, |line| i64::from(line.quantity));
                self.check_short(at, *book, *available, wanted, window);
            }
            Error::PriceChanged { book, price_cents } => {
                let seen = line(book).and_then(|line| line.price_cents);
                let other = seen.is_some_and(|seen| seen != *price_cents);
                let track = self.ledger.track(*book).filter(|_| other);
                let stood = track.and_then(|track| track.find(Stood::Price(*price_cents), window.from, window.to));
                self.check_true(at, stood, || {
                    format!("book {book} did not cost {price_cents} then, or that was asked")
                });
            }
            Error::BookNotFound { book } if line(book).is_some() => self.unknown_book(at, *book, floor),
            other => self.untrue(at, || format!("a purchase was refused for no reason of its own: {other}")),
        }
    }

    pub(super) fn refused_amend(
        &mut self,
        at: usize,
        asked: (BookId, Amend, Option<OrderId>),
        error: &Error,
        floor: Floor,
    ) {
        let (asked, change, key) = asked;
        let uses = key.map(|key| self.ledger.uses(key)).unwrap_or_default();
        if let (Error::OrderIdReused { .. }, Some(key)) = (error, key) {
            let other = uses.amend > 0 && !self.ledger.amends(uses.amend, asked, change).0;
            return self.check_reused(at, key, [Some(uses.sale), other.then_some(uses.amend)]);
        }
        let Some(window) = self.window(at, uses.amend, floor) else { return };
        match (error, change) {
            (Error::OutOfStock { book, available }, Amend::StockDelta { delta }) if *book == asked => {
                self.check_short(at, asked, *available, delta.saturating_neg(), window);
            }
            (Error::VersionMismatch { book, version }, Amend::Set { version: Some(seen), .. })
                if *book == asked && *version != seen =>
            {
                self.check_version(at, asked, *version, window);
            }
            (Error::VersionRequired, Amend::Set { version: None, stock: Some(_), .. }) => {}
            (Error::BookNotFound { book }, _) if *book == asked => self.unknown_book(at, asked, floor),
            (other, _) => self.untrue(at, || format!("an amend was refused for no reason of its own: {other}")),
        }
    }

    /// When a call with the key that made the entry `own` can have been refused; never, once it was known to be done.
    fn window(&mut self, at: usize, own: Pos, floor: Floor) -> Option<Window> {
        if own > 0 && own <= floor.seen {
            let seq = self.ledger.entry(own).seq;
            let why = || format!("a call was refused although its key had made entry {seq} before");
            self.report.add(Rule::SameAnswer, &[at], why);
            return None;
        }
        let to = own.checked_sub(1).map_or(self.reachable, |before| before.min(self.reachable));
        Some(Window { from: floor.seen, to })
    }

    fn check_short(&mut self, at: usize, book: BookId, available: u32, wanted: i64, window: Window) {
        if i64::from(available) >= wanted {
            let why =
                || format!("book {book} was refused as out of stock with {available} in stock for the {wanted} asked");
            return self.report.add(Rule::OutOfStock, &[at], why);
        }
        let track = self.ledger.track(book);
        match track.and_then(|track| track.find(Stood::Stock(available), window.from, window.to)) {
            Some(pos) => self.see(pos),
            None => {
                let why = || format!("book {book} had not {available} copies left at any moment of the call");
                self.report.add(Rule::OutOfStock, &[at], why);
            }
        }
    }

    fn check_version(&mut self, at: usize, book: BookId, version: Seq, window: Window) {
        let stood = self.ledger.track(book).and_then(|track| track.version(version));
        let pos = stood.and_then(|(_, from, last)| {
            let (from, last) = (from.max(window.from), last.min(window.to));
            (from <= last).then_some(from)
        });
        self.check_true(at, pos, || format!("book {book} was not at version {version} at any moment of the call"));
    }

    fn check_true(&mut self, at: usize, pos: Option<Pos>, why: impl FnOnce() -> String) {
        match pos {
            Some(pos) => self.see(pos),
            None => self.untrue(at, why),
        }
    }

    fn check_reused(&mut self, at: usize, key: OrderId, other: [Option<Pos>; 2]) {
        let reachable = self.reachable;
        if !other.into_iter().flatten().any(|pos| pos > 0 && pos <= reachable) {
            self.untrue(at, || format!("{key} was refused as used for something else, which it had not been"));
        }
    }

    fn unknown_book(&mut self, at: usize, book: BookId, floor: Floor) {
        let listed = self.ledger.listed(book);
        if listed > 0 && listed <= floor.seen {
            self.untrue(at, || format!("book {book} was not found, but it had been listed before"));
        }
    }

    fn untrue(&mut self, at: usize, why: impl FnOnce() -> String) {
        self.report.add(Rule::TrueRefusal, &[at], why);
    }

    fn sold(&self, sale: Pos, lines: &Lines) -> bool {
        let sold = self.ledger.entry(sale).changes.iter().map(|change| (change.book, change.delta));
        sold.eq(lines.iter().map(|line| (line.book, -i64::from(line.quantity))))
    }
}

//! Answers about orders and books.
//!
//! An order in an answer proves that its sale has happened, and its return if it shows one. A book in an answer proves
//! that the catalogue has reached the entry of its version; and unless the read is cached, the book must not have
//! changed before the call was made.

use std::{cmp::Ordering, sync::Arc};

use super::{AtInvocation, LowerBound, Sweep};
use crate::{
    check::{
        history::Call,
        ledger_index::{Pos, States},
        operation::BookState,
        options::Cancellations,
        report::Rule,
    },
    order::{Order, OrderId, Receipt, Status},
};

impl Sweep<'_, '_> {
    /// A receipt for the entry at `pos`: a call that says it was the first must have been made before the entry was
    /// known.
    pub(super) fn receipt(&mut self, at: usize, pos: Pos, receipt: &Receipt, bound: LowerBound) {
        if pos == 0 {
            return;
        }
        let (id, first) = (receipt.order.id, !receipt.replayed);
        if first && pos <= bound.observed {
            let why = || format!("a call was answered as the first for order {id}, which was known before the call");
            self.report.add(Rule::SameAnswer, &[at], why);
        }
        self.reach(at, pos, if first { Rule::RealTimeOrder } else { Rule::Linearizable });
        if first && receipt.order.version != self.ledger.entry(pos).seq {
            let why = || format!("a call was answered as the first for order {id} with what came later");
            self.report.add(Rule::SameAnswer, &[at], why);
        }
    }

    /// The catalogue shows an order as it is now, in its answer or its refusal.
    pub(super) fn show_state(&mut self, at: usize, order: &Order, bound: LowerBound) {
        let (id, status) = (order.id, order.status);
        let Some((_, pos, next)) = self.ledger.order_at(id, order.version) else { return };
        self.reach(at, pos, Rule::Linearizable);
        self.check_fresh(at, next.map(|next| next - 1), bound, || format!("order {id} was shown as {status}"));
    }

    /// The server of this call must show the cancellation from now on, if it has acknowledged it.
    pub(super) fn remember_cancelled(&mut self, call: &Call, order: &Order) {
        if order.status == Status::Cancelled && self.options.cancellations == Cancellations::SameServer {
            self.cancelled.insert((order.id, Arc::clone(&call.server)));
        }
    }

    /// An order in an answer has been sold, and returned if it says so.
    pub(super) fn show_order(&mut self, at: usize, order: &Order) {
        if let Some((_, pos, _)) = self.ledger.order_at(order.id, order.version) {
            self.reach(at, pos, Rule::Linearizable);
        }
    }

    /// A read of an order must show a cancellation that its server must know, see [`Cancellations`].
    pub(super) fn check_shows_cancellation(&mut self, at: usize, order: &Order, known: AtInvocation) {
        let (id, returned) = (order.id, self.ledger.uses(order.id).returned);
        let must_show = match self.options.cancellations {
            Cancellations::Everywhere => returned > 0 && returned <= known.bound.acknowledged,
            Cancellations::SameServer => known.cancelled_here,
            Cancellations::Eventually => false,
        };
        if must_show && order.status != Status::Cancelled {
            let why = || format!("order {id} was shown as standing after its cancellation was acknowledged");
            self.report.add(Rule::ReadYourWrites, &[at], why);
        }
    }

    /// An order may be unknown only before its sale was acknowledged or shown to any caller.
    pub(super) fn order_not_found(&mut self, at: usize, id: OrderId, bound: LowerBound) {
        let begun = self.ledger.entries_of(id).first().copied();
        if begun.is_some_and(|begun| begun <= bound.acknowledged) {
            let why = || format!("order {id} was not found after it had been acknowledged or shown");
            self.report.add(Rule::ReadYourWrites, &[at], why);
        }
    }

    /// A book must have been in the state that was shown at a moment of the call, or before its end if the read is
    /// cached.
    pub(super) fn show_book(&mut self, at: usize, shown: &BookState, bound: LowerBound, cached: bool) {
        let BookState { book, version, .. } = *shown;
        let Some(states) = self.states_of(at, shown) else { return };
        if states.first > self.upper {
            let why = || format!("book {book} was shown in version {version} before that could have happened");
            self.report.add(Rule::Linearizable, &[at], why);
        } else if !cached {
            self.check_fresh(at, Some(states.last), bound, || format!("book {book} was shown in version {version}"));
        }
        self.observe(states.first.min(self.upper));
    }

    /// The states in which the book was as it was shown, by its version.
    fn states_of(&mut self, at: usize, shown: &BookState) -> Option<States> {
        let BookState { book, version, .. } = *shown;
        let Some((level, states)) = self.ledger.timeline(book).and_then(|timeline| timeline.version(version)) else {
            let why = || format!("book {book} was shown in version {version}, which is not one of its entries");
            self.report.add(Rule::Linearizable, &[at], why);
            return None;
        };
        let right = BookState::new(book, level);
        if right != *shown {
            let text = |state: &BookState| {
                let BookState { stock, price_cents, text_version, on_sale, .. } = state;
                let sale = if *on_sale { "" } else { ", off sale" };
                format!("{stock} at {price_cents}, text {text_version}{sale}")
            };
            let (shown, right) = (text(shown), text(&right));
            let why =
                || format!("book {book} was shown in version {version} with {shown}, but the ledger says {right}");
            self.report.add(Rule::Linearizable, &[at], why);
        }
        Some(states)
    }

    /// An amend is answered with the book right after it, or with a later state if an earlier call had made it.
    pub(super) fn amended(&mut self, at: usize, shown: &BookState, bound: LowerBound) {
        let pos = self.matching.entry_of(at);
        if pos == 0 {
            return;
        }
        self.reach(at, pos, Rule::RealTimeOrder);
        let (seq, version) = (self.ledger.entry(pos).seq, shown.version);
        match version.cmp(&seq) {
            Ordering::Less => {
                let why = || format!("entry {seq} was answered with version {version}, from before it");
                self.report.add(Rule::Linearizable, &[at], why);
            }
            Ordering::Equal => {
                let last = self.states_of(at, shown).map(|states| states.last);
                self.check_fresh(at, last, bound, || format!("entry {seq} was answered with itself"));
            }
            Ordering::Greater => self.show_book(at, shown, bound, false),
        }
    }
}

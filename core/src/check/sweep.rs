//! Goes through the run in time, and checks every answer against the states that it can have come from.
//!
//! A state of the shop is a place in the ledger. At any moment two bounds are known: *below*, everything that somebody was
//! told or shown has happened; *above*, nothing has happened that comes in the ledger after an entry that nobody had asked for
//! yet. An answer must be true in some state between the lower bound when its call was made and the upper bound when it
//! returned, and the earliest such state raises the lower bound for all later calls. Taking the earliest leaves later answers the
//! most room, so if this fails, no choice succeeds: a linear check of what is otherwise a search.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Cancellations, Options,
    attempts::Attempts,
    history::{Call, History, Operation, Outcome, Shown},
    index::{Ledger, Pos},
    report::{Report, Rule},
};
use crate::order::{Order, OrderId, Receipt, Status};

/// The states before which nothing can be any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    /// By acknowledgements and by orders that were shown: what every server must know.
    pub(super) told: Pos,
    /// By any answer: what the catalogue must know.
    pub(super) seen: Pos,
}

/// What was known when a call was made.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    floor: Floor,
    /// The server that it goes to has said that this order is cancelled.
    cancelled_here: bool,
}

pub(super) struct Sweep<'a, 'r> {
    pub(super) ledger: &'a Ledger<'a>,
    attempts: &'a Attempts,
    options: &'a Options,
    pub(super) report: &'r mut Report,
    floor: Floor,
    /// The upper bound: the last state that can have been reached by now.
    pub(super) reachable: Pos,
    cancelled: HashSet<(OrderId, Arc<str>)>,
}

pub(super) fn run(history: &History, ledger: &Ledger<'_>, attempts: &Attempts, options: &Options, report: &mut Report) {
    let floor = Floor { told: ledger.since, seen: ledger.since };
    let mut sweep =
        Sweep { ledger, attempts, options, report, floor, reachable: ledger.since, cancelled: HashSet::new() };
    let mut before: HashMap<usize, Before> = HashMap::new();
    for (time, returned, at) in moments(history) {
        let call = &history.calls[at];
        if returned {
            sweep.reach_until(time);
            let before = before.remove(&at).unwrap_or_default();
            sweep.returned(at, call, before);
        } else {
            before.insert(at, sweep.before(call));
            let at_once = &mut sweep.report.counts.at_once;
            *at_once = (*at_once).max(before.len() as u64);
        }
    }
}

/// When answered and refused calls were made and returned, in time. At the same moment, calls are made first: so they
/// count as made at the same time as those that return then.
fn moments(history: &History) -> Vec<(u64, bool, usize)> {
    let mut moments = Vec::with_capacity(2 * history.calls.len());
    for (at, call) in history.calls.iter().enumerate() {
        if let (Some(completed), Outcome::Answered(()) | Outcome::Refused(_)) =
            (call.completed, call.operation.ending())
        {
            moments.push((call.invoked, false, at));
            moments.push((completed, true, at));
        }
    }
    moments.sort_unstable();
    moments
}

impl Sweep<'_, '_> {
    fn before(&self, call: &Call) -> Before {
        let cancelled_here = match &call.operation {
            Operation::ReadOrder { order, .. } if !self.cancelled.is_empty() => {
                self.cancelled.contains(&(*order, Arc::clone(&call.server)))
            }
            _ => false,
        };
        Before { floor: self.floor, cancelled_here }
    }

    /// Moves the upper bound: stops before the first entry that nobody had asked for by then.
    fn reach_until(&mut self, time: u64) {
        while self.attempts.begun(self.reachable + 1).is_some_and(|(begun, _)| begun <= time) {
            self.reachable += 1;
        }
    }

    fn returned(&mut self, at: usize, call: &Call, before: Before) {
        let (floor, cached) = (before.floor, self.options.cached.covers(&call.server));
        match &call.operation {
            Operation::Purchase { order, outcome: Outcome::Answered(receipt), .. } => {
                self.receipt(at, self.ledger.uses(*order).sale, receipt, floor);
                self.replayed(at, receipt, floor);
                self.remember_cancelled(call, &receipt.order);
            }
            Operation::Cancel { order, outcome: Outcome::Answered(receipt) } => {
                self.receipt(at, self.ledger.uses(*order).back, receipt, floor);
                self.remember_cancelled(call, &receipt.order);
            }
            Operation::Purchase { order, lines, outcome: Outcome::Refused(error) } => {
                self.refused_purchase(at, (*order, lines), error, floor);
            }
            Operation::Cancel { order, outcome: Outcome::Refused(_) }
            | Operation::ReadOrder { order, outcome: Outcome::Refused(_) } => self.unknown_order(at, *order, floor),
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => self.order(at, order, before),
            Operation::ReadOrders { outcome: Outcome::Answered(orders) } => {
                orders.iter().for_each(|order| self.shows(at, order));
            }
            Operation::Info { outcome: Outcome::Answered(shown), .. } => {
                self.book(at, shown, floor, cached);
            }
            Operation::Info { book, outcome: Outcome::Refused(_) } if !cached => {
                let listed = self.ledger.listed(*book);
                self.check_fresh(at, listed.checked_sub(1), floor, || format!("book {book} was not found"));
            }
            Operation::Search { outcome: Outcome::Answered(books) } => {
                books.iter().for_each(|shown| self.book(at, shown, floor, cached));
            }
            Operation::Amend { outcome: Outcome::Answered(shown), .. } => self.amended(at, shown, floor),
            Operation::Amend { book, change, key, outcome: Outcome::Refused(error) } => {
                self.refused_amend(at, (*book, *change, *key), error, floor);
            }
            Operation::List { outcome: Outcome::Answered(books), .. } => {
                for listed in books {
                    let rule = if listed.created { Rule::RealTimeOrder } else { Rule::Linearizable };
                    self.reach(at, self.ledger.listed(listed.id), rule);
                }
            }
            // Unknown and not executed ones are no moments; the other refusals say nothing.
            _ => {}
        }
    }

    /// The call proves that the entry at `pos` has happened.
    fn reach(&mut self, at: usize, pos: Pos, rule: Rule) {
        if pos > self.reachable {
            let (seq, early) = (self.ledger.entry(pos).seq, self.ledger.entry(self.reachable + 1).seq);
            let late = self.attempts.begun(self.reachable + 1).and_then(|(_, late)| late);
            let calls: Vec<usize> = std::iter::once(at).chain(late.filter(|late| *late != at)).collect();
            let why = || format!("entry {seq} was answered before entry {early}, or what it does, had been asked for");
            self.report.add(rule, &calls, why);
        }
        let proven = pos.min(self.reachable);
        self.floor.told = self.floor.told.max(proven);
        self.see(proven);
    }

    /// The catalogue was in this state, or a later one.
    pub(super) fn see(&mut self, pos: Pos) {
        self.floor.seen = self.floor.seen.max(pos);
    }

    /// What was shown was true up to the state `last`; that must not have been too long ago. `None`: it still is.
    pub(super) fn check_fresh(&mut self, at: usize, last: Option<Pos>, floor: Floor, what: impl FnOnce() -> String) {
        let Some(last) = last else { return };
        if last < floor.told {
            let why = || format!("{}, although the call was made after somebody had been told of newer", what());
            self.report.add(Rule::ReadYourWrites, &[at], why);
        } else if last < floor.seen {
            let why = || format!("{}, although the call was made after newer had been shown", what());
            self.report.add(Rule::Linearizable, &[at], why);
        }
    }

    fn receipt(&mut self, at: usize, pos: Pos, receipt: &Receipt, floor: Floor) {
        if pos == 0 {
            return;
        }
        let (id, first) = (receipt.order.id, !receipt.replayed);
        if first && pos <= floor.seen {
            let why =
                || format!("a call was told that it was the first for order {id}, which was already done before it");
            self.report.add(Rule::SameAnswer, &[at], why);
        }
        self.reach(at, pos, if first { Rule::RealTimeOrder } else { Rule::Linearizable });
    }

    /// A purchase that had been made before tells how the order stands now.
    fn replayed(&mut self, at: usize, receipt: &Receipt, floor: Floor) {
        let (id, back) = (receipt.order.id, self.ledger.uses(receipt.order.id).back);
        match receipt.order.status {
            Status::Cancelled => self.reach(at, back, Rule::Linearizable),
            Status::Placed if receipt.replayed => {
                self.check_fresh(at, back.checked_sub(1), floor, || format!("order {id} was shown as standing"));
            }
            Status::Placed => {}
        }
    }

    fn remember_cancelled(&mut self, call: &Call, order: &Order) {
        if order.status == Status::Cancelled && self.options.cancellations == Cancellations::SameServer {
            self.cancelled.insert((order.id, Arc::clone(&call.server)));
        }
    }

    /// An order in an answer has been sold, and returned if it says so.
    fn shows(&mut self, at: usize, order: &Order) {
        let uses = self.ledger.uses(order.id);
        self.reach(at, uses.sale, Rule::Linearizable);
        if order.status == Status::Cancelled {
            self.reach(at, uses.back, Rule::Linearizable);
        }
    }

    fn order(&mut self, at: usize, order: &Order, before: Before) {
        self.shows(at, order);
        let (id, back) = (order.id, self.ledger.uses(order.id).back);
        let must_show = match self.options.cancellations {
            Cancellations::Everywhere => back > 0 && back <= before.floor.told,
            Cancellations::SameServer => before.cancelled_here,
            Cancellations::Eventually => false,
        };
        if must_show && order.status == Status::Placed {
            let why = || format!("order {id} was shown as standing after its cancellation was acknowledged");
            self.report.add(Rule::ReadYourWrites, &[at], why);
        }
    }

    fn unknown_order(&mut self, at: usize, id: OrderId, floor: Floor) {
        let sale = self.ledger.uses(id).sale;
        if sale > 0 && sale <= floor.told {
            let why = || format!("order {id} was not found after it had been acknowledged or shown");
            self.report.add(Rule::ReadYourWrites, &[at], why);
        }
    }

    /// A book as it was shown must have stood so at a moment of the call, or at any moment before its end if it is cached.
    fn book(&mut self, at: usize, shown: &Shown, floor: Floor, cached: bool) {
        let Shown { book, version, .. } = *shown;
        let Some((from, last)) = self.stood(at, shown) else { return };
        if from > self.reachable {
            let why = || format!("book {book} was shown in version {version} before that could have happened");
            self.report.add(Rule::Linearizable, &[at], why);
        } else if !cached {
            self.check_fresh(at, Some(last), floor, || format!("book {book} was shown in version {version}"));
        }
        self.see(from.min(self.reachable));
    }

    /// The first and the last state in which the book stood as it was shown.
    fn stood(&mut self, at: usize, shown: &Shown) -> Option<(Pos, Pos)> {
        let Shown { book, stock, price_cents: price, version } = *shown;
        let Some((level, from, last)) = self.ledger.track(book).and_then(|track| track.version(version)) else {
            let why = || format!("book {book} was shown in version {version}, which is not one of its entries");
            self.report.add(Rule::Linearizable, &[at], why);
            return None;
        };
        if (level.stock, level.price_cents) != (stock, price) {
            let (right, its_price) = (level.stock, level.price_cents);
            let why = || {
                let is = format!("{stock} at {price}, but the ledger says {right} at {its_price}");
                format!("book {book} was shown in version {version} with {is}")
            };
            self.report.add(Rule::Linearizable, &[at], why);
        }
        Some((from, last))
    }

    /// An amend is answered with the book right after it, or later if it was done before.
    fn amended(&mut self, at: usize, shown: &Shown, floor: Floor) {
        let pos = self.attempts.entry_of(at);
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
                let last = self.stood(at, shown).map(|(_, last)| last);
                self.check_fresh(at, last, floor, || format!("entry {seq} was answered with itself"));
            }
            Ordering::Greater => self.book(at, shown, floor, false),
        }
    }
}

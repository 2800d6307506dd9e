//! Whether every answer was true at some moment of its call, and answers do not go back in time.
//!
//! The sweep goes through the run in time order. A state of the shop is a position in the ledger, and at any moment two
//! bounds of it are known:
//!
//! - the *lower bound*: everything that an answer acknowledged or showed has happened;
//! - the *upper bound*: nothing has happened that comes in the ledger after an entry that no call had asked for yet.
//!
//! An answer must be true in some state between the lower bound when its call was made and the upper bound when it
//! returned. The earliest such state raises the lower bound for all later calls. Taking the earliest leaves later
//! answers the most room: if this choice fails, every choice fails. So one pass decides what would otherwise be a
//! search.

mod answers;
mod refusals;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    history::{Call, History},
    ledger_index::{LedgerIndex, Pos},
    matching::Matching,
    operation::{Operation, Outcome},
    options::Options,
    report::{Report, Rule},
};
use crate::book::Amend;
use crate::order::OrderId;
use crate::request::OrderAction;

/// States that have certainly been reached, at some moment.
///
/// There are two, as an acknowledgement promises more than a read shows: after it, every server must show the effect,
/// while a read only proves that the catalogue has reached a state.
#[derive(Clone, Copy, Debug, Default)]
struct LowerBound {
    /// By acknowledgements, and by orders that were shown: what every server must show.
    acknowledged: Pos,
    /// By any answer: what the catalogue itself must show.
    observed: Pos,
}

/// What was known when a call was made.
#[derive(Clone, Copy, Debug, Default)]
struct AtInvocation {
    bound: LowerBound,
    /// Whether the call reads an order of which its server has said that it is cancelled.
    cancelled_here: bool,
}

/// The sweep: what is known at the current moment.
struct Sweep<'a, 'r> {
    ledger: &'a LedgerIndex<'a>,
    matching: &'a Matching,
    options: &'a Options,
    report: &'r mut Report,
    lower: LowerBound,
    /// The last state that can have been reached by now.
    upper: Pos,
    /// Orders that a server has called cancelled.
    cancelled: HashSet<(OrderId, Arc<str>)>,
}

impl<'a, 'r> Sweep<'a, 'r> {
    fn new(ledger: &'a LedgerIndex<'a>, matching: &'a Matching, options: &'a Options, report: &'r mut Report) -> Self {
        let lower = LowerBound { acknowledged: ledger.since, observed: ledger.since };
        Self { ledger, matching, options, report, lower, upper: ledger.since, cancelled: HashSet::new() }
    }

    /// What is known when a call is made.
    fn invoked(&self, call: &Call) -> AtInvocation {
        let cancelled_here = match &call.operation {
            Operation::ReadOrder { order, .. } if !self.cancelled.is_empty() => {
                self.cancelled.contains(&(*order, Arc::clone(&call.server)))
            }
            _ => false,
        };
        AtInvocation { bound: self.lower, cancelled_here }
    }

    /// Checks an answer or a refusal when it returns; `known` is what was known when the call was made.
    fn returned(&mut self, at: usize, call: &Call, known: AtInvocation) {
        let bound = known.bound;
        match &call.operation {
            Operation::Purchase { order, outcome: Outcome::Answered(receipt), .. } => {
                self.receipt(at, self.ledger.uses(*order).placed(), receipt, bound);
                if receipt.replayed {
                    self.show_state(at, &receipt.order, bound);
                }
            }
            Operation::Cancel { order, outcome: Outcome::Answered(receipt) } => {
                self.receipt(at, self.ledger.uses(*order).returned, receipt, bound);
                self.remember_cancelled(call, &receipt.order);
            }
            Operation::Change { action, outcome: Outcome::Answered(receipt), .. } => {
                self.receipt(at, self.matching.entry_of(at), receipt, bound);
                if receipt.replayed {
                    self.show_state(at, &receipt.order, bound);
                }
                if matches!(action, OrderAction::Cancel | OrderAction::Void) {
                    self.remember_cancelled(call, &receipt.order);
                }
            }
            Operation::Purchase { outcome: Outcome::Refused(error), .. }
            | Operation::Cancel { outcome: Outcome::Refused(error), .. }
            | Operation::Change { outcome: Outcome::Refused(error), .. }
                if error.order().is_some() =>
            {
                error.order().into_iter().for_each(|order| self.show_state(at, order, bound));
            }
            Operation::Purchase { order, lines, outcome: Outcome::Refused(error) } => {
                self.refused_purchase(at, (*order, lines), error, bound);
            }
            Operation::Change { order, action, outcome: Outcome::Refused(error) } => {
                self.refused_change(at, (*order, action), error, bound);
            }
            Operation::Cancel { order, outcome: Outcome::Refused(_) }
            | Operation::ReadOrder { order, outcome: Outcome::Refused(_) } => self.order_not_found(at, *order, bound),
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => {
                self.show_order(at, order);
                self.check_shows_cancellation(at, order, known);
            }
            Operation::ReadOrders { outcome: Outcome::Answered(orders) } => {
                orders.iter().for_each(|order| self.show_order(at, order));
            }
            _ => self.book_call_returned(at, call, bound),
        }
    }

    /// The same for calls about books.
    fn book_call_returned(&mut self, at: usize, call: &Call, bound: LowerBound) {
        let cached = self.options.cached.covers(&call.server);
        match &call.operation {
            Operation::Info { outcome: Outcome::Answered(shown), .. } => self.show_book(at, shown, bound, cached),
            Operation::Info { book, outcome: Outcome::Refused(_) } if !cached => {
                let listed = self.ledger.listed(*book);
                self.check_fresh(at, listed.checked_sub(1), bound, || format!("book {book} was not found"));
            }
            Operation::Search { outcome: Outcome::Answered(books) } => {
                books.iter().for_each(|shown| self.show_book(at, shown, bound, cached));
            }
            // It found the book as it wanted it.
            Operation::Amend { change: Amend::Withdraw | Amend::Relist, outcome: Outcome::Answered(shown), .. }
                if self.matching.entry_of(at) == 0 =>
            {
                self.show_book(at, shown, bound, false);
            }
            Operation::Amend { outcome: Outcome::Answered(shown), .. } => self.amended(at, shown, bound),
            Operation::Amend { book, change, key, outcome: Outcome::Refused(error) } => {
                self.refused_amend(at, (*book, change, *key), error, bound);
            }
            Operation::AddBooks { outcome: Outcome::Answered(books), .. } => {
                for added in books {
                    let rule = if added.created { Rule::RealTimeOrder } else { Rule::Linearizable };
                    self.reach(at, self.ledger.listed(added.id), rule);
                }
            }
            // Calls that were not executed and calls of unknown outcome prove nothing.
            _ => {}
        }
    }

    /// Moves the upper bound on to `time`: right before the first entry that no call had asked for by then.
    fn raise_upper_bound(&mut self, time: u64) {
        while self.matching.begun(self.upper + 1).is_some_and(|(begun, _)| begun <= time) {
            self.upper += 1;
        }
    }

    /// Call `at` proves that the entry at `pos` has happened; `rule` is broken if it cannot have happened yet.
    fn reach(&mut self, at: usize, pos: Pos, rule: Rule) {
        if pos > self.upper {
            let (seq, early) = (self.ledger.entry(pos).seq, self.ledger.entry(self.upper + 1).seq);
            let late = self.matching.begun(self.upper + 1).and_then(|(_, late)| late);
            let calls: Vec<usize> = std::iter::once(at).chain(late.filter(|late| *late != at)).collect();
            let why = || format!("entry {seq} was answered before entry {early}, or what it does, had been asked for");
            self.report.add(rule, &calls, why);
        }
        let proven = pos.min(self.upper);
        self.lower.acknowledged = self.lower.acknowledged.max(proven);
        self.observe(proven);
    }

    /// The catalogue was in this state or a later one.
    fn observe(&mut self, pos: Pos) {
        self.lower.observed = self.lower.observed.max(pos);
    }

    /// What call `at` showed was true up to the state `last`, or is still true if that is `None`. The call must not
    /// have been made when a later state was known.
    fn check_fresh(&mut self, at: usize, last: Option<Pos>, bound: LowerBound, what: impl FnOnce() -> String) {
        let Some(last) = last else { return };
        if last < bound.acknowledged {
            let why = || format!("{}, although the call was made after a newer state was acknowledged", what());
            self.report.add(Rule::ReadYourWrites, &[at], why);
        } else if last < bound.observed {
            let why = || format!("{}, although the call was made after a newer state was shown", what());
            self.report.add(Rule::Linearizable, &[at], why);
        }
    }
}

/// Checks the answers of a history in the order in which they returned.
pub(super) fn run(
    history: &History,
    ledger: &LedgerIndex<'_>,
    matching: &Matching,
    options: &Options,
    report: &mut Report,
) {
    let mut sweep = Sweep::new(ledger, matching, options, report);
    let mut under_way: HashMap<usize, AtInvocation> = HashMap::new();
    for (time, returned, at) in events(history) {
        let call = &history.calls[at];
        if returned {
            sweep.raise_upper_bound(time);
            let known = under_way.remove(&at).unwrap_or_default();
            sweep.returned(at, call, known);
        } else {
            under_way.insert(at, sweep.invoked(call));
            let at_once = &mut sweep.report.counts.at_once;
            *at_once = (*at_once).max(under_way.len() as u64);
        }
    }
}

/// When answered and refused calls were made (`false`) and returned (`true`), in time order. Calls that are made when
/// others return come first: calls that touch at one moment are concurrent.
fn events(history: &History) -> Vec<(u64, bool, usize)> {
    let mut events = Vec::with_capacity(2 * history.calls.len());
    for (at, call) in history.calls.iter().enumerate() {
        if let (Some(completed), Outcome::Answered(()) | Outcome::Refused(_)) =
            (call.completed, call.operation.ending())
        {
            events.push((call.invoked, false, at));
            events.push((completed, true, at));
        }
    }
    events.sort_unstable();
    events
}

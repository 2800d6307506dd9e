//! Which call made which ledger entry: every acknowledged call has one, every entry was asked for, and each only once.
//!
//! A call with a key names its entry by the key, so all calls with one key are candidates for one entry:
//!
//! - an answered call had an effect, or found it done;
//! - a call of unknown outcome may have had one, at any time after it was made;
//! - a refused call had none, unless the network may deliver it again later ([`Delivery::Duplicated`]);
//! - a call that was not executed had none.
//!
//! An entry without a candidate is a phantom, an acknowledged call without an entry is lost. The earliest candidate
//! says when the entry can have been made at the earliest, which the sweep needs.
//!
//! A call without a key names its entry by the version in its answer; if it has no answer, it may have made any entry
//! that does what it asked for (see `unkeyed`).

mod unkeyed;

use std::collections::{HashMap, VecDeque};

use super::{
    history::{Call, History},
    ledger_index::{LedgerIndex, Match, Pos},
    operation::{BookState, ListedBook, Operation, Outcome},
    options::Delivery,
    report::{Report, Rule},
};
use crate::{
    book::{Amend, BookId, Text},
    clock::Timestamp,
    ledger::{Entry, Kind, Seq},
    money::Cents,
    order::{OrderId, Receipt},
    request::{Lines, OrderAction},
};

/// How calls and entries belong together: the result of [`match_calls`].
#[derive(Debug)]
pub(super) struct Matching {
    entry_of: Vec<Pos>,
    begun: Vec<(u64, Option<usize>)>,
}

impl Matching {
    /// The entry that a purchase, a cancellation or an amend made or would have made; 0 if there is none.
    pub(super) fn entry_of(&self, call: usize) -> Pos {
        self.entry_of[call]
    }

    /// The time from which on the entry at `pos` may have been made, and the call that could make it first. `None`
    /// beyond the end of the ledger.
    pub(super) fn begun(&self, pos: Pos) -> Option<(u64, Option<usize>)> {
        self.begun.get(pos).copied()
    }
}

/// The calls that may have made one entry.
#[derive(Clone, Copy, Debug, Default)]
struct Candidates {
    /// When the earliest of them was made, and which call it is.
    earliest: Option<(u64, usize)>,
    /// Any call about the same key, for reports.
    related: Option<usize>,
    /// The call whose answer says that it was the first.
    fresh: Option<usize>,
    /// Whether one of them accepts the price, or had seen the right version.
    agreed: bool,
    /// Whether one of them was answered.
    acknowledged: bool,
}

impl Candidates {
    /// Adds a call that asked for the entry and may have executed.
    fn add(&mut self, call: &Call, at: usize, agreed: bool) {
        self.agreed |= agreed;
        let call = (call.invoked, at);
        self.earliest = Some(self.earliest.map_or(call, |earliest| earliest.min(call)));
    }
}

/// What a call without a key asked for. Calls that asked for the same may stand for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Request {
    Delta(BookId, i64),
    Set(BookId, Option<Cents>, Option<u32>, Option<Seq>),
    Revise(BookId, Text, Option<Seq>),
    Withdraw(BookId),
    Relist(BookId),
    List(ListedBook),
}

impl Request {
    fn new(book: BookId, change: &Amend) -> Self {
        match change {
            Amend::StockDelta { delta } => Self::Delta(book, *delta),
            Amend::Set { price_cents, stock, version } => Self::Set(book, *price_cents, *stock, *version),
            Amend::Revise { text, text_version } => Self::Revise(book, Text::from(&**text), *text_version),
            Amend::Withdraw => Self::Withdraw(book),
            Amend::Relist => Self::Relist(book),
        }
    }
}

/// Whether a book is as a call wanted it, so that the call, without a key, may have made no entry.
fn is_so_already(change: &Amend, outcome: &Outcome<BookState>) -> bool {
    outcome.answered().is_some_and(|shown| match change {
        Amend::Withdraw => !shown.on_sale,
        Amend::Relist => shown.on_sale,
        Amend::StockDelta { .. } | Amend::Set { .. } | Amend::Revise { .. } => false,
    })
}

/// A call without a key that has no entry yet: when it was made, which it is, and whether it was answered.
#[derive(Clone, Copy, Debug)]
struct UnmatchedCall {
    invoked: u64,
    call: usize,
    acknowledged: bool,
}

/// Takes call by call, and collects the candidates for every entry. What is wrong with a single call is reported at
/// once; what depends on all calls, such as an entry without a candidate, at the end.
struct Matcher<'a, 'r> {
    ledger: &'a LedgerIndex<'a>,
    delivery: Delivery,
    report: &'r mut Report,
    /// By position of the entry.
    candidates: Vec<Candidates>,
    /// By index of the call.
    entry_of: Vec<Pos>,
    /// Answered calls whose key made another entry than they asked for.
    mismatched: Vec<(usize, Pos)>,
    /// Calls without a key that have no entry yet, by what they asked for.
    unmatched: HashMap<Request, VecDeque<UnmatchedCall>>,
}

/// Matches all calls of a history with the entries after recording began, and reports what does not match.
pub(super) fn match_calls(
    history: &History,
    ledger: &LedgerIndex<'_>,
    delivery: Delivery,
    report: &mut Report,
) -> Matching {
    let mut matcher = Matcher {
        ledger,
        delivery,
        report,
        candidates: vec![Candidates::default(); ledger.len() + 1],
        entry_of: vec![0; history.calls.len()],
        mismatched: Vec::new(),
        unmatched: HashMap::new(),
    };
    for (at, call) in history.calls.iter().enumerate() {
        matcher.take(at, call);
    }
    matcher.assign_unmatched();
    matcher.report_mismatched();
    matcher.report_lost();
    matcher.report_entries(history.unrecorded == 0);
    matcher.finish()
}

impl Matcher<'_, '_> {
    /// Takes one call; `at` is its index in the history.
    fn take(&mut self, at: usize, call: &Call) {
        match &call.operation {
            Operation::Purchase { order, lines, outcome } => self.purchase(at, call, *order, lines, outcome),
            Operation::Cancel { order, outcome } => {
                let pos = self.ledger.uses(*order).returned;
                self.receipt(at, call, pos, outcome, Match { same: true, agreed: true });
            }
            Operation::Change { order, action, outcome } => self.change(at, call, *order, action, outcome),
            Operation::Amend { book, change, key: Some(key), outcome } => {
                self.keyed_amend(at, call, (*book, change, *key), outcome);
            }
            Operation::Amend { book, change, key: None, outcome } => {
                self.unkeyed_amend(at, call, *book, change, outcome);
            }
            Operation::AddBooks { books, outcome } => self.add_books(at, call, books, outcome),
            Operation::ReadOrder { .. }
            | Operation::ReadOrders { .. }
            | Operation::Info { .. }
            | Operation::Search { .. } => {}
        }
    }

    /// A purchase has the sale with its id as its entry. If its answer says that it was the first, it must have named
    /// no price or the price of the sale.
    fn purchase(&mut self, at: usize, call: &Call, order: OrderId, lines: &Lines, outcome: &Outcome<Receipt>) {
        let uses = self.ledger.uses(order);
        let pos = uses.placed();
        if pos == 0 {
            return;
        }
        // A purchase of a held order confirms it, at the price of the hold.
        let asked = self.ledger.sells(uses.taken_out(), lines);
        self.receipt(at, call, pos, outcome, asked);
        if asked.same && !asked.agreed && self.candidates[pos].fresh == Some(at) {
            let why = || format!("order {order} was sold at another price than its buyer had seen");
            self.report.add(Rule::AgreedPrice, &[at], why);
        }
    }

    /// Any other change of an order has the entry that does what it asks for.
    fn change(&mut self, at: usize, call: &Call, order: OrderId, action: &OrderAction, outcome: &Outcome<Receipt>) {
        let uses = self.ledger.uses(order);
        let done = Match { same: true, agreed: true };
        let (pos, asked) = match action {
            OrderAction::Purchase { lines, .. } => return self.purchase(at, call, order, lines, outcome),
            OrderAction::Hold { lines, .. } if uses.hold > 0 => (uses.hold, self.ledger.sells(uses.hold, lines)),
            // It was placed without a hold.
            OrderAction::Hold { .. } => return,
            OrderAction::Confirm => (uses.confirm, done),
            OrderAction::Cancel => (uses.returned, done),
            OrderAction::Void => (uses.returned.max(uses.void), done),
            OrderAction::Fulfil => (uses.fulfil, done),
            OrderAction::Extend { expires_at, .. } => (self.extension(order, *expires_at), done),
            OrderAction::EraseContact => (self.erasure(order), done),
            // It makes no entry.
            OrderAction::SetContact { .. } => return,
            OrderAction::Return { lines, key } => {
                let pos = self.ledger.uses(*key).amend;
                let same = pos > 0 && self.ledger.returns(pos, order, lines);
                (pos, Match { same, agreed: true })
            }
        };
        self.receipt(at, call, pos, outcome, asked);
    }

    /// The entry that moved the end of an order's hold to this time.
    fn extension(&self, order: OrderId, expires_at: Timestamp) -> Pos {
        let extends = |pos: &&Pos| {
            let entry = self.ledger.entry(**pos);
            entry.kind == Kind::Extend
                && entry.details.as_ref().and_then(|details| details.expires_at) == Some(expires_at)
        };
        self.ledger.others(order).iter().find(extends).copied().unwrap_or_default()
    }

    /// The entry that erased an order's contact: there is one at most.
    fn erasure(&self, order: OrderId) -> Pos {
        let erases = |pos: &&Pos| self.ledger.entry(**pos).kind == Kind::Erase;
        self.ledger.others(order).iter().find(erases).copied().unwrap_or_default()
    }

    /// A call whose answer is a receipt; `asked` is whether it asked for the entry at `pos`.
    fn receipt(&mut self, at: usize, call: &Call, pos: Pos, outcome: &Outcome<Receipt>, asked: Match) {
        if pos == 0 {
            return;
        }
        let replayed = outcome.answered().map(|receipt| receipt.replayed);
        // Without retries a replay was executed by another call.
        let may_execute =
            self.delivery.may_execute(outcome) && (self.delivery != Delivery::Once || replayed != Some(true));
        self.keyed(at, call, pos, asked, replayed.is_some(), may_execute);
        if replayed == Some(false)
            && let Some(first) = self.candidates[pos].fresh.replace(at)
        {
            let seq = self.ledger.entry(pos).seq;
            let why = || format!("two calls were answered as the first to make entry {seq}");
            self.report.add(Rule::SameAnswer, &[first, at], why);
        }
    }

    /// An amend with a key has the entry with this key.
    fn keyed_amend(
        &mut self,
        at: usize,
        call: &Call,
        (book, change, key): (BookId, &Amend, OrderId),
        outcome: &Outcome<BookState>,
    ) {
        let (pos, answered) = (self.ledger.uses(key).amend, outcome.answered().is_some());
        if pos > 0 {
            let asked = self.ledger.amends(pos, book, change);
            self.keyed(at, call, pos, asked, answered, self.delivery.may_execute(outcome));
        } else if answered {
            let why = || format!("the amend of book {book} with key {key} was acknowledged, but is not in the ledger");
            self.report.add(Rule::NoLoss, &[at], why);
        }
    }

    /// A call whose key was used for the entry at `pos`; `asked` is whether it asked for that entry.
    fn keyed(&mut self, at: usize, call: &Call, pos: Pos, asked: Match, answered: bool, may_execute: bool) {
        self.entry_of[at] = pos;
        let candidates = &mut self.candidates[pos];
        candidates.related.get_or_insert(at);
        candidates.acknowledged |= answered;
        if may_execute && asked.same {
            candidates.add(call, at, asked.agreed);
        }
        if answered && !asked.same {
            self.mismatched.push((at, pos));
        }
    }

    /// Reports the calls that were accepted with a key that had made another entry.
    fn report_mismatched(&mut self) {
        for (at, pos) in std::mem::take(&mut self.mismatched) {
            // If no call asked for what was done, the entry itself is reported.
            let Some((_, first)) = self.candidates[pos].earliest else { continue };
            let seq = self.ledger.entry(pos).seq;
            let why = || format!("a call was accepted although its key had been used for something else, entry {seq}");
            self.report.add(Rule::IdReuse, &[first, at], why);
        }
    }

    /// Counts the entries; unless calls are missing from the history, reports those that no call explains.
    fn report_entries(&mut self, complete: bool) {
        for (pos, entry) in self.ledger.recorded() {
            let candidates = self.candidates[pos];
            self.report.counts.entries += 1;
            self.report.counts.unacknowledged += u64::from(!candidates.acknowledged);
            match candidates.earliest {
                _ if !complete => {}
                // An operator began it, or a clock, and not a call.
                None if matches!(entry.kind, Kind::Timeline | Kind::Lapse | Kind::Erase) => {}
                None => self.report_phantom(pos, entry),
                Some((_, first)) if !candidates.agreed && candidates.fresh.is_none() => {
                    self.report_disagreed(first, entry);
                }
                Some(_) => {}
            }
        }
    }

    /// Reports an entry that no call can have made.
    fn report_phantom(&mut self, pos: Pos, entry: &Entry) {
        let (candidates, seq, kind) = (self.candidates[pos], entry.seq, entry.kind);
        if let Some(key) = entry.key
            && *self.ledger.uses(key).of(entry) != pos
        {
            // The same key did the same thing before: that is doubled, and the audit reports it.
            return;
        }
        let calls: Vec<usize> = candidates.related.into_iter().collect();
        if candidates.acknowledged && self.delivery == Delivery::Once && candidates.fresh.is_none() {
            let why = || format!("all calls were answered as replays of entry {seq}, but none made it");
            return self.report.add(Rule::SameAnswer, &calls, why);
        }
        let asked = if candidates.related.is_some() {
            "its calls were refused, or asked for something else"
        } else {
            "no call asked for it"
        };
        self.report.add(Rule::NoPhantom, &calls, || format!("entry {seq} is a {kind:?}, but {asked}"));
    }

    /// Reports an entry that was asked for only on another condition. `first` is the earliest call that asked for it.
    fn report_disagreed(&mut self, first: usize, entry: &Entry) {
        let seq = entry.seq;
        let (rule, why) = if matches!(entry.kind, Kind::Sale | Kind::Hold | Kind::Confirm) {
            (Rule::AgreedPrice, "sold at another price than its buyer had seen")
        } else {
            (Rule::Linearizable, "set a value although the book was no longer as the caller had seen it")
        };
        self.report.add(rule, &[first], || format!("entry {seq} {why}"));
    }

    /// What the sweep needs of it. Entries from before recording began were possible all the time.
    fn finish(self) -> Matching {
        let since = self.ledger.since;
        let begun = |(pos, candidates): (Pos, &Candidates)| match candidates.earliest {
            Some((begun, first)) if pos > since => (begun, Some(first)),
            _ => (0, candidates.related),
        };
        let begun = self.candidates.iter().enumerate().map(begun).collect();
        Matching { entry_of: self.entry_of, begun }
    }
}

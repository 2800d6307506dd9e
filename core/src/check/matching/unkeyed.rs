//! Calls without a key: amends that name no key, and listings.
//!
//! An answer names the entry. What remains are entries that no answer names and calls of unknown outcome. Calls that
//! asked for the same are interchangeable, so each entry gets the earliest of them: that leaves the later calls for
//! later entries, and if this choice fails, every choice fails. An answered amend whose version fits no entry of its
//! own is treated like a call of unknown outcome, and reported whether an entry is left for it or not.

use super::{Matcher, Request, UnmatchedCall, is_so_already};
use crate::{
    book::{Added, Amend, BookId},
    check::{
        history::Call,
        ledger_index::{Match, Pos},
        operation::{BookState, ListedBook, Outcome},
        options::Delivery,
        report::Rule,
    },
    ledger::{Change, Entry, Kind},
};

impl Matcher<'_, '_> {
    /// An answer names its entry by the version; without one, any entry that does the same may be the call's.
    pub(super) fn unkeyed_amend(
        &mut self,
        at: usize,
        call: &Call,
        book: BookId,
        change: &Amend,
        outcome: &Outcome<BookState>,
    ) {
        let answered = outcome.answered();
        if answered.is_none() && !outcome.is_unknown() {
            return;
        }
        let named = answered.and_then(|shown| self.ledger.timeline(book)?.version(shown.version));
        if let Some(pos) = named.map(|(_, states)| states.first)
            && let Match { same: true, agreed } = self.ledger.amends(pos, book, change)
            && self.ledger.entry(pos).key.is_none()
            // Calls that take a book off sale at one time may be answered with the same entry.
            && (self.candidates[pos].earliest.is_none() || is_so_already(change, outcome))
        {
            self.entry_of[at] = pos;
            self.candidates[pos].add(call, at, agreed);
            self.candidates[pos].acknowledged = true;
            return;
        }
        if !is_so_already(change, outcome) {
            self.keep(Request::new(book, change), at, call, answered.is_some());
        }
    }

    /// Keeps a call until all answers have named their entries.
    fn keep(&mut self, request: Request, at: usize, call: &Call, acknowledged: bool) {
        let call = UnmatchedCall { invoked: call.invoked, call: at, acknowledged };
        self.unmatched.entry(request).or_default().push_back(call);
    }

    /// The answer to a listing names the books, and with them the entries.
    pub(super) fn add_books(&mut self, at: usize, call: &Call, books: &[ListedBook], outcome: &Outcome<Vec<Added>>) {
        match outcome {
            Outcome::Answered(added) => {
                if added.len() != books.len() {
                    let why = || format!("{} books were to be listed, {} were answered", books.len(), added.len());
                    self.report.add(Rule::SameAnswer, &[at], why);
                }
                books.iter().zip(added).for_each(|(book, added)| self.added(at, call, *book, *added));
            }
            Outcome::Unknown => books.iter().for_each(|book| self.keep(Request::List(*book), at, call, false)),
            Outcome::Refused(_) | Outcome::NotExecuted => {}
        }
    }

    /// One book of an answered listing.
    fn added(&mut self, at: usize, call: &Call, book: ListedBook, added: Added) {
        let (id, pos) = (added.id, self.ledger.listed(added.id));
        if pos == 0 {
            let why = || format!("book {id} was acknowledged as listed, but its listing is not in the ledger");
            return self.report.add(Rule::NoLoss, &[at], why);
        }
        let same = self.ledger.listed_as(pos) == Some(book);
        let candidates = &mut self.candidates[pos];
        candidates.related.get_or_insert(at);
        // With retries, an earlier message of the same call may have created what the answer calls not created.
        if same && (added.created || self.delivery != Delivery::Once) {
            candidates.add(call, at, true);
        }
        if !added.created {
            return;
        }
        candidates.acknowledged = true;
        if let Some(first) = candidates.fresh.replace(at) {
            let why = || format!("two calls were answered as the one that listed book {id}");
            self.report.add(Rule::SameAnswer, &[first, at], why);
        } else if !same {
            self.mismatched.push((at, pos));
        }
    }

    /// Gives each entry without a key and without a call to a call that asked for it, the earliest first.
    pub(super) fn assign_unmatched(&mut self) {
        for calls in self.unmatched.values_mut() {
            calls.make_contiguous().sort_unstable_by_key(|call| call.invoked);
        }
        for (pos, entry) in self.ledger.recorded() {
            if self.candidates[pos].earliest.is_some() || entry.key.is_some() {
                continue;
            }
            let requests = self.requests_for(pos, entry);
            let waiting = requests.iter().filter_map(|request| self.unmatched.get(request)?.front().copied());
            let Some(begun) = waiting.map(|call| call.invoked).min() else { continue };
            let next = |request| self.unmatched.get_mut(request)?.pop_front();
            let Some(call) = requests.iter().find_map(next) else { continue };
            let candidates = &mut self.candidates[pos];
            (candidates.earliest, candidates.agreed) = (Some((begun, call.call)), true);
            if call.acknowledged {
                (candidates.acknowledged, self.entry_of[call.call]) = (true, pos);
                let seq = entry.seq;
                let why = || format!("an amend was acknowledged with another version than its entry {seq}");
                self.report.add(Rule::SameAnswer, &[call.call], why);
            }
        }
    }

    /// What calls without a key may have asked for if one of them made this entry. Requests that fit no other entry
    /// come first.
    fn requests_for(&self, pos: Pos, entry: &Entry) -> Vec<Request> {
        let [Change { book, delta, price_cents, stock }] = entry.changes[..] else { return Vec::new() };
        let before = self.ledger.timeline(book).map(|timeline| timeline.version_before(pos));
        let set = |price| {
            let mut sets = vec![Request::Set(book, price, Some(stock), before)];
            if delta == 0 {
                sets.extend([Request::Set(book, price, None, before), Request::Set(book, price, None, None)]);
            }
            sets
        };
        match entry.kind {
            Kind::Restock => set(None).into_iter().chain([Request::Delta(book, delta)]).collect(),
            Kind::Reprice => set(Some(price_cents)),
            Kind::Revise => {
                let before = self.ledger.timeline(book).map(|timeline| timeline.text_version_before(pos));
                let text = entry.text.clone();
                text.map(|text| Request::Revise(book, text, before)).into_iter().collect()
            }
            Kind::Withdraw => vec![Request::Withdraw(book)],
            Kind::Relist => vec![Request::Relist(book)],
            Kind::Listing => self.ledger.listed_as(pos).map(Request::List).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Reports the acknowledged amends that no entry is left for.
    pub(super) fn report_lost(&mut self) {
        let unmatched = self.unmatched.values().flatten().filter(|call| call.acknowledged);
        let mut lost: Vec<usize> = unmatched.map(|call| call.call).collect();
        lost.sort_unstable();
        for call in lost {
            self.report.add(Rule::NoLoss, &[call], || "an amend was acknowledged, but is not in the ledger".into());
        }
    }
}

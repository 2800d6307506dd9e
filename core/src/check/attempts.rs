//! Which call made which entry: everything acknowledged is in the ledger, everything in the ledger was asked for, each once.

use std::collections::{HashMap, VecDeque};

use super::{
    Delivery, Options,
    history::{Call, History, Operation, Outcome, Shelved, Shown},
    index::{Ledger, Pos},
    report::{Report, Rule},
};
use crate::{
    book::{Added, Amend, BookId},
    ledger::{Change, Entry, Kind, Seq},
    money::Cents,
    order::{Lines, OrderId, Receipt},
};

/// Nobody asked for an entry so far.
const NEVER: u64 = u64::MAX;

/// The calls that may have made an entry.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// When the first of them was made.
    begun: u64,
    /// That call.
    first: Option<usize>,
    /// Any call about the same key, for reports.
    related: Option<usize>,
    /// The call that says it was the first.
    fresh: Option<usize>,
    /// Whether one of them accepts the price, or had seen the right version.
    agreed: bool,
    /// Whether one of them was told.
    acknowledged: bool,
}

impl Slot {
    const FREE: Self =
        Self { begun: NEVER, first: None, related: None, fresh: None, agreed: false, acknowledged: false };

    fn begin(&mut self, call: &Call, at: usize, agreed: bool) {
        self.agreed |= agreed;
        if call.invoked < self.begun {
            (self.begun, self.first) = (call.invoked, Some(at));
        }
    }
}

/// How calls and entries belong together.
#[derive(Debug)]
pub(super) struct Attempts {
    entry_of: Vec<Pos>,
    begun: Vec<(u64, Option<usize>)>,
}

impl Attempts {
    /// The entry that a purchase, a cancellation or an amend made or would have made; 0 if there is none.
    pub(super) fn entry_of(&self, call: usize) -> Pos {
        self.entry_of[call]
    }

    /// From when on an entry may have been made, and by which call first.
    pub(super) fn begun(&self, pos: Pos) -> Option<(u64, Option<usize>)> {
        self.begun.get(pos).copied()
    }
}

/// What a call without a key asked for: calls that asked for the same are as good as each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Delta(BookId, i64),
    Set(BookId, Option<Cents>, Option<u32>, Option<Seq>),
    List(Shelved),
}

impl Asked {
    fn of(book: BookId, change: Amend) -> Self {
        match change {
            Amend::StockDelta { delta } => Self::Delta(book, delta),
            Amend::Set { price_cents, stock, version } => Self::Set(book, price_cents, stock, version),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    invoked: u64,
    call: usize,
    acknowledged: bool,
}

struct Matcher<'a, 'r> {
    ledger: &'a Ledger<'a>,
    delivery: Delivery,
    report: &'r mut Report,
    slots: Vec<Slot>,
    entry_of: Vec<Pos>,
    /// Answered calls whose key made another entry than they asked for.
    other: Vec<(usize, Pos)>,
    waiting: HashMap<Asked, VecDeque<Waiting>>,
}

pub(super) fn match_up(history: &History, ledger: &Ledger<'_>, options: &Options, report: &mut Report) -> Attempts {
    let mut matcher = Matcher {
        ledger,
        delivery: options.delivery,
        report,
        slots: vec![Slot::FREE; ledger.len() + 1],
        entry_of: vec![0; history.calls.len()],
        other: Vec::new(),
        waiting: HashMap::new(),
    };
    for (at, call) in history.calls.iter().enumerate() {
        matcher.take(at, call);
    }
    matcher.serve_waiting();
    matcher.finish(history.unrecorded == 0)
}

impl Matcher<'_, '_> {
    fn take(&mut self, at: usize, call: &Call) {
        match &call.operation {
            Operation::Purchase { order, lines, outcome } => self.purchase(at, call, *order, lines, outcome),
            Operation::Cancel { order, outcome } => {
                let pos = self.ledger.uses(*order).back;
                self.receipt(at, call, pos, outcome, (true, true));
            }
            Operation::Amend { book, change, key: Some(key), outcome } => {
                self.keyed(at, call, (*book, *change, *key), outcome);
            }
            Operation::Amend { book, change, key: None, outcome } => {
                self.unkeyed(at, call, *book, *change, outcome);
            }
            Operation::List { books, outcome } => self.add_books(at, call, books, outcome),
            Operation::ReadOrder { .. }
            | Operation::ReadOrders { .. }
            | Operation::Info { .. }
            | Operation::Search { .. } => {}
        }
    }

    fn purchase(&mut self, at: usize, call: &Call, order: OrderId, lines: &Lines, outcome: &Outcome<Receipt>) {
        let pos = self.ledger.uses(order).sale;
        if pos == 0 {
            return;
        }
        let (same, agreed) = sells(self.ledger.entry(pos), lines);
        self.receipt(at, call, pos, outcome, (same, agreed));
        if same && !agreed && self.slots[pos].fresh == Some(at) {
            let why = || format!("order {order} was sold at another price than its buyer had seen");
            self.report.add(Rule::AgreedPrice, &[at], why);
        }
    }

    /// A call whose answer is a receipt; `asked` is whether it asked for the entry at `pos`, and at its price.
    fn receipt(&mut self, at: usize, call: &Call, pos: Pos, outcome: &Outcome<Receipt>, asked: (bool, bool)) {
        if pos == 0 {
            return;
        }
        self.entry_of[at] = pos;
        let (slot, (same, agreed)) = (&mut self.slots[pos], asked);
        slot.related.get_or_insert(at);
        let may_do = match outcome {
            Outcome::NotExecuted => false,
            Outcome::Refused(_) => self.delivery == Delivery::Duplicated,
            Outcome::Unknown => true,
            Outcome::Answered(receipt) => !receipt.replayed || self.delivery != Delivery::Once,
        };
        if may_do && same {
            slot.begin(call, at, agreed);
        }
        let Outcome::Answered(receipt) = outcome else { return };
        slot.acknowledged = true;
        if !same {
            self.other.push((at, pos));
        }
        if receipt.replayed {
            return;
        }
        if let Some(first) = slot.fresh.replace(at) {
            let id = receipt.order.id;
            let why = || format!("two calls were told that they were the first for order {id}");
            self.report.add(Rule::SameAnswer, &[first, at], why);
        }
    }

    fn keyed(&mut self, at: usize, call: &Call, asked: (BookId, Amend, OrderId), outcome: &Outcome<Shown>) {
        let (book, change, key) = asked;
        let pos = self.ledger.uses(key).amend;
        let answered = outcome.answered().is_some();
        if pos == 0 {
            if answered {
                let why =
                    || format!("the amend of book {book} with key {key} was acknowledged, but is not in the ledger");
                self.report.add(Rule::NoLoss, &[at], why);
            }
            return;
        }
        self.entry_of[at] = pos;
        let (same, agreed) = self.ledger.amends(pos, book, change);
        let may_do = match outcome {
            Outcome::NotExecuted => false,
            Outcome::Refused(_) => self.delivery == Delivery::Duplicated,
            Outcome::Unknown | Outcome::Answered(_) => true,
        };
        let slot = &mut self.slots[pos];
        slot.related.get_or_insert(at);
        slot.acknowledged |= answered;
        if may_do && same {
            slot.begin(call, at, agreed);
        }
        if answered && !same {
            self.other.push((at, pos));
        }
    }

    /// Without a key an answer names its entry by the version; an unknown one may be any that does the same.
    fn unkeyed(&mut self, at: usize, call: &Call, book: BookId, change: Amend, outcome: &Outcome<Shown>) {
        let answered = outcome.answered();
        if answered.is_none() && !outcome.is_unknown() {
            return;
        }
        let named = answered.and_then(|shown| Some(self.ledger.track(book)?.version(shown.version)?.1));
        if let Some(pos) = named
            && let (true, agreed) = self.ledger.amends(pos, book, change)
            && self.ledger.entry(pos).key.is_none()
            && self.slots[pos].first.is_none()
        {
            self.entry_of[at] = pos;
            self.slots[pos].begin(call, at, agreed);
            self.slots[pos].acknowledged = true;
            return;
        }
        let waiting = Waiting { invoked: call.invoked, call: at, acknowledged: answered.is_some() };
        self.waiting.entry(Asked::of(book, change)).or_default().push_back(waiting);
    }

    fn add_books(&mut self, at: usize, call: &Call, books: &[Shelved], outcome: &Outcome<Vec<Added>>) {
        match outcome {
            Outcome::Answered(listed) => {
                if listed.len() != books.len() {
                    let why = || format!("{} books were to be listed, {} were answered", books.len(), listed.len());
                    self.report.add(Rule::SameAnswer, &[at], why);
                }
                books.iter().zip(listed).for_each(|(book, listed)| self.listed(at, call, *book, *listed));
            }
            Outcome::Unknown => {
                let waiting = Waiting { invoked: call.invoked, call: at, acknowledged: false };
                for book in books {
                    self.waiting.entry(Asked::List(*book)).or_default().push_back(waiting);
                }
            }
            Outcome::Refused(_) | Outcome::NotExecuted => {}
        }
    }

    fn listed(&mut self, at: usize, call: &Call, book: Shelved, listed: Added) {
        let (id, pos) = (listed.id, self.ledger.listed(listed.id));
        if pos == 0 {
            let why = || format!("book {id} was acknowledged as listed, but its listing is not in the ledger");
            return self.report.add(Rule::NoLoss, &[at], why);
        }
        let same = shelves(self.ledger.entry(pos)) == Some(book);
        let slot = &mut self.slots[pos];
        slot.related.get_or_insert(at);
        // What says "not created" may have been created by the same call, sent before.
        if same && (listed.created || self.delivery != Delivery::Once) {
            slot.begin(call, at, true);
        }
        if !listed.created {
            return;
        }
        slot.acknowledged = true;
        if let Some(first) = slot.fresh.replace(at) {
            let why = || format!("two calls were told that they had listed book {id}");
            self.report.add(Rule::SameAnswer, &[first, at], why);
        } else if !same {
            self.other.push((at, pos));
        }
    }

    /// Gives each entry that nobody has claimed yet to a call whose outcome is unknown, the earliest first.
    fn serve_waiting(&mut self) {
        for waiting in self.waiting.values_mut() {
            waiting.make_contiguous().sort_unstable_by_key(|waiting| waiting.invoked);
        }
        for (pos, entry) in self.ledger.recorded() {
            if self.slots[pos].first.is_some() || entry.key.is_some() {
                continue;
            }
            let asked = self.could_have_asked(pos, entry);
            let front = |asked: &Asked| self.waiting.get(asked).and_then(|waiting| waiting.front()).copied();
            let Some(chosen) = asked.iter().flatten().find(|asked| front(asked).is_some()).copied() else { continue };
            let begun = asked.iter().flatten().filter_map(front).map(|waiting| waiting.invoked).min();
            let Some(waiting) = self.waiting.get_mut(&chosen).and_then(VecDeque::pop_front) else { continue };
            let slot = &mut self.slots[pos];
            (slot.begun, slot.first, slot.agreed) = (begun.unwrap_or(waiting.invoked), Some(waiting.call), true);
            if waiting.acknowledged {
                (slot.acknowledged, self.entry_of[waiting.call]) = (true, pos);
                let seq = entry.seq;
                let why = || format!("an amend was acknowledged with another version than its entry {seq}");
                self.report.add(Rule::SameAnswer, &[waiting.call], why);
            }
        }
    }

    /// What calls without a key could have made this entry, those first that could have made no other.
    fn could_have_asked(&self, pos: Pos, entry: &Entry) -> [Option<Asked>; 5] {
        let [Change { book, delta, price_cents, stock }] = entry.changes[..] else { return [None; 5] };
        let before = self.ledger.track(book).map(|track| track.version_before(pos));
        let still = delta == 0;
        match entry.kind {
            Kind::Restock => [
                Some(Asked::Set(book, None, Some(stock), before)),
                still.then_some(Asked::Set(book, None, None, before)),
                still.then_some(Asked::Set(book, None, None, None)),
                Some(Asked::Delta(book, delta)),
                None,
            ],
            Kind::Reprice => {
                let price = Some(price_cents);
                [
                    Some(Asked::Set(book, price, Some(stock), before)),
                    still.then_some(Asked::Set(book, price, None, before)),
                    still.then_some(Asked::Set(book, price, None, None)),
                    None,
                    None,
                ]
            }
            Kind::Listing => [shelves(entry).map(Asked::List), None, None, None, None],
            Kind::Sale | Kind::Return => [None; 5],
        }
    }

    fn finish(mut self, complete: bool) -> Attempts {
        self.refuse_others();
        self.miss_lost();
        for (pos, entry) in self.ledger.recorded() {
            self.report.counts.entries += 1;
            self.report.counts.unacknowledged += u64::from(!self.slots[pos].acknowledged);
            if self.slots[pos].first.is_none() && complete {
                self.phantom(pos, entry);
            } else if !self.slots[pos].agreed && self.slots[pos].fresh.is_none() && complete {
                self.disagreed(pos, entry);
            }
        }
        let since = self.ledger.since;
        let begun = |(pos, slot): (Pos, &Slot)| match slot.first {
            Some(first) if pos > since => (slot.begun, Some(first)),
            _ => (0, slot.related),
        };
        Attempts {
            entry_of: self.entry_of,
            begun: self.slots.iter().enumerate().map(|(pos, slot)| begun((pos, slot))).collect(),
        }
    }

    fn refuse_others(&mut self) {
        for (at, pos) in std::mem::take(&mut self.other) {
            // If nobody asked for what was done, the entry itself is the finding.
            let Some(first) = self.slots[pos].first else { continue };
            let seq = self.ledger.entry(pos).seq;
            let why = || format!("a call was accepted although its key had been used for something else, entry {seq}");
            self.report.add(Rule::IdReuse, &[first, at], why);
        }
    }

    fn miss_lost(&mut self) {
        let unserved = self.waiting.values().flatten().filter(|waiting| waiting.acknowledged);
        let mut lost: Vec<usize> = unserved.map(|waiting| waiting.call).collect();
        lost.sort_unstable();
        for call in lost {
            self.report.add(Rule::NoLoss, &[call], || "an amend was acknowledged, but is not in the ledger".into());
        }
    }

    fn phantom(&mut self, pos: Pos, entry: &Entry) {
        let (slot, seq, kind) = (self.slots[pos], entry.seq, entry.kind);
        if let Some(key) = entry.key
            && self.first_use(key, kind) != pos
        {
            // The same key did the same thing before: that is doubled, not made up, and the audit says so.
            return;
        }
        let calls: Vec<usize> = slot.related.into_iter().collect();
        if slot.acknowledged && self.delivery == Delivery::Once && slot.fresh.is_none() {
            let why = || format!("all calls were told that an earlier one had made entry {seq}, but none did");
            return self.report.add(Rule::SameAnswer, &calls, why);
        }
        let asked = if slot.related.is_some() {
            "its calls were refused, or asked for something else"
        } else {
            "nobody asked for it"
        };
        self.report.add(Rule::NoPhantom, &calls, || format!("entry {seq} is a {kind:?}, but {asked}"));
    }

    fn first_use(&self, key: OrderId, kind: Kind) -> Pos {
        let uses = self.ledger.uses(key);
        match kind {
            Kind::Sale => uses.sale,
            Kind::Return => uses.back,
            Kind::Restock | Kind::Reprice | Kind::Listing => uses.amend,
        }
    }

    fn disagreed(&mut self, pos: Pos, entry: &Entry) {
        let (slot, seq) = (self.slots[pos], entry.seq);
        let calls: Vec<usize> = slot.first.into_iter().collect();
        if entry.kind == Kind::Sale {
            let why = || format!("entry {seq} sold at another price than its buyer had seen");
            self.report.add(Rule::AgreedPrice, &calls, why);
        } else {
            let why = || format!("entry {seq} set a value although the book was no longer as the caller had seen it");
            self.report.add(Rule::Linearizable, &calls, why);
        }
    }
}

/// Whether a sale sold just these lines, and at the prices that they name.
fn sells(sale: &Entry, lines: &Lines) -> (bool, bool) {
    let sold = sale.changes.iter().map(|change| (change.book, change.delta));
    let same = sold.eq(lines.iter().map(|line| (line.book, -i64::from(line.quantity))));
    let mut lines = lines.iter().zip(&sale.changes);
    let agreed = lines.all(|(line, change)| line.price_cents.is_none_or(|seen| seen == change.price_cents));
    (same, agreed)
}

/// What a listing put on the shelf.
fn shelves(entry: &Entry) -> Option<Shelved> {
    match entry.changes[..] {
        [Change { price_cents, stock, .. }] if entry.kind == Kind::Listing => Some(Shelved { price_cents, stock }),
        _ => None,
    }
}

//! A configuration of the search: some steps of one book are in order, and the others wait.
//!
//! Time passes deadline by deadline. A step *arrives* when its call has been made: then it may be put in order. It is
//! *due* when its deadline is the next one of those that are not over. Everything that waits is kept in sets, sorted by
//! what the search asks for: changes by what they do, reads by the stock that they show, claims by the entry.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::ClaimedEntries;
use crate::{check::history::Call, ledger::Seq};

/// The deadline of a step that may happen at any later time, or never.
pub(super) const NEVER: u64 = u64::MAX;

/// What a step does to a book's stock, or shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Adds copies, or takes them; the stock must not fall below zero.
    Add(i64),
    /// The same, and shows the stock after it.
    AddTo(i64, u32),
    /// Sets the stock.
    Set(u32),
    /// Shows the stock.
    Read(u32),
}

/// Something that happened to one book in one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// It happened at this time or later.
    pub(super) invoked: u64,
    /// It happened at this time or before; [`NEVER`] if no answer proves that it happened.
    pub(super) deadline: u64,
    pub(super) action: Action,
    /// The index of another step that happened before it.
    pub(super) after: Option<usize>,
    /// The ledger entry that an answer names as this step's. A read names the entry that it shows.
    pub(super) claim: Option<Seq>,
    /// The call that it belongs to.
    pub(super) call: usize,
}

impl Step {
    /// What call `call` did or showed within a span of time.
    pub(super) fn new(action: Action, (invoked, deadline): (u64, u64), call: usize) -> Self {
        Self { invoked, deadline, action, after: None, claim: None, call }
    }

    /// The same step with an entry that its answer names.
    pub(super) fn claiming(self, claim: Seq) -> Self {
        Self { claim: Some(claim), ..self }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.action, Action::Read(_))
    }
}

/// The span of time in which an answered or refused call happened.
pub(super) fn span(call: &Call) -> (u64, u64) {
    (call.invoked, call.completed.unwrap_or(NEVER))
}

/// Steps by deadline, then by index.
pub(super) type ByDeadline = BTreeSet<(u64, usize)>;

/// Steps of one class are interchangeable, but for their deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Adds this number of copies, and no other step depends on it.
    Adds(i64),
    /// A class of its own.
    Single(usize),
}

/// The ledger entry that the order has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub(super) seq: Seq,
    /// Whether the last step claims this entry. Otherwise it is only the first that the step can have.
    pub(super) is_claimed: bool,
}

/// A move of the search, with what is needed to undo it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// The next step arrived.
    Arrived,
    /// This step may come next from now on.
    Offered(usize),
    /// This change was put in order; stock and position before it.
    Applied(usize, i64, Position),
    /// This read was put in order.
    Read(usize),
    /// The deadline of this step is over.
    Passed(usize),
}

/// A configuration. Every move is kept in a trail, so that the search can go back to an earlier configuration.
#[derive(Default)]
pub(super) struct State<'a> {
    pub(super) steps: &'a [Step],
    /// The claimed entries, if claims must hold; otherwise claims mean nothing.
    pub(super) claimed: Option<&'a ClaimedEntries>,
    pub(super) position: Position,
    /// All steps, by invocation.
    pub(super) arrivals: Vec<usize>,
    /// Steps that have a deadline, by deadline.
    pub(super) deadlines: Vec<usize>,
    classes: Vec<Class>,
    /// The steps that must come after a step.
    pub(super) dependents: BTreeMap<usize, Vec<usize>>,
    /// How many steps have arrived: these may be put in order.
    pub(super) arrived: usize,
    pub(super) has_arrived: Vec<bool>,
    /// Steps that are in order.
    pub(super) done: Vec<bool>,
    /// Changes that may come next, by class; if claims must hold, only those without a claim.
    pub(super) offered: BTreeMap<Class, ByDeadline>,
    /// Those that claim no entry and only add copies, by how many.
    pub(super) free: BTreeMap<i64, ByDeadline>,
    /// All steps that wait and claim an entry, by the entry; a change before the reads that show it.
    pub(super) claims: BTreeSet<(Seq, bool, usize)>,
    /// Reads that wait until the stock is what they show.
    pub(super) reads: BTreeSet<(i64, usize)>,
    pub(super) stock: i64,
    /// How many deadlines are over.
    pub(super) passed: usize,
    /// Identifies the set of steps that are in order although their deadlines are not over.
    pub(super) early: u128,
    pub(super) trail: Vec<Move>,
}

/// Takes a member out of a set, and the set out of the map with its last member.
fn take<K: Ord>(sets: &mut BTreeMap<K, ByDeadline>, key: &K, member: (u64, usize)) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

/// A random-looking number for each index. Sets of indexes are compared by the exclusive or of their members'
/// marks.
pub(super) fn mark(index: usize) -> u128 {
    let mix = |seed: u64| {
        let mut x = (index as u64).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(x ^ (x >> 31))
    };
    mix(1) << 64 | mix(0x5851_F42D_4C95_7F2D)
}

impl<'a> State<'a> {
    /// Before the first step, with `stock` copies.
    pub(super) fn new(stock: u32, steps: &'a [Step], claimed: Option<&'a ClaimedEntries>) -> Self {
        let mut arrivals: Vec<usize> = (0..steps.len()).collect();
        arrivals.sort_by_key(|step| steps[*step].invoked);
        let mut deadlines: Vec<usize> = (0..steps.len()).filter(|step| steps[*step].deadline != NEVER).collect();
        deadlines.sort_by_key(|step| steps[*step].deadline);
        let mut dependents: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(after) = step.after {
                dependents.entry(after).or_default().push(index);
            }
        }
        let class = |index: usize| match steps[index].action {
            Action::Add(delta) if !dependents.contains_key(&index) => Class::Adds(delta),
            _ => Class::Single(index),
        };
        let classes = (0..steps.len()).map(class).collect();
        Self {
            steps,
            claimed,
            arrivals,
            deadlines,
            classes,
            dependents,
            has_arrived: vec![false; steps.len()],
            done: vec![false; steps.len()],
            stock: i64::from(stock),
            ..Self::default()
        }
    }

    /// What identifies a configuration: two with the same one can be completed in the same ways.
    pub(super) fn fingerprint(&self) -> (usize, u128, i64, Position) {
        (self.passed, self.early, self.stock, self.position)
    }

    /// The step whose deadline is next, if there is one.
    pub(super) fn due(&self) -> Option<usize> {
        self.deadlines.get(self.passed).copied()
    }

    /// Lets a step wait to be put in order.
    pub(super) fn insert(&mut self, index: usize) {
        let step = self.steps[index];
        if let Some(claim) = step.claim {
            self.claims.insert((claim, step.is_read(), index));
        } else if let Action::Add(delta) = step.action {
            self.free.entry(delta).or_default().insert((step.deadline, index));
        }
        if let Action::Read(stock) = step.action {
            self.reads.insert((i64::from(stock), index));
        } else if step.claim.is_none() || self.claimed.is_none() {
            self.offered.entry(self.classes[index]).or_default().insert((step.deadline, index));
        }
    }

    /// Undoes [`State::insert`].
    pub(super) fn remove(&mut self, index: usize) {
        let step = self.steps[index];
        if let Some(claim) = step.claim {
            self.claims.remove(&(claim, step.is_read(), index));
        } else if let Action::Add(delta) = step.action {
            take(&mut self.free, &delta, (step.deadline, index));
        }
        if let Action::Read(stock) = step.action {
            self.reads.remove(&(i64::from(stock), index));
        } else {
            take(&mut self.offered, &self.classes[index], (step.deadline, index));
        }
    }

    /// The entry that a change without a claim would take now; `None` if a step with a claim must come first.
    fn free_entry(&self, claimed: &ClaimedEntries) -> Option<Seq> {
        let seq = claimed.free_after(self.position.seq);
        let before = |(claim, is_read, _): &(Seq, bool, usize)| seq < *claim || (*is_read && seq == *claim);
        self.claims.first().is_none_or(before).then_some(seq)
    }

    /// Whether a change without a claim may come next.
    pub(super) fn has_free_entry(&self) -> bool {
        self.claimed.is_none_or(|claimed| self.free_entry(claimed).is_some())
    }

    /// The position that a change would have now; `None` if it may not come next.
    pub(super) fn position_of(&self, index: usize) -> Option<Position> {
        let Some(claimed) = self.claimed else { return Some(self.position) };
        match self.steps[index].claim {
            Some(seq) => {
                let is_first = self.claims.first().is_some_and(|(.., first)| *first == index);
                is_first.then_some(Position { seq, is_claimed: true })
            }
            None => self.free_entry(claimed).map(|seq| Position { seq, is_claimed: false }),
        }
    }

    /// Whether a read shows an entry that the order may have reached, if claims must hold.
    pub(super) fn shows_position(&self, read: usize) -> bool {
        let (Some(claimed), Some(claim)) = (self.claimed, self.steps[read].claim) else { return true };
        let Position { seq, is_claimed } = self.position;
        if is_claimed { claim == seq } else { claim >= seq && claimed.is_free(claim) }
    }
}

//! A stretch of one book's operations put in order, and everything that may come next; each move can be taken back.

use std::collections::{BTreeMap, BTreeSet};

use super::places::Places;
use crate::ledger::Seq;

/// No deadline: it may happen at any later time, or never.
pub(super) const NEVER: u64 = u64::MAX;

/// What an operation does to a book's stock, or says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Adds copies; the stock must not fall below zero.
    Add(i64),
    /// Adds copies, and says how many there are then.
    AddTo(i64, u32),
    /// Sets the stock.
    Assign(u32),
    /// Says how many there are.
    Read(u32),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// It happens not before.
    pub(super) invoked: u64,
    /// It has happened by then.
    pub(super) deadline: u64,
    pub(super) what: What,
    /// It happens only after this other one, by index.
    pub(super) after: Option<usize>,
    /// The place in the ledger that its answer claims; a read claims that of the entry that it shows.
    pub(super) claim: Option<Seq>,
    /// The call that it is about.
    pub(super) call: usize,
}

impl Step {
    /// What `call` did or said, not before and not after two moments.
    pub(super) fn new(what: What, (invoked, deadline): (u64, u64), call: usize) -> Self {
        Self { invoked, deadline, what, after: None, claim: None, call }
    }

    /// The same with a claim.
    pub(super) fn claiming(self, claim: Seq) -> Self {
        Self { claim: Some(claim), ..self }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.what, What::Read(_))
    }
}

/// By deadline.
pub(super) type ByDeadline = BTreeSet<(u64, usize)>;

/// Operations that are as good as each other share a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Like(i64),
    Alone(usize),
}

/// The place in the ledger that has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    seq: Seq,
    /// Whether that is only the first one that it can be.
    at_least: bool,
}

/// What to take back when a choice turns out wrong.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Arrived,
    Offered(usize),
    Applied(usize, i64, Place),
    Read(usize),
    Passed(usize),
}

pub(super) struct State<'a> {
    pub(super) steps: &'a [Step],
    /// The places that are claimed, if claims must hold.
    claimed: Option<&'a Places>,
    place: Place,
    /// By invocation.
    arrivals: Vec<usize>,
    /// Those that have one, by deadline.
    pub(super) deadlines: Vec<usize>,
    classes: Vec<Class>,
    dependents: BTreeMap<usize, Vec<usize>>,
    /// How many have arrived.
    arrived: usize,
    has_arrived: Vec<bool>,
    done: Vec<bool>,
    /// Changes that may come next, by class; where claims must hold, those without one.
    pub(super) offered: BTreeMap<Class, ByDeadline>,
    /// Those among them that claim no place and only add copies, by how many.
    pub(super) free: BTreeMap<i64, ByDeadline>,
    /// Everything that waits and claims a place, by it; at the same place the change before what reads it.
    pub(super) claims: BTreeSet<(Seq, bool, usize)>,
    /// Reads that wait for the stock to be what they say.
    pub(super) reads: BTreeSet<(i64, usize)>,
    pub(super) stock: i64,
    /// How many deadlines are behind.
    pub(super) passed: usize,
    /// Identifies the set of those that are done and not behind.
    early: u128,
    trail: Vec<Undo>,
}

/// Takes a member out of a set, and the set with its last member.
fn take<K: Ord>(sets: &mut BTreeMap<K, ByDeadline>, key: &K, member: (u64, usize)) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

/// A number like no other for each index, so that sets can be told apart by the sum (without carry) of their members'.
fn mark(index: usize) -> u128 {
    let mix = |seed: u64| {
        let mut x = (index as u64).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(x ^ (x >> 31))
    };
    mix(1) << 64 | mix(0x5851_F42D_4C95_7F2D)
}

impl<'a> State<'a> {
    pub(super) fn new(start: u32, steps: &'a [Step], claimed: Option<&'a Places>) -> Self {
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
        let class = |index: usize| match steps[index].what {
            What::Add(delta) if !dependents.contains_key(&index) => Class::Like(delta),
            _ => Class::Alone(index),
        };
        let classes = (0..steps.len()).map(class).collect();
        Self {
            steps,
            claimed,
            place: Place { seq: Seq(0), at_least: true },
            arrivals,
            deadlines,
            classes,
            dependents,
            arrived: 0,
            has_arrived: vec![false; steps.len()],
            done: vec![false; steps.len()],
            offered: BTreeMap::new(),
            free: BTreeMap::new(),
            claims: BTreeSet::new(),
            reads: BTreeSet::new(),
            stock: i64::from(start),
            passed: 0,
            early: 0,
            trail: Vec::new(),
        }
    }

    /// What makes one configuration the same as another one.
    pub(super) fn configuration(&self) -> (usize, u128, i64, Place) {
        (self.passed, self.early, self.stock, self.place)
    }

    /// How far the trail goes: where [`State::undo`] may go back to.
    pub(super) fn moves(&self) -> usize {
        self.trail.len()
    }

    /// What is due next, if anything is.
    pub(super) fn due(&self) -> Option<usize> {
        self.deadlines.get(self.passed).copied()
    }

    /// Goes on to the next deadline of something that has not happened yet.
    pub(super) fn advance(&mut self) {
        while let Some(due) = self.due() {
            while let Some(&arrival) = self.arrivals.get(self.arrived)
                && self.steps[arrival].invoked <= self.steps[due].deadline
            {
                self.arrived += 1;
                self.has_arrived[arrival] = true;
                self.trail.push(Undo::Arrived);
                if self.steps[arrival].after.is_none_or(|after| self.done[after]) {
                    self.offer(arrival);
                }
            }
            self.read();
            if !self.done[due] {
                return;
            }
            self.passed += 1;
            self.early ^= mark(due);
            self.trail.push(Undo::Passed(due));
        }
    }

    fn offer(&mut self, step: usize) {
        self.insert(step);
        self.trail.push(Undo::Offered(step));
    }

    fn insert(&mut self, index: usize) {
        let step = self.steps[index];
        if let Some(claim) = step.claim {
            self.claims.insert((claim, step.is_read(), index));
        } else if let What::Add(delta) = step.what {
            self.free.entry(delta).or_default().insert((step.deadline, index));
        }
        if let What::Read(stock) = step.what {
            self.reads.insert((i64::from(stock), index));
        } else if step.claim.is_none() || self.claimed.is_none() {
            self.offered.entry(self.classes[index]).or_default().insert((step.deadline, index));
        }
    }

    fn remove(&mut self, index: usize) {
        let step = self.steps[index];
        if let Some(claim) = step.claim {
            self.claims.remove(&(claim, step.is_read(), index));
        } else if let What::Add(delta) = step.what {
            take(&mut self.free, &delta, (step.deadline, index));
        }
        if let What::Read(stock) = step.what {
            self.reads.remove(&(i64::from(stock), index));
        } else {
            take(&mut self.offered, &self.classes[index], (step.deadline, index));
        }
    }

    /// Puts every read in order that fits now.
    fn read(&mut self) {
        loop {
            let mut fitting = self.reads.range((self.stock, 0)..=(self.stock, usize::MAX)).map(|(_, read)| *read);
            let Some(read) = fitting.find(|read| self.is_here(*read)) else { return };
            self.remove(read);
            self.done[read] = true;
            self.early ^= mark(read);
            self.trail.push(Undo::Read(read));
        }
    }

    /// Whether a read claims the place that has been reached, if it must.
    fn is_here(&self, read: usize) -> bool {
        let (Some(places), Some(claim)) = (self.claimed, self.steps[read].claim) else { return true };
        if self.place.at_least { claim >= self.place.seq && places.is_open(claim) } else { claim == self.place.seq }
    }

    /// The place that a change would take now; `None` if it is not its turn.
    fn place_of(&self, index: usize) -> Option<Place> {
        let Some(places) = self.claimed else { return Some(self.place) };
        let first = self.claims.first();
        match self.steps[index].claim {
            Some(seq) if first.is_some_and(|(.., first)| *first == index) => Some(Place { seq, at_least: false }),
            Some(_) => None,
            None => {
                let seq = places.open_after(self.place.seq);
                let before = first.is_none_or(|(claim, is_read, _)| seq < *claim || (*is_read && seq == *claim));
                before.then_some(Place { seq, at_least: true })
            }
        }
    }

    /// Whether something without a claim may come next.
    pub(super) fn has_room(&self) -> bool {
        let Some(places) = self.claimed else { return true };
        let seq = places.open_after(self.place.seq);
        self.claims.first().is_none_or(|(claim, is_read, _)| seq < *claim || (*is_read && seq == *claim))
    }

    /// Puts a change in order, if it is possible now.
    pub(super) fn apply(&mut self, index: usize) -> bool {
        let Step { after, what, .. } = self.steps[index];
        let stock = match what {
            What::Add(delta) => self.stock + delta,
            What::AddTo(delta, stock) if self.stock + delta == i64::from(stock) => i64::from(stock),
            What::Assign(stock) => i64::from(stock),
            What::AddTo(..) | What::Read(_) => return false,
        };
        let ready = !self.done[index] && self.has_arrived[index] && after.is_none_or(|after| self.done[after]);
        let Some(place) = self.place_of(index).filter(|_| ready && stock >= 0) else { return false };
        self.remove(index);
        self.trail.push(Undo::Applied(index, self.stock, self.place));
        (self.stock, self.place, self.done[index]) = (stock, place, true);
        self.early ^= mark(index);
        for at in 0..self.dependents.get(&index).map_or(0, Vec::len) {
            let dependent = self.dependents[&index][at];
            if self.has_arrived[dependent] {
                self.offer(dependent);
            }
        }
        self.read();
        true
    }

    /// Takes moves back.
    pub(super) fn undo(&mut self, to: usize) {
        while self.trail.len() > to {
            match self.trail.pop() {
                Some(Undo::Arrived) => {
                    self.arrived -= 1;
                    self.has_arrived[self.arrivals[self.arrived]] = false;
                }
                Some(Undo::Offered(step)) => self.remove(step),
                Some(Undo::Applied(step, stock, place)) => {
                    (self.stock, self.place, self.done[step]) = (stock, place, false);
                    self.early ^= mark(step);
                    self.insert(step);
                }
                Some(Undo::Read(step)) => {
                    self.done[step] = false;
                    self.early ^= mark(step);
                    self.insert(step);
                }
                Some(Undo::Passed(step)) => {
                    self.passed -= 1;
                    self.early ^= mark(step);
                }
                None => {}
            }
        }
    }
}

//! Looks for an order of one book's operations that explains all answers, after Wing, Gong and Lowe.
//!
//! Operations are put in order as late as possible: only when one of them has to have happened by now. Then either it comes
//! next, or others that are under way come before it. Configurations that were met before are not tried again. Three things
//! keep their number small: a read that fits is put in order at once, since it changes nothing; among operations that do the
//! same, the one with the earliest deadline goes first, since the others can do all that it could and longer; and what
//! has been put in order and has passed its deadline is forgotten.
//!
//! Answers claim a place in the ledger. That is not trusted, but tried first: only orders that agree with all claims are
//! looked through, in which little but what claims no place (returns, and calls of unknown outcome) remains to be fitted in.
//! If there is none among them, claims are forgotten and every order is possible.

use std::collections::{BTreeMap, BTreeSet, HashSet};

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
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none: nothing explains this operation (by index) and all that must have happened before it.
    Stuck(usize),
    /// The budget was used up.
    Undecided,
}

/// Operations that are as good as each other share a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Like(i64),
    Alone(usize),
}

/// What to take back when a choice turns out wrong.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Admitted,
    Offered(usize),
    Applied(usize, i64),
    Read(usize),
    Passed(usize),
}

struct Choice {
    trail: usize,
    tried: usize,
    /// What to try after the first candidate, once that has failed.
    others: Option<Vec<usize>>,
}

struct Search<'a> {
    steps: &'a [Step],
    /// Whether claims must hold.
    claimed: bool,
    /// By invocation.
    arrivals: Vec<usize>,
    /// Those that have one, by deadline.
    deadlines: Vec<usize>,
    classes: Vec<Class>,
    dependents: BTreeMap<usize, Vec<usize>>,
    /// How many have arrived.
    arrived: usize,
    has_arrived: Vec<bool>,
    done: Vec<bool>,
    /// Changes that may come next, by class and deadline; where claims must hold, those without one.
    offered: BTreeMap<Class, BTreeSet<(u64, usize)>>,
    /// Those among them that claim no place and only add copies, by how many and by deadline.
    free: BTreeMap<i64, BTreeSet<(u64, usize)>>,
    /// Everything that waits and claims a place, by it; at the same place the change before what reads it.
    claims: BTreeSet<(Seq, bool, usize)>,
    /// Reads that wait for the stock to be what they say.
    reads: BTreeSet<(i64, usize)>,
    stock: i64,
    /// How many deadlines are behind.
    passed: usize,
    /// Identifies the set of those that are done and not behind.
    early: u128,
    trail: Vec<Undo>,
}

/// Looks for an order with at most `budget` attempts.
pub(super) fn linearize(start: u32, steps: &[Step], mut budget: u64) -> Verdict {
    let claimed = Search::new(start, steps, true).run(&mut budget.div_ceil(2));
    if claimed == Verdict::Linearizable {
        return claimed;
    }
    budget /= 2;
    Search::new(start, steps, false).run(&mut budget)
}

/// Takes a member out of a set, and the set with its last member.
fn take<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<(u64, usize)>>, key: &K, member: (u64, usize)) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

/// Those of a class that are due first and that may never happen.
fn ends(same: &BTreeSet<(u64, usize)>) -> impl Iterator<Item = usize> {
    let never = same.last().filter(|(deadline, _)| *deadline == NEVER);
    same.first().into_iter().chain(never).map(|(_, index)| *index)
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

impl<'a> Search<'a> {
    fn new(start: u32, steps: &'a [Step], claimed: bool) -> Self {
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
        let (has_arrived, done) = (vec![false; steps.len()], vec![false; steps.len()]);
        let (offered, free, claims, reads) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let (stock, arrived, passed, early) = (i64::from(start), 0, 0, 0);
        let trail = Vec::new();
        Self {
            steps,
            claimed,
            arrivals,
            deadlines,
            classes,
            dependents,
            arrived,
            has_arrived,
            done,
            offered,
            free,
            claims,
            reads,
            stock,
            passed,
            early,
            trail,
        }
    }

    fn run(&mut self, budget: &mut u64) -> Verdict {
        let (mut seen, mut choices) = (HashSet::new(), Vec::<Choice>::new());
        let mut furthest = 0;
        loop {
            self.advance();
            furthest = furthest.max(self.passed);
            if self.passed == self.deadlines.len() {
                return Verdict::Linearizable;
            }
            if seen.insert((self.passed, self.early, self.stock)) {
                choices.push(Choice { trail: self.trail.len(), tried: 0, others: None });
            }
            loop {
                let Some(choice) = choices.last_mut() else { return Verdict::Stuck(self.deadlines[furthest]) };
                if *budget == 0 {
                    return Verdict::Undecided;
                }
                *budget -= 1;
                self.undo(choice.trail);
                match self.candidate(choice) {
                    None => drop(choices.pop()),
                    Some(step) if self.apply(step) => break,
                    Some(_) => {}
                }
            }
        }
    }

    /// Goes on to the next deadline of something that has not happened yet.
    fn advance(&mut self) {
        while let Some(&next) = self.deadlines.get(self.passed) {
            while let Some(&arrival) = self.arrivals.get(self.arrived)
                && self.steps[arrival].invoked <= self.steps[next].deadline
            {
                self.arrived += 1;
                self.has_arrived[arrival] = true;
                self.trail.push(Undo::Admitted);
                if self.steps[arrival].after.is_none_or(|after| self.done[after]) {
                    self.offer(arrival);
                }
            }
            self.read();
            if !self.done[next] {
                return;
            }
            self.passed += 1;
            self.early ^= mark(next);
            self.trail.push(Undo::Passed(next));
        }
    }

    fn offer(&mut self, step: usize) {
        self.insert(step);
        self.trail.push(Undo::Offered(step));
    }

    fn insert(&mut self, index: usize) {
        let Step { what, deadline, claim, .. } = self.steps[index];
        if let Some(claim) = claim {
            self.claims.insert((claim, matches!(what, What::Read(_)), index));
        } else if let What::Add(delta) = what {
            self.free.entry(delta).or_default().insert((deadline, index));
        }
        if let What::Read(stock) = what {
            self.reads.insert((i64::from(stock), index));
        } else if claim.is_none() || !self.claimed {
            self.offered.entry(self.classes[index]).or_default().insert((deadline, index));
        }
    }

    fn remove(&mut self, index: usize) {
        let Step { what, deadline, claim, .. } = self.steps[index];
        if let Some(claim) = claim {
            self.claims.remove(&(claim, matches!(what, What::Read(_)), index));
        } else if let What::Add(delta) = what {
            take(&mut self.free, &delta, (deadline, index));
        }
        if let What::Read(stock) = what {
            self.reads.remove(&(i64::from(stock), index));
        } else {
            take(&mut self.offered, &self.classes[index], (deadline, index));
        }
    }

    /// Puts every read in order that fits now.
    fn read(&mut self) {
        while let Some(&(_, read)) = self.reads.range((self.stock, 0)..=(self.stock, usize::MAX)).next() {
            self.remove(read);
            self.done[read] = true;
            self.early ^= mark(read);
            self.trail.push(Undo::Read(read));
        }
    }

    /// What to try next at a choice, or `None` if all has been tried.
    fn candidate(&self, choice: &mut Choice) -> Option<usize> {
        choice.tried += 1;
        match choice.tried {
            1 => Some(self.first()),
            tried => choice.others.get_or_insert_with(|| self.others()).get(tried - 2).copied(),
        }
    }

    fn first(&self) -> usize {
        let due = self.deadlines[self.passed];
        let is_free = self.steps[due].claim.is_none() && !matches!(self.steps[due].what, What::Read(_));
        if is_free { due } else { self.goal(due) }
    }

    /// All that may come next but the first: what would make the goal or what is due possible, then one of each class.
    fn others(&self) -> Vec<usize> {
        let due = self.deadlines[self.passed];
        let goal = self.goal(due);
        let mut others = vec![goal];
        for wanted in [goal, due] {
            let missing = self.missing(wanted);
            let toward = if missing < 0 { missing..=-1 } else { 1..=missing };
            let nearest = |index: &usize| if let What::Add(delta) = self.steps[*index].what { -delta.abs() } else { 0 };
            let toward = if missing == 0 {
                Vec::new()
            } else {
                self.free.range(toward).flat_map(|(_, same)| ends(same)).collect()
            };
            others.extend(toward);
            others[1..].sort_by_key(nearest);
        }
        others.push(due);
        others.extend(self.offered.values().filter_map(|same| same.first()).map(|(_, index)| *index));
        others
    }

    /// What is tried to be put in order next: what claims the first place, unless what is due comes before it.
    fn goal(&self, due: usize) -> usize {
        let Step { claim, what, .. } = self.steps[due];
        let comes_first = |first: &&(Seq, bool, usize)| {
            claim.is_none_or(|claim| (first.0, first.1) < (claim, matches!(what, What::Read(_))))
        };
        self.claims.first().filter(comes_first).map_or(due, |(.., index)| *index)
    }

    /// How many copies are missing, or too many, for what an operation does or says.
    fn missing(&self, index: usize) -> i64 {
        match self.steps[index].what {
            What::Read(stock) => i64::from(stock) - self.stock,
            What::AddTo(delta, stock) => i64::from(stock) - delta - self.stock,
            What::Add(delta) => (-delta - self.stock).max(0),
            What::Assign(_) => 0,
        }
    }

    /// Puts a change in order, if it is possible now.
    fn apply(&mut self, step: usize) -> bool {
        let Step { after, claim, .. } = self.steps[step];
        let in_turn = !self.claimed || claim.is_none() || self.claims.first().is_some_and(|(.., first)| *first == step);
        let ready = in_turn && !self.done[step] && self.has_arrived[step] && after.is_none_or(|after| self.done[after]);
        let stock = match self.steps[step].what {
            What::Add(delta) => self.stock + delta,
            What::AddTo(delta, stock) if self.stock + delta == i64::from(stock) => i64::from(stock),
            What::Assign(stock) => i64::from(stock),
            What::AddTo(..) | What::Read(_) => return false,
        };
        if stock < 0 || !ready {
            return false;
        }
        self.remove(step);
        self.trail.push(Undo::Applied(step, self.stock));
        (self.stock, self.done[step]) = (stock, true);
        self.early ^= mark(step);
        for at in 0..self.dependents.get(&step).map_or(0, Vec::len) {
            let dependent = self.dependents[&step][at];
            if self.has_arrived[dependent] {
                self.offer(dependent);
            }
        }
        self.read();
        true
    }

    fn undo(&mut self, to: usize) {
        while self.trail.len() > to {
            match self.trail.pop() {
                Some(Undo::Admitted) => {
                    self.arrived -= 1;
                    self.has_arrived[self.arrivals[self.arrived]] = false;
                }
                Some(Undo::Offered(step)) => self.remove(step),
                Some(Undo::Applied(step, stock)) => {
                    (self.stock, self.done[step]) = (stock, false);
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

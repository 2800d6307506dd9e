//! Looks for an order of one book's operations that explains all answers, after Wing, Gong and Lowe.
//!
//! Operations are put in order as late as possible: only when one of them has to have happened by now. Then either it comes
//! next, or others that are under way come before it. Configurations that were met before are not tried again. Three things
//! keep their number small: a read that fits is put in order at once, since it changes nothing; among operations that do the
//! same, the one with the earliest deadline goes first, since the others can do all that it could and longer; and what
//! has been put in order and has passed its deadline is forgotten.
//!
//! Answers claim a place in the ledger. That is not trusted, but tried first: only orders that agree with all claims are
//! looked through, in which little but what claims no place (returns, and calls of unknown outcome) remains to be fitted
//! in where there is room. If there is none among them, claims are forgotten and every order is possible.

use std::collections::HashSet;

use super::{
    places::Places,
    state::{ByDeadline, NEVER, State, Step, What},
};

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

/// Looks for an order with at most `budget` attempts.
pub(super) fn linearize(start: u32, steps: &[Step], places: &Places, budget: u64) -> Verdict {
    match run(State::new(start, steps, Some(places)), budget.div_ceil(2)) {
        Verdict::Linearizable => Verdict::Linearizable,
        // That claims contradict each other proves nothing.
        Verdict::Stuck(_) | Verdict::Undecided => run(State::new(start, steps, None), budget / 2),
    }
}

/// A place to come back to.
struct Choice {
    moves: usize,
    tried: usize,
    /// What to try after the first candidate, once that has failed.
    others: Option<Vec<usize>>,
}

fn run(mut state: State<'_>, mut budget: u64) -> Verdict {
    let (mut seen, mut choices, mut furthest) = (HashSet::new(), Vec::<Choice>::new(), 0);
    loop {
        state.advance();
        furthest = furthest.max(state.passed);
        if state.due().is_none() {
            return Verdict::Linearizable;
        }
        if seen.insert(state.configuration()) {
            choices.push(Choice { moves: state.moves(), tried: 0, others: None });
        }
        loop {
            let Some(choice) = choices.last_mut() else { return Verdict::Stuck(state.deadlines[furthest]) };
            if budget == 0 {
                return Verdict::Undecided;
            }
            budget -= 1;
            state.undo(choice.moves);
            match candidate(&state, choice) {
                None => drop(choices.pop()),
                Some(step) if state.apply(step) => break,
                Some(_) => {}
            }
        }
    }
}

/// What to try next at a choice, or `None` if all has been tried.
fn candidate(state: &State<'_>, choice: &mut Choice) -> Option<usize> {
    let due = state.due()?;
    choice.tried += 1;
    match choice.tried {
        1 => Some(first(state, due)),
        tried => choice.others.get_or_insert_with(|| others(state, due)).get(tried - 2).copied(),
    }
}

fn first(state: &State<'_>, due: usize) -> usize {
    let is_free = state.steps[due].claim.is_none() && !state.steps[due].is_read();
    if is_free && state.has_room() { due } else { goal(state, due) }
}

/// What is tried to be put in order next: what claims the first place, unless what is due comes before it.
fn goal(state: &State<'_>, due: usize) -> usize {
    let (claim, is_read) = (state.steps[due].claim, state.steps[due].is_read());
    let first = state.claims.first().filter(|first| claim.is_none_or(|claim| (first.0, first.1) < (claim, is_read)));
    first.map_or(due, |(.., index)| *index)
}

/// All that may come next but the first: what would make the goal or another answer true, what may help in that, what is
/// due, then one of each class.
fn others(state: &State<'_>, due: usize) -> Vec<usize> {
    let goal = goal(state, due);
    let mut others = vec![goal];
    if state.has_room() {
        let missing = missing(state, goal);
        let mut waiting: Vec<i64> = state.reads.iter().map(|(stock, _)| stock - state.stock).collect();
        waiting.dedup();
        let fitting = [missing].into_iter().chain(waiting);
        others.extend(fitting.filter_map(|missing| state.free.get(&missing)).flat_map(ends));
        let mut free: Vec<(i64, &ByDeadline)> = state.free.iter().map(|(by, same)| (*by, same)).collect();
        free.sort_by_key(|(by, _)| (missing - by).abs());
        others.extend(free.into_iter().flat_map(|(_, same)| ends(same)));
    }
    others.push(due);
    others.extend(state.offered.values().filter_map(|same| same.first()).map(|(_, index)| *index));
    others
}

/// Those of a class that are due first and that may never happen.
fn ends(same: &ByDeadline) -> impl Iterator<Item = usize> {
    let never = same.last().filter(|(deadline, _)| *deadline == NEVER);
    same.first().into_iter().chain(never).map(|(_, index)| *index)
}

/// How many copies are missing, or too many, for what an operation does or says.
fn missing(state: &State<'_>, index: usize) -> i64 {
    match state.steps[index].what {
        What::Read(stock) => i64::from(stock) - state.stock,
        What::AddTo(delta, stock) => i64::from(stock) - delta - state.stock,
        What::Add(delta) => (-delta - state.stock).max(0),
        What::Assign(_) => 0,
    }
}

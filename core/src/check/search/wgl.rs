//! Looks for an order of one book's steps that explains all answers, after Wing and Gong (1993) and Lowe (*Testing for
//! linearizability*, 2017).
//!
//! Steps are put in order as late as possible: only when the deadline of one of them is due. Then either this step
//! comes next, or others whose calls are under way come before it. A configuration that was met before is not tried
//! again. Three things keep the number of configurations small:
//!
//! - a read that is true now is put in order at once, as it changes nothing;
//! - of steps that do the same, the one with the earliest deadline goes first, as the others can do the same, and
//!   longer;
//! - a step that is in order and whose deadline is over is forgotten.
//!
//! Answers name ledger entries. The search does not trust them, but tries them first: it looks only through orders that
//! agree with all of them. Then little is left to decide but where the steps without an entry fit in (returns, and
//! calls of unknown outcome). If no such order exists, it forgets the entries, and every order is possible.

use std::collections::HashSet;

use super::{
    claims::ClaimedEntries,
    state::{Action, ByDeadline, NEVER, State, Step},
};

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none: no order explains this step (by index) and all that must have happened before it.
    Stuck(usize),
    /// The budget is used up.
    Undecided,
}

/// Looks for an order with at most `budget` attempts.
pub(super) fn linearize(stock: u32, steps: &[Step], claimed: &ClaimedEntries, budget: u64) -> Verdict {
    match run(State::new(stock, steps, Some(claimed)), budget.div_ceil(2)) {
        Verdict::Linearizable => Verdict::Linearizable,
        // If the claims contradict each other, that proves nothing.
        Verdict::Stuck(_) | Verdict::Undecided => run(State::new(stock, steps, None), budget / 2),
    }
}

/// A configuration to come back to.
struct Choice {
    moves: usize,
    /// How many steps were tried from here.
    tried: usize,
    /// What to try after the first step, once that has failed.
    others: Option<Vec<usize>>,
}

/// A search in depth: follows one choice after the other, and goes back to the last choice with something left to try.
fn run(mut state: State<'_>, mut budget: u64) -> Verdict {
    let (mut seen, mut choices, mut furthest) = (HashSet::new(), Vec::<Choice>::new(), 0);
    loop {
        state.advance();
        furthest = furthest.max(state.passed);
        if state.due().is_none() {
            return Verdict::Linearizable;
        }
        if seen.insert(state.fingerprint()) {
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

/// The step to try next at a choice, or `None` if all were tried.
fn candidate(state: &State<'_>, choice: &mut Choice) -> Option<usize> {
    let due = state.due()?;
    choice.tried += 1;
    match choice.tried {
        1 => Some(first(state, due)),
        tried => choice.others.get_or_insert_with(|| others(state, due)).get(tried - 2).copied(),
    }
}

/// The step to try first.
fn first(state: &State<'_>, due: usize) -> usize {
    let is_free = state.steps[due].claim.is_none() && !state.steps[due].is_read();
    if is_free && state.has_free_entry() { due } else { goal(state, due) }
}

/// The step that the search works towards: the one that claims the first entry, unless the due step comes before it.
fn goal(state: &State<'_>, due: usize) -> usize {
    let (claim, is_read) = (state.steps[due].claim, state.steps[due].is_read());
    let first = state.claims.first().filter(|first| claim.is_none_or(|claim| (first.0, first.1) < (claim, is_read)));
    first.map_or(due, |(.., index)| *index)
}

/// All steps that may come next: first those that make the goal or another answer true, then those that may help in
/// that, the due step, and one of each class.
fn others(state: &State<'_>, due: usize) -> Vec<usize> {
    let goal = goal(state, due);
    let mut others = vec![goal];
    if state.has_free_entry() {
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

/// The steps of a class that are due first and last; the last only if it may never happen.
fn ends(same: &ByDeadline) -> impl Iterator<Item = usize> {
    let never = same.last().filter(|(deadline, _)| *deadline == NEVER);
    same.first().into_iter().chain(never).map(|(_, index)| *index)
}

/// How many copies are missing for what a step does or shows; negative if there are too many.
fn missing(state: &State<'_>, index: usize) -> i64 {
    match state.steps[index].action {
        Action::Read(stock) => i64::from(stock) - state.stock,
        Action::AddTo(delta, stock) => i64::from(stock) - delta - state.stock,
        Action::Add(delta) => (-delta - state.stock).max(0),
        Action::Set(_) => 0,
    }
}

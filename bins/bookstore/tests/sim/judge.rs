//! The verdict on a run: the checker of `bookstore_core`, and what it cannot see.

use bookstore_core::{
    Seq,
    check::{Cached, Cancellations, Delivery, FinalState, Options, Report},
    ledger::Kind,
};
use std::{collections::BTreeMap, time::Duration};

use super::{coverage::Seen, forks, searchers, servers, world::Shared};

/// The time that the last line of a trace has.
const END: Duration = Duration::from_secs(180);

/// The checker, and what it cannot see.
pub(crate) fn judge(world: &Shared, end: FinalState) -> Report {
    let options = Options {
        // A duplicate may arrive after its answer; a client's own retries may not.
        delivery: if world.plan.rates.duplicated > 0.0 { Delivery::Duplicated } else { Delivery::Retried },
        cancellations: Cancellations::Eventually,
        cached: match world.plan.cache {
            Some(_) => Cached::Through(vec!["frontend".into()]),
            None => Cached::Never,
        },
    };
    let history = world.recorder.history();
    let report = forks::judge(world, &history, &end, &options);
    judge_intents(world, &end);
    judge_shown(world, &end);
    judge_file(world, &end);
    searchers::judge(world, &end);
    world.trace.line(END, format_args!("{history:?} {end:?}"));
    report
}

/// One intent, one order, whatever ids it was given.
fn judge_intents(world: &Shared, end: &FinalState) {
    let facts = world.facts();
    let mut sales: BTreeMap<u64, Vec<Seq>> = BTreeMap::new();
    for entry in end.entries.iter().filter(|entry| matches!(entry.kind, Kind::Sale | Kind::Hold)) {
        if let Some(intent) = entry.key.and_then(|key| facts.intents.get(&key)) {
            sales.entry(*intent).or_default().push(entry.seq);
        }
    }
    let twice: Vec<String> = sales
        .iter()
        .filter(|(_, sales)| sales.len() > 1)
        .map(|(intent, sales)| format!("purchase intent {intent} became the sales {sales:?}"))
        .collect();
    let added: BTreeMap<_, i64> =
        end.entries.iter().filter_map(|entry| Some((entry.key?, entry.changes.first()?.delta))).collect();
    let restocks: Vec<String> = facts
        .restocks
        .iter()
        .filter(|(key, delta)| added.get(key).is_some_and(|added| added != delta))
        .map(|(key, delta)| format!("restock {key} of {delta} copies added {:?}", added.get(key)))
        .collect();
    drop(facts);
    twice.into_iter().for_each(|what| world.fail("one-intent-one-order", what));
    restocks.into_iter().for_each(|what| world.fail("restock-adds", what));
}

/// What was readable once is there for good.
fn judge_shown(world: &Shared, end: &FinalState) {
    let facts = world.facts();
    // By the ledger that there was when it was shown.
    let kept = world.accident.record().destroyed.as_ref().and_then(|kept| forks::entries(kept).ok());
    let entries = kept.as_ref().unwrap_or(&end.entries);
    let changed = facts.shown.iter().find(|shown| {
        let at = usize::try_from(shown.seq.0).unwrap_or_default().checked_sub(1);
        at.and_then(|at| entries.get(at)) != Some(*shown)
    });
    let what = changed.map(|shown| format!("entry {} was shown as {shown:?}, and is not there in the end", shown.seq));
    drop(facts);
    if let Some(what) = what {
        world.fail("durable-reads", what);
    }
}

/// The file says the same as the server did.
fn judge_file(world: &Shared, end: &FinalState) {
    match servers::reopened(world) {
        Err(error) => world.fail("reopen", error.to_string()),
        Ok((head, stocks)) => {
            world.coverage.saw(Seen::ColdReopen);
            let served: Vec<_> = end.levels.iter().flatten().map(|(book, level)| (*book, level.stock)).collect();
            if head != end.entries.len() as u64 || stocks != served {
                world.fail("reopen", format!("the file ends at {head} with {stocks:?}, served was {served:?}"));
            }
        }
    }
}

//! The deterministic simulation: a frontend, two order servers and a catalog with their real business, batching, HTTP
//! and SQLite code, on simulated machines, disks and networks, in one process, from one seed.
//!
//! `plan.rs` says what a seed stands for, `nemesis.rs` what goes wrong, `actors.rs` who uses the shop. Then the faults
//! end, everything must converge, and `run.rs` judges: the history checker and the audit of `bookstore_core`, and what
//! they cannot see. `coverage.rs` counts the dangerous moments that were reached, `bugs.rs` has mistakes that must be
//! caught, and `driver.rs` says how to run more seeds, or one again.

mod accident;
mod actors;
mod bugs;
mod caller;
mod copies;
mod coverage;
mod crashes;
mod disk;
mod disk_faults;
mod driver;
mod editors;
mod forks;
mod holders;
mod hosts;
mod index;
mod judge;
mod logs;
mod nemesis;
mod net;
mod operator;
mod plan;
mod run;
mod searchers;
mod servers;
mod services;
mod store;
mod trace;
mod wal;
mod world;

use bugs::Bug;
use coverage::Coverage;
use driver::{SeedResult, number, regressions, run_all, run_in_child, turn};
use std::{sync::Mutex, thread, time::Instant};

/// Every promise holds in every seed, and the seeds together reach every dangerous moment.
#[test]
fn seeds() {
    if let Some(seed) = number("BOOKSTORE_SIM_SEED") {
        return driver::run_alone(seed);
    }
    let _turn = turn();
    let (first, count) =
        (number("BOOKSTORE_SIM_FIRST_SEED").unwrap_or(1), number("BOOKSTORE_SIM_SEEDS").unwrap_or(100));
    let seeds: Vec<u64> = regressions().into_iter().chain(first..first + count).collect();
    let started = Instant::now();
    let results = run_all(&seeds);
    let seconds = started.elapsed().as_secs_f64();
    let calls: u64 = results.iter().map(|result| result.calls).sum();
    let coverage = Coverage::default();
    results.iter().for_each(|result| coverage.merge(&result.coverage));
    let (table, short) = coverage.table(results.len() as u64);
    println!("{table}{} seeds, {calls} calls checked, {seconds:.1} s", results.len());
    let failed: Vec<u64> =
        results.iter().filter(|result| !result.failures.is_empty()).map(|result| result.seed).collect();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    assert_eq!(results.len(), seeds.len(), "some seeds were not run");
    assert!(short.is_empty(), "the run proves nothing, since it did not reach: {short:#?}");
}

/// The same seed gives the same events and answers: in another process, after other seeds.
#[test]
fn same_seed_same_trace() {
    if number("BOOKSTORE_SIM_SEED").is_some() {
        return;
    }
    let _turn = turn();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let forwards = scope.spawn(|| run_in_child(&[11, 12, 13, 14, 15, 16, 17, 18], None, None));
        again = run_in_child(&[18, 17, 16, 15, 14, 13, 12, 11], None, None);
        first = forwards.join().expect("it does not panic");
    });
    again.reverse();
    let hashes =
        |results: &[SeedResult]| results.iter().map(|result| (result.seed, result.hash.clone())).collect::<Vec<_>>();
    assert_eq!(hashes(&first), hashes(&again));
    let mut different: Vec<String> = first.into_iter().map(|result| result.hash).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 8, "different seeds are different runs");
}

/// Each of the mistakes that others have made is caught, soon, and the same seeds pass without it.
#[test]
fn planted_bugs_are_caught() {
    if number("BOOKSTORE_SIM_SEED").is_some() {
        return;
    }
    let _turn = turn();
    let bugs = Mutex::new(Bug::ALL.into_iter());
    let missed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..driver::cores() {
            scope.spawn(|| {
                loop {
                    let Some(bug) = bugs.lock().expect("no code panics while it is locked").next() else { return };
                    if let Err(why) = hunt(bug) {
                        missed.lock().expect("no code panics while it is locked").push(why);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("no code panics while it is locked");
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Looks for a bug, seed by seed, a few in one process.
fn hunt(bug: Bug) -> Result<(), String> {
    let first = bug.first_seed();
    let seeds: Vec<u64> = (first..first + bug.seeds_max()).collect();
    for some in seeds.chunks(5) {
        let results = run_in_child(some, Some(bug), bug.accident());
        let is_found = |(rule, _): &(String, String)| bug.rule().is_none_or(|wanted| wanted == rule);
        let Some(caught) = results.iter().find(|result| result.failures.iter().any(is_found)) else { continue };
        let mut rules: Vec<&str> = caught.failures.iter().map(|(rule, _)| rule.as_str()).collect();
        rules.sort_unstable();
        rules.dedup();
        println!("{bug:?}: caught by seed {} of at most {}, by {}", caught.seed, bug.seeds_max(), rules.join(", "));
        let clean = run_in_child(&[caught.seed], None, bug.accident());
        let passes = clean.iter().all(|result| result.failures.is_empty());
        return if passes { Ok(()) } else { Err(format!("seed {} fails without {bug:?} too", caught.seed)) };
    }
    Err(format!("{bug:?} was not caught by {} seeds from {first} on", bug.seeds_max()))
}

/// Not a test: what the others run in processes of their own.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    driver::child();
}

//! The shop from outside: real processes on machines of their own (network namespaces), real HTTP, and faults of servers and
//! network while buyers buy. In the end the checker decides whether the promises held.
//!
//! `BOOKSTORE_BLACKBOX_SECONDS` says how long (default: 40), `BOOKSTORE_BLACKBOX_SEED` which faults: the seed of a run
//! is printed. The same seed draws the same faults; which calls they hit depends on the machine.
//!
//! A run in which too little went wrong, as on a busy machine, proves nothing: it is repeated, twice as long. Only a broken
//! promise fails; runs that prove nothing fail with `BOOKSTORE_TEST_ALL=1` and say so otherwise.
#![cfg(unix)]

mod bugs;
mod buyers;
mod disk;
mod faults;
mod hosts;
mod injector;
mod promotion;
mod proxy;
mod servers;
mod shop;
mod verdict;

use bookstore::core::check::Report;
use bugs::Bug;
use buyers::{Market, on};
use faults::{Deck, Kind, Tallies};
use hosts::{Host, Network};
use shop::Shop;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::{runtime::Runtime, time::Instant};

/// Both tests need the machine for themselves.
static MACHINE: Mutex<()> = Mutex::new(());

fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number, not {value:?}")))
}

fn seed() -> u64 {
    number("BOOKSTORE_BLACKBOX_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000))
}

/// One run.
struct Plan {
    seconds: u64,
    seed: u64,
    bug: Option<Bug>,
}

/// What one run showed.
struct Outcome {
    kinds: Vec<Kind>,
    tallies: Tallies,
    report: Report,
}

/// How long starting, stopping and checking may take beside a run.
const EXTRA: Duration = Duration::from_secs(600);

fn run(plan: &Plan) -> Outcome {
    let network = Network::new();
    let runtime = Runtime::new().expect("threads can be started");
    let all = async {
        let shop = Shop::open(&network, plan.seconds).await;
        let ran = tokio::time::timeout(Duration::from_secs(plan.seconds) + EXTRA, trade(&shop, plan)).await;
        match ran {
            Ok(outcome) => outcome,
            Err(_) => panic!("the run did not come to its end; the servers said last:\n{}", shop.said().await),
        }
    };
    runtime.block_on(all)
}

async fn trade(shop: &Shop<'_>, plan: &Plan) -> Outcome {
    let client = shop.network.tasks(Host::Client);
    let calls_max = 100_000 + 1000 * usize::try_from(plan.seconds).expect("a run of some hours");
    let (urls, bug, seed) = (shop.frontends.clone(), plan.bug, plan.seed);
    let market = on(client, async move { Market::new(&urls, bug, seed, calls_max) }).await;
    let staff = Arc::clone(&market);
    on(client, async move { staff.add_books(40).await }).await;

    let (until, enough) = (Instant::now() + Duration::from_secs(plan.seconds), Arc::new(AtomicBool::new(false)));
    let processes: Vec<Kind> =
        Kind::PROCESS.into_iter().filter(|kind| *kind != Kind::FullDisk || shop.disk.can_be_filled()).collect();
    let links = if shop.network.has_filters() { &Kind::NETWORK[..] } else { &Kind::NETWORK[..3] };
    let decks = [Deck::new(processes.clone(), seed), Deck::new(links.to_vec(), !seed)];
    let [servers, between] = decks;
    let (mut tallies, network, ()) = tokio::join!(
        injector::inject(shop, servers, until, &enough),
        injector::inject(shop, between, until, &enough),
        on(client, Arc::clone(&market).trade(until, Arc::clone(&enough))),
    );
    tallies.merge(network);
    shop.ready().await;
    shop.close().await;
    let report = verdict::judge(shop, &market.recorder.history()).await;
    println!("{} sales, {} buyers turned away", verdict::sales(&shop.ledger()), market.turned_away());
    Outcome { kinds: [processes, links.to_vec()].concat(), tallies, report }
}

/// How often a run is repeated that proved nothing, each time twice as long.
const RUNS_MAX: u32 = 3;

/// What remains if every run proved nothing.
fn proved_nothing(missing: &[String]) {
    println!(
        "NOTHING WAS PROVED: in {RUNS_MAX} runs, each twice as long as the one before, too little went wrong: {missing:#?}"
    );
    assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "too little went wrong to prove anything: {missing:#?}");
}

#[test]
fn every_promise_holds_while_everything_fails() {
    let _alone = machine();
    let (seconds, seed) = (number("BOOKSTORE_BLACKBOX_SECONDS").unwrap_or(40), seed());
    let mut missing = Vec::new();
    for nth in 0..RUNS_MAX {
        let plan = Plan { seconds: seconds << nth, seed, bug: None };
        let again = format!("BOOKSTORE_BLACKBOX_SEED={seed} BOOKSTORE_BLACKBOX_SECONDS={}", plan.seconds);
        println!("{again}");
        let outcome = run(&plan);
        verdict::print_table(&outcome);
        println!("{}", outcome.report);
        assert!(outcome.report.holds(), "{again}");
        // A longer run must show what the first one should have shown, not more.
        missing = verdict::missing(&outcome, seconds);
        if missing.is_empty() {
            return;
        }
        println!("too little went wrong to prove anything: {missing:#?}");
    }
    proved_nothing(&missing);
}

/// How long a planted bug may take to be found, at first.
const BUG_SECONDS: u64 = 5;

#[test]
fn planted_bugs_are_found() {
    let _alone = machine();
    Bug::ALL.into_iter().for_each(is_found);
}

fn is_found(bug: Bug) {
    let mut missing = Vec::new();
    for nth in 0..RUNS_MAX {
        let plan = Plan { seconds: BUG_SECONDS << nth, seed: seed().wrapping_add(nth.into()), bug: Some(bug) };
        let outcome = run(&plan);
        let Report { broken, counts, .. } = &outcome.report;
        if !broken.is_empty() {
            let (calls, unknown) = (counts.calls, counts.unknown);
            println!("{bug:?}: found in run {}, among {calls} calls ({unknown} unknown): {broken:?}", nth + 1);
            return;
        }
        missing = verdict::missing(&outcome, BUG_SECONDS);
    }
    assert!(!missing.is_empty(), "{bug:?} was not found in {RUNS_MAX} runs");
    proved_nothing(&missing);
}

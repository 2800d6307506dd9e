//! The shop from outside: real processes on machines of their own (network namespaces), real HTTP, and everything that can
//! go wrong between and with them. Buyers come all the while; in the end the checker decides whether the promises held.
//!
//! `BOOKSTORE_BLACKBOX_SECONDS` says how long (40 unless said), `BOOKSTORE_BLACKBOX_SEED` which faults: the seed of a run
//! is printed. The same seed draws the same faults; when exactly they meet which call is up to the machine.
#![cfg(unix)]

mod bugs;
mod buyers;
mod disk;
mod faults;
mod gremlins;
mod hosts;
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

/// Both tests want the machine for themselves.
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

/// What one run is like.
struct Plan {
    seconds: u64,
    seed: u64,
    bug: Option<Bug>,
}

/// What one run came to.
struct Outcome {
    kinds: Vec<Kind>,
    tallies: Tallies,
    report: Report,
}

/// Everything else must be over by then.
const EXTRA: Duration = Duration::from_secs(150);

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
    let shelving = Arc::clone(&market);
    on(client, async move { shelving.shelve().await }).await;

    let (until, enough) = (Instant::now() + Duration::from_secs(plan.seconds), Arc::new(AtomicBool::new(false)));
    let processes: Vec<Kind> =
        Kind::PROCESS.into_iter().filter(|kind| *kind != Kind::FullDisk || shop.disk.can_be_filled()).collect();
    let links = if shop.network.has_filters() { &Kind::NETWORK[..] } else { &Kind::NETWORK[..3] };
    let decks = [Deck::new(processes.clone(), seed), Deck::new(links.to_vec(), !seed)];
    let [servers, between] = decks;
    let (mut tallies, network, ()) = tokio::join!(
        gremlins::rage(shop, servers, until, &enough),
        gremlins::rage(shop, between, until, &enough),
        on(client, Arc::clone(&market).trade(until, Arc::clone(&enough))),
    );
    tallies.merge(network);
    shop.ready().await;
    shop.close().await;
    let report = verdict::judge(shop, &market.recorder.history()).await;
    println!("{} sales, {} buyers turned away", verdict::sales(&shop.ledger()), market.turned_away());
    Outcome { kinds: [processes, links.to_vec()].concat(), tallies, report }
}

#[test]
fn every_promise_holds_while_everything_fails() {
    let _alone = machine();
    let plan = Plan { seconds: number("BOOKSTORE_BLACKBOX_SECONDS").unwrap_or(40), seed: seed(), bug: None };
    let again = format!("BOOKSTORE_BLACKBOX_SEED={} BOOKSTORE_BLACKBOX_SECONDS={}", plan.seed, plan.seconds);
    println!("{again}");
    let Outcome { kinds, tallies, report } = run(&plan);
    verdict::print_table(&kinds, &tallies);
    println!("{report}");
    assert!(report.holds(), "{again}");
    let missing = verdict::missing(&kinds, &tallies, &report, plan.seconds);
    assert!(missing.is_empty(), "too little went wrong to prove anything ({again}): {missing:#?}");
}

/// So many runs may pass before a bug is found.
const RUNS_MAX: u64 = 3;

#[test]
fn planted_bugs_are_found() {
    let _alone = machine();
    for bug in Bug::ALL {
        let caught = (1..=RUNS_MAX).find_map(|nth| {
            let outcome = run(&Plan { seconds: 5, seed: seed().wrapping_add(nth), bug: Some(bug) });
            let Report { broken, counts, .. } = outcome.report;
            (!broken.is_empty()).then_some((nth, broken, counts))
        });
        let (nth, broken, counts) = caught.unwrap_or_else(|| panic!("{bug:?} was not found in {RUNS_MAX} runs"));
        println!("{bug:?}: found in run {nth}, among {} calls ({} unknown): {broken:?}", counts.calls, counts.unknown);
    }
}

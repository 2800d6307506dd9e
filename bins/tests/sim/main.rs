//! The deterministic simulation: a frontend, two order servers and a catalog with their real business, batching, HTTP
//! and SQLite code on a simulated network, in one process, from one seed.

mod actors;
mod bugs;
mod caller;
mod copies;
mod coverage;
mod disk;
mod nemesis;
mod net;
mod plan;
mod run;
mod servers;
mod services;
mod trace;
mod wal;
mod world;

#[test]
fn smoke() {
    run::count_panics();
    let from: u64 = std::env::var("FROM").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let print = std::env::var("PRINT").is_ok();
    let mut outcomes = Vec::new();
    for seed in from..from + n {
        let started = std::time::Instant::now();
        let outcome = run::run(seed, None, print);
        println!("seed {seed}: {:?} {:x} calls {} failures {:#?}", started.elapsed(), outcome.hash, outcome.calls, outcome.failures.iter().map(|(r, w)| format!("{r}: {}", &w[..w.len().min(300)])).collect::<Vec<_>>());
        outcomes.push(outcome);
    }
    println!("{}", run::merged(&outcomes).table(n).0);
}

//! Purchases a second, when all buy at once: how many buyers, which books, in memory or durable in SQLite, called directly,
//! over HTTP, or through three servers; beside them the raw ceiling and two other designs.
//!
//! The servers run in this process, on loopback. `figures` measures real processes.

use bookstore_benches::{
    atomic::Atomic,
    catalogue::{PLENTY, plain},
    ceiling::{self, Ceiling},
    deployed::{Deployed, Shape},
    last_copy::{self, Holder, Real},
    load_generator::{LoadGenerator, Workload},
    race::{self, BookChoice, Ids, Seller, Until},
    shop::{Shop, Store},
    textbook::Textbook,
};
use bookstore_core::{Clock as _, ManualClock, SystemClock};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Runtime;

// As the executable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks, or connections, that buy at the same time.
const BUYERS: [u64; 5] = [1, 16, 256, 1024, 4096];
const BOOKS: u64 = race::ZIPF_BOOKS;
const SHAPES: [BookChoice; 3] = [BookChoice::Hot, BookChoice::Zipf, BookChoice::Uniform(BOOKS)];
/// The fewest purchases of an iteration, in which every buyer buys once.
const PURCHASES_MIN: u64 = 64;

/// How many buyers there are. An unoptimised build, which only shows that every case runs, cannot serve thousands at once in time.
fn buyers() -> impl Iterator<Item = u64> {
    BUYERS.into_iter().filter(|buyers| *buyers <= 256 || !cfg!(debug_assertions))
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn races(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("purchase_race");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(700));
    for sqlite in [false, true] {
        in_process(&mut group, &runtime, sqlite);
        over_http(&mut group, &runtime, sqlite, Shape::OneServer);
        over_http(&mut group, &runtime, sqlite, Shape::ThreeServers);
    }
    others(&mut group, &runtime);
    last_copy(&mut group, &runtime);
    group.finish();
    runtime.block_on(oversells());
}

fn name(sqlite: bool) -> &'static str {
    if sqlite { "sqlite" } else { "memory" }
}

fn per_iteration(buyers: u64) -> u64 {
    buyers.max(PURCHASES_MIN)
}

fn race<S: Seller>(
    group: &mut Group<'_>,
    runtime: &Runtime,
    name: &str,
    seller: &Arc<S>,
    choice: BookChoice,
    buyers: u64,
) {
    group.throughput(Throughput::Elements(per_iteration(buyers)));
    group.bench_function(BenchmarkId::new(format!("{name}/{choice}"), buyers), |bencher| {
        bencher.iter_custom(|rounds| {
            let until = Until::Purchases(rounds * per_iteration(buyers));
            runtime.block_on(race::run(seller, choice, Ids::V7, buyers, until)).elapsed
        });
    });
}

fn in_process(group: &mut Group<'_>, runtime: &Runtime, sqlite: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = if sqlite { Store::Sqlite(folder.path().join("shop.db")) } else { Store::Memory };
    let shop = runtime.block_on(async {
        let shop = Shop::open(&store);
        shop.add_books((1..=BOOKS).map(|n| plain(n, PLENTY))).await;
        shop
    });
    for choice in SHAPES {
        for buyers in buyers() {
            race(group, runtime, &format!("{}/in-process", name(sqlite)), &shop.orders, choice, buyers);
        }
    }
    runtime.block_on(shop.close());
}

fn over_http(group: &mut Group<'_>, runtime: &Runtime, sqlite: bool, shape: Shape) {
    let folder = tempfile::tempdir().expect("a folder");
    let books = (1..=BOOKS).map(|n| plain(n, PLENTY)).collect();
    let deployed = runtime.block_on(Deployed::start(shape, sqlite.then(|| folder.path()), books));
    let shape = if shape == Shape::OneServer { "http" } else { "three-servers" };
    for choice in SHAPES {
        for buyers in buyers() {
            let connections = usize::try_from(buyers).expect("small");
            let connected = LoadGenerator::connect(deployed.address, connections, 2, Workload::Purchase(choice));
            let mut generator = match connected {
                Ok(generator) => generator,
                Err(error) => {
                    println!(
                        "skipped {buyers} buyers over HTTP: {error} (both ends of every connection are here; see ulimit -n)"
                    );
                    continue;
                }
            };
            group.throughput(Throughput::Elements(per_iteration(buyers)));
            let id = BenchmarkId::new(format!("{}/{shape}/{choice}", name(sqlite)), buyers);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|rounds| {
                    let tally = generator.run_requests(rounds * per_iteration(buyers));
                    Duration::from_secs_f64(tally.all_served().expect("every purchase is served").seconds)
                });
            });
        }
    }
}

/// The raw ceiling, the safe design without batches, and the textbook design.
fn others(group: &mut Group<'_>, runtime: &Runtime) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for choice in SHAPES {
        let mut ceiling = Ceiling::open(&path(&format!("ceiling-{choice}.db")));
        group.throughput(Throughput::Elements(ceiling::BATCH as u64));
        group.bench_function(BenchmarkId::new("ceiling", choice), |bencher| {
            bencher.iter_custom(|rounds| {
                let batches = usize::try_from(rounds).expect("few");
                ceiling.write(&ceiling::rows(batches * ceiling::BATCH, choice))
            });
        });
    }
    let atomic = Arc::new(Atomic::open(&path("atomic.db"), BOOKS, PLENTY));
    let textbook = Arc::new(Textbook::open(&path("textbook.db"), BOOKS, PLENTY));
    for choice in [BookChoice::Hot, BookChoice::Uniform(BOOKS)] {
        for buyers in [1, 16, 256] {
            race(group, runtime, "one-transaction-each", &atomic, choice, buyers);
            race(group, runtime, "textbook", &textbook, choice, buyers);
        }
    }
}

/// Hold, confirm, cancel and lapse, all racing for one copy.
fn last_copy(group: &mut Group<'_>, runtime: &Runtime) {
    let folder = tempfile::tempdir().expect("a folder");
    for (sqlite, store) in [(false, Store::Memory), (true, Store::Sqlite(folder.path().join("shop.db")))] {
        let clock = Arc::new(ManualClock::default());
        let shop = runtime.block_on(async {
            let shop = Shop::open_with(&store, clock.clone());
            shop.add_books(std::iter::once(plain(1, 1))).await;
            shop
        });
        let real = Arc::new(Real::new(Arc::clone(&shop.orders), clock));
        let outcome = race_for_it(group, runtime, name(sqlite), &real);
        assert_eq!(outcome.oversold, 0, "the last copy was sold twice");
        drop(real);
        runtime.block_on(shop.close());
    }
    let textbook = Arc::new(Textbook::open(&folder.path().join("textbook.db"), 1, 1));
    let outcome = race_for_it(group, runtime, "textbook", &textbook);
    println!("textbook: {} holds of one copy, {} while another had it", outcome.held, outcome.oversold);
}

/// Runs the race, and adds up what came of it.
fn race_for_it(group: &mut Group<'_>, runtime: &Runtime, name: &str, shop: &Arc<impl Holder>) -> last_copy::Outcome {
    const TRIES: u64 = 4;
    let mut all = last_copy::Outcome::default();
    for buyers in [4, 64] {
        group.throughput(Throughput::Elements(buyers * TRIES));
        group.bench_function(BenchmarkId::new(format!("last-copy/{name}"), buyers), |bencher| {
            bencher.iter_custom(|rounds| {
                let raced =
                    runtime.block_on(last_copy::race(shop, buyers, TRIES * rounds, || SystemClock.new_order_id()));
                (all.held, all.oversold) = (all.held + raced.held, all.oversold + raced.oversold);
                raced.elapsed
            });
        });
    }
    all
}

/// 100 copies, 300 purchases at once: what each design sells.
async fn oversells() {
    const COPIES: u32 = 100;
    let folder = tempfile::tempdir().expect("a folder");
    let textbook = Arc::new(Textbook::open(&folder.path().join("textbook.db"), 1, COPIES));
    race::run(&textbook, BookChoice::Hot, Ids::V7, 256, Until::Purchases(300)).await;
    let orders = textbook.orders().await;
    println!("textbook: {COPIES} copies, {orders} orders: {} oversold", orders.saturating_sub(u64::from(COPIES)));
    for store in [Store::Memory, Store::Sqlite(folder.path().join("shop.db"))] {
        let shop = Shop::open(&store);
        shop.add_books(std::iter::once(plain(1, COPIES))).await;
        let tally = race::run(&shop.orders, BookChoice::Hot, Ids::V7, 256, Until::Purchases(300)).await;
        assert_eq!(tally.sold, u64::from(COPIES), "a copy too many or too few was sold");
        println!("{}: {COPIES} copies, {} orders: 0 oversold", name(store != Store::Memory), tally.sold);
    }
}

criterion_group!(
    name = benches;
    config = Criterion::default().without_plots();
    targets = races
);
criterion_main!(benches);

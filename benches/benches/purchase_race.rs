//! Purchases a second, when all buy at once: one hot book or 10,000, in memory or durable in SQLite, called directly or
//! over HTTP; beside them the textbook design, whose oversells are counted.

use bookstore_benches::{
    race::{self, Seller, Wanted},
    shop::{Served, Shop, Store},
    textbook::Textbook,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// Tasks that buy at the same time.
const BUYERS: u64 = 256;
const PLENTY: u32 = 1_000_000_000;
const SHAPES: [(&str, Wanted); 2] = [("hot", Wanted::Hot), ("10000", Wanted::Uniform(10_000))];

fn race(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("purchase_race");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    for (shape, wanted) in SHAPES {
        for store in [Store::Memory, Store::Sqlite] {
            let folder = tempfile::tempdir().expect("a folder");
            let shop = runtime.block_on(Shop::open(store, folder.path(), wanted.books(), PLENTY));
            let direct: Arc<dyn Seller> = Arc::new(Arc::clone(&shop.orders));
            let mut measure = |transport: &str, seller: &Arc<dyn Seller>| {
                let id = BenchmarkId::new(format!("{}/{transport}", store.name()), shape);
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|purchases| {
                        let run = race::run(Arc::clone(seller), wanted, BUYERS, purchases);
                        runtime.block_on(run).elapsed
                    });
                });
            };
            measure("in-process", &direct);
            let served = runtime.block_on(Served::start(&shop));
            let remote: Arc<dyn Seller> = Arc::new(served.client());
            measure("http", &remote);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let textbook = Textbook::open(&folder.path().join("textbook.db"), wanted.books(), PLENTY);
        let textbook: Arc<dyn Seller> = Arc::new(textbook);
        group.bench_function(BenchmarkId::new("textbook/in-process", shape), |bencher| {
            bencher.iter_custom(|purchases| {
                let run = race::run(Arc::clone(&textbook), wanted, BUYERS, purchases);
                runtime.block_on(run).elapsed
            });
        });
    }
    group.finish();
    runtime.block_on(oversells());
}

/// 100 copies, 300 buyers at once: what each design sells.
async fn oversells() {
    const COPIES: u32 = 100;
    const PURCHASES: u64 = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let textbook = Arc::new(Textbook::open(&folder.path().join("textbook.db"), 1, COPIES));
    let theirs = race::run(Arc::clone(&textbook) as _, Wanted::Hot, BUYERS, PURCHASES).await;
    let orders = textbook.orders().await;
    println!(
        "textbook: {COPIES} copies, {} sold, {orders} orders: {} oversold",
        theirs.sold,
        orders - u64::from(COPIES)
    );
    for store in [Store::Memory, Store::Sqlite] {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = Shop::open(store, folder.path(), 1, COPIES).await;
        let ours = race::run(Arc::new(Arc::clone(&shop.orders)), Wanted::Hot, BUYERS, PURCHASES).await;
        println!("{}: {COPIES} copies, {} sold, {} told sold out: 0 oversold", store.name(), ours.sold, ours.sold_out);
        assert_eq!(ours.sold, u64::from(COPIES), "a copy too many or too few was sold");
    }
}

criterion_group!(benches, race);
criterion_main!(benches);

//! From exec to ready, with the real-sized catalogue and a million orders.

use bookstore_benches::{
    Result,
    load_generator::{LoadGenerator, Workload},
    race::{self, BookChoice, Ids, Until},
    samples::{Bound, Samples, format_count},
    server_process::Server,
    shop::{Shop, Store},
};
use std::path::Path;

use super::{
    context::Context,
    http::{CONNECTIONS, THREADS},
    report::{Section, Table},
};

const STARTS: usize = 9;
const MOST_MS: f64 = 100.0;

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("start");
    let folder = context.scratch()?;
    let store = folder.path().join("shop.db");
    context.catalogue(&store)?;
    let (books, orders) = (context.books().len() as u64, context.count(1_000_000));
    eprintln!("  storing {orders} orders");
    context.runtime.block_on(async {
        let shop = Shop::open(&Store::Sqlite(store.clone()));
        race::run(&shop.orders, BookChoice::Uniform(books), Ids::V7, 4096, Until::Purchases(orders)).await;
        shop.close().await;
    });
    let clean = starts(context, &store, Server::stop)?;
    let busy = Server::monolith(&context.bookstore, &store)?;
    LoadGenerator::connect(busy.address, CONNECTIONS, THREADS, Workload::Purchase(BookChoice::Uniform(books)))?
        .run_requests(orders / 20);
    busy.kill()?;
    let killed = starts(context, &store, Server::kill)?;
    let caption = format!(
        "From exec to a 200 from /readyz, with {} books and {} orders",
        format_count(books),
        format_count(orders)
    );
    let mut table = Table::new(caption, &["after", "median (least–most)"]);
    for (after, samples) in [("a clean stop", &clean), ("kill -9 during purchases", &killed)] {
        table.row([after.into(), format!("{samples} ms")]);
        section.target(format!("from exec to ready after {after}, ms"), Bound::AtMost(MOST_MS), samples);
    }
    section.tables.push(table);
    Ok(section)
}

fn starts(context: &Context, store: &Path, end: impl Fn(Server) -> Result<()>) -> Result<Samples> {
    let mut times = Samples::default();
    for _ in 0..STARTS {
        let server = Server::monolith(&context.bookstore, store)?;
        times.push(server.ready_after.as_secs_f64() * 1e3);
        end(server)?;
    }
    Ok(times)
}

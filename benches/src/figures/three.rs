//! Three servers, each a process, against one process on the same cores.

use bookstore_benches::{
    catalogue::{PLENTY, plain},
    crowd::{Ask, Crowd},
    race::ZIPF_BOOKS,
    shop,
};
use std::path::Path;

use super::{
    context::{Context, Outcome},
    http::{CONNECTIONS, THREADS},
    process::{Server, url},
    report::{Bound, Samples, Section, Table, shown, shown_us},
};

const REQUESTS: &str = "bookstore_http_requests_total";
/// The operator's own questions.
const OPERATIONAL: [&str; 3] = ["route=\"/metrics\"", "route=\"/readyz\"", "route=\"/livez\""];

pub(crate) fn measure(context: &Context) -> Outcome<Section> {
    let mut section = Section::new("three");
    let folder = context.scratch()?;
    let books = || (1..=ZIPF_BOOKS).map(|n| plain(n, PLENTY));
    for name in ["shop.db", "catalog.db"] {
        context.runtime.block_on(shop::prepare(&folder.path().join(name), books()));
    }
    let one = Server::monolith(context, &folder.path().join("shop.db"))?;
    let three = Three::start(context, folder.path())?;
    let head =
        ["256 buyers", "three servers/s", "one server/s", "share", "p50, three", "p99, three", "p50, one", "p99, one"];
    let mut table = Table::new("Durable purchases over HTTP, three processes against one", &head);
    for (what, ask) in [("one hot book", Ask::PurchaseHot), ("10,000 books", Ask::PurchaseUniform(ZIPF_BOOKS))] {
        eprintln!("  {what}");
        let cell = compare(context, &one, &three, &ask)?;
        let share = cell.three.per(&cell.one);
        let latencies = cell.latencies_us.iter().map(|latency| shown_us(latency.median()));
        table.row([what.into(), cell.three.shown(), cell.one.shown(), share.shown()].into_iter().chain(latencies));
        section.keep(format!("{what}: three servers/s"), &cell.three);
        section.keep(format!("{what}: one server/s"), &cell.one);
        section.target(format!("{what}: three servers, share of one"), Bound::AtLeast(0.8), &share);
    }
    section.tables.push(table);
    requests(&three, &mut section)?;
    Ok(section)
}

/// Dropped from the frontend to the catalog.
struct Three {
    frontend: Server,
    order: Server,
    catalog: Server,
}

impl Three {
    fn start(context: &Context, folder: &Path) -> Outcome<Self> {
        let (ledger, copy) = (url(&folder.join("catalog.db")), url(&folder.join("orders.db")));
        let catalog = Server::bookstore(context, &["catalog", "--store", &ledger])?;
        let order = Server::bookstore(context, &["order", "--store", &copy, "--catalog", &catalog.url()])?;
        // They share the processors, so the frontend leaves one in two to the others, as those do by themselves.
        let threads = std::thread::available_parallelism()?.get().div_ceil(2).to_string();
        let addresses = ["--catalog", &catalog.url(), "--order", &order.url()];
        let frontend = Server::bookstore(context, &[&["frontend", "--threads", &threads], &addresses[..]].concat())?;
        Ok(Self { frontend, order, catalog })
    }
}

#[derive(Default)]
struct Cell {
    three: Samples,
    one: Samples,
    /// Median and 99th percentile of the three, then of the one.
    latencies_us: [Samples; 4],
}

fn compare(context: &Context, one: &Server, three: &Three, ask: &Ask) -> Outcome<Cell> {
    let connect = |server: &Server| Crowd::connect(server.address, CONNECTIONS, THREADS, ask.clone());
    let (mut at_three, mut at_one) = (connect(&three.frontend)?, connect(one)?);
    let mut cell = Cell::default();
    for _ in 0..context.rounds() {
        for (nth, crowd, rates) in [(0, &mut at_three, &mut cell.three), (2, &mut at_one, &mut cell.one)] {
            let tally = crowd.run_for(context.time(0.1), context.time(0.4)).all_served()?;
            rates.push(tally.rate());
            cell.latencies_us[nth].push(tally.served_latency.p50_us as f64);
            cell.latencies_us[nth + 1].push(tally.served_latency.p99_us as f64);
        }
    }
    Ok(cell)
}

/// What the servers have counted since they were started.
fn requests(three: &Three, section: &mut Section) -> Outcome<()> {
    let bought = |labels: &str| labels.contains("route=\"/purchase/{id}\"") && labels.contains("status=\"201\"");
    let purchases = three.frontend.counter(REQUESTS, bought)?;
    let asked = |labels: &str| !OPERATIONAL.iter().any(|own| labels.contains(own));
    let at_catalog = three.catalog.counter(REQUESTS, asked)?;
    let at_order = three.order.counter(REQUESTS, asked)?;
    let followed = three.catalog.counter(REQUESTS, |labels| labels.contains("entries"))?;
    let (batches, commands) = three.catalog.batches()?;
    let mut table =
        Table::new("What the three servers counted over all of it", &["what", "count", "for each purchase"]);
    let mut row = |what: &str, count: f64| {
        table.row([what.to_owned(), format!("{count}"), format!("{:.4}", count / purchases)]);
    };
    row("purchases at the frontend", purchases);
    row("requests at the order server", at_order);
    row("requests at the catalog, all kinds", at_catalog);
    row("of these, the order server following the ledger", followed);
    row("flushes of the ledger", batches);
    table.row(["commands in a batch of the ledger's writer".into(), shown(commands / batches), String::new()]);
    section.tables.push(table);
    let quotient = Samples::one(at_catalog / purchases);
    section.target("requests at the catalog for each purchase", Bound::AtMost(0.05), &quotient);
    Ok(())
}

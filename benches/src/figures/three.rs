//! Three servers, each a process, against one process on the same cores.

use bookstore_benches::{
    Result,
    catalogue::{PLENTY, plain},
    load_generator::{LoadGenerator, Workload},
    race::{BookChoice, ZIPF_BOOKS},
    samples::{Bound, Samples, format_number, format_us},
    server_process::{Server, ThreeServers},
    shop,
};

use super::{
    context::Context,
    http::{CONNECTIONS, THREADS},
    report::{Section, Table},
};

const REQUESTS: &str = "bookstore_http_requests_total";
/// Routes for operators.
const OPERATIONAL: [&str; 3] = ["route=\"/metrics\"", "route=\"/readyz\"", "route=\"/livez\""];

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("three");
    let folder = context.scratch()?;
    let books = || (1..=ZIPF_BOOKS).map(|n| plain(n, PLENTY));
    for name in ["shop.db", "catalog.db"] {
        context.runtime.block_on(shop::prepare(&folder.path().join(name), books()));
    }
    let one = Server::monolith(&context.bookstore, &folder.path().join("shop.db"))?;
    let three = ThreeServers::start(&context.bookstore, folder.path())?;
    let head =
        ["256 buyers", "three servers/s", "one server/s", "share", "p50, three", "p99, three", "p50, one", "p99, one"];
    let mut table = Table::new("Durable purchases over HTTP, three processes against one", &head);
    for (what, workload) in [
        ("one hot book", Workload::Purchase(BookChoice::Hot)),
        ("10,000 books", Workload::Purchase(BookChoice::Uniform(ZIPF_BOOKS))),
    ] {
        eprintln!("  {what}");
        let cell = compare(context, &one, &three, &workload)?;
        let share = cell.three.ratio_to(&cell.one);
        let latencies = cell.latencies_us.iter().map(|latency| format_us(latency.median()));
        table.row(
            [what.into(), cell.three.to_string(), cell.one.to_string(), share.to_string()].into_iter().chain(latencies),
        );
        section.keep(format!("{what}: three servers/s"), &cell.three);
        section.keep(format!("{what}: one server/s"), &cell.one);
        section.target(format!("{what}: three servers, share of one"), Bound::AtLeast(0.75), &share);
    }
    section.tables.push(table);
    requests(&three, &mut section)?;
    Ok(section)
}

#[derive(Default)]
struct Cell {
    three: Samples,
    one: Samples,
    /// Median and 99th percentile of the three, then of the one.
    latencies_us: [Samples; 4],
}

fn compare(context: &Context, one: &Server, three: &ThreeServers, workload: &Workload) -> Result<Cell> {
    let connect = |server: &Server| LoadGenerator::connect(server.address, CONNECTIONS, THREADS, workload.clone());
    let (mut at_three, mut at_one) = (connect(&three.frontend)?, connect(one)?);
    let mut cell = Cell::default();
    for _ in 0..context.rounds() {
        for (nth, generator, rates) in [(0, &mut at_three, &mut cell.three), (2, &mut at_one, &mut cell.one)] {
            let tally = generator.run_for(context.time(0.1), context.time(0.4)).all_served()?;
            rates.push(tally.rate());
            cell.latencies_us[nth].push(tally.served_latency.p50_us as f64);
            cell.latencies_us[nth + 1].push(tally.served_latency.p99_us as f64);
        }
    }
    Ok(cell)
}

/// What the servers have counted since they were started.
fn requests(three: &ThreeServers, section: &mut Section) -> Result<()> {
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
    table.row(["commands in a batch of the ledger's writer".into(), format_number(commands / batches), String::new()]);
    section.tables.push(table);
    let ratio = Samples::one(at_catalog / purchases);
    section.target("requests at the catalog for each purchase", Bound::AtMost(0.05), &ratio);
    Ok(())
}

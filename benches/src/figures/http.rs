//! One server over HTTP, against a bare hyper server that gives the same answers and stores nothing.

use bookstore_benches::{
    Result,
    catalogue::{topic_searches, word_searches},
    load_generator::{LoadGenerator, Workload},
    race::BookChoice,
    samples::{Bound, Samples, format_count, format_number, format_us},
    server_process::Server,
};
use std::{net::SocketAddr, path::Path, process::Command, sync::Arc, time::Duration};

use super::{
    context::Context,
    recorded,
    report::{Section, Table},
};

/// Keep-alive connections.
pub(crate) const CONNECTIONS: usize = 256;
/// Threads of the load generator, for both sides.
pub(crate) const THREADS: usize = 2;
/// What a shop with the real-sized catalogue may take, in MB.
const RESIDENT_MAX_MB: f64 = 120.0;

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("http");
    let folder = context.scratch()?;
    let store = folder.path().join("shop.db");
    context.catalogue(&store)?;
    let shop = Server::monolith(&context.bookstore, &store)?;
    let answers = folder.path().join("answers.json");
    recorded::record(&shop, context.books().len() as u64, &answers)?;
    let bares = [bare(&answers, false)?, bare(&answers, true)?];
    requests(context, &mut section, &shop, &bares)?;
    let (batches, purchases) = shop.batches()?;
    eprintln!("  searches");
    section.tables.push(searches(context, shop.address)?);
    resources(context, &mut section, &shop, purchases / batches)?;
    Ok(section)
}

fn bare(answers: &Path, threads: bool) -> Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(answers).args(threads.then_some("--threads"));
    Server::start(command)
}

/// Purchases and lookups at the shop and at both bare servers.
fn requests(context: &Context, section: &mut Section, shop: &Server, bares: &[Server; 2]) -> Result<()> {
    let books = context.books().len() as u64;
    let cells = [
        ("durable purchases, one hot book", Workload::Purchase(BookChoice::Hot), 0.62),
        ("durable purchases, 10,000 books", Workload::Purchase(BookChoice::Uniform(books.min(10_000))), 0.62),
        ("GET /info/{id}, one book", Workload::Info(BookChoice::Hot), 0.85),
        ("GET /info/{id}, all books", Workload::Info(BookChoice::Uniform(books)), 0.85),
    ];
    let head = [
        "256 connections",
        "shop/s",
        "bare hyper/s",
        "share",
        "bare hyper on threads/s",
        "p50",
        "p99",
        "shop's processor time a request",
        "bare hyper's",
    ];
    let mut table = Table::new("One server over HTTP", &head);
    for (what, workload, bound) in cells {
        eprintln!("  {what}");
        let cell = compare(context, shop, bares, &workload)?;
        let share = cell.shop.ratio_to(&cell.bare);
        let [p50, p99] = [&cell.p50_us, &cell.p99_us].map(|latency| format_us(latency.median()));
        let [own, bares] = [&cell.shop_cpu_us, &cell.bare_cpu_us].map(|time| format!("{:.1} µs", time.median()));
        let rates = [&cell.shop, &cell.bare, &share, &cell.bare_on_threads].map(ToString::to_string);
        table.row([what.into()].into_iter().chain(rates).chain([p50, p99, own, bares]));
        section.keep(format!("{what}: shop/s"), &cell.shop);
        section.keep(format!("{what}: bare hyper/s"), &cell.bare);
        section.keep(format!("{what}: bare hyper on threads/s"), &cell.bare_on_threads);
        section.target(format!("{what}: share of bare hyper"), Bound::AtLeast(bound), &share);
    }
    section.tables.push(table);
    Ok(())
}

/// One kind of request over all rounds.
#[derive(Default)]
struct Cell {
    shop: Samples,
    bare: Samples,
    bare_on_threads: Samples,
    p50_us: Samples,
    p99_us: Samples,
    shop_cpu_us: Samples,
    bare_cpu_us: Samples,
}

fn compare(context: &Context, shop: &Server, [bare, on_threads]: &[Server; 2], workload: &Workload) -> Result<Cell> {
    let connect = |server: &Server| LoadGenerator::connect(server.address, CONNECTIONS, THREADS, workload.clone());
    let (mut at_bare, mut at_shop, mut at_threads) = (connect(bare)?, connect(shop)?, connect(on_threads)?);
    let mut cell = Cell::default();
    let run = |generator: &mut LoadGenerator, server: &Server| -> Result<_> {
        // Warmed up apart, so that processor time and requests are of the same stretch.
        generator.run_for(context.time(0.1), context.time(0.05)).all_served()?;
        let before = server.processor_seconds()?;
        let tally = generator.run_for(Duration::ZERO, context.time(0.4)).all_served()?;
        let used = server.processor_seconds()? - before;
        Ok((tally, used * 1e6 / tally.served as f64))
    };
    // A shop that has just started reads each text from its file once.
    run(&mut at_shop, shop)?;
    for _ in 0..context.rounds() {
        let (tally, cpu_us) = run(&mut at_bare, bare)?;
        cell.bare.push(tally.rate());
        cell.bare_cpu_us.push(cpu_us);
        let (tally, cpu_us) = run(&mut at_shop, shop)?;
        cell.shop.push(tally.rate());
        cell.shop_cpu_us.push(cpu_us);
        cell.p50_us.push(tally.served_latency.p50_us as f64);
        cell.p99_us.push(tally.served_latency.p99_us as f64);
        cell.bare_on_threads.push(run(&mut at_threads, on_threads)?.0.rate());
    }
    Ok(cell)
}

fn searches(context: &Context, shop: SocketAddr) -> Result<Table> {
    let books = context.books();
    let kinds = [
        ("one topic's first page", topic_searches(books)),
        ("two words in title, author or subjects", word_searches(books, 1_000)),
    ];
    let caption = format!("Searches in {} books", format_count(books.len() as u64));
    let mut table = Table::new(caption, &["search", "connections", "answers/s", "p50", "p99"]);
    for (what, paths) in kinds {
        let workload = Workload::Paths(Arc::new(paths));
        for connections in [1, 16] {
            let mut generator = LoadGenerator::connect(shop, connections, THREADS, workload.clone())?;
            let tally = generator.run_for(context.time(0.3), context.time(2.0)).all_served()?;
            let [p50, p99] = [tally.served_latency.p50_us, tally.served_latency.p99_us].map(|us| format_us(us as f64));
            table.row([what.into(), connections.to_string(), format_number(tally.rate()), p50, p99]);
        }
    }
    Ok(table)
}

fn resources(context: &Context, section: &mut Section, shop: &Server, per_batch: f64) -> Result<()> {
    let books = format_count(context.books().len() as u64);
    let (resident, most) = shop.resident_mb()?;
    let mut table = Table::new("The server's process after all that", &["what", "value"]);
    table.row(["books".into(), books.clone()]);
    table.row(["purchases per batch, that is, per flush".into(), format_number(per_batch)]);
    table.row(["resident memory, now and at most".into(), format!("{resident:.0} MB, {most:.0} MB")]);
    section.tables.push(table);
    let what = format!("resident memory at most, with {books} books under this load, MB");
    section.target(what, Bound::AtMost(RESIDENT_MAX_MB), &Samples::one(most));
    Ok(())
}

//! One server over HTTP, against a bare hyper server that answers the same bytes and stores nothing.

use bookstore_benches::{
    catalogue::{topic_searches, word_searches},
    crowd::{Ask, Crowd},
    race::fresh_id,
};
use std::{fs, net::SocketAddr, path::Path, process::Command, sync::Arc};

use super::{
    bare::Answers,
    context::{Context, Outcome},
    process::{Server, raw},
    report::{Bound, Samples, Section, Table, grouped, shown, shown_us},
};

/// Keep-alive connections.
pub(crate) const CONNECTIONS: usize = 256;
/// Threads of the load generator, for both sides.
pub(crate) const THREADS: usize = 2;
/// What a shop with the real-sized catalogue may take, in MB.
const RESIDENT_MAX_MB: f64 = 120.0;

pub(crate) fn measure(context: &Context) -> Outcome<Section> {
    let mut section = Section::new("http");
    let folder = context.scratch()?;
    let store = folder.path().join("shop.db");
    context.catalogue(&store)?;
    let shop = Server::monolith(context, &store)?;
    let answers = folder.path().join("answers.json");
    let books = context.books().len() as u64;
    record(&shop, books, &answers)?;
    let bares = [bare(&answers, false)?, bare(&answers, true)?];
    let cells = [
        ("durable purchases, one hot book", Ask::PurchaseHot, 0.7),
        ("durable purchases, 10,000 books", Ask::PurchaseUniform(books.min(10_000)), 0.7),
        ("GET /info/{id}, one book", Ask::InfoHot, 0.85),
        ("GET /info/{id}, all books", Ask::InfoUniform(books), 0.85),
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
    for (what, ask, bound) in cells {
        eprintln!("  {what}");
        let cell = compare(context, &shop, &bares, &ask)?;
        let share = cell.shop.per(&cell.bare);
        let [p50, p99] = [&cell.p50_us, &cell.p99_us].map(|latency| shown_us(latency.median()));
        let [own, bares] = [&cell.shop_cpu_us, &cell.bare_cpu_us].map(|time| format!("{:.1} µs", time.median()));
        let rates = [cell.shop.shown(), cell.bare.shown(), share.shown(), cell.bare_on_threads.shown()];
        table.row([what.into()].into_iter().chain(rates).chain([p50, p99, own, bares]));
        section.keep(format!("{what}: shop/s"), &cell.shop);
        section.keep(format!("{what}: bare hyper/s"), &cell.bare);
        section.keep(format!("{what}: bare hyper on threads/s"), &cell.bare_on_threads);
        section.target(format!("{what}: share of bare hyper"), Bound::AtLeast(bound), &share);
    }
    section.tables.push(table);
    let (batches, purchases) = shop.batches()?;
    eprintln!("  searches");
    section.tables.push(searches(context, shop.address)?);
    let (resident, most) = shop.resident_mb()?;
    let mut table = Table::new("The server's process after all that", &["what", "value"]);
    table.row(["books".into(), grouped(books)]);
    table.row(["purchases per batch, that is, per flush".into(), shown(purchases / batches)]);
    table.row(["resident memory, now and at most".into(), format!("{resident:.0} MB, {most:.0} MB")]);
    section.tables.push(table);
    section.target(
        format!("resident memory at most, with {} books under this load, MB", grouped(books)),
        Bound::AtMost(RESIDENT_MAX_MB),
        &Samples::one(most),
    );
    Ok(section)
}

/// Keeps the shop's own answers, for the bare server to give.
fn record(shop: &Server, books: u64, file: &Path) -> Outcome<()> {
    let head = "HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\n";
    let purchase = format!(
        "POST /purchase/1 {head}connection: close\r\ncontent-type: application/json\r\nidempotency-key: {}\r\n\
         content-length: 14\r\n\r\n{{\"quantity\":1}}",
        fresh_id()
    );
    let mut info = Vec::new();
    for ids in (1..=books).collect::<Vec<_>>().chunks(PIPELINED) {
        let ask = |id: &u64| {
            let last = if Some(id) == ids.last() { "connection: close\r\n" } else { "" };
            format!("GET /info/{id} {head}{last}\r\n")
        };
        info.extend(each(&raw(shop.address, &ids.iter().map(ask).collect::<String>())?)?);
    }
    let answers = Answers { purchase: raw(shop.address, &purchase)?, info };
    Ok(fs::write(file, serde_json::to_string(&answers)?)?)
}

/// Requests of one connection that are sent at once.
const PIPELINED: usize = 500;

/// The answers to pipelined requests, one by one.
fn each(mut answers: &str) -> Outcome<Vec<String>> {
    let mut each = Vec::new();
    while !answers.is_empty() {
        let head = answers.find("\r\n\r\n").ok_or("an answer without an end")? + 4;
        let length = answers[..head].split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let end = head + length.ok_or("an answer without a length")?.parse::<usize>()?;
        each.push(answers.get(..end).ok_or("an answer that is cut off")?.to_owned());
        answers = &answers[end..];
    }
    Ok(each)
}

fn bare(answers: &Path, threads: bool) -> Outcome<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(answers).args(threads.then_some("--threads"));
    Server::start(command)
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

fn compare(context: &Context, shop: &Server, [bare, on_threads]: &[Server; 2], ask: &Ask) -> Outcome<Cell> {
    let connect = |server: &Server| Crowd::connect(server.address, CONNECTIONS, THREADS, ask.clone());
    let (mut at_bare, mut at_shop, mut at_threads) = (connect(bare)?, connect(shop)?, connect(on_threads)?);
    let mut cell = Cell::default();
    let run = |crowd: &mut Crowd, server: &Server| -> Outcome<_> {
        // Warmed up apart, so that processor time and requests are of the same stretch.
        crowd.run_for(context.time(0.1), context.time(0.05)).all_served()?;
        let before = server.processor_seconds()?;
        let tally = crowd.run_for(std::time::Duration::ZERO, context.time(0.4)).all_served()?;
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

fn searches(context: &Context, shop: SocketAddr) -> Outcome<Table> {
    let books = context.books();
    let kinds = [
        ("one topic's first page", topic_searches(books)),
        ("two words in title, author or subjects", word_searches(books, 1_000)),
    ];
    let caption = format!("Searches in {} books", grouped(books.len() as u64));
    let mut table = Table::new(caption, &["search", "connections", "answers/s", "p50", "p99"]);
    for (what, paths) in kinds {
        let ask = Ask::Paths(Arc::new(paths));
        for connections in [1, 16] {
            let mut crowd = Crowd::connect(shop, connections, THREADS, ask.clone())?;
            let tally = crowd.run_for(context.time(0.3), context.time(2.0)).all_served()?;
            let [p50, p99] = [tally.served_latency.p50_us, tally.served_latency.p99_us].map(|us| shown_us(us as f64));
            table.row([what.into(), connections.to_string(), shown(tally.rate()), p50, p99]);
        }
    }
    Ok(table)
}

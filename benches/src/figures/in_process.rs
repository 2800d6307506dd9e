//! Durable purchases in the shop's own process, against the raw ceiling.

use bookstore_benches::{
    Result,
    catalogue::{PLENTY, plain},
    ceiling::{self, Ceiling},
    race::{self, BookChoice, Ids, Until, ZIPF_BOOKS, fresh_id},
    samples::{Bound, Samples, format_number, format_us},
    shop::{Shop, Store},
};
use bookstore_core::Lines;
use std::{sync::Arc, time::Instant};

use super::{
    context::Context,
    report::{Chart, Line, Section, Table},
};

/// Most first: right after the ceiling, which the targets are about.
const TASKS: [u64; 5] = [4096, 1024, 256, 16, 1];
const SHAPES: [(&str, BookChoice); 3] = [
    ("one hot book", BookChoice::Hot),
    ("10,000 books, all alike", BookChoice::Uniform(10_000)),
    ("10,000 books by Zipf's law", BookChoice::Zipf),
];

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("in-process");
    let mut lines = Vec::new();
    for (shape, choice) in SHAPES {
        eprintln!("  {shape}");
        let cells = compare(context, choice)?;
        show(&mut section, shape, &cells);
        let shares = cells.iter().rev().map(|cell| (cell.tasks as f64, cell.rate.ratio_to(&cell.ceiling).median()));
        lines.push(Line::new(shape, shares));
    }
    section.charts.push(Chart {
        file: "in-process".into(),
        title: "Durable purchases in process, as a share of the raw ceiling".into(),
        x: "tasks that buy at the same time".into(),
        y: "share of the ceiling".into(),
        log_x: true,
        lines,
    });
    eprintln!("  one buyer alone");
    alone(context, &mut section)?;
    Ok(section)
}

/// One number of tasks over all rounds.
struct Cell {
    tasks: u64,
    rate: Samples,
    /// Just before it.
    ceiling: Samples,
    /// Purchases of one flush.
    batch: Samples,
}

fn compare(context: &Context, choice: BookChoice) -> Result<Vec<Cell>> {
    let folder = context.scratch()?;
    let mut ceiling = Ceiling::open(&folder.path().join("ceiling.db"));
    let shop = shop(context, &Store::Sqlite(folder.path().join("shop.db")), ZIPF_BOOKS);
    let cell = |tasks| Cell { tasks, rate: Samples::default(), ceiling: Samples::default(), batch: Samples::default() };
    let mut cells: Vec<Cell> = TASKS.into_iter().map(cell).collect();
    let rows = usize::try_from(context.count(100))? * ceiling::BATCH;
    // The first round only warms up.
    for round in 0..=context.rounds() {
        let mut most = 0.0;
        for cell in &mut cells {
            // Below that, the ceiling is so far away that the last one will do.
            if cell.tasks >= 1024 {
                let rows_of_sales = ceiling::rows(rows, choice);
                most = rows as f64 / ceiling.write(&rows_of_sales).as_secs_f64();
            }
            let (entries, flushes) = shop.counts.so_far();
            let until = Until::Elapsed(context.time(0.5));
            let tally = context.runtime.block_on(race::run(&shop.orders, choice, Ids::V7, cell.tasks, until));
            let (entries_now, flushes_now) = shop.counts.so_far();
            if round > 0 {
                cell.rate.push(tally.rate());
                cell.ceiling.push(most);
                cell.batch.push((entries_now - entries) as f64 / (flushes_now - flushes).max(1) as f64);
            }
        }
    }
    context.runtime.block_on(shop.close());
    Ok(cells)
}

/// A shop with books that do not sell out.
pub(super) fn shop(context: &Context, store: &Store, books: u64) -> Shop {
    context.runtime.block_on(async {
        let shop = Shop::open(store);
        shop.add_books((1..=books).map(|n| plain(n, PLENTY))).await;
        shop
    })
}

fn show(section: &mut Section, shape: &str, cells: &[Cell]) {
    let head = ["tasks", "purchases/s", "raw ceiling, rows/s", "share of the ceiling", "purchases per flush"];
    let mut table = Table::new(format!("Durable purchases in process, {shape}"), &head);
    for cell in cells.iter().rev() {
        let share = cell.rate.ratio_to(&cell.ceiling);
        let batch = format_number(cell.batch.median());
        table.row([cell.tasks.to_string(), cell.rate.to_string(), cell.ceiling.to_string(), share.to_string(), batch]);
        section.keep(format!("{shape}, {} tasks: purchases/s", cell.tasks), &cell.rate);
        section.keep(format!("{shape}, {} tasks: ceiling, rows/s", cell.tasks), &cell.ceiling);
        let bound = match cell.tasks {
            4096 => 0.6,
            1024 => 0.5,
            _ => continue,
        };
        let what = format!("{} tasks, {shape}: share of the raw ceiling", cell.tasks);
        section.target(what, Bound::AtLeast(bound), &share);
    }
    section.tables.push(table);
}

/// One buyer's purchase against one bare commit of the same row.
fn alone(context: &Context, section: &mut Section) -> Result<()> {
    let folder = context.scratch()?;
    let mut bare = Ceiling::open(&folder.path().join("bare.db"));
    let shop = shop(context, &Store::Sqlite(folder.path().join("shop.db")), 1);
    let purchases = context.count(1_000).max(100);
    let [mut commit, mut purchase] = [Samples::default(), Samples::default()];
    for round in 0..=context.rounds() {
        let mut commits = bare.commits(&ceiling::rows(usize::try_from(purchases)?, BookChoice::Hot));
        commits.sort_unstable();
        let orders = Arc::clone(&shop.orders);
        let buying = context.runtime.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..purchases {
                let (id, lines) = (fresh_id(), Lines::one(BookChoice::Hot.book(0), 1)?);
                let started = Instant::now();
                orders.purchase(id, lines).await?;
                times.push(started.elapsed());
            }
            times.sort_unstable();
            Ok::<_, bookstore_core::Error>(times)
        });
        let times = context.runtime.block_on(buying)??;
        if round > 0 {
            commit.push(commits[commits.len() / 2].as_secs_f64() * 1e6);
            purchase.push(times[times.len() / 2].as_secs_f64() * 1e6);
        }
    }
    let mut table = Table::new("One buyer alone, median latency", &["bare commit", "purchase", "ratio"]);
    let ratio = purchase.ratio_to(&commit);
    table.row([format_us(commit.median()), format_us(purchase.median()), ratio.to_string()]);
    section.tables.push(table);
    section.keep("one buyer: bare commit, µs", &commit);
    section.keep("one buyer: purchase, µs", &purchase);
    section.target("one buyer alone: latency, in bare durable commits of the same row", Bound::AtMost(1.3), &ratio);
    context.runtime.block_on(shop.close());
    Ok(())
}

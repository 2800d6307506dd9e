//! Whether the shop keeps its pace: ten million entries, a million books, a million random ids.

use bookstore_benches::{
    Result,
    catalogue::real,
    race::{self, BookChoice, Ids, Until, random_id},
    samples::{Bound, Samples, format_count},
    shop::{Shop, Store},
};
use std::sync::Arc;

use super::{
    context::Context,
    in_process,
    report::{Chart, Line, Section, Table},
};

/// Tasks of the measured races.
const TASKS: u64 = 1024;
/// Tasks that fill a ledger.
const FILLERS: u64 = 4096;
/// Purchases of one measurement, so that the store writes more than six stock snapshots.
const PURCHASES: u64 = 400_000;
/// The same with a million books, whose stock is written back after a million entries.
const PURCHASES_OF_MANY_BOOKS: u64 = 1_200_000;

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("growth");
    let head = ["1,024 tasks in process", "small, purchases/s", "large, purchases/s", "large / small"];
    let mut table = Table::new("Durable purchases as the shop grows", &head);
    let mut show = |section: &mut Section, what: &str, bound: Option<f64>, [small, large]: [Samples; 2]| {
        let share = large.ratio_to(&small);
        table.row([what.into(), small.to_string(), large.to_string(), share.to_string()]);
        section.keep(format!("{what}: small, purchases/s"), &small);
        section.keep(format!("{what}: large, purchases/s"), &large);
        if let Some(bound) = bound {
            section.target(format!("{what}: large / small"), Bound::AtLeast(bound), &share);
        }
    };
    let entries = ledger(context, &mut section)?;
    // A short try is smaller.
    let [many, few] = [10_000_000, 1_000_000].map(|count| format_count(context.count(count)));
    show(&mut section, &format!("a ledger of {many} entries, against 10,000"), Some(0.85), entries);
    show(&mut section, &format!("{few} books, against 1,000"), Some(0.85), books(context)?);
    let what = format!("random (v4) ids with {few} such orders stored, against time-ordered (v7) ids");
    show(&mut section, &what, None, ids(context)?);
    section.tables.push(table);
    Ok(section)
}

fn buy(context: &Context, shop: &Shop, choice: BookChoice, ids: Ids, tasks: u64, purchases: u64) -> f64 {
    context.runtime.block_on(race::run(&shop.orders, choice, ids, tasks, Until::Purchases(purchases))).rate()
}

/// Purchases a second with few and with many entries; and the pace on the way there.
fn ledger(context: &Context, section: &mut Section) -> Result<[Samples; 2]> {
    const BOOKS: u64 = 1_000;
    let choice = BookChoice::Uniform(BOOKS);
    let folder = context.scratch()?;
    let large = in_process::shop(context, &Store::Sqlite(folder.path().join("large.db")), BOOKS);
    eprintln!("  filling a ledger");
    let part = context.count(500_000);
    let fill = |nth: u32| {
        let rate = buy(context, &large, choice, Ids::V7, FILLERS, part);
        (f64::from(nth + 1) * part as f64 / 1e6, rate)
    };
    let pace: Vec<(f64, f64)> = (0..20).map(fill).collect();
    section.charts.push(Chart {
        file: "growth".into(),
        title: "Durable purchases while the ledger grows, 4,096 tasks".into(),
        x: "million entries".into(),
        y: "purchases a second".into(),
        log_x: false,
        lines: vec![Line::new("1,000 books", pace)],
    });
    let mut rates = [Samples::default(), Samples::default()];
    for round in 0..=context.long_rounds() {
        let path = folder.path().join(format!("small-{round}.db"));
        let small = in_process::shop(context, &Store::Sqlite(path), BOOKS);
        buy(context, &small, choice, Ids::V7, FILLERS, 10_000 - BOOKS);
        measure_both(context, [&small, &large], [choice; 2], PURCHASES, round, &mut rates);
        context.runtime.block_on(small.close());
    }
    context.runtime.block_on(large.close());
    Ok(rates)
}

/// One round; the first one only warms up.
fn measure_both(
    context: &Context,
    shops: [&Shop; 2],
    choice: [BookChoice; 2],
    purchases: u64,
    round: usize,
    rates: &mut [Samples; 2],
) {
    for ((shop, choice), rates) in shops.into_iter().zip(choice).zip(rates) {
        let rate = buy(context, shop, choice, Ids::V7, TASKS, context.count(purchases));
        if round > 0 {
            rates.push(rate);
        }
    }
}

fn books(context: &Context) -> Result<[Samples; 2]> {
    let folder = context.scratch()?;
    let listed = |name: &str, books: u64| {
        eprintln!("  listing {books} books");
        context.runtime.block_on(async {
            let shop = Shop::open(&Store::Sqlite(folder.path().join(name)));
            shop.add_books((1..=books).map(real)).await;
            shop
        })
    };
    let (few, many) = (1_000, context.count(1_000_000));
    let (small, large) = (listed("few.db", few), listed("many.db", many));
    let mut rates = [Samples::default(), Samples::default()];
    for round in 0..=context.long_rounds() {
        let choice = [few, many].map(BookChoice::Uniform);
        measure_both(context, [&small, &large], choice, PURCHASES_OF_MANY_BOOKS, round, &mut rates);
    }
    for shop in [small, large] {
        context.runtime.block_on(shop.close());
    }
    Ok(rates)
}

/// Purchases a second under time-ordered ids, and under random ones among a million of their kind.
fn ids(context: &Context) -> Result<[Samples; 2]> {
    const BOOKS: u64 = 1_000;
    let choice = BookChoice::Uniform(BOOKS);
    let folder = context.scratch()?;
    let shop = |name: &str| in_process::shop(context, &Store::Sqlite(folder.path().join(name)), BOOKS);
    let (ordered, random) = (shop("ordered.db"), shop("random.db"));
    let orders = context.count(1_000_000);
    eprintln!("  storing {orders} orders under random ids");
    // Sorted, only so that it does not take long: the same ids end up in the index.
    let mut ids: Vec<_> = (0..orders).map(|_| random_id()).collect();
    ids.sort_unstable();
    buy(context, &random, choice, Ids::Given(Arc::new(ids)), FILLERS, orders);
    buy(context, &ordered, choice, Ids::V7, FILLERS, orders);
    let mut rates = [Samples::default(), Samples::default()];
    for _ in 0..context.long_rounds() {
        rates[0].push(buy(context, &ordered, choice, Ids::V7, TASKS, context.count(PURCHASES)));
        rates[1].push(buy(context, &random, choice, Ids::V4, TASKS, context.count(50_000)));
    }
    for shop in [ordered, random] {
        context.runtime.block_on(shop.close());
    }
    Ok(rates)
}

//! Other designs under the same race: the textbook's, and one safe transaction for each purchase.

use bookstore_benches::{
    Result,
    atomic::Atomic,
    catalogue::{PLENTY, plain},
    race::{self, BookChoice, Ids, Seller, Until},
    samples::{Bound, Samples, format_number},
    shop::{Shop, Store},
    textbook::Textbook,
};
use std::{path::Path, sync::Arc};

use super::{
    context::Context,
    in_process,
    report::{Section, Table},
};

const BUYERS: [u64; 3] = [1, 16, 256];
/// Copies for the count of oversells, and how often all of them are sold.
const COPIES: u32 = 100;
const SALES: usize = 5;

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("baselines");
    let folder = context.scratch()?;
    let path = |name: &str| folder.path().join(name);
    let textbook = Arc::new(Textbook::open(&path("textbook.db"), 1, PLENTY));
    let atomic = Arc::new(Atomic::open(&path("atomic.db"), 1, PLENTY));
    let shop = in_process::shop(context, &Store::Sqlite(path("shop.db")), 1);
    // The designs alternate.
    let mut rates = vec![vec![Samples::default(); BUYERS.len()]; 3];
    let (entries, flushes) = shop.counts.so_far();
    for _ in 0..context.rounds().min(3) {
        for (nth, buyers) in BUYERS.into_iter().enumerate() {
            rates[0][nth].push(race(context, &textbook, buyers));
            rates[1][nth].push(race(context, &atomic, buyers));
            rates[2][nth].push(race(context, &shop.orders, buyers));
        }
    }
    let (entries_now, flushes_now) = shop.counts.so_far();
    let ours_per_purchase = (flushes_now - flushes) as f64 / (entries_now - entries).max(1) as f64;
    context.runtime.block_on(shop.close());
    let sold = sold(context, folder.path());
    let head = ["design", "1 buyer", "16", "256", "flushes per purchase", "sold of 100 copies", "oversold"];
    let mut table = Table::new("Durable purchases a second of one hot book, in process", &head);
    let designs = [
        ("textbook: ask, decrement, write the order", 2.0),
        ("one transaction for each purchase", 1.0),
        ("this one", ours_per_purchase),
    ];
    for (((design, flushes), rates), sold) in designs.into_iter().zip(&rates).zip(&sold) {
        let oversold = (sold.most() - f64::from(COPIES)).max(0.0);
        let cells = rates.iter().map(ToString::to_string);
        let ends = [format_number(flushes), sold.to_string(), format!("up to {oversold}")];
        table.row([design.to_owned()].into_iter().chain(cells).chain(ends));
        for (buyers, rates) in BUYERS.into_iter().zip(rates) {
            section.keep(format!("{design}, {buyers} buyers: purchases/s"), rates);
        }
    }
    section.tables.push(table);
    let ours = Samples::one(sold[2].most() - f64::from(COPIES));
    section.target("copies oversold by this design", Bound::AtMost(0.0), &ours);
    Ok(section)
}

fn race<S: Seller>(context: &Context, seller: &Arc<S>, buyers: u64) -> f64 {
    let until = Until::Elapsed(context.time(0.7));
    context.runtime.block_on(race::run(seller, BookChoice::Hot, Ids::V7, buyers, until)).rate()
}

/// Orders that each design wrote for 100 copies, when 300 were asked for at once, several times.
fn sold(context: &Context, folder: &Path) -> [Samples; 3] {
    let mut sold = [Samples::default(), Samples::default(), Samples::default()];
    let until = Until::Purchases(300);
    for nth in 0..SALES {
        let path = |name: &str| folder.join(format!("{name}-{nth}.db"));
        let textbook = Arc::new(Textbook::open(&path("textbook"), 1, COPIES));
        let atomic = Arc::new(Atomic::open(&path("atomic"), 1, COPIES));
        context.runtime.block_on(async {
            race::run(&textbook, BookChoice::Hot, Ids::V7, 256, until).await;
            sold[0].push(textbook.orders().await as f64);
            race::run(&atomic, BookChoice::Hot, Ids::V7, 256, until).await;
            sold[1].push(atomic.orders() as f64);
            let shop = Shop::open(&Store::Sqlite(path("shop")));
            shop.add_books(std::iter::once(plain(1, COPIES))).await;
            sold[2].push(race::run(&shop.orders, BookChoice::Hot, Ids::V7, 256, until).await.sold as f64);
            shop.close().await;
        });
    }
    sold
}

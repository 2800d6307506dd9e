//! Best sellers across restarts, days and failures: always those that the ledger says, and never in the way of a sale.

use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService as _, Kind, Line, Lines, ManualClock, OrderId, Period, Query, Seq,
    Timestamp,
    store::{
        memory,
        sqlite::{self, SqliteOptions},
    },
    writer::WriterLimits,
};
use std::{path::Path, sync::Arc, time::Duration};
use uuid::Uuid;

use crate::{
    failing::{Failing, Moment, Operation, Plan},
    fixture::book,
};

const DAY: i64 = 86_400_000;
/// More than the newest entries that are kept in memory, and than one page of the store's.
const MANY: usize = 9_000;

fn open(place: &Path, clock: &Arc<ManualClock>) -> Catalog {
    let file = place.join("shop.db");
    let (store, reader) = sqlite::open(&file, clock.as_ref(), SqliteOptions::default()).expect("a store");
    Catalog::start(store, reader.clone(), reader, clock.clone(), CatalogOptions::default()).expect("a ledger")
}

async fn close(catalog: Catalog) {
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
}

async fn best(catalog: &Catalog, of: Period) -> Vec<u64> {
    let page = catalog.search(Query::best_sellers(of)).await.expect("an answer");
    page.books.into_iter().map(|book| book.id.0).collect()
}

/// Sells one copy so many times.
async fn sell(catalog: &Catalog, book: u64, times: usize) {
    let lines = || Lines::new([Line::new(BookId(book), 1)]).expect("a line");
    for answer in catalog.sell_many((0..times).map(|_| (OrderId(Uuid::now_v7()), lines())).collect()).await {
        answer.expect("there are enough");
    }
}

/// What the shop shows, whether it runs on or is started again.
async fn assert_best(catalog: Catalog, place: &Path, clock: &Arc<ManualClock>, expected: [&[u64]; 4]) -> Catalog {
    let mut catalog = catalog;
    for round in ["running", "started again", "started again and prepared"] {
        for (period, expected) in Period::ALL.into_iter().zip(expected) {
            assert_eq!(best(&catalog, period).await, expected, "{round}: {period}");
        }
        close(catalog).await;
        catalog = open(place, clock);
        if round == "started again" {
            catalog.prepare_searches();
        }
    }
    catalog
}

#[tokio::test(flavor = "multi_thread")]
async fn days_pass_and_the_shop_is_started_again() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let clock = Arc::new(ManualClock::new(Timestamp(20_000 * DAY + 7)));
    let at = |day: i64| clock.set(Timestamp((20_000 + day) * DAY + 7));
    let catalog = open(place.path(), &clock);
    catalog.add_books((1..=3).map(|n| book(&format!("Book {n}"), 90_000)).collect(), None).await.expect("good books");
    sell(&catalog, 1, MANY).await;
    let catalog = assert_best(catalog, place.path(), &clock, [&[1]; 4]).await;
    at(20);
    sell(&catalog, 2, 20).await;
    at(27);
    sell(&catalog, 3, 10).await;
    let all: &[u64] = &[1, 2, 3];
    let catalog = assert_best(catalog, place.path(), &clock, [&[3], all, all, all]).await;
    at(31);
    let catalog = assert_best(catalog, place.path(), &clock, [&[3], &[2, 3], all, all]).await;
    at(900);
    let catalog = assert_best(catalog, place.path(), &clock, [&[], &[], &[], all]).await;
    // The clock had been wrong: what was let go is counted again.
    at(27);
    close(assert_best(catalog, place.path(), &clock, [&[3], all, all, all]).await).await;
}

/// After a failure entries may be in the ledger whose purchases were answered as unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_counted_as_it_is_found_again() {
    for moment in [Moment::Before, Moment::After] {
        let clock = Arc::new(ManualClock::new(Timestamp(20_000 * DAY)));
        let plan = Plan::new([(Operation::Flush, 4, moment), (Operation::Append, 6, moment)]);
        let (store, reader) = memory::open(clock.as_ref());
        let limits = WriterLimits { recover_after: Duration::ZERO, ..WriterLimits::default() };
        let options = CatalogOptions { limits, ..CatalogOptions::default() };
        let store = Failing { store, plan: Arc::clone(&plan) };
        let catalog = Catalog::start(store, reader.clone(), reader, clock, options).expect("a ledger");
        catalog.prepare_searches();
        catalog.add_books((1..=2).map(|n| book(&format!("Book {n}"), 90)).collect(), None).await.expect("good books");
        for n in 0..12 {
            let lines = Lines::new([Line::new(BookId(1 + n % 2), 1 + u32::from(n == 11))]).expect("a line");
            let _ = catalog.sell(OrderId(Uuid::now_v7()), lines).await;
            let entries = catalog.entries(Seq(0), 100, Duration::ZERO).await.expect("entries").entries;
            let sold = |book| -> i64 {
                let changes = entries.iter().filter(|entry| entry.kind == Kind::Sale).flat_map(|entry| &*entry.changes);
                changes.filter(|change| change.book == book).map(|change| -change.delta).sum()
            };
            let mut expected: Vec<u64> = [1, 2].into_iter().filter(|book| sold(BookId(*book)) > 0).collect();
            expected.sort_by_key(|book| -sold(BookId(*book)));
            assert_eq!(best(&catalog, Period::Ever).await, expected, "{moment:?}, sale {n}");
        }
        assert_eq!(plan.struck(), 2, "{moment:?}");
    }
}

//! The ledger: [`entries`](crate::CatalogService::entries) and [`find_order`](crate::CatalogService::find_order).
//!
//! Order servers, caches and audits follow the ledger through `entries`, so its order and its completeness are promises
//! to them. Two cases wait in real time: 0.2 seconds, and up to 20 seconds if something is wrong.

use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

use crate::{
    book::{Amend, BookId},
    conformance::deployment::Deployment,
    error::Error,
    fixtures::{cents, lines, order_id},
    history::Hash,
    ledger::{Change, Entry, Kind, Seq},
    order::Status,
};

/// Entries are numbered 1, 2, 3, … in the order of the commits. A refusal is no entry, and one ledger has one id.
///
/// Copies of the ledger follow it by number, so a gap would stop them for ever, and an order that changes would make
/// them differ. The order is that of the answers if calls are made one after the other.
pub(super) async fn is_dense_and_ordered(d: Deployment) {
    let books = d.add_equal_books(3, 100).await;
    let mut bought = Vec::new();
    for n in 0..20 {
        bought.push(d.buy(books[n % 3], 1).await.expect("there are enough").order);
    }
    d.buy(books[0], 1000).await.expect_err("there are fewer");
    let (head, entries) = d.entries(Seq(0)).await;
    assert_eq!(head, Seq(23), "a refusal is no entry");
    assert!(entries.iter().map(|entry| entry.seq.0).eq(1..=23));
    let sales = entries.iter().filter_map(Entry::order).collect::<Vec<_>>();
    assert_eq!(sales, bought, "in the order of the commits");
    let first = d.catalog.entries(Seq(0), 1, Duration::ZERO).await.expect("the ledger can be read");
    assert_eq!(first.before, Some(Hash::EMPTY));
    let last = d.catalog.entries(Seq(u64::MAX), 1, Duration::ZERO).await.expect("a head without entries is an answer");
    assert_eq!((last.head, last.entries.len()), (head, 0));
    let again = d.catalog.entries(Seq(22), 1, Duration::ZERO).await.expect("the ledger can be read");
    assert_eq!(first.identity, again.identity, "one ledger has one identity");
    assert_eq!(first.incarnation, again.incarnation, "and was opened once");
    assert_eq!((last.before, last.after), (None, again.after), "beyond the head there is no history");
    let mut hash = Hash::EMPTY;
    for after in 0..head.0 {
        let page = d.catalog.entries(Seq(after), 1, Duration::ZERO).await.expect("the ledger can be read");
        assert_eq!(page.before, Some(hash), "each page continues where the one before ended");
        hash = page.after;
    }
    assert_eq!(hash, again.after);
}

/// Amounts are in the ledger's currency, which every page of it shows, and which does not change.
///
/// Whoever shows an amount, or reads one that was typed, needs its decimals.
pub(super) async fn has_one_currency(d: Deployment) {
    let currency = d.catalog.currency().await.expect("a currency");
    let books = d.add_equal_books(1, 5).await;
    d.buy(books[0], 1).await.expect("there are five");
    for after in [0, 1, u64::MAX] {
        let page = d.catalog.entries(Seq(after), 1, Duration::ZERO).await.expect("the ledger can be read");
        assert_eq!(page.identity.currency, currency, "after {after}");
    }
    assert_eq!(d.catalog.currency().await, Ok(currency));
}

/// Every kind of change has its kind of entry, with key, deltas, price and stock.
///
/// Entries are what order servers, caches and audits are built from: each says what it did and how the books are
/// afterwards, so that no reader needs an older entry.
pub(super) async fn records_each_kind(d: Deployment) {
    let books = d.add_equal_books(2, 5).await;
    let (order, key) = (order_id(), order_id());
    d.orders.purchase(order, lines(&[(books[1], 2), (books[0], 1)])).await.expect("there are five");
    d.orders.cancel(order).await.expect("cancelled");
    d.catalog.amend(books[0], Amend::StockDelta { delta: -4 }, Some(key), None).await.expect("a restock");
    let version = Some(d.info(books[1]).await.version);
    let both = Amend::Set { price_cents: Some(cents(7)), stock: Some(8), version };
    d.catalog.amend(books[1], both, None, None).await.expect("set");
    let version = Some(d.info(books[1]).await.version);
    let stock = Amend::Set { price_cents: None, stock: Some(9), version };
    d.catalog.amend(books[1], stock, None, None).await.expect("set");
    let change =
        |book: usize, delta, price, stock| Change { book: books[book], delta, price_cents: cents(price), stock };
    let expected: [(Kind, Option<_>, &[Change]); 7] = [
        (Kind::Listing, None, &[change(0, 5, 1000, 5)]),
        (Kind::Listing, None, &[change(1, 5, 1000, 5)]),
        (Kind::Sale, Some(order), &[change(0, -1, 1000, 4), change(1, -2, 1000, 3)]),
        (Kind::Return, Some(order), &[change(0, 1, 1000, 5), change(1, 2, 1000, 5)]),
        (Kind::Restock, Some(key), &[change(0, -4, 1000, 1)]),
        (Kind::Reprice, None, &[change(1, 3, 7, 8)]),
        (Kind::Restock, None, &[change(1, 1, 7, 9)]),
    ];
    let (_, entries) = d.entries(Seq(0)).await;
    assert_eq!(entries.len(), expected.len());
    for (entry, (kind, key, changes)) in entries.iter().zip(expected) {
        assert_eq!((entry.kind, entry.key, &entry.changes[..]), (kind, key, changes), "entry {}", entry.seq);
    }
}

/// A read has at most `limit` entries and never more than 1000. After the head there is nothing.
///
/// A follower asks for more than there is and counts on short answers; numbers far after the head must not overflow.
pub(super) async fn limits_a_page(d: Deployment) {
    d.add_equal_books(1000, 1).await;
    d.add_equal_books(5, 1).await;
    let read = async |after, limit| {
        let page = d.catalog.entries(Seq(after), limit, Duration::ZERO).await.expect("the ledger can be read");
        assert_eq!(page.head, Seq(1005));
        (page.entries.first().map_or(0, |entry| entry.seq.0), page.entries.len())
    };
    assert_eq!(read(0, 7).await, (1, 7));
    assert_eq!(read(7, 7).await, (8, 7));
    assert_eq!(read(1000, 7).await, (1001, 5));
    assert_eq!(read(0, 1000).await, (1, 1000));
    assert_eq!(read(0, usize::MAX).await, (1, 1000), "a stretch has at most a thousand entries");
    assert_eq!(read(1005, 7).await, (0, 0));
    assert_eq!(read(2000, 7).await, (0, 0), "after the head there is nothing");
    assert_eq!(read(i64::MAX as u64, 7).await, (0, 0));
}

/// A call that waits for the next entry is answered as soon as there is one.
///
/// A transport that fails here closes connections that are silent, or answers a wait at once. Followers would then be
/// as late as their next question.
pub(super) async fn wakes_a_waiting_call(d: Deployment) {
    let book = d.add_book(5).await;
    let catalog = d.catalog.clone();
    let started = Instant::now();
    let waiting = tokio::spawn(async move { catalog.entries(Seq(1), 10, Duration::from_secs(20)).await });
    // Not needed for a right answer: it only makes it likely that the call waits already.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "there is nothing yet");
    d.restock(book, 1).await.expect("a restock");
    let page = waiting.await.expect("no panic").expect("the ledger can be read");
    assert!(started.elapsed() < Duration::from_secs(15), "it slept through it: {:?}", started.elapsed());
    assert_eq!(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [Seq(2)]);
}

/// A wait ends without entries after the time it asked for; a call that finds entries does not wait.
///
/// A follower must be able to give up: a wait without an end would keep its connection for ever.
pub(super) async fn ends_a_wait(d: Deployment) {
    d.add_book(5).await;
    let started = Instant::now();
    let page = d.catalog.entries(Seq(1), 10, Duration::from_millis(200)).await.expect("nothing is an answer");
    assert_eq!((page.head, page.entries.len()), (Seq(1), 0));
    assert!(started.elapsed() >= Duration::from_millis(100), "it did not wait: {:?}", started.elapsed());
    let page = d.catalog.entries(Seq(0), 10, Duration::from_secs(20)).await.expect("the ledger can be read");
    assert_eq!(page.entries.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(15), "it waited for what was there");
}

/// For every book the sum of all deltas is the stock that each entry states, and the stock that `info` shows.
///
/// This is the invariant that the whole design rests on: the stock of a book is no number of its own, but the sum of
/// the ledger.
pub(super) async fn sums_up_to_the_stock(d: Deployment) {
    let books = d.add_equal_books(5, 50).await;
    for n in 0..40_u32 {
        let (book, other) = (books[n as usize % 5], books[(n as usize + 2) % 5]);
        let order = order_id();
        d.orders.purchase(order, lines(&[(book, n % 3 + 1), (other, 1)])).await.expect("there are enough");
        match n % 4 {
            0 => drop(d.orders.cancel(order).await.expect("cancelled")),
            1 => drop(d.restock(other, i64::from(n % 8) - 2).await.expect("a restock")),
            _ => {}
        }
    }
    let (_, entries) = d.entries(Seq(0)).await;
    let mut sums = BTreeMap::<BookId, i64>::new();
    for change in entries.iter().flat_map(|entry| &entry.changes) {
        let sum = sums.entry(change.book).or_default();
        *sum += change.delta;
        assert_eq!(*sum, i64::from(change.stock));
    }
    for book in books {
        assert_eq!(i64::from(d.stock(book).await), sums[&book]);
    }
}

/// `find_order` shows an order as the ledger has it now: not there, placed, cancelled.
///
/// An order server asks the catalogue for orders that its own copy does not have yet, so the answer must be as new as
/// the ledger.
pub(super) async fn finds_orders(d: Deployment) {
    let book = d.add_book(5).await;
    let order = order_id();
    assert_eq!(d.catalog.find_order(order).await, Err(Error::OrderNotFound { order }));
    let reserved = d.catalog.sell(order, lines(&[(book, 1)])).await.expect("there are five").order;
    assert_eq!(d.catalog.find_order(order).await, Ok(reserved));
    let released = d.catalog.release(order).await.expect("released").order;
    assert_eq!(released.status, Status::Cancelled);
    assert_eq!(d.catalog.find_order(order).await, Ok(released));
}

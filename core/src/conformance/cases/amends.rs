//! Amends: [`amend`](crate::CatalogService::amend), with and without a key.
//!
//! A delta adds to what is there, so it needs no version. An absolute value replaces what is there, so a stock needs
//! the version that the caller has seen. A key makes either of them happen once, however often the call is sent.

use super::support::{assert_invalid, out_of_stock};
use crate::{
    book::{Amend, BookId, NewBook},
    conformance::deployment::Deployment,
    error::Error,
    fixtures::{any_book, cents, lines, order_id},
    ledger::Seq,
};

/// A change by this number of copies.
const fn delta(delta: i64) -> Amend {
    Amend::StockDelta { delta }
}

/// Absolute values: a price in cents, a stock, and the version that the caller has seen.
fn set(price: Option<u64>, stock: Option<u32>, version: Option<Seq>) -> Amend {
    Amend::Set { price_cents: price.map(cents), stock, version }
}

/// A delta adds or takes copies. The answer shows the book as it is then, and its text and price stay.
///
/// The answer is what `info` shows right after it; its version is the entry of the amend.
pub(super) async fn adds_and_takes_copies(d: Deployment) {
    let book = d.add_book(5).await;
    for (change, stock) in [(7, 12), (-2, 10), (-10, 0), (1, 1)] {
        let before = d.info(book).await;
        let amended = d.restock(book, change).await.expect("a good delta");
        assert_eq!((amended.stock, amended.price_cents), (stock, before.price_cents));
        assert_eq!((amended.version, &amended.text), (d.head().await, &before.text));
        assert!(amended.version > before.version);
        assert_eq!(d.info(book).await, amended);
    }
}

/// A delta that would take more than there is is [`Error::OutOfStock`], however large it is.
///
/// Deltas come near the limits of the number type, so that a sum without a check for overflow wraps around.
pub(super) async fn never_goes_below_zero(d: Deployment) {
    let book = d.add_book(5).await;
    for change in [-6, -1_000_000_000_000, i64::MIN] {
        assert_eq!(d.restock(book, change).await, Err(out_of_stock(book, 5)));
    }
    assert_eq!((d.stock(book).await, d.head().await), (5, Seq(1)));
}

/// A stock above [`NewBook::STOCK_MAX`] is [`Error::Invalid`]; a stock of just that is possible.
///
/// The limit holds for deltas and for absolute values. The refusal names the field that the caller gave.
pub(super) async fn limits_the_stock(d: Deployment) {
    let book = d.add_book(5).await;
    for change in [i64::from(NewBook::STOCK_MAX) - 4, i64::from(u32::MAX), i64::MAX] {
        assert_invalid(d.restock(book, change).await, "stock_delta");
    }
    let version = Some(d.info(book).await.version);
    assert_invalid(d.catalog.amend(book, set(None, Some(NewBook::STOCK_MAX + 1), version), None, None).await, "stock");
    assert_eq!(d.head().await, Seq(1));
    let full = d.restock(book, i64::from(NewBook::STOCK_MAX) - 5).await.expect("up to the limit");
    assert_eq!(full.stock, NewBook::STOCK_MAX);
}

/// A repeated amend with the same key changes nothing and answers with the book as it is now. A key whose amend was
/// refused may be used again.
///
/// A client repeats an amend with a key if it had no answer. The repetition must not be judged by the version again,
/// which its own first execution has changed.
pub(super) async fn with_a_key_happens_once(d: Deployment) {
    let book = d.add_book(5).await;
    let key = order_id();
    let amended = d.catalog.amend(book, delta(3), Some(key), None).await.expect("a restock");
    assert_eq!((amended.stock, amended.version, d.head().await), (8, Seq(2), Seq(2)));
    d.buy(book, 1).await.expect("there are eight");
    let again = d.catalog.amend(book, delta(3), Some(key), None).await.expect("a replay");
    assert_eq!((again.stock, again.version), (7, Seq(3)), "the book as it stands then");
    assert_eq!(d.head().await, Seq(3));
    // A refusal leaves no trace, so the key may still be used.
    let key = order_id();
    let refused = d.catalog.amend(book, delta(-8), Some(key), None).await;
    assert_eq!(refused, Err(out_of_stock(book, 7)));
    d.restock(book, 1).await.expect("a restock");
    assert_eq!(d.catalog.amend(book, delta(-8), Some(key), None).await.map(|book| book.stock), Ok(0));
    // Absolute values too: the version was right when it happened.
    let (key, version) = (order_id(), d.info(book).await.version);
    let once = d.catalog.amend(book, set(Some(5), Some(9), Some(version)), Some(key), None).await.expect("set");
    let twice = d.catalog.amend(book, set(Some(5), Some(9), Some(version)), Some(key), None).await;
    assert_eq!(twice, Ok(once));
}

/// A key of an order, of another book or of another change is [`Error::OrderIdReused`], and a key of an amend is no
/// order.
///
/// Orders and amends share one space of keys. The store must keep enough of an amend to tell it from another one.
pub(super) async fn refuses_a_key_of_something_else(d: Deployment) {
    let books = d.add_equal_books(2, 5).await;
    let (order, key) = (order_id(), order_id());
    d.orders.purchase(order, lines(&[(books[0], 1)])).await.expect("there are five");
    d.catalog.amend(books[0], delta(1), Some(key), None).await.expect("a restock");
    let head = d.head().await;
    let reused = |order| Error::OrderIdReused { order };
    assert_eq!(d.catalog.amend(books[0], delta(1), Some(order), None).await, Err(reused(order)));
    assert_eq!(d.catalog.amend(books[1], delta(1), Some(key), None).await, Err(reused(key)));
    // Nor for another change of the same book.
    let version = Some(d.info(books[0]).await.version);
    for other in [delta(2), delta(-1), set(Some(5), None, None), set(None, Some(9), version)] {
        assert_eq!(d.catalog.amend(books[0], other, Some(key), None).await, Err(reused(key)));
    }
    assert_eq!(d.orders.purchase(key, lines(&[(books[0], 1)])).await, Err(reused(key)));
    assert_eq!(d.orders.cancel(key).await, Err(Error::OrderNotFound { order: key }));
    assert_eq!(d.orders.order(key).await, Err(Error::OrderNotFound { order: key }));
    assert_eq!(d.catalog.find_order(key).await, Err(Error::OrderNotFound { order: key }));
    assert_eq!(d.head().await, head);
}

/// An amend that changes nothing is [`Error::Invalid`]. Setting the stock to what it is already is a change.
///
/// A delta of 0 would be an entry without effect. An absolute value that happens to be in force is another matter: the
/// caller learns that it is so at this version.
pub(super) async fn refuses_to_change_nothing(d: Deployment) {
    let book = d.add_book(5).await;
    let version = Some(d.info(book).await.version);
    for nothing in [delta(0), set(None, None, None), set(None, None, version)] {
        for key in [None, Some(order_id())] {
            let refused = d.catalog.amend(book, nothing, key, None).await;
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
        }
    }
    assert_eq!(d.head().await, Seq(1));
    // A value that is in force already is set again: the caller learns that it is so at this version.
    let same = d.catalog.amend(book, set(None, Some(5), version), None, None).await.expect("set");
    assert_eq!((same.stock, same.version), (5, Seq(2)));
}

/// Absolute values need the book's current version. Any change of the book in between makes it
/// [`Error::VersionMismatch`].
///
/// Without the version two members of staff who count the shelf at once would overwrite each other, and sales in
/// between. The refusal names the current version.
pub(super) async fn sets_with_the_version_seen(d: Deployment) {
    let book = d.add_book(5).await;
    let seen = d.info(book).await.version;
    let stock = d.catalog.amend(book, set(None, Some(0), Some(seen)), None, None).await.expect("set");
    assert_eq!((stock.stock, stock.price_cents), (0, cents(1000)));
    let both = d.catalog.amend(book, set(Some(700), Some(9), Some(stock.version)), None, None).await.expect("set");
    assert_eq!((both.stock, both.price_cents), (9, cents(700)));
    let price = d.catalog.amend(book, set(Some(800), None, Some(both.version)), None, None).await.expect("set");
    assert_eq!((price.stock, price.price_cents), (9, cents(800)));
    assert_eq!(d.info(book).await, price);
    // Whatever moves the book makes an older version stale: a change of price, and a sale.
    d.buy(book, 1).await.expect("there are nine");
    let mismatch = Error::VersionMismatch { book, version: d.info(book).await.version };
    for stale in [seen, price.version, Seq(0), Seq(u64::MAX >> 1)] {
        for change in
            [set(None, Some(9), Some(stale)), set(Some(1), None, Some(stale)), set(Some(1), Some(1), Some(stale))]
        {
            assert_eq!(d.catalog.amend(book, change, None, None).await.as_ref(), Err(&mismatch));
        }
    }
    assert_eq!((d.stock(book).await, d.info(book).await.price_cents), (8, cents(800)));
}

/// An absolute stock without a version is [`Error::VersionRequired`].
///
/// Setting a stock that one has not seen loses the sales in between.
pub(super) async fn needs_a_version_for_stock(d: Deployment) {
    let book = d.add_book(5).await;
    for change in [set(None, Some(7), None), set(Some(700), Some(7), None)] {
        assert_eq!(d.catalog.amend(book, change, None, None).await, Err(Error::VersionRequired));
    }
    assert_eq!((d.stock(book).await, d.head().await), (5, Seq(1)));
}

/// A price may be set without a version; it may be 0.
///
/// Prices do not change by sales, so nothing is lost. A book that costs nothing can be bought.
pub(super) async fn sets_a_price_without_a_version(d: Deployment) {
    let book = d.add_book(5).await;
    let amended = d.catalog.amend(book, set(Some(0), None, None), None, None).await.expect("set");
    assert_eq!((amended.price_cents, amended.stock, amended.version), (cents(0), 5, Seq(2)));
    let free = d.buy(book, 1).await.expect("there are five").order;
    assert_eq!(free.total_cents, cents(0));
}

/// Any amend of a book that does not exist is [`Error::BookNotFound`].
///
/// Neither the key nor the version may turn this into another refusal.
pub(super) async fn refuses_unknown_books(d: Deployment) {
    d.add_book(5).await;
    for book in [BookId(0), BookId(2), BookId(i64::MAX as u64)] {
        for change in [delta(1), set(Some(1), None, None), set(None, Some(1), Some(Seq(1)))] {
            assert_eq!(d.catalog.amend(book, change, Some(order_id()), None).await, Err(Error::BookNotFound { book }));
        }
    }
    assert_eq!(d.head().await, Seq(1));
}

/// The ledger keeps who of the shop changed or added a book. A repetition by somebody else is still a repetition.
///
/// Over a public interface that is the name of the token, whatever the caller says.
pub(super) async fn keeps_the_actor(d: Deployment) {
    let actor = |name: &str| Some(name.parse().expect("a short name"));
    let added = d.catalog.add_books(vec![any_book(5)], actor("till-1")).await.expect("a good book");
    let key = Some(order_id());
    for name in ["till-1", "till-2"] {
        d.catalog.amend(added[0].id, delta(1), key, actor(name)).await.expect("a restock");
    }
    d.catalog.amend(added[0].id, set(Some(700), None, None), None, actor("till-3")).await.expect("a new price");
    let (_, entries) = d.entries(Seq(0)).await;
    assert_eq!(entries.len(), 3);
    for entry in entries {
        assert!(entry.details.as_ref().is_some_and(|details| details.actor.is_some()), "{entry:?}");
    }
}

//! Cancellations: [`cancel`](crate::OrderService::cancel) and [`release`](crate::CatalogService::release).
//!
//! A cancellation through the order service and a release through the catalogue are the same thing. A cancelled order
//! stays what it was, and its id stays used.

use super::support::{assert_invalid, assert_replayed};
use crate::{
    book::NewBook,
    conformance::deployment::Deployment,
    error::Error,
    fixtures::{cents, lines, order_id},
    ledger::{Kind, Seq},
    order::{Order, Status},
};

/// A cancellation puts the copies back into stock, where they can be bought again. Of the order only the status and the
/// time change.
///
/// The return is an entry of its own, and the version of every book in the order. An order that was cancelled stays
/// readable.
pub(super) async fn puts_copies_back(d: Deployment) {
    let books = d.add_equal_books(2, 5).await;
    let bought =
        d.orders.purchase(order_id(), lines(&[(books[0], 2), (books[1], 5)])).await.expect("there are five").order;
    let receipt = d.orders.cancel(bought.id).await.expect("an order can be cancelled");
    d.assert_first(&receipt);
    let Order { status, cancelled_at, version, .. } = receipt.order;
    assert_eq!((status, cancelled_at.is_some()), (Status::Cancelled, true));
    assert_eq!(
        receipt.order,
        Order { status, cancelled_at, version, ..bought.clone() },
        "nothing else about it changes"
    );
    assert_eq!((d.stock(books[0]).await, d.stock(books[1]).await), (5, 5));
    assert_eq!(d.info(books[1]).await.version, d.head().await);
    assert_eq!(d.orders.order(bought.id).await.as_ref(), Ok(&receipt.order));
    assert_eq!(d.catalog.find_order(bought.id).await, Ok(receipt.order));
    d.buy(books[1], 5).await.expect("the copies can be bought again");
}

/// A second cancellation answers with the same order, `replayed`, and changes nothing.
///
/// A client sends a cancellation again if it had no answer. A second return would put copies into stock that do not
/// exist.
pub(super) async fn cancels_once(d: Deployment) {
    let book = d.add_book(5).await;
    let order = d.buy(book, 2).await.expect("there are five").order.id;
    let first = d.orders.cancel(order).await.expect("cancelled");
    let head = d.head().await;
    let again = d.orders.cancel(order).await.expect("cancelled already");
    assert_replayed(&again);
    assert_eq!(again.order, first.order);
    assert_eq!(d.catalog.release(order).await, Ok(again));
    assert_eq!((d.stock(book).await, d.head().await), (5, head));
}

/// A cancellation of an order that does not exist is [`Error::OrderNotFound`], and its id may buy later.
///
/// A cancellation that is refused must not block the id: it may have overtaken the purchase on its way.
pub(super) async fn refuses_unknown_orders(d: Deployment) {
    let book = d.add_book(5).await;
    let order = order_id();
    assert_eq!(d.orders.cancel(order).await, Err(Error::OrderNotFound { order }));
    assert_eq!(d.catalog.release(order).await, Err(Error::OrderNotFound { order }));
    assert_eq!(d.head().await, Seq(1));
    let bought = d.orders.purchase(order, lines(&[(book, 1)])).await.expect("a refused cancellation leaves no trace");
    assert_eq!(bought.order.status, Status::Placed);
}

/// A purchase under the id of a cancelled order is [`Error::OrderCancelled`], with the order; the id stays used.
///
/// An `Ok` would mean that the copies are the buyer's, and a checkout would take money for it.
pub(super) async fn refuse_a_later_purchase_under_the_id(d: Deployment) {
    let book = d.add_book(5).await;
    let order = d.buy(book, 2).await.expect("there are five").order.id;
    let cancelled = d.orders.cancel(order).await.expect("cancelled").order;
    let again = d.orders.purchase(order, lines(&[(book, 2)])).await;
    assert_eq!(again, Err(Error::OrderCancelled { order: Box::new(cancelled) }), "the order as it is now");
    let other = d.orders.purchase(order, lines(&[(book, 1)])).await;
    assert_eq!(other, Err(Error::OrderIdReused { order }), "a cancelled order's id stays used");
    assert_eq!(d.stock(book).await, 5);
}

/// The return's entry carries the price of the sale, and today's price stays.
///
/// Revenue is the sum over sales and returns, so both must carry the same price. The price in force is not touched by
/// either.
pub(super) async fn returns_at_the_price_of_the_sale(d: Deployment) {
    let book = d.add_book(5).await;
    let order = d.buy(book, 2).await.expect("there are five").order;
    d.set_price(book, 1).await;
    let cancelled = d.orders.cancel(order.id).await.expect("cancelled").order;
    assert_eq!((cancelled.total_cents, &cancelled.lines), (order.total_cents, &order.lines));
    let info = d.info(book).await;
    assert_eq!((info.price_cents, info.stock), (cents(1), 5), "today's price stays");
    let (_, entries) = d.entries(order.seq.next()).await;
    let back = &entries[0];
    assert_eq!((back.kind, back.key, back.changes[0].delta), (Kind::Return, Some(order.id), 2));
    assert_eq!((back.changes[0].price_cents, back.changes[0].stock), (cents(1000), 5));
}

/// A cancellation is never refused for want of room: what was bought must be able to come back, whatever the shop added meanwhile.
pub(super) async fn may_exceed_the_stock_limit(d: Deployment) {
    let book = d.add_book(5).await;
    let order = d.buy(book, 2).await.expect("there are five").order;
    d.restock(book, i64::from(NewBook::STOCK_MAX) - 3).await.expect("up to the limit");
    d.orders.cancel(order.id).await.expect("it is placed");
    assert_eq!(d.stock(book).await, NewBook::STOCK_MAX + 2);
    d.restock(book, -3).await.expect("there are enough");
    assert_invalid(d.restock(book, 2).await, "stock_delta");
}

//! Purchases: [`purchase`](crate::OrderService::purchase), [`sell`](crate::CatalogService::sell), and their batches.
//!
//! A purchase through the order service and a sale through the catalogue are the same thing, once under one id. Most
//! cases use the order service, so they test both.

use super::support::{assert_invalid, assert_replayed, out_of_stock};
use crate::{
    book::{Amend, BookId, NewBook},
    conformance::deployment::Deployment,
    error::{Error, Shortage},
    fixtures::{any_book, cents, lines, order_id},
    id::OrderId,
    ledger::Seq,
    money::Cents,
    order::{OrderLine, Status},
    request::{Line, Lines},
};
use uuid::Uuid;

/// A purchase takes the copies, and its order can be read at once through both services.
///
/// The order carries the price of the moment of the sale, and the book's version is the entry of the sale.
pub(super) async fn sells_one_line(d: Deployment) {
    let book = d.add_book(5).await;
    let order = order_id();
    let receipt = d.orders.purchase(order, lines(&[(book, 2)])).await.expect("there are five");
    d.assert_first(&receipt);
    let sold = receipt.order;
    assert_eq!((sold.id, sold.status, sold.total_cents, sold.cancelled_at), (order, Status::Placed, cents(2000), None));
    assert_eq!(sold.lines[..], [OrderLine { book, quantity: 2, unit_price_cents: cents(1000) }]);
    assert_eq!(sold.seq, d.head().await, "the sale is the ledger's last entry");
    let info = d.info(book).await;
    assert_eq!((info.stock, info.version), (3, sold.seq));
    assert_eq!(d.orders.order(order).await.as_ref(), Ok(&sold));
    assert_eq!(d.catalog.find_order(order).await.as_ref(), Ok(&sold));
}

/// An order shows its lines sorted by book, and every book gets the order's entry as its version.
///
/// All lines are one entry: a store that writes an entry for each line fails here, and could leave half an order behind
/// after a crash.
pub(super) async fn sells_many_lines_sorted(d: Deployment) {
    let books = d.add_equal_books(3, 10).await;
    let asked = lines(&[(books[2], 3), (books[0], 1), (books[1], 2)]);
    let sold = d.orders.purchase(order_id(), asked).await.expect("there are ten of each").order;
    let pairs: Vec<_> = sold.lines.iter().map(|line| (line.book, line.quantity)).collect();
    assert_eq!(pairs, [(books[0], 1), (books[1], 2), (books[2], 3)]);
    assert_eq!(sold.total_cents, cents(6000));
    for (book, left) in books.into_iter().zip([9, 8, 7]) {
        assert_eq!((d.stock(book).await, d.info(book).await.version), (left, sold.seq));
    }
}

/// A batch has an answer for each of its calls, in their order. Refusals and repetitions in it do not affect the
/// others.
///
/// Batches save messages and nothing else. The second round sends the same calls straight to the catalogue, where those
/// that were sold must be known.
pub(super) async fn answers_each_call_of_a_batch(d: Deployment) {
    let books = d.add_equal_books(2, 3).await;
    let [first, second, short, other, unknown] = std::array::from_fn(|_| order_id());
    let many = || {
        vec![
            (first, lines(&[(books[0], 2)])),
            (short, lines(&[(books[0], 4)])),
            (second, lines(&[(books[1], 1), (books[0], 1)])),
            (unknown, lines(&[(BookId(books[1].0 + 1), 1)])),
            (first, lines(&[(books[0], 2)])),
            (other, lines(&[(books[1], 1)])),
        ]
    };
    for round in 0..2 {
        let answers = if round == 0 { d.orders.purchase_many(many()).await } else { d.catalog.sell_many(many()).await };
        assert_eq!(answers.len(), 6);
        for ((id, asked), answer) in many().iter().zip(&answers) {
            match answer {
                Ok(receipt) => assert!(receipt.order.id == *id && receipt.order.sold(asked)),
                Err(Error::OutOfStock { book, .. }) => assert!((*id, *book) == (short, books[0])),
                Err(error) => {
                    assert_eq!((*id, error), (unknown, &Error::BookNotFound { book: BookId(books[1].0 + 1) }));
                }
            }
        }
        assert!(answers[1].is_err() && answers[3].is_err());
        let replayed = answers.iter().flatten().filter(|receipt| receipt.replayed).count();
        assert!(d.repeats || replayed == if round == 0 { 1 } else { 4 }, "{replayed} replayed");
    }
    assert_eq!((d.stock(books[0]).await, d.stock(books[1]).await), (0, 1));
    assert_eq!(d.orders.purchase_many(Vec::new()).await, []);
}

/// Several lines of one book count as one line of their sum.
///
/// An implementation that checks each line against the stock sells more than there is, as each line alone could be
/// sold.
pub(super) async fn sums_lines_of_one_book(d: Deployment) {
    let books = d.add_equal_books(2, 5).await;
    let twice = |quantity| lines(&[(books[0], quantity), (books[1], 1), (books[0], 3)]);
    let short = d.orders.purchase(order_id(), twice(3)).await;
    assert_eq!(short, Err(out_of_stock(books[0], 5)), "each line alone could be had");
    let sold = d.orders.purchase(order_id(), twice(2)).await.expect("five are five").order;
    assert_eq!(sold.lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [5, 1]);
    assert_eq!((d.stock(books[0]).await, d.stock(books[1]).await), (0, 4));
}

/// If one book falls short, nothing is sold and there is no order. The refusal names every such book by number, and its
/// stock.
///
/// An implementation that takes line by line and gives back on a failure shows a stock in between, and leaves entries
/// for nothing.
pub(super) async fn sells_all_or_nothing(d: Deployment) {
    let books = d.add_books(vec![any_book(10), any_book(1), any_book(10), any_book(0)]).await;
    let head = d.head().await;
    let all = lines(&[(books[0], 1), (books[2], 1), (books[1], 2), (books[3], 1)]);
    let order = order_id();
    let short = d.orders.purchase(order, all).await;
    let every = [(books[1], 1), (books[3], 0)].map(|(book, available)| Shortage { book, available });
    assert_eq!(short, Err(Error::out_of_stock(every)), "every one that falls short, by id");
    for (book, stock) in books.into_iter().zip([10, 1, 10, 0]) {
        assert_eq!(d.stock(book).await, stock);
    }
    assert_eq!(d.head().await, head);
    assert_eq!(d.orders.order(order).await, Err(Error::OrderNotFound { order }));
}

/// A line of a book that does not exist is [`Error::BookNotFound`], and nothing is sold.
///
/// The refusal names the unknown book, and the line before it must not be sold.
pub(super) async fn refuses_unknown_books(d: Deployment) {
    let book = d.add_book(5).await;
    let head = d.head().await;
    for unknown in [BookId(0), BookId(book.0 + 1), BookId(i64::MAX as u64)] {
        let order = order_id();
        let refused = d.orders.purchase(order, lines(&[(book, 1), (unknown, 1)])).await;
        assert_eq!(refused, Err(Error::BookNotFound { book: unknown }));
        assert_eq!(d.orders.order(order).await, Err(Error::OrderNotFound { order }));
    }
    assert_eq!((d.head().await, d.stock(book).await), (head, 5));
}

/// The same id with the same lines, however they are written and at whatever price, answers with the same order.
///
/// Lines are compared as sums by book, without prices: a retry may be built anew, from a page that shows a newer price.
/// The answer keeps the price of the sale.
pub(super) async fn replays_the_same_lines(d: Deployment) {
    let books = d.add_equal_books(2, 10).await;
    let order = order_id();
    let first = d.orders.purchase(order, lines(&[(books[0], 1), (books[1], 2)])).await.expect("there are ten");
    d.buy(books[0], 1).await.expect("there are nine");
    // The same purchase, written differently, and at a price that is not today's.
    let again = [Line::new(books[1], 1), Line::new(books[0], 1), Line::new(books[1], 1)];
    let seen = [Line { price_cents: Some(cents(5)), ..again[1] }, Line::new(books[1], 2)];
    for lines in [again.to_vec(), seen.to_vec()] {
        let replay = d.orders.purchase(order, Lines::new(lines).expect("good lines")).await.expect("a replay");
        assert_replayed(&replay);
        assert_eq!(replay.order, first.order);
    }
    let reserved = d.catalog.sell(order, lines(&[(books[0], 1), (books[1], 2)])).await.expect("a replay");
    assert_eq!((reserved.replayed, reserved.order), (true, first.order));
    assert_eq!((d.stock(books[0]).await, d.stock(books[1]).await), (8, 8));
}

/// The same id with other lines is [`Error::OrderIdReused`], also if these lines could not be sold.
///
/// Otherwise a client that reuses an id by mistake would take another order for its own. The id is checked before the
/// stock.
pub(super) async fn refuses_other_lines_under_the_same_id(d: Deployment) {
    let books = d.add_equal_books(2, 10).await;
    let order = order_id();
    let first = d.orders.purchase(order, lines(&[(books[0], 2)])).await.expect("there are ten");
    let head = d.head().await;
    let others = [
        lines(&[(books[0], 1)]),
        lines(&[(books[0], 3)]),
        lines(&[(books[1], 2)]),
        lines(&[(books[0], 2), (books[1], 1)]),
        lines(&[(BookId(999), 2)]),
        lines(&[(books[0], 1000)]),
    ];
    for other in others {
        assert_eq!(d.orders.purchase(order, other).await, Err(Error::OrderIdReused { order }));
    }
    assert_eq!((d.head().await, d.stock(books[0]).await, d.stock(books[1]).await), (head, 8, 10));
    assert_eq!(d.orders.order(order).await, Ok(first.order));
}

/// A refusal leaves no trace: the same id may buy later, other lines too.
///
/// A store that remembers refusals under their id fails here. Only a sale uses up an id.
pub(super) async fn allows_a_refused_id_again(d: Deployment) {
    let book = d.add_book(1).await;
    let order = order_id();
    let refused = d.orders.purchase(order, lines(&[(book, 2)])).await;
    assert_eq!(refused, Err(out_of_stock(book, 1)));
    d.restock(book, 1).await.expect("a restock");
    let bought = d.orders.purchase(order, lines(&[(book, 2)])).await.expect("now there are two");
    d.assert_first(&bought);
    let other = order_id();
    assert!(d.orders.purchase(other, lines(&[(book, 1)])).await.is_err());
    d.restock(book, 3).await.expect("a restock");
    let bought = d.orders.purchase(other, lines(&[(book, 3)])).await.expect("other lines, as nothing was bought");
    d.assert_first(&bought);
    assert_eq!(d.stock(book).await, 0);
}

/// A purchase that names another price than today's is [`Error::PriceChanged`], also if today's is lower.
///
/// The check belongs into the decision: one that is made before it can be overtaken by a change of price.
pub(super) async fn sells_only_at_the_price_that_was_seen(d: Deployment) {
    let books = d.add_equal_books(2, 5).await;
    let seen = |price| {
        let lines = [Line::new(books[1], 1), Line { price_cents: Some(cents(price)), ..Line::new(books[0], 1) }];
        Lines::new(lines).expect("good lines")
    };
    d.set_price(books[0], 1200).await;
    let (order, head) = (order_id(), d.head().await);
    for other in [1000, 1201] {
        let refused = d.orders.purchase(order, seen(other)).await;
        assert_eq!(refused, Err(Error::PriceChanged { book: books[0], price_cents: cents(1200) }), "also a lower one");
    }
    assert_eq!((d.head().await, d.stock(books[0]).await, d.stock(books[1]).await), (head, 5, 5));
    let bought = d.orders.purchase(order, seen(1200)).await.expect("the price is right");
    d.assert_first(&bought);
    assert_eq!(bought.order.total_cents, cents(2200));
    assert_eq!(bought.order.lines[0].unit_price_cents, cents(1200));
}

/// A total above [`Cents::MAX`] is [`Error::Invalid`]; a total of just that is sold.
///
/// The total must be computed without overflow, also over several lines, before anything is sold.
pub(super) async fn refuses_a_total_that_is_too_large(d: Deployment) {
    let dear = NewBook { price_cents: Cents::MAX, ..any_book(5) };
    let books = d.add_books(vec![dear, any_book(5)]).await;
    let head = d.head().await;
    assert_invalid(d.orders.purchase(order_id(), lines(&[(books[0], 2)])).await, "quantity");
    assert_invalid(d.orders.purchase(order_id(), lines(&[(books[0], 1), (books[1], 1)])).await, "quantity");
    assert_eq!((d.head().await, d.stock(books[0]).await), (head, 5));
    let bought = d.buy(books[0], 1).await.expect("the largest amount is an amount");
    assert_eq!(bought.order.total_cents, Cents::MAX);
}

/// An order may have [`Lines::MAX`] lines of [`Lines::QUANTITY_MAX`] copies each.
///
/// A transport that fails here has too small a limit for bodies; a store has a limit on the size of an entry.
pub(super) async fn sells_a_hundred_lines(d: Deployment) {
    let books = d.add_equal_books(Lines::MAX, 1000).await;
    let all: Vec<_> = books.iter().rev().map(|book| (*book, Lines::QUANTITY_MAX)).collect();
    let order = order_id();
    let receipt = d.orders.purchase(order, lines(&all)).await.expect("there are a thousand of each");
    assert_eq!(receipt.order.lines.len(), Lines::MAX);
    assert_eq!(receipt.order.total_cents, cents(100 * 1000 * 1000));
    assert_eq!(d.orders.order(order).await, Ok(receipt.order));
    assert_eq!((d.stock(books[0]).await, d.stock(books[99]).await), (0, 0));
}

/// The last copy can be sold, and after it every purchase is refused with 0 available.
///
/// The head counts the entries: the two refusals must not have made one.
pub(super) async fn sells_the_last_copy(d: Deployment) {
    let book = d.add_book(2).await;
    assert_eq!(d.buy(book, 3).await, Err(out_of_stock(book, 2)));
    d.buy(book, 1).await.expect("there are two");
    d.buy(book, 1).await.expect("there is one");
    assert_eq!(d.buy(book, 1).await, Err(out_of_stock(book, 0)));
    assert_eq!((d.stock(book).await, d.head().await), (0, Seq(3)));
}

/// The nil and the max UUID name nothing: neither an order nor a keyed change can have them, and no order is found there.
///
/// Programs that forget to draw an id send the nil UUID. If it were taken, all of them would share one order.
pub(super) async fn refuses_ids_that_name_nothing(d: Deployment) {
    let book = d.add_book(5).await;
    for id in [Uuid::nil(), Uuid::max()].map(OrderId) {
        assert_invalid(d.orders.purchase(id, lines(&[(book, 1)])).await, "order_id");
        assert_invalid(d.orders.purchase_many(vec![(id, lines(&[(book, 1)]))]).await.remove(0), "order_id");
        assert_invalid(d.catalog.sell(id, lines(&[(book, 1)])).await, "order_id");
        assert_invalid(d.catalog.amend(book, Amend::StockDelta { delta: 1 }, Some(id), None).await, "order_id");
        d.orders.cancel(id).await.expect_err("there is no such order");
        d.orders.order(id).await.expect_err("there is no such order");
    }
    assert_eq!((d.stock(book).await, d.head().await), (5, Seq(1)));
}

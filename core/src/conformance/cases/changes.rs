//! Holds, confirmations, extensions, voids, fulfilments and returns: [`change`](crate::OrderService::change).
//!
//! The table in [`decide`](crate::decide) is the specification. Each case takes one of its rows, brings an order into that state for each
//! cell, and asks for every action.

use std::time::Duration;

use super::support::{assert_invalid, out_of_stock};
use crate::{
    book::BookId,
    clock::Timestamp,
    conformance::deployment::Deployment,
    error::{Error, Result},
    fixtures::{cents, lines, order_id},
    ledger::Kind,
    order::{Actor, Order, OrderId, Receipt, Reference, Status},
    request::{Line, Lines, OrderAction},
};

const COPIES: u32 = 2;

fn office() -> Option<Actor> {
    Some("office".parse().expect("a name"))
}

/// What is asked of an order in each cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Purchase,
    Hold,
    Confirm,
    Extend,
    Cancel,
    Void,
    Fulfil,
    Return,
}

const ALL: [Asked; 8] = [
    Asked::Purchase,
    Asked::Hold,
    Asked::Confirm,
    Asked::Extend,
    Asked::Cancel,
    Asked::Void,
    Asked::Fulfil,
    Asked::Return,
];

/// How a cell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// An entry of this kind leads to this state.
    Becomes(Kind, Status),
    /// Answered as replayed, in the state that it had.
    Replayed,
    /// Refused with this code.
    Refused(&'static str),
}

impl Deployment {
    async fn hold(&self, book: BookId, seconds: u32) -> Order {
        let hold = OrderAction::Hold { lines: lines(&[(book, COPIES)]), seconds, reference: None, contact: None };
        self.orders.change(order_id(), hold, office()).await.expect("there are enough").order
    }

    async fn ask(&self, order: &Order, asked: Asked) -> Result<Receipt> {
        let lines = || lines(&[(BookId(1), COPIES)]);
        let action = match asked {
            Asked::Purchase => OrderAction::Purchase { lines: lines(), reference: None, contact: None },
            Asked::Hold => OrderAction::Hold { lines: lines(), seconds: 600, reference: None, contact: None },
            Asked::Confirm => OrderAction::Confirm,
            Asked::Extend => {
                let seen = order.expires_at().unwrap_or(order.placed_at);
                OrderAction::Extend { seen, expires_at: Timestamp(seen.0 + 60_000) }
            }
            Asked::Cancel => OrderAction::Cancel,
            Asked::Void => OrderAction::Void,
            Asked::Fulfil => OrderAction::Fulfil,
            Asked::Return => OrderAction::Return { lines: crate::fixtures::lines(&[(BookId(1), 1)]), key: order_id() },
        };
        self.orders.change(order.id, action, office()).await
    }

    async fn change(&self, id: OrderId, action: OrderAction) -> Result<Order> {
        self.orders.change(id, action, office()).await.map(|receipt| receipt.order)
    }

    /// Extends a public hold.
    async fn extend(&self, id: OrderId, seen: Timestamp, expires_at: Timestamp) -> Result<Order> {
        self.orders.change(id, OrderAction::Extend { seen, expires_at }, None).await.map(|receipt| receipt.order)
    }

    async fn take_back(&self, id: OrderId, wanted: &[(BookId, u32)]) -> Result<Order> {
        self.change(id, OrderAction::Return { lines: lines(wanted), key: order_id() }).await
    }

    /// Bought, and not through a hold.
    async fn placed(&self) -> Order {
        self.buy(BookId(1), COPIES).await.expect("there are enough").order
    }

    /// Checks one row, each cell with the next of the orders, which are in the state.
    async fn check_row(&self, state: &str, orders: Vec<Order>, row: [Cell; 8]) {
        for ((asked, cell), order) in ALL.into_iter().zip(row).zip(orders) {
            let before = self.head().await;
            let (stock, cell_is) = (self.stock(BookId(1)).await, format!("{asked:?} of an order that is {state}"));
            let answer = self.ask(&order, asked).await;
            match (cell, answer) {
                (Cell::Becomes(kind, status), Ok(receipt)) => {
                    assert_eq!(receipt.replayed, self.repeats, "{cell_is}");
                    assert_eq!(receipt.order.status, status, "{cell_is}");
                    let (_, entries) = self.entries(before).await;
                    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
                    assert_eq!(kinds, [kind], "{cell_is}");
                    let actor = entries[0].details.as_ref().and_then(|details| details.actor.clone());
                    // Over a public interface it is the name of the token.
                    assert!(actor.is_some(), "{cell_is}");
                    assert_eq!(receipt.order.version, entries[0].seq, "{cell_is}");
                    let back = entries[0].changes.iter().map(|change| change.delta).sum::<i64>();
                    assert_eq!(i64::from(self.stock(BookId(1)).await), i64::from(stock) + back, "{cell_is}");
                    let read = self.orders.order(order.id).await;
                    assert_eq!(read, Ok(receipt.order), "{cell_is}");
                }
                (Cell::Replayed, Ok(receipt)) => {
                    assert!(receipt.replayed, "{cell_is}");
                    assert_eq!(receipt.order, order, "{cell_is}");
                    assert_eq!(self.head().await, before, "{cell_is}");
                }
                (Cell::Refused(code), Err(error)) => {
                    assert_eq!(error.code(), code, "{cell_is}");
                    assert_eq!((self.head().await, self.stock(BookId(1)).await), (before, stock), "{cell_is}");
                }
                (cell, answer) => panic!("{cell_is} should be {cell:?}, not {answer:?}"),
            }
        }
    }
}

/// Orders that nobody has used, one for each cell.
pub(super) async fn of_an_unknown_order(d: Deployment) {
    d.add_book(1000).await;
    // Only the id and a time count.
    let made = d.placed().await;
    let unknown = ALL.iter().map(|_| Order { id: order_id(), ..made.clone() }).collect();
    let not_found = Cell::Refused("unknown-order");
    let row = [
        Cell::Becomes(Kind::Sale, Status::Placed),
        Cell::Becomes(Kind::Hold, Status::Held),
        not_found,
        not_found,
        not_found,
        Cell::Becomes(Kind::Void, Status::Voided),
        not_found,
        not_found,
    ];
    d.check_row("unknown", unknown, row).await;
}

/// A purchase or a confirmation places it, a cancellation gives back what it held.
pub(super) async fn of_a_held_order(d: Deployment) {
    d.add_book(1000).await;
    let row = [
        Cell::Becomes(Kind::Confirm, Status::Placed),
        Cell::Replayed,
        Cell::Becomes(Kind::Confirm, Status::Placed),
        Cell::Becomes(Kind::Extend, Status::Held),
        Cell::Becomes(Kind::Return, Status::Cancelled),
        Cell::Becomes(Kind::Return, Status::Cancelled),
        Cell::Refused("order-held"),
        Cell::Refused("order-held"),
    ];
    let mut held = Vec::new();
    for _ in ALL {
        held.push(d.hold(BookId(1), 600).await);
    }
    d.check_row("held", held, row).await;
}

/// It is the buyer's: only a cancellation, a fulfilment or a return changes it.
pub(super) async fn of_a_placed_order(d: Deployment) {
    d.add_book(1000).await;
    let row = [
        Cell::Replayed,
        Cell::Replayed,
        Cell::Replayed,
        Cell::Replayed,
        Cell::Becomes(Kind::Return, Status::Cancelled),
        Cell::Becomes(Kind::Return, Status::Cancelled),
        Cell::Becomes(Kind::Fulfil, Status::Fulfilled),
        Cell::Becomes(Kind::Return, Status::Placed),
    ];
    let (mut placed, mut confirmed) = (Vec::new(), Vec::new());
    for _ in ALL {
        placed.push(d.placed().await);
        let held = d.hold(BookId(1), 600).await;
        confirmed.push(d.change(held.id, OrderAction::Confirm).await.expect("it is held"));
    }
    d.check_row("placed", placed, row).await;
    d.check_row("held and confirmed", confirmed, row).await;
}

/// It was handed over: it cannot be cancelled any more, but copies can come back.
pub(super) async fn of_a_fulfilled_order(d: Deployment) {
    d.add_book(1000).await;
    let mut fulfilled = Vec::new();
    for _ in ALL {
        fulfilled.push(d.change(d.placed().await.id, OrderAction::Fulfil).await.expect("it is placed"));
    }
    let handed_over = Cell::Refused("order-fulfilled");
    let row = [
        Cell::Replayed,
        Cell::Replayed,
        Cell::Replayed,
        Cell::Replayed,
        handed_over,
        handed_over,
        Cell::Replayed,
        Cell::Becomes(Kind::Return, Status::Fulfilled),
    ];
    d.check_row("fulfilled", fulfilled, row).await;
}

/// A purchase of an order that was given up is refused, and never `Ok`: whoever takes money for an `Ok` has to have sold something.
fn given_up(code: &'static str) -> [Cell; 8] {
    let refused = Cell::Refused(code);
    [refused, refused, refused, refused, Cell::Replayed, Cell::Replayed, refused, refused]
}

/// It stays cancelled.
pub(super) async fn of_a_cancelled_order(d: Deployment) {
    d.add_book(1000).await;
    let mut cancelled = Vec::new();
    for _ in ALL {
        cancelled.push(d.orders.cancel(d.placed().await.id).await.expect("it is placed").order);
    }
    d.check_row("cancelled", cancelled, given_up("order-cancelled")).await;
}

/// It stays voided; it reads as an order without lines, and is in no list.
pub(super) async fn of_a_voided_order(d: Deployment) {
    d.add_book(1000).await;
    let mut voided = Vec::new();
    for _ in ALL {
        voided.push(d.change(order_id(), OrderAction::Void).await.expect("nobody has used the id"));
    }
    let order = voided[0].clone();
    d.check_row("voided", voided, given_up("order-voided")).await;
    assert_eq!((order.status, order.lines.len()), (Status::Voided, 0));
    let late = d.orders.purchase(order.id, lines(&[(BookId(1), 1)])).await;
    assert!(matches!(late, Err(Error::OrderVoided { .. })), "the purchase that was on its way buys nothing: {late:?}");
    let page = d.orders.orders(crate::OrderQuery::default()).await.expect("orders can be read");
    assert_eq!(page.orders, []);
}

/// It stays lapsed, and its copies are back.
pub(super) async fn of_a_lapsed_order(d: Deployment) {
    d.add_book(1000).await;
    let mut held = Vec::new();
    for _ in ALL {
        held.push(d.hold(BookId(1), 1).await);
    }
    let mut lapsed = Vec::new();
    for order in held {
        loop {
            let read = d.catalog.find_order(order.id).await.expect("it is in the ledger");
            if read.status == Status::Lapsed {
                break lapsed.push(read);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(d.stock(BookId(1)).await, 1000);
    d.check_row("lapsed", lapsed, given_up("order-lapsed")).await;
}

/// An id or a key that is in use for one thing is [`Error::OrderIdReused`] for any other.
pub(super) async fn refuses_ids_in_other_use(d: Deployment) {
    let book = d.add_book(100).await;
    let held = d.hold(book, 600).await;
    let reused = |order: OrderId| Err(Error::OrderIdReused { order });
    let hold = |copies, reference: Option<&str>| OrderAction::Hold {
        lines: lines(&[(book, copies)]),
        seconds: 600,
        reference: reference.map(|text| text.parse().expect("short")),
        contact: None,
    };
    assert_eq!(d.change(held.id, hold(1, None)).await, reused(held.id), "other lines");
    assert_eq!(d.change(held.id, hold(COPIES, Some("a"))).await, reused(held.id), "another reference");
    let other = d.orders.purchase(held.id, lines(&[(book, 1)])).await;
    assert_eq!(other.map(|receipt| receipt.order), reused(held.id));
    let delta = crate::Amend::StockDelta { delta: 1 };
    assert_eq!(
        d.catalog.amend(book, delta.clone(), Some(held.id), None).await,
        Err(Error::OrderIdReused { order: held.id })
    );
    let key = order_id();
    d.catalog.amend(book, delta, Some(key), None).await.expect("a new key");
    assert_eq!(d.change(key, hold(1, None)).await, reused(key));
    assert_eq!(d.change(key, OrderAction::Void).await, reused(key));

    let bought = d.buy(book, 2).await.expect("there are enough").order;
    let back = |copies, key| OrderAction::Return { lines: lines(&[(book, copies)]), key };
    assert_eq!(d.change(bought.id, back(1, key)).await, reused(key));
    assert_eq!(d.change(bought.id, back(1, bought.id)).await, reused(bought.id));
    let returned = order_id();
    d.change(bought.id, back(1, returned)).await.expect("two were bought");
    assert_eq!(d.change(bought.id, back(2, returned)).await, reused(returned), "other lines");
    assert_eq!(d.change(returned, OrderAction::Void).await, reused(returned));
}

/// A held order is bought at the price at which it is held, and names its reference.
pub(super) async fn holds_the_price(d: Deployment) {
    let book = d.add_book(5).await;
    let reference: Reference = "payment 17".parse().expect("short");
    let wanted = |price| Lines::new([Line { price_cents: Some(cents(price)), ..Line::new(book, 2) }]).expect("a line");
    let hold =
        OrderAction::Hold { lines: wanted(1000), seconds: 60, reference: Some(reference.clone()), contact: None };
    let held = d.orders.change(order_id(), hold, None).await.expect("there are five").order;
    assert_eq!((held.reference(), held.is_held_by_shop()), (Some(&reference), false));
    assert_eq!(held.expires_at().map(|at| at.0 - held.placed_at.0), Some(60_000));
    d.set_price(book, 1500).await;
    let seen_since = d.orders.purchase(held.id, wanted(1500)).await;
    assert_eq!(seen_since, Err(Error::PriceChanged { book, price_cents: cents(1000) }));
    let bought = d.orders.purchase(held.id, wanted(1000)).await.expect("it is held at this price").order;
    assert_eq!(
        (bought.status, bought.total_cents, bought.reference()),
        (Status::Placed, cents(2000), Some(&reference))
    );
    assert_eq!((d.stock(book).await, bought.seq), (3, held.seq));
}

/// Held copies are nobody else's, and come back when the order is cancelled.
pub(super) async fn keeps_held_copies_for_their_order(d: Deployment) {
    let book = d.add_book(2).await;
    let held = d.hold(book, 600).await;
    assert_eq!(d.buy(book, 1).await, Err(out_of_stock(book, 0)));
    d.orders.cancel(held.id).await.expect("it is held");
    d.buy(book, 2).await.expect("they are back");
}

/// What the shop holds for a payment, only the shop places: its buyer knows the id, too.
pub(super) async fn lets_only_the_shop_place_what_it_holds(d: Deployment) {
    let book = d.add_book(50).await;
    let held = d.hold(book, 600).await;
    assert!(held.is_held_by_shop());
    let seen = held.expires_at().expect("it is held");
    let extend = OrderAction::Extend { seen, expires_at: Timestamp(seen.0 + 1) };
    for action in [OrderAction::Confirm, extend] {
        let refused = d.orders.change(held.id, action, None).await;
        assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    }
    let refused = d.orders.purchase(held.id, lines(&[(book, COPIES)])).await;
    assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    d.orders.change(held.id, OrderAction::Confirm, office()).await.expect("it is held");
}

/// A hold has a limit, and names it; an extension names the end that it saw.
pub(super) async fn limits_holds(d: Deployment) {
    let book = d.add_book(50).await;
    let hold = |seconds| OrderAction::Hold { lines: lines(&[(book, 1)]), seconds, reference: None, contact: None };
    for (seconds, by) in [(0, None), (0, office()), (901, None), (86_401, office()), (u32::MAX, office())] {
        assert_invalid(d.orders.change(order_id(), hold(seconds), by).await, "hold_seconds");
    }
    let held = d.orders.change(order_id(), hold(60), None).await.expect("within the limits").order;
    let seen = held.expires_at().expect("it is held");
    let extend = |seen, expires_at| d.extend(held.id, seen, expires_at);
    let after = |seconds: i64| Timestamp(held.placed_at.0 + seconds * 1000);
    assert_invalid(extend(seen, after(901)).await, "expires_at");
    assert_invalid(extend(seen, after(59)).await, "expires_at");
    let longer = extend(seen, after(900)).await.expect("within the limit");
    assert_eq!(longer.expires_at(), Some(after(900)));
    assert_eq!(extend(seen, after(900)).await, Ok(longer.clone()), "sent again");
    assert_eq!(extend(seen, after(700)).await, Err(Error::HoldChanged { order: Box::new(longer) }));
}

/// Copies of an order come back line by line, up to what was bought, and a cancellation gives back the rest.
pub(super) async fn takes_some_copies_back(d: Deployment) {
    let books = d.add_equal_books(2, 10).await;
    let order = d.orders.purchase(order_id(), lines(&[(books[0], 3), (books[1], 1)])).await.expect("enough").order;
    let returned = d.take_back(order.id, &[(books[0], 2)]).await.expect("three were bought");
    assert_eq!(returned.returned().iter().map(|line| (line.book, line.quantity)).collect::<Vec<_>>(), [(books[0], 2)]);
    assert_eq!((returned.status, returned.lines.len(), d.stock(books[0]).await), (Status::Placed, 2, 9));
    assert_invalid(d.take_back(order.id, &[(books[0], 2)]).await, "lines");
    assert_invalid(d.take_back(order.id, &[(books[0], 1), (books[1], 2)]).await, "lines");
    assert_invalid(d.take_back(order.id, &[(BookId(99), 1)]).await, "lines");
    let cancelled = d.orders.cancel(order.id).await.expect("it is placed").order;
    assert_eq!((cancelled.status, d.stock(books[0]).await, d.stock(books[1]).await), (Status::Cancelled, 10, 10));
}

/// Confirmations, cancellations and buyers race for the last copies: each is had once.
pub(super) async fn race_for_the_last_copies(d: Deployment) {
    let book = d.add_book(COPIES).await;
    for round in 0..20 {
        let held = d.hold(book, 600).await;
        let (confirmed, cancelled, bought) = tokio::join!(
            d.orders.change(held.id, OrderAction::Confirm, office()),
            d.orders.cancel(held.id),
            d.buy(book, COPIES)
        );
        let order = d.catalog.find_order(held.id).await.expect("it is in the ledger");
        assert!(cancelled.is_ok(), "a held or placed order can be cancelled: {cancelled:?}");
        assert_eq!(order.status, Status::Cancelled, "round {round}: {confirmed:?}");
        if let Ok(bought) = bought {
            d.orders.cancel(bought.order.id).await.expect("it is placed");
        }
        assert_eq!(d.stock(book).await, COPIES, "round {round}");
    }
}

//! Reading orders: [`order`](crate::OrderService::order) and [`orders`](crate::OrderService::orders).
//!
//! An order server may read from a copy that follows the ledger. One order must still be found at once; the list of
//! orders may be behind, so the cases wait for it, up to 20 seconds.

use std::time::Duration;

use super::support::assert_invalid;
use crate::{
    conformance::deployment::Deployment,
    error::Error,
    fixtures::{lines, order_id},
    order::{Order, Status},
    page::OrderQuery,
    request::OrderAction,
};

/// How long an order server's copy may need to follow.
const FOLLOW_MAX: Duration = Duration::from_secs(20);

impl Deployment {
    /// Every page of the orders, joined. Every page but the last must be full.
    async fn all_orders(&self, page_size: u32) -> Vec<Order> {
        let mut query = OrderQuery { page_size: Some(page_size), page_token: None, ..OrderQuery::default() };
        let mut all = Vec::new();
        loop {
            let page = self.orders.orders(query.clone()).await.expect("orders can be read");
            assert!(page.orders.len() <= page_size as usize);
            let full = page.orders.len() == page_size as usize;
            all.extend(page.orders);
            match page.next_page_token {
                Some(_) if !full => panic!("a page that is not the last one is full"),
                Some(token) => query.page_token = Some(token),
                None => return all,
            }
        }
    }

    /// Waits until this order server lists the orders as they are: its copy may have to follow the ledger first.
    async fn until_listed(&self, expected: &[Order]) {
        let started = tokio::time::Instant::now();
        loop {
            let all = self.all_orders(100).await;
            if all == expected {
                return;
            }
            assert!(started.elapsed() < FOLLOW_MAX, "expected the orders\n{expected:?}\nbut they are\n{all:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// An order is found as soon as it is acknowledged, by any server; its cancellation shows on the server that
/// acknowledged it.
///
/// An order server that reads from a copy must ask the catalogue for orders that the copy lacks, and must remember its
/// own cancellations until the copy has them. The last order here was sold without this server.
pub(super) async fn reads_its_own_writes(d: Deployment) {
    let book = d.add_book(100).await;
    for _ in 0..20 {
        let bought = d.buy(book, 1).await.expect("there are enough").order;
        assert_eq!(d.orders.order(bought.id).await.as_ref(), Ok(&bought));
        let cancelled = d.orders.cancel(bought.id).await.expect("cancelled").order;
        assert_eq!(d.orders.order(bought.id).await, Ok(cancelled), "a cancellation too, through the same server");
    }
    // An order bought behind this server's back is an order as well.
    let order = order_id();
    let reserved = d.catalog.sell(order, lines(&[(book, 1)])).await.expect("there are enough").order;
    assert_eq!(d.orders.order(order).await, Ok(reserved));
    let order = order_id();
    assert_eq!(d.orders.order(order).await, Err(Error::OrderNotFound { order }));
}

/// Orders are listed newest first, each once, whatever the page size. Orders that are sold meanwhile do not move the
/// pages behind a token.
///
/// The token names the last order of its page, not a number of orders to skip. A copy may be behind, so the case waits
/// up to 20 seconds for it.
pub(super) async fn pages_newest_first(d: Deployment) {
    let book = d.add_book(100).await;
    d.until_listed(&[]).await;
    let mut orders = Vec::new();
    for n in 0..25 {
        orders.push(d.buy(book, 1).await.expect("there are enough").order);
        if n % 4 == 0 {
            d.restock(book, 1).await.expect("a restock");
        }
    }
    for order in orders.iter_mut().step_by(3) {
        *order = d.orders.cancel(order.id).await.expect("cancelled").order;
        assert_eq!(order.status, Status::Cancelled);
    }
    orders.reverse();
    d.until_listed(&orders).await;
    for page_size in [1, 5, 7, 25] {
        assert_eq!(d.all_orders(page_size).await, orders);
    }
    // Orders sold meanwhile do not move the pages behind a token.
    let first = OrderQuery { page_size: Some(10), page_token: None, ..OrderQuery::default() };
    let token = d.orders.orders(first).await.expect("orders can be read").next_page_token;
    d.buy(book, 1).await.expect("there are enough");
    let next = OrderQuery { page_size: Some(10), page_token: token, ..OrderQuery::default() };
    assert_eq!(d.orders.orders(next).await.expect("orders can be read").orders, orders[10..20]);
}

/// Orders are found by reference, state, book and time, and by several of these, on pages of any size.
///
/// A page may have fewer orders than its size although another one follows.
pub(super) async fn finds_what_is_looked_for(d: Deployment) {
    let books = d.add_equal_books(2, 100).await;
    let reference = |n: usize| Some(format!("payment {n} & co").parse().expect("a short text"));
    let mut orders = Vec::new();
    for n in 0..12 {
        let sold = if n % 4 == 3 { lines(&[(books[0], 1), (books[1], 1)]) } else { lines(&[(books[n % 2], 1)]) };
        let action = OrderAction::Purchase {
            lines: sold,
            reference: (n % 3 == 0).then(|| reference(n % 2)).flatten(),
            contact: None,
        };
        orders.push(d.orders.change(order_id(), action, None).await.expect("there are enough").order);
    }
    for order in orders.iter_mut().skip(1).step_by(5) {
        *order = d.orders.cancel(order.id).await.expect("cancelled").order;
    }
    orders.reverse();
    d.until_listed(&orders).await;
    let (middle, plain) = (orders[6].placed_at, OrderQuery::default());
    let queries = [
        OrderQuery { reference: reference(0), ..plain.clone() },
        OrderQuery { reference: reference(7), ..plain.clone() },
        OrderQuery { status: Some(Status::Cancelled), ..plain.clone() },
        OrderQuery { status: Some(Status::Held), ..plain.clone() },
        OrderQuery { book: Some(books[1]), ..plain.clone() },
        OrderQuery { book: Some(books[0]), status: Some(Status::Placed), reference: reference(1), ..plain.clone() },
        OrderQuery { from: Some(middle), ..plain.clone() },
        OrderQuery { to: Some(middle), book: Some(books[0]), ..plain },
    ];
    for query in queries {
        let wanted = |order: &&Order| {
            (query.reference.is_none() || order.reference() == query.reference.as_ref())
                && query.status.is_none_or(|status| order.status == status)
                && query.book.is_none_or(|book| order.lines.iter().any(|line| line.book == book))
                && query.from.is_none_or(|from| from <= order.placed_at)
                && query.to.is_none_or(|to| order.placed_at < to)
        };
        let expected: Vec<Order> = orders.iter().filter(wanted).cloned().collect();
        for page_size in [1, 2, 100] {
            let (mut found, mut query) = (Vec::new(), OrderQuery { page_size: Some(page_size), ..query.clone() });
            loop {
                let page = d.orders.orders(query.clone()).await.expect("orders can be read");
                assert!(page.orders.len() <= page_size as usize);
                found.extend(page.orders);
                query.page_token = page.next_page_token;
                if query.page_token.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{query:?}");
        }
    }
    let backwards = OrderQuery { from: Some(middle), to: Some(middle), ..OrderQuery::default() };
    assert_invalid(d.orders.orders(backwards).await, "to");
}

/// A token that was made up is [`Error::Invalid`].
///
/// A token that cannot be read must not be taken for none: that would show the first page again and again.
pub(super) async fn rejects_invalid_tokens(d: Deployment) {
    let book = d.add_book(100).await;
    let bought = d.buy(book, 1).await.expect("there are enough").order;
    d.until_listed(&[bought]).await;
    for token in ["x", "!", "AAAA", "🦀", &"A".repeat(500)] {
        let query = OrderQuery { page_size: None, page_token: Some(token.into()), ..OrderQuery::default() };
        assert_invalid(d.orders.orders(query).await, "page_token");
    }
}

//! One order: what was bought, and how to cancel it.

use askama::Template;
use axum::http::{StatusCode, Uri};
use bookstore_core::{BookId, Cents, Error, Order, OrderId, OrderLine, Status};
use futures_util::{StreamExt, stream};

use super::{assets, form::Fields, notice::Notice, page, patiently, see_other, text};
use crate::{
    frontend::{Answer, Shop},
    wire,
};

/// Titles looked up at once.
const LOOKUPS: usize = 16;

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    id: OrderId,
    /// `None` if nobody can say now; cancelling may be tried again all the same.
    order: Option<Order>,
    lines: Vec<LineView>,
    notice: Option<Notice>,
}

/// A line with the words and sums around it.
struct LineView {
    book: BookId,
    title: String,
    quantity: u32,
    each: Cents,
    sum: Cents,
}

/// `GET /orders/{id}`
pub(crate) async fn order(shop: &Shop, id: OrderId, uri: &Uri) -> Answer {
    let order = shop.orders.order(id).await?;
    let was_cancelled = !Fields::of_uri(uri).text("cancelled").is_empty();
    let notice = (was_cancelled && order.status == Status::Placed)
        .then(|| Notice::good("The order is cancelled. This page will show it in a moment: please reload it."));
    page(StatusCode::OK, &OrderPage::new(shop, id, Some(order), notice).await)
}

/// `POST /orders/{id}/cancel` with a form.
pub(crate) async fn cancel(shop: &Shop, id: OrderId) -> Answer {
    match patiently(shop.orders.cancel(id)).await {
        // The page may be read through a copy that has not heard of it yet.
        Ok(_) => Ok(see_other(&format!("/orders/{id}?cancelled=yes"))),
        Err(error @ Error::UnknownOrder { .. }) => Err(error.into()),
        Err(error) => {
            let notice = Notice::trouble(&error, "The order was not cancelled.");
            let order = shop.orders.order(id).await.ok();
            let (status, _) = wire::status(&error);
            page(status, &OrderPage::new(shop, id, order, Some(notice)).await)
        }
    }
}

impl OrderPage {
    async fn new(shop: &Shop, id: OrderId, order: Option<Order>, notice: Option<Notice>) -> Self {
        let lines: Vec<OrderLine> = order.iter().flat_map(|order| order.lines.iter().copied()).collect();
        let lines = stream::iter(lines).map(|line| LineView::new(shop, line)).buffered(LOOKUPS).collect().await;
        Self { id, order, lines, notice }
    }

    fn heading(&self) -> &'static str {
        match self.order.as_ref().map(|order| order.status) {
            Some(Status::Placed) => "Your order is placed",
            Some(Status::Cancelled) => "Your order is cancelled",
            None => "Your order",
        }
    }

    /// Whether there may be something to cancel.
    fn cancellable(&self) -> bool {
        self.order.as_ref().is_none_or(|order| order.status == Status::Placed)
    }
}

impl LineView {
    /// An order reads well enough without its titles, so the catalogue need not answer.
    async fn new(shop: &Shop, line: OrderLine) -> Self {
        let OrderLine { book, quantity, unit_price_cents: each } = line;
        let title = shop.catalog.info(book).await.map_or_else(|_| format!("Book {book}"), |book| book.text.title);
        // The order's total was checked when it was sold, and no line is more than that.
        let sum = each.times(quantity).unwrap_or(Cents::MAX);
        Self { book, title, quantity, each, sum }
    }
}

//! One order: what was bought, and how to cancel it.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{
    BookId, Cents, Contact, Error, Order, OrderAction, OrderId, OrderLine, Result, Status, Timestamp,
};
use futures_util::{StreamExt, stream};

use super::{
    assets,
    form::Fields,
    money::Money,
    notice::Notice,
    render::{page, see_other},
    text,
    timeouts::{read_in_time, write_in_time},
};
use crate::{
    api::{Answer, Shared, Shop, extract::Payload, order_id::ExistingOrderId},
    error_status,
};

/// Titles looked up at once.
const LOOKUPS: usize = 16;

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    /// The path that its form is sent to, without the order id.
    base: &'static str,
    id: OrderId,
    /// `None` if it cannot be read now; cancelling may be tried again all the same.
    order: Option<Order>,
    lines: Vec<LineView>,
    money: Money,
    notice: Option<Notice>,
    /// Who it is for, if that may be shown.
    contact: Option<Contact>,
}

/// A line with the words and sums around it.
struct LineView {
    book: BookId,
    title: String,
    quantity: u32,
    each: Cents,
    sum: Cents,
}

/// Where the buyers' order pages are.
pub(super) const ORDERS: &str = "/orders";

/// `GET /orders/{id}`
pub(super) async fn show(State(shop): Shared, ExistingOrderId(id): ExistingOrderId, uri: Uri) -> Answer {
    show_under(ORDERS, &shop, id, &uri, true).await
}

/// `POST /orders/{id}/cancel` with a form, which has no fields.
pub(super) async fn cancel(State(shop): Shared, ExistingOrderId(id): ExistingOrderId, _: Payload) -> Answer {
    cancel_under(ORDERS, &shop, id).await
}

/// `POST /orders/{id}/confirm` with a form, which has no fields.
pub(super) async fn confirm(State(shop): Shared, ExistingOrderId(id): ExistingOrderId, _: Payload) -> Answer {
    match write_in_time(shop.orders.change(id, OrderAction::Confirm, None)).await {
        Ok(_) => Ok(see_other(&format!("{ORDERS}/{id}"))),
        Err(error @ Error::OrderNotFound { .. }) => Err(error.into()),
        Err(error) => failed(ORDERS, &shop, id, &error, "This did not place the order.").await,
    }
}

/// The page of an order that was not changed.
pub(super) async fn failed(base: &'static str, shop: &Shop, id: OrderId, error: &Error, what: &'static str) -> Answer {
    let notice = Notice::failure(error, what);
    let order = read_in_time(shop.orders.order(id)).await.ok();
    let (status, _) = error_status::status(error);
    let mut answer = OrderPage::new(base, shop, id, order, Some(notice)).await;
    if base == ORDERS {
        answer.read_contact(shop).await;
    }
    page(status, &answer)
}

/// The page of an order, under the path `base`.
pub(super) async fn show_under(base: &'static str, shop: &Shop, id: OrderId, uri: &Uri, shows_contact: bool) -> Answer {
    let order = shop.orders.order(id).await?;
    let was_cancelled = !Fields::of_uri(uri).text("cancelled").is_empty();
    let notice = (was_cancelled && order.status == Status::Placed)
        .then(|| Notice::good("The order is cancelled. This page will show it in a moment: please reload it."));
    let mut answer = OrderPage::new(base, shop, id, Some(order), notice).await;
    if shows_contact {
        answer.read_contact(shop).await;
    }
    page(StatusCode::OK, &answer)
}

/// Cancels an order, and leads back to its page under the path `base`.
pub(super) async fn cancel_under(base: &'static str, shop: &Shop, id: OrderId) -> Answer {
    match write_in_time(shop.orders.cancel(id)).await {
        // The page may be read from a copy that is behind.
        Ok(_) => Ok(see_other(&format!("{base}/{id}?cancelled=yes"))),
        Err(error @ Error::OrderNotFound { .. }) => Err(error.into()),
        Err(error) => failed(base, shop, id, &error, "This did not cancel the order.").await,
    }
}

impl OrderPage {
    async fn new(base: &'static str, shop: &Shop, id: OrderId, order: Option<Order>, notice: Option<Notice>) -> Self {
        let sold: Vec<OrderLine> = order.iter().flat_map(|order| order.lines.iter().copied()).collect();
        // An order reads well enough without its titles, so the catalogue need not answer.
        let (titles, money) = tokio::join!(read_in_time(titles(shop, &sold)), Money::of(shop));
        let titles = titles.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
        let lines = sold.into_iter().zip(titles).map(|(line, title)| LineView::new(line, title)).collect();
        Self { base, id, order, lines, money, notice, contact: None }
    }

    /// Reads who it is for. The order reads well enough without that.
    async fn read_contact(&mut self, shop: &Shop) {
        if self.order.as_ref().is_some_and(|order| order.status != Status::Voided) {
            self.contact = read_in_time(shop.orders.contact(self.id)).await.ok().flatten();
        }
    }

    /// Whether its buyer may change who it is for.
    fn correctable(&self) -> bool {
        self.base == ORDERS && self.cancellable()
    }

    /// The texts of the contact, each with its name and what its field is called.
    fn texts(contact: &Contact) -> [(&'static str, &'static str, Option<&str>); 4] {
        [
            ("Name", "name", contact.name()),
            ("E-mail", "email", contact.email()),
            ("Address", "address", contact.address()),
            ("Note", "note", contact.note()),
        ]
    }

    fn heading(&self) -> &'static str {
        match self.order.as_ref().map(|order| order.status) {
            Some(Status::Held) => "Your order is held",
            Some(Status::Placed) => "Your order is placed",
            Some(Status::Fulfilled) => "Your order was handed over",
            Some(Status::Cancelled) => "Your order is cancelled",
            Some(Status::Lapsed) => "Your order was not confirmed in time",
            Some(Status::Voided) => "Nothing was ordered",
            None => "Your order",
        }
    }

    /// What its first entry did.
    fn began(&self) -> &'static str {
        match &self.order {
            Some(order) if order.status == Status::Voided => "Given up",
            Some(order) if order.expires_at().is_some() => "Held",
            _ => "Placed",
        }
    }

    /// What happened later: in words, when, and with which effect.
    fn later(&self) -> Vec<(&'static str, Timestamp, &'static str)> {
        const BACK: &str = "; the copies are back in stock";
        let Some(order) = &self.order else { return Vec::new() };
        let details = order.details.as_deref();
        let until = order.expires_at().filter(|_| order.status == Status::Held);
        let all = [
            ("Held until", until, ""),
            ("Not confirmed by", details.and_then(|details| details.lapsed_at), BACK),
            ("Cancelled on", order.cancelled_at, BACK),
            ("Handed over on", details.and_then(|details| details.fulfilled_at), ""),
        ];
        all.into_iter().filter_map(|(what, at, then)| Some((what, at?, then))).collect()
    }

    /// Whether its buyer may place it.
    fn confirmable(&self) -> bool {
        let order = self.order.as_ref();
        order.is_some_and(|order| order.status == Status::Held && !order.is_held_by_shop())
    }

    /// Whether there may be something to cancel.
    fn cancellable(&self) -> bool {
        self.order.as_ref().is_none_or(|order| matches!(order.status, Status::Held | Status::Placed))
    }
}

/// The title of each line's book, where the catalogue answers.
async fn titles(shop: &Shop, lines: &[OrderLine]) -> Result<Vec<Option<String>>> {
    let books: Vec<BookId> = lines.iter().map(|line| line.book).collect();
    let title = async |book| shop.catalog.info(book).await.ok().map(|book| book.text.title().to_owned());
    Ok(stream::iter(books).map(title).buffered(LOOKUPS).collect().await)
}

impl LineView {
    fn new(line: OrderLine, title: Option<String>) -> Self {
        let OrderLine { book, quantity, unit_price_cents: each } = line;
        let title = title.unwrap_or_else(|| format!("Book {book}"));
        // The order's total was checked when it was sold, and no line is more than that.
        let sum = each.times(quantity).unwrap_or(Cents::MAX);
        Self { book, title, quantity, each, sum }
    }
}

//! Buying, cancelling and reading orders.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{BookId, Cents, Line, Lines, Order, OrderId, OrderPage, Receipt};
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;
use std::sync::LazyLock;

use super::{
    Answer, ResponseFormat, Shared, Shop,
    admin::Admin,
    extract::{InPath, Key, Object, Payload},
    messages::REPLAYED,
    query, security_headers,
};
use crate::{error_status::order_json, pages};

/// How many copies to buy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Purchase {
    /// Copies, 1 to 1000.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    pub(super) quantity: u32,
    /// The price that the buyer saw; if it has changed since, nothing is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price_cents: Option<Cents>,
}

fn one() -> u32 {
    1
}

impl Default for Purchase {
    fn default() -> Self {
        Self { quantity: one(), price_cents: None }
    }
}

/// Several books at once, all or none.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest {
    /// 1 to 100 lines; those of one book are summed.
    #[schema(value_type = Vec<LineRequest>, min_items = 1, max_items = 100)]
    #[serde(deserialize_with = "objects")]
    pub(super) lines: SmallVec<[LineRequest; 1]>,
}

fn objects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SmallVec<[LineRequest; 1]>, D::Error> {
    let lines = SmallVec::<[Object<LineRequest>; 1]>::deserialize(deserializer)?;
    Ok(lines.into_iter().map(|Object(line)| line).collect())
}

/// One book of an order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineRequest {
    /// Which book.
    pub(super) book: BookId,
    /// Copies, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) quantity: u32,
    /// The price that the buyer saw; if it has changed since, nothing is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price_cents: Option<Cents>,
}

impl From<LineRequest> for Line {
    fn from(LineRequest { book, quantity, price_cents }: LineRequest) -> Self {
        Self { book, quantity, price_cents }
    }
}

/// Buys copies of one book, once per `Idempotency-Key`.
///
/// The key names the purchase intent: make a UUID, keep it until there is an answer, and send it again after a lost
/// one. Whoever knows the order id may read and cancel the order, so a key that is not a UUID must be unguessable too.
#[utoipa::path(post, path = "/purchase/{id}", tag = "orders",
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, pattern = r#"^([!#-~]([ -~]*[!-~])?|"([ !#-\[\]-~])+")$"#,
            description = "The order id: a UUID, version 7 preferred. Any other text of at most 255 characters is hashed to one; it may stand in quotes. Without it a retry buys again"),
    ),
    request_body(content = inline(Option<Purchase>), description = "One copy if there is no body"),
    responses(
        (status = 201, description = "Bought", body = Order, headers(("Location" = String, description = "The order"))),
        (status = 200, description = "Bought earlier under this key", body = Order,
            headers(("Idempotency-Replayed" = String, description = "`true`"), ("Location" = String, description = "The order")))))]
pub(super) async fn purchase(
    State(shop): Shared,
    wants: ResponseFormat,
    InPath(book): InPath<BookId>,
    key: Key,
    payload: Payload,
) -> Answer {
    match wants {
        ResponseFormat::Html if payload.is_form() => pages::buy(&shop, book, &payload.bytes).await,
        _ => buy(&shop, book, key, &payload).await,
    }
}

/// What [`purchase`] does for programs.
pub(super) async fn buy(shop: &Shop, book: BookId, Key(key): Key, payload: &Payload) -> Answer {
    let Purchase { quantity, price_cents } = payload.optional_json()?.unwrap_or_default();
    let lines = Lines::new([Line { book, quantity, price_cents }])?;
    let id = key.unwrap_or_else(|| shop.clock.new_order_id());
    Ok(bought(shop.orders.purchase(id, lines).await?))
}

/// Buys several books at once, all or none, once per order id.
#[utoipa::path(put, path = "/orders/{id}", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id, made by the buyer once per purchase intent")),
    request_body = OrderRequest,
    responses(
        (status = 201, description = "Bought", body = Order),
        (status = 200, description = "Bought earlier under this id", body = Order,
            headers(("Idempotency-Replayed" = String, description = "`true`")))))]
pub(super) async fn place_order(State(shop): Shared, InPath(id): InPath<OrderId>, payload: Payload) -> Answer {
    let OrderRequest { lines } = payload.json()?;
    let lines = Lines::new(lines.into_iter().map(Line::from))?;
    Ok(bought(shop.orders.purchase(id, lines).await?))
}

/// Reads an order.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses((status = 200, description = "The order", content((Order = "application/json"), (String = "text/html")))))]
pub(super) async fn order(State(shop): Shared, wants: ResponseFormat, InPath(id): InPath<OrderId>, uri: Uri) -> Answer {
    match wants {
        ResponseFormat::Html => pages::order(&shop, id, &uri).await,
        ResponseFormat::Json => Ok(Json(shop.orders.order(id).await?).into_response()),
    }
}

/// Cancels an order and puts its copies back into stock; again and again is the same as once.
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses(
        (status = 200, description = "Cancelled, now or earlier", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was cancelled already")))))]
pub(super) async fn cancel(
    State(shop): Shared,
    wants: ResponseFormat,
    InPath(id): InPath<OrderId>,
    payload: Payload,
) -> Answer {
    if wants == ResponseFormat::Html && payload.is_form() {
        return pages::cancel(&shop, id).await;
    }
    payload.optional_json::<Nothing>()?;
    Ok(receipt(StatusCode::OK, shop.orders.cancel(id).await?))
}

/// A body without any field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// All orders, newest first.
#[utoipa::path(get, path = "/orders", tag = "admin", security(("token" = [])),
    params(
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Orders a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of orders", body = OrderPage)))]
pub(super) async fn orders(State(shop): Shared, _: Admin, uri: Uri) -> Answer {
    let query = query::orders(&uri)?;
    Ok(Json(shop.orders.orders(query).await?).into_response())
}

/// The answer to a purchase.
fn bought(done: Receipt) -> Response {
    receipt(if done.replayed { StatusCode::OK } else { StatusCode::CREATED }, done)
}

fn receipt(status: StatusCode, Receipt { order, replayed }: Receipt) -> Response {
    let mut uuid = uuid::Uuid::encode_buffer();
    let location = ["/orders/", order.id.0.hyphenated().encode_lower(&mut uuid)].concat();
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| security_headers::json_headers(header::LOCATION));
    let mut headers = HEADERS.clone();
    headers.insert(header::LOCATION, HeaderValue::try_from(location).expect("a UUID is visible ASCII"));
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    let mut response = Response::new(order_json(&order).into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

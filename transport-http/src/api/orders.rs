//! Buying, cancelling and reading orders.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{BookId, Cents, Line, Lines, Receipt};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    admin::{Admin, Caller},
    extract::{InPath, Object, Payload},
    json::json,
    messages::REPLAYED,
    order_id::{ExistingOrderId, NewOrderId, NewOrderKey},
    query,
    rejection::Answer,
    shop::Shared,
};

/// How many copies to buy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Purchase {
    /// Copies, 1 to 1000.
    #[serde(default = "one")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000, default = 1))]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest {
    /// 1 to 100 lines; those of one book are summed.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<LineRequest>, min_items = 1, max_items = 100))]
    #[serde(deserialize_with = "objects")]
    pub(super) lines: Vec<LineRequest>,
}

fn objects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LineRequest>, D::Error> {
    let lines = Vec::<Object<LineRequest>>::deserialize(deserializer)?;
    Ok(lines.into_iter().map(|Object(line)| line).collect())
}

/// One book of an order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct LineRequest {
    /// Which book.
    pub(super) book: BookId,
    /// Copies, 1 to 1000.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
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

impl From<Line> for LineRequest {
    fn from(Line { book, quantity, price_cents }: Line) -> Self {
        Self { book, quantity, price_cents }
    }
}

/// `POST /purchase/{id}`
pub(super) async fn purchase(
    State(shop): Shared,
    InPath(book): InPath<BookId>,
    NewOrderKey(key): NewOrderKey,
    payload: Payload,
) -> Answer {
    let Purchase { quantity, price_cents } = payload.optional_json()?.unwrap_or_default();
    let lines = Lines::new([Line { book, quantity, price_cents }])?;
    let id = key.unwrap_or_else(|| shop.clock.new_order_id());
    Ok(bought(shop.orders.purchase(id, lines).await?))
}

/// `PUT /orders/{id}`
pub(super) async fn place_order(State(shop): Shared, NewOrderId(id): NewOrderId, payload: Payload) -> Answer {
    let OrderRequest { lines } = payload.json()?;
    let lines = Lines::new(lines.into_iter().map(Line::from))?;
    Ok(bought(shop.orders.purchase(id, lines).await?))
}

/// `GET /orders/{id}`
pub(super) async fn order(State(shop): Shared, ExistingOrderId(id): ExistingOrderId) -> Answer {
    Ok(Json(shop.orders.order(id).await?).into_response())
}

/// `POST /orders/{id}/cancel`
pub(super) async fn cancel(
    State(shop): Shared,
    ExistingOrderId(id): ExistingOrderId,
    Caller(actor): Caller,
    payload: Payload,
) -> Answer {
    payload.optional_json::<Nothing>()?;
    let done = shop.orders.cancel(id).await?;
    if let Some(actor) = actor {
        actor.changed(format_args!("order {id} cancelled"));
    }
    Ok(receipt(StatusCode::OK, done))
}

/// A body without any field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `GET /orders`
pub(super) async fn orders(State(shop): Shared, _: Admin, uri: Uri) -> Answer {
    let query = query::orders(&uri)?;
    Ok(Json(shop.orders.orders(query).await?).into_response())
}

/// The answer to a purchase.
fn bought(done: Receipt) -> Response {
    receipt(if done.replayed { StatusCode::OK } else { StatusCode::CREATED }, done)
}

fn receipt(status: StatusCode, Receipt { order, replayed }: Receipt) -> Response {
    let location = HeaderValue::try_from(format!("/orders/{}", order.id)).expect("a UUID is visible ASCII");
    let mut response = json(&order);
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

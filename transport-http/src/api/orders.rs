//! Buying, cancelling and reading orders.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bookstore_core::{BookId, Cents, Contact, Line, Lines, OrderAction, Receipt, Reference};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    admin::{Admin, Caller},
    changes::{Terms, place},
    extract::{InPath, Object, Payload},
    json,
    messages::REPLAYED,
    order_id::{ExistingOrderId, NewOrderId, NewOrderKey},
    query,
    rejection::Answer,
    shop::Shared,
};
use crate::token::{Actor, Role};

/// How many copies to buy.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// What the order is called elsewhere, for example by a payment: 1 to 200 characters. It is not secret and never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, min_length = 1, max_length = 200))]
    pub(super) reference: Option<Reference>,
    /// Sets the copies aside for so many seconds instead of buying them: with a token 1 to 86,400, else 1 to 900 and only where the
    /// shop allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86400))]
    pub(super) hold_seconds: Option<u32>,
    /// Who the order is for, where the shop keeps that. It is no part of the order, and can be corrected and erased.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "contact")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Contact>))]
    pub(super) contact: Option<Box<Contact>>,
}

/// An object only, as everywhere.
pub(super) fn contact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Contact>>, D::Error> {
    let contact = Option::<Object<Contact>>::deserialize(deserializer)?;
    Ok(contact.map(|Object(contact)| Box::new(contact)))
}

fn one() -> u32 {
    1
}

impl Default for Purchase {
    fn default() -> Self {
        Self { quantity: one(), price_cents: None, reference: None, hold_seconds: None, contact: None }
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
    /// What the order is called elsewhere, for example by a payment: 1 to 200 characters. It is not secret and never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, min_length = 1, max_length = 200))]
    pub(super) reference: Option<Reference>,
    /// Sets the copies aside for so many seconds instead of buying them: with a token 1 to 86,400, else 1 to 900 and only where the
    /// shop allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86400))]
    pub(super) hold_seconds: Option<u32>,
    /// Who the order is for, where the shop keeps that. It is no part of the order, and can be corrected and erased.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "contact")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Contact>))]
    pub(super) contact: Option<Box<Contact>>,
}

pub(super) fn objects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LineRequest>, D::Error> {
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
    caller: Caller,
    payload: Payload,
) -> Answer {
    let Purchase { quantity, price_cents, reference, hold_seconds, contact } =
        payload.optional_json()?.unwrap_or_default();
    let lines = Lines::new([Line { book, quantity, price_cents }])?;
    let id = key.unwrap_or_else(|| shop.clock.new_order_id());
    let terms = Terms { reference, hold_seconds, contact };
    if !terms.are_none() || caller.0.is_some() {
        return Box::pin(place(&shop, id, lines, terms, caller)).await;
    }
    Ok(bought(shop.orders.purchase(id, lines).await?))
}

/// `PUT /orders/{id}`
pub(super) async fn place_order(
    State(shop): Shared,
    NewOrderId(id): NewOrderId,
    caller: Caller,
    payload: Payload,
) -> Answer {
    let OrderRequest { lines, reference, hold_seconds, contact } = payload.json()?;
    let lines = Lines::new(lines.into_iter().map(Line::from))?;
    let terms = Terms { reference, hold_seconds, contact };
    if !terms.are_none() || caller.0.is_some() {
        return place(&shop, id, lines, terms, caller).await;
    }
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
    let Cancellation { void } = payload.optional_json()?.unwrap_or_default();
    let by = actor.as_ref().map(Actor::for_ledger).transpose()?;
    let done = match (void, by) {
        (false, None) => shop.orders.cancel(id).await?,
        (false, by) => shop.orders.change(id, OrderAction::Cancel, by).await?,
        (true, by) => shop.orders.change(id, OrderAction::Void, by).await?,
    };
    if let Some(actor) = actor {
        actor.changed(format_args!("order {id} cancelled"));
    }
    Ok(receipt(StatusCode::OK, done))
}

/// How to cancel.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Cancellation {
    /// Gives the id up if there is no such order: then it never buys anything, however late a purchase arrives.
    #[serde(default)]
    pub(super) void: bool,
}

/// A body without any field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Who may look for names and e-mail addresses.
pub(crate) const READS_CONTACTS: Role = Role::Stock;

/// `GET /orders`
pub(super) async fn orders(State(shop): Shared, Admin(actor): Admin, uri: Uri) -> Answer {
    let query = query::orders(&uri)?;
    if query.contact.is_some() {
        actor.allow(READS_CONTACTS)?;
    }
    Ok(Json(shop.orders.orders(query).await?).into_response())
}

/// The answer to a purchase.
fn bought(done: Receipt) -> Response {
    receipt(if done.replayed { StatusCode::OK } else { StatusCode::CREATED }, done)
}

pub(super) fn receipt(status: StatusCode, Receipt { order, replayed }: Receipt) -> Response {
    let mut response = json::order(&order);
    *response.status_mut() = status;
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

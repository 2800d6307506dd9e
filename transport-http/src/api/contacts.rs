//! Who an order is for: reading, correcting and erasing its contact.
//!
//! Whoever knows the order's id may read the contact, and change it while the order is open. A token with the role [`Role::Stock`] may
//! always.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bookstore_core::{Actor, Contact, Error, Order, OrderAction, OrderId, Result, Status};

use super::{
    admin::Caller,
    changes::by_shop,
    extract::Payload,
    order_id::ExistingOrderId,
    orders::{Nothing, receipt},
    rejection::Answer,
    shop::{Shared, Shop},
};

/// `GET /orders/{id}/contact`
pub(super) async fn contact(State(shop): Shared, ExistingOrderId(id): ExistingOrderId) -> Answer {
    Ok(match shop.orders.contact(id).await? {
        Some(contact) => Json(contact).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `PUT /orders/{id}/contact`
pub(super) async fn set(
    State(shop): Shared,
    ExistingOrderId(id): ExistingOrderId,
    Caller(caller): Caller,
    payload: Payload,
) -> Answer {
    let contact: Contact = payload.json()?;
    let (actor, by) = (caller.clone(), by_shop(caller)?);
    let by_shop = by.is_some();
    let done = shop.orders.change(id, OrderAction::SetContact { contact: Box::new(contact) }, by).await?;
    if let Some(actor) = actor.filter(|_| by_shop) {
        actor.changed(format_args!("contact of order {id} changed"));
    }
    Ok(receipt(StatusCode::OK, done))
}

/// `DELETE /orders/{id}/contact`
pub(super) async fn erase(
    State(shop): Shared,
    ExistingOrderId(id): ExistingOrderId,
    Caller(caller): Caller,
    payload: Payload,
) -> Answer {
    payload.optional_json::<Nothing>()?;
    let actor = caller.clone();
    let by = by_shop(caller)?;
    let answer = erase_by(&shop, id, by.clone()).await?;
    if let Some(actor) = actor.filter(|_| by.is_some()) {
        actor.changed(format_args!("contact of order {id} erased"));
    }
    Ok(answer)
}

async fn erase_by(shop: &Shop, id: OrderId, by: Option<Actor>) -> Result<Response> {
    if by.is_none() {
        // The clock of a shop erases contacts of any order without an actor, so the ledger does not refuse this.
        check_open(shop.orders.order(id).await?)?;
    }
    Ok(receipt(StatusCode::OK, shop.orders.change(id, OrderAction::EraseContact, by).await?))
}

/// Whether an order is still its buyer's to change.
///
/// # Errors
/// The refusal for its state.
pub(crate) fn check_open(order: Order) -> Result<()> {
    match order.status {
        Status::Held | Status::Placed => Ok(()),
        Status::Fulfilled | Status::Cancelled | Status::Lapsed | Status::Voided => Err(Error::of_state(order)),
    }
}

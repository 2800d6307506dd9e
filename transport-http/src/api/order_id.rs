//! Which order ids the public interface takes, and from whom.
//!
//! Whoever knows an order's id may read and cancel the order, and whoever buys first under an id owns it. So a new order's id must
//! be one that is drawn at random: a UUID of version 4 or 7. Orders that have another id, from a program in the shop's own process
//! or from before this rule, are read and cancelled with a token. Without it such an id is refused whether there is an
//! order or not, so that a guess learns nothing.

use axum::{extract::FromRequestParts, http::header, http::request::Parts};
use bookstore_core::{Error, OrderId, Result};
use std::sync::Arc;

use super::{
    admin::Admin,
    extract::{InPath, Key},
    rejection::Rejection,
    shop::Shop,
};

/// The id of a new order, in the path.
pub(crate) struct NewOrderId(pub(crate) OrderId);

impl<S: Send + Sync> FromRequestParts<S> for NewOrderId {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let InPath(id) = InPath::from_request_parts(parts, state).await?;
        Ok(Self(random(id, "order_id")?))
    }
}

/// The `Idempotency-Key` of a purchase: the id of a new order.
pub(crate) struct NewOrderKey(pub(crate) Option<OrderId>);

impl<S: Sync> FromRequestParts<S> for NewOrderKey {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let Key(key) = Key::from_request_parts(parts, state).await?;
        Ok(Self(key.map(|key| random(key, "Idempotency-Key")).transpose()?))
    }
}

/// The id of an order that exists, in the path: of any kind with a token, a random one without.
pub(crate) struct ExistingOrderId(pub(crate) OrderId);

impl FromRequestParts<Arc<Shop>> for ExistingOrderId {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Rejection> {
        let InPath(id) = InPath::<OrderId>::from_request_parts(parts, shop).await?;
        if id.is_random() {
            return Ok(Self(id));
        }
        let id = id.check()?;
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            let message = "is no UUID of version 4 or 7, and may be guessed: this order needs a token";
            return Err(Error::invalid("order_id", message).into());
        }
        Admin::from_request_parts(parts, shop).await?;
        Ok(Self(id))
    }
}

fn random(id: OrderId, field: &str) -> Result<OrderId> {
    if id.is_random() {
        return Ok(id);
    }
    let message = "must be a UUID of version 4 or 7 (RFC 9562) that was drawn at random for this purchase, such as \
                   `uuidgen` prints: anything else can be guessed, and whoever knows the id may cancel the order";
    Err(Error::invalid(field, message))
}

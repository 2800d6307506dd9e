//! One order for the shop's own people: the buyer's page, also for an order whose id shows it to nobody else.

use axum::{
    extract::State,
    http::{HeaderValue, Uri, header},
};
use bookstore_core::OrderId;

use super::login::SignedIn;
use crate::{
    api::{
        Answer, Shared,
        extract::{InPath, Payload},
    },
    pages::order::{cancel_under, show_under},
    token::Role,
};

const ORDERS: &str = "/admin/orders";

/// `GET /admin/orders/{id}`
pub(super) async fn show(
    State(shop): Shared,
    SignedIn { actor, .. }: SignedIn,
    InPath(id): InPath<OrderId>,
    uri: Uri,
) -> Answer {
    let shows_contact = actor.allow(Role::Stock).is_ok();
    show_under(ORDERS, &shop, id, &uri, shows_contact).await.map(not_stored)
}

/// `POST /admin/orders/{id}/cancel` with a form, which has no fields.
pub(super) async fn cancel(
    State(shop): Shared,
    SignedIn { actor, .. }: SignedIn,
    InPath(id): InPath<OrderId>,
    _: Payload,
) -> Answer {
    let answer = cancel_under(ORDERS, &shop, id).await?;
    // Otherwise it is a page that says why not.
    if answer.status().is_redirection() {
        actor.changed(format_args!("order {id} cancelled"));
    }
    Ok(not_stored(answer))
}

fn not_stored(mut response: axum::response::Response) -> axum::response::Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

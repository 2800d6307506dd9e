//! `GET /events`: every change of stock or price as a server-sent event.
//!
//! One task per process follows the ledger ([`Feed`]) and hands each batch of entries, rendered once, to every subscriber.
//! A subscriber knows the last entry it was sent; entries are numbered without gaps, so it notices when it has missed some (it
//! was slow, it has just resumed, the task was asleep) and reads those from the ledger itself.

mod batch;
pub(super) mod feed;
mod subscriber;

use axum::{
    Extension,
    body::Body,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, Uri, header, request::Parts},
    response::IntoResponse,
};
use bookstore_core::{Error, Seq};
use futures_util::stream;
use std::{convert::Infallible, sync::Arc};

use super::{
    admin::Admin,
    extract::only,
    query,
    rejection::{Answer, Rejection},
    shop::{Shared, Shop},
};
use crate::server::{Draining, stall::EndlessAnswer};

#[cfg(feature = "openapi")]
pub(super) use batch::StockEvent;
use feed::PAST_MAX;
pub use feed::{Feed, SUBSCRIBERS_MAX};

/// The `Last-Event-ID` header: the last event that a browser has seen on an earlier stream.
pub(super) struct LastEventId(Option<Seq>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
        let Some(id) = only(&parts.headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty()) else {
            return Ok(Self(None));
        };
        let seq = id.parse().map_err(|_| Error::malformed("Last-Event-ID: must be the id of an event, a number"))?;
        Ok(Self(Some(Seq(seq))))
    }
}

/// How many entries back the caller may begin: any number with a token.
pub(super) struct Past(u64);

impl FromRequestParts<Arc<Shop>> for Past {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Infallible> {
        // Anybody may have events, whatever a proxy's own credentials are.
        let admin = Admin::from_request_parts(parts, shop).await.is_ok();
        Ok(Self(if admin { u64::MAX } else { PAST_MAX }))
    }
}

/// `GET /events`
///
/// Written by hand, since axum's `Sse` would render every event once for each subscriber.
pub(super) async fn events(
    State(shop): Shared,
    LastEventId(after): LastEventId,
    Past(past_max): Past,
    draining: Draining,
    uri: Uri,
) -> Answer {
    query::none(&uri)?;
    let subscriber = shop.feed.subscribe(after, past_max, draining).await?;
    let texts = stream::unfold(subscriber, |mut subscriber| async move {
        let text = subscriber.next().await?;
        Some((Ok::<_, Infallible>(text), subscriber))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Proxies that buffer would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Extension(EndlessAnswer), Body::from_stream(texts)).into_response())
}

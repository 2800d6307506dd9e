//! What the routers of both internal interfaces have in common: the token, the operator's routes, the limits of bodies.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::HeaderValue,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use bookstore_core::{
    Catalog, Error, LedgerIdentity, Result,
    contact::ContactPage,
    follow::{Pin, Pinned},
    service::ContactFeed,
};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use std::{fmt, sync::Arc};
use tower::util::MapRequestLayer;

use super::catalog::CONTACTS;
use crate::{
    compact::{HISTORY, PIN},
    server::{Health, error_response::ErrorResponse, health_routes, route_label::record_route},
    token::AccessToken,
};

/// How an internal interface is served. The default has no token and is always ready.
#[derive(Clone, Debug, Default)]
pub struct InternalOptions {
    /// The bearer token that every request under `/v1/` must carry. Without it, everybody who reaches the port is trusted.
    pub token: Option<AccessToken>,
    /// What `/livez` and `/readyz` answer from.
    pub health: Health,
    /// Checks what a seller sends with its batches, for a catalog; without it, nothing is checked.
    pub pin: Option<PinCheck>,
    /// Checks the history of the ledger that a server shows with its calls; without it, nothing is checked.
    pub history: Option<HistoryCheck>,
    /// Where contacts are given from; without it, nowhere.
    pub contacts: Option<ContactSource>,
}

/// Gives the contacts of a ledger, or of a copy, to servers.
#[derive(Clone)]
pub struct ContactSource(Arc<dyn ContactFeed>);

impl ContactSource {
    /// Gives these.
    #[must_use]
    pub fn new(contacts: Arc<dyn ContactFeed>) -> Self {
        Self(contacts)
    }
}

impl fmt::Debug for ContactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactSource(…)")
    }
}

/// The query of a page of contacts: `limit` after the change `after`.
#[derive(Debug, Deserialize)]
struct After {
    after: u64,
    limit: usize,
}

/// `GET /v1/contacts`
async fn contacts(
    State(ContactSource(contacts)): State<ContactSource>,
    Query(After { after, limit }): Query<After>,
) -> Result<Json<ContactPage>, ErrorResponse> {
    Ok(Json(contacts.contacts(after, limit).await?))
}

/// Whether the ledger is the one that a seller has compared with its copy.
#[derive(Clone)]
pub struct PinCheck(Arc<dyn Fn(Pin) -> Result<()> + Send + Sync>);

impl PinCheck {
    /// Checks against this catalog.
    #[must_use]
    pub fn of(catalog: &Arc<Catalog>) -> Self {
        let catalog = Arc::downgrade(catalog);
        Self(Arc::new(move |pin| match catalog.upgrade() {
            Some(catalog) => catalog.check_pin(pin),
            None => Err(Error::unavailable("shutting down")),
        }))
    }
}

/// Whether the ledger that is served here is the newest that a caller has seen.
#[derive(Clone)]
pub struct HistoryCheck(Arc<dyn Fn(LedgerIdentity) -> BoxFuture<'static, Result<()>> + Send + Sync>);

impl HistoryCheck {
    /// Checks against this catalog, which stops selling when it is shown a newer history of its ledger.
    #[must_use]
    pub fn of(catalog: &Arc<Catalog>) -> Self {
        let catalog = Arc::downgrade(catalog);
        Self(Arc::new(move |shown| match catalog.upgrade() {
            Some(catalog) => Box::pin(async move { catalog.check_history(&shown).await }),
            None => Box::pin(async { Err(Error::unavailable("shutting down")) }),
        }))
    }

    /// Checks against what an order server follows.
    #[must_use]
    pub fn following(followed: Pinned) -> Self {
        Self(Arc::new(move |shown| {
            let checked = followed.check(&shown);
            Box::pin(std::future::ready(checked))
        }))
    }
}

impl fmt::Debug for HistoryCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistoryCheck(…)")
    }
}

async fn check_history(State(HistoryCheck(check)): State<HistoryCheck>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(HISTORY).map(|shown| shown.to_str().unwrap_or_default().parse());
    let checked = match shown {
        Some(Ok(shown)) => check(shown).await,
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => ErrorResponse(error).into_response(),
    }
}

impl fmt::Debug for PinCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinCheck(…)")
    }
}

/// Has a route refuse batches of sellers that have compared another ledger.
pub(super) fn pinned<S: Clone + Send + Sync + 'static>(
    route: MethodRouter<S>,
    check: Option<PinCheck>,
) -> MethodRouter<S> {
    match check {
        Some(check) => route.layer(from_fn_with_state(check, check_pin)),
        None => route,
    }
}

async fn check_pin(State(PinCheck(check)): State<PinCheck>, request: Request, next: Next) -> Response {
    let checked = match request.headers().get(PIN).map(|pin| pin.to_str().unwrap_or_default().parse::<Pin>()) {
        Some(pin) => pin.and_then(|pin| check(pin)),
        None => Ok(()),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let mut refused = ErrorResponse(error).into_response();
            refused.headers_mut().insert(PIN, HeaderValue::from_static("compare"));
            refused
        }
    }
}

/// The longest body of a batch or of a list of books, in bytes: room for [`BATCH_MAX`](super::BATCH_MAX) of the longest orders.
const BIG_BODY_MAX: usize = 4 << 20;

/// A route whose body may be [`BIG_BODY_MAX`] long.
pub(super) fn big<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    route.layer(DefaultBodyLimit::max(BIG_BODY_MAX))
}

/// The routes of a service behind the token, and the operator's routes, which need none, beside them.
pub(super) fn finish(service: Router, options: InternalOptions) -> Router {
    let service = match options.contacts {
        Some(source) => service.merge(Router::new().route(CONTACTS, get(contacts)).with_state(source)),
        None => service,
    };
    let service = match options.history {
        Some(check) => service.route_layer(from_fn_with_state(check, check_history)),
        None => service,
    };
    // Outside of that: only a server may show a newer history.
    let service = match options.token {
        Some(token) => service.route_layer(from_fn_with_state(token, check_token)),
        None => service,
    };
    service.merge(health_routes(options.health)).layer(MapRequestLayer::new(record_route))
}

/// Refuses requests that do not carry the token.
async fn check_token(State(token): State<AccessToken>, request: Request, next: Next) -> Response {
    match token.authorise(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => ErrorResponse(error).into_response(),
    }
}

//! What the routers of both internal interfaces have in common: the token, the operator's routes, the limits of bodies.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};

use tower::util::MapRequestLayer;

use crate::{
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
}

/// The longest body of a batch or of a list of books, in bytes: room for [`BATCH_MAX`](super::BATCH_MAX) of the longest orders.
const BIG_BODY_MAX: usize = 4 << 20;

/// A route whose body may be [`BIG_BODY_MAX`] long.
pub(super) fn big<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    route.layer(DefaultBodyLimit::max(BIG_BODY_MAX))
}

/// The routes of a service behind the token, and the operator's routes, which need none, beside them.
pub(super) fn finish(service: Router, options: InternalOptions) -> Router {
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

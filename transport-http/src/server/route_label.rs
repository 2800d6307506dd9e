//! The label of a request's route in the metrics.

use axum::extract::{MatchedPath, Request};
use std::sync::Arc;

use super::request_context::RequestContext;

/// Notes which route a request took.
///
/// It goes around the routes of every interface, as a [`MapRequestLayer`](tower::util::MapRequestLayer): only inside of a router
/// it is known which route that is.
pub(crate) fn record_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(route), Some(context)) = (extensions.get::<MatchedPath>(), extensions.get::<Arc<RequestContext>>()) {
        context.set_route(route.clone());
    }
    request
}

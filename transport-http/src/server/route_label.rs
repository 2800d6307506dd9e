//! The label of a request's route in the metrics.

use axum::extract::{MatchedPath, Request};
use std::sync::Arc;

use super::request_context::RequestContext;

/// The route that a request took: its path template.
#[derive(Clone, Debug)]
pub(crate) enum RouteLabel {
    /// By the router.
    Matched(MatchedPath),
    /// Without a router.
    #[cfg(feature = "pages")]
    Template(&'static str),
}

impl RouteLabel {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Matched(path) => path.as_str(),
            #[cfg(feature = "pages")]
            Self::Template(template) => template,
        }
    }
}

/// Notes which route a request took.
///
/// It goes around the routes of every interface, as a [`MapRequestLayer`](tower::util::MapRequestLayer): only inside of a router
/// it is known which route that is.
pub(crate) fn record_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(route), Some(context)) = (extensions.get::<MatchedPath>(), extensions.get::<Arc<RequestContext>>()) {
        context.set_route(RouteLabel::Matched(route.clone()));
    }
    request
}

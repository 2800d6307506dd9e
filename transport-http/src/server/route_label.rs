//! The route that a request took, as metrics name it.

use axum::extract::{MatchedPath, Request};
use std::sync::{Arc, OnceLock};

/// The path template of a request's route, such as `/info/{id}`. Paths themselves are too many to be labels.
///
/// It is one of a request's extensions; [`record_route`] fills it in once the router has chosen the route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteLabel(Arc<OnceLock<MatchedPath>>);

impl RouteLabel {
    /// `none` for a request that no route took.
    pub(crate) fn as_str(&self) -> &str {
        self.0.get().map_or("none", MatchedPath::as_str)
    }
}

/// Records which route a request took; a middleware around each route.
pub(crate) fn record_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(path), Some(label)) = (extensions.get::<MatchedPath>(), extensions.get::<RouteLabel>()) {
        let _ = label.0.set(path.clone());
    }
    request
}

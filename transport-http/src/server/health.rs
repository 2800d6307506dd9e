//! Health checks and metrics, for the operator of any server: `/livez`, `/readyz` and `/metrics`.

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bookstore_core::Error;
use serde_json::json;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use super::{error_response::ErrorResponse, request_context::RequestContext};

/// Whether a server can do its work now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot; the text says why.
    NotReady(String),
}

/// Called for every `/readyz`. It MUST be cheap and MUST NOT block.
pub type ReadyCheck = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// Called for every `/metrics`: the metrics in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What [`health_routes`] answer from.
#[derive(Clone)]
pub struct Health {
    /// Whether `/readyz` answers 200 or 503.
    pub ready: ReadyCheck,
    /// The text of `/metrics`; without it there is no such route.
    pub metrics: Option<MetricsText>,
}

impl Default for Health {
    /// Always ready, no metrics.
    fn default() -> Self {
        Self { ready: Arc::new(|| Readiness::Ready), metrics: None }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("ready", &(self.ready)()).finish_non_exhaustive()
    }
}

/// The paths of [`health_routes`]: they are answered however busy the server is.
pub(crate) const OPERATIONAL_PATHS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The operator's routes: `/livez` answers as long as the process runs, `/readyz` as the check says (and 503 from the
/// announcement of a shutdown on), and `/metrics` is there if [`Health::metrics`] is.
pub fn health_routes(health: Health) -> Router {
    let mut router = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz).with_state(health.ready));
    if let Some(metrics) = health.metrics {
        router = router.route("/metrics", get(metrics_text).with_state(metrics));
    }
    router
}

async fn livez() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

async fn readyz(State(ready): State<ReadyCheck>, context: Option<Extension<Arc<RequestContext>>>) -> Response {
    // Outside `serve` there is no context, and no shutdown.
    if context.is_some_and(|context| context.connection.admission.stopping.load(Ordering::Relaxed)) {
        return ErrorResponse(Error::unavailable("draining: this server is shutting down")).into_response();
    }
    match ready() {
        Readiness::Ready => Json(json!({"status": "ready"})).into_response(),
        Readiness::NotReady(why) => ErrorResponse(Error::unavailable(why)).into_response(),
    }
}

async fn metrics_text(State(metrics): State<MetricsText>) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics()).into_response()
}

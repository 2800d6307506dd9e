//! What operators ask of every server: `/livez`, `/readyz` and `/metrics`.

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bookstore_core::Error;
use serde_json::json;
use std::{fmt, sync::Arc};

use crate::{
    error_status::Refused,
    server::guard::{Draining, labelled},
};

/// Whether a server can do its work now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot, and why.
    NotReady(String),
}

/// Asked for every `/readyz`: cheap, and it does not wait.
pub type ReadyCheck = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// Asked for every `/metrics`: the metrics in Prometheus' text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the operator's routes answer from.
#[derive(Clone)]
pub struct Health {
    /// Behind `/readyz`.
    pub ready: ReadyCheck,
    /// Behind `/metrics`; without it there is none.
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

/// The paths that are answered however busy the server is.
pub(crate) const OPERATIONAL: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// `/livez` depends on nothing but the process, `/readyz` on the check, `/metrics` is there if it is given.
pub fn health_routes(health: Health) -> Router {
    let mut router = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz).with_state(health.ready));
    if let Some(metrics) = health.metrics {
        router = router.route("/metrics", get(metrics_text).with_state(metrics));
    }
    labelled(router)
}

async fn livez() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

async fn readyz(State(ready): State<ReadyCheck>, draining: Draining) -> Response {
    if draining.has_started() {
        return Refused(Error::unavailable("shutting down")).into_response();
    }
    match ready() {
        Readiness::Ready => Json(json!({"status": "ready"})).into_response(),
        Readiness::NotReady(why) => Refused(Error::unavailable(why)).into_response(),
    }
}

async fn metrics_text(State(metrics): State<MetricsText>) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics()).into_response()
}

//! Metrics of the requests: how many there were, of which kind, and how long they took.
//!
//! | metric | labels |
//! |---|---|
//! | `bookstore_http_requests_total` | `method`, `route`, `status` (`hung-up` if the connection ended before the answer) |
//! | `bookstore_http_request_duration_seconds` | `method`, `route` |

use axum::response::Response;
use hyper::{Method, StatusCode};
use metrics::{Counter, Histogram};
use std::{sync::OnceLock, time::Duration};

use super::request_context::RequestContext;

/// Kinds of requests whose metrics are kept at hand; those of further kinds are looked up each time.
const KINDS_MAX: usize = 128;

/// The metrics of a server's requests, looked up in the recorder once for each kind of request.
///
/// Routes, methods and statuses are few, so a list is searched faster than a map; and it only grows, so it is read without a
/// lock.
pub(crate) struct RequestMetrics([OnceLock<Series>; KINDS_MAX]);

impl Default for RequestMetrics {
    fn default() -> Self {
        Self([const { OnceLock::new() }; KINDS_MAX])
    }
}

impl RequestMetrics {
    /// Measures a request from its beginning.
    pub(crate) fn start<'a>(&'a self, method: &Method, context: &'a RequestContext) -> RequestTimer<'a> {
        RequestTimer { metrics: self, context, method: method_label(method), status: None }
    }

    fn record(&self, method: &'static str, route: &str, status: Option<StatusCode>, took: Duration) {
        for slot in &self.0 {
            // A free slot is taken, unless another kind of request is quicker.
            let series = slot.get_or_init(|| Series::new(method, route, status));
            if series.status == status && series.method == method && series.route == route {
                return series.record(took);
            }
        }
        Series::new(method, route, status).record(took);
    }
}

/// Measures one request, and records it when dropped: the request has ended, in whatever way.
pub(crate) struct RequestTimer<'a> {
    metrics: &'a RequestMetrics,
    context: &'a RequestContext,
    method: &'static str,
    /// `None` until there is an answer.
    status: Option<StatusCode>,
}

impl RequestTimer<'_> {
    pub(crate) fn finish(mut self, response: &Response) {
        self.status = Some(response.status());
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        self.metrics.record(self.method, self.context.route(), self.status, self.context.started().elapsed());
    }
}

/// The metrics of requests of one method, route and status.
struct Series {
    method: &'static str,
    route: String,
    status: Option<StatusCode>,
    requests: Counter,
    duration: Histogram,
}

impl Series {
    fn new(method: &'static str, route: &str, status: Option<StatusCode>) -> Self {
        let route = route.to_owned();
        let ended = status.map_or_else(|| "hung-up".to_owned(), |status| status.as_u16().to_string());
        let duration = metrics::histogram!("bookstore_http_request_duration_seconds",
            "method" => method, "route" => route.clone());
        let requests = metrics::counter!("bookstore_http_requests_total",
            "method" => method, "route" => route.clone(), "status" => ended);
        Self { method, route, status, requests, duration }
    }

    fn record(&self, took: Duration) {
        self.requests.increment(1);
        self.duration.record(took);
    }
}

/// A label for each known method and one for all others, so that callers cannot invent labels.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

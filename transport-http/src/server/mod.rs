//! Serving routes: connections, their limits, and an orderly end.
//!
//! Every request takes the same way: `connection` receives it, `admission` admits or refuses it, the router passes it to its
//! handler within the `deadline`, and `request_metrics` counts it. An answer that is an error is a problem document (RFC 9457),
//! whoever made it.
//!
//! A request that the HTTP parser itself cannot accept (headers over the limit: 431; not HTTP: 400) is answered without a body,
//! and the connection is closed: no handler has seen it, so nothing was executed.

mod admission;
mod connection;
mod deadline;
mod draining;
pub(crate) mod error_response;
mod health;
mod limits;
mod linger;
mod request_body;
pub(crate) mod request_context;
mod request_metrics;
pub(crate) mod route_label;
mod stall;
mod tcp;
mod workers;

use axum::{extract::Request, response::Response, serve::Listener};
use std::{convert::Infallible, future::Future, pin::pin, sync::Arc};
use tokio::sync::watch;
use tower::Service;

use connection::{Shared, serve_connection};
pub use deadline::Deadline;
pub use draining::Draining;
pub use health::{Health, MetricsText, Readiness, ReadyCheck, health_routes};
pub use limits::ServerLimits;
pub use tcp::{Tcp, tcp};
use workers::Workers;

/// Serves a router, or another service of which each connection gets a clone, until `shutdown` resolves; then lets the requests
/// in flight end and returns. The service MUST always be ready, as a router is.
///
/// After the shutdown has begun, no connection is accepted, idle ones are closed, and requests in flight have
/// [`ServerLimits::drain_timeout`] to end. Dropping this future closes every connection at once.
///
/// A TCP listener should come through [`tcp`].
///
/// ```
/// use axum::{Router, routing::get};
/// use bookstore_transport_http::server::{ServerLimits, serve, tcp};
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let router = Router::new().route("/", get(|| async { "hello" }));
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// serve(tcp(listener), router, ServerLimits::default(), async { /* until Ctrl-C, say */ }).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve<L, S>(mut listener: L, service: S, limits: ServerLimits, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let drain_timeout = limits.drain_timeout;
    let mut workers = Workers::start(limits.worker_threads);
    let (drain, draining) = watch::channel(false);
    let shared = Arc::new(Shared::new(limits, draining));
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = workers.reap() => {}
            (io, _) = listener.accept() => match shared.admission.admit_connection() {
                Some(permit) => workers.spawn(serve_connection(Arc::clone(&shared), service.clone(), io, permit)),
                None => metrics::counter!("bookstore_http_connections_refused_total").increment(1),
            },
        }
    }
    drop(listener);
    drain.send_replace(true);
    let cut_off = workers.join(drain_timeout).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections cut off: they did not end in time");
    }
}

//! Serving routes: connections, their limits, and an orderly end.
//!
//! Every request takes the same way: `connection` receives it, `admission` checks its headers and admits or refuses it, the router passes it to its
//! handler within the `deadline`, and `request_metrics` counts it. An answer that is an error is a problem document (RFC 9457),
//! whoever made it.
//!
//! A request that the HTTP parser itself cannot accept (headers over the limit: 431; not HTTP: 400) is answered without a body,
//! and the connection is closed: no handler has seen it, so nothing was executed.

mod admission;
mod connection;
mod connection_state;
mod connections;
mod deadline;
mod draining;
pub(crate) mod error_response;
mod health;
mod hosts;
mod late_body;
mod limits;
mod linger;
mod rate_limit;
mod request_body;
pub(crate) mod request_context;
mod request_metrics;
pub(crate) mod route_label;
mod shutdown;
pub(crate) mod stall;
mod tcp;
mod workers;

use axum::{extract::Request, response::Response, serve::Listener};
use futures_util::FutureExt as _;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower::Service;

use connection::{Shared, serve_connection};
pub use deadline::Deadline;
pub use draining::Draining;
pub use health::{Health, MetricsText, Readiness, ReadyCheck, health_routes};
pub use hosts::Hosts;
pub use limits::ServerLimits;
pub use rate_limit::RateLimit;
pub use shutdown::Grace;
pub use tcp::{Tcp, tcp};
use workers::Workers;

/// Serves a router, or another service of which each connection gets a clone, until `shutdown` resolves; then lets the requests
/// in flight end and returns. The service MUST always be ready, as a router is.
///
/// If `shutdown` resolves to a [`Grace`], the shutdown is announced then, and begins when the grace is over; `()` is none.
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
pub async fn serve<L, S, G>(mut listener: L, service: S, limits: ServerLimits, shutdown: impl Future<Output = G>)
where
    L: Listener<Addr = SocketAddr>,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    G: Into<Grace>,
{
    let drain_timeout = limits.drain_timeout;
    let (drain, draining) = watch::channel(false);
    let workers = Workers::start(limits.worker_threads);
    let mut server = Server { shared: Arc::new(Shared::new(limits, draining)), service, workers };
    let grace = server.accept_until(&mut listener, shutdown).await.into();
    server.shared.admission.stopping.store(true, Ordering::Relaxed);
    server.accept_until(&mut listener, grace.over()).await;
    server.accept_waiting(&mut listener).await;
    drop(listener);
    drain.send_replace(true);
    server.shared.connections.drain();
    let cut_off = server.workers.join(drain_timeout).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections cut off: they did not end in time");
    }
}

/// The most connections that wait to be accepted when a listener is closed: a usual limit of the kernel.
const WAITING_MAX: usize = 4096;

struct Server<S> {
    shared: Arc<Shared>,
    service: S,
    workers: Workers,
}

impl<S> Server<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    async fn accept_until<L, T>(&mut self, listener: &mut L, over: impl Future<Output = T>) -> T
    where
        L: Listener<Addr = SocketAddr>,
    {
        let mut over = pin!(over);
        loop {
            tokio::select! {
                biased;
                result = &mut over => return result,
                () = self.workers.reap() => {}
                (io, peer) = listener.accept() => self.serve(io, peer),
            }
        }
    }

    /// Accepts the connections that clients believe to be open already: closing the listener would reset them.
    async fn accept_waiting<L: Listener<Addr = SocketAddr>>(&mut self, listener: &mut L) {
        // The runtime learns of them when this task gives way.
        tokio::task::yield_now().await;
        for _ in 0..WAITING_MAX {
            let Some((io, peer)) = listener.accept().now_or_never() else { return };
            self.serve(io, peer);
        }
    }

    fn serve(&mut self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        match self.shared.connections.admit(peer) {
            Some(permit) => {
                let connection = serve_connection(Arc::clone(&self.shared), self.service.clone(), io, permit);
                self.workers.spawn(connection);
            }
            None => metrics::counter!("bookstore_http_connections_refused_total").increment(1),
        }
    }
}

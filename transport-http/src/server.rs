//! Serving a router: the accept loop, the limits of a connection, and an orderly end.
//!
//! What is limited per request (size, time, how many at once) is in the `guard` module. A request that the HTTP
//! parser itself cannot accept (headers over the limit: 431; not HTTP: 400) is answered without a body, and the
//! connection is closed: no handler has seen it, so nothing was executed.

use axum::{extract::Request, response::Response, serve::Listener};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tower::Service;

use crate::{
    alarm::Alarm,
    guard::{Connection, Guard},
    stall::StallGuard,
};
pub use crate::{
    guard::{Deadline, Draining},
    health::{Health, MetricsText, Readiness, ReadyCheck, health_routes},
};

/// The limits of one server.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections served at once.
    pub connections_max: usize,
    /// Connections beyond those that still get one answer each, 503 or a health check's, before they are closed. Any
    /// more are closed at once.
    pub spare_connections_max: usize,
    /// Requests worked on at once; more are answered 503 before any work. Health checks are neither counted nor refused.
    pub in_flight_max: usize,
    /// The longest request line and headers, in bytes (at least 8 KiB): 431 above.
    pub header_bytes_max: usize,
    /// The longest path and query, in bytes: 414 above.
    pub uri_bytes_max: usize,
    /// The longest body, in bytes, for routes without a `DefaultBodyLimit` of their own: 413 above.
    pub body_bytes_max: usize,
    /// How long a connection may take to send a request's headers, and how long it may be idle.
    pub header_timeout: Duration,
    /// How long a request may take, from its headers to the head of the answer, see [`Deadline`].
    pub request_deadline: Duration,
    /// How long a peer may leave an answer unread.
    pub stall_timeout: Duration,
    /// How long requests in flight may take to end after the shutdown has begun.
    pub drain_timeout: Duration,
    /// Whether answers carry a `Date`; a simulation leaves it out.
    pub date_header: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            spare_connections_max: 64,
            in_flight_max: 2048,
            header_bytes_max: 16 << 10,
            uri_bytes_max: 2 << 10,
            body_bytes_max: 64 << 10,
            header_timeout: Duration::from_secs(10),
            request_deadline: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            date_header: true,
        }
    }
}

/// A bound listener whose connections send small answers at once (`TCP_NODELAY`).
pub fn tcp(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Slower, not wrong, without it.
        let _ = stream.set_nodelay(true);
    })
}

/// Serves a router, or another service that is always ready, until `shutdown` resolves, then lets the requests in flight
/// end and returns.
///
/// A TCP listener should come through [`tcp`]. Dropping this future closes every connection at once.
pub async fn serve<L, S>(mut listener: L, service: S, limits: ServerLimits, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let drain_timeout = limits.drain_timeout;
    let server = Server::new(service, limits);
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (io, _) = listener.accept() => server.take_in(io, &mut connections),
        }
    }
    drop(listener);
    server.draining.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain_timeout, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "connections cut off: they did not end in time");
        connections.shutdown().await;
    }
}

struct Server<S> {
    service: S,
    guard: Arc<Guard>,
    http: http1::Builder,
    /// For connections over the limit: one quick request each.
    spare_http: http1::Builder,
    places: Arc<Semaphore>,
    spare_places: Arc<Semaphore>,
    header_timeout: Duration,
    stall_timeout: Duration,
    draining: watch::Sender<bool>,
}

/// How long a connection over the limit may take to send its headers.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

impl<S> Server<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    fn new(service: S, limits: ServerLimits) -> Self {
        let draining = watch::Sender::new(false);
        let mut http = http1::Builder::new();
        http.header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(limits.header_bytes_max.max(64 << 10))
            .auto_date_header(limits.date_header);
        let mut spare_http = http.clone();
        spare_http.keep_alive(false).header_read_timeout(SPARE_HEADER_TIMEOUT.min(limits.header_timeout));
        Self {
            http,
            spare_http,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            spare_places: Arc::new(Semaphore::new(limits.spare_connections_max)),
            header_timeout: limits.header_timeout,
            stall_timeout: limits.stall_timeout,
            service,
            guard: Arc::new(Guard::new(limits, Draining::new(draining.subscribe()))),
            draining,
        }
    }

    fn take_in(
        &self,
        io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        connections: &mut JoinSet<()>,
    ) {
        let io = TokioIo::new(StallGuard::new(io, self.stall_timeout));
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            connections.spawn(self.connection(io, &self.http, place, false));
        } else if let Ok(place) = Arc::clone(&self.spare_places).try_acquire_owned() {
            connections.spawn(self.connection(io, &self.spare_http, place, true));
        } else {
            metrics::counter!("bookstore_http_connections_refused_total").increment(1);
        }
    }

    /// One connection from its first request to its end.
    fn connection<Io>(
        &self,
        io: Io,
        http: &http1::Builder,
        place: OwnedSemaphorePermit,
        spare: bool,
    ) -> impl Future<Output = ()> + Send + use<Io, S>
    where
        Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        // One clone a connection: a clone counts references that all processors share.
        let (service, guard) = (Mutex::new(self.service.clone()), Arc::clone(&self.guard));
        let connection = Connection { alarm: Alarm::new(self.header_timeout), spare };
        let mut http = http.clone();
        http.timer(connection.alarm.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            guard.pass(request, &connection, &mut *service.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let connection = http.serve_connection(io, service);
        let draining = Draining::new(self.draining.subscribe());
        async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = draining.started() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        }
    }
}

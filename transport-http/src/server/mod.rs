//! Serving a router: the accept loop, the limits of a connection, and an orderly end.
//!
//! What is limited per request (size, time, how many at once) is in the `guard` module. A request that the HTTP
//! parser itself cannot accept (headers over the limit: 431; not HTTP: 400) is answered without a body, and the
//! connection is closed: no handler has seen it, so nothing was executed.

pub(crate) mod connection_timer;
pub(crate) mod guard;
pub(crate) mod health;
mod linger;
pub(crate) mod request_body;
mod stall;
mod tcp;
mod workers;

use axum::{Router, response::Response, serve::Listener};
use futures_util::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use connection_timer::Alarm;
use guard::{Connection, Guard};
pub use guard::{Deadline, Draining};
pub use health::{Health, MetricsText, Readiness, ReadyCheck, health_routes};
pub use request_body::RequestBody;
use stall::StallGuard;
pub use tcp::{Tcp, tcp};
use workers::Workers;

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
    /// Threads that serve the connections, each with a runtime of its own; with 0 they are tasks of the current runtime.
    ///
    /// With many connections, threads of their own are faster: nothing is shared between them. With fewer connections than
    /// threads some are idle, as one that is busy gives nothing away. A listener of TCP MUST come through [`tcp`] then, or
    /// every byte is noticed by one thread and read by another.
    pub worker_threads: usize,
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
            worker_threads: 0,
            date_header: true,
        }
    }
}

/// Who answers a server's requests: a router, or whatever knows a shorter way for some of them.
pub trait Respond: Clone + Send + 'static {
    /// Answers one request. A panic, in here or in the future, is answered for it.
    ///
    /// An implementation MUST NOT wait, but in the future that it returns.
    fn respond(&mut self, request: hyper::Request<RequestBody>) -> BoxFuture<'static, Response>;
}

impl Respond for Router {
    fn respond(&mut self, request: hyper::Request<RequestBody>) -> BoxFuture<'static, Response> {
        RequestBody::through(request, self)
    }
}

/// Serves a router, or whoever else responds, until `shutdown` resolves, then lets the requests in flight end and returns.
///
/// A TCP listener should come through [`tcp`]. Dropping this future closes every connection at once.
pub async fn serve<L, R>(mut listener: L, routes: R, limits: ServerLimits, shutdown: impl Future<Output = ()>)
where
    L: Listener,
    R: Respond,
{
    let drain_timeout = limits.drain_timeout;
    let mut workers = Workers::start(limits.worker_threads);
    let server = Server::new(routes, limits);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = workers.clear() => {}
            (io, _) = listener.accept() => server.take_in(io, &mut workers),
        }
    }
    drop(listener);
    server.draining.send_replace(true);
    let cut_off = workers.end(drain_timeout).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections cut off: they did not end in time");
    }
}

struct Server<R> {
    routes: R,
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

impl<R: Respond> Server<R> {
    fn new(routes: R, limits: ServerLimits) -> Self {
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
            routes,
            guard: Arc::new(Guard::new(limits, Draining::new(draining.subscribe()))),
            draining,
        }
    }

    fn take_in(
        &self,
        io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        workers: &mut Workers,
    ) {
        let io = TokioIo::new(StallGuard::new(io, self.stall_timeout));
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            workers.spawn(self.connection(io, &self.http, place, false));
        } else if let Ok(place) = Arc::clone(&self.spare_places).try_acquire_owned() {
            workers.spawn(self.connection(io, &self.spare_http, place, true));
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
    ) -> impl Future<Output = ()> + Send + use<Io, R>
    where
        Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        // One clone a connection: a clone counts references that all processors share.
        let (routes, guard) = (Mutex::new(self.routes.clone()), Arc::clone(&self.guard));
        let (mut http, header_timeout) = (http.clone(), self.header_timeout);
        let draining = self.draining.subscribe();
        async move {
            // Made here, where its timers are.
            let connection = Arc::new(Connection { guard, alarm: Alarm::new(header_timeout), spare });
            http.timer(connection.alarm.clone());
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                connection.pass(request, &mut *routes.lock().unwrap_or_else(PoisonError::into_inner))
            });
            let mut connection = pin!(http.serve_connection(io, service));
            let ended = match until_draining(connection.as_mut(), draining).await {
                Some(ended) => ended,
                None => {
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

/// What `work` ends in, or `None` if the draining begins before.
///
/// A connection's task is woken twice for each request, and by the end of the server once. So that is asked for once only, and
/// then known without the lock that all connections share.
async fn until_draining<T>(mut work: impl Future<Output = T> + Unpin, draining: watch::Receiver<bool>) -> Option<T> {
    let (mut news, draining) = (draining.clone(), Draining::new(draining));
    let mut begun = pin!(draining.started());
    let mut asked: Option<Waker> = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = Pin::new(&mut work).poll(cx) {
            return Poll::Ready(Some(done));
        }
        let asked_already = asked.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if asked_already && matches!(news.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        asked = Some(cx.waker().clone());
        news.mark_unchanged();
        begun.as_mut().poll(cx).map(|()| None)
    })
    .await
}

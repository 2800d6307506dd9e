//! One connection, and the way of each of its requests: admission, deadline, service.

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bookstore_core::Executed;
use futures_util::FutureExt as _;
use hyper::{StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower::Service;

use super::{
    admission::{Admission, ConnectionPermit},
    deadline::{deadline_expired, enforce_deadline},
    draining::Draining,
    error_response::{ErrorResponse, normalise, transport_problem},
    limits::ServerLimits,
    request_body::{BodyLimit, RequestBody},
    request_context::RequestContext,
    request_metrics::RequestMetrics,
    stall::StallGuard,
};

/// How long a spare connection may take to send the headers of its one request.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// What the connections of one server share.
pub(crate) struct Shared {
    pub(crate) admission: Admission,
    metrics: RequestMetrics,
    body_limit: BodyLimit,
    limits: ServerLimits,
    http: http1::Builder,
    spare_http: http1::Builder,
    draining: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn new(limits: ServerLimits, draining: watch::Receiver<bool>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(limits.header_bytes_max.max(64 << 10))
            .auto_date_header(limits.date_header);
        let mut spare_http = http.clone();
        spare_http.keep_alive(false).header_read_timeout(SPARE_HEADER_TIMEOUT.min(limits.header_timeout));
        Self {
            admission: Admission::new(&limits),
            metrics: RequestMetrics::default(),
            body_limit: BodyLimit::new(&limits),
            limits,
            http,
            spare_http,
            draining,
        }
    }
}

/// Serves one connection until the client closes it, it is idle for too long, or the server has drained it.
pub(crate) async fn serve_connection<Io, S>(shared: Arc<Shared>, service: S, io: Io, permit: ConnectionPermit)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Send + 'static,
{
    let http = if permit.is_spare { &shared.spare_http } else { &shared.http };
    let io = TokioIo::new(StallGuard::new(io, shared.limits.stall_timeout));
    let draining = Arc::new(shared.draining.clone());
    let drain = Draining::new(Arc::clone(&draining));
    let connection = Arc::new(Connection {
        shared: Arc::clone(&shared),
        service: Mutex::new(service),
        draining,
        is_spare: permit.is_spare,
    });
    let answer = service_fn(move |request| Arc::clone(&connection).answer(request));
    let mut served = pin!(http.serve_connection(io, answer));
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = drain.started() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}

/// What the requests of one connection share.
struct Connection<S> {
    shared: Arc<Shared>,
    /// The connection's own clone: what all connections count or lock travels between the processors.
    service: Mutex<S>,
    draining: Arc<watch::Receiver<bool>>,
    is_spare: bool,
}

impl<S> Connection<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>,
{
    /// Answers a request. If the client hangs up, this future is dropped, and with it what the handler does.
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let shared = &self.shared;
        let context = Arc::new(RequestContext::new(shared.limits.request_deadline, Arc::clone(&self.draining)));
        let timer = shared.metrics.start(request.method(), &context);
        let admitted = shared.admission.admit_request(&request, self.is_spare);
        let request = RequestBody::wrap(request, &context);
        let response = match admitted {
            Ok(_permit) => self.call(request.map(Body::new), &context).await,
            Err(refusal) => {
                drop(request);
                refusal.respond().await
            }
        };
        let response = normalise(response).await;
        timer.finish(&response);
        Ok(response)
    }

    /// The service's answer, or an error if the handler panics or misses the deadline.
    async fn call(&self, mut request: Request, context: &Arc<RequestContext>) -> Response {
        let is_safe = request.method().is_safe();
        self.shared.body_limit.apply(&mut request);
        request.extensions_mut().insert(Arc::clone(context));
        let work = async {
            let answer = self.service.lock().unwrap_or_else(PoisonError::into_inner).call(request);
            answer.await
        };
        match enforce_deadline(context, AssertUnwindSafe(work).catch_unwind()).await {
            Some(Ok(Ok(response))) => response,
            Some(Err(_)) => panicked(is_safe),
            None => ErrorResponse(deadline_expired(context, is_safe)).into_response(),
        }
    }
}

/// The answer after a panic; the panic hook has logged where it was.
fn panicked(is_safe: bool) -> Response {
    let executed = if is_safe { Executed::No } else { Executed::Unknown };
    transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the server's log", executed)
}

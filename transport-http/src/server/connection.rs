//! One connection, and the way of each of its requests: admission, deadline, router.

use axum::{
    Router,
    response::{IntoResponse, Response},
};
use bookstore_core::Executed;
use futures_util::FutureExt as _;
use hyper::{Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower::{Service as _, util::MapRequestLayer};

use super::{
    admission::{Admission, ConnectionPermit},
    body_limit::body_limit,
    deadline::RequestDeadline,
    draining::Draining,
    error_response::{ErrorResponse, normalise, transport_problem},
    limits::ServerLimits,
    request_body::RequestBody,
    request_metrics::RequestMetrics,
    route_label::{RouteLabel, record_route},
    stall::StallGuard,
};

/// How long a spare connection may take to send the headers of its one request.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// What the connections of one server share.
pub(crate) struct Shared {
    pub(crate) admission: Admission,
    metrics: RequestMetrics,
    router: Router,
    limits: ServerLimits,
    http: http1::Builder,
    spare_http: http1::Builder,
    draining: watch::Receiver<bool>,
}

impl Shared {
    pub(crate) fn new(router: Router, limits: ServerLimits, draining: watch::Receiver<bool>) -> Self {
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
            router: router.layer((MapRequestLayer::new(record_route), body_limit(&limits))),
            limits,
            http,
            spare_http,
            draining,
        }
    }
}

/// Serves one connection until the client closes it, it is idle for too long, or the server has drained it.
pub(crate) async fn serve_connection<Io>(shared: Arc<Shared>, io: Io, permit: ConnectionPermit)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = if permit.is_spare { &shared.spare_http } else { &shared.http };
    let io = TokioIo::new(StallGuard::new(io, shared.limits.stall_timeout));
    let draining = Draining::new(shared.draining.clone());
    let is_spare = permit.is_spare;
    let connection = Arc::new(Connection { shared: Arc::clone(&shared), draining: draining.clone(), is_spare });
    let service = service_fn(move |request| Arc::clone(&connection).answer(request));
    let mut served = pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = draining.started() => {
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
struct Connection {
    shared: Arc<Shared>,
    draining: Draining,
    is_spare: bool,
}

impl Connection {
    /// Answers a request. If the client hangs up, this future is dropped, and with it what the handler does.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        let route = RouteLabel::default();
        let timer = self.shared.metrics.start(request.method(), route.clone());
        let admitted = self.shared.admission.admit_request(&request, self.is_spare);
        let deadline = Arc::new(RequestDeadline::after(self.shared.limits.request_deadline));
        let request = RequestBody::wrap(request, &deadline);
        let response = match admitted {
            Ok(_permit) => self.route(request, route, &deadline).await,
            Err(refusal) => {
                drop(request);
                refusal.respond().await
            }
        };
        let response = normalise(response).await;
        timer.finish(&response);
        Ok(response)
    }

    /// The router's answer, or an error if the handler panics or misses the deadline.
    async fn route(
        &self,
        mut request: Request<RequestBody>,
        route: RouteLabel,
        deadline: &Arc<RequestDeadline>,
    ) -> Response {
        let is_safe = request.method().is_safe();
        let extensions = request.extensions_mut();
        extensions.insert(route);
        extensions.insert(Arc::clone(deadline));
        extensions.insert(self.draining.clone());
        let mut router = self.shared.router.clone();
        let work = AssertUnwindSafe(async move { router.call(request).await }).catch_unwind();
        match deadline.enforce(work).await {
            Some(Ok(Ok(response))) => response,
            Some(Err(_)) => panicked(is_safe),
            None => ErrorResponse(deadline.expired(is_safe)).into_response(),
        }
    }
}

/// The answer after a panic; the panic hook has logged where it was.
fn panicked(is_safe: bool) -> Response {
    let executed = if is_safe { Executed::No } else { Executed::Unknown };
    transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the server's log", executed)
}

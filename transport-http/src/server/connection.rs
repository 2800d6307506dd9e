//! One connection, and the way of each of its requests: admission, deadline, service.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bookstore_core::Executed;
use futures_util::FutureExt as _;
use hyper::{
    StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Sleep, timeout_at},
};
use tower::Service;

use super::{
    admission::Admission,
    connection_state::{ConnectionState, Told},
    connections::{ConnectionPermit, Connections},
    deadline::{deadline_expired, enforce_deadline},
    error_response::{ErrorResponse, normalise, transport_problem},
    limits::ServerLimits,
    request_body::{BodyLimit, RequestBody},
    request_context::RequestContext,
    request_metrics::RequestMetrics,
    stall::{EndlessAnswer, StallGuard},
};

/// How long a spare connection may take to send the headers of its one request.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// What the connections of one server share.
pub(crate) struct Shared {
    pub(crate) admission: Arc<Admission>,
    pub(crate) connections: Arc<Connections>,
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
            .auto_date_header(limits.date_header)
            // A client may close its side when it has sent its request. One that is gone altogether looks the same until it is written
            // to, so its request runs to its end.
            .half_close(true);
        let mut spare_http = http.clone();
        spare_http.keep_alive(false).header_read_timeout(SPARE_HEADER_TIMEOUT.min(limits.header_timeout));
        let admission = Arc::new(Admission::new(&limits));
        Self {
            connections: Arc::new(Connections::new(&limits, Arc::clone(&admission))),
            admission,
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
    let state = Arc::clone(&permit.state);
    let io = TokioIo::new(StallGuard::new(io, shared.limits.stall_timeout, Arc::clone(&state)));
    let connection = Arc::new(Connection {
        shared: Arc::clone(&shared),
        service: Mutex::new(service),
        timer: Mutex::default(),
        draining: Arc::new(shared.draining.clone()),
        state: Arc::clone(&state),
        is_spare: permit.is_spare,
    });
    let answer = service_fn(move |request| Arc::clone(&connection).answer(request));
    let mut served = pin!(http.serve_connection(io, answer));
    let told = tokio::select! {
        biased;
        ended = served.as_mut() => Err(ended),
        told = state.told() => Ok(told),
    };
    let ended = match told {
        Err(ended) => ended,
        Ok(Told::MakeRoom) if state.is_idle() => Ok(()),
        Ok(_) => {
            // A new client has not sent its request yet, and believes that it is served. Its answer will be the last.
            match timeout_at(state.first_request_until(), served.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            }
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
    /// Of the last request that had to wait.
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
    draining: Arc<watch::Receiver<bool>>,
    state: Arc<ConnectionState>,
    is_spare: bool,
}

impl<S> Connection<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>,
{
    /// Answers a request. A client that hangs up is not noticed before the answer is written: the handler runs to its end. If the
    /// connection is cut off when the server ends, this future is dropped, and with it what the handler does.
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
        let shared = &self.shared;
        let (draining, state) = (Arc::clone(&self.draining), Arc::clone(&self.state));
        let context = Arc::new(RequestContext::new(shared.limits.request_deadline, draining, state));
        self.state.begin_request(context.started());
        let timer = shared.metrics.start(request.method(), &context);
        let admitted = shared.admission.admit_request(&request, self.is_spare, &context);
        let request = RequestBody::wrap(request, &context);
        let mut response = match admitted {
            Ok(_place) => self.call(request, &context).await,
            Err(refusal) => {
                drop(request);
                refusal.respond().await
            }
        };
        normalise(&mut response).await;
        if shared.admission.stopping.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        timer.finish(&response);
        self.state.end_request(response.extensions().get::<EndlessAnswer>().is_some());
        Ok(response)
    }

    fn timer(&self) -> MutexGuard<'_, Option<Pin<Box<Sleep>>>> {
        self.timer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's answer, or an error if the handler panics or misses the deadline.
    async fn call(&self, mut request: Request, context: &Arc<RequestContext>) -> Response {
        let is_safe = request.method().is_safe();
        self.shared.body_limit.apply(&mut request);
        request.extensions_mut().insert(Arc::clone(context));
        let begin = || self.service.lock().unwrap_or_else(PoisonError::into_inner).call(request);
        let answer = match catch_unwind(AssertUnwindSafe(begin)) {
            Ok(work) => {
                let mut timer = self.timer().take();
                let answer = enforce_deadline(context, &mut timer, AssertUnwindSafe(work).catch_unwind()).await;
                *self.timer() = timer;
                answer
            }
            Err(panic) => Some(Err(panic)),
        };
        if let Some(refusal) = context.refusal() {
            return refusal.respond().await;
        }
        match answer {
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

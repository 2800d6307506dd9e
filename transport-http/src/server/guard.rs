//! Around every request: admission, size and time limits, panics, one shape of error, and metrics.

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use futures_util::FutureExt;
use hyper::body::Incoming;
use metrics::{Counter, Histogram};
use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind as catch_panic},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tower::{Service, layer::layer_fn};

use crate::{
    error_status::{self, Refused},
    server::connection_timer::Alarm,
    server::health::OPERATIONAL,
    server::request_body::RequestBody,
    server::{Respond, ServerLimits},
};

/// Stands between the connections and the service.
pub(crate) struct Guard {
    limits: ServerLimits,
    body_limit: DefaultBodyLimit,
    draining: Draining,
    in_flight: AtomicUsize,
    requests: Requests,
}

impl Guard {
    pub(crate) fn new(limits: ServerLimits, draining: Draining) -> Self {
        let body_limit = DefaultBodyLimit::max(limits.body_bytes_max);
        Self { limits, body_limit, draining, in_flight: AtomicUsize::new(0), requests: Requests::default() }
    }

    /// A place among the requests in flight, if there is one and the request is not too long.
    fn admit<B>(
        &self,
        request: &hyper::Request<B>,
        spare: bool,
        progress: &Arc<Progress>,
    ) -> Result<Option<Place>, NotAdmitted> {
        let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if uri > self.limits.uri_bytes_max {
            return Err(NotAdmitted::UriTooLong(self.limits.uri_bytes_max));
        }
        if OPERATIONAL.contains(&request.uri().path()) {
            return Ok(None);
        }
        if spare {
            return Err(NotAdmitted::NoConnection);
        }
        let place = Place(Arc::clone(progress));
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= self.limits.in_flight_max {
            return Err(NotAdmitted::NoPlace);
        }
        Ok(Some(place))
    }
}

/// What a request needs to know of its connection. Requests share this one, since what all connections share is a matter of
/// cache lines that travel between processors.
pub(crate) struct Connection {
    pub(crate) guard: Arc<Guard>,
    pub(crate) alarm: Alarm,
    /// It is over the limit: its request is refused.
    pub(crate) spare: bool,
}

impl Connection {
    /// Answers a request: by the server's routes, or without them if it may not pass.
    ///
    /// They take the request at once, so that a request that waits carries no copy of it.
    pub(crate) fn pass<R: Respond>(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        routes: &mut R,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<R> {
        let progress = Arc::new(Progress::new(self));
        let measured = Measured::start(&progress, request.method());
        let safe = request.method().is_safe();
        let admitted = self.guard.admit(&request, self.spare, &progress);
        // Also what is refused: its body is thrown away.
        let request = RequestBody::take_in(request, &progress);
        let work = admitted.map(|place| (place, catch_panic(AssertUnwindSafe(|| routes.respond(request)))));
        async move {
            let response = match work {
                Ok((_place, Ok(work))) => answer(&progress, work, safe).await,
                Ok((_place, Err(_))) => panicked(safe),
                Err(refused) => {
                    refused.pause().await;
                    refused.into_response()
                }
            };
            Ok(measured.finish(error_status::normalise(response).await))
        }
    }
}

/// Why a request is refused before any work.
enum NotAdmitted {
    /// The most bytes there may be.
    UriTooLong(usize),
    /// This connection is one over the limit.
    NoConnection,
    /// As many requests are worked on as there may be.
    NoPlace,
}

/// How long a caller waits for the news that there is no room. A refusal costs the server nearly as much as an answer: told
/// at once, callers who do not wait would leave it no time for those who have a place. Less than the pause they are asked for.
const REFUSAL_PAUSE: Duration = Duration::from_millis(200);

impl NotAdmitted {
    async fn pause(&self) {
        if let Self::NoPlace = self {
            // Boxed: others should not carry a timer that they do not need.
            Box::pin(tokio::time::sleep(REFUSAL_PAUSE)).await;
        }
    }
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match self {
            Self::NoConnection => Refused(Error::overloaded("this server has too many connections")).into_response(),
            Self::NoPlace => Refused(Error::overloaded("this server works on too many requests")).into_response(),
            Self::UriTooLong(most) => {
                let detail = format!("path and query must be at most {most} bytes");
                error_status::transport_problem(StatusCode::URI_TOO_LONG, &detail, Executed::No)
            }
        }
    }
}

/// One of the requests in flight.
struct Place(Arc<Progress>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.guard().in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How far a request is.
pub(crate) struct Progress {
    started: Instant,
    /// When it must be answered.
    at: Mutex<Instant>,
    body_complete: AtomicBool,
    route: OnceLock<Route>,
    connection: Arc<Connection>,
}

impl Progress {
    fn new(connection: &Arc<Connection>) -> Self {
        let started = Instant::now();
        let at = Mutex::new(started + connection.guard.limits.request_deadline);
        let connection = Arc::clone(connection);
        Self { started, at, body_complete: AtomicBool::new(false), route: OnceLock::new(), connection }
    }

    fn guard(&self) -> &Guard {
        &self.connection.guard
    }

    /// The limit of a body, for routes without one of their own.
    pub(crate) fn body_limit(&self) -> (usize, &DefaultBodyLimit) {
        (self.guard().limits.body_bytes_max, &self.guard().body_limit)
    }

    pub(crate) fn body_is_complete(&self) -> bool {
        self.body_complete.load(Ordering::Acquire)
    }

    pub(crate) fn complete_body(&self) {
        self.body_complete.store(true, Ordering::Release);
    }

    /// Says which route the request took.
    pub(crate) fn took(&self, route: Route) {
        let _ = self.route.set(route);
    }

    fn at(&self) -> Instant {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if the work did not end in time.
    async fn enforce<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // The work may just have asked for more time.
            Poll::Pending => self.connection.alarm.poll_until(self.at(), cx).map(|()| None),
        })
        .await
    }
}

/// The answer to a request, or why there is none in time.
async fn answer(progress: &Progress, work: impl Future<Output = Response>, safe: bool) -> Response {
    match progress.enforce(AssertUnwindSafe(work).catch_unwind()).await {
        Some(Ok(response)) => response,
        Some(Err(_)) => panicked(safe),
        None if safe || !progress.body_is_complete() => {
            Refused(Error::DeadlineExpired { message: "the server's time limit".into() }).into_response()
        }
        None => Refused(Error::unknown("the server's time limit passed while it worked")).into_response(),
    }
}

/// The answer after a panic; the panic hook has logged where it was.
fn panicked(safe: bool) -> Response {
    let executed = if safe { Executed::No } else { Executed::Unknown };
    error_status::transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the server's log", executed)
}

/// When a request must be answered, for handlers that wait by design and so need longer.
///
/// It covers everything from the request's headers to the head of the answer, so a streamed answer may take any time.
/// Handlers MUST have read the whole body before they have an effect: a request whose body is still on its way
/// when its time is up counts as not executed.
pub struct Deadline(Option<Arc<Progress>>);

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.0.as_ref().map(|progress| progress.at())).finish()
    }
}

impl Deadline {
    /// Gives the request this much more time.
    pub fn extend(&self, by: Duration) {
        if let Some(progress) = &self.0 {
            *progress.at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    /// Outside [`serve`](crate::server::serve) there is no limit to move.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

/// Whether the server has begun to shut down, for handlers that would otherwise hold it up: long polls and streams.
#[derive(Clone, Debug)]
pub struct Draining(Option<watch::Receiver<bool>>);

impl Draining {
    pub(crate) fn new(draining: watch::Receiver<bool>) -> Self {
        Self(Some(draining))
    }

    /// Whether it has.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.as_ref().is_some_and(|draining| *draining.borrow())
    }

    /// Waits until it has.
    pub async fn started(&self) {
        match self.0.clone() {
            // A server that is gone drains nothing, but nothing should hold on to it either.
            Some(mut draining) => drop(draining.wait_for(|draining| *draining).await),
            None => std::future::pending().await,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Draining {
    type Rejection = Infallible;

    /// Outside [`serve`](crate::server::serve) it never does.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let progress = parts.extensions.get::<Arc<Progress>>();
        Ok(progress.map_or(Self(None), |progress| progress.guard().draining.clone()))
    }
}

/// The template of a request's path: what metrics call it, since paths themselves are too many.
#[derive(Clone)]
pub(crate) enum Route {
    Matched(MatchedPath),
    Named(&'static str),
}

impl Route {
    fn as_str(&self) -> &str {
        match self {
            Self::Matched(path) => path.as_str(),
            Self::Named(name) => name,
        }
    }
}

/// The router, its routes saying which of them a request took. Nothing happens outside [`serve`](crate::server::serve).
pub(crate) fn labelled(router: Router) -> Router {
    router.layer(layer_fn(Labelled))
}

#[derive(Clone)]
struct Labelled<S>(S);

impl<S: Service<Request>> Service<Request> for Labelled<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let extensions = request.extensions();
        if let (Some(path), Some(progress)) = (extensions.get::<MatchedPath>(), extensions.get::<Arc<Progress>>()) {
            progress.took(Route::Matched(path.clone()));
        }
        self.0.call(request)
    }
}

/// Counts and times a request when it ends, however it ends.
struct Measured {
    progress: Arc<Progress>,
    method: &'static str,
    /// `None` if the client hung up first.
    status: Option<StatusCode>,
}

impl Measured {
    fn start(progress: &Arc<Progress>, method: &Method) -> Self {
        Self { progress: Arc::clone(progress), method: method_label(method), status: None }
    }

    fn finish(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        response
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let route = self.progress.route.get().map_or("none", Route::as_str);
        self.progress.guard().requests.record(self.method, route, self.status, self.progress.started.elapsed());
    }
}

/// The metrics of the requests, looked up in the recorder once per kind of request. Routes, methods and statuses are few, so
/// that a list is searched faster than a map; and it only grows, so that it is read without a lock.
struct Requests([OnceLock<Series>; KINDS_MAX]);

/// Kinds of requests whose metrics are at hand; those of any more are looked up each time.
const KINDS_MAX: usize = 128;

/// Requests of one route, method and end.
struct Series {
    route: String,
    method: &'static str,
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
        Self { route, method, status, requests, duration }
    }

    fn record(&self, took: Duration) {
        self.requests.increment(1);
        self.duration.record(took);
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self([const { OnceLock::new() }; KINDS_MAX])
    }
}

impl Requests {
    fn record(&self, method: &'static str, route: &str, status: Option<StatusCode>, took: Duration) {
        for place in &self.0 {
            // A free place is taken, unless another kind of request is quicker.
            let series = place.get_or_init(|| Series::new(method, route, status));
            if series.status == status && series.method == method && series.route == route {
                return series.record(took);
            }
        }
        Series::new(method, route, status).record(took);
    }
}

/// A label per known method and one for all others: a caller must not be able to invent labels.
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

//! Around every request: admission, size and time limits, panics, one shape of error, and metrics.

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request, State},
    http::{Method, StatusCode, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

use crate::{
    health::OPERATIONAL,
    server::{ServerLimits, Spare},
    wire::{self, Refused},
};

/// Puts the guard around every route and around the fallbacks.
pub(crate) fn wrap(router: Router, limits: ServerLimits, draining: Draining) -> Router {
    let body_limit = DefaultBodyLimit::max(limits.body_bytes_max);
    let guard = Arc::new(Guard { limits, draining, in_flight: AtomicUsize::new(0) });
    // The last layer is the outermost.
    router.layer(body_limit).layer(from_fn_with_state(guard, pass))
}

struct Guard {
    limits: ServerLimits,
    draining: Draining,
    in_flight: AtomicUsize,
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut measured = Measured::start(&request);
    let response = match guard.admit(&request) {
        Ok(_place) => guard.run(request, next).await,
        Err(refused) => refused.into_response(),
    };
    let response = wire::normalise(response).await;
    measured.status = Some(response.status());
    response
}

impl Guard {
    /// A place among the requests in flight, if there is one and the request is not too long.
    fn admit(&self, request: &Request) -> Result<Option<Place<'_>>, NotAdmitted> {
        let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if uri > self.limits.uri_bytes_max {
            return Err(NotAdmitted::UriTooLong(self.limits.uri_bytes_max));
        }
        if OPERATIONAL.contains(&request.uri().path()) {
            return Ok(None);
        }
        if request.extensions().get::<Spare>().is_some() {
            return Err(NotAdmitted::Overloaded("this server has too many connections"));
        }
        let place = Place(&self.in_flight);
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= self.limits.in_flight_max {
            return Err(NotAdmitted::Overloaded("this server works on too many requests"));
        }
        Ok(Some(place))
    }

    async fn run(&self, request: Request, next: Next) -> Response {
        let safe = request.method().is_safe();
        let deadline = Deadline::after(self.limits.request_deadline);
        let request = deadline.attach(request, &self.draining);
        let work = AssertUnwindSafe(next.run(request)).catch_unwind();
        match deadline.enforce(work).await {
            Some(Ok(response)) => response,
            Some(Err(_)) => {
                // The panic hook has logged where.
                let executed = if safe { Executed::No } else { Executed::Unknown };
                wire::transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the server's log", executed)
            }
            None if safe || !deadline.body_is_complete() => {
                Refused(Error::DeadlineExpired { message: "the server's time limit".into() }).into_response()
            }
            None => Refused(Error::unknown("the server's time limit passed while it worked")).into_response(),
        }
    }
}

/// Why a request is refused before any work.
enum NotAdmitted {
    /// The most bytes there may be.
    UriTooLong(usize),
    /// Of what there is too much.
    Overloaded(&'static str),
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match self {
            Self::Overloaded(what) => Refused(Error::overloaded(what)).into_response(),
            Self::UriTooLong(most) => {
                let detail = format!("path and query must be at most {most} bytes");
                wire::transport_problem(StatusCode::URI_TOO_LONG, &detail, Executed::No)
            }
        }
    }
}

/// One of the requests in flight.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// When a request must be answered, for handlers that wait by design and so need longer.
///
/// It covers everything from the request's headers to the head of the answer, so a streamed answer may take any time.
/// Handlers MUST have read the whole body before they have an effect: a request whose body is still on its way
/// when its time is up counts as not executed.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Progress>);

#[derive(Debug)]
struct Progress {
    at: Mutex<Instant>,
    body_complete: AtomicBool,
}

impl Deadline {
    fn after(time: Duration) -> Self {
        Self(Arc::new(Progress { at: Mutex::new(Instant::now() + time), body_complete: AtomicBool::new(false) }))
    }

    /// Gives the request this much more time.
    pub fn extend(&self, by: Duration) {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn at(&self) -> Instant {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn body_is_complete(&self) -> bool {
        self.0.body_complete.load(Ordering::Acquire)
    }

    /// The request with this deadline in its extensions, and a body that tells when all of it has come.
    fn attach(&self, request: Request, draining: &Draining) -> Request {
        let mut request = request.map(|body| {
            self.0.body_complete.store(body.is_end_stream(), Ordering::Release);
            if body.is_end_stream() { body } else { Body::new(Watched { body, progress: Arc::clone(&self.0) }) }
        });
        request.extensions_mut().insert(self.clone());
        request.extensions_mut().insert(draining.clone());
        request
    }

    /// `None` if the work did not end in time.
    async fn enforce<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let at = self.at();
            match tokio::time::timeout_at(at, work.as_mut()).await {
                Ok(done) => return Some(done),
                Err(_) if self.at() > at => {}
                Err(_) => return None,
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    /// Outside [`serve`](crate::server::serve) there is no limit to move.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::after(Duration::ZERO)))
    }
}

/// A body that tells when all of it has come.
struct Watched {
    body: Body,
    progress: Arc<Progress>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.progress.body_complete.store(true, Ordering::Release);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// Counts and times a request when it ends, however it ends.
struct Measured {
    started: Instant,
    method: &'static str,
    route: String,
    /// `None` if the client hung up first.
    status: Option<StatusCode>,
}

impl Measured {
    fn start(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
        Self { started: Instant::now(), method: method_label(request.method()), route, status: None }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let status = self.status.map_or_else(|| "hung-up".to_owned(), |status| status.as_u16().to_string());
        let route = std::mem::take(&mut self.route);
        metrics::histogram!("bookstore_http_request_duration_seconds", "method" => self.method, "route" => route.clone())
            .record(self.started.elapsed().as_secs_f64());
        metrics::counter!("bookstore_http_requests_total", "method" => self.method, "route" => route, "status" => status)
            .increment(1);
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

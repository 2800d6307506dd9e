//! A request as a server hands it on: its body as it comes in, and what the server knows of it.

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

use crate::{
    server::guard::{Progress, Route},
    server::linger,
};

/// The body of a request that a server has received. It tells when all of it has come; its rest is discarded if it is dropped
/// before.
pub struct RequestBody {
    /// `None` only once it is dropped.
    body: Option<Incoming>,
    /// The client waits to be asked for it.
    waits: bool,
    progress: Arc<Progress>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("body", &self.body).finish_non_exhaustive()
    }
}

/// Bytes that axum's extractors take if nobody sets a limit.
const EXTRACTORS_MAX: usize = 2_097_152;

impl RequestBody {
    pub(crate) fn take_in(request: hyper::Request<Incoming>, progress: &Arc<Progress>) -> hyper::Request<Self> {
        let complete = request.body().is_end_stream();
        if complete {
            progress.complete_body();
        }
        let waits = !complete && linger::waits(request.headers());
        request.map(|body| Self { body: Some(body), waits, progress: Arc::clone(progress) })
    }

    /// Says which route the request took.
    pub(crate) fn took(&self, route: Route) {
        self.progress.took(route);
    }

    /// A router's answer to the request. What the server knows of it is in its extensions, for handlers that ask.
    pub(crate) fn through<S>(request: hyper::Request<Self>, router: &mut S) -> BoxFuture<'static, Response>
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
    {
        let progress = Arc::clone(&request.body().progress);
        let (most, body_limit) = progress.body_limit();
        let longest = request.body().size_hint().upper();
        let mut request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        if longest.is_none_or(|longest| longest > most.min(EXTRACTORS_MAX) as u64) {
            body_limit.apply(&mut request);
        }
        request.extensions_mut().insert(progress);
        // A router is always ready, and does not fail.
        router.call(request).unwrap_or_else(|never| match never {}).boxed()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let nothing_comes = self.waits || self.progress.body_is_complete();
        if let Some(rest) = self.body.take().filter(|_| !nothing_comes) {
            linger::discard(rest);
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || body.is_end_stream() {
            self.progress.complete_body();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

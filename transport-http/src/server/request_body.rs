//! The body of a request: how it arrives, and how long it may be. Above the limit a request is answered 413, and not executed.

use axum::{
    body::{Body, HttpBody},
    extract::DefaultBodyLimit,
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Request,
    body::{Frame, Incoming, SizeHint},
    header,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{limits::ServerLimits, linger, request_context::RequestContext};

/// The body of a received request. It notes when all of it has arrived; if it is dropped before, the rest is
/// [discarded](linger::discard).
pub(crate) struct RequestBody {
    /// `None` only once it is dropped.
    body: Option<Incoming>,
    /// The client sends nothing before it is asked to, and was not asked yet.
    awaits_continue: bool,
    context: Arc<RequestContext>,
}

impl RequestBody {
    /// Puts a request's body behind this type; `context` learns when it is complete.
    pub(crate) fn wrap(request: Request<Incoming>, context: &Arc<RequestContext>) -> Request<Self> {
        let is_complete = request.body().is_end_stream();
        if is_complete {
            context.complete_body();
        }
        let awaits_continue = !is_complete && awaits_continue(request.headers());
        request.map(|body| Self { body: Some(body), awaits_continue, context: Arc::clone(context) })
    }
}

/// Whether the client waits for `100 Continue` before it sends the body. Reading the body asks for it.
fn awaits_continue(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let is_sent = !self.awaits_continue && !self.context.body_is_complete();
        if let Some(rest) = self.body.take().filter(|_| is_sent) {
            linger::discard(rest);
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || body.is_end_stream() {
            self.context.complete_body();
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

/// Bytes that axum's extractors read if no limit is set.
const AXUM_BYTES_MAX: usize = 2_097_152;

/// Limits what axum's extractors read of a body to [`ServerLimits::body_bytes_max`].
///
/// A route may have a `DefaultBodyLimit` of its own, which replaces this one. A handler that reads the body itself MUST limit
/// it itself, as the public interface's `Payload` does.
#[derive(Debug)]
pub(crate) struct BodyLimit {
    bytes_max: usize,
    limit: DefaultBodyLimit,
}

impl BodyLimit {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        Self { bytes_max: limits.body_bytes_max, limit: DefaultBodyLimit::max(limits.body_bytes_max) }
    }

    /// Limits a request's body, unless its announced length is within the limit.
    pub(crate) fn apply(&self, request: &mut Request<Body>) {
        let announced = request.body().size_hint().upper();
        if announced.is_none_or(|bytes| bytes > self.bytes_max.min(AXUM_BYTES_MAX) as u64) {
            self.limit.apply(request);
        }
    }
}

//! The body of a request: how it arrives, and how long it may be. Above the limit a request is answered 413, and not executed.

use axum::{
    BoxError,
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
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    admission::NotAdmitted, late_body::LateBody, limits::ServerLimits, linger, request_context::RequestContext,
};

/// The body of a received request. It notes when all of it has arrived; if it is dropped before, the rest is
/// [discarded](linger::discard).
///
/// While its handler waits for it, the request gives its place among those that are worked on to others: the body is
/// [late](LateBody) then. When it is complete, the request takes a place again. If there is none, or the body is too slow, or too many
/// are waited for, the body ends in an error, and the request is refused whatever its handler answers.
pub(crate) struct RequestBody {
    /// `None` once it is dropped, or given up as too slow.
    body: Option<Incoming>,
    /// The client sends nothing before it is asked to, and was not asked yet.
    awaits_continue: bool,
    /// The last look found nothing. The first look makes the connection read, so a body that came with its headers is there at the
    /// second one.
    was_pending: bool,
    late: Option<LateBody>,
    context: Arc<RequestContext>,
}

impl RequestBody {
    /// Puts a request's body behind this type; `context` learns when it is complete.
    pub(crate) fn wrap(request: Request<Incoming>, context: &Arc<RequestContext>) -> Request<Body> {
        let is_complete = request.body().is_end_stream();
        if is_complete {
            context.complete_body();
        }
        let awaits_continue = !is_complete && awaits_continue(request.headers());
        let context = Arc::clone(context);
        request
            .map(|body| Body::new(Self { body: Some(body), awaits_continue, was_pending: false, late: None, context }))
    }

    /// Nothing has arrived.
    fn pending(&mut self, cx: &mut Context<'_>) -> Result<(), NotAdmitted> {
        if !mem::replace(&mut self.was_pending, true) {
            return Ok(());
        }
        let late = match &mut self.late {
            Some(late) => late,
            // What has no place has none to give: the operator's requests.
            None if !self.context.free_place() => return Ok(()),
            empty => empty.insert(LateBody::wait(&self.context.connection)?),
        };
        match late.poll_too_slow(cx) {
            Poll::Ready(too_slow) => {
                // The rest is not waited for, either.
                self.body = None;
                Err(too_slow)
            }
            Poll::Pending => Ok(()),
        }
    }

    /// All of it has arrived.
    fn complete(&mut self) -> Result<(), NotAdmitted> {
        if self.late.take().is_some() && !self.context.take_place() {
            return Err(NotAdmitted::TooManyRequests);
        }
        self.context.complete_body();
        Ok(())
    }

    fn refuse(&mut self, why: NotAdmitted) -> BoxError {
        let message = format!("{why:?}");
        self.late = None;
        self.context.refuse(why);
        message.into()
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
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.awaits_continue = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        let is_complete = matches!(frame, Poll::Ready(None)) || body.is_end_stream();
        let admitted = match &frame {
            Poll::Pending => self.pending(cx),
            Poll::Ready(_) if is_complete => self.complete(),
            Poll::Ready(frame) => {
                self.was_pending = false;
                if let (Some(late), Some(Ok(frame))) = (&mut self.late, frame) {
                    late.arrived(frame.data_ref().map_or(0, Bytes::len));
                }
                Ok(())
            }
        };
        match admitted {
            Ok(()) => frame.map_err(Into::into),
            Err(refusal) => Poll::Ready(Some(Err(self.refuse(refusal)))),
        }
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

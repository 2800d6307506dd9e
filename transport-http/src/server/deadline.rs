//! The deadline of a request: until when it must be answered, and what the answer is if it is not.

use axum::{extract::FromRequestParts, http::request::Parts};
use bookstore_core::Error;
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

use super::connection_timer::ConnectionTimer;

/// The deadline of a request, for handlers that wait by design and need more time.
///
/// It covers everything from the request's headers to the head of the answer, so a streamed answer may take any time.
/// Handlers MUST have read the whole body before they have an effect: a request whose body is still on its way
/// when its time is up counts as not executed.
#[derive(Debug)]
pub struct Deadline(Option<Arc<RequestDeadline>>);

impl Deadline {
    /// Gives the request this much more time.
    pub fn extend(&self, by: Duration) {
        if let Some(deadline) = &self.0 {
            *deadline.at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    /// Outside [`serve`](crate::server::serve) requests have no deadline, and [`Deadline::extend`] does nothing.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

/// What the server keeps of a request's deadline; a [`Deadline`] refers to it.
#[derive(Debug)]
pub(crate) struct RequestDeadline {
    at: Mutex<Instant>,
    body_is_complete: AtomicBool,
}

impl RequestDeadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self { at: Mutex::new(Instant::now() + time), body_is_complete: AtomicBool::new(false) }
    }

    fn at(&self) -> Instant {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the whole body has arrived: from now on the request may have an effect.
    pub(crate) fn complete_body(&self) {
        self.body_is_complete.store(true, Ordering::Release);
    }

    pub(crate) fn body_is_complete(&self) -> bool {
        self.body_is_complete.load(Ordering::Acquire)
    }

    /// What `work` ends in, or `None` if it has not ended by the deadline, which `work` may extend.
    pub(crate) async fn enforce<T>(&self, timer: &ConnectionTimer, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => timer.poll_until(self.at(), cx).map(|()| None),
        })
        .await
    }

    /// The error of a request that was not answered by its deadline; a safe one only reads.
    pub(crate) fn expired(&self, is_safe: bool) -> Error {
        if is_safe || !self.body_is_complete() {
            Error::DeadlineExpired { message: "the server's time limit".into() }
        } else {
            Error::unknown("the server's time limit passed while it worked")
        }
    }
}

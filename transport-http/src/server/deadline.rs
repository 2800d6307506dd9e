//! The deadline of a request: until when it must be answered, and what the answer is if it is not.

use axum::{extract::FromRequestParts, http::request::Parts};
use bookstore_core::Error;
use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

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
    pub(crate) async fn enforce<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let at = self.at();
            match timeout_at(at, work.as_mut()).await {
                Ok(done) => return Some(done),
                Err(_) if self.at() > at => {}
                Err(_) => return None,
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_is_ended_at_its_deadline_and_not_before() {
        let deadline = RequestDeadline::after(3 * SECOND);
        assert_eq!(deadline.enforce(async { sleep(2 * SECOND).await }).await, Some(()));
        let started = Instant::now();
        assert_eq!(deadline.enforce(sleep(2 * SECOND)).await, None);
        assert_eq!(started.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn work_may_extend_its_own_deadline() {
        let deadline = Arc::new(RequestDeadline::after(SECOND));
        let extend = Deadline(Some(Arc::clone(&deadline)));
        let work = async {
            extend.extend(2 * SECOND);
            sleep(2 * SECOND).await;
            extend.extend(2 * SECOND);
            sleep(4 * SECOND).await;
        };
        let started = Instant::now();
        assert_eq!(deadline.enforce(work).await, None);
        assert_eq!(started.elapsed(), 5 * SECOND);
    }
}

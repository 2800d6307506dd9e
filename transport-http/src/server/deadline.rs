//! The deadline of a request: until when it must be answered, and what the answer is if it is not.

use axum::{extract::FromRequestParts, http::request::Parts};
use bookstore_core::Error;
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::time::{Sleep, sleep_until};

use super::request_context::RequestContext;

/// The deadline of a request, for handlers that wait by design and need more time.
///
/// It covers everything from the request's headers to the head of the answer, so a streamed answer may take any time.
/// Handlers MUST have read the whole body before they have an effect: a request whose body is still on its way
/// when its time is up counts as not executed.
#[derive(Debug)]
pub struct Deadline(Option<Arc<RequestContext>>);

impl Deadline {
    /// Gives the request this much more time.
    pub fn extend(&self, by: Duration) {
        if let Some(context) = &self.0 {
            context.extend_deadline(by);
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

/// What `work` ends in, or `None` if it has not ended by the request's deadline, which `work` may extend.
///
/// The timer is made when `work` has to wait for the first time: most reads never do. To put it off for the connection's next request costs
/// less than to make another one.
pub(crate) async fn enforce_deadline<T>(
    context: &RequestContext,
    timer: &mut Option<Pin<Box<Sleep>>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        loop {
            let deadline = context.deadline();
            match timer {
                Some(timer) if timer.deadline() == deadline => return timer.as_mut().poll(cx).map(|()| None),
                Some(timer) => timer.as_mut().reset(deadline),
                None => *timer = Some(Box::pin(sleep_until(deadline))),
            }
        }
    })
    .await
}

/// The error of a request that was not answered by its deadline; a safe one only reads.
pub(crate) fn deadline_expired(context: &RequestContext, is_safe: bool) -> Error {
    if is_safe || !context.body_is_complete() {
        Error::DeadlineExpired { message: "the server's time limit".into() }
    } else {
        Error::unknown("the server's time limit passed while it worked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{ServerLimits, admission::Admission, connections::Connections};
    use tokio::{
        sync::watch,
        time::{Instant, sleep},
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn context(time_max: Duration) -> Arc<RequestContext> {
        let (_, draining) = watch::channel(false);
        let limits = ServerLimits::default();
        let connections = Arc::new(Connections::new(&limits, Arc::new(Admission::new(&limits))));
        let permit = connections.admit(([127, 0, 0, 1], 1).into()).unwrap();
        Arc::new(RequestContext::new(time_max, Arc::new(draining), Arc::clone(&permit.state)))
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_ended_at_its_deadline_and_not_before() {
        let (context, mut timer) = (context(3 * SECOND), None);
        assert_eq!(enforce_deadline(&context, &mut timer, sleep(2 * SECOND)).await, Some(()));
        let started = Instant::now();
        assert_eq!(enforce_deadline(&context, &mut timer, sleep(2 * SECOND)).await, None);
        assert_eq!(started.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn work_may_extend_its_own_deadline() {
        let context = context(SECOND);
        let deadline = Deadline(Some(Arc::clone(&context)));
        let work = async {
            deadline.extend(2 * SECOND);
            sleep(2 * SECOND).await;
            deadline.extend(2 * SECOND);
            sleep(4 * SECOND).await;
        };
        let started = Instant::now();
        assert_eq!(enforce_deadline(&context, &mut None, work).await, None);
        assert_eq!(started.elapsed(), 5 * SECOND);
    }
}

//! One timer for each connection, for the headers of its requests and for their deadlines.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is seldom reset.
///
/// All connections share the runtime's queue of timers, and nearly no deadline passes, so two timers for each request cost much
/// for little. A timer that is set too early stays as it is; only when it fires is it set to the deadline that then holds.
///
/// For the task of its connection alone: it wakes the task that polled it last.
#[derive(Clone)]
pub(crate) struct ConnectionTimer(Arc<Mutex<State>>);

struct State {
    sleep: Pin<Box<Sleep>>,
    waker: Option<Waker>,
}

impl ConnectionTimer {
    pub(crate) fn new(first: Duration) -> Self {
        Self(Arc::new(Mutex::new(State { sleep: Box::pin(sleep_until(Instant::now() + first)), waker: None })))
    }

    /// Ready once this moment has passed.
    pub(crate) fn poll_until(&self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { sleep, waker } = &mut *state;
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        } else if !sleep.is_elapsed() && waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            // Polled several times for each request, it is registered once: the same task waits for it all the time.
            return Poll::Pending;
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                waker.replace(cx.waker().clone());
                return Poll::Pending;
            }
            waker.take();
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}

/// For the time that a request's headers may take.
impl hyper::rt::Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { timer: self.clone(), at: Instant::now() + duration })
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { timer: self.clone(), at: deadline.into() })
    }

    fn now(&self) -> std::time::Instant {
        // The runtime's, which a simulation moves.
        Instant::now().into()
    }
}

struct Until {
    timer: ConnectionTimer,
    at: Instant,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_until(self.at, cx)
    }
}

impl hyper::rt::Sleep for Until {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const SECOND: Duration = Duration::from_secs(1);

    async fn fires_after(timer: &ConnectionTimer, at: Instant) -> Duration {
        let started = Instant::now();
        poll_fn(|cx| timer.poll_until(at, cx)).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_fires_when_due_however_it_was_set_before() {
        let timer = ConnectionTimer::new(10 * SECOND);
        let soon = |seconds: u32| Instant::now() + seconds * SECOND;
        assert_eq!(fires_after(&timer, soon(3)).await, 3 * SECOND, "earlier than set");
        assert_eq!(fires_after(&timer, soon(3)).await, 3 * SECOND, "after it fired");
        // Set, and no longer polled.
        assert!(tokio::time::timeout(SECOND, fires_after(&timer, soon(2))).await.is_err());
        assert_eq!(fires_after(&timer, soon(5)).await, 5 * SECOND, "later than set");
        assert_eq!(fires_after(&timer, Instant::now() - SECOND).await, Duration::ZERO, "in the past");
    }

    #[tokio::test(start_paused = true)]
    async fn two_may_wait_for_different_moments() {
        let timer = ConnectionTimer::new(SECOND);
        let (early, late) = (Instant::now() + 2 * SECOND, Instant::now() + 7 * SECOND);
        let both = futures_util::future::join(fires_after(&timer, late), fires_after(&timer, early));
        assert_eq!(both.await, (7 * SECOND, 2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_polled_last() {
        let (timer, at) = (ConnectionTimer::new(SECOND), Instant::now() + 2 * SECOND);
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(timer.poll_until(at, &mut nobody).is_pending());
        }
        let fired = tokio::time::timeout(5 * SECOND, fires_after(&timer, at)).await;
        assert_eq!(fired, Ok(2 * SECOND));
    }
}

//! One timer a connection, for its requests: their headers and their answers.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is seldom set anew.
///
/// All connections share the runtime's queue of timers, and nearly no deadline is ever met: to enter and to remove two of them
/// for each request costs more than to read it. So an alarm that is set too early stays as it is; only when it rings is it set
/// to what is due then.
///
/// For the task of its connection alone: it wakes whoever polled it last.
#[derive(Clone)]
pub(crate) struct Alarm(Arc<Mutex<Set>>);

struct Set {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    asked: Option<Waker>,
}

impl Alarm {
    pub(crate) fn new(first: Duration) -> Self {
        Self(Arc::new(Mutex::new(Set { sleep: Box::pin(sleep_until(Instant::now() + first)), asked: None })))
    }

    /// Ready once this moment has passed.
    pub(crate) fn poll_until(&self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Set { sleep, asked } = &mut *set;
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        } else if !sleep.is_elapsed() && asked.as_ref().is_some_and(|asked| asked.will_wake(cx.waker())) {
            // Polled several times for each request, it is asked once: the same task waits for it all the time.
            return Poll::Pending;
        }
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                asked.replace(cx.waker().clone());
                return Poll::Pending;
            }
            asked.take();
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}

/// For the time that a request's headers may take.
impl hyper::rt::Timer for Alarm {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { alarm: self.clone(), at: Instant::now() + duration })
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { alarm: self.clone(), at: deadline.into() })
    }

    fn now(&self) -> std::time::Instant {
        // The runtime's, which a simulation moves.
        Instant::now().into()
    }
}

struct Until {
    alarm: Alarm,
    at: Instant,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll_until(self.at, cx)
    }
}

impl hyper::rt::Sleep for Until {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const SECOND: Duration = Duration::from_secs(1);

    async fn rings(alarm: &Alarm, at: Instant) -> Duration {
        let started = Instant::now();
        poll_fn(|cx| alarm.poll_until(at, cx)).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_asked_for_however_it_was_set_before() {
        let alarm = Alarm::new(10 * SECOND);
        let soon = |seconds: u32| Instant::now() + seconds * SECOND;
        assert_eq!(rings(&alarm, soon(3)).await, 3 * SECOND, "earlier than set");
        assert_eq!(rings(&alarm, soon(3)).await, 3 * SECOND, "after it rang");
        // Set, and no longer asked for.
        assert!(tokio::time::timeout(SECOND, rings(&alarm, soon(2))).await.is_err());
        assert_eq!(rings(&alarm, soon(5)).await, 5 * SECOND, "later than set");
        assert_eq!(rings(&alarm, Instant::now() - SECOND).await, Duration::ZERO, "in the past");
    }

    #[tokio::test(start_paused = true)]
    async fn two_may_wait_for_different_moments() {
        let alarm = Alarm::new(SECOND);
        let (early, late) = (Instant::now() + 2 * SECOND, Instant::now() + 7 * SECOND);
        let both = futures_util::future::join(rings(&alarm, late), rings(&alarm, early));
        assert_eq!(both.await, (7 * SECOND, 2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whoever_asked_last() {
        let (alarm, at) = (Alarm::new(SECOND), Instant::now() + 2 * SECOND);
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(alarm.poll_until(at, &mut nobody).is_pending());
        }
        let rang = tokio::time::timeout(5 * SECOND, rings(&alarm, at)).await;
        assert_eq!(rang, Ok(2 * SECOND));
    }
}

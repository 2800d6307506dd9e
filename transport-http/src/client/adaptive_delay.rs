//! A short delay before a batch, which pays off if callers call again as soon as they are answered.
//!
//! When a batch comes back, its callers wake up one after the other. If the first of them went at once, all others would wait
//! for one more batch. So the next batch is delayed until most of them have called again. Whether they do is learned: each
//! delay in vain doubles the number of batches that follow without one, up to [`TRIED_ONE_IN`].
//!
//! To switch it off, remove the one line in `batching.rs` that calls [`AdaptiveDelay::wait`].

use bookstore_core::batch::Waiting;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// However often callers did not come back, one batch in this many is delayed, to see whether they do now.
const TRIED_ONE_IN: u32 = 32;
/// No batch is delayed for longer, however slow the answers are.
const DELAY_MAX: Duration = Duration::from_millis(20);

/// Batches that have come back since the last one was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Completed {
    /// Their calls that were answered.
    pub(super) calls: usize,
    /// How long the slowest of them was in flight.
    pub(super) took: Duration,
}

impl Completed {
    pub(super) fn and(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, took: self.took.max(other.took) }
    }
}

/// Learns whether callers come back at once.
#[derive(Debug, Default)]
pub(super) struct AdaptiveDelay {
    /// Batches to send without a delay from now on, …
    to_skip: u32,
    /// … and how many that was the last time.
    skipped: u32,
}

impl AdaptiveDelay {
    /// Waits until seven eighths of the answered callers wait again, or `enough` calls wait in all.
    ///
    /// It waits for at most half of the time that the answers took. Callers who come without regard to the answers would need
    /// three quarters of it, since as many as wait now have come while the batch was in flight; so they are not waited for.
    pub(super) async fn wait<C, R>(&mut self, waiting: &Waiting<C, R>, completed: Completed, enough: usize) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        let (started, delay_max) = (Instant::now(), DELAY_MAX.min(completed.took / 2));
        let all = waiting.len() + completed.calls;
        let back = timeout(delay_max, waiting.at_least((all - all / 8).min(enough))).await;
        // The timer fires a millisecond late, or more.
        if back.is_ok() && started.elapsed() <= delay_max {
            *self = Self::default();
        } else {
            self.skipped = (2 * self.skipped + 1).min(TRIED_ONE_IN - 1);
            self.to_skip = self.skipped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::batch;
    use futures_util::future::join_all;
    use std::pin::pin;

    const MS: Duration = Duration::from_millis(1);

    /// How long a batch is delayed after 10 calls were answered, which took 20 ms, while 10 others come in this interval.
    async fn delayed(delay: &mut AdaptiveDelay, every: Duration, enough: usize) -> Duration {
        delayed_after(20 * MS, delay, every, enough).await
    }

    async fn delayed_after(took: Duration, delay: &mut AdaptiveDelay, every: Duration, enough: usize) -> Duration {
        let (queue, waiting) = batch::queue::<(), ()>(100);
        let started = Instant::now();
        let coming = join_all((1..=10).map(|nth| {
            let queue = &queue;
            async move {
                tokio::time::sleep(nth * every).await;
                queue.call(()).await
            }
        }));
        let mut coming = pin!(coming);
        let mut delayed = pin!(delay.wait(&waiting, Completed { calls: 10, took }, enough));
        std::future::poll_fn(|cx| {
            let _ = coming.as_mut().poll(cx);
            delayed.as_mut().poll(cx)
        })
        .await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_most_of_those_who_call_again_at_once() {
        let mut delay = AdaptiveDelay::default();
        for _ in 0..3 {
            assert_eq!(delayed(&mut delay, MS, 100).await, 9 * MS, "nine of ten");
            assert_eq!(delayed(&mut delay, MS, 4).await, 4 * MS, "enough");
        }
    }

    #[test]
    fn batches_that_come_back_together_are_waited_for_together() {
        let both = Completed { calls: 3, took: 5 * MS }.and(Completed { calls: 4, took: 2 * MS });
        assert_eq!((both.calls, both.took), (7, 5 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn no_batch_waits_long_for_callers_because_the_last_one_did() {
        let delayed = delayed_after(2000 * MS, &mut AdaptiveDelay::default(), 10 * MS, 100).await;
        assert!((DELAY_MAX..=DELAY_MAX + 2 * MS).contains(&delayed), "{delayed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_do_not_come_back_are_waited_for_ever_more_seldom() {
        let mut delay = AdaptiveDelay::default();
        let mut delays = Vec::new();
        for _ in 0..100 {
            delays.push(delayed(&mut delay, 2 * MS, 100).await);
        }
        let longest = delays.iter().max().expect("there are some");
        // Half of 20 ms, and the lateness of the timer.
        assert!((10 * MS..=12 * MS).contains(longest), "{longest:?}");
        let when = delays.iter().enumerate().filter(|(_, delay)| !delay.is_zero()).map(|(nth, _)| nth);
        assert_eq!(when.collect::<Vec<_>>(), [0, 2, 6, 14, 30, 62, 94]);
        // Until they do.
        while delayed(&mut delay, MS, 100).await.is_zero() {}
        assert_eq!(delayed(&mut delay, MS, 100).await, 9 * MS);
    }
}

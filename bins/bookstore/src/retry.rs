//! The facade's retries: a call that is safe to repeat is attempted until there is an answer or its time is over.

use bookstore_core::{
    Clock, Error, Result,
    retry::{Next, Retry},
};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) use bookstore_core::retry::Effect;

/// An attempt under way at the deadline may take as long again as the timeout, and this much longer: a remote call has a
/// deadline of its own, and its own error says more than that time is over.
const GRACE: Duration = Duration::from_millis(200);

/// Calls until there is an answer, by the rule of [`bookstore_core::retry`]. No attempt begins once `timeout` is over.
///
/// `call` MUST be harmless to repeat: its effect is [`Effect::ReadOnly`] or [`Effect::Keyed`].
pub(crate) async fn retry<T, F: Future<Output = Result<T>>>(
    effect: Effect,
    clock: &dyn Clock,
    timeout: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut retry = Retry::new(effect, Retry::UNLIMITED);
    loop {
        let error = match tokio::time::timeout_at(deadline + timeout + GRACE, call()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => Error::unknown("there was no answer in time"),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match retry.after(error, left, random(clock), || true) {
            Next::AttemptAfter(pause) => tokio::time::sleep(pause).await,
            Next::Answer(error) => return Err(error),
        }
    }
}

/// A number from 0 to 1, from the random bits of a fresh id.
fn random(clock: &dyn Clock) -> f64 {
    let bits = u16::try_from(clock.new_id().as_u128() & 0xffff).unwrap_or_default();
    f64::from(bits) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Executed, SystemClock};
    use std::collections::VecDeque;

    async fn run(mut script: VecDeque<Result<u8>>) -> Result<u8> {
        let call = || std::future::ready(script.pop_front().unwrap_or_else(|| Err(Error::unavailable("down"))));
        retry(Effect::Keyed, &SystemClock, Duration::from_secs(30), call).await
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_waited_out() {
        let trouble = [Error::unavailable("down"), Error::unknown("reset"), Error::overloaded("full")];
        let script = trouble.into_iter().map(Err).chain([Ok(7)]).collect();
        assert_eq!(run(script).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out() {
        let started = Instant::now();
        assert!(matches!(run(VecDeque::new()).await, Err(Error::Unavailable { .. })));
        assert!(started.elapsed() > Duration::from_secs(20) && started.elapsed() <= Duration::from_secs(30));
        for (effect, executed) in [(Effect::Keyed, Executed::Unknown), (Effect::ReadOnly, Executed::No)] {
            let hang = std::future::pending::<Result<u8>>;
            let hung = retry(effect, &SystemClock, Duration::from_secs(1), hang).await;
            assert_eq!(hung.unwrap_err().executed(), executed);
        }
    }
}

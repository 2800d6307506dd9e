//! Trying a call that is safe to repeat until there is an answer.

use bookstore_core::{Clock, Error, Executed, Result};
use std::time::Duration;
use tokio::time::Instant;

/// The first and the longest pause between two tries; each is drawn between none and twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A call under way may take as long again as the timeout, and so much longer.
const GRACE: Duration = Duration::from_millis(200);

/// What a call does, when it is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it only reads, so it is never unknown.
    None,
    /// Something that happens once, however often it is sent.
    Once,
}

/// Calls until there is an answer or `timeout` has run out; every call must be harmless to repeat.
///
/// Once one of them may have been executed, a refusal of a later one says nothing about it: the outcome stays unknown.
pub(crate) async fn retry<T, F: Future<Output = Result<T>>>(
    effect: Effect,
    clock: &dyn Clock,
    timeout: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut pause = PAUSE.0;
    let mut unknown = false;
    loop {
        // A remote call has a deadline of its own, and then something better to say than that time is over.
        let error = match tokio::time::timeout_at(deadline + timeout + GRACE, call()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => Error::unknown("there was no answer in time"),
        };
        let error = match error {
            Error::OutcomeUnknown { message, .. } if effect == Effect::None => Error::unavailable(message),
            error => error,
        };
        unknown |= error.executed() == Executed::Unknown;
        let next = Instant::now() + jittered(clock, pause);
        if !error.may_retry(true) || next >= deadline {
            return Err(if unknown { still_unknown(error) } else { error });
        }
        tokio::time::sleep_until(next).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// A random part of `pause`, from the random bits of a fresh id.
fn jittered(clock: &dyn Clock, pause: Duration) -> Duration {
    let random = u32::try_from(clock.new_id().as_u128() & 0xffff).unwrap_or_default();
    pause * random / 0xffff
}

fn still_unknown(error: Error) -> Error {
    match error {
        Error::OutcomeUnknown { .. } => error,
        refusal => Error::unknown(format!("an earlier try may have been executed; the last one: {refusal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, SystemClock};
    use std::collections::VecDeque;

    async fn run(mut script: VecDeque<Result<u8>>) -> Result<u8> {
        let call = || std::future::ready(script.pop_front().unwrap_or_else(|| Err(Error::unavailable("down"))));
        retry(Effect::Once, &SystemClock, Duration::from_secs(30), call).await
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_waited_out() {
        let trouble = [Error::unavailable("down"), Error::unknown("reset"), Error::overloaded("full")];
        let script = trouble.into_iter().map(Err).chain([Ok(7)]).collect();
        assert_eq!(run(script).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer_unless_an_earlier_try_may_have_been_executed() {
        let sold_out = Error::OutOfStock { book: BookId(1), available: 0 };
        assert_eq!(run([Err(sold_out.clone())].into()).await, Err(sold_out.clone()));
        let after_unknown = run([Err(Error::unknown("reset")), Err(sold_out)].into()).await;
        assert_eq!(after_unknown.unwrap_err().executed(), Executed::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out() {
        let started = Instant::now();
        assert!(matches!(run(VecDeque::new()).await, Err(Error::Unavailable { .. })));
        assert!(started.elapsed() > Duration::from_secs(20) && started.elapsed() <= Duration::from_secs(30));
        for (effect, executed) in [(Effect::Once, Executed::Unknown), (Effect::None, Executed::No)] {
            let hang = std::future::pending::<Result<u8>>;
            let hung = retry(effect, &SystemClock, Duration::from_secs(1), hang).await;
            assert_eq!(hung.unwrap_err().executed(), executed);
        }
    }
}

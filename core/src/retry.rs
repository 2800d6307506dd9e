//! The one rule for retries, used by the facade, by HTTP clients and by load generators.
//!
//! The rule is pure: it neither sleeps nor sends. A caller makes an attempt, hands the error to [`Retry::after`], and either
//! answers or sleeps and makes the next attempt. Whoever calls adds what is its own: a deadline, a retry budget, a limit of
//! attempts.
//!
//! Pauses grow exponentially with full jitter: each is a random part of 25 ms, 50 ms, 100 ms, … up to one second. Without
//! jitter, callers that failed together would come back together (Brooker, "Exponential Backoff and Jitter").

use std::time::Duration;

use crate::error::{Error, Executed};

/// The first pause is a random part of this; the later ones are a random part of twice as much each.
const PAUSE: Duration = Duration::from_millis(25);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What it means to send a call twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call changes nothing. An attempt without an answer counts as *not executed*.
    ReadOnly,
    /// The call has an idempotency key, such as an order id: sent twice, it happens once.
    Keyed,
    /// Sent twice, the call may happen twice. It is sent again only if it certainly was not executed.
    Unkeyed,
}

/// The retries of one call: what its attempts have said so far.
///
/// ```
/// use bookstore_core::{Error, retry::{Effect, Next, Retry}};
/// use std::time::Duration;
///
/// let mut retry = Retry::new(Effect::Keyed, Retry::UNLIMITED);
/// let left = Duration::from_secs(5);
/// // The first attempt got no answer. Half of the longest possible pause:
/// let next = retry.after(Error::unknown("connection reset"), left, 0.5, || true);
/// assert_eq!(next, Next::AttemptAfter(Duration::from_micros(12_500)));
/// // The second one was refused. That says nothing about the first one, so the outcome stays unknown.
/// let Next::Answer(error) = retry.after(Error::VersionRequired, left, 0.5, || true) else { panic!() };
/// assert!(matches!(error, Error::OutcomeUnknown { .. }));
/// ```
#[derive(Clone, Debug)]
pub struct Retry {
    effect: Effect,
    retries_max: u32,
    retries: u32,
    maybe_executed: bool,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make another attempt after this pause.
    AttemptAfter(Duration),
    /// Make no other attempt: the call ends with this error.
    Answer(Error),
}

impl Retry {
    /// As many retries as the deadline allows.
    pub const UNLIMITED: u32 = u32::MAX;

    /// A call that has not been attempted yet. After the first attempt at most `retries_max` others follow.
    #[must_use]
    pub fn new(effect: Effect, retries_max: u32) -> Self {
        Self { effect, retries_max, retries: 0, maybe_executed: false }
    }

    /// Says what follows an attempt that failed with `error`.
    ///
    /// - `left` is the time until the call's deadline. A pause that would not end before it is not begun.
    /// - `random`, from 0 to 1, is the part of the longest possible pause to wait.
    /// - `permit` is asked last, and only if everything else allows a retry; so a retry budget is charged for retries only.
    ///
    /// Only errors that [`Error::may_retry`] allows are retried. Once an attempt may have been executed, any later refusal
    /// becomes [`Error::OutcomeUnknown`], see [`still_unknown`].
    pub fn after(&mut self, error: Error, left: Duration, random: f64, permit: impl FnOnce() -> bool) -> Next {
        let error = match error {
            Error::OutcomeUnknown { message, .. } if self.effect == Effect::ReadOnly => Error::unavailable(message),
            error => error,
        };
        self.maybe_executed |= error.executed() == Executed::Unknown;
        let pause = self.pause_max().mul_f64(random.clamp(0.0, 1.0));
        let allowed =
            error.may_retry(self.effect != Effect::Unkeyed) && self.retries < self.retries_max && pause < left;
        if allowed && permit() {
            self.retries += 1;
            Next::AttemptAfter(pause)
        } else {
            Next::Answer(if self.maybe_executed { still_unknown(error) } else { error })
        }
    }

    /// Whether an attempt so far may have been executed.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        self.maybe_executed
    }

    fn pause_max(&self) -> Duration {
        PAUSE.saturating_mul(1 << self.retries.min(16)).min(PAUSE_MAX)
    }
}

/// What the error of an attempt means if an earlier attempt of the same call may have been executed.
///
/// A refusal says only that *this* attempt did nothing, so it becomes [`Error::OutcomeUnknown`], unless it [tells](Error::is_final) what
/// became of the order.
#[must_use]
pub fn still_unknown(error: Error) -> Error {
    match error {
        Error::OutcomeUnknown { .. } => error,
        known if known.is_final() => known,
        refusal => Error::unknown(format!("an earlier attempt may have been executed; the last one: {refusal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Result, book::BookId};
    use std::collections::VecDeque;

    const LONG: Duration = Duration::from_secs(60);

    /// Plays a script of attempts, which take no time; returns the result and the number of attempts.
    fn run(effect: Effect, within: Duration, script: Vec<Result<u8>>) -> (Result<u8>, usize) {
        let (mut retry, mut script, mut left) = (Retry::new(effect, 4), VecDeque::from(script), within);
        for made in 1.. {
            let error = match script.pop_front().unwrap_or_else(|| Err(Error::unavailable("down"))) {
                Ok(answer) => return (Ok(answer), made),
                Err(error) => error,
            };
            match retry.after(error, left, 1.0, || true) {
                Next::AttemptAfter(pause) => left -= pause,
                Next::Answer(error) => return (Err(error), made),
            }
        }
        unreachable!("attempts are limited")
    }

    fn unknown() -> Result<u8> {
        Err(Error::unknown("reset"))
    }

    fn refused() -> Result<u8> {
        Err(Error::unavailable("down"))
    }

    fn sold_out() -> Error {
        Error::OutOfStock { book: BookId(1), available: 0, short: Vec::new() }
    }

    #[test]
    fn only_what_may_be_retried_is() {
        assert_eq!(run(Effect::Keyed, LONG, vec![unknown(), refused(), Ok(7)]), (Ok(7), 3));
        assert_eq!(run(Effect::Unkeyed, LONG, vec![refused(), Ok(7)]), (Ok(7), 2));
        assert_eq!(run(Effect::ReadOnly, LONG, vec![unknown(), Ok(7)]), (Ok(7), 2));
        let (result, made) = run(Effect::Unkeyed, LONG, vec![unknown(), Ok(7)]);
        assert_eq!((result.unwrap_err().executed(), made), (Executed::Unknown, 1));
        let invalid = Error::invalid("lines", "none");
        assert_eq!(run(Effect::Keyed, LONG, vec![Err(invalid.clone())]), (Err(invalid), 1));
    }

    #[test]
    fn a_refusal_after_an_unknown_attempt_stays_unknown() {
        let (result, _) = run(Effect::Keyed, LONG, vec![unknown(), Err(sold_out())]);
        assert_eq!(result.unwrap_err().executed(), Executed::Unknown);
        assert_eq!(run(Effect::Keyed, LONG, vec![refused(), Err(sold_out())]), (Err(sold_out()), 2));
        assert_eq!(run(Effect::Keyed, LONG, vec![Err(sold_out())]), (Err(sold_out()), 1));
    }

    #[test]
    fn reads_are_never_unknown() {
        let (result, _) = run(Effect::ReadOnly, Duration::ZERO, vec![unknown()]);
        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }

    #[test]
    fn attempts_and_time_are_limited() {
        assert_eq!(run(Effect::Keyed, LONG, vec![]).1, 5);
        // 25 ms and 50 ms fit, 100 ms more do not.
        assert_eq!(run(Effect::Keyed, Duration::from_millis(100), vec![]).1, 3);
        assert_eq!(run(Effect::Keyed, Duration::from_millis(75), vec![]).1, 2, "the deadline itself is too late");
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_jittered() {
        let mut retry = Retry::new(Effect::Keyed, Retry::UNLIMITED);
        let mut pause = |random| match retry.after(Error::unavailable("down"), LONG, random, || true) {
            Next::AttemptAfter(pause) => pause.as_millis(),
            Next::Answer(error) => panic!("{error}"),
        };
        let pauses: Vec<_> = (0..8).map(|_| pause(1.0)).collect();
        assert_eq!(pauses, [25, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!((pause(0.0), pause(0.25)), (0, 250));
    }

    #[test]
    fn a_permit_is_asked_for_only_if_a_retry_would_help() {
        let mut retry = Retry::new(Effect::Keyed, 4);
        let denied = retry.after(Error::unknown("reset"), LONG, 0.5, || false);
        assert_eq!(denied, Next::Answer(Error::unknown("reset")));
        let final_error = retry.after(sold_out(), LONG, 0.5, || panic!("it cannot be retried"));
        assert!(matches!(final_error, Next::Answer(Error::OutcomeUnknown { .. })));
    }
}

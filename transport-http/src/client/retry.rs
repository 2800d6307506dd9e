//! Retries, at this one layer: full jitter, within a deadline and a budget.

use bookstore_core::{Error, Executed, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// What sending a call once more could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads: whatever happens, it was not executed.
    None,
    /// It has a key: sent twice, it happens once.
    Keyed,
    /// Sent twice, it may happen twice.
    Unkeyed,
}

/// How an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// On the way or at the server.
    Attempt(Error),
    /// At this end, where trying again would only add to the trouble.
    Here(Error),
}

/// The answer of an attempt.
#[derive(Debug, PartialEq)]
pub(crate) struct Tried<T> {
    pub(crate) answer: T,
    /// An attempt before this one may have been executed.
    pub(crate) after_unknown: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Attempt(error)
    }
}

/// The pause before the first retry is a random part of this; before later ones, of twice as much each.
const PAUSE: Duration = Duration::from_millis(25);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The retries of all calls to one group of servers.
#[derive(Debug)]
pub(crate) struct Retries {
    /// The most attempts of one call after the first one.
    retries_max: u32,
    rng: Mutex<StdRng>,
    budget: Mutex<Budget>,
}

impl Retries {
    pub(crate) fn new(seed: u64, retries_max: u32) -> Self {
        let budget = Mutex::new(Budget::new(Instant::now()));
        Self { retries_max, rng: Mutex::new(StdRng::seed_from_u64(seed)), budget }
    }

    /// Attempts until there is an answer, or nothing allows another attempt.
    ///
    /// Once an attempt may have been executed, a refusal of a later one says nothing about it: the outcome stays
    /// unknown, unless a later attempt succeeds.
    pub(crate) async fn run<T, F>(
        &self,
        effect: Effect,
        deadline: Instant,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Tried<T>>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        lock(&self.budget).call();
        let mut unknown = false;
        let mut retries = 0;
        loop {
            let (error, here) = match attempt().await {
                Ok(answer) => return Ok(Tried { answer, after_unknown: unknown }),
                Err(Failure::Attempt(error)) => (judge(error, effect), false),
                Err(Failure::Here(error)) => (judge(error, effect), true),
            };
            unknown |= error.executed() == Executed::Unknown;
            let useful = !here && retries < self.retries_max && error.may_retry(effect != Effect::Unkeyed);
            let now = Instant::now();
            let pause = self.pause(retries);
            if !useful || now + pause >= deadline || !lock(&self.budget).retry(now) {
                return Err(if unknown { still_unknown(error) } else { error });
            }
            metrics::counter!("bookstore_client_retries_total").increment(1);
            tokio::time::sleep(pause).await;
            retries += 1;
        }
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn draw(&self, bound: usize) -> usize {
        lock(&self.rng).random_range(0..bound)
    }

    fn pause(&self, retries: u32) -> Duration {
        let most = PAUSE.saturating_mul(1 << retries.min(16)).min(PAUSE_MAX);
        lock(&self.rng).random_range(Duration::ZERO..=most)
    }
}

/// What an error means for a call of this kind: one that only reads is never executed.
fn judge(error: Error, effect: Effect) -> Error {
    match error {
        Error::OutcomeUnknown { message, .. } if effect == Effect::None => Error::unavailable(message),
        error => error,
    }
}

/// What the error of a later attempt means for a call of which an earlier one may have been executed.
pub(crate) fn still_unknown(error: Error) -> Error {
    match error {
        Error::OutcomeUnknown { .. } => error,
        refusal => Error::unknown(format!("an earlier attempt may have been executed; the last one: {refusal}")),
    }
}

/// Pays for retries: a fifth of one with every call, and ten a second.
#[derive(Debug)]
struct Budget {
    retries: f64,
    at: Instant,
}

impl Budget {
    const PER_CALL: f64 = 0.2;
    const PER_SECOND: f64 = 10.0;
    /// What it saves up at most, in retries.
    const MAX: f64 = 100.0;

    fn new(now: Instant) -> Self {
        Self { retries: Self::PER_SECOND, at: now }
    }

    fn earn(&mut self, more: f64) {
        self.retries = (self.retries + more).min(Self::MAX);
    }

    fn call(&mut self) {
        self.earn(Self::PER_CALL);
    }

    fn retry(&mut self, now: Instant) -> bool {
        // Calls are many and do not ask what time it is: what the time has earned counts only now.
        let time = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.earn(time * Self::PER_SECOND);
        let affordable = self.retries >= 1.0;
        if affordable {
            self.retries -= 1.0;
        }
        affordable
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, collections::VecDeque};

    const LONG: Duration = Duration::from_secs(60);

    /// Runs a script of attempts with time that passes by itself; says the result and how many were made.
    async fn run(effect: Effect, within: Duration, script: Vec<Result<u8, Failure>>) -> (Result<u8>, usize) {
        let (retries, script) = (Retries::new(1, 4), RefCell::new(VecDeque::from(script)));
        let made = RefCell::new(0);
        let attempt = || {
            *made.borrow_mut() += 1;
            let next = script.borrow_mut().pop_front().unwrap_or_else(|| Err(Error::unavailable("down").into()));
            async { next }
        };
        let result = retries.run(effect, Instant::now() + within, attempt).await.map(|tried| tried.answer);
        let made = *made.borrow();
        (result, made)
    }

    fn unknown() -> Result<u8, Failure> {
        Err(Error::unknown("reset").into())
    }

    fn refused() -> Result<u8, Failure> {
        Err(Error::unavailable("down").into())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_be_retried_is() {
        assert_eq!(run(Effect::Keyed, LONG, vec![unknown(), refused(), Ok(7)]).await, (Ok(7), 3));
        assert_eq!(run(Effect::Unkeyed, LONG, vec![refused(), Ok(7)]).await, (Ok(7), 2));
        assert_eq!(run(Effect::None, LONG, vec![unknown(), Ok(7)]).await, (Ok(7), 2));
        let (result, made) = run(Effect::Unkeyed, LONG, vec![unknown(), Ok(7)]).await;
        assert_eq!((result.unwrap_err().executed(), made), (Executed::Unknown, 1));
        let invalid = Error::invalid("lines", "none");
        assert_eq!(run(Effect::Keyed, LONG, vec![Err(invalid.clone().into())]).await, (Err(invalid), 1));
        let full = Failure::Here(Error::overloaded("full"));
        assert_eq!(run(Effect::Keyed, LONG, vec![Err(full), Ok(7)]).await.1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_an_unknown_attempt_stays_unknown() {
        let sold_out = Error::OutOfStock { book: bookstore_core::BookId(1), available: 0 };
        let (result, _) = run(Effect::Keyed, LONG, vec![unknown(), Err(sold_out.clone().into())]).await;
        assert_eq!(result.unwrap_err().executed(), Executed::Unknown);
        assert_eq!(run(Effect::Keyed, LONG, vec![refused(), Err(sold_out.clone().into())]).await, (Err(sold_out), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_never_unknown() {
        let (result, _) = run(Effect::None, Duration::ZERO, vec![unknown()]).await;
        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_time_are_limited() {
        assert_eq!(run(Effect::Keyed, LONG, vec![]).await.1, 5);
        let started = Instant::now();
        run(Effect::Keyed, Duration::from_millis(100), vec![]).await.0.unwrap_err();
        assert!(started.elapsed() <= Duration::from_millis(100));
    }

    #[test]
    fn the_budget_pays_for_a_fifth_of_the_calls() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert_eq!((0..20).filter(|_| budget.retry(now)).count(), 10, "a second's worth to begin with");
        (0..1000).for_each(|_| budget.call());
        assert_eq!((0..1000).filter(|_| budget.retry(now)).count(), 100, "saved up to the limit");
        (0..100).for_each(|_| budget.call());
        assert!((19..=20).contains(&(0..100).filter(|_| budget.retry(now)).count()));
        let later = now + Duration::from_secs(2);
        assert_eq!((0..100).filter(|_| budget.retry(later)).count(), 20);
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let draws =
            |seed| (0..32).map(|_| 0).scan(Retries::new(seed, 4), |r, _: i32| Some(r.draw(1000))).collect::<Vec<_>>();
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }
}

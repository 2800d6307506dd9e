//! The retries of all calls to one group of servers: the rule of [`bookstore_core::retry`] within a deadline and a budget.

use bookstore_core::{
    Error, Result,
    retry::{Effect, Next, Retry},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// How an attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// On the way to the server, or at the server.
    Attempt(Error),
    /// Inside this client, because too much waits or time is over: another attempt would only add to the load.
    Local(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Attempt(error)
    }
}

/// The answer of the last attempt.
#[derive(Debug, PartialEq)]
pub(super) struct RetryOutcome<T> {
    /// What the server answered: nothing here says whether that is a success.
    pub(super) answer: T,
    /// Whether an earlier attempt may have been executed. Then a refusal inside `answer` leaves the outcome unknown.
    pub(super) after_unknown: bool,
}

/// What all calls to a group of servers share: a source of randomness and a retry budget. All retries of this transport are made
/// here.
#[derive(Debug)]
pub(super) struct Retries {
    /// The most attempts of one call after the first one.
    retries_max: u32,
    rng: Mutex<StdRng>,
    budget: Mutex<Budget>,
}

impl Retries {
    /// Retries that draw the same random numbers for the same seed.
    pub(super) fn new(seed: u64, retries_max: u32) -> Self {
        let budget = Mutex::new(Budget::new(Instant::now()));
        Self { retries_max, rng: Mutex::new(StdRng::seed_from_u64(seed)), budget }
    }

    /// Attempts until there is an answer, or nothing allows another attempt. Each retry is counted in
    /// `bookstore_client_retries_total`.
    ///
    /// # Errors
    /// - The error of the last attempt.
    /// - [`Error::OutcomeUnknown`] instead, if any attempt may have been executed and the call has an effect.
    pub(super) async fn run<T, F>(
        &self,
        effect: Effect,
        deadline: Instant,
        mut attempt: impl FnMut() -> F,
    ) -> Result<RetryOutcome<T>>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        lock(&self.budget).earn_by_call();
        let mut retry = Retry::new(effect, self.retries_max);
        loop {
            let (error, local) = match attempt().await {
                Ok(answer) => return Ok(RetryOutcome { answer, after_unknown: retry.maybe_executed() }),
                Err(Failure::Attempt(error)) => (error, false),
                Err(Failure::Local(error)) => (error, true),
            };
            let now = Instant::now();
            let permit = || !local && lock(&self.budget).pay(now);
            let random = lock(&self.rng).random();
            match retry.after(error, deadline.saturating_duration_since(now), random, permit) {
                Next::AttemptAfter(pause) => {
                    metrics::counter!("bookstore_client_retries_total").increment(1);
                    tokio::time::sleep(pause).await;
                }
                Next::Answer(error) => return Err(error),
            }
        }
    }

    /// A random number below `bound`, which MUST NOT be 0.
    pub(super) fn draw(&self, bound: usize) -> usize {
        lock(&self.rng).random_range(0..bound)
    }
}

/// A token bucket that pays for retries, so that they cannot multiply the load on servers that fail: every call earns a fifth
/// of a retry, and every second earns ten.
///
/// The same idea is in Finagle's `RetryBudget`.
#[derive(Debug)]
struct Budget {
    /// What can be spent now. Parts of a retry count.
    retries: f64,
    updated: Instant,
}

impl Budget {
    const PER_CALL: f64 = 0.2;
    const PER_SECOND: f64 = 10.0;
    /// The most retries that are saved up.
    const MAX: f64 = 100.0;

    fn new(now: Instant) -> Self {
        Self { retries: Self::PER_SECOND, updated: now }
    }

    /// Adds to the budget, up to its limit.
    fn earn(&mut self, more: f64) {
        self.retries = (self.retries + more).min(Self::MAX);
    }

    fn earn_by_call(&mut self) {
        self.earn(Self::PER_CALL);
    }

    /// Pays for one retry, if that is affordable.
    fn pay(&mut self, now: Instant) -> bool {
        // Calls are many and do not read the clock: what the time has earned is counted only here.
        let time = now.saturating_duration_since(self.updated).as_secs_f64();
        self.updated = now;
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
    use std::{cell::RefCell, collections::VecDeque, time::Duration};

    const LONG: Duration = Duration::from_secs(60);

    /// Plays a script of attempts while time passes by itself; returns the result and the number of attempts.
    async fn run(
        effect: Effect,
        within: Duration,
        script: Vec<Result<u8, Failure>>,
    ) -> (Result<RetryOutcome<u8>>, usize) {
        let (retries, script) = (Retries::new(1, 4), RefCell::new(VecDeque::from(script)));
        let made = RefCell::new(0);
        let attempt = || {
            *made.borrow_mut() += 1;
            let next = script.borrow_mut().pop_front().unwrap_or_else(|| Err(Error::unavailable("down").into()));
            async { next }
        };
        let result = retries.run(effect, Instant::now() + within, attempt).await;
        let made = *made.borrow();
        (result, made)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_says_whether_an_earlier_attempt_may_have_been_executed() {
        for (error, after_unknown) in [(Error::unknown("reset"), true), (Error::unavailable("down"), false)] {
            let answered = run(Effect::Keyed, LONG, vec![Err(error.into()), Ok(7)]).await;
            assert_eq!(answered, (Ok(RetryOutcome { answer: 7, after_unknown }), 2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_failure_is_not_retried() {
        let full = Failure::Local(Error::overloaded("full"));
        assert_eq!(run(Effect::Keyed, LONG, vec![Err(full), Ok(7)]).await.1, 1);
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
        assert_eq!((0..20).filter(|_| budget.pay(now)).count(), 10, "a second's worth to begin with");
        (0..1000).for_each(|_| budget.earn_by_call());
        assert_eq!((0..1000).filter(|_| budget.pay(now)).count(), 100, "saved up to the limit");
        (0..100).for_each(|_| budget.earn_by_call());
        assert!((19..=20).contains(&(0..100).filter(|_| budget.pay(now)).count()));
        let later = now + Duration::from_secs(2);
        assert_eq!((0..100).filter(|_| budget.pay(later)).count(), 20);
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        let draws =
            |seed| (0..32).map(|_| 0).scan(Retries::new(seed, 4), |r, _: i32| Some(r.draw(1000))).collect::<Vec<_>>();
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }
}

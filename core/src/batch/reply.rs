//! The way of an answer back to its caller.

use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

use crate::error::Result;

/// One waiting call. If it is dropped unanswered, its caller gets [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown).
#[derive(Debug)]
pub struct Call<C, R> {
    /// What the caller asks for.
    pub command: C,
    /// Where the answer goes.
    pub reply: Reply<R>,
}

/// Sends one answer to its caller.
#[derive(Debug)]
pub struct Reply<R>(To<R>);

#[derive(Debug)]
enum To<R> {
    /// The caller of [`Queue::call`](super::Queue::call).
    One(oneshot::Sender<Result<R>>),
    /// The caller of [`Queue::call_many`](super::Queue::call_many), and the place of this answer among its answers.
    // Why: docs/decisions/0012.
    Many(Arc<Answers<R>>, usize),
}

/// The answers to the calls of one [`Queue::call_many`](super::Queue::call_many); `None` for a call that was dropped. They are sent,
/// and the caller is woken, when the last call is gone: a caller that was woken by the first answer would go to sleep again for each
/// of the others.
#[derive(Debug)]
pub(super) struct Answers<R> {
    so_far: Mutex<Vec<Option<Result<R>>>>,
    caller: Option<oneshot::Sender<Vec<Option<Result<R>>>>>,
}

impl<R> Answers<R> {
    /// Answers to this many calls, for one caller.
    pub(super) fn new(calls: usize, caller: oneshot::Sender<Vec<Option<Result<R>>>>) -> Self {
        Self { so_far: Mutex::new((0..calls).map(|_| None).collect()), caller: Some(caller) }
    }

    pub(super) fn put(&self, nth: usize, answer: Result<R>) {
        self.so_far.lock().expect("nobody panics with it")[nth] = Some(answer);
    }
}

impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        if let (Some(caller), Ok(all)) = (self.caller.take(), self.so_far.get_mut()) {
            drop(caller.send(std::mem::take(all)));
        }
    }
}

impl<R> Reply<R> {
    pub(super) fn to_one(caller: oneshot::Sender<Result<R>>) -> Self {
        Self(To::One(caller))
    }

    pub(super) fn to_many(answers: &Arc<Answers<R>>, nth: usize) -> Self {
        Self(To::Many(Arc::clone(answers), nth))
    }

    /// Sends the answer. If the caller has stopped waiting, it is lost.
    pub fn send(self, answer: Result<R>) {
        match self.0 {
            To::One(reply) => drop(reply.send(answer)),
            To::Many(answers, nth) => answers.put(nth, answer),
        }
    }

    /// Whether the caller has stopped waiting.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            To::One(reply) => reply.is_closed(),
            To::Many(answers, _) => answers.caller.as_ref().is_none_or(oneshot::Sender::is_closed),
        }
    }
}

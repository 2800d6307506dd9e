//! Natural batching: while one batch is being worked on, the next one gathers.
//!
//! An idle worker takes a call at once, a busy one takes all that have gathered since. So a batch is never waited for, and grows
//! with the load. The writer's group commit uses this queue, and so do HTTP clients that send the waiting calls as one request.
//!
//! ```
//! use bookstore_core::batch;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (queue, mut waiting) = batch::queue::<u32, u32>(100);
//! tokio::spawn(async move {
//!     loop {
//!         let calls = waiting.gather(10).await;
//!         if calls.is_empty() {
//!             return;
//!         }
//!         for call in calls {
//!             call.reply.send(Ok(call.command * 2));
//!         }
//!     }
//! });
//! assert_eq!(queue.call(21).await, Ok(42));
//! assert_eq!(queue.call_many([1, 2, 3]).await, [Ok(2), Ok(4), Ok(6)]);
//! # }
//! ```
//!
//! # Limits
//! The queue holds as many calls as [`queue`] says, and refuses more at once: load shedding instead of latency. The size of a batch
//! is the worker's choice, see [`Waiting::gather`].

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, maybe_done},
};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::error::{Error, Result};

/// One waiting call. If it is dropped unanswered, its caller gets [`Error::OutcomeUnknown`].
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
    /// The caller of [`Queue::call`].
    One(oneshot::Sender<Result<R>>),
    /// The caller of [`Queue::call_many`], and the place of this answer among its answers.
    // Why: docs/decisions/0012.
    Many(Arc<Answers<R>>, usize),
}

/// The answers to the calls of one [`Queue::call_many`]; `None` for a call that was dropped. They are sent,
/// and the caller is woken, when the last call is gone: a caller that was woken by the first answer would go to sleep again for each
/// of the others.
#[derive(Debug)]
struct Answers<R> {
    so_far: Mutex<Vec<Option<Result<R>>>>,
    caller: Option<oneshot::Sender<Vec<Option<Result<R>>>>>,
}

impl<R> Answers<R> {
    /// Answers to this many calls, for one caller.
    fn new(calls: usize, caller: oneshot::Sender<Vec<Option<Result<R>>>>) -> Self {
        Self { so_far: Mutex::new((0..calls).map(|_| None).collect()), caller: Some(caller) }
    }

    fn put(&self, nth: usize, answer: Result<R>) {
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
    fn to_one(caller: oneshot::Sender<Result<R>>) -> Self {
        Self(To::One(caller))
    }

    fn to_many(answers: &Arc<Answers<R>>, nth: usize) -> Self {
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

/// The callers' end of a bounded queue; clones are the same queue.
#[derive(Debug)]
pub struct Queue<C, R> {
    calls: mpsc::Sender<Call<C, R>>,
    many: Arc<Many>,
}

impl<C, R> Clone for Queue<C, R> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), many: Arc::clone(&self.many) }
    }
}

/// The worker's end of a bounded queue.
#[derive(Debug)]
pub struct Waiting<C, R> {
    calls: mpsc::Receiver<Call<C, R>>,
    many: Arc<Many>,
}

/// Wakes a worker when many calls wait, instead of once for each of them.
#[derive(Debug)]
struct Many {
    /// The number that it waits for; `usize::MAX` if it does not.
    wanted: AtomicUsize,
    reached: Notify,
}

/// A queue that holds at most `limit` waiting calls.
///
/// # Panics
/// If `limit` is 0.
#[must_use]
pub fn queue<C, R>(limit: usize) -> (Queue<C, R>, Waiting<C, R>) {
    let (sender, receiver) = mpsc::channel(limit);
    let many = Arc::new(Many { wanted: AtomicUsize::new(usize::MAX), reached: Notify::new() });
    (Queue { calls: sender, many: Arc::clone(&many) }, Waiting { calls: receiver, many })
}

impl<C, R> Queue<C, R> {
    /// Puts a call into the queue and waits for the answer. Dropping the future does not undo a call that the worker has taken.
    ///
    /// # Errors
    /// - [`Error::Overloaded`], at once, if the queue is full.
    /// - [`Error::Unavailable`], at once, if the worker has stopped.
    /// - [`Error::OutcomeUnknown`] if the worker stops without an answer to this call.
    /// - The worker's own answer.
    pub async fn call(&self, command: C) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        self.put(Call { command, reply: Reply::to_one(reply) })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Puts many calls into the queue and waits for all answers, which are in the order of the commands. Each is a call by itself,
    /// with the errors of [`Queue::call`], but the caller is woken only once, by the last of the answers.
    pub async fn call_many(&self, commands: impl IntoIterator<Item = C>) -> Vec<Result<R>> {
        let commands: Vec<C> = commands.into_iter().collect();
        let (caller, all) = oneshot::channel();
        let answers = Arc::new(Answers::new(commands.len(), caller));
        for (nth, command) in commands.into_iter().enumerate() {
            if let Err(refused) = self.put(Call { command, reply: Reply::to_many(&answers, nth) }) {
                answers.put(nth, Err(refused));
            }
        }
        drop(answers);
        let all = all.await.expect("the last call that is dropped sends them");
        all.into_iter().map(|answer| answer.unwrap_or_else(|| Err(stopped()))).collect()
    }

    fn put(&self, call: Call<C, R>) -> Result<()> {
        self.calls.try_send(call).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::overloaded("the queue of waiting calls is full"),
            mpsc::error::TrySendError::Closed(_) => Error::unavailable("shutting down"),
        })?;
        let wanted = self.many.wanted.load(Ordering::SeqCst);
        if wanted != usize::MAX && self.calls.max_capacity() - self.calls.capacity() >= wanted {
            self.many.wanted.store(usize::MAX, Ordering::SeqCst);
            self.many.reached.notify_one();
        }
        Ok(())
    }
}

fn stopped() -> Error {
    Error::unknown("the worker stopped before it answered")
}

/// Makes one call for each command, all at the same time. The answers are in the order of the commands.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let doubled = bookstore_core::batch::each(vec![1, 2, 3], |n| Box::pin(async move { n * 2 })).await;
/// assert_eq!(doubled, [2, 4, 6]);
/// # }
/// ```
pub async fn each<'a, C, T>(commands: Vec<C>, call: impl Fn(C) -> BoxFuture<'a, T>) -> Vec<T> {
    let mut running: Vec<_> = commands.into_iter().map(|command| maybe_done(call(command))).collect();
    // All calls begin before the first one is waited for.
    poll_fn(|cx| {
        for call in &mut running {
            let _ = call.poll_unpin(cx);
        }
        Poll::Ready(())
    })
    .await;
    // Then they are waited for one after another: they end nearly together, so hardly any is polled in vain.
    let mut answers = Vec::with_capacity(running.len());
    for mut call in running {
        (&mut call).await;
        answers.extend(Pin::new(&mut call).take_output());
    }
    answers
}

impl<C, R> Waiting<C, R> {
    /// Waits for one call at least, and takes up to `limit` of those that wait, in the order in which they came. It is empty when no
    /// call waits and every [`Queue`] is gone. If the future is dropped, no call is lost.
    pub async fn gather(&mut self, limit: usize) -> Vec<Call<C, R>> {
        let mut batch = Vec::new();
        self.calls.recv_many(&mut batch, limit).await;
        batch
    }

    /// The number of calls that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns when `count` calls wait.
    ///
    /// It is a hint: of two calls that come at the same moment, the second may be noticed only with the next one. So something else
    /// should end the wait, too.
    pub async fn at_least(&self, count: usize) {
        // Stored before the queue is looked at, so that a call that comes after the look wakes this.
        self.many.wanted.store(count, Ordering::SeqCst);
        while self.calls.len() < count {
            self.many.reached.notified().await;
            self.many.wanted.store(count, Ordering::SeqCst);
        }
        self.many.wanted.store(usize::MAX, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Wake};

    #[test]
    fn many_calls_are_answered_in_their_places_whatever_becomes_of_the_others() {
        let (queue, mut waiting) = queue::<u32, u32>(4);
        let mut many = Box::pin(queue.call_many(0..6));
        assert!(many.as_mut().now_or_never().is_none());
        let calls = waiting.gather(8).now_or_never().expect("four wait");
        for call in calls.into_iter().rev() {
            assert!(!call.reply.is_closed());
            match call.command {
                0 => call.reply.send(Ok(10)),
                2 => call.reply.send(Err(Error::invalid("it", "is two"))),
                _ => drop(call),
            }
        }
        let answers = many.now_or_never().expect("all have an answer or none to wait for");
        let full = || Err(Error::overloaded("the queue of waiting calls is full"));
        assert_eq!(
            answers,
            [Ok(10), Err(stopped()), Err(Error::invalid("it", "is two")), Err(stopped()), full(), full()]
        );
        drop(queue.call_many(0..2).now_or_never());
        let given_up = waiting.gather(8).now_or_never().expect("two wait");
        assert!(given_up.iter().all(|call| call.reply.is_closed()));
    }

    #[test]
    fn whoever_asks_for_many_is_woken_once() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (queue, mut waiting) = queue::<u32, u32>(8);
        let mut many = Box::pin(queue.call_many(0..8));
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        let mut look = || many.as_mut().poll(&mut Context::from_waker(&Arc::clone(&woken).into()));
        assert!(look().is_pending());
        let calls = waiting.gather(8).now_or_never().expect("eight wait");
        for call in calls {
            assert_eq!(woken.0.load(Ordering::Relaxed), 0);
            call.reply.send(Ok(call.command));
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(look(), Poll::Ready((0..8).map(Ok).collect()));
    }

    #[test]
    fn a_worker_learns_when_many_wait_and_not_before() {
        let (queue, mut waiting) = queue::<u32, u32>(8);
        let mut calls: Vec<_> = (0..5).map(|command| Box::pin(queue.call(command))).collect();
        for _ in 0..2 {
            {
                let mut many = Box::pin(waiting.at_least(3));
                for (n, call) in calls.iter_mut().take(3).enumerate() {
                    assert!(many.as_mut().now_or_never().is_none(), "{n} of 3 wait");
                    assert!(call.as_mut().now_or_never().is_none());
                }
                assert!(many.now_or_never().is_some());
            }
            assert!(waiting.at_least(3).now_or_never().is_some(), "they still do");
            assert_eq!(waiting.gather(8).now_or_never().map(|calls| calls.len()), Some(3));
            calls = (0..5).map(|command| Box::pin(queue.call(command))).collect();
        }
    }
}

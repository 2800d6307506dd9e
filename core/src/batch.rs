//! Natural batching: while one batch is being worked on, the next one gathers.
//!
//! An idle queue hands over a call at once, a busy one hands over whatever has gathered. The store's group commit
//! and the HTTP clients that send waiting calls as one request both use this.

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

/// One waiting call.
#[derive(Debug)]
pub struct Call<C, R> {
    /// What is asked.
    pub command: C,
    /// Who waits for the answer.
    pub reply: Reply<R>,
}

/// The way back to who waits for an answer.
#[derive(Debug)]
pub struct Reply<R>(To<R>);

#[derive(Debug)]
enum To<R> {
    One(oneshot::Sender<Result<R>>),
    /// Who has asked for many, and which of them this is.
    Many(Arc<Answers<R>>, usize),
}

/// The answers to many calls, none for one that was dropped. Whoever asked gets them, and is woken, with the last of them.
#[derive(Debug)]
struct Answers<R> {
    so_far: Mutex<Vec<Option<Result<R>>>>,
    asker: Option<oneshot::Sender<Vec<Option<Result<R>>>>>,
}

impl<R> Answers<R> {
    fn put(&self, nth: usize, answer: Result<R>) {
        self.so_far.lock().expect("nobody panics with it")[nth] = Some(answer);
    }
}

impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        if let (Some(asker), Ok(all)) = (self.asker.take(), self.so_far.get_mut()) {
            drop(asker.send(std::mem::take(all)));
        }
    }
}

impl<R> Reply<R> {
    /// Answers. It is lost on whoever has stopped waiting.
    pub fn send(self, answer: Result<R>) {
        match self.0 {
            To::One(reply) => drop(reply.send(answer)),
            To::Many(answers, nth) => answers.put(nth, answer),
        }
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            To::One(reply) => reply.is_closed(),
            To::Many(answers, _) => answers.asker.as_ref().is_none_or(oneshot::Sender::is_closed),
        }
    }
}

/// The callers' end of a bounded queue.
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

/// The worker's end.
#[derive(Debug)]
pub struct Waiting<C, R> {
    calls: mpsc::Receiver<Call<C, R>>,
    many: Arc<Many>,
}

/// How a worker learns that many calls wait, without being woken by each of them.
#[derive(Debug)]
struct Many {
    /// So many; `usize::MAX` if it does not want to know.
    wanted: AtomicUsize,
    reached: Notify,
}

/// A queue that holds at most `limit` waiting calls.
#[must_use]
pub fn queue<C, R>(limit: usize) -> (Queue<C, R>, Waiting<C, R>) {
    let (sender, receiver) = mpsc::channel(limit);
    let many = Arc::new(Many { wanted: AtomicUsize::new(usize::MAX), reached: Notify::new() });
    (Queue { calls: sender, many: Arc::clone(&many) }, Waiting { calls: receiver, many })
}

impl<C, R> Queue<C, R> {
    /// Asks, and waits for the answer. Dropping the future does not undo a call that a batch has taken.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once if the queue is full; [`Error::Unavailable`] if the worker has stopped;
    /// [`Error::OutcomeUnknown`] if it stopped with this call in its hands; otherwise the worker's own answer.
    pub async fn call(&self, command: C) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        self.put(Call { command, reply: Reply(To::One(reply)) })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Asks many at once and waits for all answers, which are in the order of the commands. Each is a call by itself, as of
    /// [`Queue::call`], but whoever asks is woken once, with the last of the answers.
    pub async fn call_many(&self, commands: impl IntoIterator<Item = C>) -> Vec<Result<R>> {
        let commands: Vec<C> = commands.into_iter().collect();
        let (asker, all) = oneshot::channel();
        let so_far = Mutex::new(commands.iter().map(|_| None).collect());
        let answers = Arc::new(Answers { so_far, asker: Some(asker) });
        for (nth, command) in commands.into_iter().enumerate() {
            if let Err(refused) = self.put(Call { command, reply: Reply(To::Many(Arc::clone(&answers), nth)) }) {
                answers.put(nth, Err(refused));
            }
        }
        drop(answers);
        let all = all.await.expect("they are sent by whoever drops them last");
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

/// Answers every question by itself, all at once; the answers are in the order of the questions.
pub async fn each<'a, Q, T>(questions: Vec<Q>, answer: impl Fn(Q) -> BoxFuture<'a, T>) -> Vec<T> {
    let mut running: Vec<_> = questions.into_iter().map(|question| maybe_done(answer(question))).collect();
    // All begin before the first is waited for, …
    poll_fn(|cx| {
        for call in &mut running {
            let _ = call.poll_unpin(cx);
        }
        Poll::Ready(())
    })
    .await;
    // … and then it is one after the other's turn: they are done nearly together, and none is looked at in vain.
    let mut answers = Vec::with_capacity(running.len());
    for mut call in running {
        (&mut call).await;
        answers.extend(Pin::new(&mut call).take_output());
    }
    answers
}

impl<C, R> Waiting<C, R> {
    /// Waits for at least one call and takes up to `limit` of those that wait. Empty when every [`Queue`] is gone.
    pub async fn gather(&mut self, limit: usize) -> Vec<Call<C, R>> {
        let mut batch = Vec::new();
        self.calls.recv_many(&mut batch, limit).await;
        batch
    }

    /// How many calls wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Waits until `count` calls wait.
    ///
    /// A hint: two callers that come at one moment may be noticed only with the next, so something else should end the wait too.
    pub async fn at_least(&self, count: usize) {
        // Made known before it is looked, so that whoever comes after the look sees it.
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

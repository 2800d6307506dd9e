//! Natural batching: while one batch is being worked on, the next one gathers.
//!
//! An idle queue hands over a call at once, a busy one hands over whatever has gathered. The store's group commit
//! and the HTTP clients that send waiting calls as one request both use this.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::error::{Error, Result};

/// One waiting call.
#[derive(Debug)]
pub struct Call<C, R> {
    /// What is asked.
    pub command: C,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<R>>,
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
    /// [`Error::Unknown`] if it stopped with this call in its hands; otherwise the worker's own answer.
    pub async fn call(&self, command: C) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        self.calls.try_send(Call { command, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::overloaded("the queue of waiting calls is full"),
            mpsc::error::TrySendError::Closed(_) => Error::unavailable("shutting down"),
        })?;
        let wanted = self.many.wanted.load(Ordering::SeqCst);
        if wanted != usize::MAX && self.calls.max_capacity() - self.calls.capacity() >= wanted {
            self.many.wanted.store(usize::MAX, Ordering::SeqCst);
            self.many.reached.notify_one();
        }
        answer.await.unwrap_or_else(|_| Err(Error::unknown("the worker stopped before it answered")))
    }
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
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
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
    use futures_util::FutureExt as _;

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

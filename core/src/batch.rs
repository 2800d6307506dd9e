//! Natural batching: while one batch is being worked on, the next one gathers.
//!
//! An idle queue hands over a call at once, a busy one hands over whatever has gathered. The store's group commit
//! and the HTTP clients that send waiting calls as one request both use this.

use tokio::sync::{mpsc, oneshot};

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
}

impl<C, R> Clone for Queue<C, R> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone() }
    }
}

/// The worker's end.
#[derive(Debug)]
pub struct Waiting<C, R> {
    calls: mpsc::Receiver<Call<C, R>>,
}

/// A queue that holds at most `limit` waiting calls.
#[must_use]
pub fn queue<C, R>(limit: usize) -> (Queue<C, R>, Waiting<C, R>) {
    let (sender, receiver) = mpsc::channel(limit);
    (Queue { calls: sender }, Waiting { calls: receiver })
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

    /// How many calls wait now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.calls.len()
    }
}

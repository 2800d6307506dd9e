//! The second half of the writer's work: makes batches durable, publishes them, and answers their callers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
};

use super::{Published, show_failed};
use crate::{
    batch::Reply,
    decide::{Batch, Outcome, State},
    error::{Error, Result},
    history::Hash,
    store::Flush,
};

/// The callers of a batch, and what was decided for each.
pub(super) type Decided = Vec<(Reply<Outcome>, Result<Outcome>)>;

/// From this many answers on, a task of the callers sends them. For fewer the task costs more than it saves.
const TASK_MIN: usize = 128;

/// Answers that are true now. Dropping them sends them, so that they also arrive when the callers' runtime shuts down.
struct Answers(Decided);

impl Drop for Answers {
    fn drop(&mut self) {
        for (reply, outcome) in self.0.drain(..) {
            reply.send(outcome);
        }
    }
}

/// A batch that is appended and waits to be durable. If it is dropped before, its callers learn that the outcome is unknown.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) batch: Batch,
    /// The hash of the ledger up to this batch.
    pub(super) hash: Hash,
    pub(super) decided: Decided,
}

/// Hands batches to the committer and counts those that it has not answered yet.
///
/// One batch may wait while another is being made durable; [`InFlight::send`] waits if there are more.
#[derive(Debug)]
pub(super) struct InFlight {
    to_committer: mpsc::Sender<Appended>,
    /// One message for each batch that has been answered.
    answered: mpsc::UnboundedReceiver<()>,
    count: usize,
}

/// The committer's end.
#[derive(Debug)]
pub(super) struct FromAppender {
    pub(super) batches: mpsc::Receiver<Appended>,
    pub(super) answered: mpsc::UnboundedSender<()>,
}

/// Both ends.
pub(super) fn channel() -> (InFlight, FromAppender) {
    let (to_committer, batches) = mpsc::channel(1);
    let (done, answered) = mpsc::unbounded_channel();
    (InFlight { to_committer, answered, count: 0 }, FromAppender { batches, answered: done })
}

impl InFlight {
    /// Hands over a batch. If the committer is gone the batch is dropped, and its callers learn that the outcome is unknown.
    pub(super) async fn send(&mut self, appended: Appended) {
        if self.to_committer.send(appended).await.is_ok() {
            self.count += 1;
        }
    }

    /// Batches that have not been answered. After a panic of the committer it never is 0 again.
    pub(super) fn count(&mut self) -> usize {
        while self.answered.try_recv().is_ok() {
            self.count -= 1;
        }
        self.count
    }

    /// Returns when every batch has been answered, or the committer is gone.
    pub(super) async fn clear(&mut self) {
        while self.count > 0 && self.answered.recv().await.is_some() {
            self.count -= 1;
        }
    }
}

/// Answers a batch that may be in the ledger: *unknown* for what it decided. What it refused did not happen, but the reason may be a
/// sale of this very batch, which may be lost, so these answers are *not executed*.
pub(super) fn answer_unknown(decided: Decided) {
    for (reply, outcome) in decided {
        let unknown = || Error::unknown("the store failed while writing");
        reply.send(Err(match outcome {
            Ok(Outcome::Receipt(receipt)) => unknown().for_order(receipt.order.id),
            Ok(_) => unknown(),
            Err(_) => Error::unavailable("the store failed while others were served"),
        }));
    }
}

/// Answers a batch that certainly is not in the ledger: *not executed*, whatever was decided, for this reason.
pub(super) fn answer_not_executed(decided: Decided, why: &str) {
    for (reply, _) in decided {
        reply.send(Err(Error::unavailable(why)));
    }
}

/// Makes batches durable, on its own task or where the appender calls it.
pub(super) struct Committer {
    /// Locked for each batch: by the committer's task or, when nothing is in flight, by the appender.
    flush: Mutex<Box<dyn Flush>>,
    published: Arc<Published>,
    /// A flush has failed, and the store has not been opened again since.
    failed: AtomicBool,
    /// A runtime whose tasks are most of the callers, if it drives itself: there, waking one takes neither a lock nor a system call, and
    /// whom it wakes finds the answer in the same processor's cache.
    // Why: docs/decisions/0010.
    callers: Option<Handle>,
}

impl Committer {
    pub(super) fn new(state: &State, flush: Box<dyn Flush>, callers: Option<Handle>) -> Self {
        let published = Arc::new(Published::new(state));
        Self { flush: Mutex::new(flush), published, failed: AtomicBool::new(false), callers }
    }

    pub(super) fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// Whether a flush has failed since the store was opened.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Commits the batches that the appender hands over, until it stops.
    pub(super) async fn run(self: Arc<Self>, mut from: FromAppender) {
        while let Some(appended) = from.batches.recv().await {
            self.commit(appended).await;
            // The appender may have stopped.
            let _ = from.answered.send(());
        }
    }

    /// Makes a batch durable, publishes it and answers its callers.
    pub(super) async fn commit(&self, Appended { batch, hash, decided }: Appended) {
        if self.has_failed() {
            // Decided on top of a batch of unknown outcome.
            return answer_unknown(decided);
        }
        // A batch that changes nothing rests on what is durable: the batches before it, and what the store has confirmed.
        let durable = if batch.is_empty() { Ok(()) } else { self.flush.lock().await.flush().await };
        if let Err(error) = durable {
            show_failed(&self.published, "sync", &error);
            self.failed.store(true, Ordering::Release);
            return answer_unknown(decided);
        }
        if let Some(last) = batch.contacts.last() {
            self.published.advance_contacts(last.version);
        }
        self.published.advance(batch.entries, hash);
        let answers = Answers(decided);
        if let Some(callers) = self.callers.as_ref().filter(|_| answers.0.len() >= TASK_MIN) {
            callers.spawn(async move { drop(answers) });
        }
    }

    /// Goes on with a store that has been opened again. Nothing may be in flight.
    pub(super) async fn reopened(&self, state: &State, flush: Box<dyn Flush>) {
        *self.flush.lock().await = flush;
        self.published.replace(state);
        self.failed.store(false, Ordering::Release);
    }
}

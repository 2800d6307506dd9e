//! The second half of the writer's work: makes batches durable, publishes them, and answers their callers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Mutex,
};

use super::{
    Published,
    flush_plan::AnswerBy,
    in_flight::{Appended, Decided, FromAppender},
    show_failed,
};
use crate::{
    decide::{Outcome, State},
    error::Error,
    execution::Execution,
    store::Flush,
};

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

/// Answers a batch that certainly is not in the ledger: *not executed*, whatever was decided.
pub(super) fn answer_not_executed(decided: Decided) {
    for (reply, _) in decided {
        reply.send(Err(Error::unavailable("the store failed before it wrote anything")));
    }
}

/// Answers that may be sent. They are sent when this is dropped, so that a runtime that shuts down with it in a task still sends them.
struct Answers(Decided);

impl Drop for Answers {
    fn drop(&mut self) {
        for (reply, outcome) in self.0.drain(..) {
            // A caller that has gone needs no answer.
            reply.send(outcome);
        }
    }
}

/// Makes batches durable, on its own task or where the appender calls it.
pub(super) struct Committer {
    /// Locked for each batch: by the committer's task or, when nothing is in flight, by the appender.
    flush: Mutex<Box<dyn Flush>>,
    published: Arc<Published>,
    /// A flush has failed, and the store has not been opened again since.
    failed: AtomicBool,
    /// The runtime of the callers, if it runs by itself.
    callers: Option<Handle>,
}

impl Committer {
    pub(super) fn new(state: &State, flush: Box<dyn Flush>, callers: Option<Handle>) -> Self {
        Self {
            flush: Mutex::new(flush),
            published: Arc::new(Published::new(state)),
            failed: AtomicBool::new(false),
            callers,
        }
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
    pub(super) async fn commit(&self, Appended { batch, decided, answer }: Appended) {
        if self.has_failed() {
            // Decided on top of a batch of unknown outcome.
            return answer_unknown(decided);
        }
        // A batch without entries rests on what is durable: the batches before it, and what the store has confirmed.
        let durable = if batch.entries.is_empty() { Ok(()) } else { self.flush.lock().await.flush().await };
        if let Err(error) = durable {
            show_failed("sync", &error);
            self.failed.store(true, Ordering::Release);
            return answer_unknown(decided);
        }
        self.published.advance(batch.entries);
        let answers = Answers(decided);
        if let (AnswerBy::Task, Some(callers)) = (answer, &self.callers) {
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

/// The current runtime, if it runs by itself: the tasks of a runtime that somebody has to drive could wait for ever.
pub(super) fn callers(execution: Execution) -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    let runs_by_itself = runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
    (execution == Execution::Threads && runs_by_itself).then_some(runtime)
}

//! The appender's end of the way to the committer.

use tokio::sync::mpsc;

use super::flush_plan::AnswerBy;
use crate::{
    batch::Reply,
    decide::{Batch, Outcome},
    error::Result,
};

/// The callers of a batch, and what was decided for each.
pub(super) type Decided = Vec<(Reply<Outcome>, Result<Outcome>)>;

/// A batch that is appended and waits to be durable. If it is dropped before, its callers learn that the outcome is unknown.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) batch: Batch,
    pub(super) decided: Decided,
    pub(super) answer: AnswerBy,
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

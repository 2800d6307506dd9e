//! The one task that follows the ledger for all subscribers.

use bookstore_core::{CatalogService, Error, Result, Seq};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, broadcast},
    task::JoinHandle,
};

use super::{
    batch::{EventBatch, PAUSE, head},
    subscriber::{GREETING, Subscriber, reset},
};
use crate::server::Draining;

/// The most subscribers of one process.
pub const SUBSCRIBERS_MAX: usize = 1024;
/// Batches that a slow subscriber may be behind before it reads the ledger itself.
const BEHIND_MAX: usize = 64;
/// How many entries before the ledger's end a stream may begin, unless the request shows a token. Reading back costs as much
/// as it is long, and anybody may ask for it.
pub(super) const PAST_MAX: u64 = 10_000;
/// How long one read of the ledger waits for the next entry.
const POLL: Duration = Duration::from_secs(20);

/// The events of one process. Its task follows the ledger while there are subscribers.
pub struct Feed {
    pub(super) catalog: Arc<dyn CatalogService>,
    live: broadcast::Sender<EventBatch>,
    wake: Arc<Notify>,
    pub(super) places: Arc<Semaphore>,
    task: OnceLock<JoinHandle<()>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("subscribers", &self.live.receiver_count()).finish_non_exhaustive()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Feed {
    /// A feed over this catalogue's ledger. It starts with its first subscriber.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>) -> Self {
        let (live, _) = broadcast::channel(BEHIND_MAX);
        let places = Arc::new(Semaphore::new(SUBSCRIBERS_MAX));
        Self { catalog, live, wake: Arc::default(), places, task: OnceLock::new() }
    }

    /// A stream of everything after `after`, or after the ledger's end now. A stream that would begin more than `past_max` entries
    /// before the end begins there instead, with an event that says so.
    ///
    /// # Errors
    /// - [`Error::Overloaded`]: there are [`SUBSCRIBERS_MAX`] already.
    /// - What reading the ledger's end ended with.
    pub(super) async fn subscribe(&self, after: Option<Seq>, past_max: u64, draining: Draining) -> Result<Subscriber> {
        let full = |_| Error::overloaded(format!("there are {SUBSCRIBERS_MAX} subscribers already"));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let live = self.live.subscribe();
        let head = head(self.catalog.as_ref()).await?;
        self.task.get_or_init(|| {
            let follow = follow(Arc::clone(&self.catalog), self.live.clone(), Arc::clone(&self.wake));
            tokio::spawn(follow)
        });
        self.wake.notify_one();
        let asked = after.map_or(head, |after| after.min(head));
        let too_far = head.0 - asked.0 > past_max;
        let (after, greeting) = if too_far { (head, reset(head)) } else { (asked, GREETING) };
        let catalog = Arc::clone(&self.catalog);
        let (behind, greeting) = (after < head, Some(greeting));
        Ok(Subscriber { catalog, live, after, behind, greeting, draining, _place: place })
    }
}

/// The task: reads the ledger's end again and again while there are subscribers.
async fn follow(catalog: Arc<dyn CatalogService>, live: broadcast::Sender<EventBatch>, wake: Arc<Notify>) {
    let mut at = None;
    loop {
        if live.receiver_count() == 0 {
            wake.notified().await;
            at = None;
        }
        let step = match at {
            // Subscribers that are not at the head see from the empty batch that they have missed something.
            None => EventBatch::at_head(catalog.as_ref()).await,
            Some(after) => EventBatch::read(catalog.as_ref(), after, POLL).await,
        };
        match step {
            Ok(batch) => {
                let moved = at != Some(batch.last);
                at = Some(batch.last);
                if moved {
                    // It fails if there are no subscribers, and then it is not needed.
                    let _ = live.send(batch);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the events cannot follow the ledger, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

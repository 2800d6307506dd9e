//! Following the ledger: how an order server's copy is kept up to date, and how it is rebuilt.
//!
//! A copy holds nothing that the ledger does not: an empty one, or one that a power cut has shortened, takes the missing entries
//! from the catalog again, at up to [`ENTRIES_MAX`] a call.

use async_trait::async_trait;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;

use crate::{
    error::{Error, Result},
    id::{OrderId, Seq},
    order::Order,
    service::{CatalogService, ENTRIES_MAX, OrderReader},
    store::OrderCopy,
};

/// Keeps a copy up to date with a catalog's ledger, on a task of its own, until it is dropped.
///
/// It long-polls the catalog, appends what it gets, and tries again after a failure. It never follows another ledger than the
/// copy did before, nor a ledger that is shorter than the copy.
pub struct Follower {
    copy: Arc<dyn OrderCopy>,
    followed: watch::Receiver<Seq>,
    caught_up: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("followed", &*self.followed.borrow()).finish_non_exhaustive()
    }
}

/// How long one long poll waits for the next entry.
const POLL: Duration = Duration::from_secs(20);
/// The first and the longest pause after a failure; it doubles with each failure in a row.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The pause after a call that reached the ledger's head. The entries of a busy shop gather meanwhile, so that following it costs the
/// catalog at most a hundred calls a second instead of one for every batch.
const GATHER: Duration = Duration::from_millis(10);

impl Follower {
    /// Starts to follow after the last entry that the copy has. It must be called in a runtime, which drives the task.
    ///
    /// # Errors
    /// - [`Error::Unavailable`] if the copy cannot be read.
    pub async fn start(catalog: Arc<dyn CatalogService>, copy: Arc<dyn OrderCopy>) -> Result<Self> {
        let (_, seq) = copy.followed().await?;
        let (send_followed, followed) = watch::channel(seq);
        let (send_caught_up, caught_up) = watch::channel(false);
        let follow = follow(catalog, Arc::clone(&copy), send_followed, send_caught_up);
        let task = tokio::spawn(follow);
        Ok(Self { copy, followed, caught_up, task })
    }

    /// The last entry that the copy has, and every change of it.
    #[must_use]
    pub fn followed(&self) -> watch::Receiver<Seq> {
        self.followed.clone()
    }

    /// Whether the last call reached the ledger's head. It is false at the start, and after any failure.
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows for ever.
async fn follow(
    catalog: Arc<dyn CatalogService>,
    copy: Arc<dyn OrderCopy>,
    followed: watch::Sender<Seq>,
    caught_up: watch::Sender<bool>,
) {
    let mut pause = PAUSE.0;
    loop {
        let (after, wait) = (*followed.borrow(), *caught_up.borrow());
        match step(catalog.as_ref(), copy.as_ref(), after, wait).await {
            Ok((seq, head)) => {
                pause = PAUSE.0;
                followed.send_replace(seq);
                caught_up.send_replace(seq >= head);
                metrics::gauge!("bookstore_copy_lag_entries").set(head.0.saturating_sub(seq.0) as f64);
                if seq > after && seq >= head {
                    tokio::time::sleep(GATHER).await;
                }
            }
            Err(error) => {
                if caught_up.send_replace(false) || pause == PAUSE.1 {
                    tracing::warn!(%error, "cannot follow the ledger, trying again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
                // A failed append may have happened all the same, so the copy itself says where to go on.
                if let Ok((_, seq)) = copy.followed().await {
                    followed.send_replace(seq);
                }
            }
        }
    }
}

/// Takes the next entries over. Returns the last entry of the copy after that, and the last one of the ledger.
async fn step(catalog: &dyn CatalogService, copy: &dyn OrderCopy, after: Seq, wait: bool) -> Result<(Seq, Seq)> {
    let wait = if wait { POLL } else { Duration::ZERO };
    let page = catalog.entries(after, ENTRIES_MAX, wait).await?;
    if page.head < after {
        return Err(Error::unavailable(format!(
            "the ledger ends at {}, before this copy's {after}: it was restored from an older backup, or is another one",
            page.head
        )));
    }
    let Some(last) = page.entries.last() else { return Ok((after, page.head)) };
    let seq = last.seq;
    copy.append(page.ledger, page.entries).await?;
    Ok((seq, page.head))
}

#[async_trait]
impl OrderReader for Follower {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.copy.order(id).await
    }

    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        self.copy.orders(before, limit).await
    }
}

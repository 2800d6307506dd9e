//! The relay as a projection of the ledger: what it keeps is how far the receiver has it.

use async_trait::async_trait;
use bookstore_core::{
    CatalogService, Entries, Error, Result, Seq,
    history::LedgerIdentity,
    store::{Followed, Projection},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

use super::{
    event::{Event, Types},
    place::{Place, PlaceFile},
};

/// Entries after which the place is kept; it is at the end of a page, too. So after a kill at most so many events are sent again.
const SAVE_EVERY: u64 = 100;

/// What events are delivered to.
#[async_trait]
pub(crate) trait Receiver: Send {
    /// Returns once the receiver has the event, however long that takes.
    async fn deliver(&mut self, event: &Event);
}

/// Delivers the entries that a follower brings, one after the other.
pub(crate) struct Outbox {
    catalog: Arc<dyn CatalogService>,
    types: Types,
    file: PlaceFile,
    work: Mutex<Work>,
    /// For those who watch while it waits for the receiver.
    delivered: AtomicU64,
}

struct Work {
    receiver: Box<dyn Receiver>,
    place: Place,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("delivered", &self.delivered()).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Goes on at `place`, which it keeps in `file`.
    pub(crate) fn new(
        catalog: Arc<dyn CatalogService>,
        receiver: Box<dyn Receiver>,
        types: Types,
        (file, place): (PlaceFile, Place),
    ) -> Self {
        let delivered = AtomicU64::new(place.delivered.0);
        Self { catalog, types, file, work: Mutex::new(Work { receiver, place }), delivered }
    }

    /// The last entry that was delivered or left out.
    pub(crate) fn delivered(&self) -> Seq {
        Seq(self.delivered.load(Ordering::Relaxed))
    }

    /// Keeps the place, at the end.
    pub(crate) async fn save(&self) -> Result<()> {
        self.save_place(&self.work.lock().await.place).await
    }

    async fn save_place(&self, place: &Place) -> Result<()> {
        let saved = self.file.save(place).await;
        saved.map_err(|error| Error::unavailable(format!("the place in the ledger cannot be kept: {error}")))
    }

    /// Shows how far it is.
    fn show(&self, place: &Place) {
        self.delivered.store(place.delivered.0, Ordering::Relaxed);
    }

    /// Tells the receiver that the ledger went back.
    async fn announce(&self, work: &mut Work, now: &LedgerIdentity, fork: Seq) {
        let followed = work.place.delivered;
        tracing::warn!(%fork, %followed, "the ledger went back and goes on under a newer timeline; the receiver is told");
        work.receiver.deliver(&Event::rewound(now, fork, followed)).await;
        work.place.rewind(fork);
        self.show(&work.place);
    }
}

#[async_trait]
impl Projection for Outbox {
    async fn followed(&self) -> Result<Followed> {
        Ok(self.work.lock().await.place.followed())
    }

    async fn append(&self, page: Entries) -> Result<()> {
        let work = &mut *self.work.lock().await;
        work.place.followed().check(&page)?;
        // Within the page at hand: what begins it is in both histories.
        if let Some(fork) = work.place.fork(&page.identity) {
            self.announce(work, &page.identity, fork).await;
        }
        work.place.check(&page)?;
        // Kept before the first entry of a new timeline is: afterwards that entry would look like one that is lost.
        work.place.identity = Some(page.identity.clone());
        for entry in page.entries.iter().filter(|entry| entry.seq > self.delivered()) {
            if self.types.has(entry) {
                work.receiver.deliver(&Event::of_entry(&page.identity, entry)).await;
            }
            work.place.deliver(entry);
            self.show(&work.place);
            if entry.seq.0 % SAVE_EVERY == 0 {
                self.save_place(&work.place).await?;
            }
        }
        work.place = work.place.after(&page);
        self.save_place(&work.place).await
    }

    async fn rewind(&self, fork: Seq) -> Result<u64> {
        let work = &mut *self.work.lock().await;
        let before = Seq(fork.0.saturating_sub(1));
        let page = self.catalog.entries(before, 1, Duration::ZERO).await?;
        let (true, Some(hash)) = (work.place.fork(&page.identity) == Some(fork), page.before) else {
            return Err(Error::unavailable("the ledger has changed again meanwhile"));
        };
        self.announce(work, &page.identity, fork).await;
        work.place = Place::at(page.identity, before, hash);
        self.save_place(&work.place).await?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests;

//! Follows the ledger's sales, so that lists of best sellers are at hand.

use std::{
    sync::{
        Arc, Mutex as SyncMutex, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, task::JoinHandle};

use super::sales::Sales;
use crate::{clock::Clock, error::Result, id::Seq, store::LedgerReader, writer::Published};

/// Entries that are read from the store at once.
const READ_AT_ONCE: usize = 4_096;
/// The pause after the head was reached. The writer adds up what is sold meanwhile, so this need not be short.
const GATHER: Duration = Duration::from_secs(1);
/// The pause after the store could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The sales of a ledger: a projection in memory, which takes each entry in once, and is made anew from the first one at each start.
pub(super) struct BestSellers {
    reader: Arc<dyn LedgerReader>,
    published: Arc<Published>,
    clock: Arc<dyn Clock>,
    sales: RwLock<Sales>,
    /// The sales are those up to this entry.
    seq: AtomicU64,
    /// Held by whoever takes entries in.
    feeding: Mutex<()>,
}

impl BestSellers {
    pub(super) fn new(reader: Arc<dyn LedgerReader>, published: Arc<Published>, clock: Arc<dyn Clock>) -> Self {
        let sales = RwLock::new(Sales::new(clock.now().day()));
        Self { reader, published, clock, sales, seq: AtomicU64::new(0), feeding: Mutex::new(()) }
    }

    /// The sales up to the entry to which they were [brought](Self::catch_up) last.
    pub(super) fn sales(&self) -> RwLockReadGuard<'_, Sales> {
        self.sales.read().expect("nothing panics with it")
    }

    fn changing(&self) -> RwLockWriteGuard<'_, Sales> {
        self.sales.write().expect("nothing panics with it")
    }

    fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    /// Takes in the entries that are durable by now, and lets go what is too old today.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let head = self.published.head();
        if self.seq() >= head && self.sales().today() == self.clock.now().day() {
            return Ok(());
        }
        let _feeding = self.feeding.lock().await;
        self.begin(self.clock.now().day());
        while self.seq() < head {
            let begin = self.published.sold_after();
            if self.seq() < begin {
                self.read(begin).await?;
                tokio::task::yield_now().await;
            } else {
                self.take_sold();
            }
        }
        Ok(())
    }

    fn begin(&self, today: i64) {
        let before = self.sales().today();
        if today < before {
            // The clock was put back. What was let go may be of this year, so everything is counted again.
            *self.changing() = Sales::new(today);
            self.seq.store(0, Ordering::Release);
        } else if today > before {
            self.changing().begin(today);
        }
    }

    /// Takes in what was sold since the last time, if that is what comes next.
    fn take_sold(&self) {
        let sold = self.published.take_sold();
        if sold.after == self.seq() {
            let mut sales = self.changing();
            sales.add_up(&sold.copies);
            sold.others.iter().for_each(|entry| sales.apply(entry));
            self.seq.store(sold.to.0, Ordering::Release);
        }
    }

    /// Takes in the next entries from the store.
    async fn read(&self, head: Seq) -> Result<()> {
        let entries = self.reader.entries(self.seq(), head, READ_AT_ONCE).await?;
        let mut sales = self.changing();
        entries.iter().for_each(|entry| sales.apply(entry));
        // The reader gives one entry at least, so this ends.
        let last = entries.last().map_or(head, |last| last.seq);
        self.seq.store(last.0, Ordering::Release);
        Ok(())
    }
}

/// The task that follows the sales, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Following(SyncMutex<Option<JoinHandle<()>>>);

impl Following {
    /// Starts to follow. It is called on a runtime.
    pub(super) fn start(&self, best_sellers: &Arc<BestSellers>) {
        let mut head = best_sellers.published.watch();
        let best_sellers = Arc::downgrade(best_sellers);
        let task = tokio::spawn(async move {
            loop {
                let Some(best_sellers) = best_sellers.upgrade() else { return };
                let pause = match best_sellers.catch_up().await {
                    Ok(()) => GATHER,
                    Err(error) => {
                        tracing::warn!(%error, "the sales could not be read for the lists of best sellers");
                        AFTER_FAILURE
                    }
                };
                drop(best_sellers);
                tokio::time::sleep(pause).await;
                if pause == GATHER && head.changed().await.is_err() {
                    return;
                }
            }
        });
        if let Some(before) = self.0.lock().expect("nothing panics with it").replace(task) {
            before.abort();
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut().ok().and_then(Option::take) {
            task.abort();
        }
    }
}

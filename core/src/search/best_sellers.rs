//! Follows the ledger's sales, so that lists of best sellers are at hand. What was counted is kept beside the store now and then, so that
//! a start counts only what was sold since.

use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex as SyncMutex, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, task::JoinHandle, time::Instant};

use super::sales::Sales;
use crate::{
    clock::Clock,
    error::Result,
    history::{Hash, LedgerIdentity, Relation},
    id::Seq,
    store::LedgerReader,
    writer::Published,
};

/// Entries that are read from the store at once.
const READ_AT_ONCE: usize = 4_096;
/// The pause before each look. The writer adds up what is sold meanwhile, so this need not be short.
const GATHER: Duration = Duration::from_secs(1);

/// What the counts are kept as.
const NAME: &str = "sales";
/// The counts are kept after as many entries, about a second of counting, or else every minute.
const KEEP_AFTER: u64 = 500_000;
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Keeping them takes at most this part of the time.
const KEEP_PART: u32 = 20;

/// The counts as they are kept.
#[derive(Serialize, Deserialize)]
struct Kept<S> {
    ledger: LedgerIdentity,
    seq: Seq,
    hash: Hash,
    sales: S,
}

/// When the counts are kept next.
#[derive(Debug)]
struct Keeping {
    /// The entry up to which they were kept.
    seq: Seq,
    at: Instant,
    /// How long that took.
    took: Duration,
}

impl Keeping {
    fn is_due(&self, seq: Seq) -> bool {
        let (entries, passed) = (seq.0.saturating_sub(self.seq.0), self.at.elapsed());
        passed >= self.took * KEEP_PART && (entries >= KEEP_AFTER || (entries > 0 && passed >= KEEP_EVERY))
    }
}

/// The sales of a ledger: a projection in memory, which takes each entry in once.
pub(super) struct BestSellers {
    reader: Arc<dyn LedgerReader>,
    published: Arc<Published>,
    clock: Arc<dyn Clock>,
    sales: RwLock<Sales>,
    /// The sales are those up to this entry.
    seq: AtomicU64,
    /// Held by whoever takes entries in. None until what was kept has been looked for.
    feeding: Mutex<Option<Keeping>>,
}

impl BestSellers {
    pub(super) fn new(reader: Arc<dyn LedgerReader>, published: Arc<Published>, clock: Arc<dyn Clock>) -> Self {
        let sales = RwLock::new(Sales::new(clock.now().day()));
        Self { reader, published, clock, sales, seq: AtomicU64::new(0), feeding: Mutex::default() }
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
        let mut feeding = self.feeding.lock().await;
        if feeding.is_none() {
            self.read_kept(head).await;
            *feeding = Some(Keeping { seq: self.seq(), at: Instant::now(), took: Duration::ZERO });
        }
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

    /// Begins with what was kept, if it is of this ledger. Otherwise everything is counted.
    async fn read_kept(&self, head: Seq) {
        let kept = match self.reader.kept(NAME).await {
            Ok(Some(kept)) => kept,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "the sales are counted again"),
        };
        let Ok(Kept { ledger, seq, hash, sales }) = serde_json::from_slice::<Kept<Sales>>(&kept) else { return };
        let is_before = match ledger.relation(self.reader.identity()) {
            Relation::Same => true,
            Relation::Newer(fork) => seq < fork,
            Relation::Older | Relation::Unrelated => false,
        };
        if is_before && seq <= head && self.reader.hash(seq).await == Ok(hash) {
            *self.changing() = sales;
            self.seq.store(seq.0, Ordering::Release);
        }
    }

    /// Keeps what is counted, if that is due.
    ///
    /// # Errors
    /// The store cannot keep it.
    async fn keep_if_due(self: &Arc<Self>) -> Result<()> {
        let mut feeding = self.feeding.lock().await;
        match feeding.as_mut().filter(|keeping| keeping.is_due(self.seq())) {
            Some(keeping) => self.keep(keeping).await,
            None => Ok(()),
        }
    }

    async fn keep(self: &Arc<Self>, keeping: &mut Keeping) -> Result<()> {
        let seq = self.seq();
        let (ledger, hash, begun) = (self.reader.identity().clone(), self.reader.hash(seq).await?, Instant::now());
        let counted = Arc::clone(self);
        let make = move || {
            let kept = Kept { ledger, seq, hash, sales: &*counted.sales() };
            serde_json::to_vec(&kept).expect("numbers and ids are JSON")
        };
        let kept = self.reader.keep(NAME, Box::new(make)).await;
        *keeping = Keeping { seq, at: Instant::now(), took: begun.elapsed() };
        kept
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
                // First, so that what a start has to do comes before.
                tokio::time::sleep(GATHER).await;
                let Some(best_sellers) = best_sellers.upgrade() else { return };
                if let Err(error) = best_sellers.catch_up().await {
                    tracing::warn!(%error, "the sales could not be read for the lists of best sellers");
                    continue;
                }
                if let Err(error) = best_sellers.keep_if_due().await {
                    tracing::warn!(%error, "the counts of sales could not be kept, so the next start counts again");
                }
                drop(best_sellers);
                if head.changed().await.is_err() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        decide::Command,
        execution::Execution,
        fixtures::{book, order_id},
        id::BookId,
        page::Period,
        request::Lines,
        store::memory::{self, MemoryReader},
        writer::{Writer, WriterLimits},
    };

    fn counting(reader: &Arc<MemoryReader>, writer: &Writer) -> Arc<BestSellers> {
        Arc::new(BestSellers::new(reader.clone(), Arc::clone(writer.published()), Arc::new(SystemClock)))
    }

    /// The counts that were kept are gone on with, but only where they belong.
    #[tokio::test]
    async fn what_was_counted_is_kept() {
        let (store, reader) = memory::open(&SystemClock);
        let (clock, limits) = (Arc::new(SystemClock), WriterLimits::default());
        let writer = Writer::start(store, clock, limits, Execution::Threads, Default::default()).expect("memory");
        let call = async |command| writer.commands().call(command).await.expect("a good command");
        let sell = async |copies| {
            let lines = Lines::one(BookId(1), copies).expect("a good line");
            call(Command::Sell { order: order_id(), lines }).await
        };
        call(Command::AddBook { book: Box::new(book("A book", 99)), by: None }).await;
        sell(3).await;
        let first = counting(&reader, &writer);
        first.catch_up().await.expect("memory");
        let mut keeping = Keeping { seq: Seq(0), at: Instant::now(), took: Duration::ZERO };
        first.keep(&mut keeping).await.expect("memory");
        assert_eq!(keeping.seq, Seq(2));
        sell(4).await;

        let again = counting(&reader, &writer);
        again.read_kept(Seq(3)).await;
        assert_eq!((again.seq(), again.sales().of(BookId(1), Period::Ever)), (Seq(2), 3));
        again.catch_up().await.expect("memory");
        assert_eq!((again.seq(), again.sales().of(BookId(1), Period::Week)), (Seq(3), 7));

        let kept = String::from_utf8(reader.kept(NAME).await.expect("memory").expect("kept")).expect("JSON");
        for (what, other) in [
            ("another ledger", kept.replacen(&reader.identity().ledger.to_string(), &uuid::Uuid::nil().to_string(), 1)),
            ("another history", kept.replacen("\"seq\":2", "\"seq\":1", 1)),
            ("a ledger that is longer", kept.replacen("\"seq\":2", "\"seq\":9", 1)),
            ("half a file", kept[..kept.len() / 2].to_owned()),
        ] {
            assert_ne!(other, kept, "{what}");
            reader.keep(NAME, Box::new(|| other.into_bytes())).await.expect("memory");
            let anew = counting(&reader, &writer);
            anew.read_kept(Seq(3)).await;
            assert_eq!(anew.seq(), Seq(0), "{what}");
        }
    }
}

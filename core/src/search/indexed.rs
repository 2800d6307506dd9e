//! A search by an index beside a store, which follows the texts of the ledger's entries.

use async_trait::async_trait;
use std::{
    fmt, mem,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};
use tokio::sync::Mutex;

use super::{
    BookSearch, Matches,
    index::{BookIndex, IndexChange, IndexFailed, Unusable},
};
use crate::{
    error::{Error, Result},
    execution::Execution,
    history::{Hash, LedgerIdentity},
    id::Seq,
    ledger::{Entry, Kind},
    page::CheckedQuery,
    store::LedgerReader,
};

/// Texts that the index takes in with one commit, and their bytes, more or less: a commit takes long, whatever is in it.
const BATCH_TEXTS: usize = 100_000;
const BATCH_BYTES: usize = 64 << 20;

/// How an [`IndexedSearch`] runs.
#[derive(Clone, Copy, Debug)]
pub struct IndexedOptions {
    /// Whether the index is opened, fed and read on threads of its own or, in a simulation, where it is called. What is found does not
    /// depend on the engine's own threads, which it has either way.
    pub execution: Execution,
    /// A search waits until the index has so many new texts, 1,000; at least one. For more, the store answers meanwhile.
    pub wait_for_texts_max: usize,
}

impl Default for IndexedOptions {
    fn default() -> Self {
        Self { execution: Execution::Threads, wait_for_texts_max: 1_000 }
    }
}

/// A search by words in a [`BookIndex`]. While the index is built, or if it fails, the store's texts are searched instead.
///
/// The index is a projection of the ledger: it takes in each text once, in order, and keeps in the same commit up to which entry of
/// which history. Entries without texts are nothing to it, so it does not read them.
pub struct IndexedSearch {
    parts: Arc<Parts>,
}

struct Parts {
    reader: Arc<dyn LedgerReader>,
    options: IndexedOptions,
    /// `None` until it is open, and after a failure.
    index: RwLock<Option<Arc<BookIndex>>>,
    /// No text up to this entry is missing in the index. 0 until that is known.
    seq: AtomicU64,
    /// Held by whoever feeds the index.
    feeding: Mutex<State>,
    /// Whether many texts are missing, so that searches do not wait for them.
    building: AtomicBool,
    /// Whether a task feeds the index, and up to which entry.
    fed: AtomicBool,
    wanted: AtomicU64,
}

/// How far an index is on its way to be fed.
enum State {
    /// A thread opens it, so that a start need not wait.
    Opening(thread::JoinHandle<Result<BookIndex, IndexFailed>>),
    /// It is open, or has failed.
    Opened,
    /// It was compared with the ledger.
    Compared,
}

impl Drop for Parts {
    fn drop(&mut self) {
        // Whoever opens the folder next must not find it locked.
        if let State::Opening(opening) = mem::replace(self.feeding.get_mut(), State::Opened) {
            drop(opening.join());
        }
    }
}

impl fmt::Debug for IndexedSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedSearch")
            .field("index", &*self.parts.index.read().expect("nothing panics with it"))
            .finish()
    }
}

impl IndexedSearch {
    /// [`Self::open_with`] the default options.
    pub fn open(folder: Option<&Path>, reader: Arc<dyn LedgerReader>) -> Self {
        Self::open_with(folder, reader, IndexedOptions::default())
    }

    /// Opens the index in a folder, or in memory without one. An index that cannot be used is built again, from
    /// [`BookSearch::texts_added`] on; if not even that is possible, the store's texts are searched, and the log says so.
    ///
    /// It returns at once: a thread opens the index, which takes some milliseconds, as every file is read and checked. With
    /// [`Execution::Task`] it takes that time itself.
    pub fn open_with(folder: Option<&Path>, reader: Arc<dyn LedgerReader>, options: IndexedOptions) -> Self {
        let (folder, ledger) = (folder.map(PathBuf::from), reader.identity().clone());
        let opening = move || open(folder.as_deref(), ledger);
        let (state, opened) = match options.execution {
            Execution::Task => (State::Opened, Some(opening())),
            Execution::Threads => match thread::Builder::new().name("search-open".into()).spawn(opening) {
                Ok(opening) => (State::Opening(opening), None),
                Err(error) => (State::Opened, Some(Err(error.into()))),
            },
        };
        let parts = Parts {
            reader,
            options: IndexedOptions { wait_for_texts_max: options.wait_for_texts_max.max(1), ..options },
            seq: AtomicU64::new(0),
            index: RwLock::new(None),
            feeding: Mutex::new(state),
            building: AtomicBool::new(false),
            fed: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
        };
        if let Some(opened) = opened {
            parts.opened(opened);
        }
        Self { parts: Arc::new(parts) }
    }

    /// Returns when the index has every text up to `texts`, or has failed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catch_up(&self, texts: Seq) -> Result<()> {
        let parts = Arc::clone(&self.parts);
        whole(async move { parts.catch_up(texts).await }).await
    }
}

/// Opens an index, or makes an empty one in its place.
fn open(folder: Option<&Path>, ledger: LedgerIdentity) -> Result<BookIndex, IndexFailed> {
    let Some(folder) = folder else { return BookIndex::in_memory(ledger) };
    BookIndex::open(folder, &ledger).or_else(|unusable| {
        match unusable {
            Unusable::Missing => tracing::info!(folder = %folder.display(), "the search index is built"),
            why => tracing::warn!(folder = %folder.display(), %why, "the search index is built again"),
        }
        BookIndex::create(folder, ledger)
    })
}

impl Parts {
    fn say_broken(error: &IndexFailed) {
        tracing::error!(%error, "books are sold, but searches are slow and understand less until the next start");
    }

    fn index(&self) -> Option<Arc<BookIndex>> {
        self.index.read().expect("nothing panics with it").clone()
    }

    fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    /// The result of the index; `None` if it has failed, and then it is not used again.
    fn used<T>(&self, result: Result<T, IndexFailed>) -> Option<T> {
        result
            .inspect_err(|error| {
                Self::say_broken(error);
                *self.index.write().expect("nothing panics with it") = None;
            })
            .ok()
    }

    /// Runs work on the index where it may block.
    async fn run<T: Send + 'static>(
        &self,
        index: Arc<BookIndex>,
        work: impl FnOnce(&BookIndex) -> Result<T, IndexFailed> + Send + 'static,
    ) -> Result<T, IndexFailed> {
        let done = match self.options.execution {
            Execution::Threads => tokio::task::spawn_blocking(move || work(&index)).await.ok(),
            Execution::Task => panic::catch_unwind(AssertUnwindSafe(|| work(&index))).ok(),
        };
        done.unwrap_or_else(|| Err(IndexFailed::panicked()))
    }

    /// As [`Self::run`]; `None` if the index has failed, and then it is not used again.
    async fn run_or_break<T: Send + 'static>(
        &self,
        index: Arc<BookIndex>,
        work: impl FnOnce(&BookIndex) -> Result<T, IndexFailed> + Send + 'static,
    ) -> Option<T> {
        self.used(self.run(index, work).await)
    }

    async fn catch_up(&self, to: Seq) -> Result<()> {
        let mut built = false;
        while !self.take_in(to, BATCH_TEXTS).await? {
            built |= self.building.load(Ordering::Acquire);
            tracing::info!(entry = self.seq().0, of = to.0, "building the search index");
        }
        if built {
            self.merge().await;
        }
        Ok(())
    }

    /// Makes searches faster after many texts were taken in.
    async fn merge(&self) {
        let Some(index) = self.index() else { return };
        if let Err(error) = self.run(index, BookIndex::merge).await {
            tracing::warn!(%error, "the search index was not merged, so that searches are slower");
        }
    }

    /// Takes in up to `limit` texts up to the entry `to`. Returns whether there was none left, or the index has failed.
    async fn take_in(&self, to: Seq, limit: usize) -> Result<bool> {
        let mut state = self.feeding.lock().await;
        if let State::Opening(_) = &*state
            && let State::Opening(opening) = mem::replace(&mut *state, State::Opened)
        {
            self.wait_until_open(opening).await;
        }
        let Some(index) = self.index() else { return Ok(true) };
        if let State::Opened = &*state {
            self.compare(&index, to).await?;
            *state = State::Compared;
        }
        if self.seq() >= to {
            return Ok(true);
        }
        if limit < BATCH_TEXTS && self.building.load(Ordering::Acquire) {
            return Ok(false);
        }
        match self.stage(&index, to, limit).await {
            Ok(Some((last, hash))) => {
                if self.run_or_break(index, move |index| index.commit(last, hash)).await.is_some() {
                    self.seq.store(last.0, Ordering::Release);
                }
                Ok(false)
            }
            Ok(None) => {
                self.seq.store(to.0, Ordering::Release);
                self.building.store(false, Ordering::Release);
                Ok(true)
            }
            Err(error) => {
                self.run_or_break(index, BookIndex::roll_back).await;
                Err(error)
            }
        }
    }

    async fn wait_until_open(&self, opening: thread::JoinHandle<Result<BookIndex, IndexFailed>>) {
        let opened = tokio::task::spawn_blocking(move || opening.join()).await;
        let opened = opened.ok().and_then(std::result::Result::ok).unwrap_or_else(|| Err(IndexFailed::panicked()));
        self.opened(opened);
    }

    fn opened(&self, opened: Result<BookIndex, IndexFailed>) {
        let index = self.used(opened).map(Arc::new);
        *self.index.write().expect("nothing panics with it") = index;
    }

    /// What entries change in the index.
    async fn changes(&self, entries: &[Entry]) -> Result<Vec<IndexChange>> {
        let mut changes = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(book) = entry.changes.first().map(|change| change.book) else { continue };
            match (entry.kind, &entry.text) {
                (Kind::Listing, Some(text)) => changes.push(IndexChange::Add(book, text.clone())),
                (Kind::Revise, Some(_)) if entry.details.as_ref().is_some_and(|details| details.withdrawn) => {}
                (Kind::Revise, Some(text)) => changes.push(IndexChange::Replace(book, text.clone())),
                (Kind::Relist, _) => {
                    let version = entry.details.as_ref().and_then(|details| details.text_version);
                    let text = self.reader.text(book, version.unwrap_or_default()).await?;
                    changes.extend(text.map(|text| IndexChange::Replace(book, text)));
                }
                _ => changes.push(IndexChange::Remove(book)),
            }
        }
        Ok(changes)
    }

    /// Hands the next texts to the index, page by page, so that it works while the next ones are read. Returns up to which entry, and the
    /// ledger's hash there; `None` if there are no texts, or the index has failed.
    async fn stage(&self, index: &Arc<BookIndex>, to: Seq, limit: usize) -> Result<Option<(Seq, Hash)>> {
        let (mut last, mut texts, mut bytes) = (None, 0, 0);
        while texts < limit && bytes < BATCH_BYTES {
            let page = self.reader.texts(last.unwrap_or(self.seq()), to, limit - texts).await?;
            let Some(end) = page.last().map(|end| end.seq) else { break };
            last = Some(end);
            texts += page.len();
            bytes += page.iter().map(Entry::json_bytes).sum::<usize>();
            if texts > self.options.wait_for_texts_max {
                self.building.store(true, Ordering::Release);
            }
            let changes = self.changes(&page).await?;
            if self.run_or_break(Arc::clone(index), move |index| index.stage(changes)).await.is_none() {
                return Ok(None);
            }
        }
        match last {
            Some(last) => Ok(Some((last, self.reader.hash(last).await?))),
            None => Ok(None),
        }
    }

    /// Empties an index that is not of this ledger's history: a power cut may have taken entries back, or the file was replaced.
    async fn compare(&self, index: &Arc<BookIndex>, head: Seq) -> Result<()> {
        let progress = index.progress();
        if progress.seq <= head && self.reader.hash(progress.seq).await? == progress.hash {
            self.seq.store(progress.seq.0, Ordering::Release);
            return Ok(());
        }
        tracing::warn!(
            entry = progress.seq.0,
            "the ledger's history is another than the search index's, which is built again"
        );
        self.run_or_break(Arc::clone(index), BookIndex::clear).await;
        Ok(())
    }

    /// Feeds the index in the background, unless a task does already.
    fn feed(self: &Arc<Self>, to: Seq) {
        self.wanted.fetch_max(to.0, Ordering::AcqRel);
        if self.fed.swap(true, Ordering::AcqRel) {
            return;
        }
        let parts = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let wanted = parts.wanted.load(Ordering::Acquire);
                if let Err(error) = parts.catch_up(Seq(wanted)).await {
                    tracing::warn!(%error, "the search index could not read the books");
                }
                parts.fed.store(false, Ordering::Release);
                // Whoever asked for more in between did not start a task.
                let done = parts.wanted.load(Ordering::Acquire) == wanted;
                if done || parts.fed.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }

    /// The index, if it has every text up to the entry `to`, or will have soon.
    async fn ready(self: &Arc<Self>, to: Seq) -> Result<Option<Arc<BookIndex>>> {
        if self.seq() < to {
            if self.building.load(Ordering::Acquire) {
                return Ok(None);
            }
            let parts = Arc::clone(self);
            let few = async move {
                let limit = parts.options.wait_for_texts_max;
                Ok(parts.take_in(to, limit).await? || parts.take_in(to, 1).await?)
            };
            let few = whole(few).await?;
            if !few {
                self.feed(to);
                return Ok(None);
            }
        }
        Ok(self.index())
    }
}

/// Runs to the end what a caller waits for, also if the caller hangs up: otherwise the index could take texts in and nobody would know.
async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(Error::unavailable("the search index was not brought up to date")))
}

#[async_trait]
impl BookSearch for IndexedSearch {
    async fn matches(&self, query: &CheckedQuery, texts: Seq) -> Result<Matches> {
        if let Some(index) = self.parts.ready(texts).await? {
            let wanted = query.clone();
            if let Some(found) = self.parts.run_or_break(index, move |index| index.matches(&wanted)).await {
                return Ok(found);
            }
        }
        self.parts.reader.matches(query, texts).await
    }

    fn texts_added(&self, texts: Seq) {
        self.parts.feed(texts);
    }
}

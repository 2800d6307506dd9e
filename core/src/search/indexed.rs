//! A search by an index beside a store: words are found in the index, and everything else is asked of the store.

use async_trait::async_trait;
use std::{
    fmt,
    path::Path,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};
use tokio::sync::{Mutex, Semaphore};

use super::{
    BookSearch, Found, FoundPage,
    index::{BookIndex, IndexChange, IndexFailed, Matches, Unusable},
};
use crate::{
    book::Text,
    error::{Error, Result},
    history::LedgerIdentity,
    id::BookId,
    page::{CheckedQuery, Sort},
    topics::{CheckedTopicQuery, TopicPage},
};

/// Searches in the index that run at once, at most; on fewer than eight processors half as many as processors.
const AT_ONCE_MAX: usize = 4;
/// Searches that wait for a place; more are refused as overloaded.
const WAITING_MAX: usize = 256;
/// Books that the index takes in with one commit.
const BATCH_BOOKS: usize = 5_000;
/// A search waits until the index has so many new books; for more, the store answers meanwhile.
const WAIT_FOR_BOOKS_MAX: u64 = 1_000;

/// What an [`IndexedSearch`] asks the store.
///
/// # Errors
/// - [`Error::Overloaded`] if too many reads wait.
/// - [`Error::Unavailable`] if the store cannot be read.
#[async_trait]
pub trait BookList: BookSearch {
    /// The ledger whose books these are, and its timelines.
    fn ledger(&self) -> &LedgerIdentity;

    /// The text of a book, if there is such a book.
    async fn text_of(&self, book: BookId) -> Result<Option<Text>>;

    /// The texts of up to `limit` books after `after` and up to `last`, by id.
    async fn texts_after(&self, after: BookId, last: BookId, limit: usize) -> Result<Vec<(BookId, Text)>>;

    /// Of these books, up to `query.size + 1` after `query.after`, by `query.sort`. The query
    /// has no words and no topic.
    async fn sorted(&self, books: Vec<BookId>, query: CheckedQuery) -> Result<Vec<Found>>;
}

/// A search by words in a [`BookIndex`]. While the index is built, or if it fails, the store searches in its own way.
pub struct IndexedSearch {
    parts: Arc<Parts>,
}

struct Parts {
    store: Arc<dyn BookList>,
    /// `None` after a failure.
    index: RwLock<Option<Arc<BookIndex>>>,
    /// Held by whoever feeds the index.
    feeding: Mutex<()>,
    /// Whether a task feeds the index, or is about to.
    fed: AtomicBool,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl fmt::Debug for IndexedSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedSearch")
            .field("index", &*self.parts.index.read().expect("nothing panics with it"))
            .finish()
    }
}

impl IndexedSearch {
    /// Opens the index in a folder, or in memory without one. An index that cannot be used is built again, from
    /// [`BookSearch::books_added`] on; if not even that is possible, the store searches, and the log says so. It blocks.
    pub fn open(folder: Option<&Path>, store: Arc<dyn BookList>) -> Self {
        let ledger = store.ledger().clone();
        let opened = match folder {
            None => BookIndex::in_memory(ledger),
            Some(folder) => BookIndex::open(folder, &ledger).or_else(|unusable| {
                match unusable {
                    Unusable::Missing => tracing::info!(folder = %folder.display(), "the search index is built"),
                    why => tracing::warn!(folder = %folder.display(), %why, "the search index is built again"),
                }
                BookIndex::create(folder, ledger)
            }),
        };
        let index = opened.map(Arc::new).inspect_err(Parts::say_broken).ok();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let places = (processors / 2).clamp(1, AT_ONCE_MAX);
        let parts = Parts {
            store,
            index: RwLock::new(index),
            feeding: Mutex::new(()),
            fed: AtomicBool::new(false),
            free: Arc::new(Semaphore::new(places)),
            waiting: AtomicUsize::new(0),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Returns when the index has every book up to `last`, or has failed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn catch_up(&self, last: BookId) -> Result<()> {
        self.parts.catch_up(last).await
    }
}

impl Parts {
    fn say_broken(error: &IndexFailed) {
        tracing::error!(%error, "books are sold, but searches are slow and understand less until the next start");
    }

    fn index(&self) -> Option<Arc<BookIndex>> {
        self.index.read().expect("nothing panics with it").clone()
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

    /// Runs work on the index on a thread that may block.
    async fn on_thread<T: Send + 'static>(
        &self,
        index: Arc<BookIndex>,
        work: impl FnOnce(&BookIndex) -> Result<T, IndexFailed> + Send + 'static,
    ) -> Option<T> {
        let done = tokio::task::spawn_blocking(move || work(&index)).await;
        self.used(done.unwrap_or_else(|_| Err(IndexFailed::panicked())))
    }

    async fn catch_up(&self, last: BookId) -> Result<()> {
        let _feeding = self.feeding.lock().await;
        while let Some(index) = self.index() {
            let place = index.place();
            if place > last.0 {
                // A power cut has taken books back that the index has: it starts again.
                self.on_thread(index, BookIndex::clear).await;
                continue;
            }
            let texts = self.store.texts_after(BookId(place), last, BATCH_BOOKS).await?;
            let Some((newest, _)) = texts.last() else { return Ok(()) };
            let newest = newest.0;
            let changes = texts.into_iter().map(|(id, text)| IndexChange::Add(id, text)).collect();
            self.on_thread(index, move |index| index.apply(changes, newest)).await;
            if newest >= BATCH_BOOKS as u64 && newest < last.0 {
                tracing::info!(books = newest, of = last.0, "building the search index");
            }
        }
        Ok(())
    }

    /// Feeds the index in the background, unless a task does already.
    fn feed(self: &Arc<Self>, last: BookId) {
        if self.fed.swap(true, Ordering::AcqRel) {
            return;
        }
        let parts = Arc::clone(self);
        tokio::spawn(async move {
            // What is added from here on is for the next task.
            let _feeding = parts.feeding.lock().await;
            parts.fed.store(false, Ordering::Release);
            drop(_feeding);
            if let Err(error) = parts.catch_up(last).await {
                tracing::warn!(%error, "the search index could not read the books");
            }
        });
    }

    /// The index, if it has every book up to `last`, or will have soon.
    async fn ready(self: &Arc<Self>, last: BookId) -> Result<Option<Arc<BookIndex>>> {
        let Some(index) = self.index() else { return Ok(None) };
        let place = index.place();
        if place == last.0 {
            return Ok(Some(index));
        }
        if last.0.saturating_sub(place) > WAIT_FOR_BOOKS_MAX {
            self.feed(last);
            return Ok(None);
        }
        self.catch_up(last).await?;
        Ok(self.index())
    }

    /// Runs a search in the index, when there is a place.
    async fn search<T: Send + 'static>(
        &self,
        index: Arc<BookIndex>,
        search: impl FnOnce(&BookIndex) -> Result<T, IndexFailed> + Send + 'static,
    ) -> Result<Option<T>> {
        let _waiting = Waiting::enter(&self.waiting)?;
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.map_err(|_| Error::unavailable("shutting down"))?;
        let search = move |index: &BookIndex| {
            // Kept until the search has ended, also if its caller has gone.
            let _place = place;
            search(index)
        };
        Ok(self.on_thread(index, search).await)
    }

    async fn best(&self, index: Arc<BookIndex>, query: CheckedQuery) -> Result<Option<FoundPage>> {
        let Some(Matches { books, did_you_mean }) = self.search(index, move |index| index.best(&query)).await? else {
            return Ok(None);
        };
        let mut found = Vec::with_capacity(books.len());
        for position in books {
            found.extend(self.store.text_of(position.id).await?.map(|text| Found { position, text }));
        }
        Ok(Some(FoundPage { books: found, did_you_mean }))
    }

    async fn sorted(&self, index: Arc<BookIndex>, query: CheckedQuery) -> Result<Option<FoundPage>> {
        let wanted = query.clone();
        let Some(ids) = self.search(index, move |index| index.all(&wanted)).await? else { return Ok(None) };
        Ok(Some(FoundPage::from(self.store.sorted(ids, query.of_all_books()).await?)))
    }
}

#[async_trait]
impl BookSearch for IndexedSearch {
    async fn find(&self, query: CheckedQuery, last: BookId) -> Result<FoundPage> {
        if query.text.is_some()
            && let Some(index) = self.parts.ready(last).await?
        {
            let found = match query.sort {
                Sort::Relevance => self.parts.best(index, query.clone()).await?,
                Sort::Title | Sort::Price | Sort::Newest => self.parts.sorted(index, query.clone()).await?,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        self.parts.store.find(query, last).await
    }

    async fn topics(&self, query: CheckedTopicQuery) -> Result<TopicPage> {
        self.parts.store.topics(query).await
    }

    fn books_added(&self, last: BookId) {
        self.parts.feed(last);
    }
}

/// Counts one waiting search until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self> {
        let guard = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Error::overloaded("too many searches by words wait; a topic's books can be listed meanwhile"));
        }
        Ok(guard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Finding books: the words of a query are looked up in a [`BookSearch`], everything else in what is kept of every book, with stock
//! and price of now.

use std::sync::{
    Arc, RwLock, RwLockReadGuard,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Mutex;

use super::{
    BookSearch, Match, Matches,
    best_sellers::{BestSellers, Following},
    books::BookTable,
    folding::{folded_line, title_key},
    places::Places,
    select::{Selected, Source, is_plain_list, needs_sales, select},
};
use crate::{
    book::Book,
    clock::Clock,
    error::{Error, Result},
    execution::Execution,
    id::{BookId, Seq},
    page::{CheckedQuery, Facets, Position, Suggestions, TitleSuggestion},
    store::LedgerReader,
    topics::{CheckedTopicQuery, TopicPage},
    writer::Published,
};

/// Texts that are taken in without a pause.
const TEXTS_AT_ONCE: usize = 1_000;
/// Books that a search looks at on the thread of its caller; for more it goes to one that may block.
const INLINE_MAX: u64 = 8_192;

/// Finds the books of a ledger.
pub(crate) struct Finder {
    reader: Arc<dyn LedgerReader>,
    search: Arc<dyn BookSearch>,
    published: Arc<Published>,
    books: Arc<Books>,
    best_sellers: Arc<BestSellers>,
    following: Following,
    places: Places,
}

/// What is kept of every book, and how far the ledger's texts are in it.
#[derive(Debug, Default)]
struct Books {
    table: RwLock<BookTable>,
    /// No text up to this entry is missing.
    seq: AtomicU64,
    /// Held by whoever takes texts in.
    feeding: Mutex<()>,
}

/// A page of what was found.
#[derive(Debug, Default)]
pub(crate) struct FoundPage {
    /// The books, in order: up to one more than the page has.
    pub(crate) books: Vec<(Position, Book)>,
    pub(crate) total: u64,
    pub(crate) facets: Option<Facets>,
    pub(crate) did_you_mean: Option<String>,
}

impl Finder {
    pub(crate) fn new(
        reader: Arc<dyn LedgerReader>,
        search: Arc<dyn BookSearch>,
        published: Arc<Published>,
        clock: Arc<dyn Clock>,
        execution: Execution,
    ) -> Self {
        let best_sellers = BestSellers::new(Arc::clone(&reader), Arc::clone(&published), clock);
        let (best_sellers, following) = (Arc::new(best_sellers), Following::default());
        let places = Places::of(execution);
        Self { reader, search, published, books: Arc::default(), best_sellers, following, places }
    }

    /// Takes in the texts that are durable by now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn catch_up(&self) -> Result<Seq> {
        let texts = self.published.texts();
        self.books.catch_up(self.reader.as_ref(), texts).await?;
        Ok(texts)
    }

    /// Takes in the texts that are durable by now, in the background, and the sales from now on. It is called on a runtime.
    pub(crate) fn begin_catching_up(&self) {
        self.following.start(&self.best_sellers);
        let texts = self.published.texts();
        let (books, reader) = (Arc::clone(&self.books), Arc::clone(&self.reader));
        tokio::spawn(async move {
            if let Err(error) = books.catch_up(reader.as_ref(), texts).await {
                tracing::warn!(%error, "the books could not be read for searches; the next search tries again");
            }
            // Takes long only the first time.
            let _ = tokio::task::spawn_blocking(move || {
                books.table().sort_titles();
            })
            .await;
        });
    }

    /// The page that a query asks for.
    ///
    /// # Errors
    /// - [`Error::Overloaded`] if too many searches wait.
    /// - [`Error::Unavailable`] if the store cannot be read.
    pub(crate) async fn find(&self, query: CheckedQuery) -> Result<FoundPage> {
        let texts = self.catch_up().await?;
        if needs_sales(&query) {
            self.best_sellers.catch_up().await?;
        }
        let (selected, did_you_mean) = self.select(query, texts).await?;
        let mut books = Vec::with_capacity(selected.books.len());
        for position in selected.books {
            books.extend(self.book(position.id).await?.map(|book| (position, book)));
        }
        Ok(FoundPage { books, total: selected.total, facets: selected.facets, did_you_mean })
    }

    /// A book as it is published.
    async fn book(&self, id: BookId) -> Result<Option<Book>> {
        let Some(level) = self.published.level(id) else { return Ok(None) };
        Ok(self.reader.text(id, level.text_version).await?.map(|text| level.of(id, text)))
    }

    async fn select(&self, query: CheckedQuery, texts: Seq) -> Result<(Selected, Option<String>)> {
        let place =
            if query.words.is_some() || self.takes_long(&query) { Some(self.places.enter().await?) } else { None };
        let found = match &query.words {
            Some(_) => Some(self.search.matches(&query, texts).await?),
            None => None,
        };
        let Matches { books, did_you_mean } = found.unwrap_or_default();
        let matches = query.words.as_ref().map(|_| books);
        let listed = || self.books.table().looked_at(&query.filter);
        let looked_at = matches.as_ref().map_or_else(listed, |matches| matches.len() as u64);
        if is_plain_list(&query) || looked_at <= INLINE_MAX {
            let selected = self.books.select(&self.published, &self.best_sellers, &query, matches.as_deref());
            return Ok((selected, did_you_mean));
        }
        let (books, published) = (Arc::clone(&self.books), Arc::clone(&self.published));
        let best_sellers = Arc::clone(&self.best_sellers);
        let work = move || {
            // Kept until the search has ended, also if its caller has gone.
            let _place = place;
            books.select(&published, &best_sellers, &query, matches.as_deref())
        };
        let selected = tokio::task::spawn_blocking(work).await;
        Ok((selected.map_err(|_| Error::unavailable("a search did not finish"))?, did_you_mean))
    }

    fn takes_long(&self, query: &CheckedQuery) -> bool {
        !is_plain_list(query) && self.books.table().looked_at(&query.filter) > INLINE_MAX
    }

    /// Up to `limit` titles, authors and topics each that begin so.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) async fn suggest(&self, text: &str, limit: usize) -> Result<Suggestions> {
        self.catch_up().await?;
        let (books, authors, topics) = {
            let table = self.books.table();
            let key = folded_line(text);
            let books = table.titles_from(&title_key(text), limit);
            (books, table.authors.beginning_with(&key, limit), table.topics.beginning_with(&key, limit))
        };
        let mut titles = Vec::with_capacity(books.len());
        for id in books {
            let book = self.book(id).await?;
            titles.extend(book.map(|book| TitleSuggestion { id, title: book.text.title().into() }));
        }
        Ok(Suggestions { titles, authors, topics })
    }

    /// A page of the topics.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) async fn topics(&self, query: &CheckedTopicQuery) -> Result<TopicPage> {
        self.catch_up().await?;
        Ok(self.books.table().topic_list().page(query))
    }
}

impl Books {
    fn table(&self) -> RwLockReadGuard<'_, BookTable> {
        self.table.read().expect("nothing panics with it")
    }

    fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    /// Takes in the texts up to an entry that is durable.
    async fn catch_up(&self, reader: &dyn LedgerReader, to: Seq) -> Result<()> {
        if self.seq() >= to {
            return Ok(());
        }
        let _feeding = self.feeding.lock().await;
        while self.seq() < to {
            let entries = reader.texts(self.seq(), to, TEXTS_AT_ONCE).await?;
            let mut table = self.table.write().expect("nothing panics with it");
            entries.iter().for_each(|entry| table.take(entry));
            // Without another text nothing is missing up to there.
            let seq = entries.last().map_or(to, |last| last.seq);
            self.seq.store(seq.0, Ordering::Release);
        }
        Ok(())
    }

    fn select(
        &self,
        published: &Published,
        best_sellers: &BestSellers,
        query: &CheckedQuery,
        matches: Option<&[Match]>,
    ) -> Selected {
        let sales = needs_sales(query).then(|| best_sellers.sales());
        select(Source { table: &self.table(), published, sales: sales.as_deref() }, query, matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        decide::Command,
        fixtures::book,
        page::Query,
        store::memory,
        writer::{Writer, WriterLimits},
    };
    use futures_util::future::poll_immediate;

    /// While searches by words hold all of their places, everything else is answered.
    #[tokio::test]
    async fn searches_by_words_hold_nobody_else_up() {
        let (store, reader) = memory::open(&SystemClock);
        let writer = Writer::start(
            store,
            Arc::new(SystemClock),
            WriterLimits::default(),
            Execution::Threads,
            Default::default(),
        );
        let writer = writer.expect("memory");
        writer
            .commands()
            .call(Command::AddBook { book: Box::new(book("A book", 1)), by: None })
            .await
            .expect("a good book");
        let published = Arc::clone(writer.published());
        let finder = Finder::new(reader.clone(), reader, published, Arc::new(SystemClock), Execution::Threads);

        let mut running = Vec::new();
        while let Some(place) = poll_immediate(Box::pin(finder.places.enter())).await {
            running.push(place.expect("a place"));
        }
        let mut waiting = Box::pin(finder.find(Query::words("book").check().expect("good")));
        assert!(poll_immediate(&mut waiting).await.is_none(), "it waits for a place");
        let listed = finder.find(Query::topic("testing").check().expect("good")).await.expect("no words, no place");
        assert_eq!((listed.total, listed.books[0].0.id), (1, BookId(1)));
        assert_eq!(finder.suggest("a boo", 5).await.expect("suggestions").titles.len(), 1);
        drop(running);
        assert_eq!(waiting.await.expect("a place is free").total, 1);
    }
}

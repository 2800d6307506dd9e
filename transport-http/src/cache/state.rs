//! What is in the cache, and the rules by which it changes. Every step is one short critical section without I/O.
//!
//! Two kinds of knowledge about a book, either of which may be missing:
//! - a [`Cached`] book, current as of the last entry followed;
//! - a [`Fill`]: a request on its way. What the ledger does to the book meanwhile is remembered with it, so its answer,
//!   however late, is brought forward before anybody sees it. If somebody learns of what the answer may lack (a write
//!   through this frontend, say), the request is taken off the register: it cannot put a book into the cache any more, and
//!   later readers ask anew.
//!
//! About a book without either there is nothing to know: its next request starts later, and shows all that is durable then.
//!
//! Every book that is shown to anybody passes through here first ([`State::saw`]), so that nothing older is shown after it.

use bookstore_core::{Book, BookId, Entries, Entry, Error, Kind, Result, Seq, Topic, decide::Level};
use futures_util::future::{BoxFuture, Shared, WeakShared};
use lru::LruCache;
use std::{collections::HashMap, num::NonZeroUsize, time::Duration};
use tokio::time::Instant;

use super::{
    RETRY_AFTER,
    feed::Feed,
    moved::{Cached, Moved, follows, level, set_level},
    stats::{self, CacheStats},
};

/// A request that any number of readers wait for.
pub(super) type Fetching = Shared<BoxFuture<'static, Result<Book>>>;

/// A request on its way. There are no more of them than readers that wait.
pub(super) struct Fill {
    number: u64,
    fetching: WeakShared<BoxFuture<'static, Result<Book>>>,
    /// What the ledger did to the book since the request was registered.
    moved: Option<Moved>,
}

/// What a reader of a book gets.
pub(super) enum Look {
    /// The book, at most so far behind.
    Hit { cached: Cached, age: Duration },
    /// The book as it stood once: the catalogue cannot be reached.
    Stale(Cached),
    /// Nothing yet.
    Ask {
        /// The request to wait for.
        fetching: Fetching,
        /// The oldest version that this reader may be shown.
        least: Seq,
        /// What to show if the catalogue cannot be reached.
        stale: Option<Cached>,
        /// Whether the book was in the cache.
        known: bool,
    },
}

impl Look {
    /// Records the metrics of it.
    pub(super) fn count(&self) {
        match self {
            Self::Hit { age, .. } => stats::count_hit(*age),
            Self::Ask { known: false, .. } => stats::count_miss(),
            Self::Ask { .. } => stats::count_bypass(),
            Self::Stale(_) => {
                stats::count_bypass();
                stats::count_stale();
            }
        }
    }
}

/// What a reader of the topics gets.
pub(super) enum LookForTopics {
    /// The topics.
    Answer(Vec<Topic>),
    /// Nothing yet.
    Ask {
        /// To be given back with the answer.
        listings: u64,
        /// What to show if the catalogue cannot be reached.
        stale: Option<Vec<Topic>>,
    },
}

/// The cache's memory.
pub(super) struct State {
    books: LruCache<BookId, Cached>,
    fills: HashMap<BookId, Fill>,
    fills_started: u64,
    topics: Option<Vec<Topic>>,
    /// Grows whenever topics that are on their way may be out of date.
    listings: u64,
    /// `None` until the ledger's end has been found.
    feed: Option<Feed>,
    max_staleness: Duration,
    /// The newest entry that somebody knows of, whichever books it is about.
    observed: Seq,
    unreachable_until: Option<Instant>,
    stats: CacheStats,
}

impl State {
    pub(super) fn new(books_max: usize, max_staleness: Duration) -> Self {
        let books_max = NonZeroUsize::new(books_max).unwrap_or(NonZeroUsize::MIN);
        Self {
            books: LruCache::sparse(books_max),
            fills: HashMap::new(),
            fills_started: 0,
            topics: None,
            listings: 0,
            feed: None,
            max_staleness,
            observed: Seq(0),
            unreachable_until: None,
            stats: CacheStats::default(),
        }
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats { books: self.books.len(), ..self.stats }
    }

    /// Which life of the cache this is: answers to what was asked in an earlier one may be of another ledger.
    pub(super) fn epoch(&self) -> u64 {
        self.stats.resets
    }

    /// The last entry followed.
    pub(super) fn followed(&self) -> Option<Seq> {
        self.feed.map(|feed| feed.followed)
    }

    fn has_followed(&self, seq: Seq) -> bool {
        self.followed().is_some_and(|followed| followed >= seq)
    }

    /// How far behind the cache may be, if that is near enough.
    fn fresh(&self, now: Instant) -> Option<Duration> {
        self.feed.map(|feed| feed.age(now)).filter(|age| *age <= self.max_staleness)
    }

    fn is_unreachable(&self, now: Instant) -> bool {
        self.unreachable_until.is_some_and(|until| now < until)
    }

    /// Remembers whether the catalogue could be reached just now.
    pub(super) fn heard(&mut self, unreachable: bool, now: Instant) {
        self.unreachable_until = unreachable.then(|| now + RETRY_AFTER);
    }

    fn may_be_shown(&self, cached: &Cached) -> bool {
        cached.level.version >= cached.least
            && (cached.level.version >= self.observed || self.has_followed(self.observed))
    }
}

/// Reading.
impl State {
    /// A book from the cache, or the request to wait for: one on its way, or a new one that `fetch` makes.
    pub(super) fn look(&mut self, book: BookId, now: Instant, fetch: impl FnOnce(u64) -> Fetching) -> Look {
        let cached = self.books.get(&book).cloned();
        let known = cached.as_ref().map(|cached| cached.level.version.max(cached.least));
        let showable = cached.filter(|cached| self.may_be_shown(cached));
        if let (Some(cached), Some(age)) = (&showable, self.fresh(now)) {
            self.stats.hits += 1;
            return Look::Hit { cached: cached.clone(), age };
        }
        match known {
            Some(_) => self.stats.bypasses += 1,
            None => self.stats.misses += 1,
        }
        if let Some(stale) = showable.as_ref().filter(|_| self.is_unreachable(now)) {
            self.stats.served_stale += 1;
            return Look::Stale(stale.clone());
        }
        let (fetching, seen) = self.join(book, fetch);
        Look::Ask { fetching, least: seen.max(known.unwrap_or_default()), stale: showable, known: known.is_some() }
    }

    /// The request for a book, and the newest version that was seen since it began.
    fn join(&mut self, book: BookId, fetch: impl FnOnce(u64) -> Fetching) -> (Fetching, Seq) {
        if let Some(fill) = self.fills.get(&book)
            && let Some(fetching) = fill.fetching.upgrade()
        {
            self.stats.joined += 1;
            return (fetching, fill.moved.map_or(Seq(0), |moved| moved.seq));
        }
        let number = self.fills_started;
        self.fills_started += 1;
        let fetching = fetch(number);
        let weak = fetching.downgrade().expect("it has not been polled yet");
        self.fills.insert(book, Fill { number, fetching: weak, moved: None });
        (fetching, Seq(0))
    }

    /// Takes in the answer to a request of this epoch, and says what is known now.
    pub(super) fn filled(&mut self, number: u64, epoch: u64, mut found: Book) -> Book {
        let book = found.id;
        let fill = match self.fill_ended(book, number) {
            Some(fill) if self.feed.is_some() => fill,
            _ => {
                self.saw(&mut found, epoch);
                return found;
            }
        };
        let mut newest = level(&found);
        if let Some(moved) = fill.moved {
            moved.bring_forward(&mut newest);
        }
        match self.books.get_mut(&book) {
            Some(cached) if cached.level.version >= newest.version => newest = cached.level,
            Some(cached) => cached.level = newest,
            None => {
                let text = found.text.clone();
                self.books.put(book, Cached { text, level: newest, least: Seq(0) });
                stats::show_books(self.books.len());
            }
        }
        set_level(&mut found, newest);
        found
    }

    /// Takes a request off the register.
    pub(super) fn fill_ended(&mut self, book: BookId, number: u64) -> Option<Fill> {
        let registered = self.fills.get(&book).is_some_and(|fill| fill.number == number);
        if registered { self.fills.remove(&book) } else { None }
    }

    /// Makes the next reader of a book ask anew.
    pub(super) fn do_not_join(&mut self, book: BookId) {
        self.fills.remove(&book);
    }

    /// Counts an answer from the cache that was given because the catalogue could not be reached.
    pub(super) fn served_stale(&mut self) {
        self.stats.served_stale += 1;
    }

    /// A book that is about to be shown, from an answer to what was asked in `epoch`: the newer of it and what is cached
    /// counts, for both.
    pub(super) fn saw(&mut self, book: &mut Book, epoch: u64) {
        if epoch != self.epoch() {
            return;
        }
        self.at_least(book.id, book.version);
        let Some(cached) = self.books.peek_mut(&book.id) else { return };
        if cached.level.version > book.version {
            set_level(book, cached.level);
        } else {
            cached.level = level(book);
        }
    }

    /// The topics, or what it takes to keep them.
    pub(super) fn look_for_topics(&mut self, now: Instant) -> LookForTopics {
        let stale = self.topics.clone().filter(|_| self.has_followed(self.observed));
        match stale {
            Some(topics) if self.fresh(now).is_some() || self.is_unreachable(now) => LookForTopics::Answer(topics),
            stale => LookForTopics::Ask { listings: self.listings, stale },
        }
    }

    /// Keeps topics, unless a book was listed since they were asked for, or newer ones came first.
    pub(super) fn keep_topics(&mut self, topics: &[Topic], listings: u64) {
        let listed = |topics: &[Topic]| topics.iter().map(|topic| topic.books).sum::<u64>();
        let newer = self.topics.as_deref().is_none_or(|kept| listed(kept) < listed(topics));
        if self.feed.is_some() && self.listings == listings && newer {
            self.topics = Some(topics.to_vec());
        }
    }
}

/// What this frontend's own callers have learnt.
impl State {
    /// Somebody knows of this entry.
    pub(super) fn observed(&mut self, seq: Seq) {
        if !self.has_followed(seq) {
            self.observed = self.observed.max(seq);
            self.fills.clear();
        }
    }

    /// Somebody knows that this entry touches this book.
    pub(super) fn at_least(&mut self, book: BookId, seq: Seq) {
        if self.has_followed(seq) {
            return;
        }
        self.fills.remove(&book);
        if let Some(cached) = self.books.peek_mut(&book) {
            cached.least = cached.least.max(seq);
        }
    }

    /// Somebody has been shown these entries.
    pub(super) fn shown(&mut self, entries: &[Entry]) {
        for entry in entries {
            entry.changes.iter().for_each(|change| self.at_least(change.book, entry.seq));
        }
    }

    /// A book has changed in a way that only the catalogue knows.
    pub(super) fn forget(&mut self, book: BookId) {
        self.fills.remove(&book);
        self.books.pop(&book);
    }

    /// What a refusal says of a book that is cached otherwise.
    pub(super) fn refused(&mut self, error: &Error) {
        match error {
            Error::VersionMismatch { book, version } => self.at_least(*book, *version),
            Error::OutOfStock { book, available } => self.forget_unless(*book, |level| level.stock == *available),
            Error::PriceChanged { book, price_cents } => {
                self.forget_unless(*book, |level| level.price_cents == *price_cents);
            }
            _ => {}
        }
    }

    fn forget_unless(&mut self, book: BookId, agrees: impl FnOnce(&Level) -> bool) {
        if !self.books.peek(&book).is_some_and(|cached| agrees(&cached.level)) {
            self.forget(book);
        }
    }

    /// A book may have been listed.
    pub(super) fn forget_topics(&mut self) {
        self.topics = None;
        self.listings += 1;
    }
}

/// Following the ledger.
impl State {
    /// Takes in the next page, sent for at `sent`; the first one after a start says where the ledger ends.
    ///
    /// # Errors
    /// The page does not go on where the last one ended: then everything is forgotten.
    pub(super) fn take(&mut self, page: &Entries, sent: Instant) -> Result<()> {
        let Some(mut feed) = self.feed else {
            // Answers to what was asked earlier may lack entries that are before this end.
            self.fills.clear();
            self.forget_topics();
            self.feed = Some(Feed::at_head(page, sent));
            return Ok(());
        };
        let taken = feed.check(page).and_then(|()| page.entries.iter().try_for_each(|entry| self.apply(entry)));
        if taken.is_err() {
            self.reset();
            return taken;
        }
        feed.advance(page, sent);
        self.feed = Some(feed);
        self.stats.entries_followed += page.entries.len() as u64;
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Result<()> {
        for change in &entry.changes {
            let moved = Moved::by(entry, change);
            if let Some(cached) = self.books.peek_mut(&change.book)
                && cached.level.version < entry.seq
            {
                if !follows(&cached.level, change) {
                    let (seq, book) = (entry.seq, change.book);
                    return Err(Error::unavailable(format!("entry {seq} does not follow on book {book} as cached")));
                }
                moved.bring_forward(&mut cached.level);
            }
            if let Some(fill) = self.fills.get_mut(&change.book) {
                fill.moved = Some(fill.moved.map_or(moved, |earlier| earlier.then(moved)));
            }
        }
        if entry.kind == Kind::Listing {
            self.forget_topics();
        }
        Ok(())
    }

    /// Forgets everything, and where in the ledger it was.
    fn reset(&mut self) {
        self.books.clear();
        self.fills.clear();
        self.forget_topics();
        self.feed = None;
        self.observed = Seq(0);
        self.stats.resets += 1;
        stats::count_reset();
        stats::show_books(0);
    }
}

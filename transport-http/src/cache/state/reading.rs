//! Reading: what the cache answers, and what becomes of the catalogue's answers.

use bookstore_core::{Book, BookId, Seq, TopicPage, TopicQuery};
use std::time::Duration;
use tokio::time::Instant;

use super::State;
use crate::cache::{
    book::{CachedBook, Known},
    requests::{BookRequest, Joined, Registration},
    stats,
};

/// What a reader of a book gets.
pub(in crate::cache) enum Lookup {
    /// The book, at most `age` behind the catalogue.
    Hit { cached: CachedBook, age: Duration },
    /// The book as it stood once: the catalogue cannot be reached.
    Stale(CachedBook),
    /// The catalogue has to be asked.
    Ask {
        /// The request to wait for.
        request: BookRequest,
        /// The oldest version that this reader may be shown.
        min_version: Seq,
        /// What to show if the catalogue cannot be reached.
        stale: Option<CachedBook>,
        /// Whether the book was in the cache.
        known: bool,
    },
}

impl Lookup {
    /// Counts it in the metrics.
    pub(in crate::cache) fn count(&self) {
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

/// What a reader of a page of topics gets.
pub(in crate::cache) enum TopicsLookup {
    /// The page.
    Hit(TopicPage),
    /// The catalogue has to be asked.
    Ask {
        /// To be given back with the answer.
        generation: u64,
        /// What to show if the catalogue cannot be reached.
        stale: Option<TopicPage>,
    },
}

impl State {
    /// A book from the cache, or the request to wait for: one on its way, or a new one that `start` makes.
    ///
    /// - A cached book that is new enough for every reader is a hit while the cache itself is within `max_staleness`.
    /// - The same book is shown as stale if the catalogue could not be reached within the last [`RETRY_AFTER`](super::RETRY_AFTER).
    /// - Otherwise the catalogue is asked, and its answer MUST be at least as new as everything that readers have seen.
    pub(in crate::cache) fn look_up(
        &mut self,
        book: BookId,
        now: Instant,
        start: impl FnOnce(u64) -> BookRequest,
    ) -> Lookup {
        let cached = self.books.get(&book).cloned();
        let known = cached.as_ref().map(|cached| cached.version().max(cached.min_version));
        let showable = cached.filter(|cached| self.may_be_shown(cached));
        if let (Some(cached), Some(age)) = (&showable, self.fresh(now)) {
            self.stats.hits += 1;
            return Lookup::Hit { cached: cached.clone(), age };
        }
        match known {
            Some(_) => self.stats.bypasses += 1,
            None => self.stats.misses += 1,
        }
        if let Some(stale) = showable.as_ref().filter(|_| self.is_unreachable(now)) {
            self.stats.served_stale += 1;
            return Lookup::Stale(stale.clone());
        }
        let Joined { request, seen, shared } = self.requests.join(book, start);
        self.stats.joined += u64::from(shared);
        let min_version = seen.max(known.unwrap_or_default());
        Lookup::Ask { request, min_version, stale: showable, known: known.is_some() }
    }

    fn may_be_shown(&self, cached: &CachedBook) -> bool {
        cached.version() >= cached.min_version
            && (cached.version() >= self.observed || self.has_followed(self.observed))
    }

    /// Takes in the answer to a request that began in `epoch`, and returns the book as it is known now: the answer, brought forward
    /// by the entries that were followed meanwhile, or what is cached if that is newer.
    ///
    /// An answer enters the cache only if its request is still registered; any other one may lack entries.
    pub(in crate::cache) fn complete_request(&mut self, number: u64, epoch: u64, mut found: Book) -> Book {
        let book = found.id;
        let registration = match self.end_request(book, number) {
            Some(registration) if self.position.is_some() => registration,
            _ => {
                self.reconcile(&mut found, epoch);
                return found;
            }
        };
        let mut newest = Known::of(&found);
        if let Some(update) = registration.update {
            update.bring_forward(&mut newest);
        }
        match self.books.get_mut(&book) {
            Some(cached) if cached.version() >= newest.level.version => newest = cached.known.clone(),
            Some(cached) => cached.known = newest.clone(),
            None => {
                self.books.put(book, CachedBook { known: newest.clone(), min_version: Seq(0) });
                stats::show_books(self.books.len());
            }
        }
        newest.book(book)
    }

    /// Takes a request off the register, if it is still there.
    pub(in crate::cache) fn end_request(&mut self, book: BookId, number: u64) -> Option<Registration> {
        self.requests.end(book, number)
    }

    /// Makes the next reader of a book start a new request.
    pub(in crate::cache) fn abandon_request(&mut self, book: BookId) {
        self.requests.abandon(book);
    }

    /// Counts an answer from the cache that was given because the catalogue could not be reached.
    pub(in crate::cache) fn count_stale(&mut self) {
        self.stats.served_stale += 1;
    }

    /// Brings a book that is about to be shown and the cached one to the newer of the two. The book comes from an answer to what
    /// was asked in `epoch`.
    pub(in crate::cache) fn reconcile(&mut self, book: &mut Book, epoch: u64) {
        if epoch != self.epoch() {
            return;
        }
        self.require(book.id, book.version);
        let Some(cached) = self.books.peek_mut(&book.id) else { return };
        if cached.version() > book.version {
            *book = cached.book(book.id);
        } else {
            cached.known = Known::of(book);
        }
    }

    /// A page of topics, or what it takes to ask for it.
    pub(in crate::cache) fn look_up_topics(&self, query: &TopicQuery, now: Instant) -> TopicsLookup {
        let stale = self.topics.get(query).filter(|_| self.has_followed(self.observed));
        match stale {
            Some(topics) if self.fresh(now).is_some() || self.is_unreachable(now) => TopicsLookup::Hit(topics),
            stale => TopicsLookup::Ask { generation: self.topics.generation(), stale },
        }
    }

    /// Stores the answer to a request for a page of topics.
    pub(in crate::cache) fn store_topics(&mut self, query: TopicQuery, page: &TopicPage, generation: u64) {
        if self.position.is_some() {
            self.topics.store(query, page, generation);
        }
    }
}

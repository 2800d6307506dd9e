//! The cache's memory, and the rules by which it changes. Every step is one short critical section without I/O.
//!
//! About a book there can be two kinds of knowledge:
//! - a [`CachedBook`], current as of the last entry followed;
//! - a request on its way ([`Requests`]), with what the ledger has done to the book meanwhile.
//!
//! If a reader learns of something that the answer to a request may lack (a write through this frontend, for instance), the
//! request is taken off the register: it cannot put an old book into the cache any more, and later readers start a new one. A
//! book without either needs no rules: its next request starts later, and shows everything that is durable then.
//!
//! Every book that a reader is shown passes through here first ([`State::reconcile`]), so that nothing older is shown after it.

mod ledger;
mod own_writes;
pub(super) mod reading;

use bookstore_core::{BookId, Currency, Seq};
use lru::LruCache;
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::Instant;

use super::{book::CachedBook, position::LedgerPosition, requests::Requests, stats::CacheStats, topics::CachedTopics};

/// How long a catalogue that could not be reached is not asked again for books that can be shown without it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The cache's memory.
pub(super) struct State {
    books: LruCache<BookId, CachedBook>,
    requests: Requests,
    topics: CachedTopics,
    /// `None` until the ledger's end has been found.
    position: Option<LedgerPosition>,
    /// The currency of the ledger, once it is known; it is kept when the catalogue cannot be reached.
    pub(super) currency: Option<Currency>,
    max_staleness: Duration,
    /// The newest entry that a reader has seen, whichever books it is about.
    observed: Seq,
    unreachable_until: Option<Instant>,
    stats: CacheStats,
}

impl State {
    /// An empty cache, which has not found the ledger's end yet.
    pub(super) fn new(books_max: usize, max_staleness: Duration) -> Self {
        let books_max = NonZeroUsize::new(books_max).unwrap_or(NonZeroUsize::MIN);
        Self {
            books: LruCache::sparse(books_max),
            requests: Requests::default(),
            topics: CachedTopics::default(),
            position: None,
            currency: None,
            max_staleness,
            observed: Seq(0),
            unreachable_until: None,
            stats: CacheStats::default(),
        }
    }

    /// The counters, and the number of books now.
    pub(super) fn stats(&self) -> CacheStats {
        CacheStats { books: self.books.len(), ..self.stats }
    }

    /// Grows when everything is dropped: answers to what was asked in an earlier epoch may be of another ledger.
    pub(super) fn epoch(&self) -> u64 {
        self.stats.resets
    }

    /// The last entry followed; `None` until the ledger's end has been found.
    pub(super) fn followed(&self) -> Option<Seq> {
        self.position.map(|position| position.followed)
    }

    /// Whether the cached books include this entry.
    fn has_followed(&self, seq: Seq) -> bool {
        self.followed().is_some_and(|followed| followed >= seq)
    }

    /// How far behind the cache may be, if that is within `max_staleness`.
    fn fresh(&self, now: Instant) -> Option<Duration> {
        self.position.map(|position| position.age(now)).filter(|age| *age <= self.max_staleness)
    }

    fn is_unreachable(&self, now: Instant) -> bool {
        self.unreachable_until.is_some_and(|until| now < until)
    }

    /// Records whether the catalogue could be reached just now.
    pub(super) fn record_reachability(&mut self, unreachable: bool, now: Instant) {
        self.unreachable_until = unreachable.then(|| now + RETRY_AFTER);
    }
}

//! What a cache counts: for its owner as [`CacheStats`], and as metrics.

use std::time::Duration;

/// What a cache has done since it started. Only reads of single books are counted as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads answered from the cache within its `max_staleness`.
    pub hits: u64,
    /// Reads of books that were not in the cache.
    pub misses: u64,
    /// Reads of books that were in it, but too far behind, or older than a reader has seen.
    pub bypasses: u64,
    /// Those bypasses that were answered from the cache after all: the catalogue could not be reached.
    pub served_stale: u64,
    /// Misses and bypasses that waited for a request which was on its way already.
    pub joined: u64,
    /// Entries of the ledger that were followed.
    pub entries_followed: u64,
    /// How often everything was dropped: another ledger, a shorter one, or a missing entry.
    pub resets: u64,
    /// Books in the cache now.
    pub books: usize,
}

pub(super) fn count_hit(age: Duration) {
    metrics::counter!("bookstore_cache_hits_total").increment(1);
    metrics::histogram!("bookstore_cache_staleness_seconds").record(age);
}

pub(super) fn count_miss() {
    metrics::counter!("bookstore_cache_misses_total").increment(1);
}

pub(super) fn count_bypass() {
    metrics::counter!("bookstore_cache_bypasses_total").increment(1);
}

pub(super) fn count_stale() {
    metrics::counter!("bookstore_cache_served_stale_total").increment(1);
}

pub(super) fn count_reset() {
    metrics::counter!("bookstore_cache_resets_total").increment(1);
}

pub(super) fn show_books(books: usize) {
    metrics::gauge!("bookstore_cache_books").set(books as f64);
}

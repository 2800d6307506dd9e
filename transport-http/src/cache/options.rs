//! The limits of a cache.

use std::time::Duration;

/// How a frontend caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Books that are kept, at least one; a further one replaces the one that was read longest ago.
    pub books_max: usize,
    /// How far behind the catalogue an answer from the cache may be. The ledger is polled four times as often, even if nothing
    /// changes.
    pub max_staleness: Duration,
    /// How long the catalogue may take to answer before an older answer from the cache is given instead. A book that is not in
    /// the cache is waited for as long as the upstream service itself waits.
    pub timeout: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { books_max: 10_000, max_staleness: Duration::from_secs(2), timeout: Duration::from_secs(1) }
    }
}

//! The task that follows the ledger.
//!
//! A poll is answered as soon as there is an entry, or after a quarter of `max_staleness` without one. So a cache that can reach
//! the catalogue proves several times within `max_staleness` that it is current.

use bookstore_core::{Error, Result, Seq, catalog::ENTRIES_MAX};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

use super::upstream::Upstream;

/// The shortest and the longest time that a poll waits for the next entry.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(20));
/// The pause after a page of entries, while the next ones gather: a hundred polls a second of a busy ledger are enough.
const GATHER: Duration = Duration::from_millis(10);
/// The first and the longest pause after a failure; each is twice the one before.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Follows the ledger from its end, without end itself. If the cache drops everything, it begins again at the ledger's end then.
pub(super) async fn follow(upstream: Arc<Upstream>) {
    let mut pause = BACKOFF.0;
    loop {
        match step(&upstream).await {
            Ok(Progress::FoundEnd) => {}
            Ok(Progress::Followed) => pause = BACKOFF.0,
            Err(error) => {
                if pause == BACKOFF.0 {
                    tracing::warn!(%error, "the cache cannot follow the ledger, trying again");
                }
                sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}

enum Progress {
    /// The ledger's end is known now.
    FoundEnd,
    /// The next entries, if there were any, are applied.
    Followed,
}

/// One poll.
async fn step(upstream: &Upstream) -> Result<Progress> {
    let sent = Instant::now();
    let after = upstream.state().followed();
    let max_staleness = upstream.options.max_staleness;
    let wait = after.map_or(Duration::ZERO, |_| (max_staleness / 4).clamp(POLL.0, POLL.1));
    // No entry is after the last possible one: this asks for the head alone.
    let (place, limit) = after.map_or((Seq(u64::MAX), 1), |after| (after, ENTRIES_MAX));
    let poll = timeout(wait + max_staleness.max(POLL.0), upstream.catalog.entries(place, limit, wait)).await;
    let page = poll.map_err(|_| Error::unavailable("the catalogue did not answer a poll in time"))??;
    // An old catalog that came back: its answers are not older news, but another history.
    upstream.history.check_newest(&page.identity)?;
    let applied = upstream.state().apply_page(&page, sent);
    upstream.followed.send_replace(upstream.state().followed().unwrap_or_default());
    applied?;
    upstream.history.follow(&page.identity);
    if after.is_none() {
        return Ok(Progress::FoundEnd);
    }
    metrics::counter!("bookstore_cache_entries_followed_total").increment(page.entries.len() as u64);
    if page.entries.is_empty() && sent.elapsed() < wait / 2 {
        // A server that is shutting down does not wait.
        sleep(BACKOFF.0).await;
    }
    if !page.entries.is_empty() && page.entries.len() < ENTRIES_MAX {
        sleep(GATHER.min(max_staleness / 4)).await;
    }
    Ok(Progress::Followed)
}

//! Following the ledger, on a task of its own.

use bookstore_core::{Error, Result, Seq, catalog::ENTRIES_MAX};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

use super::Inner;

/// The shortest and the longest poll of a ledger that stands still.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(20));
/// Rest after a stretch of entries, while the next ones gather: a hundred polls a second of a busy ledger are enough.
const GATHER: Duration = Duration::from_millis(10);
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Follows without end: from the ledger's end now, and again from its end then if it loses track.
pub(super) async fn follow(inner: Arc<Inner>) {
    let mut pause = PAUSE.0;
    loop {
        match step(&inner).await {
            Ok(Progress::Found) => {}
            Ok(Progress::Followed) => pause = PAUSE.0,
            Err(error) => {
                if pause == PAUSE.0 {
                    tracing::warn!(%error, "the cache cannot follow the ledger, trying again");
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

enum Progress {
    /// The ledger's end.
    Found,
    /// The next entries, if any.
    Followed,
}

async fn step(inner: &Inner) -> Result<Progress> {
    let sent = Instant::now();
    let after = inner.lock().followed();
    let max_staleness = inner.options.max_staleness;
    let wait = after.map_or(Duration::ZERO, |_| (max_staleness / 4).clamp(POLL.0, POLL.1));
    // Nothing is after the last place that can be: a page of no entries, with the head.
    let (place, limit) = after.map_or((Seq(u64::MAX), 1), |after| (after, ENTRIES_MAX));
    let poll = timeout(wait + max_staleness.max(POLL.0), inner.upstream.entries(place, limit, wait)).await;
    let page = poll.map_err(|_| Error::unavailable("the catalogue did not answer a poll in time"))??;
    let taken = inner.lock().take(&page, sent);
    inner.followed.send_replace(inner.lock().followed().unwrap_or_default());
    taken?;
    if after.is_none() {
        return Ok(Progress::Found);
    }
    metrics::counter!("bookstore_cache_entries_followed_total").increment(page.entries.len() as u64);
    if page.entries.is_empty() && sent.elapsed() < wait / 2 {
        // A server that is about to end does not wait.
        sleep(PAUSE.0).await;
    }
    if !page.entries.is_empty() && page.entries.len() < ENTRIES_MAX {
        sleep(GATHER.min(max_staleness / 4)).await;
    }
    Ok(Progress::Followed)
}

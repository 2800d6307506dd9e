//! `GET /events`: every change of stock or price as a server-sent event.
//!
//! One task per process follows the ledger and hands each stretch of it, rendered once, to every subscriber. A
//! subscriber knows the last entry it was sent; entries are numbered without gaps, so it sees at once when it has missed
//! some (it was slow, it has just resumed, the task was asleep) and reads those from the ledger itself.

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, Uri, header, request::Parts},
    response::IntoResponse,
};
use bookstore_core::{BookId, CatalogService, Cents, Entry, Error, Kind, Result, Seq, catalog::ENTRIES_MAX};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use std::{
    collections::{HashMap, hash_map},
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast},
    task::JoinHandle,
};

use super::{Answer, Rejection, Shared, extract::only, query};
use crate::server::Draining;

/// The most subscribers of one process.
pub const SUBSCRIBERS_MAX: usize = 1024;
/// Stretches that a slow subscriber may be behind before it reads the ledger itself.
const BEHIND_MAX: usize = 64;
/// How long the line may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one look at the ledger waits for the next entry.
const POLL: Duration = Duration::from_secs(20);
/// How long to leave a catalogue alone that failed to answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The first words of every stream: how long a browser waits before it comes back.
const GREETING: Bytes = Bytes::from_static(b"retry: 2000\n\n");
/// A comment, which readers skip.
const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// A book's stock or price has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(super) struct StockEvent {
    /// Which book.
    pub(super) book: BookId,
    /// Copies in stock now.
    pub(super) stock: u32,
    /// What one costs now.
    pub(super) price_cents: Cents,
}

/// Consecutive entries as events: those after `after`, up to and including `last`.
#[derive(Clone, Debug)]
struct Stretch {
    after: Seq,
    last: Seq,
    text: Bytes,
}

/// Follows the ledger for all subscribers of this process; asleep while there are none.
pub struct Feed {
    catalog: Arc<dyn CatalogService>,
    live: broadcast::Sender<Stretch>,
    wake: Arc<Notify>,
    places: Arc<Semaphore>,
    task: OnceLock<JoinHandle<()>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Feed {
    /// A feed over this catalogue's ledger. It starts with its first subscriber.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>) -> Self {
        let (live, _) = broadcast::channel(BEHIND_MAX);
        let places = Arc::new(Semaphore::new(SUBSCRIBERS_MAX));
        Self { catalog, live, wake: Arc::default(), places, task: OnceLock::new() }
    }

    /// Everything after `after`, or after now.
    async fn subscribe(&self, after: Option<Seq>, draining: Draining) -> Result<Subscriber> {
        let full = |_| Error::overloaded(format!("there are {SUBSCRIBERS_MAX} subscribers already"));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let live = self.live.subscribe();
        let head = head(self.catalog.as_ref()).await?;
        self.task.get_or_init(|| {
            let follow = follow(Arc::clone(&self.catalog), self.live.clone(), Arc::clone(&self.wake));
            tokio::spawn(follow)
        });
        self.wake.notify_one();
        let after = after.map_or(head, |after| after.min(head));
        let catalog = Arc::clone(&self.catalog);
        Ok(Subscriber { catalog, live, after, behind: after < head, greeted: false, draining, _place: place })
    }
}

/// The ledger's last entry.
async fn head(catalog: &dyn CatalogService) -> Result<Seq> {
    Ok(catalog.entries(Seq(u64::MAX), 1, Duration::ZERO).await?.head)
}

/// The one task: reads the ledger's end again and again while anybody listens.
async fn follow(catalog: Arc<dyn CatalogService>, live: broadcast::Sender<Stretch>, wake: Arc<Notify>) {
    let mut at = None;
    loop {
        if live.receiver_count() == 0 {
            wake.notified().await;
            at = None;
        }
        let step = match at {
            // An empty stretch: whoever is not here yet reads what is missing.
            None => head(catalog.as_ref()).await.map(|head| Stretch { after: head, last: head, text: Bytes::new() }),
            Some(after) => read(catalog.as_ref(), after, POLL).await,
        };
        match step {
            Ok(stretch) => {
                let moved = at != Some(stretch.last);
                at = Some(stretch.last);
                if moved {
                    // Without subscribers nobody misses it.
                    let _ = live.send(stretch);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the events cannot follow the ledger, trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The next stretch after `after`; empty if there is none within `wait`.
async fn read(catalog: &dyn CatalogService, after: Seq, wait: Duration) -> Result<Stretch> {
    let page = catalog.entries(after, ENTRIES_MAX, wait).await?;
    // A ledger that ends earlier was restored from a backup: go on from its end.
    let last = page.entries.last().map_or(after.min(page.head), |entry| entry.seq);
    let text = render(&page.entries, &prices_today(catalog, &page.entries).await?);
    Ok(Stretch { after, last, text })
}

/// The prices of returned books: a return carries the price at which the book was sold, not today's.
async fn prices_today(catalog: &dyn CatalogService, entries: &[Entry]) -> Result<HashMap<BookId, Cents>> {
    let mut prices = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Return) {
        for change in &entry.changes {
            if let hash_map::Entry::Vacant(price) = prices.entry(change.book) {
                price.insert(catalog.info(change.book).await?.price_cents);
            }
        }
    }
    Ok(prices)
}

/// The entries as text. Only the last event of an entry carries its `seq`, so that resuming never skips part of one.
fn render(entries: &[Entry], prices_today: &HashMap<BookId, Cents>) -> Bytes {
    let mut text = String::with_capacity(entries.len() * 96);
    for entry in entries {
        let last = entry.changes.len().saturating_sub(1);
        for (at, change) in entry.changes.iter().enumerate() {
            let today = prices_today.get(&change.book).filter(|_| entry.kind == Kind::Return);
            let price_cents = *today.unwrap_or(&change.price_cents);
            let event = StockEvent { book: change.book, stock: change.stock, price_cents };
            let data = serde_json::to_string(&event).expect("three numbers");
            let _ = write!(text, "event: stock\ndata: {data}\n");
            if at == last {
                let _ = writeln!(text, "id: {}", entry.seq);
            }
            text.push('\n');
        }
    }
    text.into()
}

/// One open stream.
struct Subscriber {
    catalog: Arc<dyn CatalogService>,
    live: broadcast::Receiver<Stretch>,
    /// The last entry that was sent.
    after: Seq,
    /// Whether there is more in the ledger than was handed to this subscriber.
    behind: bool,
    greeted: bool,
    draining: Draining,
    _place: OwnedSemaphorePermit,
}

impl Subscriber {
    /// What to send next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(GREETING);
        }
        let draining = self.draining.clone();
        tokio::select! {
            biased;
            () = draining.started() => None,
            text = tokio::time::timeout(HEARTBEAT, self.advance()) => match text {
                Ok(text) => text,
                Err(_) => Some(BEAT),
            },
        }
    }

    /// The next events, from the ledger or from the feed. May be dropped at any await without losing any.
    async fn advance(&mut self) -> Option<Bytes> {
        loop {
            if self.behind {
                match read(self.catalog.as_ref(), self.after, Duration::ZERO).await {
                    Ok(stretch) if stretch.last == self.after => self.behind = false,
                    Ok(stretch) => {
                        self.after = stretch.last;
                        if !stretch.text.is_empty() {
                            return Some(stretch.text);
                        }
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
                continue;
            }
            match self.live.recv().await {
                // The ledger was restored from a backup and ends earlier now.
                Ok(stretch) if stretch.last < stretch.after => self.after = self.after.min(stretch.last),
                Ok(stretch) if stretch.last <= self.after => {}
                Ok(stretch) if stretch.after == self.after => {
                    self.after = stretch.last;
                    return Some(stretch.text);
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// The last event that a browser saw before it lost the line.
pub(super) struct LastEventId(Option<Seq>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
        let Some(id) = only(&parts.headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty()) else {
            return Ok(Self(None));
        };
        let seq = id.parse().map_err(|_| Error::malformed("Last-Event-ID: must be the id of an event, a number"))?;
        Ok(Self(Some(Seq(seq))))
    }
}

/// Stock and price changes as they happen.
///
/// Each event is named `stock`; its `id` is the ledger's `seq`. An order of several books is several events, of which the
/// last carries the id.
#[utoipa::path(get, path = "/events", tag = "books",
    params(("Last-Event-ID" = Option<Seq>, Header, description = "Resume after this event; without it the stream begins now")),
    responses((status = 200, description = "Server-sent events without end", body = StockEvent, content_type = "text/event-stream")))]
pub(super) async fn events(
    State(shop): Shared,
    LastEventId(after): LastEventId,
    draining: Draining,
    uri: Uri,
) -> Answer {
    query::none(&uri)?;
    let subscriber = shop.feed.subscribe(after, draining).await?;
    let texts = stream::unfold(subscriber, |mut subscriber| async move {
        let text = subscriber.next().await?;
        Some((Ok::<_, Infallible>(text), subscriber))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Proxies that buffer would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(texts)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookText, Catalog, CatalogOptions, NewBook, SystemClock, store::memory};
    use tokio::{sync::watch, time::Instant};

    fn feed() -> Feed {
        let (store, reader) = memory::open(&SystemClock);
        let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default());
        Feed::new(Arc::new(catalog.expect("memory can be used")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_line_has_a_heartbeat() {
        let feed = feed();
        let (_server, draining) = watch::channel(false);
        let mut subscriber = feed.subscribe(None, Draining::new(draining)).await.unwrap();
        assert_eq!(subscriber.next().await, Some(GREETING));
        let opened = Instant::now();
        assert_eq!(subscriber.next().await, Some(BEAT));
        assert_eq!(subscriber.next().await, Some(BEAT));
        assert_eq!(opened.elapsed(), 2 * HEARTBEAT);
    }

    /// A subscriber that has been sent everything up to `after`, and what it listens to.
    fn subscriber(feed: &Feed, after: u64) -> (watch::Sender<bool>, broadcast::Sender<Stretch>, Subscriber) {
        let (send, live) = broadcast::channel(2);
        let (server, draining) = watch::channel(false);
        let draining = Draining::new(draining);
        let place = Arc::clone(&feed.places).try_acquire_owned().expect("there is room");
        let (catalog, after) = (Arc::clone(&feed.catalog), Seq(after));
        (server, send, Subscriber { catalog, live, after, behind: false, greeted: true, draining, _place: place })
    }

    fn stretch(after: u64, last: u64, text: &'static str) -> Stretch {
        Stretch { after: Seq(after), last: Seq(last), text: text.into() }
    }

    #[tokio::test]
    async fn whoever_was_too_slow_reads_the_ledger() {
        let feed = feed();
        let text = BookText { title: "A".into(), topic: "t".into(), ..BookText::default() };
        let book = NewBook { text, price_cents: Cents::ZERO, stock: 1 };
        feed.catalog.add_books(vec![book]).await.unwrap();
        let (_server, send, mut slow) = subscriber(&feed, 0);
        for seq in 0..5 {
            send.send(stretch(seq, seq + 1, "overrun")).unwrap();
        }
        let first = "event: stock\ndata: {\"book\":1,\"stock\":1,\"price_cents\":0}\nid: 1\n\n";
        assert_eq!(slow.next().await, Some(first.into()));
        assert_eq!(slow.after, Seq(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_seen_and_a_repetition_skipped() {
        let feed = feed();
        let (_server, send, mut subscriber) = subscriber(&feed, 3);
        send.send(stretch(2, 3, "known")).unwrap();
        send.send(stretch(3, 4, "next")).unwrap();
        assert_eq!(subscriber.next().await, Some("next".into()));
        send.send(stretch(5, 6, "too far")).unwrap();
        let missing = tokio::time::timeout(HEARTBEAT / 2, subscriber.next()).await;
        // The ledger of this test has none of them, so there is nothing to send; but it was asked.
        assert!(missing.is_err() && !subscriber.behind);
        assert_eq!(subscriber.after, Seq(0), "the ledger's own end is what counts");
    }

    #[tokio::test]
    async fn after_a_rewind_the_new_entries_are_told() {
        let feed = feed();
        let (_server, send, mut subscriber) = subscriber(&feed, 9);
        // The ledger was restored from a backup that ends at 5.
        send.send(stretch(9, 5, "")).unwrap();
        send.send(stretch(5, 6, "six")).unwrap();
        assert_eq!(subscriber.next().await, Some("six".into()));
        assert_eq!(subscriber.after, Seq(6));
    }
}

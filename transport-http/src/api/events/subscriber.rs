//! One open stream of events.

use bookstore_core::{CatalogService, Seq};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::batch::{EventBatch, PAUSE};
use crate::server::Draining;

/// How long a stream may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The first words of every stream: how long a browser waits before it comes back.
pub(super) const GREETING: Bytes = Bytes::from_static(b"retry: 2000\n\n");
/// A comment, which readers skip.
const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// The first words of a stream that begins at `head` although the subscriber asked for what was long before: what it shows may be
/// out of date, so it must read that again.
pub(super) fn reset(head: Seq) -> Bytes {
    let mut text = GREETING.to_vec();
    text.extend_from_slice(format!("event: reset\ndata: {{\"after\":{head}}}\nid: {head}\n\n").as_bytes());
    text.into()
}

/// One open stream.
pub(super) struct Subscriber {
    pub(super) catalog: Arc<dyn CatalogService>,
    pub(super) live: broadcast::Receiver<EventBatch>,
    /// The last entry that was sent.
    pub(super) after: Seq,
    /// Whether the ledger has entries that `live` will not bring.
    pub(super) behind: bool,
    /// Sent before anything else.
    pub(super) greeting: Option<Bytes>,
    pub(super) draining: Draining,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Subscriber {
    /// What to send next; `None` ends the stream.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
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
                match self.read_missed().await {
                    Some(text) => return Some(text),
                    None => continue,
                }
            }
            match self.live.recv().await {
                // The ledger was restored from a backup and ends earlier now.
                Ok(batch) if batch.last < batch.after => self.after = self.after.min(batch.last),
                Ok(batch) if batch.last <= self.after => {}
                Ok(batch) if batch.after == self.after => {
                    self.after = batch.last;
                    return Some(batch.text);
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next events from the ledger. `None` if that is followed now, has changed nothing, or could not be read.
    async fn read_missed(&mut self) -> Option<Bytes> {
        match EventBatch::read(self.catalog.as_ref(), self.after, Duration::ZERO).await {
            Ok(batch) if batch.last == self.after => self.behind = false,
            Ok(batch) => {
                self.after = batch.last;
                return Some(batch.text).filter(|text| !text.is_empty());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::events::feed::Feed;
    use bookstore_core::{BookText, Catalog, CatalogOptions, Cents, NewBook, SystemClock, store::memory};
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
        let mut subscriber = feed.subscribe(None, 0, Draining::new(Arc::new(draining))).await.unwrap();
        assert_eq!(subscriber.next().await, Some(GREETING));
        let opened = Instant::now();
        assert_eq!(subscriber.next().await, Some(BEAT));
        assert_eq!(subscriber.next().await, Some(BEAT));
        assert_eq!(opened.elapsed(), 2 * HEARTBEAT);
    }

    /// A subscriber that has been sent everything up to `after`, and what it listens to.
    fn subscriber(feed: &Feed, after: u64) -> (watch::Sender<bool>, broadcast::Sender<EventBatch>, Subscriber) {
        let (send, live) = broadcast::channel(2);
        let (server, draining) = watch::channel(false);
        let draining = Draining::new(Arc::new(draining));
        let place = Arc::clone(&feed.places).try_acquire_owned().expect("there is room");
        let (catalog, after) = (Arc::clone(&feed.catalog), Seq(after));
        (server, send, Subscriber { catalog, live, after, behind: false, greeting: None, draining, _place: place })
    }

    fn batch(after: u64, last: u64, text: &'static str) -> EventBatch {
        EventBatch { after: Seq(after), last: Seq(last), text: text.into() }
    }

    #[tokio::test]
    async fn a_subscriber_that_was_too_slow_reads_the_ledger() {
        let feed = feed();
        let text = BookText { title: "A".into(), topic: "t".into(), ..BookText::default() };
        let book = NewBook { text, price_cents: Cents::ZERO, stock: 1 };
        feed.catalog.add_books(vec![book], None).await.unwrap();
        let (_server, send, mut slow) = subscriber(&feed, 0);
        for seq in 0..5 {
            send.send(batch(seq, seq + 1, "overrun")).unwrap();
        }
        let first = "event: stock\ndata: {\"book\":1,\"stock\":1,\"price_cents\":0}\nid: 1\n\n";
        assert_eq!(slow.next().await, Some(first.into()));
        assert_eq!(slow.after, Seq(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_seen_and_a_repetition_skipped() {
        let feed = feed();
        let (_server, send, mut subscriber) = subscriber(&feed, 3);
        send.send(batch(2, 3, "known")).unwrap();
        send.send(batch(3, 4, "next")).unwrap();
        assert_eq!(subscriber.next().await, Some("next".into()));
        send.send(batch(5, 6, "too far")).unwrap();
        let missing = tokio::time::timeout(HEARTBEAT / 2, subscriber.next()).await;
        // The ledger of this test has none of them, so there is nothing to send; but it was asked.
        assert!(missing.is_err() && !subscriber.behind);
        assert_eq!(subscriber.after, Seq(0), "the ledger's own end is what counts");
    }

    #[tokio::test]
    async fn after_a_rewind_the_new_entries_are_sent() {
        let feed = feed();
        let (_server, send, mut subscriber) = subscriber(&feed, 9);
        // The ledger was restored from a backup that ends at 5.
        send.send(batch(9, 5, "")).unwrap();
        send.send(batch(5, 6, "six")).unwrap();
        assert_eq!(subscriber.next().await, Some("six".into()));
        assert_eq!(subscriber.after, Seq(6));
    }
}

//! Consecutive entries of the ledger as the text of their events.

use bookstore_core::{BookId, CatalogService, Cents, Entry, Kind, Result, Seq, ledger};
use bytes::Bytes;
use serde::Serialize;
use std::{
    collections::{HashMap, hash_map},
    fmt::Write as _,
    time::Duration,
};

/// The pause after a read of the ledger that failed.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The most entries of one batch. Few, as most of a page of large orders is read in vain.
const ENTRIES_MAX: usize = 250;
/// The most changes of one batch, whose text is at most 100 KB long then: each of many slow subscribers may hold one.
const CHANGES_MAX: usize = 1000;

/// A book's stock or price has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct StockEvent {
    /// Which book.
    pub(super) book: BookId,
    /// Copies in stock now.
    pub(super) stock: u32,
    /// What one costs now.
    pub(super) price_cents: Cents,
}

/// Consecutive entries as events: those after `after`, up to and including `last`.
///
/// A batch whose `last` is before its `after` says that the ledger ends earlier now: it was restored from a backup.
#[derive(Clone, Debug)]
pub(super) struct EventBatch {
    pub(super) after: Seq,
    pub(super) last: Seq,
    /// Server-sent events as they are sent, rendered once for all subscribers.
    pub(super) text: Bytes,
}

impl EventBatch {
    /// A batch without entries at the ledger's end.
    pub(super) async fn at_head(catalog: &dyn CatalogService) -> Result<Self> {
        let head = head(catalog).await?;
        Ok(Self { after: head, last: head, text: Bytes::new() })
    }

    /// The next entries after `after`, at most [`ENTRIES_MAX`] with at most [`CHANGES_MAX`] changes; none if there are none within `wait`.
    pub(super) async fn read(catalog: &dyn CatalogService, after: Seq, wait: Duration) -> Result<Self> {
        let mut page = catalog.entries(after, ENTRIES_MAX, wait).await?;
        page.entries.truncate(ledger::fitting(&page.entries, CHANGES_MAX));
        let last = page.entries.last().map_or(after.min(page.head), |entry| entry.seq);
        let text = render(&page.entries, &prices_today(catalog, &page.entries).await?);
        Ok(Self { after, last, text })
    }
}

/// The ledger's last entry.
pub(super) async fn head(catalog: &dyn CatalogService) -> Result<Seq> {
    Ok(catalog.entries(Seq(u64::MAX), 1, Duration::ZERO).await?.head)
}

/// The prices of returned books: a return carries the price at which the book was sold, not today's.
async fn prices_today(catalog: &dyn CatalogService, entries: &[Entry]) -> Result<HashMap<BookId, Cents>> {
    let mut prices = HashMap::new();
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Return | Kind::Lapse)) {
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
            let today = prices_today.get(&change.book).filter(|_| matches!(entry.kind, Kind::Return | Kind::Lapse));
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

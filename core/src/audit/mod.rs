//! The audit: it replays a ledger entry by entry, and either proves what the ledger promises or says where it is
//! broken.
//!
//! The promises: the entries have no gaps, the stock that each entry states is the sum of all changes and never
//! negative, a key did one thing once, what comes back is what was sold or held, no hold lapses early or is confirmed and lapses, and
//! every book is as the ledger says.
//!
//! It shares no code with [`decide`](crate::decide), so neither hides the other's mistakes. Memory: a few words per
//! book, and about 32 bytes per key; the entries themselves stream through.
//!
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, CatalogService, SystemClock, audit, fixtures::any_book, store::memory};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> bookstore_core::Result<()> {
//! # let (store, reader) = memory::open(&SystemClock);
//! # let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default());
//! # let catalog = catalog.expect("a store in memory can be used");
//! catalog.add_books(vec![any_book(3)], None).await?;
//! let (summary, findings) = audit::audit(&catalog).await?;
//! assert_eq!((summary.books, summary.sales, findings.len()), (1, 0, 0));
//! # Ok(()) }
//! ```

mod compare;
mod finding;
mod orders;
mod recompute;

pub use compare::{Comparison, compare};
pub use finding::Finding;
pub use recompute::recompute;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    book::BookId,
    catalog::{CatalogService, ENTRIES_MAX},
    decide::Level,
    error,
    ledger::{Change, Entry, Kind, Seq},
};
use orders::Orders;

/// What an audited ledger contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The last entry; 0 if there is none.
    pub head: Seq,
    /// Books listed.
    pub books: u64,
    /// Orders placed: sold, or held and confirmed.
    pub sales: u64,
    /// Orders among them that were cancelled.
    pub returns: u64,
    /// Copies sold and not returned.
    pub copies_sold: u64,
}

/// A running audit: it takes every entry from the first on, then [`Audit::finish`] compares the books.
///
/// Use it where the entries come from elsewhere than a [`CatalogService`]; otherwise [`audit`] is shorter.
#[derive(Debug, Default)]
pub struct Audit {
    summary: Summary,
    levels: BTreeMap<BookId, Level>,
    orders: Orders,
}

impl Audit {
    /// An audit before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next entry. After a finding it goes on from what the entry states, so that one fault is one finding.
    ///
    /// # Errors
    /// The first [`Finding`] in this entry, of any kind but [`Finding::Level`].
    pub fn take(&mut self, entry: &Entry) -> Result<(), Finding> {
        let after = std::mem::replace(&mut self.summary.head, entry.seq);
        let dense = if entry.seq == after.next() { Ok(()) } else { Err(Finding::Gap { after, found: entry.seq }) };
        let shape = check_shape(entry).map_err(|why| Finding::Misshapen { seq: entry.seq, why });
        let key = self.orders.take(entry, &mut self.summary);
        let changes = entry.changes.iter().map(|change| self.take_change(entry, change)).collect::<Vec<_>>();
        dense.and(shape).and(key).and(changes.into_iter().collect())
    }

    /// The level of one book after the entries so far.
    #[must_use]
    pub fn level(&self, book: BookId) -> Option<Level> {
        self.levels.get(&book).copied()
    }

    /// The books that the entries so far touch, sorted.
    pub fn books(&self) -> impl Iterator<Item = BookId> {
        self.levels.keys().copied()
    }

    /// The level of every book after the last entry.
    pub fn levels(&self) -> impl Iterator<Item = (BookId, Level)> {
        self.levels.iter().map(|(book, level)| (*book, *level))
    }

    /// Compares every book with its level in the store; each difference is a [`Finding::Level`].
    ///
    /// `store` MUST contain every book once.
    #[must_use]
    pub fn finish(mut self, store: impl IntoIterator<Item = (BookId, Level)>) -> (Summary, Vec<Finding>) {
        self.summary.books = self.levels.len() as u64;
        let mut findings = Vec::new();
        for (book, found) in store {
            let ledger = self.levels.remove(&book);
            if ledger != Some(found) {
                findings.push(Finding::Level { book, ledger, found: Some(found) });
            }
        }
        let missing = self.levels.into_iter();
        findings.extend(missing.map(|(book, level)| Finding::Level { book, ledger: Some(level), found: None }));
        (self.summary, findings)
    }

    fn take_change(&mut self, entry: &Entry, change: &Change) -> Result<(), Finding> {
        let (seq, book, listing) = (entry.seq, change.book, entry.kind == Kind::Listing);
        let before = self.levels.get(&book).copied();
        let in_force = before.map_or(change.price_cents, |level| level.price_cents);
        let price_cents = match entry.kind {
            Kind::Listing | Kind::Reprice => change.price_cents,
            _ => in_force,
        };
        let text_version = match (entry.kind, before) {
            (Kind::Listing | Kind::Revise, _) | (_, None) => seq,
            (_, Some(level)) => level.text_version,
        };
        let was_on_sale = before.is_none_or(|level| level.on_sale);
        let on_sale = if was_on_sale { entry.kind != Kind::Withdraw } else { entry.kind == Kind::Relist };
        self.levels.insert(book, Level { stock: change.stock, price_cents, version: seq, text_version, on_sale });
        if before.is_some() == listing {
            return Err(Finding::Listing { seq, book, listed: listing });
        }
        let sum = i64::from(before.map_or(0, |level| level.stock)).saturating_add(change.delta);
        if sum != i64::from(change.stock) {
            return Err(Finding::Sum { seq, book, sum, stated: change.stock });
        }
        check_sale(entry, before).map_err(|why| Finding::Misshapen { seq, why })?;
        // What comes back carries the price of its sale, which the fingerprint has compared.
        if !matches!(entry.kind, Kind::Return | Kind::Lapse) && change.price_cents != price_cents {
            return Err(Finding::Price { seq, book });
        }
        Ok(())
    }
}

/// Audits the whole ledger of `catalog`, and compares every book with it. Nothing may be changed meanwhile.
///
/// # Errors
/// Those of [`CatalogService::entries`] and [`CatalogService::info`].
pub async fn audit(catalog: &dyn CatalogService) -> error::Result<(Summary, Vec<Finding>)> {
    let (mut audit, mut findings) = (Audit::new(), Vec::new());
    read_ledger(catalog, |entry| findings.extend(audit.take(&entry).err())).await?;
    let books: Vec<BookId> = audit.books().collect();
    let (summary, differences) = audit.finish(read_levels(catalog, books).await?);
    findings.extend(differences);
    Ok((summary, findings))
}

/// Reads the ledger from its first entry to its end, [`ENTRIES_MAX`] entries at a time.
///
/// # Errors
/// Those of [`CatalogService::entries`].
pub async fn read_ledger(catalog: &dyn CatalogService, mut take: impl FnMut(Entry)) -> error::Result<()> {
    let mut after = Seq(0);
    loop {
        let page = catalog.entries(after, ENTRIES_MAX, Duration::ZERO).await?;
        let Some(last) = page.entries.last() else { return Ok(()) };
        after = last.seq;
        page.entries.into_iter().for_each(&mut take);
    }
}

/// Reads the levels of these books, one call for each.
///
/// # Errors
/// Those of [`CatalogService::info`].
pub async fn read_levels(catalog: &dyn CatalogService, books: Vec<BookId>) -> error::Result<Vec<(BookId, Level)>> {
    let mut levels = Vec::with_capacity(books.len());
    for id in books {
        let book = catalog.info(id).await?;
        levels.push((id, Level::shown(&book)));
    }
    Ok(levels)
}

fn check_shape(entry: &Entry) -> Result<(), &'static str> {
    let deltas_are = |wanted: fn(i64) -> bool| entry.changes.iter().all(|change| wanted(change.delta));
    if !entry.changes.is_sorted_by(|a, b| a.book < b.book) {
        return Err("its books are not sorted, each once");
    }
    let (details, key) = (entry.details.as_deref(), entry.key);
    let expires = details.is_some_and(|details| details.expires_at.is_some());
    let of_order = details.is_some_and(|details| details.order.is_some());
    match entry.kind {
        Kind::Timeline | Kind::Confirm | Kind::Void | Kind::Fulfil | Kind::Extend | Kind::Erase
            if !entry.changes.is_empty() =>
        {
            Err("an entry of its kind touches no book")
        }
        Kind::Extend if key.is_some() || !of_order || !expires => Err("an extension names an order and a time"),
        Kind::Extend => Ok(()),
        Kind::Erase if key.is_some() || !of_order => Err("an erasure names an order"),
        Kind::Erase => Ok(()),
        _ if of_order && entry.kind != Kind::Return => Err("it names an order beside its key"),
        Kind::Sale | Kind::Return | Kind::Hold | Kind::Lapse | Kind::Confirm | Kind::Void | Kind::Fulfil
            if key.is_none() =>
        {
            Err("it has no order id")
        }
        Kind::Timeline if key.is_none() => Err("a timeline has no id"),
        Kind::Timeline | Kind::Confirm | Kind::Void | Kind::Fulfil => Ok(()),
        Kind::Hold if !expires => Err("a hold has no end"),
        // All copies of a cancelled order may have come back before.
        Kind::Return | Kind::Lapse if !deltas_are(|delta| delta > 0) => {
            Err("it returns what is not a number of copies")
        }
        Kind::Return => Ok(()),
        _ if entry.changes.is_empty() => Err("it touches no book"),
        Kind::Sale | Kind::Hold if !deltas_are(|delta| delta < 0) => Err("it sells what is not a number of copies"),
        Kind::Sale | Kind::Hold | Kind::Lapse => Ok(()),
        Kind::Listing | Kind::Revise if entry.text.is_none() => Err("a listing or a revision has no text"),
        Kind::Restock | Kind::Reprice | Kind::Withdraw | Kind::Relist if entry.text.is_some() => {
            Err("it has a text but neither lists nor revises a book")
        }
        _ if entry.changes.len() > 1 => Err("it touches more than one book"),
        Kind::Listing if key.is_some() => Err("a listing has no key"),
        Kind::Revise | Kind::Withdraw | Kind::Relist if !deltas_are(|delta| delta == 0) => {
            Err("it changes stock and is none of the kinds that do")
        }
        Kind::Listing | Kind::Restock | Kind::Reprice | Kind::Revise | Kind::Withdraw | Kind::Relist => Ok(()),
    }
}

/// Whether a book at this level can have this entry: one that is off sale is neither sold nor held, and the entry says so rightly.
fn check_sale(entry: &Entry, before: Option<Level>) -> Result<(), &'static str> {
    let Some(Level { on_sale, text_version, .. }) = before else { return Ok(()) };
    let details = entry.details.as_deref();
    match entry.kind {
        Kind::Sale | Kind::Hold if !on_sale => Err("it sells or holds a book that was off sale"),
        // With a key it says that the key was used.
        Kind::Withdraw if !on_sale && entry.key.is_none() => Err("it withdraws a book that was off sale already"),
        Kind::Relist if on_sale && entry.key.is_none() => Err("it relists a book that was on sale"),
        Kind::Relist if details.and_then(|details| details.text_version) != Some(text_version) => {
            Err("it relists a book with another text than it had")
        }
        Kind::Revise if details.is_some_and(|details| details.withdrawn) == on_sale => {
            Err("it says wrongly whether the revised book was on sale")
        }
        _ => Ok(()),
    }
}

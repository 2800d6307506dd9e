//! The audit: replays a ledger entry by entry and proves what it promises, or says where it is broken.
//!
//! It shares no code with [`decide`](crate::decide), so that neither hides the other's mistakes. Memory: a few words per
//! book, and about 32 bytes per key; the entries themselves stream through.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    book::BookId,
    decide::Level,
    ledger::{Change, Entry, Kind, Seq},
    order::OrderId,
};

/// Something that must not be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The ledger is not dense.
    #[error("entry {found} follows on entry {after}")]
    Gap {
        /// The entry before.
        after: Seq,
        /// The entry that should have been the next one.
        found: Seq,
    },
    /// An entry is not of a shape that its kind allows.
    #[error("entry {seq} is misshapen: {why}")]
    Misshapen {
        /// The entry.
        seq: Seq,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An entry touches a book before its listing, or lists it twice.
    #[error("entry {seq} {} book {book}", if *listed { "lists again" } else { "touches the unlisted" })]
    Listing {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
        /// Whether it had been listed before.
        listed: bool,
    },
    /// The stock that an entry states is not the sum of the deltas up to it.
    #[error("entry {seq} leaves {stated} of book {book}, but the deltas sum up to {sum}")]
    Sum {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
        /// The sum.
        sum: i64,
        /// What it says.
        stated: u32,
    },
    /// An entry carries a price that was not in force.
    #[error("entry {seq} has another price for book {book} than was in force")]
    Price {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
    },
    /// A key did something twice, or two different things.
    #[error("entry {seq} uses the key {key} again")]
    KeyUsedAgain {
        /// The entry.
        seq: Seq,
        /// The key.
        key: OrderId,
    },
    /// A return without a sale before it.
    #[error("entry {seq} returns order {key}, which was not sold")]
    ReturnWithoutSale {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
    },
    /// A return is not the mirror image of its sale.
    #[error("entry {seq} does not return what order {key} had bought")]
    NotMirrored {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
    },
    /// A book stands otherwise than the ledger says.
    #[error("book {book} is {}, but the ledger says {}", Shown(found), Shown(ledger))]
    Level {
        /// The book.
        book: BookId,
        /// By the ledger; `None` if it was never listed.
        ledger: Option<Level>,
        /// By the store; `None` if it has no such book.
        found: Option<Level>,
    },
}

struct Shown<'a>(&'a Option<Level>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("missing"),
            Some(level) => write!(f, "{} at {}, version {}", level.stock, level.price_cents, level.version),
        }
    }
}

/// What was audited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The last entry.
    pub head: Seq,
    /// Books listed.
    pub books: u64,
    /// Orders sold.
    pub sales: u64,
    /// Orders among them that were returned.
    pub returns: u64,
    /// Copies sold and not returned.
    pub copies_sold: u64,
}

/// What a key has done so far.
#[derive(Clone, Copy, Debug)]
enum Used {
    /// Sold the lines with this fingerprint.
    Sale(u64),
    /// Sold and returned.
    Return,
    /// Changed a book.
    Amend,
}

/// A running audit: give it every entry from the first on, then [`Audit::finish`] it.
#[derive(Debug, Default)]
pub struct Audit {
    summary: Summary,
    levels: BTreeMap<BookId, Level>,
    keys: HashMap<OrderId, Used>,
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
    /// The first thing that is wrong with this entry.
    pub fn take(&mut self, entry: &Entry) -> Result<(), Finding> {
        let after = std::mem::replace(&mut self.summary.head, entry.seq);
        let dense = if entry.seq == after.next() { Ok(()) } else { Err(Finding::Gap { after, found: entry.seq }) };
        let shape = check_shape(entry).map_err(|why| Finding::Misshapen { seq: entry.seq, why });
        let key = self.take_key(entry);
        let changes = entry.changes.iter().map(|change| self.take_change(entry, change)).collect::<Vec<_>>();
        dense.and(shape).and(key).and(changes.into_iter().collect())
    }

    /// One book by the ledger so far.
    #[must_use]
    pub fn level(&self, book: BookId) -> Option<Level> {
        self.levels.get(&book).copied()
    }

    /// The books by the ledger so far, sorted.
    pub fn books(&self) -> impl Iterator<Item = BookId> {
        self.levels.keys().copied()
    }

    /// Compares every book with how it stands by the store.
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

    fn take_key(&mut self, entry: &Entry) -> Result<(), Finding> {
        let Some(key) = entry.key else { return Ok(()) };
        let seq = entry.seq;
        match (entry.kind, self.keys.entry(key)) {
            (Kind::Return, hash_map::Entry::Occupied(mut used)) => match *used.get() {
                Used::Sale(lines) => {
                    used.insert(Used::Return);
                    self.summary.returns += 1;
                    self.summary.copies_sold = self.summary.copies_sold.saturating_sub(copies(entry));
                    if lines == fingerprint(entry) { Ok(()) } else { Err(Finding::NotMirrored { seq, key }) }
                }
                Used::Return => Err(Finding::KeyUsedAgain { seq, key }),
                Used::Amend => Err(Finding::ReturnWithoutSale { seq, key }),
            },
            (Kind::Return, hash_map::Entry::Vacant(_)) => Err(Finding::ReturnWithoutSale { seq, key }),
            (_, hash_map::Entry::Occupied(_)) => Err(Finding::KeyUsedAgain { seq, key }),
            (Kind::Sale, hash_map::Entry::Vacant(unused)) => {
                unused.insert(Used::Sale(fingerprint(entry)));
                self.summary.sales += 1;
                self.summary.copies_sold += copies(entry);
                Ok(())
            }
            (_, hash_map::Entry::Vacant(unused)) => {
                unused.insert(Used::Amend);
                Ok(())
            }
        }
    }

    fn take_change(&mut self, entry: &Entry, change: &Change) -> Result<(), Finding> {
        let (seq, book, listing) = (entry.seq, change.book, entry.kind == Kind::Listing);
        let before = self.levels.get(&book).copied();
        let in_force = before.map_or(change.price_cents, |level| level.price_cents);
        let price_cents = match entry.kind {
            Kind::Listing | Kind::Reprice => change.price_cents,
            Kind::Sale | Kind::Return | Kind::Restock => in_force,
        };
        self.levels.insert(book, Level { stock: change.stock, price_cents, version: seq });
        if before.is_some() == listing {
            return Err(Finding::Listing { seq, book, listed: listing });
        }
        let sum = i64::from(before.map_or(0, |level| level.stock)).saturating_add(change.delta);
        if sum != i64::from(change.stock) {
            return Err(Finding::Sum { seq, book, sum, stated: change.stock });
        }
        // A return carries the price of its sale, which the fingerprint has compared.
        if entry.kind != Kind::Return && change.price_cents != price_cents {
            return Err(Finding::Price { seq, book });
        }
        Ok(())
    }
}

fn check_shape(entry: &Entry) -> Result<(), &'static str> {
    let deltas_are = |wanted: fn(i64) -> bool| entry.changes.iter().all(|change| wanted(change.delta));
    if !entry.changes.is_sorted_by(|a, b| a.book < b.book) {
        return Err("its books are not sorted, each once");
    }
    match entry.kind {
        _ if entry.changes.is_empty() => Err("it touches no book"),
        Kind::Sale | Kind::Return if entry.key.is_none() => Err("it has no order id"),
        Kind::Sale if !deltas_are(|delta| delta < 0) => Err("it sells what is not a number of copies"),
        Kind::Return if !deltas_are(|delta| delta > 0) => Err("it returns what is not a number of copies"),
        Kind::Sale | Kind::Return => Ok(()),
        _ if entry.changes.len() > 1 => Err("it touches more than one book"),
        Kind::Listing if entry.key.is_some() => Err("a listing has no key"),
        Kind::Listing | Kind::Restock | Kind::Reprice => Ok(()),
    }
}

/// The same for a sale and for its return.
fn fingerprint(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    for change in &entry.changes {
        (change.book, change.delta.unsigned_abs(), change.price_cents).hash(&mut hasher);
    }
    hasher.finish()
}

fn copies(entry: &Entry) -> u64 {
    entry.changes.iter().fold(0, |sum, change| sum.saturating_add(change.delta.unsigned_abs()))
}

//! What a store must do. Stores load, append and read; they decide nothing.

use async_trait::async_trait;
use std::time::Duration;

use crate::{
    book::{BookId, Text, Topic},
    decide::{Batch, Command, State},
    error::{Error, Result},
    ledger::{Entry, LedgerId, Seq},
    order::{Order, OrderId},
    page::{CheckedQuery, Position},
};

pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// A store's own failure. Its text is for the operator's log; callers see only the outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the database engine failed.
    #[error("{0}")]
    Failed(String),
    /// Another process writes to this store.
    #[error("{0} is in use by another process; stop it first, or use a command that only reads (audit, backup)")]
    InUse(String),
    /// This is not a store of ours, or it is damaged.
    #[error("{0}")]
    Unusable(String),
    /// A newer version of this software wrote it.
    #[error("{path} has schema version {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// The store.
        path: String,
        /// Its version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The store's URL is not one.
    #[error("{0}")]
    BadUrl(String),
}

impl From<StoreError> for Error {
    /// For reads and for refusals before any effect: nothing was executed. The cause goes to the log, not to the caller.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Error::unavailable("the store failed; see the server's log")
    }
}

/// The writing half of a ledger's store. There is one, and one thread or task uses it.
pub trait LedgerStore: Send + 'static {
    /// Opens (again) and says what is in it: head, last book, every level. `known` and `identities` stay empty.
    ///
    /// What it says is in the store MUST be durable when this returns, also if an earlier append or sync had failed.
    ///
    /// # Errors
    /// The store cannot be used; it may be tried again later.
    fn recover(&mut self) -> Result<State, StoreError>;

    /// Puts into `state` what the ledger holds already under the commands' keys and identities.
    ///
    /// # Errors
    /// The store failed: nothing of this batch was executed.
    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError>;

    /// Appends the batch atomically. After a crash of the process all of it is there, or nothing; after a power cut
    /// that holds for everything before the last successful [`Flush`].
    ///
    /// # Errors
    /// Whether it was appended is unknown; the store is used again only after [`LedgerStore::recover`].
    fn append(&mut self, batch: &Batch, state: &State) -> Result<(), StoreError>;

    /// Called once, at the end, if the store did not fail. What was appended is safe without it.
    ///
    /// # Errors
    /// For the log only.
    fn close(&mut self, _state: &State) -> Result<(), StoreError> {
        Ok(())
    }

    /// What makes appended batches durable, on whichever thread. Asked for again after every [`LedgerStore::recover`].
    ///
    /// # Errors
    /// The store cannot be used.
    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError>;
}

/// Makes everything appended before the call durable.
pub trait Flush: Send {
    /// Returns when everything is durable.
    ///
    /// # Errors
    /// Whether it is durable is unknown.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// How long the disk takes in a simulation, where [`Flush::flush`] itself takes no time: what the writer waits between
    /// the append and the flush, and between the flush and the answers. MUST be zero for [`Execution::Threads`].
    ///
    /// [`Execution::Threads`]: crate::writer::Execution::Threads
    fn simulated_wait(&mut self) -> [Duration; 2] {
        [Duration::ZERO; 2]
    }
}

/// A book that a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it stands in the sorted list.
    pub position: Position,
    /// What it says of itself.
    pub text: Text,
}

/// The reading half of a ledger's store: any number of callers at once, beside the writer.
#[async_trait]
pub trait LedgerReader: Send + Sync {
    /// Which ledger this is.
    fn id(&self) -> LedgerId;

    /// The books that match, after `query.after`, sorted by position; up to `query.size + 1`, so that the caller sees whether there are more.
    ///
    /// A book matches if its topic is `query.topic` (ASCII case aside) and if each of `query.words` begins some
    /// [term](crate::page::terms) of its title, author or subjects; each word may do so in another field.
    /// `Some` and empty words match nothing. A store MAY set diacritics aside.
    ///
    /// The order is ascending by [`SortKey`](crate::page::SortKey), then by id:
    /// - [`Relevance`](crate::page::Sort::Relevance) without words: by id alone. With words: a book that has them all in its title comes before
    ///   one that has them all in its author and nowhere else, and that one before one that has them all in its subjects and
    ///   nowhere else; the order between other books is the store's own, but it MUST be the same for every page.
    /// - [`Title`](crate::page::Sort::Title): by the bytes of the title in ASCII lower case.
    /// - [`Price`](crate::page::Sort::Price): by the price after the last appended entry, cheapest first.
    /// - [`Newest`](crate::page::Sort::Newest): by year, latest first; books without one come last.
    async fn find_books(&self, query: CheckedQuery) -> Result<Vec<Found>>;

    /// What a book says of itself.
    async fn text(&self, book: BookId) -> Result<Option<Text>>;

    /// Every topic with its number of books, sorted by name. As for a search, topics that differ in ASCII case only are
    /// one, spelled as in the book that was listed first.
    async fn topics(&self) -> Result<Vec<Topic>>;

    /// Up to `limit` entries after `after`, none later than `head`, in order and without gaps.
    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>>;

    /// An order as of `head`, and where in the ledger its newest entry is.
    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>>;

    /// Up to `limit` orders sold before `before` and not after `head`, as of `head`, newest first.
    async fn orders(&self, before: Option<Seq>, head: Seq, limit: usize) -> Result<Vec<Order>>;
}

/// An order server's own copy of a ledger's sales and returns.
#[async_trait]
pub trait OrderCopy: Send + Sync {
    /// How far it has followed, and which ledger; `None` before the first append.
    async fn followed(&self) -> Result<(Option<LedgerId>, Seq)>;

    /// Takes in the next entries and remembers `entries.last().seq` as followed, durably and atomically.
    ///
    /// It MUST refuse entries of another ledger, and entries that do not follow on the last one without a gap.
    async fn append(&self, ledger: LedgerId, entries: Vec<Entry>) -> Result<()>;

    /// An order as far as it has followed.
    async fn order(&self, id: OrderId) -> Result<Option<Order>>;

    /// Up to `limit` orders sold before `before`, newest first.
    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>>;
}

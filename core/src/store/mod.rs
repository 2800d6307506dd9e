//! The store contract: what a place that holds a ledger must do. Stores load, append and read; they decide nothing.
//!
//! A ledger's store has two halves. The writing half, [`LedgerStore`] with its [`Flush`], belongs to the one
//! [`Writer`](crate::writer::Writer) of the ledger. The reading half, [`LedgerReader`], is shared by any number of callers. An
//! order server on another machine keeps a copy of the ledger, a [`Projection`].
//!
//! To write a store, implement [`LedgerStore`] and [`LedgerReader`], a [`BookSearch`](crate::search::BookSearch) if the ledger
//! should be searched by the store, and a [`Projection`] that is an [`OrderReader`] if order servers may use it. Then run the conformance suite over it
//! (feature `conformance`). [`memory`] is the shortest complete example.
//!
//! # What the writer does
//! One batch after another, it calls
//!
//! 1. [`LedgerStore::load`] with the keys and identities that the batch touches;
//! 2. [`LedgerStore::append`] with what was decided, or [`LedgerStore::confirm`] if that is nothing;
//! 3. [`Flush::flush`], and only when that has returned, readers see the entries and the callers get their answers.
//!
//! Step 3 of one batch may run beside steps 1 and 2 of the next. After a failure in any step the store is not used again until
//! [`LedgerStore::recover`] has succeeded.
//!
//! # Who may block
//! The methods of [`LedgerStore`] and [`Flush`] may block the calling thread: under
//! [`Execution::Threads`](crate::execution::Execution::Threads) the writer has threads of its own, each with a runtime that drives
//! what these methods spawn. Under `Execution::Task` they share the runtime of everything else, and MUST NOT block on anything
//! that needs it. [`LedgerReader`] and [`Projection`] are called on the callers' runtime: they MUST NOT block, but do their work on
//! threads of their own.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod encoding;
mod error;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod level_rows;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod text_cache;

pub use error::{AppendError, StoreError};

use async_trait::async_trait;
use std::fmt;

use crate::{
    book::Text,
    clock::Timestamp,
    contact::{Contact, ContactChange},
    decide::{Batch, State},
    error::Result,
    history::{Entries, Hash, LedgerIdentity},
    id::{BookId, OrderId, Seq},
    ledger::Entry,
    order::Order,
    page::{FoundOrders, OrderScan},
    service::{LedgerFeed, OrderReader},
};

/// The writing half of a ledger's store. There is one for a ledger, and one task uses it.
///
/// The methods return futures instead of being `async fn`s so that these are `Send`; implement them as `async fn`s.
pub trait LedgerStore: Send + 'static {
    /// Opens the store, or opens it again after a failure, and says what is in it.
    ///
    /// - Whatever it says is in the store MUST be durable when it returns, also if an append or a flush failed before. What
    ///   was appended and not flushed may be there or not, but whole batches only, and the first ones.
    /// - An append of unknown outcome that is not in the state MUST NOT become part of the ledger later.
    /// - The writer calls it once at the start, and again after each failure, when nothing is being flushed.
    ///
    /// # Errors
    /// The store cannot be used. The writer tries again later; at the start it gives up.
    fn recover(&mut self) -> impl Future<Output = Result<Recovered, StoreError>> + Send;

    /// Puts into [`State::known`] what the ledger holds under `keys`, and into [`State::identities`] which of `identities` books have,
    /// or had before they were revised. It leaves out what is new, and changes nothing else in `state`.
    ///
    /// - It MUST see every appended entry, flushed or not.
    /// - It is called once for each batch. Both lists may be empty and may have duplicates. The writer leaves out keys that are
    ///   certainly new, see [`RecentKeys`](crate::recent_keys::RecentKeys).
    ///
    /// # Errors
    /// The store failed. The writer answers the whole batch as not executed.
    fn load(
        &mut self,
        keys: &[OrderId],
        identities: &[String],
        state: &mut State,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts into [`State::contacts`] the contacts of these orders, and `None` for those that were erased. It leaves out orders that never
    /// had one, and changes nothing else in `state`.
    ///
    /// It is called after [`Self::load`], for the few batches that change contacts of earlier orders, and MUST see what was appended, flushed
    /// or not.
    ///
    /// # Errors
    /// As [`Self::load`].
    fn load_contacts(
        &mut self,
        orders: &[OrderId],
        state: &mut State,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends a batch atomically: all of it or nothing, with the entries under their own numbers.
    ///
    /// - `state` is the state *after* the batch: its `head` is the batch's last entry, its levels and its hash include the batch.
    /// - The store MUST keep the hash with the batch: [`LedgerReader::hash`] needs to know where batches end.
    /// - The batch has one entry at least, or one change of a contact; there is no empty append. Without entries, head and hash stay.
    /// - Contacts are kept beside the ledger, the last change of each order. What a change replaces or erases MUST NOT be readable in the
    ///   store's files any more once it is durable there; a write-ahead log may keep it until it is written over. In a database server no
    ///   query may find it any more; its files are the server's.
    /// - The ledger MUST refuse entries that do not follow on its last one without a gap.
    /// - After a crash of the process all of the batch is there, or nothing of it. After a power cut that holds for everything
    ///   before the last successful [`Flush::flush`].
    ///
    /// # Errors
    /// - [`AppendError::NotAppended`] only if the batch certainly is not in the ledger, and never will be.
    /// - [`AppendError::Unknown`] in every other case.
    fn append(&mut self, batch: &Batch, state: &State) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Makes sure that what [`Self::load`] said for the batch at hand was true. The writer calls it in place of
    /// [`Self::append`] for a batch without entries, which has refusals and replays only, before their answers go out.
    ///
    /// The default does nothing: right for a store whose reads are never stale, as of a file that one process has locked. A store
    /// whose reads could be stale, or could show what is not replicated yet, MUST write something of its own here, under the
    /// same conditions as an append, and succeed only if that write did: "confirm by write". Otherwise a writer that was
    /// replaced without knowing it would tell callers what is no longer true.
    ///
    /// # Errors
    /// What was loaded is not confirmed. The writer answers the whole batch as not executed.
    fn confirm(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Notes durably that the ledger goes on elsewhere, under the newer history `by`: [`Self::recover`] says so from now on, until the
    /// store is replaced. Nothing is appended after this.
    ///
    /// The default does nothing: right for a store that does not outlive its process.
    ///
    /// # Errors
    /// It could not be noted. The writer writes nothing any more all the same.
    fn supersede(&mut self, by: &LedgerIdentity) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = by;
        std::future::ready(Ok(()))
    }

    /// Called once, at the end, unless the store has failed. `state` is the state after the last batch.
    ///
    /// The default does nothing. What was flushed is durable without it; a store may use it to make the next start faster.
    ///
    /// # Errors
    /// For the operator's log only.
    fn close(&mut self, state: &State) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = state;
        std::future::ready(Ok(()))
    }
}

/// Makes what was appended durable.
#[async_trait]
pub trait Flush: Send {
    /// Returns when everything that was appended before the call is durable.
    ///
    /// - It may run beside the next [`LedgerStore::append`], and MUST be right whether it covers that one or not.
    /// - It is not called for batches without entries. For a store whose append is durable it does nothing.
    ///
    /// # Errors
    /// It is unknown what is durable. The writer answers *unknown* for this batch and for every one that was appended since.
    async fn flush(&mut self) -> Result<(), StoreError>;
}

/// What [`LedgerStore::recover`] found in a store.
pub struct Recovered {
    /// Head, hash, last book, every level, and the number of the last change of a contact. `known`, `identities` and `contacts` are empty.
    pub state: State,
    /// The highest keys of the ledger in the order of their bytes, highest first: the first
    /// [`RecentKeys::REACH`](crate::recent_keys::RecentKeys::REACH), or all if they are fewer. A key that is left out although it
    /// belongs here would be sold twice.
    pub highest_keys: Vec<OrderId>,
    /// What [`LedgerStore::supersede`] has noted.
    pub superseded: Option<LedgerIdentity>,
    /// Flushes what is appended from now on, until the next recovery gives another one.
    pub flush: Box<dyn Flush>,
}

impl fmt::Debug for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, highest_keys, superseded: _, flush: _ } = self;
        let keys = highest_keys.len();
        f.debug_struct("Recovered").field("head", &state.head).field("keys", &keys).finish_non_exhaustive()
    }
}

/// The reading half of a ledger's store: any number of callers at once, beside the writer.
///
/// What is appended may not be durable yet, and MUST NOT be shown before it is. So reads of the ledger take a head, the last
/// entry that may be shown, and MUST show the ledger as of that entry. A single text is that of an entry, which a caller names
/// only if that may be shown.
///
/// # Errors
/// Each method fails as *not executed*, in one of two ways:
/// - [`Error::Overloaded`](crate::Error::Overloaded) if too many reads wait.
/// - [`Error::Unavailable`](crate::Error::Unavailable) if the store cannot be read.
#[async_trait]
pub trait LedgerReader: Send + Sync {
    /// Which ledger it is, and its timelines. It stays the same as long as the store is open.
    fn identity(&self) -> &LedgerIdentity;

    /// The hash of the ledger up to the entry `at`, which is not after the last one. It MUST be the one that [`Hash::after`] gives,
    /// batch by batch: [`State::hash`] after an append, and up to an entry within a batch, from the end of the batch before.
    async fn hash(&self, at: Seq) -> Result<Hash>;

    /// The text that the entry `version` gives a book, a listing or a revision; `None` if it gives it none.
    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>>;

    /// Up to `limit` entries after `after`, none later than `head`, in order and without gaps, with the texts of listed and revised books.
    ///
    /// It MAY end early once the entries are longer than [`PAGE_BYTES_MAX`](crate::page::PAGE_BYTES_MAX), and SHOULD, as texts may be
    /// long. It MUST give one at least, if there is one.
    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>>;

    /// The entries after `after` that [change lists](Entry::changes_lists), up to `limit` of them and none later than `head`, in order. It MAY end early, and has one at
    /// least if there is one, as [`Self::entries`].
    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>>;

    /// The entries after `after` and up to `to` that end a batch.
    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>>;

    /// An order as of `head`, if it was sold by then.
    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>>;

    /// Looks for orders that began not after `head`, as of `head`, newest first, as [`OrderScan::run`] does.
    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders>;

    /// The contact of an order, if it has one. It takes no head: a correction may show before it is durable.
    async fn contact(&self, order: OrderId) -> Result<Option<Contact>>;

    /// Up to `limit` contacts whose last change has a number above `after` and up to `to`, lowest first; not those that were erased.
    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>>;

    /// Up to `limit` orders with contacts that were placed before this time, oldest first. It takes no head either.
    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>>;

    /// Keeps something that follows from the ledger and takes long to make again, in the place of what was kept under this name before.
    /// `make` gives its bytes, and MAY take as long as a read. A store MAY lose it, or keep nothing: so it MUST say itself which ledger it
    /// is of, and how far.
    async fn keep(&self, name: &'static str, make: MakeBytes) -> Result<()> {
        let _ = (name, make);
        Ok(())
    }

    /// What was kept last under this name, if it is still there.
    async fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>> {
        let _ = name;
        Ok(None)
    }
}

/// Makes the bytes to [keep](LedgerReader::keep).
pub type MakeBytes = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// What follows a ledger and keeps something of it: an order server's copy, an index. A
/// [`Follower`](crate::follow::Follower) drives it.
///
/// # Errors
/// - [`Error::Overloaded`](crate::Error::Overloaded), [`Error::Unavailable`](crate::Error::Unavailable) as for a [`LedgerReader`].
/// - [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) from [`Self::append`] and [`Self::rewind`]. Any failed one may have happened
///   all the same: [`Self::followed`] tells.
#[async_trait]
pub trait Projection: Send + Sync {
    /// How far it has followed. An empty one is before the first entry.
    async fn followed(&self) -> Result<Followed>;

    /// Takes in the next entries, and remembers the page's identity, the last entry and the hash up to it as followed, atomically, and as
    /// durably as what it keeps. So each entry has its effect exactly once. Without entries it remembers the identity only.
    ///
    /// It MUST refuse what [`Followed::check`] refuses: entries of another ledger, entries that do not follow on the last one without a
    /// gap, and a page whose [`Entries::before`] is not the hash that it has itself: that page is of another history.
    async fn append(&self, page: Entries) -> Result<()>;

    /// Goes back to where it was before the entry `fork`, or to any earlier place, since the ledger went on under a newer timeline from
    /// there. Its entries from `fork` on are not in the ledger any more; one that keeps entries MUST set them aside where an operator
    /// finds them, in the same transaction. Returns how many these are.
    async fn rewind(&self, fork: Seq) -> Result<u64>;
}

/// An order server's copy of a ledger: a projection from which orders can be read, and the entries themselves.
pub trait LedgerCopy: Projection + OrderReader + LedgerFeed {}

impl<T: Projection + OrderReader + LedgerFeed + ?Sized> LedgerCopy for T {}

/// How far a projection has followed a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The ledger and its timelines; none before the first entry.
    pub identity: Option<LedgerIdentity>,
    /// The last entry that it has followed.
    pub seq: Seq,
    /// The hash of the ledger up to that entry.
    pub hash: Hash,
}

impl Followed {
    /// Checks that a page continues here.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable), which says why not: another ledger, another history, or a gap.
    pub fn check(&self, page: &Entries) -> Result<()> {
        let refused = |why: String| Err(crate::Error::unavailable(why));
        if self.identity.as_ref().is_some_and(|own| own.ledger != page.identity.ledger) {
            return refused("these entries are of another ledger than this copy's".into());
        }
        if page.before != Some(self.hash) {
            return refused(format!(
                "these entries are of another history than this copy's, which is at entry {}",
                self.seq
            ));
        }
        let follows = std::iter::successors(Some(self.seq.next()), |seq| Some(seq.next()));
        if !page.entries.iter().map(|entry| entry.seq).eq(follows.take(page.entries.len())) {
            return refused(format!("these entries do not follow on entry {}", self.seq));
        }
        Ok(())
    }

    /// The place at the end of a page that continues here.
    #[must_use]
    pub fn after(&self, page: &Entries) -> Self {
        let seq = page.entries.last().map_or(self.seq, |last| last.seq);
        Self { identity: Some(page.identity.clone()), seq, hash: page.after }
    }
}

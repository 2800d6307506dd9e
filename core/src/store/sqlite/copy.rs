//! An order server's copy of a ledger: the same entries with the same hashes, without the tables that follow from them.
//!
//! `meta.applied` says how far it has followed.

use async_trait::async_trait;
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

use super::{
    SqliteOptions, StoreError, contacts,
    database_file::{DatabaseFile, FileConnection},
    pool::Pool,
    rows::{self, to_i64},
    schema::{self, NewIds},
    wal_owner,
};
use crate::{
    clock::SystemClock,
    contact::ContactPage,
    error::{Error, Result},
    execution::Execution,
    history::{Entries, Hash, RunningHash},
    id::{OrderId, Seq},
    ledger::Entry,
    order::Order,
    page::{FoundOrders, OrderScan, fitting},
    service::{Ack, CONTACTS_MAX, ContactFeed, ENTRIES_MAX, LedgerFeed, OrderReader},
    store::{Followed, Projection},
};

/// An order server's copy in a SQLite file. It holds the lock on the file until it is dropped.
#[derive(Debug)]
pub struct SqliteCopy {
    writer: Arc<Mutex<CopyWriter>>,
    readers: Pool,
    execution: Execution,
}

impl SqliteCopy {
    /// Opens the copy in the file `path`, or makes it. Every append waits for the disk, unless [`Self::acknowledging`] says that no
    /// acknowledgement depends on that. It blocks the calling thread as [`open`](super::open) does.
    ///
    /// # Errors
    /// - [`StoreError::InUse`] if another process writes to it.
    /// - [`StoreError::Unusable`] if it is not a copy of ours, or damaged.
    /// - [`StoreError::TooNew`] if a newer program wrote it.
    /// - [`StoreError::Failed`] if it cannot be read or written.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let file = Arc::new(DatabaseFile::lock(path)?);
        wal_owner::check(file.path())?;
        let connection = schema::open(file.path(), schema::Role::Copy, NewIds::drawn(&SystemClock))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let readers = Pool::open(&file, options)?;
        let connection = FileConnection::new(connection, &file);
        let writer = Arc::new(Mutex::new(CopyWriter { connection, hash: None }));
        Ok(Self { writer, readers, execution: options.execution })
    }

    /// Appends as durably as an order service needs that acknowledges by `ack`.
    ///
    /// With [`Ack::Ledger`] an append does not wait for the disk: a power cut may lose the newest entries, never others, and the
    /// copy then takes them from the ledger again.
    ///
    /// # Errors
    /// - [`StoreError::Failed`] if the file cannot be used.
    pub fn acknowledging(self, ack: Ack) -> Result<Self, StoreError> {
        let synchronous = match ack {
            Ack::Ledger => "NORMAL",
            Ack::Copied { .. } => "FULL",
        };
        let writer = self.writer.lock().expect("nobody panics with it");
        writer.connection.pragma_update(None, "synchronous", synchronous)?;
        drop(writer);
        Ok(self)
    }
}

impl SqliteCopy {
    /// Closes it, once nothing reads or writes any more. Dropping it does the same, but cannot say whether that succeeded.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        self.write(|writer| {
            let moved = writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            Ok(moved.map_err(StoreError::from)?)
        })
        .await
        .map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// How far it has followed the ledger's contacts: [where](ContactPage::source) they were from, and the number of the last change.
    ///
    /// # Errors
    /// - As those of a [`Projection`].
    pub async fn contacts_followed(&self) -> Result<((Option<Uuid>, Uuid), u64)> {
        self.readers.read(contacts::followed).await
    }

    /// Takes in the next contacts of the ledger, those after [`contacts_followed`](Self::contacts_followed). A page of another
    /// [source](ContactPage::source) begins anew: it MUST be the one after 0.
    ///
    /// # Errors
    /// - As those of a [`Projection`].
    pub async fn append_contacts(&self, page: ContactPage) -> Result<()> {
        let take = move |writer: &mut CopyWriter| {
            let transaction = writer.connection.transaction().map_err(StoreError::from)?;
            contacts::follow(&transaction, &page)?;
            Ok(transaction.commit().map_err(StoreError::from)?)
        };
        self.write(take).await
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut CopyWriter) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writer = Arc::clone(&self.writer);
        let work = move || write(&mut writer.lock().expect("nobody panics with it"));
        match self.execution {
            Execution::Task => work(),
            Execution::Threads => {
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|_| Err(Error::unknown("the copy's writer did not finish")))
            }
        }
    }
}

#[async_trait]
impl Projection for SqliteCopy {
    async fn followed(&self) -> Result<Followed> {
        self.readers.read(followed).await
    }

    async fn append(&self, page: Entries) -> Result<()> {
        self.write(move |writer| writer.append(&page)).await
    }

    async fn rewind(&self, fork: Seq) -> Result<u64> {
        self.write(move |writer| Ok(writer.rewind(fork)?)).await
    }
}

#[async_trait]
impl LedgerFeed for SqliteCopy {
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries> {
        let page = self.readers.read(move |connection| page(connection, after, limit.clamp(1, ENTRIES_MAX))).await?;
        page.ok_or_else(|| Error::unavailable("this copy has followed nothing yet"))
    }
}

#[async_trait]
impl ContactFeed for SqliteCopy {
    async fn contacts(&self, after: u64, limit: usize) -> Result<ContactPage> {
        let limit = limit.clamp(1, CONTACTS_MAX);
        let read = move |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            let changes = contacts::between(&transaction, after, u64::MAX, limit)?;
            let page = |identity| ContactPage { identity, incarnation: Uuid::nil(), changes };
            Ok(schema::identity(&transaction)?.map(page))
        };
        self.readers.read(read).await?.ok_or_else(|| Error::unavailable("this copy has followed nothing yet"))
    }
}

#[async_trait]
impl OrderReader for SqliteCopy {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        let order = move |connection: &Connection| rows::order(&*connection.unchecked_transaction()?, id, EVERYTHING);
        self.readers.read(order).await
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        let find =
            move |connection: &Connection| rows::find_orders(&*connection.unchecked_transaction()?, &scan, EVERYTHING);
        self.readers.read(find).await
    }
}

/// The head to read by: all that a copy holds is durable in the ledger. It bounds no read, so what takes several statements needs a
/// transaction.
const EVERYTHING: Seq = Seq(i64::MAX as u64);

fn followed(connection: &Connection) -> Result<Followed, StoreError> {
    let hash: Option<[u8; 32]> = connection.query_row("SELECT hash FROM meta", [], |row| row.get(0))?;
    let (identity, seq) = (schema::identity(connection)?, rows::applied(connection)?);
    Ok(Followed { identity, seq, hash: hash.map_or(Hash::EMPTY, Hash) })
}

/// A page of a copy's or a ledger's entries as of one moment; none if it is a copy that has followed nothing.
pub(super) fn page(connection: &Connection, after: Seq, limit: usize) -> Result<Option<Entries>, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let Some(identity) = schema::identity(&transaction)? else { return Ok(None) };
    let head = rows::head(&transaction)?;
    let before = if after <= head { Some(rows::hash(&transaction, after)?) } else { None };
    let mut entries = if after < head { rows::entries(&transaction, after, head, limit)? } else { Vec::new() };
    entries.truncate(fitting(entries.iter().map(Entry::json_bytes)));
    let (batch_ends, after) = match entries.last() {
        Some(last) => (rows::batch_ends(&transaction, after, last.seq)?, rows::hash(&transaction, last.seq)?),
        None => (Vec::new(), rows::hash(&transaction, head)?),
    };
    Ok(Some(Entries { identity, incarnation: Uuid::nil(), head, before, entries, batch_ends, after }))
}

/// The connection that writes, and the hash to go on from.
#[derive(Debug)]
struct CopyWriter {
    connection: FileConnection,
    /// The hash up to the last entry; none if it must be read again.
    hash: Option<RunningHash>,
}

impl CopyWriter {
    /// Takes in the next entries in one transaction.
    fn append(&mut self, page: &Entries) -> Result<()> {
        let kept = self.hash.take();
        let transaction = self.connection.transaction().map_err(StoreError::from)?;
        let followed = followed(&transaction)?;
        followed.check(page)?;
        let mut hash = kept.map_or_else(|| rows::running_hash(&transaction), Ok)?;
        let ends = hash.take_page(page)?;
        rows::append_entries(&transaction, &page.entries)?;
        contacts::take(&transaction, &page.entries)?;
        rows::end_batches(&transaction, &ends)?;
        remember(&transaction, &followed, &followed.after(page))?;
        transaction.commit().map_err(StoreError::from)?;
        self.hash = Some(hash);
        Ok(())
    }

    /// Sets the entries from `fork` on aside, in one transaction.
    fn rewind(&mut self, fork: Seq) -> Result<u64, StoreError> {
        self.hash = None;
        let transaction = self.connection.transaction()?;
        let set_aside = "INSERT INTO set_aside (fork, seq, at_ms, kind, key, changes)
            SELECT ?1, seq, at_ms, kind, key, changes FROM ledger WHERE seq >= ?1";
        let count = transaction.execute(set_aside, [to_i64(fork.0)])?;
        transaction.execute("DELETE FROM ledger WHERE seq >= ?1", [to_i64(fork.0)])?;
        transaction.execute("DELETE FROM entry_text WHERE seq >= ?1", [to_i64(fork.0)])?;
        transaction.execute("DELETE FROM order_entry WHERE seq >= ?1", [to_i64(fork.0)])?;
        transaction.execute("DELETE FROM order_reference WHERE seq >= ?1", [to_i64(fork.0)])?;
        let (last, hash) = (rows::head(&transaction)?, rows::running_hash(&transaction)?.hash());
        transaction.execute("UPDATE meta SET applied = ?1, hash = ?2", (to_i64(last.0), hash.0))?;
        transaction.commit()?;
        Ok(count as u64)
    }
}

/// Writes down how far the copy has followed.
fn remember(connection: &Connection, before: &Followed, after: &Followed) -> Result<(), StoreError> {
    if let Some(identity) = after.identity.as_ref().filter(|_| before.identity != after.identity) {
        schema::set_identity(connection, identity)?;
    }
    let mut update = connection.prepare_cached("UPDATE meta SET applied = ?1, hash = ?2")?;
    update.execute((to_i64(after.seq.0), after.hash.0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock as _, Timestamp},
        id::BookId,
        ledger::{Change, Details, Kind},
        money::Cents,
        order::Status,
    };
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    /// A hold, its confirmation, and the return of one of its two copies under a key of its own.
    fn story(first: u64, order: OrderId) -> [Entry; 3] {
        let entry = |number, kind, key, delta| {
            let change = Change { book: BookId(1), delta, price_cents: Cents::ZERO, stock: 10 };
            let changes = if delta == 0 { [].into_iter().collect() } else { [change].into_iter().collect() };
            Entry { seq: Seq(number), at: Timestamp(0), kind, key: Some(key), changes, text: None, details: None }
        };
        let mut back = entry(first + 2, Kind::Return, SystemClock.new_order_id(), 1);
        back.details = Some(Box::new(Details { order: Some(order), ..Details::default() }));
        [entry(first, Kind::Hold, order, -2), entry(first + 1, Kind::Confirm, order, 0), back]
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_order_is_read_as_of_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let copy = SqliteCopy::open(&folder.path().join("copy.db"), SqliteOptions::default()).unwrap();
        let copy = Arc::new(copy.acknowledging(Ack::Ledger).unwrap());
        let (writer, ended) = (Arc::clone(&copy.writer), Arc::new(AtomicBool::new(false)));
        let done = Arc::clone(&ended);
        let writing = thread::spawn(move || {
            for number in 0..400 {
                let [held, confirmed, back] = story(3 * number + 1, SystemClock.new_order_id());
                for entries in [vec![held], vec![confirmed, back]] {
                    let mut writer = writer.lock().unwrap();
                    let transaction = writer.connection.transaction().unwrap();
                    rows::append_entries(&transaction, &entries).unwrap();
                    transaction.commit().unwrap();
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        while !ended.load(Ordering::SeqCst) {
            for listed in copy.orders(None, 1).await.unwrap() {
                let order = copy.order(listed.id).await.unwrap().unwrap();
                for order in [listed, order] {
                    let returned = order.details.iter().flat_map(|details| &details.returned).count();
                    assert_eq!(returned == 1, order.status == Status::Placed, "{order:?}");
                }
            }
        }
        writing.join().unwrap();
    }
}

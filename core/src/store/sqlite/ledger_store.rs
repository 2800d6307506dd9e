//! The writing half: loads what a batch touches, appends the batch in one transaction, flushes the WAL.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction};
use std::{fs::File, sync::Arc};
use uuid::Uuid;

use super::{
    SqliteOptions, StoreError, beside, books, contacts,
    database_file::{DatabaseFile, FileConnection, FileName},
    holds, maintenance,
    rows::{self, to_i64, to_u64},
    schema::{self, NewIds},
    stock_snapshot::{self, DirtyRows},
    unusable,
    wal_checkpoint::{self, WalLength},
    wal_owner,
};
use crate::{
    decide::{self, Batch, Known, State},
    execution::Execution,
    history::{Hash, LedgerIdentity},
    id::{BookId, OrderId, Seq},
    ledger::Entry,
    recent_keys::RecentKeys,
    store::{AppendError, Flush, LedgerStore, Recovered},
};

/// The stock snapshot is rewritten after this many entries, or as many as there are books if these are more. A start after a crash
/// has to replay at most as many.
const SNAPSHOT_ENTRIES: u64 = 65_536;

/// The writing half of a ledger in a SQLite file. It holds the lock on the file until it is dropped.
#[derive(Debug)]
pub struct SqliteStore {
    file: Arc<DatabaseFile>,
    execution: Execution,
    wal_bytes_max: u64,
    wal_length: Arc<WalLength>,
    /// `None` before the first recovery, and after a failed one.
    connection: Option<FileConnection>,
    /// The stock snapshot is as of this entry.
    applied: Seq,
    /// The rows of the stock snapshot that have changed since.
    dirty: DirtyRows,
    /// The WAL that is flushed.
    wal: Option<Arc<Wal>>,
    /// Why the store can never be used again: its files were removed or replaced.
    lost: Option<String>,
}

impl SqliteStore {
    pub(super) fn new(file: Arc<DatabaseFile>, options: SqliteOptions) -> Self {
        let SqliteOptions { execution, wal_bytes_max, .. } = options;
        Self {
            file,
            execution,
            wal_bytes_max,
            wal_length: Arc::default(),
            connection: None,
            applied: Seq(0),
            dirty: DirtyRows::default(),
            wal: None,
            lost: None,
        }
    }

    /// Opens the file and makes all that is in it durable.
    fn open_durably(&mut self) -> Result<FileConnection, StoreError> {
        let path = self.file.path();
        let connection = schema::open(path, schema::Role::Ledger, NewIds::UNUSED)?;
        let mut connection = FileConnection::new(connection, &self.file);
        match self.execution {
            Execution::Threads => self.wal_length = wal_checkpoint::on_thread(&mut connection, path)?,
            Execution::Task => wal_checkpoint::in_commits(&connection)?,
        }
        // After a failed flush the kernel may hold pages that it no longer means to write: copying the WAL into the database
        // writes and syncs every one of them again.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            return Err(StoreError::Failed(
                "another program reads the store and keeps its WAL from being emptied".into(),
            ));
        }
        // The first commit makes the WAL again; with FULL it also syncs the directory that names the file.
        wal_owner::mark(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }

    /// Reads head, last book and levels: the stock snapshot, and on top of it the entries since.
    fn read_state(&mut self, connection: &Connection) -> Result<State, StoreError> {
        let head = rows::head(connection)?;
        let mut state = State { head, hash: rows::hash(connection, head)?, ..State::default() };
        let last_book: Option<i64> = connection.query_row("SELECT max(id) FROM book", [], |row| row.get(0))?;
        state.last_book = to_u64(last_book.unwrap_or_default());
        self.applied = rows::applied(connection)?;
        if self.applied > state.head {
            return Err(unusable(self.file.path(), "it is damaged: its stock is newer than its ledger"));
        }
        self.dirty.clear();
        state.levels = stock_snapshot::read(connection)?;
        replay_tail(connection, self.applied, &mut state, &mut self.dirty)?;
        holds::read(connection, &mut state)?;
        state.contact_version = contacts::last_version(connection)?;
        Ok(state)
    }

    /// Checks that database and WAL still have their names. If not, it saves the ledger from the open files and refuses for ever
    /// after: what is at the path now is something else, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Failed`], which says where the ledger was saved.
    fn check_names(&mut self, connection: Option<&Connection>) -> Result<(), StoreError> {
        if let Some(lost) = &self.lost {
            return Err(StoreError::Failed(lost.clone()));
        }
        let path = self.file.path();
        let checked = self.wal.as_ref().map_or_else(|| self.file.name().check(), |wal| wal.check_names());
        let Err(lost) = checked else { return Ok(()) };
        let saved = connection.map(|connection| maintenance::rescue(connection, path));
        let advice = match saved {
            Some(Ok(to)) => {
                format!("what was in it is saved in {}; stop the shop and put that file in its place", to.display())
            }
            Some(Err(error)) => format!("what was in it could not be saved ({error})"),
            None => "the shop must be stopped".into(),
        };
        let lost = self.lost.insert(format!("{lost}; {advice}"));
        Err(StoreError::Failed(lost.clone()))
    }

    fn flusher(&mut self) -> Result<Box<dyn Flush>, StoreError> {
        let wal = Arc::new(Wal::open(&self.file)?);
        self.wal = Some(Arc::clone(&wal));
        Ok(Box::new(WalFlusher(wal)))
    }
}

impl LedgerStore for SqliteStore {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        // A connection that has failed is not used again, and must not write its stock snapshot.
        let failed = self.connection.take();
        self.check_names(failed.as_deref())?;
        drop(failed);
        let connection = self.open_durably()?;
        let state = self.read_state(&connection)?;
        let highest_keys = highest_keys(&connection)?;
        let superseded = schema::superseded(&connection)?;
        let flush = self.flusher()?;
        self.connection = Some(connection);
        Ok(Recovered { state, highest_keys, superseded, flush })
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        let connection = self.connection.as_ref().ok_or_else(not_recovered)?;
        for key in keys {
            if let Some(known) = known(connection, *key, state.head)? {
                state.known.insert(*key, known);
            }
        }
        for identity in identities {
            if let Some(book) = book_of(connection, identity)? {
                state.identities.insert(identity.clone(), book);
            }
        }
        Ok(())
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        let connection = self.connection.as_ref().ok_or_else(not_recovered)?;
        contacts::load(connection, orders, state)
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        let snapshot_due = state.head.0 - self.applied.0 >= SNAPSHOT_ENTRIES.max(state.last_book);
        batch.entries.iter().for_each(|entry| self.dirty.touch(entry));
        let snapshot = snapshot_due.then_some((&self.dirty, state));
        let length = self.wal_length.bytes();
        if length >= self.wal_bytes_max {
            let why = format!("another program reads the store, and its WAL has grown to {length} bytes meanwhile");
            return Err(AppendError::NotAppended(StoreError::Failed(why)));
        }
        if batch.contacts.iter().any(|change| change.contact.is_none()) {
            // What was erased is in the database file until its page is moved there.
            self.wal_length.move_soon();
        }
        let restarted = self.wal_length.take_restarted();
        let connection = self.connection.as_mut().ok_or_else(not_recovered).map_err(AppendError::NotAppended)?;
        // Until the commit begins, nothing of the transaction is in the ledger; a failed commit may have happened.
        let transaction = write(connection, batch, state.hash, snapshot).map_err(AppendError::NotAppended)?;
        if restarted {
            wal_owner::mark(&transaction).map_err(AppendError::NotAppended)?;
        }
        transaction.commit().map_err(|error| AppendError::Unknown(error.into()))?;
        if snapshot_due {
            self.applied = state.head;
            self.dirty.clear();
        }
        Ok(())
    }

    async fn supersede(&mut self, by: &LedgerIdentity) -> Result<(), StoreError> {
        let connection = self.connection.as_ref().ok_or_else(not_recovered)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute("UPDATE meta SET superseded = ?1", [by.to_string()])?;
        Ok(connection.pragma_update(None, "synchronous", "NORMAL")?)
    }

    /// Writes the stock snapshot, so that the next start has nothing to replay, and empties the WAL, so that all is in one file.
    async fn close(&mut self, state: &State) -> Result<(), StoreError> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        self.check_names(Some(&connection))?;
        wal_checkpoint::stop(&mut connection)?;
        let transaction = connection.transaction()?;
        stock_snapshot::write(&transaction, &self.dirty, &state.levels, state.head)?;
        transaction.commit()?;
        Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

impl Drop for SqliteStore {
    /// A store that failed and was not recovered since may have lost its file.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if let Err(error) = self.check_names(Some(&connection)) {
            tracing::error!(%error, "the store was closed");
        }
    }
}

/// The open WAL, and the names that lead to it and to its database.
#[derive(Debug)]
struct Wal {
    file: File,
    name: FileName,
    database: FileName,
}

impl Wal {
    fn open(database: &DatabaseFile) -> Result<Self, StoreError> {
        let path = beside(database.path(), "-wal");
        let failed = |error| StoreError::Failed(format!("cannot open {}: {error}", path.display()));
        // Opened for appending, as nothing else may be done with it.
        let file = File::options().append(true).open(&path).map_err(failed)?;
        let name = FileName::of(&file, path.clone()).map_err(failed)?;
        Ok(Self { file, name, database: database.name().clone() })
    }

    fn check_names(&self) -> Result<(), StoreError> {
        self.database.check()?;
        self.name.check()
    }
}

/// Flushes the WAL: `fdatasync`. Before that it checks that the database and the WAL still have their names: what is written to a
/// file without a name is lost with the process.
struct WalFlusher(Arc<Wal>);

#[async_trait]
impl Flush for WalFlusher {
    async fn flush(&mut self) -> Result<(), StoreError> {
        self.0.check_names()?;
        self.0.file.sync_data().map_err(|error| StoreError::Failed(format!("the WAL could not be flushed: {error}")))
    }
}

fn not_recovered() -> StoreError {
    StoreError::Failed("the store has not been recovered".into())
}

/// Replays the entries after the stock snapshot.
fn replay_tail(
    connection: &Connection,
    applied: Seq,
    state: &mut State,
    dirty: &mut DirtyRows,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&rows::select_entries("WHERE seq > ?1 ORDER BY seq"))?;
    let mut next = applied.next();
    for entry in statement.query_map([to_i64(applied.0)], rows::entry)? {
        let entry: Entry = entry?;
        if entry.seq != next {
            return Err(StoreError::Unusable(format!("the ledger is damaged: entry {next} is missing")));
        }
        next = next.next();
        decide::apply(&mut state.levels, &entry);
        dirty.touch(&entry);
    }
    Ok(())
}

fn highest_keys(connection: &Connection) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT key FROM ledger WHERE key IS NOT NULL ORDER BY key DESC LIMIT ?1";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([to_i64(RecentKeys::REACH as u64)], |row| row.get::<_, [u8; 16]>(0))?;
    Ok(rows.map(|row| row.map(|bytes| OrderId(Uuid::from_bytes(bytes)))).collect::<Result<_, _>>()?)
}

/// What the ledger holds under a key.
fn known(connection: &Connection, key: OrderId, head: Seq) -> Result<Option<Known>, StoreError> {
    Ok(Known::of(&rows::entries_of(connection, key, head)?))
}

/// The book that has this identity, or had it once.
fn book_of(connection: &Connection, identity: &str) -> Result<Option<BookId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM book WHERE identity = ?1 UNION ALL SELECT book FROM alias WHERE identity = ?1",
    )?;
    let id: Option<i64> = statement.query_row([identity], |row| row.get(0)).optional()?;
    Ok(id.map(|id| BookId(to_u64(id))))
}

/// Writes a batch, and the stock snapshot if it is due, into a transaction that is still to be committed.
fn write<'a>(
    connection: &'a mut Connection,
    batch: &Batch,
    hash: Hash,
    snapshot: Option<(&DirtyRows, &State)>,
) -> Result<Transaction<'a>, StoreError> {
    let transaction = connection.transaction()?;
    rows::append_entries(&transaction, &batch.entries)?;
    if !batch.entries.is_empty() {
        rows::end_batch(&transaction, hash)?;
    }
    books::take(&transaction, &batch.entries)?;
    holds::take(&transaction, &batch.entries)?;
    contacts::put(&transaction, &batch.contacts)?;
    if let Some((dirty, state)) = snapshot {
        stock_snapshot::write(&transaction, dirty, &state.levels, state.head)?;
    }
    Ok(transaction)
}

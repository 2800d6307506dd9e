//! The writing half: loads what a batch touches, appends it in one transaction, flushes the WAL.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

use super::{
    Lock, StoreError, beside, checkpoint,
    recent::RecentKeys,
    rows::{self, to_i64, to_u64},
    schema,
    stock::{self, Dirty},
    unusable,
};
use crate::{
    book::{BookId, NewBook},
    decide::{self, Batch, Command, Known, State},
    ledger::{Entry, Kind, Seq},
    store::{Flush, LedgerStore},
    writer::Execution,
};

/// After so many entries, or as many as there are books if these are more, the stock table is brought up to date: what a
/// start after a crash has to replay at most.
const CHECKPOINT_ENTRIES: u64 = 65_536;

/// The writing half of a ledger in a SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    execution: Execution,
    connection: Option<Connection>,
    /// The stock table is as of this entry, …
    applied: Seq,
    /// … but for these rows.
    dirty: Dirty,
    recent: RecentKeys,
    // After the connection, so that it is given back last.
    _lock: Arc<Lock>,
}

impl SqliteStore {
    pub(super) fn new(path: &Path, execution: Execution, lock: Arc<Lock>) -> Self {
        Self {
            path: path.to_owned(),
            execution,
            connection: None,
            applied: Seq(0),
            dirty: Dirty::default(),
            recent: RecentKeys::default(),
            _lock: lock,
        }
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(|| StoreError::Failed("the store has not been recovered".into()))
    }

    /// What is on the disk, made durable before anybody is told.
    fn open_durably(&self) -> Result<Connection, StoreError> {
        let mut connection = schema::open(&self.path, schema::Role::Ledger, Uuid::nil())?;
        match self.execution {
            Execution::Threads => checkpoint::on_thread(&mut connection, &self.path)?,
            Execution::Task => checkpoint::in_commits(&connection)?,
        }
        // After a failed flush the kernel may hold pages that it no longer means to write:
        // copying the WAL into the database writes and syncs every one of them anew.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            return Err(StoreError::Failed("a reader keeps the WAL from being emptied".into()));
        }
        // The first commit makes the WAL again; with FULL it also syncs the directory that names it.
        connection.execute("UPDATE meta SET applied = applied", [])?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }
}

impl LedgerStore for SqliteStore {
    fn recover(&mut self) -> Result<State, StoreError> {
        // A connection that failed is worth nothing, and must not write its stock back.
        self.connection = None;
        let connection = self.open_durably()?;
        let mut state = State { head: rows::head(&connection)?, ..State::default() };
        let last_book: Option<i64> = connection.query_row("SELECT max(id) FROM book", [], |row| row.get(0))?;
        state.last_book = to_u64(last_book.unwrap_or_default());
        self.applied = rows::applied(&connection)?;
        if self.applied > state.head {
            return Err(unusable(&self.path, "it is damaged: its stock is newer than its ledger"));
        }
        self.dirty.clear();
        state.levels = stock::read(&connection)?;
        replay_tail(&connection, self.applied, &mut state, &mut self.dirty)?;
        self.recent = recent_keys(&connection)?;
        self.connection = Some(connection);
        Ok(state)
    }

    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError> {
        let connection = self.connection()?;
        for command in commands {
            if let Command::AddBook { book } = command {
                load_identity(connection, book, state)?;
            }
            let Some(key) = command.key().filter(|key| !self.recent.is_new(*key)) else { continue };
            let entries = rows::entries_of(connection, key, state.head)?;
            let known = rows::fold_order(&entries).map(Known::Order);
            let amended = || entries.first().map(|entry| Known::Amend(entry.kind, entry.changes[0]));
            if let Some(known) = known.or_else(amended) {
                state.known.insert(key, known);
            }
        }
        Ok(())
    }

    fn append(&mut self, batch: &Batch, state: &State) -> Result<(), StoreError> {
        let checkpoint = state.head.0 - self.applied.0 >= CHECKPOINT_ENTRIES.max(state.last_book);
        batch.entries.iter().for_each(|entry| self.dirty.touch(entry));
        let dirty = &self.dirty;
        let connection = self.connection.as_mut().ok_or_else(|| StoreError::Failed("not recovered".into()))?;
        let transaction = connection.transaction()?;
        rows::append_entries(&transaction, &batch.entries)?;
        insert_books(&transaction, &batch.listed)?;
        reprice(&transaction, batch)?;
        if checkpoint {
            dirty.write(&transaction, &state.levels, state.head)?;
        }
        transaction.commit()?;
        batch.entries.iter().filter_map(|entry| entry.key).for_each(|key| self.recent.insert(key));
        if checkpoint {
            self.applied = state.head;
            self.dirty.clear();
        }
        Ok(())
    }

    /// Writes the stock back, so that the next start has nothing to replay, and empties the WAL, so that all is in one file.
    fn close(&mut self, state: &State) -> Result<(), StoreError> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        checkpoint::stop(&mut connection)?;
        let transaction = connection.transaction()?;
        self.dirty.write(&transaction, &state.levels, state.head)?;
        transaction.commit()?;
        Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError> {
        let path = beside(&self.path, "-wal");
        let opened = File::options().append(true).open(&path);
        let wal = opened.map_err(|error| StoreError::Failed(format!("cannot open {}: {error}", path.display())))?;
        Ok(Box::new(WalFlusher { wal }))
    }
}

/// Flushes what has been appended to the WAL.
struct WalFlusher {
    wal: File,
}

impl Flush for WalFlusher {
    fn flush(&mut self) -> Result<(), StoreError> {
        self.wal.sync_data().map_err(|error| StoreError::Failed(format!("the WAL could not be flushed: {error}")))
    }
}

fn replay_tail(connection: &Connection, applied: Seq, state: &mut State, dirty: &mut Dirty) -> Result<(), StoreError> {
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

fn load_identity(connection: &Connection, book: &NewBook, state: &mut State) -> Result<(), StoreError> {
    let identity = book.text.identity();
    let mut statement = connection.prepare_cached("SELECT id FROM book WHERE identity = ?1")?;
    let id: Option<i64> = statement.query_row([&identity], |row| row.get(0)).optional()?;
    if let Some(id) = id {
        state.identities.insert(identity, BookId(to_u64(id)));
    }
    Ok(())
}

fn insert_books(transaction: &Transaction<'_>, listed: &[(BookId, NewBook)]) -> Result<(), StoreError> {
    if listed.is_empty() {
        return Ok(());
    }
    let mut book = transaction.prepare_cached("INSERT INTO book VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?;
    let mut fts =
        transaction.prepare_cached("INSERT INTO book_fts (rowid, title, author, subjects) VALUES (?1,?2,?3,?4)")?;
    for (id, new) in listed {
        let (id, text) = (to_i64(id.0), &new.text);
        let subjects = serde_json::to_string(&text.subjects).expect("strings are JSON");
        let price = to_i64(new.price_cents.get());
        let (identity, isbn) = (text.identity(), &text.isbn);
        book.execute(params![id, identity, text.title, text.author, text.topic, isbn, text.year, subjects, price])?;
        fts.execute(params![id, text.title, text.author, text.subjects.join(" \n ")])?;
    }
    Ok(())
}

fn reprice(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), StoreError> {
    for entry in batch.entries.iter().filter(|entry| entry.kind == Kind::Reprice) {
        let mut statement = transaction.prepare_cached("UPDATE book SET price_cents = ?2 WHERE id = ?1")?;
        for change in &entry.changes {
            statement.execute([to_i64(change.book.0), to_i64(change.price_cents.get())])?;
        }
    }
    Ok(())
}

/// The keys that a start remembers.
fn recent_keys(connection: &Connection) -> Result<RecentKeys, StoreError> {
    let sql = "SELECT key FROM ledger WHERE key IS NOT NULL ORDER BY key DESC LIMIT ?1";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([to_i64(RecentKeys::REACH as u64)], |row| row.get::<_, [u8; 16]>(0))?;
    let highest: Vec<Uuid> = rows.map(|row| row.map(Uuid::from_bytes)).collect::<Result<_, _>>()?;
    Ok(RecentKeys::of(&highest))
}

//! The raw ceiling: the ledger's rows written by bare prepared statements, and nothing else.
//!
//! The file is made by the real store, so the tables are the ledger's. Ids and texts are drawn before anything is
//! measured; each batch is one transaction that waits for the disk (WAL, `synchronous=FULL`). As in the store, SQLite counts the
//! entries itself: rows that bring their number take longer.

use bookstore_core::{
    OrderId, SystemClock,
    store::sqlite::{self, SqliteOptions},
};
use rusqlite::{Connection, Statement};
use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    catalogue::PLENTY,
    race::{BookChoice, fresh_id},
};

/// Rows of one transaction.
pub const BATCH: usize = 4096;
/// Rows of one statement.
const ROWS: usize = 64;
/// WAL pages after which SQLite moves them into the database file, as in the store.
const WAL_PAGES: u32 = 8_192;

/// One sale's row without its sequence number.
#[derive(Debug)]
pub struct Row {
    at_ms: i64,
    key: OrderId,
    changes: String,
}

/// The rows of `count` purchases.
#[must_use]
pub fn rows(count: usize, choice: BookChoice) -> Vec<Row> {
    let mut stock = PLENTY;
    let row = |n: u64| {
        stock -= 1;
        let changes = format!("[[{},-1,1999,{stock}]]", choice.book(n));
        Row { at_ms: 1_700_000_000_000 + n.cast_signed() / 500, key: fresh_id(), changes }
    };
    (0..count as u64).map(row).collect()
}

/// A file with a ledger's tables.
#[derive(Debug)]
pub struct Ceiling {
    connection: Connection,
}

/// One row.
const ONE: &str = "INSERT OR ROLLBACK INTO ledger (at_ms, kind, key, changes) VALUES (?,?,?,?)";

impl Ceiling {
    /// A new file.
    ///
    /// # Panics
    /// If SQLite fails.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        drop(sqlite::open(path, &SystemClock, SqliteOptions::default()).expect("a new store opens"));
        let connection = Connection::open(path).expect("open");
        connection.pragma_update(None, "journal_mode", "wal").expect("wal");
        connection.pragma_update(None, "synchronous", "FULL").expect("full");
        connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES).expect("checkpoint");
        connection.pragma_update(None, "cache_size", -8192).expect("cache");
        Self { connection }
    }

    /// Writes the rows, [`BATCH`] a transaction, and returns how long it took.
    ///
    /// # Panics
    /// If SQLite fails.
    pub fn write(&mut self, rows: &[Row]) -> Duration {
        let many = format!("{ONE}{}", ",(?,?,?,?)".repeat(ROWS - 1));
        let mut one = self.connection.prepare(ONE).expect("statement");
        let mut many = self.connection.prepare(&many).expect("statement");
        let started = Instant::now();
        for batch in rows.chunks(BATCH) {
            self.connection.execute_batch("BEGIN IMMEDIATE").expect("begin");
            let mut chunks = batch.chunks_exact(ROWS);
            for chunk in &mut chunks {
                insert(&mut many, chunk);
            }
            for row in chunks.remainder() {
                insert(&mut one, std::slice::from_ref(row));
            }
            self.connection.execute_batch("COMMIT").expect("commit");
        }
        started.elapsed()
    }

    /// Writes every row in a transaction of its own, and returns how long each took.
    ///
    /// # Panics
    /// If SQLite fails.
    pub fn commits(&mut self, rows: &[Row]) -> Vec<Duration> {
        let mut statement = self.connection.prepare(ONE).expect("statement");
        let mut commit = |row| {
            let started = Instant::now();
            insert(&mut statement, std::slice::from_ref(row));
            started.elapsed()
        };
        rows.iter().map(&mut commit).collect()
    }
}

fn insert(statement: &mut Statement<'_>, rows: &[Row]) {
    const SALE: i64 = 1;
    for (at, row) in rows.iter().enumerate() {
        let mut bind = |column: usize, value: &dyn rusqlite::ToSql| {
            statement.raw_bind_parameter(at * 4 + column, value).expect("bind");
        };
        bind(1, &row.at_ms);
        bind(2, &SALE);
        bind(3, &row.key.0.as_bytes().as_slice());
        bind(4, &row.changes);
    }
    statement.raw_execute().expect("insert");
}

//! The safe design without batches: every purchase is one transaction, and every transaction waits for the disk.

use bookstore_core::{BookId, Error, OrderId, Result};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use crate::race::Seller;

/// A shop on SQLite (WAL, `synchronous=FULL`) that takes stock and records the order in one transaction.
#[derive(Debug)]
pub struct Atomic {
    connection: Arc<Mutex<Connection>>,
    free: tokio::sync::Semaphore,
}

impl Atomic {
    /// A shop with `books` books of `stock` copies each.
    ///
    /// # Panics
    /// If SQLite fails.
    #[must_use]
    pub fn open(path: &Path, books: u64, stock: u32) -> Self {
        let mut connection = Connection::open(path).expect("open");
        connection.pragma_update(None, "journal_mode", "wal").expect("wal");
        connection.pragma_update(None, "synchronous", "FULL").expect("full");
        let transaction = connection.transaction().expect("begin");
        let tables = "CREATE TABLE book (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL CHECK (stock >= 0));
                      CREATE TABLE orders (id BLOB PRIMARY KEY, book INTEGER NOT NULL) WITHOUT ROWID;";
        transaction.execute_batch(tables).expect("tables");
        for book in 1..=books {
            transaction.execute("INSERT INTO book VALUES (?1, ?2)", (book.cast_signed(), stock)).expect("book");
        }
        transaction.commit().expect("commit");
        Self { connection: Arc::new(Mutex::new(connection)), free: tokio::sync::Semaphore::new(1) }
    }

    /// Orders written.
    ///
    /// # Panics
    /// If SQLite fails.
    #[must_use]
    pub fn orders(&self) -> u64 {
        let connection = self.connection.lock().expect("not poisoned");
        let orders = connection.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0));
        orders.expect("count").cast_unsigned()
    }
}

fn purchase(connection: &mut Connection, id: OrderId, book: BookId) -> rusqlite::Result<bool> {
    let row = book.0.cast_signed();
    let transaction = connection.transaction()?;
    let take = "UPDATE book SET stock = stock - 1 WHERE id = ?1 AND stock > 0";
    let taken = transaction.prepare_cached(take)?.execute([row])? == 1;
    if taken {
        transaction.prepare_cached("INSERT INTO orders VALUES (?1, ?2)")?.execute((id.0.as_bytes(), row))?;
    }
    transaction.commit()?;
    Ok(taken)
}

impl Seller for Atomic {
    async fn sell(&self, id: OrderId, book: BookId) -> Result<()> {
        let _permit = self.free.acquire().await.expect("never closed");
        let connection = Arc::clone(&self.connection);
        let work = move || purchase(&mut connection.lock().expect("not poisoned"), id, book);
        let done = tokio::task::spawn_blocking(work).await.expect("the database does not panic");
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::OutOfStock { book, available: 0, short: Vec::new() }),
            Err(error) => Err(Error::unavailable(error.to_string())),
        }
    }
}

//! The textbook design: ask "is it in stock?", then decrement, then write the order. It races, and its oversells are counted.

use bookstore_core::{BookId, Error, OrderId, Result};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use crate::{last_copy::Holder, race::Seller};

/// A shop on SQLite (WAL, `synchronous=FULL`) that sells in three steps, each a transaction of its own.
#[derive(Debug)]
pub struct Textbook {
    connections: Arc<Mutex<Vec<Connection>>>,
    free: tokio::sync::Semaphore,
}

impl Textbook {
    /// A shop with `books` books of `stock` copies each.
    ///
    /// # Panics
    /// If SQLite fails.
    #[must_use]
    pub fn open(path: &Path, books: u64, stock: u32) -> Self {
        const CONNECTIONS: usize = 8;
        let connect = || {
            let connection = Connection::open(path).expect("open");
            connection.busy_timeout(std::time::Duration::from_secs(30)).expect("timeout");
            connection.pragma_update(None, "journal_mode", "wal").expect("wal");
            connection.pragma_update(None, "synchronous", "FULL").expect("full");
            connection
        };
        let mut first = connect();
        let transaction = first.transaction().expect("begin");
        transaction
            .execute_batch(
                "CREATE TABLE book (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL);
                 CREATE TABLE orders (id BLOB PRIMARY KEY, book INTEGER NOT NULL) WITHOUT ROWID;
                 CREATE TABLE hold (id BLOB PRIMARY KEY, book INTEGER NOT NULL) WITHOUT ROWID;",
            )
            .expect("tables");
        for book in 1..=books {
            transaction.execute("INSERT INTO book VALUES (?1, ?2)", (book.cast_signed(), stock)).expect("book");
        }
        transaction.commit().expect("commit");
        let connections = std::iter::once(first).chain((1..CONNECTIONS).map(|_| connect())).collect();
        Self { connections: Arc::new(Mutex::new(connections)), free: tokio::sync::Semaphore::new(CONNECTIONS) }
    }

    /// One request to the database: a connection, a statement, a commit.
    async fn request<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> T + Send + 'static) -> T {
        let _permit = self.free.acquire().await.expect("never closed");
        let connections = Arc::clone(&self.connections);
        let connection = connections.lock().expect("lock").pop().expect("as many as permits");
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&connection);
            connections.lock().expect("lock").push(connection);
            result
        });
        done.await.expect("the database does not panic")
    }

    /// Orders written.
    ///
    /// # Panics
    /// If SQLite fails.
    pub async fn orders(&self) -> u64 {
        let count = |c: &Connection| c.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0));
        self.request(move |connection| count(connection).expect("count").cast_unsigned()).await
    }
}

impl Textbook {
    /// Copies of book 1.
    async fn stock(&self) -> i64 {
        let stock = |c: &Connection| c.query_row("SELECT stock FROM book WHERE id = 1", [], |row| row.get(0));
        self.request(move |connection| stock(connection).expect("a book")).await
    }

    async fn execute(&self, sql: &'static str, id: OrderId) -> bool {
        self.request(move |c| c.execute(sql, [id.0.as_bytes()]).expect("a statement")).await > 0
    }

    async fn set_stock(&self, stock: i64) {
        self.request(move |c| c.execute("UPDATE book SET stock = ?1 WHERE id = 1", [stock]).expect("an update")).await;
    }
}

/// Each step asks first and writes then, as the sale does.
impl Holder for Textbook {
    async fn hold(&self, id: OrderId) -> bool {
        let stock = self.stock().await;
        if stock <= 0 {
            return false;
        }
        self.set_stock(stock - 1).await;
        self.execute("INSERT INTO hold VALUES (?1, 1)", id).await
    }

    async fn confirm(&self, id: OrderId) -> bool {
        self.execute("INSERT INTO orders SELECT * FROM hold WHERE id = ?1", id).await
    }

    async fn cancel(&self, id: OrderId) -> bool {
        let stock = self.stock().await;
        self.set_stock(stock + 1).await;
        self.execute("DELETE FROM hold WHERE id = ?1", id).await
    }

    async fn lapse(&self, id: OrderId) -> bool {
        self.cancel(id).await
    }
}

impl Seller for Textbook {
    async fn sell(&self, id: OrderId, book: BookId) -> Result<()> {
        let row = book.0.cast_signed();
        let stock: i64 = self
            .request(move |c| c.query_row("SELECT stock FROM book WHERE id = ?1", [row], |row| row.get(0)))
            .await
            .map_err(|error| Error::unavailable(error.to_string()))?;
        if stock <= 0 {
            return Err(Error::OutOfStock { book, available: 0, short: Vec::new() });
        }
        let written = self
            .request(move |connection| {
                connection.execute("UPDATE book SET stock = ?2 WHERE id = ?1", (row, stock - 1))?;
                connection.execute("INSERT INTO orders VALUES (?1, ?2)", (id.0.as_bytes(), row))
            })
            .await;
        written.map(drop).map_err(|error| Error::unavailable(error.to_string()))
    }
}

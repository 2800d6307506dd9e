//! All books and orders of a store as of one moment, for a reader beside the process that writes it: exports.

use rusqlite::Connection;
use std::path::Path;

use super::{Snapshot, StoreError, contacts, rows, stock_snapshot};
use crate::{
    book::Book,
    contact::Contact,
    decide::{self, Levels},
    id::{BookId, OrderId, Seq},
    page::{FoundOrders, OrderScan},
};

/// A ledger, or a copy of one, as of the moment when it was opened, however long it is read. It takes 32 bytes a book in memory.
///
/// It never holds up the writer, but the WAL cannot start again before it is dropped.
///
/// ```no_run
/// use bookstore_core::{BookId, store::{StoreError, sqlite::View}};
/// use std::path::Path;
///
/// # fn main() -> Result<(), StoreError> {
/// let view = View::open(Path::new("shop.db"))?;
/// for id in (1..=view.last_book().0).map(BookId) {
///     if let Some(book) = view.book(id)? {
///         println!("{}: {} copies", book.text.title(), book.stock);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct View {
    /// In a transaction that only reads.
    connection: Connection,
    head: Seq,
    levels: Levels,
}

impl View {
    /// Opens the store in the file `path`, read-only.
    ///
    /// # Errors
    /// As [`Snapshot::open`], and [`StoreError::Unusable`] or [`StoreError::Failed`] if the file is damaged or cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Snapshot::open(path)?.into_connection();
        // What is read first says which moment it is.
        connection.execute_batch("BEGIN")?;
        let role: String = connection.query_row("SELECT role FROM meta", [], |row| row.get(0))?;
        let applied = rows::applied(&connection)?;
        // A copy has no snapshot of its levels.
        let (head, mut levels, after) = match &role[..] {
            "copy" => (applied, Levels::default(), Seq(0)),
            _ => (rows::head(&connection)?, stock_snapshot::read(&connection)?, applied),
        };
        let mut later = connection.prepare(&rows::select_entries("WHERE seq > ?1 ORDER BY seq"))?;
        for entry in later.query_map([rows::to_i64(after.0)], rows::entry)? {
            decide::apply(&mut levels, &entry?);
        }
        drop(later);
        Ok(Self { connection, head, levels })
    }

    /// The last book; 0 if there is none. Numbers are dense from 1.
    #[must_use]
    pub fn last_book(&self) -> BookId {
        self.levels.last()
    }

    /// One book, also one that is off sale.
    ///
    /// # Errors
    /// [`StoreError::Unusable`], [`StoreError::Failed`] if the file is damaged or cannot be read.
    pub fn book(&self, id: BookId) -> Result<Option<Book>, StoreError> {
        let Some(level) = self.levels.get(id) else { return Ok(None) };
        match rows::text(&self.connection, id, level.text_version)? {
            Some(text) => Ok(Some(level.of(id, text))),
            None => Err(StoreError::Unusable(format!("it is damaged: book {id} has no text"))),
        }
    }

    /// Looks for orders, newest first, as [`OrderScan::run`] does.
    ///
    /// # Errors
    /// As [`Self::book`].
    pub fn find_orders(&self, scan: &OrderScan) -> Result<FoundOrders, StoreError> {
        rows::find_orders(&self.connection, scan, self.head)
    }

    /// The contact of an order, if it has one.
    ///
    /// # Errors
    /// As [`Self::book`].
    pub fn contact(&self, order: OrderId) -> Result<Option<Contact>, StoreError> {
        Ok(contacts::find(&self.connection, order)?.flatten())
    }
}

//! The tables of the books: their texts, and what they are and were called. They follow the ledger's entries, in the same transactions.

use rusqlite::{Connection, params};

use super::{StoreError, rows::to_i64};
use crate::{
    book::{BookText, Isbn},
    id::BookId,
    ledger::{Entry, Kind},
};

/// Takes in new books, and the new texts of others.
pub(super) fn take(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Listing | Kind::Revise)) {
        let Some((book, text)) = entry.book_text() else {
            return Err(StoreError::Unusable(format!("the ledger is damaged: entry {} has no text", entry.seq)));
        };
        if entry.kind == Kind::Revise {
            keep_identity(connection, book)?;
        }
        put(connection, book, text.into())?;
    }
    Ok(())
}

/// A book is found under what it was called before, too.
fn keep_identity(connection: &Connection, book: BookId) -> Result<(), StoreError> {
    let keep = "INSERT OR IGNORE INTO alias (identity, book) SELECT identity, id FROM book WHERE id = ?1";
    connection.prepare_cached(keep)?.execute([to_i64(book.0)])?;
    Ok(())
}

fn put(connection: &Connection, book: BookId, text: BookText) -> Result<(), StoreError> {
    let subjects = serde_json::to_string(&text.subjects).expect("strings are JSON");
    let (identity, isbn) = (text.identity(), text.isbn.map(Isbn::digits));
    // An update in place: `OR REPLACE` would also drop another book of the same identity.
    let mut insert = connection.prepare_cached(
        "INSERT INTO book (id, identity, title, author, topic, isbn, year, subjects) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)
         ON CONFLICT (id) DO UPDATE SET identity = ?2, title = ?3, author = ?4, topic = ?5, isbn = ?6, year = ?7, subjects = ?8",
    )?;
    let BookText { title, author, topic, year, .. } = text;
    insert.execute(params![to_i64(book.0), identity, title, author, topic, isbn, year, subjects])?;
    Ok(())
}

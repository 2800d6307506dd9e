//! The tables of the books: what they are and were called. They follow the ledger's entries, in the same transactions.

use rusqlite::Connection;

use super::{StoreError, rows::to_i64};
use crate::{
    book::BookText,
    id::BookId,
    ledger::{Entry, Kind},
};

/// Takes in new books, and new identities of others.
pub(super) fn take(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Listing | Kind::Revise)) {
        let Some((book, text)) = entry.book_text() else {
            return Err(StoreError::Unusable(format!("the ledger is damaged: entry {} has no text", entry.seq)));
        };
        if entry.kind == Kind::Revise {
            keep_identity(connection, book)?;
        }
        // An update in place: `OR REPLACE` would also drop another book of the same identity.
        let mut put = connection.prepare_cached(
            "INSERT INTO book (id, identity, text_version) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET identity = ?2, text_version = ?3",
        )?;
        put.execute((to_i64(book.0), BookText::from(text).identity(), to_i64(entry.seq.0)))?;
    }
    Ok(())
}

/// A book is found under what it was called before, too.
fn keep_identity(connection: &Connection, book: BookId) -> Result<(), StoreError> {
    let keep = "INSERT OR IGNORE INTO alias (identity, book) SELECT identity, id FROM book WHERE id = ?1";
    connection.prepare_cached(keep)?.execute([to_i64(book.0)])?;
    Ok(())
}

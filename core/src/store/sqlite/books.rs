//! The table of the books: their texts. It follows the ledger's entries, in the same transactions.

use rusqlite::{Connection, params};

use super::{StoreError, rows::to_i64};
use crate::{
    book::{BookText, Isbn},
    ledger::{Entry, Kind},
};

/// Takes in new books.
pub(super) fn insert(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    entries.iter().filter(|entry| entry.kind == Kind::Listing).try_for_each(|listing| insert_book(connection, listing))
}

fn insert_book(connection: &Connection, listing: &Entry) -> Result<(), StoreError> {
    let Some((book, text)) = listing.book_text() else {
        return Err(StoreError::Unusable(format!("the ledger is damaged: entry {} lists no book", listing.seq)));
    };
    let text = BookText::from(text);
    let subjects = serde_json::to_string(&text.subjects).expect("strings are JSON");
    let (identity, isbn) = (text.identity(), text.isbn.map(Isbn::digits));
    let mut insert = connection.prepare_cached("INSERT INTO book VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")?;
    let BookText { title, author, topic, year, .. } = text;
    insert.execute(params![to_i64(book.0), identity, title, author, topic, isbn, year, subjects])?;
    Ok(())
}

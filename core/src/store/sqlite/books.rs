//! The table of the books: what a search finds, sorts by, and shows. It follows the ledger's entries, in the same transactions.

use rusqlite::{Connection, params};

use super::{StoreError, rows::to_i64};
use crate::{
    book::{BookText, Isbn},
    ledger::{Entry, Kind},
};

/// Takes in entries: new books, and new prices.
pub(super) fn insert(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries {
        match entry.kind {
            Kind::Listing => insert_book(connection, entry)?,
            Kind::Reprice => reprice(connection, entry)?,
            _ => {}
        }
    }
    Ok(())
}

fn insert_book(connection: &Connection, listing: &Entry) -> Result<(), StoreError> {
    let (Some(text), Some(change)) = (&listing.text, listing.changes.first()) else {
        return Err(StoreError::Unusable(format!("the ledger is damaged: entry {} lists no book", listing.seq)));
    };
    let (id, price, text) = (to_i64(change.book.0), to_i64(change.price_cents.get()), BookText::from(text));
    let subjects = serde_json::to_string(&text.subjects).expect("strings are JSON");
    let mut book = connection.prepare_cached("INSERT INTO book VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?;
    let (identity, isbn) = (text.identity(), text.isbn.map(Isbn::digits));
    book.execute(params![id, identity, text.title, text.author, text.topic, isbn, text.year, subjects, price])?;
    Ok(())
}

/// Brings the prices up to date that searches sort by.
fn reprice(connection: &Connection, entry: &Entry) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("UPDATE book SET price_cents = ?2 WHERE id = ?1")?;
    for change in &entry.changes {
        statement.execute([to_i64(change.book.0), to_i64(change.price_cents.get())])?;
    }
    Ok(())
}

//! The upgrade of a file of an earlier format.

use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{
    StoreError, contacts, rows,
    schema::{
        ALIAS_TABLE, BOOK_TABLE, COPY_TABLE, HOLD_TABLE, LEDGER_INDEX, LEDGER_TABLE, META_TABLE, NewIds, ORDER_TABLE,
        Role, TEXT_TABLE, VERSION, set_identity,
    },
    wal_owner,
};
use crate::{
    book::{BookText, Isbn},
    history::{Hash, LedgerIdentity},
};

/// What a file of format 2 has for searches: catalogs search beside the store now.
const SEARCHES_OF_FORMAT_2: &str = "
    DROP TABLE IF EXISTS book_fts;
    DROP INDEX IF EXISTS book_topic;
    DROP INDEX IF EXISTS book_title;
    DROP INDEX IF EXISTS book_price;
    DROP INDEX IF EXISTS book_newest;
";

/// Brings a file of format 2 up to date. Its entries become batches, under one timeline; its stock snapshot is made again, as it lacks
/// the versions of the texts. A copy starts again from the first entry, since it cannot tell the hash up to its last one.
pub(super) fn upgrade(connection: &mut Connection, role: Role, ids: NewIds) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let ledger: Option<[u8; 16]> = transaction.query_row("SELECT ledger FROM meta", [], |row| row.get(0))?;
    transaction.execute_batch("DROP TABLE meta; DROP INDEX ledger_key; ALTER TABLE ledger RENAME TO earlier;")?;
    transaction.execute_batch(META_TABLE)?;
    transaction.execute_batch(LEDGER_TABLE)?;
    match role {
        Role::Ledger => {
            let copy = "INSERT INTO ledger SELECT seq, at_ms, kind, key, changes, NULL FROM earlier ORDER BY seq";
            transaction.execute(copy, [])?;
            transaction.execute_batch(SEARCHES_OF_FORMAT_2)?;
            transaction.execute_batch(HOLD_TABLE)?;
            transaction.execute_batch(ALIAS_TABLE)?;
            transaction.execute_batch("DELETE FROM stock;")?;
            transaction.execute_batch("ALTER TABLE book RENAME TO earlier_book;")?;
            transaction.execute_batch(BOOK_TABLE)?;
        }
        Role::Copy => {
            transaction.execute_batch(COPY_TABLE)?;
        }
    }
    transaction.execute_batch("DROP TABLE earlier;")?;
    transaction.execute_batch(LEDGER_INDEX)?;
    transaction.execute_batch(TEXT_TABLE)?;
    transaction.execute_batch(ORDER_TABLE)?;
    transaction.execute_batch(contacts::TABLE)?;
    let new = "INSERT INTO meta (one, role, timelines, applied) VALUES (1, ?1, '[]', 0)";
    transaction.execute(new, [role.name()])?;
    if let (Role::Ledger, Some(ledger)) = (role, ledger) {
        set_identity(&transaction, &LedgerIdentity::new(Uuid::from_bytes(ledger), ids.timeline))?;
        take_books(&transaction)?;
        end_batches(&transaction)?;
    }
    if role == Role::Ledger {
        transaction.execute_batch("DROP TABLE earlier_book;")?;
    }
    wal_owner::set_new(&transaction, ids.wal)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// A book of format 2.
struct EarlierBook {
    id: i64,
    identity: String,
    /// The entry that listed it.
    seq: i64,
    text: BookText,
}

impl EarlierBook {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (author, subjects): (String, String) = (row.get(4)?, row.get(8)?);
        let isbn: Option<String> = row.get(6)?;
        let read = isbn.as_deref().and_then(|isbn| Isbn::read(isbn).ok().flatten());
        let text = BookText {
            title: row.get(3)?,
            authors: author.split(';').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect(),
            topic: row.get(5)?,
            isbn: read,
            // A number that is no ISBN is the shop's own.
            sku: isbn.filter(|_| read.is_none()).unwrap_or_default(),
            year: row.get(7)?,
            subjects: serde_json::from_str(&subjects).unwrap_or_default(),
            ..BookText::default()
        };
        Ok(Self { id: row.get(0)?, identity: row.get(1)?, seq: row.get(2)?, text })
    }
}

/// Gives the entries that list books the texts of the books, and the books the identities of today.
///
/// What a book was called before leads to it still. Two books that would be one today, such as those of an ISBN in two spellings,
/// both stay: one of them under its earlier identity.
fn take_books(connection: &Connection) -> Result<(), StoreError> {
    let mut books = connection.prepare(
        "SELECT book.id, identity, ledger.seq, title, author, topic, isbn, year, subjects FROM ledger
         JOIN earlier_book AS book ON book.id = json_extract(ledger.changes, '$[0][0]') WHERE kind = 5 ORDER BY ledger.seq",
    )?;
    let mut put_text = connection.prepare("INSERT INTO entry_text (seq, text) VALUES (?1, ?2)")?;
    let mut put_book = connection.prepare("INSERT INTO book (id, identity, text_version) VALUES (?1, ?2, ?3)")?;
    for book in books.query_map([], EarlierBook::read)? {
        let EarlierBook { id, identity, seq, text } = book?;
        put_text.execute((seq, serde_json::to_string(&text).expect("strings are JSON")))?;
        put_book.execute((id, identity, seq))?;
    }
    let (mut rename, mut keep) = (
        connection.prepare("UPDATE OR IGNORE book SET identity = ?2 WHERE id = ?1")?,
        connection.prepare("INSERT INTO alias (identity, book) VALUES (?1, ?2)")?,
    );
    for book in books.query_map([], EarlierBook::read)? {
        let EarlierBook { id, identity, text, .. } = book?;
        let now = text.identity();
        if now == identity {
            continue;
        }
        if rename.execute((id, &now))? == 1 {
            keep.execute((identity, id))?;
        } else {
            tracing::warn!(
                book = id,
                title = text.title,
                isbn = text.isbn.map(tracing::field::display),
                "another book is the same by now; both stay"
            );
        }
    }
    Ok(())
}

/// Divides a ledger whose batches are not known into batches of 1,024 entries.
fn end_batches(connection: &Connection) -> Result<(), StoreError> {
    let mut next = connection.prepare(&rows::select_entries("WHERE seq > ?1 ORDER BY seq LIMIT 1024"))?;
    let mut end = connection.prepare("UPDATE ledger SET hash = ?1 WHERE seq = ?2")?;
    let (mut last, mut hash) = (0, Hash::EMPTY);
    loop {
        let entries = next.query_map([last], rows::entry)?.collect::<Result<Vec<_>, _>>()?;
        let Some(entry) = entries.last() else { return Ok(()) };
        hash = hash.after(&entries);
        last = rows::to_i64(entry.seq.0);
        end.execute((hash.0, last))?;
    }
}

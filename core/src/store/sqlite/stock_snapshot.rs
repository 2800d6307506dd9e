//! The stock snapshot: the level of every book as of one entry, in the table `stock`, so that a start need not replay the whole
//! ledger.
//!
//! The snapshot is true as of entry `meta.applied`; a start replays the entries after it. It is rewritten every 65,536 entries (or
//! as many as there are books, if these are more) and when the store is closed. A row holds the levels of neighbouring books and
//! fills a page: between two snapshots, purchases of many different books touch nearly every page of the table anyway.

use rusqlite::{Connection, Transaction, params};

use super::{
    StoreError,
    rows::{to_i64, to_u64},
};
use crate::{decide::Levels, id::Seq, store::level_rows};

pub(super) use crate::store::level_rows::DirtyRows;

/// Writes the marked rows, which makes the snapshot true as of `head`.
pub(super) fn write(
    transaction: &Transaction<'_>,
    dirty: &DirtyRows,
    levels: &Levels,
    head: Seq,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO stock VALUES (?1,?2)")?;
    for (row, bytes) in dirty.encoded(levels) {
        statement.execute(params![to_i64(row), bytes])?;
    }
    transaction.execute("UPDATE meta SET applied = ?1", [to_i64(head.0)])?;
    Ok(())
}

/// Reads the snapshot: the levels as of `meta.applied`.
///
/// # Errors
/// - [`StoreError::Unusable`] if a row is damaged.
/// - [`StoreError::Failed`] if the table cannot be read.
pub(super) fn read(connection: &Connection) -> Result<Levels, StoreError> {
    let mut levels = Levels::default();
    let mut statement = connection.prepare("SELECT row, levels FROM stock ORDER BY row DESC")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        level_rows::decode_row(to_u64(row.get(0)?), bytes, &mut levels)?;
    }
    Ok(levels)
}

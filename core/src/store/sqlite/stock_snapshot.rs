//! The stock snapshot: the level of every book as of one entry, in the table `stock`, so that a start need not replay the whole
//! ledger.
//!
//! The snapshot is true as of entry `meta.applied`; a start replays the entries after it. It is rewritten every 65,536 entries (or
//! as many as there are books, if these are more) and when the store is closed. A row holds the levels of [`BOOKS`] neighbours and
//! fills a page: between two snapshots, purchases of many different books touch nearly every page of the table anyway, and written
//! by the page it costs a fraction of a row for each book.

use rusqlite::{Connection, Transaction, params};

use super::{
    StoreError,
    rows::{to_i64, to_u64},
};
use crate::{
    decide::{Level, Levels},
    id::{BookId, Seq},
    ledger::Entry,
    money::Cents,
};

/// Books in a row: as many as SQLite keeps in one page of 4 KiB.
const BOOKS: u64 = 144;
/// Bytes of a level, little-endian: stock (4), price in cents (8), version (8), version of the text (8). All are zero if there is no
/// such book.
const LEVEL: usize = 28;
/// The bit of the text's version that is set if the book is off sale.
const WITHDRAWN: u64 = 1 << 63;

/// The rows of the snapshot that are older than the levels.
#[derive(Debug, Default)]
pub(super) struct DirtyRows(Vec<bool>);

impl DirtyRows {
    /// Marks the rows of the books that `entry` touches.
    pub(super) fn touch(&mut self, entry: &Entry) {
        for change in &entry.changes {
            let row = usize::try_from(change.book.0 / BOOKS).expect("book ids are dense from 1, so they fit memory");
            if row >= self.0.len() {
                self.0.resize(row + 1, false);
            }
            self.0[row] = true;
        }
    }

    /// Marks every row as written.
    pub(super) fn clear(&mut self) {
        self.0.fill(false);
    }

    /// Writes the marked rows, which makes the snapshot true as of `head`.
    pub(super) fn write(&self, transaction: &Transaction<'_>, levels: &Levels, head: Seq) -> Result<(), StoreError> {
        let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO stock VALUES (?1,?2)")?;
        let mut bytes = Vec::new();
        for (row, _) in (0..).zip(&self.0).filter(|(_, dirty)| **dirty) {
            bytes.clear();
            (row * BOOKS..(row + 1) * BOOKS).for_each(|book| encode(levels.get(BookId(book)), &mut bytes));
            statement.execute(params![to_i64(row), bytes])?;
        }
        transaction.execute("UPDATE meta SET applied = ?1", [to_i64(head.0)])?;
        Ok(())
    }
}

/// Reads the snapshot: the levels as of `meta.applied`.
///
/// # Errors
/// - [`StoreError::Unusable`] if a row is damaged.
/// - [`StoreError::Failed`] if the table cannot be read.
pub(super) fn read(connection: &Connection) -> Result<Levels, StoreError> {
    let mut levels = Levels::default();
    // The last row first, so that the table of levels grows only once.
    let mut statement = connection.prepare("SELECT row, levels FROM stock ORDER BY row DESC")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let first = to_u64(row.get(0)?).saturating_mul(BOOKS);
        let (found, rest) = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?.as_chunks();
        if !rest.is_empty() || found.len() as u64 != BOOKS {
            return Err(StoreError::Unusable(format!("the stock from book {first} on is damaged")));
        }
        for (at, bytes) in found.iter().enumerate().rev() {
            if let Some(level) = decode(bytes)? {
                levels.set(BookId(first.saturating_add(at as u64)), level);
            }
        }
    }
    Ok(levels)
}

fn encode(level: Option<Level>, bytes: &mut Vec<u8>) {
    let Some(Level { stock, price_cents, version, text_version, on_sale }) = level else {
        return bytes.extend([0; LEVEL]);
    };
    bytes.extend(stock.to_le_bytes());
    bytes.extend(price_cents.get().to_le_bytes());
    bytes.extend(version.0.to_le_bytes());
    bytes.extend((text_version.0 | if on_sale { 0 } else { WITHDRAWN }).to_le_bytes());
}

fn decode(bytes: &[u8; LEVEL]) -> Result<Option<Level>, StoreError> {
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    // No entry has the number 0.
    let version = Seq(number(12));
    if version == Seq(0) {
        return Ok(None);
    }
    let price_cents = Cents::new(number(4)).map_err(|error| StoreError::Unusable(error.to_string()))?;
    let stock = u32::from_le_bytes(std::array::from_fn(|byte| bytes[byte]));
    let (text_version, on_sale) = (Seq(number(20) & !WITHDRAWN), number(20) & WITHDRAWN == 0);
    Ok(Some(Level { stock, price_cents, version, text_version, on_sale }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_what_they_were_before() {
        let version = Seq(1 << 60 | 7);
        let level = Level { stock: u32::MAX, price_cents: Cents::MAX, version, text_version: version, on_sale: false };
        let first = Level { stock: 0, price_cents: Cents::ZERO, version: Seq(1), text_version: Seq(1), on_sale: true };
        for level in [None, Some(level), Some(first), Some(Level { on_sale: false, ..first })] {
            let mut bytes = Vec::new();
            encode(level, &mut bytes);
            let bytes = bytes.try_into().expect("one level");
            assert_eq!(decode(&bytes).expect("good"), level);
        }
    }
}

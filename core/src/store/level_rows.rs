//! The rows of a stock snapshot: the levels of [`BOOKS`] neighbouring books in each, so that a snapshot costs a fraction of a row for
//! each book.

use crate::{
    decide::{Level, Levels},
    id::{BookId, Seq},
    ledger::Entry,
    money::Cents,
    store::StoreError,
};

/// Books in a row: as many as SQLite keeps in one page of 4 KiB.
pub(super) const BOOKS: u64 = 144;
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

    /// The marked rows, each as its number and its bytes.
    pub(super) fn encoded<'a>(&'a self, levels: &'a Levels) -> impl Iterator<Item = (u64, Vec<u8>)> + 'a {
        let dirty = (0_u64..).zip(&self.0).filter(|(_, dirty)| **dirty);
        dirty.map(|(row, _)| {
            let mut bytes = Vec::with_capacity(4096);
            (row * BOOKS..(row + 1) * BOOKS).for_each(|book| encode(levels.get(BookId(book)), &mut bytes));
            (row, bytes)
        })
    }
}

/// Puts the levels of a row where they belong. The last row should be read first, so that the table of levels grows only once.
///
/// # Errors
/// [`StoreError::Unusable`] if the row is damaged.
pub(super) fn decode_row(row: u64, bytes: &[u8], levels: &mut Levels) -> Result<(), StoreError> {
    let first = row.saturating_mul(BOOKS);
    let (found, rest) = bytes.as_chunks();
    if !rest.is_empty() || found.len() as u64 != BOOKS {
        return Err(StoreError::Unusable(format!("the stock from book {first} on is damaged")));
    }
    for (at, bytes) in found.iter().enumerate().rev() {
        if let Some(level) = decode(bytes)? {
            levels.set(BookId(first.saturating_add(at as u64)), level);
        }
    }
    Ok(())
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

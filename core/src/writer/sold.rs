//! What was sold since somebody who counts sales last looked: so they need not follow a busy ledger entry by entry.

use crate::{
    id::Seq,
    ledger::{Entry, Kind},
};

/// Entries other than sales that are kept until somebody looks. With more everything is let go, and has to be read from the store.
const OTHERS_MAX: usize = 16_384;

/// What entries that are durable did to the sales: the copies of sales are added up, the other entries are kept.
#[derive(Debug)]
pub(crate) struct Sold {
    /// The entry before the first of these.
    pub(crate) after: Seq,
    /// The last of these.
    pub(crate) to: Seq,
    /// Copies that were sold: for each day a table by the number of the book. A hash map took 1.3 % of all time in a busy shop.
    pub(crate) copies: Vec<(i64, Vec<i64>)>,
    /// What concerns holds, and what came back, in order.
    pub(crate) others: Vec<Entry>,
}

impl Sold {
    pub(super) fn since(after: Seq) -> Self {
        Self { after, to: after, copies: Vec::new(), others: Vec::new() }
    }

    /// Takes in the next entries.
    pub(super) fn take_in(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry.kind {
                Kind::Sale => self.add(entry),
                Kind::Hold | Kind::Confirm | Kind::Lapse | Kind::Return => self.others.push(entry.clone()),
                _ => {}
            }
            self.to = entry.seq;
        }
        if self.others.len() > OTHERS_MAX {
            *self = Self::since(self.to);
        }
    }

    fn add(&mut self, sale: &Entry) {
        let day = sale.at.day();
        if self.copies.last().is_none_or(|(last, _)| *last != day) {
            self.copies.push((day, Vec::new()));
        }
        let Some((_, copies)) = self.copies.last_mut() else { return };
        for change in &sale.changes {
            let at = usize::try_from(change.book.0).expect("books are numbered from 1, so they fit memory");
            if at >= copies.len() {
                copies.resize(at + 1, 0);
            }
            copies[at] -= change.delta;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, id::BookId, ledger::Change, money::Cents};

    fn entry(seq: u64, kind: Kind, at: i64, copies: &[(u64, i64)]) -> Entry {
        let change = |(book, delta)| Change { book: BookId(book), delta, price_cents: Cents::ZERO, stock: 0 };
        Entry {
            seq: Seq(seq),
            at: Timestamp(at),
            kind,
            key: None,
            changes: copies.iter().copied().map(change).collect(),
            text: None,
            details: None,
        }
    }

    #[test]
    fn sales_are_added_up_and_the_rest_is_kept() {
        let mut sold = Sold::since(Seq(4));
        sold.take_in(&[entry(5, Kind::Sale, 0, &[(1, -2), (2, -1)]), entry(6, Kind::Sale, 9, &[(1, -1)])]);
        sold.take_in(&[entry(7, Kind::Return, 9, &[(1, 1)]), entry(8, Kind::Restock, 9, &[(1, 9)])]);
        sold.take_in(&[entry(9, Kind::Sale, 86_400_000, &[(1, -4)])]);
        assert_eq!((sold.after, sold.to, sold.others.len()), (Seq(4), Seq(9), 1));
        let copies: Vec<_> = sold.copies.iter().map(|(day, copies)| (*day, copies[1])).collect();
        assert_eq!(copies, [(0, 3), (1, 4)]);
    }

    #[test]
    fn it_stays_small_if_nobody_looks() {
        let mut sold = Sold::since(Seq(0));
        for seq in 1..=OTHERS_MAX as u64 + 1 {
            sold.take_in(&[entry(seq, Kind::Hold, 0, &[(1, -1)])]);
        }
        assert_eq!((sold.after, sold.others.len()), (Seq(OTHERS_MAX as u64 + 1), 0));
    }
}

//! The ledger entries that answers name.
//!
//! The answer to a purchase names the entry of its sale, and the answer to an amend that of the book's version. If
//! these claims are right, they put most steps in order, and only the others are left to be fitted into the free
//! entries.

use crate::ledger::Seq;

/// The entries that the answers about changes claim, of all books together. The entries between them belong to calls
/// that claim none.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimedEntries {
    /// Sorted, each once.
    claimed: Vec<Seq>,
    /// For each of them, the last of those that follow without a gap.
    until: Vec<Seq>,
}

impl ClaimedEntries {
    pub(super) fn new(mut claimed: Vec<Seq>) -> Self {
        claimed.sort_unstable();
        claimed.dedup();
        let mut until = claimed.clone();
        for at in (1..claimed.len()).rev() {
            if claimed[at - 1].0.checked_add(1) == Some(claimed[at].0) {
                until[at - 1] = until[at];
            }
        }
        Self { claimed, until }
    }

    /// Whether no answer claims this entry.
    pub(super) fn is_free(&self, seq: Seq) -> bool {
        self.claimed.binary_search(&seq).is_err()
    }

    /// The first entry after `seq` that no answer claims.
    pub(super) fn free_after(&self, seq: Seq) -> Seq {
        let next = Seq(seq.0.saturating_add(1));
        match self.claimed.binary_search(&next) {
            Ok(at) => Seq(self.until[at].0.saturating_add(1)),
            Err(_) => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_entries_lie_between_the_claimed_ones() {
        let claimed = ClaimedEntries::new([5, 3, 4, 9, 4, 1].map(Seq).to_vec());
        assert_eq!([0, 1, 2, 3, 5, 8, 9].map(|seq| claimed.free_after(Seq(seq)).0), [2, 2, 6, 6, 6, 10, 10]);
        assert_eq!((1..=10).filter(|seq| claimed.is_free(Seq(*seq))).collect::<Vec<_>>(), [2, 6, 7, 8, 10]);
        assert_eq!(ClaimedEntries::default().free_after(Seq(7)), Seq(8));
        let far = ClaimedEntries::new(vec![Seq(u64::MAX - 1), Seq(u64::MAX)]);
        assert_eq!(far.free_after(Seq(u64::MAX)), Seq(u64::MAX));
    }
}

//! The places in the ledger that answers claim, and those between them that must belong to somebody else.

use crate::ledger::Seq;

/// The places that changes claim, of all books together.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Sorted, each once.
    claimed: Vec<Seq>,
    /// For each of them, the last of those that follow without a gap.
    until: Vec<Seq>,
}

impl Places {
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

    /// Whether nobody claims a place.
    pub(super) fn is_open(&self, place: Seq) -> bool {
        self.claimed.binary_search(&place).is_err()
    }

    /// The first place after `place` that nobody claims.
    pub(super) fn open_after(&self, place: Seq) -> Seq {
        let next = Seq(place.0.saturating_add(1));
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
    fn open_places_lie_between_the_claimed_ones() {
        let places = Places::new([5, 3, 4, 9, 4, 1].map(Seq).to_vec());
        assert_eq!([0, 1, 2, 3, 5, 8, 9].map(|place| places.open_after(Seq(place)).0), [2, 2, 6, 6, 6, 10, 10]);
        assert_eq!((1..=10).filter(|place| places.is_open(Seq(*place))).collect::<Vec<_>>(), [2, 6, 7, 8, 10]);
        assert_eq!(Places::default().open_after(Seq(7)), Seq(8));
        let far = Places::new(vec![Seq(u64::MAX - 1), Seq(u64::MAX)]);
        assert_eq!(far.open_after(Seq(u64::MAX)), Seq(u64::MAX));
    }
}

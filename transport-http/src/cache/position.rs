//! How far the ledger has been followed, and how old that is at most.

use bookstore_core::{Entries, Error, LedgerId, Result, Seq, history::Hash};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A place in one ledger.
///
/// A page shows the ledger as it was after its poll was sent. So a cache that has followed up to the page's head is at most as far
/// behind as the poll is old; no other machine's clock is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LedgerPosition {
    ledger: LedgerId,
    /// The opening of it that the last page was of.
    incarnation: Uuid,
    /// The last entry followed.
    pub(super) followed: Seq,
    /// The hash of the ledger up to that entry.
    hash: Hash,
    /// Everything that was durable at this time has been followed.
    confirmed: Instant,
    /// While behind: a head that was seen, and the time that is confirmed once it is reached.
    goal: Option<(Instant, Seq)>,
}

impl LedgerPosition {
    /// At the end of the ledger, as a page requested at `sent` shows it.
    pub(super) fn at_head(page: &Entries, sent: Instant) -> Self {
        let (ledger, incarnation) = (page.identity.ledger, page.incarnation);
        Self { ledger, incarnation, followed: page.head, hash: page.after, confirmed: sent, goal: None }
    }

    /// Whether a page continues here.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: another ledger, one that ends before this place, another history of it, another opening, or a gap in the
    /// entries. What answers have shown of another opening, perhaps of another file, may never have been in this history.
    pub(super) fn check(&self, page: &Entries) -> Result<()> {
        let followed = self.followed;
        if page.identity.ledger != self.ledger {
            return Err(Error::unavailable("the catalogue has another ledger now"));
        }
        if page.incarnation != self.incarnation {
            return Err(Error::unavailable("the catalogue was started again"));
        }
        if page.head < followed {
            let head = page.head;
            return Err(Error::unavailable(format!("the ledger ends at {head} now, before {followed}")));
        }
        if page.before != Some(self.hash) {
            return Err(Error::unavailable(format!("the ledger has another history now, up to entry {followed}")));
        }
        let next = std::iter::successors(Some(followed.next()), |seq| Some(seq.next()));
        let dense = page.entries.iter().map(|entry| entry.seq).eq(next.take(page.entries.len()));
        if !dense || (page.entries.is_empty() && page.head > followed) {
            return Err(Error::unavailable(format!("entries are missing after {followed}")));
        }
        Ok(())
    }

    /// Moves to the end of a checked page, requested at `sent`.
    pub(super) fn advance(&mut self, page: &Entries, sent: Instant) {
        self.followed = page.entries.last().map_or(self.followed, |entry| entry.seq);
        self.hash = page.after;
        let (at, head) = self.goal.unwrap_or((sent, page.head));
        if self.followed < head {
            self.goal = Some((at, head));
            return;
        }
        self.confirmed = at;
        self.goal = (self.followed < page.head).then_some((sent, page.head));
    }

    /// How far behind the ledger this may be, at most.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Entry, Kind, LedgerIdentity, Timestamp};

    fn page(ledger: u128, head: u64, entries: impl IntoIterator<Item = u64>) -> Entries {
        let entry = |seq| Entry {
            seq: Seq(seq),
            at: Timestamp(0),
            kind: Kind::Sale,
            key: None,
            changes: std::iter::empty().collect(),
            text: None,
            details: None,
        };
        let entries = entries.into_iter().map(entry).collect();
        let ledger = LedgerId::from_u128(ledger);
        let identity = LedgerIdentity::new(ledger, ledger);
        let hash = Hash::EMPTY;
        Entries {
            identity,
            incarnation: ledger,
            head: Seq(head),
            before: Some(hash),
            entries,
            batch_ends: Vec::new(),
            after: hash,
        }
    }

    #[test]
    fn only_the_next_entries_of_the_same_ledger_continue() {
        let position = LedgerPosition::at_head(&page(1, 5, []), Instant::now());
        assert!(position.check(&page(1, 5, [])).is_ok());
        assert!(position.check(&page(1, 9, [6, 7])).is_ok());
        for (wrong, why) in [
            (page(2, 9, [6, 7]), "another ledger"),
            (page(1, 4, []), "a shorter ledger"),
            (page(1, 9, [7, 8]), "a gap at the start"),
            (page(1, 9, [6, 8]), "a gap inside"),
            (page(1, 9, [5, 6]), "an entry again"),
            (page(1, 9, []), "nothing, though there is more"),
            (Entries { before: Some(Hash([1; 32])), ..page(1, 9, [6, 7]) }, "another history"),
            (Entries { before: None, ..page(1, 9, [6, 7]) }, "no history"),
            (Entries { incarnation: Uuid::nil(), ..page(1, 9, [6, 7]) }, "another opening"),
        ] {
            assert!(position.check(&wrong).is_err(), "{why}");
        }
    }

    #[test]
    fn its_age_is_that_of_the_last_poll_whose_head_it_has_reached() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut position = LedgerPosition::at_head(&page(1, 5, []), start);
        assert_eq!(position.age(after(3)), Duration::from_secs(3));
        position.advance(&page(1, 5, []), after(3));
        assert_eq!(position.age(after(4)), Duration::from_secs(1));
        // Behind: the head of 8 confirms what was requested at 4, but not before it is reached.
        position.advance(&page(1, 8, [6, 7]), after(4));
        assert_eq!(position.age(after(6)), Duration::from_secs(3));
        position.advance(&page(1, 20, [8, 9]), after(6));
        assert_eq!(position.age(after(6)), Duration::from_secs(2));
        position.advance(&page(1, 20, 10..=20), after(7));
        assert_eq!((position.followed, position.age(after(7))), (Seq(20), Duration::from_secs(1)));
    }
}

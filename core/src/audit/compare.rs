//! Comparing a copy with its ledger by their hashes: one number tells whether both have the same entries.

use crate::{
    error::Result,
    history::{Entries, Hash},
    id::Seq,
    service::LedgerFeed,
};

/// How a copy stands to the ledger that it should be one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It has the ledger's first entries, up to this one, and lacks so many.
    Same {
        /// Its last entry.
        followed: Seq,
        /// Entries of the ledger that it lacks.
        behind: u64,
    },
    /// It has all entries of the ledger, and so many more: the ledger lost them.
    Ahead {
        /// Its last entry.
        followed: Seq,
        /// Entries that it has and the ledger does not.
        by: u64,
    },
    /// From this entry on both have others.
    Differs {
        /// The first entry that is not the same.
        from: Seq,
        /// Its last entry.
        followed: Seq,
    },
    /// It is a copy of another ledger.
    OtherLedger,
}

/// Compares a copy with the ledger. That takes three reads and, only if the hashes differ, about two more for each doubling of the
/// number of entries.
///
/// A copy follows meanwhile; it is compared as it was at the first read.
///
/// # Errors
/// Those of [`LedgerFeed::page`].
pub async fn compare(ledger: &dyn LedgerFeed, copy: &dyn LedgerFeed) -> Result<Comparison> {
    let (own, theirs) = (tip(copy).await?, tip(ledger).await?);
    if own.identity.ledger != theirs.identity.ledger {
        return Ok(Comparison::OtherLedger);
    }
    let (followed, head) = (own.head, theirs.head);
    if same(ledger, copy, followed.min(head)).await? {
        return Ok(match followed.0.checked_sub(head.0) {
            None | Some(0) => Comparison::Same { followed, behind: head.0 - followed.0 },
            Some(by) => Comparison::Ahead { followed, by },
        });
    }
    // The same up to `good`, which may be before the first entry, and not the same up to `bad`.
    let (mut good, mut bad) = (0, followed.min(head).0);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if same(ledger, copy, Seq(middle)).await? { good = middle } else { bad = middle }
    }
    Ok(Comparison::Differs { from: Seq(bad), followed })
}

/// The end of a ledger: without entries.
async fn tip(feed: &dyn LedgerFeed) -> Result<Entries> {
    feed.page(Seq(u64::MAX), 1).await
}

/// Whether both have the same entries up to this one.
async fn same(ledger: &dyn LedgerFeed, copy: &dyn LedgerFeed, at: Seq) -> Result<bool> {
    let hash = async |feed: &dyn LedgerFeed| -> Result<Option<Hash>> { Ok(feed.page(at, 1).await?.before) };
    Ok(hash(ledger).await? == hash(copy).await?)
}

//! The hash of a ledger, computed from its entries.

use crate::{
    error::{Error, Result},
    history::{Hash, RunningHash},
    id::Seq,
    ledger::Entry,
    service::{ENTRIES_MAX, LedgerFeed},
    store::Followed,
};

/// Computes the hash of a ledger up to the entry `at` from its first entries, and calls `each` with every one of them. What the ledger
/// itself says of its hashes does not count. `None` if it ends before.
///
/// # Errors
/// - Those of [`LedgerFeed::page`].
/// - [`Error::Unavailable`] if the entries have gaps, or are not those that the ledger's hashes are of.
pub async fn recompute(ledger: &dyn LedgerFeed, at: Seq, mut each: impl FnMut(&Entry)) -> Result<Option<Hash>> {
    let (mut place, mut hash) = (Followed::default(), RunningHash::new(Hash::EMPTY));
    while place.seq < at {
        let limit = usize::try_from(at.0 - place.seq.0).map_or(ENTRIES_MAX, |rest| rest.min(ENTRIES_MAX));
        let page = ledger.page(place.seq, limit).await?;
        if page.entries.is_empty() {
            return Ok(None);
        }
        place.check(&page)?;
        hash.take_page(&page)?;
        place = place.after(&page);
        if place.seq > at {
            return Err(Error::unavailable(format!("it gave entries after {at}, which were not asked for")));
        }
        page.entries.iter().for_each(&mut each);
    }
    Ok(Some(hash.hash()))
}

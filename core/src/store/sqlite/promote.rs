//! Making a ledger of an order server's copy, after the ledger's own disk is lost.
//!
//! The ledger goes on under a newer timeline. The other copies follow it and set aside what it does not have; the old catalog, if it
//! comes back, stops selling at the first call of a server that has seen the newer timeline, see
//! [`Catalog::check_history`](crate::Catalog::check_history).

use rusqlite::Connection;
use std::path::Path;

use super::{
    SqliteCopy, SqliteOptions, StoreError, books, holds,
    restore::{self, Restored, Restoring},
    rows,
    schema::{self, NewIds, Role},
    unusable,
};
use crate::{
    clock::Clock,
    id::Seq,
    service::{CONTACTS_MAX, CopyFeed, ENTRIES_MAX},
    store::Projection as _,
};

/// Writes the ledger that `copy` holds to the new file `to`, under a new timeline. The hash of every batch is computed again on the way.
/// It calls `progress` after each page with the entries written so far, and with how many there are.
///
/// The copy is only read. Whatever it followed MUST have stopped: what is appended there from now on is not in the new ledger.
///
/// # Errors
/// - [`StoreError::Failed`] if `to` exists already, a file fails, or the copy cannot be read any further.
/// - [`StoreError::Unusable`] if the copy has followed nothing, or is damaged.
pub async fn promote(
    copy: &dyn CopyFeed,
    to: &Path,
    clock: &dyn Clock,
    mut progress: impl FnMut(Seq, Seq),
) -> Result<Restored, StoreError> {
    if to.exists() {
        let why = "exists already; give a new file, or move that one away if it is lost";
        return Err(StoreError::Failed(format!("{} {why}", to.display())));
    }
    let restoring = Restoring::begin(to)?;
    let failed = |error: crate::Error| StoreError::Failed(error.to_string());
    let written =
        SqliteCopy::open(&restoring.path, SqliteOptions::default())?.acknowledging(crate::service::Ack::Ledger)?;
    let mut after = Seq(0);
    loop {
        let page = copy.page(after, ENTRIES_MAX).await.map_err(failed)?;
        let Some(last) = page.entries.last().map(|last| last.seq) else { break };
        let head = page.head;
        written.append(page).await.map_err(failed)?;
        after = last;
        progress(after, head);
    }
    copy_contacts(copy, &written).await.map_err(failed)?;
    written.close().await?;
    let mut connection = schema::open(&restoring.path, Role::Copy, NewIds::UNUSED)?;
    derive(&mut connection)?;
    let identity = schema::identity(&connection)?.ok_or_else(|| unusable(to, "the copy has followed nothing"))?;
    let (identity, head) = restore::begin_timeline(&mut connection, identity, clock)?;
    restoring.finish(connection, to)?;
    Ok(Restored { identity, head, replaced: None })
}

/// Copies the contacts; what the entries erase stays erased.
async fn copy_contacts(from: &dyn CopyFeed, to: &SqliteCopy) -> Result<(), crate::Error> {
    let mut after = 0;
    loop {
        let page = from.contacts(after, CONTACTS_MAX).await?;
        let Some(last) = page.changes.last().map(|last| last.version) else { return Ok(()) };
        to.append_contacts(page).await?;
        after = last;
    }
}

/// Makes a ledger's file of a copy's: with the tables that follow from the entries.
fn derive(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    schema::create_derived_tables(&transaction)?;
    // A copy may end within a batch, whose hash is that of a whole one then.
    rows::end_batch(&transaction, rows::hash(&transaction, rows::head(&transaction)?)?)?;
    let mut after = Seq(0);
    loop {
        let entries = rows::entries(&transaction, after, Seq(i64::MAX as u64), ENTRIES_MAX)?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        books::take(&transaction, &entries)?;
        holds::take(&transaction, &entries)?;
    }
    transaction.execute_batch(
        "DROP TABLE set_aside; UPDATE meta SET role = 'ledger', applied = 0, hash = NULL,
        contacts_timeline = NULL, contacts_opening = NULL, contacts = 0;",
    )?;
    transaction.commit()?;
    Ok(())
}

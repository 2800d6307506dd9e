//! Reading a store beside the process that writes it: for audits and backups.

use rusqlite::{Connection, Transaction};
use std::{fs::File, path::Path};

use super::{StoreError, rows, schema, stock, unusable};
use crate::{
    decide::Levels,
    ledger::{Entry, LedgerId, Seq},
};

/// A ledger or a copy as it stood at one moment, for a reader beside its writer.
pub struct Snapshot {
    connection: Connection,
}

/// What a [`Snapshot`] says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The ledger, or the ledger that is copied; `None` for a copy that has followed none yet.
    pub ledger: Option<LedgerId>,
    /// Whether this is a copy, which holds sales and returns only.
    pub is_copy: bool,
    /// The last entry; for a copy, how far it has followed.
    pub head: Seq,
    /// The entry up to which the stock table is true.
    pub applied: Seq,
}

impl Snapshot {
    /// Opens the store in the file `path`.
    ///
    /// # Errors
    /// There is no such file, or it is none of ours.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(unusable(path, "there is no such file"));
        }
        Ok(Self { connection: schema::open_read_only(path)? })
    }

    /// Reads everything as of one moment: first the summary, then every entry in order, at last the stock table.
    ///
    /// # Errors
    /// The file is damaged or cannot be read, or `entry` fails.
    pub fn read<E: From<StoreError>>(
        &mut self,
        mut entry: impl FnMut(&Summary, Entry) -> Result<(), E>,
    ) -> Result<(Summary, Levels), E> {
        let transaction = self.connection.transaction().map_err(StoreError::from)?;
        let summary = summary(&transaction)?;
        let sql = rows::select_entries("ORDER BY seq");
        let mut statement = transaction.prepare(&sql).map_err(StoreError::from)?;
        let mut found = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = found.next().map_err(StoreError::from)? {
            entry(&summary, rows::entry(row).map_err(StoreError::from)?)?;
        }
        let levels = if summary.is_copy { Levels::default() } else { stock::read(&transaction)? };
        Ok((summary, levels))
    }
}

fn summary(transaction: &Transaction<'_>) -> Result<Summary, StoreError> {
    let role: String = transaction.query_row("SELECT role FROM meta", [], |row| row.get(0))?;
    let is_copy = role == "copy";
    let applied = rows::applied(transaction)?;
    let head = if is_copy { applied } else { rows::head(transaction)? };
    Ok(Summary { ledger: schema::ledger_id(transaction)?, is_copy, head, applied })
}

/// Writes a consistent copy of the store `path` to the new file `to`, beside a process that writes, and makes it durable.
///
/// # Errors
/// `to` exists already, or either file fails.
pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        return Err(StoreError::Failed(format!("{} exists already; give a new file", to.display())));
    }
    let Some(name) = to.to_str() else {
        return Err(StoreError::Failed(format!("{} is not a name in UTF-8", to.display())));
    };
    let snapshot = Snapshot::open(path)?;
    snapshot.connection.execute("VACUUM INTO ?1", [name])?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Failed(format!("{}: {error}", to.display())))
}

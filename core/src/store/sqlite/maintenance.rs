//! Reading a store beside the process that writes it: audits and backups.
//!
//! SQLite's WAL mode gives a reader the file as of one moment, however long it reads, and never holds up the writer. While
//! it reads, the WAL cannot start again, so the file grows.

use async_trait::async_trait;
use rusqlite::{Connection, Transaction};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};
use uuid::Uuid;

use super::{StoreError, beside, copy, database_file, rows, schema, stock_snapshot, unusable, wal_owner};
use crate::{
    clock::{Clock as _, SystemClock},
    decide::Levels,
    error::{Error, Result as ServiceResult},
    history::{Entries, LedgerIdentity},
    id::{LedgerId, OrderId, Seq},
    ledger::Entry,
    order::Order,
    service::{ENTRIES_MAX, LedgerFeed},
};

/// A ledger or a copy as of one moment, for a reader beside the process that writes it.
///
/// ```no_run
/// use bookstore_core::{audit::Audit, store::{StoreError, sqlite::Snapshot}};
/// use std::path::Path;
///
/// # fn main() -> Result<(), StoreError> {
/// let mut audit = Audit::new();
/// let (summary, _stock) = Snapshot::open(Path::new("shop.db"))?.read(|_, entry| {
///     audit.take(&entry).map_err(|finding| StoreError::Failed(finding.to_string()))
/// })?;
/// println!("{} entries, every one of them follows on the one before", summary.head);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Snapshot {
    connection: Mutex<Connection>,
}

/// The entries page by page, as far as they are at each page: another process may append meanwhile.
#[async_trait]
impl LedgerFeed for Snapshot {
    async fn page(&self, after: Seq, limit: usize) -> ServiceResult<Entries> {
        let connection = self.connection.lock().expect("nobody panics with it");
        let page = copy::page(&connection, after, limit.clamp(1, ENTRIES_MAX))?;
        page.ok_or_else(|| Error::unavailable("this copy has followed nothing yet"))
    }
}

/// What a store is, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The ledger and its timelines, or those that are copied; `None` for a copy that has followed none yet.
    pub identity: Option<LedgerIdentity>,
    /// Whether this is a copy.
    pub is_copy: bool,
    /// The last entry; for a copy, the last one that it has followed.
    pub head: Seq,
    /// The entry up to which the stock snapshot is true; for a copy, the same as `head`.
    pub applied: Seq,
    /// Of a copy: entries that it followed under an earlier timeline and that the ledger does not have any more.
    pub set_aside: u64,
    /// The orders among them, the first [`SET_ASIDE_MAX`] at most.
    pub orders_set_aside: Vec<OrderId>,
}

/// The most orders that [`Summary::orders_set_aside`] names.
pub const SET_ASIDE_MAX: usize = 100;

impl Summary {
    /// The ledger, or the one that is copied.
    #[must_use]
    pub fn ledger(&self) -> Option<LedgerId> {
        self.identity.as_ref().map(|identity| identity.ledger)
    }
}

impl Snapshot {
    /// Opens the store in the file `path`, read-only.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if there is no such file, or it is none of ours, or of an earlier format.
    /// - [`StoreError::TooNew`] if a newer program wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(unusable(path, "there is no such file"));
        }
        Ok(Self { connection: Mutex::new(schema::open_read_only(path)?) })
    }

    fn connection(&mut self) -> &mut Connection {
        self.connection.get_mut().expect("nobody panics with it")
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection.into_inner().expect("nobody panics with it")
    }

    /// The ledger and its timelines, see [`Summary::identity`].
    ///
    /// # Errors
    /// - [`StoreError::Unusable`], [`StoreError::Failed`] if the file is damaged or cannot be read.
    pub fn identity(&mut self) -> Result<Option<LedgerIdentity>, StoreError> {
        schema::identity(self.connection())
    }

    /// Orders that a copy has set aside and that were not cancelled, in the order in which they were, with a place behind each: at most
    /// `limit` after the place `after`, 0 at first.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`], [`StoreError::Failed`] if it is no copy, or the file is damaged or cannot be read.
    pub fn orders_set_aside(&mut self, after: i64, limit: usize) -> Result<Vec<(i64, Order)>, StoreError> {
        let sql = "SELECT seq, at_ms, kind, key, changes, NULL, rowid FROM set_aside AS sale
            WHERE kind = 1 AND rowid > ?1 AND NOT EXISTS
                (SELECT 1 FROM set_aside AS back WHERE back.kind = 2 AND back.key = sale.key AND back.fork = sale.fork)
            ORDER BY rowid LIMIT ?2";
        let mut statement = self.connection().prepare(sql)?;
        let rows =
            statement.query_map((after, rows::to_i64(limit as u64)), |row| Ok((row.get(6)?, rows::entry(row)?)))?;
        let sales = rows.collect::<Result<Vec<(i64, Entry)>, _>>()?;
        Ok(sales.into_iter().filter_map(|(place, sale)| Some((place, sale.order()?))).collect())
    }

    /// Reads everything as of one moment. It calls `entry` with the summary and each entry, in order, and returns the summary and
    /// the stock snapshot: the levels as of [`Summary::applied`]. A copy has none.
    ///
    /// # Errors
    /// - Whatever `entry` fails with, at the first failure.
    /// - [`StoreError::Unusable`], [`StoreError::Failed`] if the file is damaged or cannot be read.
    pub fn read<E: From<StoreError>>(
        &mut self,
        mut entry: impl FnMut(&Summary, Entry) -> Result<(), E>,
    ) -> Result<(Summary, Levels), E> {
        let transaction = self.connection().transaction().map_err(StoreError::from)?;
        let summary = summary(&transaction)?;
        let sql = rows::select_entries("ORDER BY seq");
        let mut statement = transaction.prepare(&sql).map_err(StoreError::from)?;
        let mut found = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = found.next().map_err(StoreError::from)? {
            entry(&summary, rows::entry(row).map_err(StoreError::from)?)?;
        }
        let levels = if summary.is_copy { Levels::default() } else { stock_snapshot::read(&transaction)? };
        Ok((summary, levels))
    }
}

fn summary(transaction: &Transaction<'_>) -> Result<Summary, StoreError> {
    let role: String = transaction.query_row("SELECT role FROM meta", [], |row| row.get(0))?;
    let is_copy = role == "copy";
    let applied = rows::applied(transaction)?;
    let head = if is_copy { applied } else { rows::head(transaction)? };
    let (set_aside, orders_set_aside) = if is_copy { set_aside(transaction)? } else { (0, Vec::new()) };
    Ok(Summary { identity: schema::identity(transaction)?, is_copy, head, applied, set_aside, orders_set_aside })
}

/// How many entries a copy has set aside, and the orders among them.
fn set_aside(connection: &Connection) -> Result<(u64, Vec<OrderId>), StoreError> {
    let entries: i64 = connection.query_row("SELECT count(*) FROM set_aside", [], |row| row.get(0))?;
    let mut orders =
        connection.prepare("SELECT DISTINCT key FROM set_aside WHERE key IS NOT NULL ORDER BY seq LIMIT ?1")?;
    let orders = orders.query_map([SET_ASIDE_MAX as i64], |row| row.get::<_, [u8; 16]>(0))?;
    let orders = orders.map(|row| row.map(|key| OrderId(Uuid::from_bytes(key)))).collect::<Result<_, _>>()?;
    Ok((rows::to_u64(entries), orders))
}

/// Writes a consistent copy of the store `path` to the new file `to`, beside a process that writes, and makes it durable. The
/// copy is a store of its own that a server can open.
///
/// # Errors
/// - [`StoreError::Failed`] if `to` exists already, its name is not UTF-8, or either file fails.
/// - As [`Snapshot::open`] for `path`.
pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        return Err(StoreError::Failed(format!("{} exists already; give a new file", to.display())));
    }
    let Some(name) = to.to_str() else {
        return Err(StoreError::Failed(format!("{} is not a name in UTF-8", to.display())));
    };
    let mut snapshot = Snapshot::open(path)?;
    write_copy(snapshot.connection(), name)?;
    flush_wal(path)
}

/// Makes the WAL of a store durable. What a reader has seen in it may have been written a moment ago only: a backup MUST NOT have entries
/// that the store loses in a power cut and then makes otherwise.
fn flush_wal(path: &Path) -> Result<(), StoreError> {
    let wal = beside(path, "-wal");
    match File::open(&wal).and_then(|wal| wal.sync_data()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Failed(format!("{}: {error}", wal.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a copy of the ledger `path`, which may be of an earlier format, to the new file `to`.
///
/// # Errors
/// As [`backup`].
pub(super) fn copy(path: &Path, to: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(unusable(path, "there is no such file"));
    }
    let connection = schema::open_any_read_only(path)?;
    let role: String = connection.query_row("SELECT role FROM meta", [], |row| row.get(0))?;
    if role != "ledger" {
        return Err(unusable(path, "it is not a ledger but an order server's copy of one"));
    }
    let name = to.to_str().ok_or_else(|| StoreError::Failed(format!("{} is not a name in UTF-8", to.display())))?;
    write_copy(&connection, name)
}

/// Writes all that a connection sees to a new file, and makes it durable.
fn write_copy(connection: &Connection, to: &str) -> Result<(), StoreError> {
    // Made here, readable for its owner only; SQLite writes into an empty file.
    database_file::create(Path::new(to)).map_err(|error| StoreError::Failed(format!("{to}: {error}")))?;
    if let Err(error) = connection.execute("VACUUM INTO ?1", [to]) {
        // Half of it is no copy, and would be in the way of the next one.
        let _ = fs::remove_file(to);
        return Err(error.into());
    }
    let copy = Connection::open(to)?;
    if schema::version(&copy)? == schema::VERSION {
        // Of the WAL beside the original, the copy has nothing left to take.
        wal_owner::set_new(&copy, SystemClock.new_id())?;
    }
    copy.close().map_err(|(_, error)| StoreError::from(error))?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::Failed(format!("{to}: {error}")))
}

/// Where a database is saved when the file that it was opened from has lost its name.
fn rescued(path: &Path) -> PathBuf {
    beside(path, ".rescued")
}

/// Refuses a database beside which a rescued one lies: the rescued one may hold acknowledged orders that this one does not.
///
/// # Errors
/// [`StoreError::Unusable`], which says what to do.
pub(super) fn refuse_if_rescued(path: &Path) -> Result<(), StoreError> {
    let rescued = rescued(path);
    if !rescued.exists() {
        return Ok(());
    }
    let rescued = rescued.display();
    let why = format!(
        "{rescued} was saved from it when its file was removed or replaced; put that file in its place, or move it away"
    );
    Err(unusable(path, &why))
}

/// Saves what an open connection sees to the file that [`rescued`] names. Says which.
///
/// # Errors
/// [`StoreError::Failed`] if that file is there already, or cannot be written.
pub(super) fn rescue(connection: &Connection, path: &Path) -> Result<PathBuf, StoreError> {
    let to = rescued(path);
    let name = to.to_str().ok_or_else(|| StoreError::Failed(format!("{} is not a name in UTF-8", to.display())))?;
    write_copy(connection, name)?;
    Ok(to)
}

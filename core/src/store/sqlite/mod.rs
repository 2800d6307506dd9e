//! The embedded store: one SQLite file in WAL mode, format version 3.
//!
//! One process writes, which a lock on the database file itself ensures; other processes may read at the same time. Each flush
//! checks that the file and its WAL are still where they were opened: if somebody removed or replaced them, nothing is
//! acknowledged any more, and the ledger is saved from the open files. A commit is
//! appended to the WAL without waiting for the disk. It is durable, and only then visible and acknowledged, when the WAL has been
//! flushed: the same promise as `synchronous=FULL`, but the flush can run while the next batch is written.
//!
//! | file | what it does |
//! |---|---|
//! | `ledger_store.rs` | the writing half: load, append, flush |
//! | `reader.rs`, `pool.rs`, `text_cache.rs` | the reading half, its connections, and the texts in memory |
//! | `stock_snapshot.rs` | every book's level as of some entry, so that a start need not replay the whole ledger |
//! | `wal_checkpoint.rs` | moves the WAL's pages into the database beside the writer |
//! | `wal_owner.rs` | whether a WAL belongs to the database beside it |
//! | `books.rs` | the table of the books, which follows the entries |
//! | `contacts.rs` | the contacts of orders, which are no part of the ledger |
//! | `copy.rs` | an order server's copy of the ledger |
//! | `maintenance.rs` | reading a store beside the process that writes it: audits and backups |
//! | `view.rs` | the same for its books and orders: exports |
//! | `restore.rs`, `promote.rs` | going back to a backup; making a ledger of a copy |
//! | `database_file.rs` | the lock of the one writer; whether the file is still there |
//! | `schema.rs`, `rows.rs` | tables and upgrades; rows as domain types |
//!
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, SystemClock, store::sqlite::{self, SqliteOptions}};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("bookstore-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let path = folder.join("shop.db");
//! let (store, reader) = sqlite::open(&path, &SystemClock, SqliteOptions::default())?;
//! let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())?;
//! # drop(catalog);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod books;
mod contacts;
mod copy;
mod database_file;
mod derived;
mod holds;
mod ledger_store;
mod maintenance;
mod pool;
mod promote;
mod reader;
mod restore;
mod rows;
mod schema;
mod stock_snapshot;
mod upgrade;
mod view;
mod wal_checkpoint;
mod wal_owner;

pub use copy::SqliteCopy;
pub use ledger_store::SqliteStore;
pub use maintenance::{SET_ASIDE_MAX, Snapshot, Summary, backup};
pub use promote::promote;
pub use reader::SqliteReader;
pub use restore::{Restored, restore_copy, restore_replacing};
pub use view::View;

use rusqlite::{Connection, config::DbConfig};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{StoreError, encoding};
use crate::{clock::Clock, execution::Execution, money::Currency};
use database_file::DatabaseFile;
use schema::NewIds;

/// How a SQLite store runs, and its limits.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// What the amounts of the ledger are in. With `None` a ledger keeps its currency, and a new one is in US dollars. A copy takes over
    /// what its ledger has.
    pub currency: Option<Currency>,
    /// Whether reads run on threads of their own or, in a simulation, where they are called.
    pub execution: Execution,
    /// Connections that read at the same time; at least one. Each takes up to 2 MiB for pages.
    pub readers: usize,
    /// Reads that run or wait for a connection; more are refused as overloaded.
    pub waiting_reads_max: usize,
    /// Books whose texts are kept in memory: about 300 bytes each, and at most 1,024 on average.
    pub cached_texts: usize,
    /// The longest WAL, in bytes; 1 GiB. The WAL cannot start again while another program reads an old snapshot. When it is this long,
    /// commands are refused as not executed until that program is done, so that it does not fill the disk.
    pub wal_bytes_max: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            currency: None,
            execution: Execution::Threads,
            readers: 4,
            waiting_reads_max: 1024,
            cached_texts: 65_536,
            wal_bytes_max: 1 << 30,
        }
    }
}

/// Opens the ledger in the file `path`, or makes it with an id from `clock`: its writing half, and its reading half. A
/// file of an earlier format is brought up to date.
///
/// It blocks the calling thread: for the disk, and for up to 2 s while another process closes the store.
///
/// # Errors
/// - [`StoreError::InUse`] if another process writes to it.
/// - [`StoreError::Unusable`] if it is in another currency than [`SqliteOptions::currency`].
/// - [`StoreError::Unusable`] if it is not a ledger of ours, or damaged, or its file system has no WAL mode, or if it was removed
///   or replaced earlier while it was in use and what was in it is still beside it, as `PATH.rescued`.
/// - [`StoreError::TooNew`] if a newer program wrote it.
/// - [`StoreError::Failed`] if it cannot be read or written.
pub fn open(
    path: &Path,
    clock: &dyn Clock,
    options: SqliteOptions,
) -> Result<(SqliteStore, Arc<SqliteReader>), StoreError> {
    restore::refuse_if_restoring(path)?;
    let file = Arc::new(DatabaseFile::lock(path)?);
    let path = file.path();
    maintenance::refuse_if_rescued(path)?;
    wal_owner::check(path)?;
    let ids = NewIds::drawn(clock).in_currency(options.currency.unwrap_or_default());
    let connection = schema::open(path, schema::Role::Ledger, ids)?;
    let identity = schema::identity(&connection)?.ok_or_else(|| unusable(path, "it has no ledger id"))?;
    refuse_another_currency(path, identity.currency, options.currency)?;
    drop(connection);
    let reader = SqliteReader::open(&file, identity, options)?;
    Ok((SqliteStore::new(file, options), Arc::new(reader)))
}

fn refuse_another_currency(path: &Path, currency: Currency, asked: Option<Currency>) -> Result<(), StoreError> {
    match asked.filter(|asked| *asked != currency) {
        Some(asked) => Err(unusable(
            path,
            &format!(
                "its amounts are in {currency}, not in {asked}; a ledger keeps its currency, so leave that out, or give another file"
            ),
        )),
        None => Ok(()),
    }
}

/// The name of the file with this suffix beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn unusable(path: &Path, why: &str) -> StoreError {
    StoreError::Unusable(format!("{}: {why}", path.display()))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if let rusqlite::Error::FromSqlConversionFailure(_, _, unknown) = &error
            && unknown.is::<encoding::UnknownKind>()
        {
            return Self::Unusable(unknown.to_string());
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Unusable("the file is not a bookstore database".into()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Unusable(format!("the file is damaged ({error})")),
            Some(ErrorCode::DiskFull) => Self::Failed("the disk is full: make room, then start again".into()),
            // What SQLite says if it cannot make the files beside the database, as on a full disk.
            Some(ErrorCode::SystemIoFailure) => Self::Failed(format!(
                "the disk is full or fails (SQLite code {}): make room, or look at the system's log",
                error.sqlite_error().map_or(0, |error| error.extended_code)
            )),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Sets what every connection of ours has in common.
fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans that do not depend on the bound values: otherwise a statement is compiled again for each key that it looks up.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // 2 MiB each is enough: the operating system keeps the file in memory.
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{OrderId, Seq};
    use rusqlite::StatementStatus;
    use uuid::Uuid;

    #[test]
    fn no_statement_is_compiled_anew_for_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open(&folder.path().join("shop.db"), schema::Role::Ledger, NewIds::UNUSED).unwrap();
        let lookups = 5;
        for n in 1..=lookups {
            assert_eq!(rows::order(&connection, OrderId(Uuid::from_u128(n)), Seq(1)).unwrap(), None);
        }
        let statement = connection.prepare_cached(&rows::select_entries(rows::OF_KEY)).unwrap();
        assert_eq!(u128::try_from(statement.get_status(StatementStatus::Run)), Ok(lookups), "this is the statement");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}

//! The embedded store: one SQLite file in WAL mode.
//!
//! One process writes (a lock file beside the database sees to it); others may read beside it. A commit is appended to
//! the WAL without waiting, and is durable, and only then visible and acknowledged, when the WAL has been flushed: the same
//! promise as `synchronous=FULL`, with the flush on a thread of its own while the next batch is written.

mod checkpoint;
mod copy;
mod maintenance;
mod reader;
mod recent;
mod rows;
mod schema;
mod stock;
mod texts;
mod writer;

pub use copy::SqliteCopy;
pub use maintenance::{Snapshot, Summary, backup};
pub use reader::SqliteReader;
pub use writer::SqliteStore;

use rusqlite::{Connection, config::DbConfig};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::StoreError;
use crate::{clock::Clock, writer::Execution};

/// How a SQLite store runs.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// Whether reads go to threads or, in a simulation, run where they are called.
    pub execution: Execution,
    /// Connections that read at the same time.
    pub readers: usize,
    /// Reads that may wait for a connection; more are refused as overloaded.
    pub waiting_reads_max: usize,
    /// Books whose texts are kept in memory: some 300 bytes each, and 1,024 on average at most.
    pub cached_texts: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { execution: Execution::Threads, readers: 4, waiting_reads_max: 1024, cached_texts: 65_536 }
    }
}

/// Opens the ledger in the file `path`, or makes it, with an id from `clock`: its writing and its reading half.
///
/// # Errors
/// Another process writes to it, it is not a ledger of ours, it is damaged, newer, or cannot be written.
pub fn open(
    path: &Path,
    clock: &dyn Clock,
    options: SqliteOptions,
) -> Result<(SqliteStore, Arc<SqliteReader>), StoreError> {
    let lock = Arc::new(Lock::take(path)?);
    let connection = schema::open(path, schema::Role::Ledger, clock.new_id())?;
    let id = schema::ledger_id(&connection)?.ok_or_else(|| unusable(path, "it has no ledger id"))?;
    drop(connection);
    let reader = SqliteReader::open(path, id, options)?;
    Ok((SqliteStore::new(path, options.execution, lock), Arc::new(reader)))
}

/// How long a file that is still being closed is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Held by the one process that writes.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, StoreError> {
        let lock_path = beside(path, ".lock");
        let failed =
            |error: std::io::Error| StoreError::Failed(format!("cannot open {}: {error}", lock_path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

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
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Unusable("the file is not a bookstore database".into()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Unusable(format!("the file is damaged ({error})")),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Everything that every connection of ours is set to.
fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans that do not depend on what is bound: else a statement is compiled anew each time it is asked for another key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // 2 MiB each: the operating system keeps the file in memory anyway.
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::Seq, order::OrderId};
    use rusqlite::StatementStatus;
    use uuid::Uuid;

    #[test]
    fn no_statement_is_compiled_anew_for_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open(&folder.path().join("shop.db"), schema::Role::Ledger, Uuid::nil()).unwrap();
        let lookups = 5;
        for n in 1..=lookups {
            assert_eq!(rows::order(&connection, OrderId(Uuid::from_u128(n)), Seq(1)).unwrap(), None);
        }
        let statement = connection.prepare_cached(&rows::select_entries(rows::OF_KEY)).unwrap();
        assert_eq!(u128::try_from(statement.get_status(StatementStatus::Run)), Ok(lookups), "this is the statement");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}

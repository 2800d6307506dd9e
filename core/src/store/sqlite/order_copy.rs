//! An order server's copy of a ledger's sales and returns.
//!
//! Its table is the ledger's, without the entries of other kinds; `meta.applied` says how far it has followed.

use async_trait::async_trait;
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

use super::{
    SqliteOptions, StoreError,
    database_file::{DatabaseFile, FileConnection},
    pool::Pool,
    rows::{self, to_i64},
    schema,
};
use crate::{
    error::{Error, Result},
    execution::Execution,
    id::{LedgerId, OrderId, Seq},
    ledger::{Entry, Kind},
    order::Order,
    service::Ack,
    store::OrderCopy,
};

/// An order server's copy in a SQLite file. It holds the lock on the file until it is dropped.
#[derive(Debug)]
pub struct SqliteCopy {
    writer: Arc<Mutex<FileConnection>>,
    readers: Pool,
    execution: Execution,
}

impl SqliteCopy {
    /// Opens the copy in the file `path`, or makes it. Every append waits for the disk, unless [`Self::acknowledging`] says that no
    /// acknowledgement depends on that. It blocks the calling thread as [`open`](super::open) does.
    ///
    /// # Errors
    /// - [`StoreError::InUse`] if another process writes to it.
    /// - [`StoreError::Unusable`] if it is not a copy of ours, or damaged.
    /// - [`StoreError::TooNew`] if a newer program wrote it.
    /// - [`StoreError::Failed`] if it cannot be read or written.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let file = Arc::new(DatabaseFile::lock(path)?);
        let connection = schema::open(file.path(), schema::Role::Copy, Uuid::nil())?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let readers = Pool::open(&file, options)?;
        let writer = Arc::new(Mutex::new(FileConnection::new(connection, &file)));
        Ok(Self { writer, readers, execution: options.execution })
    }

    /// Appends as durably as an order service needs that acknowledges by `ack`.
    ///
    /// With [`Ack::Ledger`] an append does not wait for the disk: a power cut may lose the newest entries, never others, and the
    /// copy then takes them from the ledger again.
    ///
    /// # Errors
    /// - [`StoreError::Failed`] if the file cannot be used.
    pub fn acknowledging(self, ack: Ack) -> Result<Self, StoreError> {
        let synchronous = match ack {
            Ack::Ledger => "NORMAL",
            Ack::Copied { .. } => "FULL",
        };
        self.writer.lock().expect("nobody panics with it").pragma_update(None, "synchronous", synchronous)?;
        Ok(self)
    }
}

#[async_trait]
impl OrderCopy for SqliteCopy {
    async fn followed(&self) -> Result<(Option<LedgerId>, Seq)> {
        self.readers.read(|connection| Ok((schema::ledger_id(connection)?, rows::applied(connection)?))).await
    }

    async fn append(&self, ledger: LedgerId, entries: Vec<Entry>) -> Result<()> {
        let writer = Arc::clone(&self.writer);
        let work = move || append(&mut writer.lock().expect("nobody panics with it"), ledger, entries);
        match self.execution {
            Execution::Task => work(),
            Execution::Threads => {
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|_| Err(Error::unknown("the copy's writer did not finish")))
            }
        }
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.readers.read(move |connection| rows::order(connection, id, EVERYTHING)).await
    }

    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        self.readers.read(move |connection| rows::orders(connection, before, EVERYTHING, limit)).await
    }
}

/// The head to read by: all that a copy holds is durable in the ledger.
const EVERYTHING: Seq = Seq(i64::MAX as u64);

/// Takes in the next entries in one transaction.
fn append(connection: &mut Connection, ledger: LedgerId, mut entries: Vec<Entry>) -> Result<()> {
    let transaction = connection.transaction().map_err(StoreError::from)?;
    if let Some(followed) = schema::ledger_id(&transaction)?
        && followed != ledger
    {
        return Err(Error::unavailable("this copy follows another ledger; give this order server a new store"));
    }
    let mut last = rows::applied(&transaction)?;
    for entry in &entries {
        if entry.seq != last.next() {
            let message = format!("entry {} does not follow on this copy's {last}", entry.seq);
            return Err(Error::unavailable(message));
        }
        last = entry.seq;
    }
    entries.retain(|entry| matches!(entry.kind, Kind::Sale | Kind::Return));
    rows::insert_entries(&transaction, &entries)?;
    let mut update =
        transaction.prepare_cached("UPDATE meta SET ledger = ?1, applied = ?2").map_err(StoreError::from)?;
    update.execute((ledger.as_bytes(), to_i64(last.0))).map_err(StoreError::from)?;
    drop(update);
    transaction.commit().map_err(StoreError::from)?;
    Ok(())
}

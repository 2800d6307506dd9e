//! Reading a SQLite file from many tasks at once, over a few connections.

use rusqlite::Connection;
use std::sync::{Arc, Mutex, atomic::AtomicUsize};
use tokio::sync::Semaphore;

use super::{
    SqliteOptions, StoreError,
    database_file::{DatabaseFile, FileConnection},
    schema,
};
use crate::{
    error::{Error, Result},
    execution::Execution,
    waiting::Waiting,
};

/// Connections that only read. A read takes a free one, and runs on one of the runtime's threads for blocking work.
#[derive(Debug)]
pub(super) struct Pool {
    connections: Arc<Mutex<Vec<FileConnection>>>,
    /// As many permits as connections.
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    execution: Execution,
}

impl Pool {
    /// Opens as many connections as `options` say to the store in a locked file.
    ///
    /// # Errors
    /// - The file is none of ours, or cannot be read.
    pub(super) fn open(file: &Arc<DatabaseFile>, options: SqliteOptions) -> Result<Self, StoreError> {
        let readers = options.readers.max(1);
        let connect = |_| schema::open_read_only(file.path()).map(|connection| FileConnection::new(connection, file));
        let connections = (0..readers).map(connect).collect::<Result<_, _>>()?;
        Ok(Self {
            connections: Arc::new(Mutex::new(connections)),
            free: Arc::new(Semaphore::new(readers)),
            waiting: AtomicUsize::new(0),
            waiting_max: options.waiting_reads_max,
            execution: options.execution,
        })
    }

    /// Runs `read` with a connection, when one is free.
    ///
    /// # Errors
    /// - [`Error::Overloaded`] if too many reads wait already.
    /// - [`Error::Unavailable`] if the read failed; the cause is in the log.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let _waiting = Waiting::enter(&self.waiting, self.waiting_max, "too many reads wait for the store")?;
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.map_err(|_| Error::unavailable("shutting down"))?;
        let lent = Lent::take(Arc::clone(&self.connections));
        let work = move || {
            // Locals are dropped in reverse order: the connection is back before the permit is, also if the caller has gone or
            // the read panics.
            let _permit = permit;
            let lent = lent;
            read(lent.connection())
        };
        match self.execution {
            Execution::Task => Ok(work()?),
            Execution::Threads => match tokio::task::spawn_blocking(work).await {
                Ok(result) => Ok(result?),
                Err(_) => Err(Error::unavailable("a read did not finish")),
            },
        }
    }
}

/// A connection that goes back to its pool when it is dropped.
struct Lent {
    connection: Option<FileConnection>,
    pool: Arc<Mutex<Vec<FileConnection>>>,
}

impl Lent {
    fn take(pool: Arc<Mutex<Vec<FileConnection>>>) -> Self {
        let connection = pool.lock().expect("nobody panics with it").pop();
        Self { connection, pool }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("there are as many permits as connections")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.lock().expect("nobody panics with it").extend(self.connection.take());
    }
}

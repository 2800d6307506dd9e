//! Connections that read, for many tasks at once.

use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

use super::{PostgresOptions, StoreError, hosts::Hosts, session::Session};
use crate::{
    error::{Error, Result},
    waiting::Waiting,
};

/// The longest that a read may take, its connection included.
const READ_MAX: Duration = Duration::from_secs(30);

/// A read takes a free connection, or makes one, to the host that is written to.
#[derive(Debug)]
pub(super) struct Pool {
    hosts: Arc<Hosts>,
    /// Drives the connections: they outlive the tasks that read.
    runtime: Handle,
    /// Each with the generation of [`Hosts`] that it is of.
    idle: Mutex<Vec<(u64, Session)>>,
    /// As many permits as connections.
    free: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Pool {
    /// Takes over one connection that is there already.
    pub(super) fn new(hosts: Arc<Hosts>, runtime: Handle, first: Session, options: &PostgresOptions) -> Self {
        let idle = Mutex::new(vec![(hosts.generation(), first)]);
        let free = Semaphore::new(options.readers.max(1));
        Self { hosts, runtime, idle, free, waiting: AtomicUsize::new(0), waiting_max: options.waiting_reads_max }
    }

    /// Runs `read` with a connection, when one is free.
    ///
    /// # Errors
    /// - [`Error::Overloaded`] if too many reads wait already.
    /// - [`Error::Unavailable`] if the read failed; the cause is in the log.
    pub(super) async fn read<T>(
        &self,
        read: impl for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T> {
        let _waiting = Waiting::enter(&self.waiting, self.waiting_max, "too many reads wait for the store")?;
        let _permit = self.free.acquire().await.map_err(|_| Error::unavailable("shutting down"))?;
        let in_time = timeout(READ_MAX, async {
            let (generation, mut session) = self.take().await?;
            let result = read(&mut session).await;
            // A connection whose read was given up is not here, and closed.
            if !session.is_closed() {
                self.idle.lock().expect("nobody panics with it").push((generation, session));
            }
            result
        });
        let late = || StoreError::Failed(format!("a read took longer than {} s", READ_MAX.as_secs()));
        Ok(in_time.await.unwrap_or_else(|_| Err(late()))?)
    }

    async fn take(&self) -> Result<(u64, Session), StoreError> {
        let generation = self.hosts.generation();
        let idle = {
            let mut idle = self.idle.lock().expect("nobody panics with it");
            idle.retain(|(of, session)| *of == generation && !session.is_closed());
            idle.pop()
        };
        match idle {
            Some(idle) => Ok(idle),
            None => Ok((generation, self.hosts.connect_current(&self.runtime).await?)),
        }
    }
}

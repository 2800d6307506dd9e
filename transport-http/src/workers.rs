//! Threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its thread, so that its requests need no lock, no queue and no cache line of another processor. That
//! is how nginx and actix serve, too.

use std::{future::Future, io, sync::Arc, thread};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

/// The threads; they end when this is dropped, and with them what is left on them.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// One reference more for each of its connections.
    connections: Arc<()>,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Workers {
    /// As many as can be had of `threads`. Without any, connections are served by the current runtime.
    pub(crate) fn start(threads: usize) -> Self {
        let workers: io::Result<Vec<_>> = (0..threads).map(Worker::start).collect();
        Self(workers.unwrap_or_else(|error| {
            tracing::warn!(%error, "no threads for the connections; they are served without");
            Vec::new()
        }))
    }

    /// Serves a connection where there are fewest.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static, all: &mut JoinSet<()>) {
        match self.0.iter().min_by_key(|worker| Arc::strong_count(&worker.connections)) {
            Some(worker) => {
                let counted = Arc::clone(&worker.connections);
                let connection = async move {
                    connection.await;
                    drop(counted);
                };
                all.spawn_on(connection, &worker.runtime);
            }
            None => drop(all.spawn(connection)),
        }
    }
}

impl Worker {
    fn start(nth: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = move || drop(runtime.block_on(stopped));
        thread::Builder::new().name(format!("http-{nth}")).spawn(serve)?;
        Ok(Self { runtime: handle, connections: Arc::new(()), _stop: stop })
    }
}

//! The threads that serve connections, each with a runtime of its own; without any, connections are tasks of the current runtime.
//!
//! A connection stays on its thread, so its requests need no lock, no queue and no cache line of another processor. nginx and
//! actix serve connections in the same way.

use futures_util::future::BoxFuture;
use std::{convert::Infallible, future::Future, io, thread, time::Duration};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{JoinSet, LocalSet, spawn_local},
    time::timeout,
};

/// Threads of each worker for work that waits for a disk: a store reads over four connections, and few searches take long at once.
/// Each keeps about half a megabyte of freed memory, and they would start by the hundred: work that ends lets the next one start
/// a moment before its own thread is free.
const BLOCKING_THREADS_MAX: usize = 8;

/// All connections of a server. Dropped, it closes them.
pub(crate) struct Workers {
    threads: Vec<Worker>,
    /// The connections on the current runtime.
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts this many threads. With 0, or if they cannot be started, connections are served on the current runtime.
    pub(crate) fn start(threads: usize) -> Self {
        let threads: io::Result<Vec<_>> = (0..threads).map(Worker::start).collect();
        let threads = threads.unwrap_or_else(|error| {
            tracing::warn!(%error, "no threads for the connections; they are served without");
            Vec::new()
        });
        Self { threads, tasks: JoinSet::new() }
    }

    /// Serves a connection on the thread that has the fewest.
    pub(crate) fn spawn(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        match self.threads.iter().min_by_key(|thread| thread.running.strong_count()) {
            Some(thread) => thread.spawn(connection),
            None => drop(self.tasks.spawn(connection)),
        }
    }

    /// Waits until a connection on the current runtime ends, and frees what is left of it.
    pub(crate) async fn reap(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until all connections have ended; closes those that are left after `time_max` and returns their number.
    pub(crate) async fn join(mut self, time_max: Duration) -> usize {
        let mut ending: Vec<_> = self.threads.into_iter().map(Worker::ending).collect();
        let all = async {
            for thread in &mut ending {
                thread.ended.recv().await;
            }
            while self.tasks.join_next().await.is_some() {}
        };
        if timeout(time_max, all).await.is_ok() {
            return 0;
        }
        let left = self.tasks.len() + ending.iter().map(|thread| thread.ended.sender_strong_count()).sum::<usize>();
        self.tasks.shutdown().await;
        for Ending { mut ended, connections } in ending {
            drop(connections);
            ended.recv().await;
        }
        left
    }
}

/// A thread that serves connections.
struct Worker {
    /// New connections; never more than the server admits. Dropped, it ends the thread and closes its connections.
    connections: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    /// Each connection holds a clone, so that they can be counted.
    running: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
}

/// A thread that gets no more connections.
struct Ending {
    connections: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    /// Closed when the last connection has ended.
    ended: mpsc::Receiver<Infallible>,
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()?;
        let (connections, mut accepted) = mpsc::unbounded_channel();
        let (running, ended) = mpsc::channel(1);
        // In a local set: waking the thread is a system call, and a local set makes one for all answers of a batch.
        let serve = move || {
            LocalSet::new().block_on(&runtime, async {
                while let Some(connection) = accepted.recv().await {
                    spawn_local(connection);
                }
            });
        };
        thread::Builder::new().name(format!("http-{number}")).spawn(serve)?;
        Ok(Self { connections, running, ended })
    }

    fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let running = self.running.clone();
        let connection = async move {
            connection.await;
            drop(running);
        };
        // The thread takes connections as long as this worker exists.
        let _ = self.connections.send(Box::pin(connection));
    }

    fn ending(self) -> Ending {
        Ending { connections: self.connections, ended: self.ended }
    }
}

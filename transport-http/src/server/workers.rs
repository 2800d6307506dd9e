//! Where connections are served: on threads of their own, each with a runtime, or on tasks of the current one.
//!
//! On its own thread a connection stays, so that its requests need no lock, no queue and no cache line of another processor. That
//! is how nginx and actix serve, too.

use futures_util::future::BoxFuture;
use std::{convert::Infallible, future::Future, io, thread, time::Duration};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{JoinSet, LocalSet, spawn_local},
    time::timeout,
};

/// All connections of a server. Dropped, it drops them.
pub(crate) struct Workers {
    threads: Vec<Worker>,
    /// Those that have no thread.
    here: JoinSet<()>,
}

impl Workers {
    /// So many threads, or none: then connections are served by the current runtime.
    pub(crate) fn start(threads: usize) -> Self {
        let threads: io::Result<Vec<_>> = (0..threads).map(Worker::start).collect();
        let threads = threads.unwrap_or_else(|error| {
            tracing::warn!(%error, "no threads for the connections; they are served without");
            Vec::new()
        });
        Self { threads, here: JoinSet::new() }
    }

    /// Serves a connection where there are fewest.
    pub(crate) fn spawn(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        match self.threads.iter().min_by_key(|thread| thread.open.strong_count()) {
            Some(thread) => thread.serve(connection),
            None => drop(self.here.spawn(connection)),
        }
    }

    /// Waits for a connection to end that needs to be cleared away.
    pub(crate) async fn clear(&mut self) {
        if self.here.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until all have ended, or drops them if they have not after so long. Says how many it has dropped.
    pub(crate) async fn end(mut self, patience: Duration) -> usize {
        let mut ending: Vec<_> = self.threads.into_iter().map(Worker::ending).collect();
        let all = async {
            for thread in &mut ending {
                thread.ended.recv().await;
            }
            while self.here.join_next().await.is_some() {}
        };
        if timeout(patience, all).await.is_ok() {
            return 0;
        }
        let left = self.here.len() + ending.iter().map(|thread| thread.ended.sender_strong_count()).sum::<usize>();
        self.here.shutdown().await;
        for Ending { mut ended, arriving } in ending {
            drop(arriving);
            ended.recv().await;
        }
        left
    }
}

/// A thread that serves connections.
struct Worker {
    /// Dropped, it ends the thread, and with it what is left there. No more wait in it than there are places for connections.
    arriving: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    /// One more of it is with each connection.
    open: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
}

/// A thread that gets no more connections.
struct Ending {
    arriving: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    /// Tells when the last connection is gone.
    ended: mpsc::Receiver<Infallible>,
}

impl Worker {
    fn start(nth: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (arriving, mut arrived) = mpsc::unbounded_channel();
        let (open, ended) = mpsc::channel(1);
        // In a local set: it wakes its thread, which is a system call, once for all the answers that a batch brings.
        let serve = move || {
            LocalSet::new().block_on(&runtime, async {
                while let Some(connection) = arrived.recv().await {
                    spawn_local(connection);
                }
            });
        };
        thread::Builder::new().name(format!("http-{nth}")).spawn(serve)?;
        Ok(Self { arriving, open, ended })
    }

    fn serve(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let open = self.open.clone();
        let connection = async move {
            connection.await;
            drop(open);
        };
        // It takes them as long as it is there.
        let _ = self.arriving.send(Box::pin(connection));
    }

    fn ending(self) -> Ending {
        Ending { arriving: self.arriving, ended: self.ended }
    }
}

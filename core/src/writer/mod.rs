//! The one writer of a ledger: gathers commands, decides them, appends, makes durable, publishes, answers.
//!
//! Two halves share the work. The *appender* gathers the commands that wait, decides them, and appends the batch; the *committer*
//! makes it durable, publishes its entries to readers, and answers. While the committer has a batch *in flight*, the appender
//! may go on with the next one; a small batch is committed by the appender itself. `flush_plan.rs` decides which.
//!
//! With [`Execution::Threads`] each half has a thread, named `ledger-write` and `ledger-sync`, with a runtime of its own. With
//! [`Execution::Task`] each is a task of the current runtime, so that a simulation gives the same trace for the same seed.
//!
//! While orders are held, the appender looks at least every 500 ms which of them are due, also if no command comes, and lets them lapse:
//! before the commands of the same batch, and [`Holds::LAPSES_MAX`](crate::decide::Holds::LAPSES_MAX) in one batch.
//!
//! # When the store fails
//! - Before anything was appended: every call of the batch is answered as *not executed*.
//! - With an unknown outcome: what the batch decided is *unknown*, and so is every batch that was decided on top of it.
//! - Then every call is answered as *not executed*, until the store has been opened again and has said what is in it. That is tried
//!   with the first call that comes [`WriterLimits::recover_after`] or more after the first refused one. Reads go on meanwhile.
//! - If another writer has taken over the ledger ([`StoreError::TakenOver`]), that is not tried: every call is refused, and told why.

mod appender;
mod committer;
mod flush_plan;
mod published;
mod sold;

pub use crate::execution::Execution;
pub(crate) use appender::Superseded;
pub use published::Published;

use futures_util::FutureExt as _;
use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::watch,
};

use crate::{
    batch::{self, Queue, Waiting},
    clock::Clock,
    contact::ContactRule,
    decide::{Command, Outcome},
    error::Result,
    store::{LedgerStore, StoreError},
};
use appender::Appender;
use committer::Committer;

/// Limits of one writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// Commands that may wait; more are refused as overloaded.
    pub waiting_max: usize,
    /// Commands of one batch.
    pub batch_max: usize,
    /// While a batch is in flight, the next one begins as soon as this many commands wait. If fewer wait, it begins when that batch
    /// is done: one larger batch costs less than two small ones.
    ///
    /// A batch with at most four times as many commands, with fewer than this waiting behind it and nothing in flight, is flushed
    /// on the thread that appended it. With 0 every batch is handed over at once; with `usize::MAX` batches never overlap.
    pub overlap_min: usize,
    /// How long a failed store is left alone before it is opened again.
    pub recover_after: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { waiting_max: 16_384, batch_max: 4_096, overlap_min: 64, recover_after: Duration::from_secs(1) }
    }
}

/// A handle on a running writer. The writer stops when the last one is dropped.
#[derive(Clone)]
pub struct Writer {
    commands: Queue<Command, Outcome>,
    published: Arc<Published>,
    closed: Closed,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("head", &self.published.head()).finish_non_exhaustive()
    }
}

/// Tells when a store is closed. It does not keep the store open.
#[derive(Clone, Debug)]
pub struct Closed(watch::Receiver<()>);

impl Closed {
    /// Waits until the last handle on the writer is gone and the store is closed.
    pub async fn wait(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl Writer {
    /// Recovers the store and starts to write. The writer stops, with every call answered, when the last handle is dropped. `contacts` says
    /// whether new orders carry contacts.
    ///
    /// With [`Execution::Threads`] it blocks the calling thread until the store is recovered. With [`Execution::Task`] it must be
    /// called in a runtime, and recovering the store MUST NOT wait for anything.
    ///
    /// # Errors
    /// - Those of [`LedgerStore::recover`].
    /// - [`StoreError::Failed`] if there is no thread for the writer.
    pub fn start(
        store: impl LedgerStore,
        clock: Arc<dyn Clock>,
        limits: WriterLimits,
        execution: Execution,
        contacts: ContactRule,
    ) -> Result<Self, StoreError> {
        let (commands, waiting) = batch::queue(limits.waiting_max);
        let (open, closed) = watch::channel(());
        let opening = Appender::open(store, clock, (limits, contacts), (execution, callers(execution)), open);
        let committer = match execution {
            Execution::Threads => start_threads(opening, waiting)?,
            Execution::Task => start_tasks(opening, waiting)?,
        };
        Ok(Self { commands, published: Arc::clone(committer.published()), closed: Closed(closed) })
    }

    /// The way to the writer: [`Queue::call`] executes a command durably, [`Queue::call_many`] many, each by itself.
    ///
    /// # Errors
    /// Of a call, beside the queue's own:
    /// - The refusals of the [decision](crate::decide::State::decide).
    /// - *Unknown* or *not executed* if the store fails.
    #[must_use]
    pub fn commands(&self) -> &Queue<Command, Outcome> {
        &self.commands
    }

    /// Tells when the store is closed.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.closed.clone()
    }

    /// What is durable, for readers.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }
}

/// Starts a thread for each half, and waits until the store is recovered: on the appender's thread, so that whatever the store
/// spawns belongs to the runtime that drives it later.
fn start_threads<S: LedgerStore>(
    opening: impl Future<Output = Result<Appender<S>, StoreError>> + Send + 'static,
    waiting: Waiting<Command, Outcome>,
) -> Result<Arc<Committer>, StoreError> {
    let (opened, result) = mpsc::sync_channel(1);
    on_thread("ledger-write", async move {
        // A store that could not be opened is gone before its error is known.
        let started = opening.await.and_then(|appender| {
            let (in_flight, from) = committer::channel();
            on_thread("ledger-sync", Arc::clone(appender.committer()).run(from))?;
            Ok((appender, in_flight))
        });
        match started {
            Ok((appender, in_flight)) => {
                let _ = opened.send(Ok(Arc::clone(appender.committer())));
                appender.run(waiting, in_flight).await;
            }
            Err(error) => drop(opened.send(Err(error))),
        }
    })?;
    result.recv().unwrap_or_else(|_| Err(StoreError::Failed("the writer's thread panicked".into())))
}

/// Starts a task for each half, in the current runtime.
fn start_tasks<S: LedgerStore>(
    opening: impl Future<Output = Result<Appender<S>, StoreError>>,
    waiting: Waiting<Command, Outcome>,
) -> Result<Arc<Committer>, StoreError> {
    let waits = || Err(StoreError::Failed("this store waits when it is opened: its writer needs threads".into()));
    let appender = opening.now_or_never().unwrap_or_else(waits)?;
    let committer = Arc::clone(appender.committer());
    let (in_flight, from) = committer::channel();
    tokio::spawn(Arc::clone(&committer).run(from));
    tokio::spawn(appender.run(waiting, in_flight));
    Ok(committer)
}

/// The runtime that the writer is started in, unless its tasks might wait for somebody to drive it.
fn callers(execution: Execution) -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    (execution == Execution::Threads && runtime.runtime_flavor() == RuntimeFlavor::MultiThread).then_some(runtime)
}

/// Runs one half on a thread of its own, which may block.
fn on_thread(name: &str, half: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
    let error = |error: std::io::Error| StoreError::Failed(format!("no thread for the writer: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(error)?;
    std::thread::Builder::new().name(name.into()).spawn(move || runtime.block_on(half)).map_err(error)?;
    Ok(())
}

/// Tells the operator and [`Published::writable`] that the shop can be read only, and why.
fn show_failed(published: &Published, to: &str, error: &dyn fmt::Display) {
    tracing::error!(%error, "the store failed to {to}; it will be opened again");
    show_writable(published, false);
}

fn show_writable(published: &Published, writable: bool) {
    metrics::gauge!("bookstore_ledger_writable").set(f64::from(u8::from(writable)));
    published.show_writable(writable);
}

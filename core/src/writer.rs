//! The one writer of a ledger: gathers commands, decides them, appends, makes durable, publishes, answers.
//!
//! Two halves share the work: while one makes a batch durable, the other decides and appends the next, if enough commands
//! wait to make that worth while. In production each half has a thread, in a simulation each is a task, so that a seed gives
//! the same trace every time. A batch that meets no other one, and behind which nobody waits, does not change hands.

mod published;

pub use published::Published;

use futures_util::future::select;
use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    batch::{self, Call, Queue, Reply, Waiting},
    clock::Clock,
    decide::{Batch, Command, Outcome, State},
    error::{Error, Result},
    store::{Flush, LedgerStore, StoreError},
};

/// How a store's writing is executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// On threads of its own, which may wait for the disk.
    #[default]
    Threads,
    /// On tasks of the current runtime: for simulations, where the disk costs no time and order is everything.
    Task,
}

/// Limits of one writer.
#[derive(Clone, Copy, Debug)]
pub struct WriterLimits {
    /// Commands that may wait; more are refused as overloaded.
    pub waiting_max: usize,
    /// Commands a batch.
    pub batch_max: usize,
    /// Commands that must wait for a batch to be begun while another is on its way to the disk. Fewer wait for that one:
    /// with those that come meanwhile they make one batch, which costs less than two.
    ///
    /// With nothing on its way, a batch is made durable where it was appended if it has at most a 16th of so many commands, which
    /// are not worth waking the other half for; or at most 4 times so many if nobody waits behind them, so that there is nothing
    /// to begin. With 0, neither happens.
    pub overlap_min: usize,
    /// How long a failed store is left alone before it is opened again.
    pub recover_after: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { waiting_max: 16_384, batch_max: 4_096, overlap_min: 64, recover_after: Duration::from_secs(1) }
    }
}

/// Longer than a buyer in the same process takes from one answer to the next question.
const LOOK_OUT: Duration = Duration::from_micros(40);

/// The handle on a running writer.
#[derive(Clone)]
pub struct Writer {
    queue: Queue<Command, Outcome>,
    published: Arc<Published>,
    closed: Closed,
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
    /// Recovers the store and starts to write. Stops, with everything answered, when the last handle is dropped.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn start(
        mut store: impl LedgerStore,
        clock: Arc<dyn Clock>,
        limits: WriterLimits,
        execution: Execution,
    ) -> Result<Self, StoreError> {
        let state = store.recover()?;
        let published = Arc::new(Published::new(&state));
        let finish = Arc::new(Finish {
            flush: Mutex::new(store.flusher()?),
            published: Arc::clone(&published),
            failed: AtomicBool::new(false),
            callers: callers(execution),
        });
        show_writable(true);
        let (queue, waiting) = batch::queue(limits.waiting_max);
        let (open, closed) = watch::channel(());
        // One batch may wait while another is being made durable; a third one keeps gathering in the queue.
        let (to_sync, from_desk) = mpsc::channel(1);
        let (to_desk, done) = mpsc::unbounded_channel();
        let way = Way { to_sync, done, under_way: 0 };
        let look_out = if execution == Execution::Threads { LOOK_OUT } else { Duration::ZERO };
        let desk =
            Desk { store, state: Some(state), clock, limits, finish: Arc::clone(&finish), look_out, _open: open };
        let (sync, desk) = (finish_all(finish, from_desk, to_desk), desk.run(waiting, way));
        match execution {
            Execution::Threads => {
                on_thread("ledger-sync", sync)?;
                on_thread("ledger-write", desk)?;
            }
            Execution::Task => {
                tokio::spawn(sync);
                tokio::spawn(desk);
            }
        }
        Ok(Self { queue, published, closed: Closed(closed) })
    }

    /// Executes one command durably.
    ///
    /// # Errors
    /// The domain's refusals, and those of [`Queue::call`].
    pub fn execute(&self, command: Command) -> impl Future<Output = Result<Outcome>> {
        self.queue.call(command)
    }

    /// Executes many commands durably, each by itself.
    pub fn execute_many(
        &self,
        commands: impl IntoIterator<Item = Command>,
    ) -> impl Future<Output = Vec<Result<Outcome>>> {
        self.queue.call_many(commands)
    }

    /// Tells when the store is closed.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.closed.clone()
    }

    /// What is durable.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }
}

/// Commands decided and appended, waiting to be durable. Dropped meanwhile, its callers do not know the outcome.
struct Appended {
    batch: Batch,
    decided: Decided,
}

/// Who asked, and what was decided.
type Decided = Vec<(Reply<Outcome>, Result<Outcome>)>;

/// Whatever was decided may have happened. What was refused did not, but the reason may be a sale of this very batch,
/// which nobody may be told of.
fn answer_unknown(decided: Decided) {
    for (reply, outcome) in decided {
        let error = match outcome {
            Ok(_) => Error::unknown("the store failed while writing"),
            Err(_) => Error::unavailable("the store failed while others were served"),
        };
        reply.send(Err(error));
    }
}

/// What was decided and is durable. It is told when this is dropped, so that a runtime that shuts down with it does not
/// keep it from anybody.
struct Durable(Decided);

impl Drop for Durable {
    fn drop(&mut self) {
        for (reply, outcome) in self.0.drain(..) {
            // A caller that has gone needs no answer.
            reply.send(outcome);
        }
    }
}

/// Decides and appends: the first half of the work.
struct Desk<S> {
    store: S,
    /// `None` after a failure, until the store has been recovered.
    state: Option<State>,
    clock: Arc<dyn Clock>,
    limits: WriterLimits,
    finish: Arc<Finish>,
    /// How long it waits awake after a small batch.
    look_out: Duration,
    /// Dropped after the store, see [`Writer::closed`].
    _open: watch::Sender<()>,
}

impl<S: LedgerStore> Desk<S> {
    /// Decides the calls and appends what they do. `None` if the store failed: then every call has been answered.
    fn append(&mut self, mut calls: Vec<Call<Command, Outcome>>) -> Option<Appended> {
        // Whoever hung up before anything was done gets nothing done.
        calls.retain(|call| !call.reply.is_closed());
        let Some(state) = self.state.as_mut() else {
            refuse(calls);
            return None;
        };
        state.known.clear();
        state.identities.clear();
        if let Err(error) = self.store.load(&mut calls.iter().map(|call| &call.command), state) {
            show_failed("read", &error);
            self.state = None;
            refuse(calls);
            return None;
        }
        state.look_ahead(calls.iter().map(|call| &call.command));
        let now = self.clock.now();
        let mut batch = Batch::with_capacity(calls.len());
        let decide = |call: Call<Command, Outcome>| (call.reply, state.decide(&call.command, now, &mut batch));
        let decided: Decided = calls.into_iter().map(decide).collect();
        metrics::histogram!("bookstore_batch_commands").record(decided.len() as f64);
        if !batch.entries.is_empty()
            && let Err(error) = self.store.append(&batch, state)
        {
            show_failed("write", &error);
            self.state = None;
            answer_unknown(decided);
            return None;
        }
        Some(Appended { batch, decided })
    }

    /// Opens a failed store again, if it lets itself be opened.
    fn recover(&mut self) {
        match self.store.recover().and_then(|state| Ok((state, self.store.flusher()?))) {
            Ok((state, flush)) => {
                tracing::info!(head = %state.head, "the store is open again");
                show_writable(true);
                self.finish.reopened(&state, flush);
                self.state = Some(state);
            }
            Err(error) => tracing::error!(%error, "the store cannot be opened again yet"),
        }
    }

    /// Whether so many are not worth waking a thread for.
    fn are_few(&self, decided: usize) -> bool {
        decided <= self.limits.overlap_min / 16
    }

    /// Whether a batch of so many is made durable here.
    fn stays_here(&self, decided: usize, waiting: &Waiting<Command, Outcome>) -> bool {
        self.are_few(decided) || (waiting.is_empty() && decided <= 4 * self.limits.overlap_min)
    }

    /// Waits awake for a moment until those who were answered are back, if they are few: sooner than a thread is woken, and
    /// together with those who wait already they are one batch.
    fn look_out(&self, waiting: &Waiting<Command, Outcome>, answered: usize) {
        if !self.are_few(answered) {
            return;
        }
        let (from, all) = (std::time::Instant::now(), waiting.len() + answered);
        while waiting.len() < all && from.elapsed() < self.look_out {
            std::thread::yield_now();
        }
    }

    fn close(&mut self) {
        if let Some(state) = &self.state
            && let Err(error) = self.store.close(state)
        {
            tracing::warn!(%error, "the store was not closed cleanly; the next start takes longer");
        }
    }

    async fn run(mut self, mut waiting: Waiting<Command, Outcome>, mut way: Way) {
        let mut failed_at = None;
        loop {
            select(pin!(way.clear()), pin!(waiting.at_least(self.limits.overlap_min))).await;
            let calls = waiting.gather(self.limits.batch_max).await;
            if calls.is_empty() {
                way.clear().await;
            }
            if self.finish.failed.load(Ordering::Acquire) {
                self.state = None;
            }
            if calls.is_empty() {
                return self.close();
            }
            let mut since = || *failed_at.get_or_insert_with(Instant::now);
            if self.state.is_none() && since().elapsed() >= self.limits.recover_after {
                // Nothing may be on its way to the disk while the store says what is in it.
                way.clear().await;
                failed_at = Some(Instant::now());
                self.recover();
                if self.state.is_some() {
                    failed_at = None;
                }
            }
            match self.append(calls) {
                Some(appended) if way.is_clear() && self.stays_here(appended.decided.len(), &waiting) => {
                    let answered = appended.decided.len();
                    self.finish.batch(appended).await;
                    self.look_out(&waiting, answered);
                }
                Some(appended) => way.send(appended).await,
                None => {}
            }
        }
    }
}

/// Runs one half of the work on a thread of its own, which may wait for the disk.
fn on_thread(name: &str, half: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
    let error = |error: std::io::Error| StoreError::Failed(format!("no thread for the writer: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(error)?;
    std::thread::Builder::new().name(name.into()).spawn(move || runtime.block_on(half)).map_err(error)?;
    Ok(())
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The desk's end of the way to the disk.
struct Way {
    to_sync: mpsc::Sender<Appended>,
    /// A word for each batch that has been answered.
    done: mpsc::UnboundedReceiver<()>,
    /// Batches that no word has come of.
    under_way: usize,
}

impl Way {
    async fn send(&mut self, appended: Appended) {
        if self.to_sync.send(appended).await.is_ok() {
            self.under_way += 1;
        }
    }

    /// Whether nothing is on its way.
    fn is_clear(&mut self) -> bool {
        while self.done.try_recv().is_ok() {
            self.under_way -= 1;
        }
        self.under_way == 0
    }

    /// Returns when nothing is on its way.
    async fn clear(&mut self) {
        while self.under_way > 0 && self.done.recv().await.is_some() {
            self.under_way -= 1;
        }
    }
}

/// Makes durable, publishes and answers: the second half of the work.
struct Finish {
    /// Used by one half at a time.
    flush: Mutex<Box<dyn Flush>>,
    published: Arc<Published>,
    /// A flush failed, and the store has not been opened again since.
    failed: AtomicBool,
    callers: Option<Handle>,
}

/// Answers from which on they are given by a task among the callers: there, waking a caller is no system call and no lock, and
/// the next batch is flushed meanwhile. With fewer, the task costs more than it gives.
const SPAWN_MIN: usize = 128;

/// The runtime that the writer was started in, unless its tasks might wait for somebody to drive it.
fn callers(execution: Execution) -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    let drives_itself = runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
    (execution == Execution::Threads && drives_itself).then_some(runtime)
}

async fn finish_all(finish: Arc<Finish>, mut from_desk: mpsc::Receiver<Appended>, done: mpsc::UnboundedSender<()>) {
    while let Some(appended) = from_desk.recv().await {
        finish.batch(appended).await;
        // The desk may have stopped.
        let _ = done.send(());
    }
}

impl Finish {
    async fn batch(&self, Appended { batch, decided }: Appended) {
        if self.failed.load(Ordering::Acquire) {
            // Decided on top of a batch whose fate is unknown: unknown as well.
            return answer_unknown(decided);
        }
        // A crash of a simulated machine may fall into each of the waits: between append and flush, and between flush and answers.
        let [before, after] = self.flush().simulated_wait();
        pause(before).await;
        let durable = if batch.entries.is_empty() { Ok(()) } else { self.flush().flush() };
        pause(after).await;
        match durable {
            Ok(()) => {
                self.published.advance(batch.entries);
                self.answer(Durable(decided));
            }
            Err(error) => {
                show_failed("sync", &error);
                self.failed.store(true, Ordering::Release);
                answer_unknown(decided);
            }
        }
    }

    fn answer(&self, durable: Durable) {
        if let Some(callers) = &self.callers
            && durable.0.len() >= SPAWN_MIN
        {
            callers.spawn(async move { drop(durable) });
        }
    }

    /// Goes on with a store that has been opened again. Nothing may be on its way.
    fn reopened(&self, state: &State, flush: Box<dyn Flush>) {
        *self.flush() = flush;
        self.published.replace(state);
        self.failed.store(false, Ordering::Release);
    }

    fn flush(&self) -> MutexGuard<'_, Box<dyn Flush>> {
        self.flush.lock().expect("a flush does not panic")
    }
}

/// For the operator: the shop can still be read then.
fn show_failed(to: &str, error: &StoreError) {
    tracing::error!(%error, "the store failed to {to}; it will be opened again");
    show_writable(false);
}

fn show_writable(writable: bool) {
    metrics::gauge!("bookstore_ledger_writable").set(f64::from(u8::from(writable)));
}

fn refuse(calls: Vec<Call<Command, Outcome>>) {
    for call in calls {
        call.reply.send(Err(Error::unavailable("the store failed and has not been opened again yet")));
    }
}

//! The one writer of a ledger: gathers commands, decides them, appends, makes durable, publishes, answers.
//!
//! In production two threads share the work: while one makes a batch durable, the other decides and appends the next.
//! In a simulation two tasks do the same, so that a seed gives the same trace every time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

use crate::{
    batch::{self, Call, Queue, Waiting},
    clock::Clock,
    decide::{self, Batch, Command, Level, Levels, Outcome, State},
    error::{Error, Result},
    ledger::{Entry, Seq},
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
    /// How long a failed store is left alone before it is opened again.
    pub recover_after: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { waiting_max: 16_384, batch_max: 4_096, recover_after: Duration::from_secs(1) }
    }
}

/// What is durable, for readers: they see the ledger up to `head` and nothing beyond.
#[derive(Debug)]
pub struct Published {
    head: watch::Sender<Seq>,
    levels: RwLock<Levels>,
    /// The newest entries, for those who follow closely.
    recent: RwLock<VecDeque<Entry>>,
}

/// Entries that are kept for followers; whoever is further behind reads the store.
const RECENT_MAX: usize = 4_096;

impl Published {
    fn new(state: &State) -> Self {
        let (head, levels) = (watch::Sender::new(state.head), RwLock::new(state.levels.clone()));
        Self { head, levels, recent: RwLock::default() }
    }

    /// The last durable entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        *self.head.borrow()
    }

    /// Follows the head.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    /// Looks at the levels as of a head that is at least [`Published::head`].
    ///
    /// # Panics
    /// If a writer panicked.
    pub fn levels<T>(&self, look: impl FnOnce(&Levels) -> T) -> T {
        look(&self.levels.read().expect("the writer does not panic"))
    }

    /// One book's level.
    #[must_use]
    pub fn level(&self, book: crate::book::BookId) -> Option<Level> {
        self.levels(|levels| levels.get(book))
    }

    /// Up to `limit` entries after `after` and up to `head`, if all of them are at hand.
    pub(crate) fn recent(&self, after: Seq, head: Seq, limit: usize) -> Option<Vec<Entry>> {
        let recent = self.recent.read().expect("the writer does not panic");
        let first = recent.front().filter(|first| first.seq <= after.next())?;
        let skip = usize::try_from(after.next().0 - first.seq.0).ok()?;
        Some(recent.iter().skip(skip).take_while(|entry| entry.seq <= head).take(limit).cloned().collect())
    }

    fn advance(&self, entries: Vec<Entry>) {
        let Some(last) = entries.last().map(|entry| entry.seq) else { return };
        {
            let mut levels = self.levels.write().expect("readers do not panic");
            entries.iter().for_each(|entry| decide::apply(&mut levels, entry));
        }
        {
            let mut recent = self.recent.write().expect("readers do not panic");
            recent.extend(entries);
            let surplus = recent.len().saturating_sub(RECENT_MAX);
            recent.drain(..surplus);
        }
        self.head.send_replace(last);
    }

    fn replace(&self, state: &State) {
        self.recent.write().expect("readers do not panic").clear();
        *self.levels.write().expect("readers do not panic") = state.levels.clone();
        self.head.send_replace(state.head);
    }
}

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
        let sync = store.flusher()?;
        let published = Arc::new(Published::new(&state));
        let (queue, waiting) = batch::queue(limits.waiting_max);
        let (open, closed) = watch::channel(());
        let desk = Desk { store, state: Some(state), clock, limits, published: Arc::clone(&published), _open: open };
        match execution {
            Execution::Threads => desk.spawn_threads(waiting, sync)?,
            Execution::Task => {
                tokio::spawn(desk.run_task(waiting, sync));
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

/// Commands decided and appended, waiting to be durable.
struct Appended {
    batch: Batch,
    replies: Vec<(oneshot::Sender<Result<Outcome>>, Result<Outcome>)>,
}

impl Appended {
    fn publish_and_answer(self, published: &Published) {
        published.advance(self.batch.entries);
        for (reply, outcome) in self.replies {
            // A caller that has gone needs no answer.
            let _ = reply.send(outcome);
        }
    }

    /// Whatever was decided may have happened. What was refused did not, but the reason may be a sale of this very batch,
    /// which nobody may be told of.
    fn answer_unknown(self) {
        for (reply, outcome) in self.replies {
            let error = match outcome {
                Ok(_) => Error::unknown("the store failed while writing"),
                Err(_) => Error::unavailable("the store failed while others were served"),
            };
            let _ = reply.send(Err(error));
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
    published: Arc<Published>,
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
            tracing::error!(%error, "the store failed to read; it will be opened again");
            self.state = None;
            refuse(calls);
            return None;
        }
        let now = self.clock.now();
        let mut batch = Batch::with_capacity(calls.len());
        let replies = calls
            .into_iter()
            .map(|call| (call.reply, state.decide(&call.command, now, &mut batch)))
            .collect::<Vec<_>>();
        metrics::histogram!("bookstore_batch_commands").record(replies.len() as f64);
        let appended = Appended { batch, replies };
        if appended.batch.entries.is_empty() {
            return Some(appended);
        }
        if let Err(error) = self.store.append(&appended.batch, state) {
            tracing::error!(%error, "the store failed to write; it will be opened again");
            self.state = None;
            appended.answer_unknown();
            return None;
        }
        Some(appended)
    }

    /// Opens a failed store again. `None` if it still fails.
    fn recover(&mut self) -> Option<Box<dyn Flush>> {
        match self.store.recover().and_then(|state| Ok((state, self.store.flusher()?))) {
            Ok((state, sync)) => {
                tracing::info!(head = %state.head, "the store is open again");
                self.published.replace(&state);
                self.state = Some(state);
                Some(sync)
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be opened again yet");
                None
            }
        }
    }

    fn close(&mut self) {
        if let Some(state) = &self.state
            && let Err(error) = self.store.close(state)
        {
            tracing::warn!(%error, "the store was not closed cleanly; the next start takes longer");
        }
    }

    /// As [`Desk::run`], with a task for each of the two threads.
    async fn run_task(mut self, mut waiting: Waiting<Command, Outcome>, sync: Box<dyn Flush>) {
        let (to_sync, from_desk) = tokio::sync::mpsc::channel(1);
        let failed = Arc::new(AtomicBool::new(false));
        let syncer = Syncer { published: Arc::clone(&self.published), failed: Arc::clone(&failed) };
        tokio::spawn(syncer.run_task(from_desk, sync));
        let mut failed_at: Option<tokio::time::Instant> = None;
        loop {
            let calls = waiting.gather(self.limits.batch_max).await;
            if calls.is_empty() {
                drain_task(&to_sync).await;
            }
            if failed.load(Ordering::Acquire) {
                self.state = None;
            }
            if calls.is_empty() {
                return self.close();
            }
            let mut since = || *failed_at.get_or_insert_with(tokio::time::Instant::now);
            if self.state.is_none() && since().elapsed() >= self.limits.recover_after {
                drain_task(&to_sync).await;
                failed_at = Some(tokio::time::Instant::now());
                if let Some(sync) = self.recover() {
                    failed.store(false, Ordering::Release);
                    let _ = to_sync.send(ToSync::Reopened(sync)).await;
                    failed_at = None;
                }
            }
            if let Some(appended) = self.append(calls) {
                let _ = to_sync.send(ToSync::Batch(appended)).await;
            }
        }
    }

    fn spawn_threads(self, waiting: Waiting<Command, Outcome>, sync: Box<dyn Flush>) -> Result<(), StoreError> {
        let spawn_error = |error: std::io::Error| StoreError::Failed(format!("no thread for the writer: {error}"));
        // One batch may wait while another is being made durable; a third one keeps gathering in the queue.
        let (to_sync, from_desk) = mpsc::sync_channel(1);
        let failed = Arc::new(AtomicBool::new(false));
        let syncer = Syncer { published: Arc::clone(&self.published), failed: Arc::clone(&failed) };
        std::thread::Builder::new()
            .name("ledger-sync".into())
            .spawn(move || syncer.run(&from_desk, sync))
            .map_err(spawn_error)?;
        std::thread::Builder::new()
            .name("ledger-write".into())
            .spawn(move || self.run(waiting, &to_sync, &failed))
            .map_err(spawn_error)?;
        Ok(())
    }

    fn run(mut self, mut waiting: Waiting<Command, Outcome>, to_sync: &mpsc::SyncSender<ToSync>, failed: &AtomicBool) {
        let mut failed_at: Option<Instant> = None;
        loop {
            let calls = waiting.gather_blocking(self.limits.batch_max);
            if calls.is_empty() {
                drain(to_sync);
                if failed.load(Ordering::Acquire) {
                    self.state = None;
                }
                return self.close();
            }
            if failed.load(Ordering::Acquire) {
                self.state = None;
            }
            if self.state.is_none() && failed_at.get_or_insert_with(Instant::now).elapsed() >= self.limits.recover_after
            {
                // Nothing may be on its way to the disk while the store says what is in it.
                drain(to_sync);
                match self.recover() {
                    Some(sync) => {
                        failed.store(false, Ordering::Release);
                        let _ = to_sync.send(ToSync::Reopened(sync));
                        failed_at = None;
                    }
                    None => failed_at = Some(Instant::now()),
                }
            }
            if let Some(appended) = self.append(calls) {
                let _ = to_sync.send(ToSync::Batch(appended));
            }
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// Returns when nothing is on its way to the disk.
fn drain(to_sync: &mpsc::SyncSender<ToSync>) {
    let (drained, wait) = oneshot::channel();
    let _ = to_sync.send(ToSync::Drain(drained));
    let _ = wait.blocking_recv();
}

/// As [`drain`], for a task.
async fn drain_task(to_sync: &tokio::sync::mpsc::Sender<ToSync>) {
    let (drained, wait) = oneshot::channel();
    let _ = to_sync.send(ToSync::Drain(drained)).await;
    let _ = wait.await;
}

enum ToSync {
    Batch(Appended),
    /// Answered when everything before it is done.
    Drain(oneshot::Sender<()>),
    Reopened(Box<dyn Flush>),
}

/// Makes durable, publishes and answers: the second half of the work.
struct Syncer {
    published: Arc<Published>,
    failed: Arc<AtomicBool>,
}

impl Syncer {
    fn run(self, from_desk: &mpsc::Receiver<ToSync>, mut sync: Box<dyn Flush>) {
        while let Ok(message) = from_desk.recv() {
            match message {
                ToSync::Drain(drained) => drop(drained.send(())),
                ToSync::Reopened(reopened) => sync = reopened,
                // Decided on top of a batch whose fate is unknown: unknown as well.
                ToSync::Batch(appended) if self.failed.load(Ordering::Acquire) => appended.answer_unknown(),
                ToSync::Batch(appended) => {
                    let durable = make_durable(&appended, sync.as_mut());
                    self.tell(appended, durable);
                }
            }
        }
    }

    /// As [`Syncer::run`]. A crash of the simulated machine may fall into each of the waits: between append and flush, and
    /// between flush and answers.
    async fn run_task(self, mut from_desk: tokio::sync::mpsc::Receiver<ToSync>, mut sync: Box<dyn Flush>) {
        while let Some(message) = from_desk.recv().await {
            match message {
                ToSync::Drain(drained) => drop(drained.send(())),
                ToSync::Reopened(reopened) => sync = reopened,
                ToSync::Batch(appended) if self.failed.load(Ordering::Acquire) => appended.answer_unknown(),
                ToSync::Batch(appended) => {
                    let [before, after] = sync.simulated_wait();
                    pause(before).await;
                    let durable = make_durable(&appended, sync.as_mut());
                    pause(after).await;
                    self.tell(appended, durable);
                }
            }
        }
    }

    fn tell(&self, appended: Appended, durable: Result<(), StoreError>) {
        match durable {
            Ok(()) => appended.publish_and_answer(&self.published),
            Err(error) => {
                tracing::error!(%error, "the store failed to sync; it will be opened again");
                self.failed.store(true, Ordering::Release);
                appended.answer_unknown();
            }
        }
    }
}

fn make_durable(appended: &Appended, sync: &mut dyn Flush) -> Result<(), StoreError> {
    if appended.batch.entries.is_empty() { Ok(()) } else { sync.flush() }
}

fn refuse(calls: Vec<Call<Command, Outcome>>) {
    for call in calls {
        let _ = call.reply.send(Err(Error::unavailable("the store failed and has not been opened again yet")));
    }
}

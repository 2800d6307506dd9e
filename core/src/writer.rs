//! The one writer of a ledger: gathers commands, decides them, appends, makes durable, publishes, answers.
//!
//! Two halves share the work: while one makes a batch durable, the other decides and appends the next, if enough commands
//! wait to make that worth while. In production each half has a thread, in a simulation each is a task, so that a seed gives
//! the same trace every time.

use futures_util::future::select;
use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

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
    /// Commands that must wait for a batch to be begun while another is on its way to the disk. Fewer wait for that one:
    /// with those that come meanwhile they make one batch, which costs less than two.
    pub overlap_min: usize,
    /// How long a failed store is left alone before it is opened again.
    pub recover_after: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { waiting_max: 16_384, batch_max: 4_096, overlap_min: 64, recover_after: Duration::from_secs(1) }
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
        // One batch may wait while another is being made durable; a third one keeps gathering in the queue.
        let (to_sync, from_desk) = mpsc::channel(1);
        let (to_desk, done) = mpsc::unbounded_channel();
        let failed = Arc::new(AtomicBool::new(false));
        let syncer = Syncer { published: Arc::clone(&published), failed: Arc::clone(&failed), done: to_desk };
        let way = Way { to_sync, done, under_way: 0, failed };
        let desk = Desk { store, state: Some(state), clock, limits, published: Arc::clone(&published), _open: open };
        let (syncer, desk) = (syncer.run(from_desk, sync), desk.run(waiting, way));
        match execution {
            Execution::Threads => {
                on_thread("ledger-sync", syncer)?;
                on_thread("ledger-write", desk)?;
            }
            Execution::Task => {
                tokio::spawn(syncer);
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

    async fn run(mut self, mut waiting: Waiting<Command, Outcome>, mut way: Way) {
        let mut failed_at = None;
        loop {
            select(pin!(way.clear()), pin!(waiting.at_least(self.limits.overlap_min))).await;
            let calls = waiting.gather(self.limits.batch_max).await;
            if calls.is_empty() {
                way.clear().await;
            }
            if way.failed.load(Ordering::Acquire) {
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
                if let Some(sync) = self.recover() {
                    way.failed.store(false, Ordering::Release);
                    let _ = way.to_sync.send(ToSync::Reopened(sync)).await;
                    failed_at = None;
                }
            }
            if let Some(appended) = self.append(calls) {
                way.send(appended).await;
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
    to_sync: mpsc::Sender<ToSync>,
    /// A word for each batch that has been answered.
    done: mpsc::UnboundedReceiver<()>,
    /// Batches that no word has come of.
    under_way: usize,
    /// A flush failed, and the store has not been opened again since.
    failed: Arc<AtomicBool>,
}

impl Way {
    async fn send(&mut self, appended: Appended) {
        while self.done.try_recv().is_ok() {
            self.under_way -= 1;
        }
        if self.to_sync.send(ToSync::Batch(appended)).await.is_ok() {
            self.under_way += 1;
        }
    }

    /// Returns when nothing is on its way.
    async fn clear(&mut self) {
        while self.under_way > 0 && self.done.recv().await.is_some() {
            self.under_way -= 1;
        }
    }
}

enum ToSync {
    Batch(Appended),
    Reopened(Box<dyn Flush>),
}

/// Makes durable, publishes and answers: the second half of the work.
struct Syncer {
    published: Arc<Published>,
    failed: Arc<AtomicBool>,
    done: mpsc::UnboundedSender<()>,
}

impl Syncer {
    async fn run(self, mut from_desk: mpsc::Receiver<ToSync>, mut sync: Box<dyn Flush>) {
        while let Some(message) = from_desk.recv().await {
            match message {
                ToSync::Reopened(reopened) => sync = reopened,
                ToSync::Batch(appended) => {
                    self.finish(appended, sync.as_mut()).await;
                    // The desk may have stopped.
                    let _ = self.done.send(());
                }
            }
        }
    }

    async fn finish(&self, appended: Appended, sync: &mut dyn Flush) {
        if self.failed.load(Ordering::Acquire) {
            // Decided on top of a batch whose fate is unknown: unknown as well.
            return appended.answer_unknown();
        }
        // A crash of a simulated machine may fall into each of the waits: between append and flush, and between flush and answers.
        let [before, after] = sync.simulated_wait();
        pause(before).await;
        let durable = make_durable(&appended, sync);
        pause(after).await;
        self.tell(appended, durable);
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

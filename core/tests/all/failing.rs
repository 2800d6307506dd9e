//! Stores that fail when they are told to: before or after the deed, and one that forgets what was not flushed.

use async_trait::async_trait;
use bookstore_core::{
    BookId, Clock as _, Entry, LedgerId, ManualClock, Order, OrderId, Result, Seq, Text, Topic,
    decide::{Batch, Command, State},
    page::CheckedQuery,
    store::{
        Flush, Found, LedgerReader, LedgerStore, StoreError,
        memory::{self, MemoryReader, MemoryStore},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, RwLock},
    time::Duration,
};

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Recover,
    Load,
    Append,
    Flush,
}

/// Whether a failing operation has been done all the same, or takes its thread down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
    Panic,
}

/// Which operations fail: the n-th of its kind, counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    state: Mutex<PlanState>,
}

#[derive(Debug, Default)]
struct PlanState {
    faults: Vec<(Operation, u64, Moment)>,
    done: BTreeMap<Operation, u64>,
    struck: u64,
    /// How long a flush takes, for a writer that is a task.
    flush_takes: Duration,
}

impl Plan {
    pub(crate) fn new(faults: impl IntoIterator<Item = (Operation, u64, Moment)>) -> Arc<Self> {
        let plan = Self::default();
        plan.lock().faults.extend(faults);
        Arc::new(plan)
    }

    /// Likewise, with a slow disk, for a writer that is a task.
    pub(crate) fn slow(flush_takes: Duration, faults: impl IntoIterator<Item = (Operation, u64, Moment)>) -> Arc<Self> {
        let plan = Self::new(faults);
        plan.lock().flush_takes = flush_takes;
        plan
    }

    /// How many faults have struck.
    pub(crate) fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// How often an operation was tried.
    pub(crate) fn tried(&self, operation: Operation) -> u64 {
        self.lock().done.get(&operation).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, PlanState> {
        self.state.lock().expect("nobody panics with it")
    }

    fn run<T>(&self, operation: Operation, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let fault = {
            let mut state = self.lock();
            let count = state.done.entry(operation).or_default();
            *count += 1;
            let count = *count;
            let fault = state.faults.iter().find(|(at, n, _)| (*at, *n) == (operation, count)).map(|fault| fault.2);
            state.struck += u64::from(fault.is_some());
            fault
        };
        let injected = || StoreError::Failed(format!("injected at {operation:?}"));
        match fault {
            None => work(),
            Some(Moment::Before) => Err(injected()),
            Some(Moment::After) => work().and_then(|_| Err(injected())),
            Some(Moment::Panic) => panic!("injected at {operation:?}"),
        }
    }
}

/// A store that fails by a plan.
pub(crate) struct Failing<S> {
    pub(crate) store: S,
    pub(crate) plan: Arc<Plan>,
}

impl<S: LedgerStore> LedgerStore for Failing<S> {
    fn recover(&mut self) -> Result<State, StoreError> {
        let Self { store, plan } = self;
        plan.run(Operation::Recover, || store.recover())
    }

    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError> {
        let Self { store, plan } = self;
        plan.run(Operation::Load, || store.load(commands, state))
    }

    fn append(&mut self, batch: &Batch, state: &State) -> Result<(), StoreError> {
        let Self { store, plan } = self;
        plan.run(Operation::Append, || store.append(batch, state))
    }

    fn close(&mut self, state: &State) -> Result<(), StoreError> {
        self.store.close(state)
    }

    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError> {
        Ok(Box::new(FailingFlush { flush: self.store.flusher()?, plan: Arc::clone(&self.plan) }))
    }
}

struct FailingFlush {
    flush: Box<dyn Flush>,
    plan: Arc<Plan>,
}

impl Flush for FailingFlush {
    fn flush(&mut self) -> Result<(), StoreError> {
        let Self { flush, plan } = self;
        plan.run(Operation::Flush, || flush.flush())
    }

    fn simulated_wait(&mut self) -> [Duration; 2] {
        [self.plan.lock().flush_takes, Duration::ZERO]
    }
}

/// A store whose disk keeps only what was flushed: the rest is gone at the next recovery.
pub(crate) struct Forgetful {
    disk: Arc<Shared>,
    store: MemoryStore,
    reader: Arc<Current>,
}

#[derive(Default)]
struct Shared {
    disk: Mutex<Disk>,
    changed: Condvar,
}

/// Holds up what a store appends.
pub(crate) struct Hold(Arc<Shared>);

impl Hold {
    pub(crate) fn set(&self, held: bool) {
        self.0.lock().held = held;
        self.0.changed.notify_all();
    }
}

#[derive(Default)]
struct Disk {
    appended: Vec<Batch>,
    /// How many of them are durable.
    durable: usize,
    /// This flush fails, but not before another batch has been appended.
    tears_at: Option<u64>,
    /// Nothing is appended meanwhile.
    held: bool,
    flushes: u64,
    /// How often it was opened: what an earlier opening flushes is not this disk any more.
    opened: u64,
    /// A flush failed and its pages are lost: whatever follows stands behind a hole, though later flushes succeed.
    torn: bool,
}

impl Forgetful {
    pub(crate) fn open() -> (Self, Arc<dyn LedgerReader>) {
        let (store, reader) = new_memory();
        let reader = Arc::new(Current(RwLock::new(reader)));
        (Self { disk: Arc::default(), store, reader: Arc::clone(&reader) }, reader)
    }

    /// The n-th flush fails while the batch after it has been appended already, and loses its own.
    pub(crate) fn tearing_at(n: u64) -> (Self, Arc<dyn LedgerReader>, Hold) {
        let (store, reader) = Self::open();
        store.disk.lock().tears_at = Some(n);
        let hold = Hold(Arc::clone(&store.disk));
        (store, reader, hold)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nobody panics with it")
    }
}

/// An empty ledger that always has the same id.
fn new_memory() -> (MemoryStore, Arc<MemoryReader>) {
    memory::open(&ManualClock::default())
}

impl LedgerStore for Forgetful {
    fn recover(&mut self) -> Result<State, StoreError> {
        let mut disk = self.disk.lock();
        let kept = disk.durable;
        disk.appended.truncate(kept);
        disk.torn = false;
        disk.opened += 1;
        let (mut store, reader) = new_memory();
        for batch in &disk.appended {
            store.append(batch, &State::default())?;
        }
        self.store = store;
        *self.reader.0.write().expect("nobody panics with it") = reader;
        self.store.recover()
    }

    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError> {
        self.store.load(commands, state)
    }

    fn append(&mut self, batch: &Batch, state: &State) -> Result<(), StoreError> {
        let mut disk = self.disk.changed.wait_while(self.disk.lock(), |disk| disk.held).expect("nobody panics with it");
        disk.appended.push(batch.clone());
        drop(disk);
        self.disk.changed.notify_all();
        self.store.append(batch, state)
    }

    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError> {
        let opened = self.disk.lock().opened;
        Ok(Box::new(Remember { shared: Arc::clone(&self.disk), opened }))
    }
}

struct Remember {
    shared: Arc<Shared>,
    opened: u64,
}

impl Flush for Remember {
    fn flush(&mut self) -> Result<(), StoreError> {
        let mut disk = self.shared.lock();
        disk.flushes += 1;
        if disk.tears_at == Some(disk.flushes) {
            // Not counted from what is durable: the flush before this one may have covered batches that were appended ahead of it,
            // and the writer goes only so far ahead.
            let alone = |disk: &mut Disk| disk.appended.len() as u64 <= disk.flushes;
            disk = self.shared.changed.wait_while(disk, alone).expect("nobody panics with it");
            disk.torn = true;
            return Err(StoreError::Failed("injected: the disk is torn".into()));
        }
        if !disk.torn && disk.opened == self.opened {
            disk.durable = disk.appended.len();
        }
        Ok(())
    }
}

/// Reads whichever ledger is the current one.
struct Current(RwLock<Arc<MemoryReader>>);

impl Current {
    fn reader(&self) -> Arc<MemoryReader> {
        Arc::clone(&self.0.read().expect("nobody panics with it"))
    }
}

#[async_trait]
impl LedgerReader for Current {
    fn id(&self) -> LedgerId {
        ManualClock::default().new_id()
    }

    async fn find_books(&self, query: CheckedQuery) -> Result<Vec<Found>> {
        self.reader().find_books(query).await
    }

    async fn text(&self, book: BookId) -> Result<Option<Text>> {
        self.reader().text(book).await
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.reader().topics().await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.reader().entries(after, head, limit).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.reader().order(id, head).await
    }

    async fn orders(&self, before: Option<Seq>, head: Seq, limit: usize) -> Result<Vec<Order>> {
        self.reader().orders(before, head, limit).await
    }
}

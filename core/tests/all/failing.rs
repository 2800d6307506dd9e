//! Stores that fail when they are told to: before or after the deed, and one that forgets what was not flushed.

use async_trait::async_trait;
use bookstore_core::{
    BookId, Contact, Entry, FoundOrders, LedgerIdentity, ManualClock, Order, OrderId, OrderScan, Result, Seq, Text,
    Timestamp,
    contact::ContactChange,
    decide::{Batch, State},
    history::Hash,
    store::{
        AppendError, Flush, LedgerReader, LedgerStore, Recovered, StoreError,
        memory::{self, MemoryReader, MemoryStore},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, RwLock},
    time::Duration,
};
use uuid::Uuid;

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Recover,
    Load,
    Append,
    Confirm,
    Flush,
}

/// Whether a failing operation has been done all the same, or takes its thread down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Not done, and the store says so where it can.
    Refused,
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

    /// Whether the next operation of this kind fails like this.
    fn will(&self, operation: Operation, moment: Moment) -> bool {
        let next = self.tried(operation) + 1;
        self.lock().faults.contains(&(operation, next, moment))
    }

    /// How often an operation was tried.
    pub(crate) fn tried(&self, operation: Operation) -> u64 {
        self.lock().done.get(&operation).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, PlanState> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Counts an operation, and says whether it fails.
    fn fault(&self, operation: Operation) -> Option<Moment> {
        let mut state = self.lock();
        let count = state.done.entry(operation).or_default();
        *count += 1;
        let count = *count;
        let fault = state.faults.iter().find(|(at, n, _)| (*at, *n) == (operation, count)).map(|fault| fault.2);
        state.struck += u64::from(fault.is_some());
        fault
    }

    async fn run<T, E>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, E>>,
        failed: impl FnOnce(StoreError) -> E,
    ) -> Result<T, E> {
        let injected = || StoreError::Failed(format!("injected at {operation:?}"));
        match self.fault(operation) {
            None => work.await,
            Some(Moment::Refused | Moment::Before) => Err(failed(injected())),
            Some(Moment::After) => work.await.and_then(|_| Err(failed(injected()))),
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
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        let Self { store, plan } = self;
        let mut recovered = plan.run(Operation::Recover, store.recover(), |error| error).await?;
        recovered.flush = Box::new(FailingFlush { flush: recovered.flush, plan: Arc::clone(plan) });
        Ok(recovered)
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        let Self { store, plan } = self;
        plan.run(Operation::Load, store.load(keys, identities, state), |error| error).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.store.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        let Self { store, plan } = self;
        let refused = plan.will(Operation::Append, Moment::Refused);
        let failed = if refused { AppendError::NotAppended } else { AppendError::Unknown };
        plan.run(Operation::Append, store.append(batch, state), failed).await
    }

    async fn confirm(&mut self) -> Result<(), StoreError> {
        let Self { store, plan } = self;
        plan.run(Operation::Confirm, store.confirm(), |error| error).await
    }

    async fn close(&mut self, state: &State) -> Result<(), StoreError> {
        self.store.close(state).await
    }
}

struct FailingFlush {
    flush: Box<dyn Flush>,
    plan: Arc<Plan>,
}

#[async_trait]
impl Flush for FailingFlush {
    async fn flush(&mut self) -> Result<(), StoreError> {
        let Self { flush, plan } = self;
        let takes = plan.lock().flush_takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        plan.run(Operation::Flush, flush.flush(), |error| error).await
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
    pub(crate) fn open() -> (Self, Arc<Current>) {
        let (store, reader) = new_memory();
        let reader = Arc::new(Current(RwLock::new(reader)));
        (Self { disk: Arc::default(), store, reader: Arc::clone(&reader) }, reader)
    }

    /// The n-th flush fails while the batch after it has been appended already, and loses its own.
    pub(crate) fn tearing_at(n: u64) -> (Self, Arc<Current>, Hold) {
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

    /// What is left, and how often it was opened by now.
    fn reopen(&self) -> (Vec<Batch>, u64) {
        let mut disk = self.lock();
        let kept = disk.durable;
        disk.appended.truncate(kept);
        disk.torn = false;
        disk.opened += 1;
        (disk.appended.clone(), disk.opened)
    }

    fn append(&self, batch: &Batch) {
        let mut disk = self.changed.wait_while(self.lock(), |disk| disk.held).expect("nobody panics with it");
        disk.appended.push(batch.clone());
        drop(disk);
        self.changed.notify_all();
    }
}

/// An empty ledger that always has the same id.
fn new_memory() -> (MemoryStore, Arc<MemoryReader>) {
    memory::open(&ManualClock::default())
}

impl LedgerStore for Forgetful {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        let (kept, opened) = self.disk.reopen();
        let (mut store, reader) = new_memory();
        for batch in &kept {
            store.append(batch, &State::default()).await.map_err(|error| StoreError::Failed(error.to_string()))?;
        }
        self.store = store;
        *self.reader.0.write().expect("nobody panics with it") = reader;
        let flush = Box::new(Remember { shared: Arc::clone(&self.disk), opened });
        Ok(Recovered { flush, ..self.store.recover().await? })
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        self.store.load(keys, identities, state).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.store.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        self.disk.append(batch);
        self.store.append(batch, state).await
    }
}

struct Remember {
    shared: Arc<Shared>,
    opened: u64,
}

#[async_trait]
impl Flush for Remember {
    async fn flush(&mut self) -> Result<(), StoreError> {
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
pub(crate) struct Current(RwLock<Arc<MemoryReader>>);

impl Current {
    fn reader(&self) -> Arc<MemoryReader> {
        Arc::clone(&self.0.read().expect("nobody panics with it"))
    }
}

#[async_trait]
impl LedgerReader for Current {
    fn identity(&self) -> &LedgerIdentity {
        static IDENTITY: LazyLock<LedgerIdentity> =
            LazyLock::new(|| LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(2)));
        &IDENTITY
    }

    async fn hash(&self, at: Seq) -> Result<Hash> {
        self.reader().hash(at).await
    }

    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>> {
        self.reader().text(book, version).await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.reader().entries(after, head, limit).await
    }

    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.reader().texts(after, head, limit).await
    }

    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>> {
        self.reader().batch_ends(after, to).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.reader().order(id, head).await
    }

    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders> {
        self.reader().find_orders(scan, head).await
    }

    async fn contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.reader().contact(order).await
    }

    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>> {
        self.reader().contacts(after, to, limit).await
    }

    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>> {
        self.reader().orders_with_contacts(placed_before, limit).await
    }
}

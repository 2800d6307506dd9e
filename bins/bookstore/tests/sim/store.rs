//! The ledger's real store, on a disk of the simulation: it takes time and fails.

use async_trait::async_trait;
use bookstore_core::{
    BookId, Clock as _, Order, OrderId, Seq, Status, Timestamp,
    decide::{Batch, Known, Levels, State},
    store::{AppendError, Flush, LedgerStore, Recovered, StoreError, sqlite::SqliteStore},
};
use std::{sync::Arc, time::Duration};

use super::{
    bugs::Bug,
    coverage::Seen,
    disk::Disk,
    disk_faults::{fault, write_times},
    hosts::{Host, now},
    world::{Shared, SimClock},
};

/// The ledger's real store, on such a disk.
pub(crate) struct SimStore {
    store: SqliteStore,
    disk: Arc<Disk>,
    world: Shared,
    recovered: bool,
    /// For the bug that decides on old stock.
    before: Option<(Duration, Levels)>,
}

impl SimStore {
    pub(crate) fn new(store: SqliteStore, disk: Arc<Disk>, world: &Shared) -> Self {
        Self { store, disk, world: world.clone(), recovered: false, before: None }
    }

    /// Whether the next write fails: `Some(true)` after it was done all the same.
    fn fault(&self) -> Option<bool> {
        fault(&self.world, &self.disk)
    }
}

fn injected() -> StoreError {
    StoreError::Failed("an injected fault".into())
}

impl LedgerStore for SimStore {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        if self.fault().is_some() {
            self.world.coverage.saw(Seen::RecoverFailed);
            self.world.note(format_args!("catalog: recovery fails"));
            return Err(injected());
        }
        let mut recovered = self.store.recover().await?;
        self.note_recovered(recovered.state.head);
        let now = SimClock::new(&self.world, Host::Catalog).now();
        if recovered.state.holds.next_due().is_some_and(|due| due <= now) {
            self.world.coverage.saw(Seen::LapseOverdue);
        }
        self.disk.mark_durable();
        if std::mem::replace(&mut self.recovered, true) {
            self.world.coverage.saw(Seen::StoreReopened);
        }
        let (flush, disk, world) = (recovered.flush, Arc::clone(&self.disk), self.world.clone());
        recovered.flush = Box::new(SimFlush { flush, disk, world });
        Ok(recovered)
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        self.store.load(keys, identities, state).await?;
        if self.world.has(Bug::CheckThenDecrement) {
            self.decide_on_old_stock(state);
        }
        spoil_holds(&self.world, state);
        Ok(())
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.store.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        self.disk.taken(batch.entries.len());
        let fault = self.fault();
        if fault.is_some() {
            self.world.coverage.saw(Seen::AppendFailed);
            self.world.note(format_args!("catalog: append fails, {fault:?}"));
        }
        if fault == Some(false) {
            return Err(AppendError::NotAppended(injected()));
        }
        if self.world.has(Bug::InvalidateBeforeCommit) {
            let books = batch.entries.iter().flat_map(|entry| &entry.changes).map(|change| change.book);
            books.for_each(|book| drop(self.world.bad_cache().remove(&book)));
        }
        self.store.append(batch, state).await?;
        self.disk.appended(state.head);
        self.world.note(format_args!("catalog: {} entries appended up to {}", batch.entries.len(), state.head));
        if fault.is_some() { Err(AppendError::Unknown(injected())) } else { Ok(()) }
    }

    /// It takes as long as a flush.
    async fn confirm(&mut self) -> Result<(), StoreError> {
        self.disk.taken(0);
        let [before, after] = begin_write(&self.world, &self.disk);
        pause(before).await;
        pause(after).await;
        self.store.confirm().await
    }

    async fn close(&mut self, state: &State) -> Result<(), StoreError> {
        self.store.close(state).await
    }
}

/// The times of the next write, before and after it is done.
fn begin_write(world: &Shared, disk: &Disk) -> [Duration; 2] {
    let times = write_times(world, disk);
    disk.begin_write(times);
    times
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl SimStore {
    fn note_recovered(&self, head: Seq) {
        let (cut, appended, flushed) = self.disk.opened(head);
        self.world.note(format_args!("catalog: recovered at {head}"));
        if head < flushed {
            self.world.fail("durability", format!("entry {flushed} was flushed, but the ledger ends at {head}"));
        }
        if cut && head < appended {
            self.world.coverage.saw(Seen::PowerLost);
        }
        if cut && head > flushed {
            self.world.coverage.saw(Seen::PowerKept);
        }
    }

    /// The bug: the books as they stood before the last batch, if that is not long ago.
    fn decide_on_old_stock(&mut self, state: &mut State) {
        const RACE: Duration = Duration::from_millis(100);
        let current = state.levels.clone();
        if let Some((at, levels)) = &self.before
            && now() < *at + RACE
        {
            for (book, old) in levels.iter() {
                restore_stock(state, book, old.stock);
            }
        }
        self.before = Some((now(), current));
    }
}

fn restore_stock(state: &mut State, book: BookId, stock: u32) {
    if let Some(mut level) = state.levels.get(book) {
        level.stock = stock;
        state.levels.set(book, level);
    }
}

struct SimFlush {
    flush: Box<dyn Flush>,
    disk: Arc<Disk>,
    world: Shared,
}

#[async_trait]
impl Flush for SimFlush {
    /// A crash may fall into each of the waits: between append and flush, and between flush and answers.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let [before, after] = begin_write(&self.world, &self.disk);
        pause(before).await;
        let flushed = self.flush_now().await;
        pause(after).await;
        flushed
    }
}

impl SimFlush {
    async fn flush_now(&mut self) -> Result<(), StoreError> {
        self.disk.begin_answers();
        if self.world.has(Bug::AnswerBeforeFlush) {
            return Ok(());
        }
        let fault = fault(&self.world, &self.disk);
        if fault.is_some() {
            self.world.coverage.saw(Seen::FlushFailed);
            if self.disk.is_piled_up() {
                self.world.coverage.saw(Seen::FlushFailedPiledUp);
            }
            self.world.note(format_args!("catalog: flush fails, {fault:?}"));
        }
        if fault == Some(false) {
            return Err(injected());
        }
        self.flush.flush().await?;
        self.disk.mark_durable();
        if fault.is_some() { Err(injected()) } else { Ok(()) }
    }
}

/// The bugs of holds.
fn spoil_holds(world: &Shared, state: &mut State) {
    const AHEAD_MS: i64 = 700;
    if world.has(Bug::LapsesByAnotherClock) {
        let early = |mut order: Order| {
            let details = order.details.as_mut()?;
            details.expires_at = details.expires_at.map(|at| Timestamp(at.0 - AHEAD_MS));
            Some(order)
        };
        let held: Vec<Order> = state.holds.iter().filter(|order| order.version == order.seq).cloned().collect();
        // Each time a little earlier: a clock that runs fast.
        held.into_iter().filter_map(early).for_each(|order| state.holds.insert(order));
    }
    if world.has(Bug::ConfirmsAfterLapse) || world.has(Bug::GivesBackTwice) {
        for known in state.known.values_mut() {
            if let Known::Order(order) = known
                && order.status == Status::Lapsed
            {
                order.status = Status::Held;
            }
        }
    }
}

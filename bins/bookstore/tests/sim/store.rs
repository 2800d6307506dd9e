//! The ledger's real store, on a disk of the simulation: it takes time and fails.

use bookstore_core::{
    BookId, Seq,
    decide::{Batch, Command, Levels, State},
    store::{Flush, LedgerStore, StoreError, sqlite::SqliteStore},
};
use std::{sync::Arc, time::Duration};

use super::{
    bugs::Bug,
    coverage::Seen,
    disk::Disk,
    disk_faults::{fault, write_times},
    hosts::now,
    world::Shared,
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
    fn recover(&mut self) -> Result<State, StoreError> {
        if self.fault().is_some() {
            self.world.coverage.saw(Seen::RecoverFailed);
            self.world.note(format_args!("catalog: recovery fails"));
            return Err(injected());
        }
        let state = self.store.recover()?;
        self.note_recovered(state.head);
        self.disk.mark_durable();
        if std::mem::replace(&mut self.recovered, true) {
            self.world.coverage.saw(Seen::StoreReopened);
        }
        Ok(state)
    }

    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError> {
        let commands: Vec<&Command> = commands.collect();
        self.disk.taken(commands.len());
        self.store.load(&mut commands.iter().copied(), state)?;
        if self.world.has(Bug::CheckThenDecrement) {
            self.decide_on_old_stock(&commands, state);
        }
        Ok(())
    }

    fn append(&mut self, batch: &Batch, state: &State) -> Result<(), StoreError> {
        let fault = self.fault();
        if fault.is_some() {
            self.world.coverage.saw(Seen::AppendFailed);
            self.world.note(format_args!("catalog: append fails, {fault:?}"));
        }
        if fault == Some(false) {
            return Err(injected());
        }
        if self.world.has(Bug::InvalidateBeforeCommit) {
            let books = batch.entries.iter().flat_map(|entry| &entry.changes).map(|change| change.book);
            books.for_each(|book| drop(self.world.bad_cache().remove(&book)));
        }
        self.store.append(batch, state)?;
        self.disk.appended(state.head);
        self.world.note(format_args!("catalog: {} entries appended up to {}", batch.entries.len(), state.head));
        if fault.is_some() { Err(injected()) } else { Ok(()) }
    }

    fn close(&mut self, state: &State) -> Result<(), StoreError> {
        self.store.close(state)
    }

    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError> {
        let (disk, world) = (Arc::clone(&self.disk), self.world.clone());
        Ok(Box::new(SimFlush { flush: self.store.flusher()?, disk, world }))
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

    /// The bug: the books of this batch as they stood before the last one, if that is not long ago.
    fn decide_on_old_stock(&mut self, commands: &[&Command], state: &mut State) {
        const RACE: Duration = Duration::from_millis(100);
        let current = state.levels.clone();
        if let Some((at, levels)) = &self.before
            && now() < *at + RACE
        {
            for command in commands {
                let Command::Sell { lines, .. } = command else { continue };
                for (book, old) in lines.iter().filter_map(|line| Some((line.book, levels.get(line.book)?))) {
                    restore_stock(state, book, old.stock);
                }
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

impl Flush for SimFlush {
    fn flush(&mut self) -> Result<(), StoreError> {
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
        self.flush.flush()?;
        self.disk.mark_durable();
        if fault.is_some() { Err(injected()) } else { Ok(()) }
    }

    fn simulated_wait(&mut self) -> [Duration; 2] {
        let times = write_times(&self.world, &self.disk);
        self.disk.begin_write(times);
        times
    }
}

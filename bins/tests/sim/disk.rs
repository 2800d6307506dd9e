//! Disks that take time, fail, and lose what was not flushed when the power goes.
//!
//! SQLite runs inline, so at every simulated moment a store is two files: the database and its write-ahead log. What is
//! durable of the log is where it ended at the last flush that was reported complete (ours for the ledger, SQLite's own
//! at the commits of a copy, at a checkpoint and when a file is opened). A *kill* keeps both files as they are. A *power
//! cut* keeps the database and the durable part of the log; of the rest, sector by sector of 512 bytes, some is as
//! written, some is zeros, some is noise, and the end may be missing. The shared-memory index is lost either way. Every
//! incarnation works on a copy of the files made at the moment of the crash, so that what a dying process still does to
//! its own files (SQLite empties the log when its last connection closes) is never seen.
//!
//! Not covered: a cut in the middle of opening or of a checkpoint (both are one step here, and both sync before they
//! rely on it), names lost from a directory, flushed sectors that rot, and a disk that lies about flushing.

use bookstore_core::{
    BookId, Seq,
    decide::{Batch, Command, Levels, State},
    store::{Flush, LedgerStore, StoreError, sqlite::SqliteStore},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{
    bugs::Bug,
    coverage::Seen,
    wal::{self, Mark},
    world::{Shared, now},
};

/// Which dangerous moment a store is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Idle,
    /// A ledger: appended, not flushed. A copy: fetched, not copied.
    Before,
    /// A ledger: flushed, not answered. A copy: copied, not reported.
    After,
}

/// One machine's disk: it outlives the processes that use it.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    name: String,
    state: Mutex<DiskState>,
}

#[derive(Debug)]
struct DiskState {
    generation: u32,
    rng: StdRng,
    mark: Mark,
    stage: Stage,
    stage_ends: Duration,
    /// The last entry appended, and the last one flushed.
    appended: Seq,
    flushed: Seq,
    /// Commands of the batch under way.
    batch: usize,
    /// Whether the power was cut since the last opening.
    cut: bool,
    /// Time between flush and answers that was drawn with the one before.
    after: Duration,
}

/// What a power cut did.
#[derive(Debug, Default)]
pub(crate) struct PowerCut {
    /// Bytes that were written and not flushed.
    pub(crate) suspect: usize,
    pub(crate) torn: bool,
}

impl Disk {
    pub(crate) fn new(dir: PathBuf, name: &str, seed: u64) -> Self {
        let number = name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let state = DiskState {
            generation: 0,
            rng: StdRng::seed_from_u64(number),
            mark: Mark::default(),
            stage: Stage::Idle,
            stage_ends: Duration::ZERO,
            appended: Seq(0),
            flushed: Seq(0),
            batch: 0,
            cut: false,
            after: Duration::ZERO,
        };
        Self { dir, name: name.to_owned(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().expect("nobody panics with it")
    }

    /// The database file of the running incarnation.
    pub(crate) fn path(&self) -> PathBuf {
        self.path_of(self.lock().generation)
    }

    fn path_of(&self, generation: u32) -> PathBuf {
        self.dir.join(format!("{}-{generation}.db", self.name))
    }

    pub(crate) fn stage(&self, now: Duration) -> Stage {
        let state = self.lock();
        if now < state.stage_ends { state.stage } else { Stage::Idle }
    }

    pub(crate) fn enter(&self, stage: Stage, lasts: Duration) {
        let mut state = self.lock();
        (state.stage, state.stage_ends) = (stage, now() + lasts);
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.lock().rng)
    }

    /// Everything in the log is durable.
    pub(crate) fn mark_durable(&self) {
        let path = self.path();
        let mut state = self.lock();
        state.mark = wal::end(&wal_of(&path), state.mark);
        state.flushed = state.appended;
    }

    /// The last entry appended, and the last one flushed.
    pub(crate) fn heads(&self) -> (Seq, Seq) {
        let state = self.lock();
        (state.appended, state.flushed)
    }

    /// Commands of the batch under way.
    pub(crate) fn batch(&self) -> usize {
        self.lock().batch
    }

    /// The ledger was opened and ends at `head`. Says whether this is the first time after a power cut, and the last
    /// entries that had been appended and flushed before.
    fn opened(&self, head: Seq) -> (bool, Seq, Seq) {
        let mut state = self.lock();
        let before = (std::mem::take(&mut state.cut), state.appended, state.flushed);
        (state.appended, state.flushed) = (head, head);
        before
    }

    /// The process has died: its files as the next one will find them.
    pub(crate) fn after_kill(&self) -> io::Result<()> {
        let (from, to) = self.next_generation();
        copy(&from, &to)?;
        copy(&wal_of(&from), &wal_of(&to))
    }

    /// The power is gone: its files as the next process will find them.
    pub(crate) fn after_power_cut(&self) -> io::Result<PowerCut> {
        let (from, to) = self.next_generation();
        copy(&from, &to)?;
        let mut log = match fs::read(wal_of(&from)) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PowerCut::default()),
            Err(error) => return Err(error),
        };
        let mut state = self.lock();
        let end = wal::end(&wal_of(&from), state.mark).end.min(log.len());
        let durable = wal::durable(&log, state.mark).min(end);
        log.truncate(end);
        let torn = wal::tear(&mut log, durable, &mut state.rng);
        fs::write(wal_of(&to), &log)?;
        // What is left is on the disk.
        (state.mark, state.cut) = (wal::all_of(&log), true);
        Ok(PowerCut { suspect: end - durable, torn })
    }

    fn next_generation(&self) -> (PathBuf, PathBuf) {
        let mut state = self.lock();
        let from = self.path_of(state.generation);
        state.generation += 1;
        (state.stage, state.stage_ends) = (Stage::Idle, Duration::ZERO);
        (from, self.path_of(state.generation))
    }

    /// Moves the log into the database, as SQLite itself does now and then.
    pub(crate) fn checkpoint(&self) -> bool {
        let path = self.path();
        let Ok(connection) = rusqlite::Connection::open(&path) else { return false };
        let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
        drop(connection);
        let moved = moved.is_ok_and(|pages| pages > 0);
        if moved {
            self.mark_durable();
        }
        moved
    }
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

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

/// Whether the next write fails: `Some(true)` after it was done all the same.
pub(crate) fn fault(world: &Shared, disk: &Disk) -> Option<bool> {
    let failing = world.plan.failing;
    if failing == 0.0 || world.is_healed() {
        return None;
    }
    disk.draw(|rng| rng.random_bool(failing).then(|| rng.random_bool(0.5)))
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
        self.disk.lock().batch = commands.len();
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
        self.disk.lock().appended = state.head;
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
                let Command::Reserve { lines, .. } = command else { continue };
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

/// Longer than a server waits for another one.
const SLOW_MS: std::ops::Range<u64> = 700..2_500;

/// The time that a write takes, and that passes before its success is told.
pub(crate) fn write_times(world: &Shared, disk: &Disk) -> [Duration; 2] {
    let plan = &world.plan;
    if world.is_healed() {
        return [Duration::from_millis(1); 2];
    }
    let (slow, times) = disk.draw(|rng| {
        let slow = plan.slow > 0.0 && rng.random_bool(plan.slow);
        let before = if slow { Duration::from_millis(rng.random_range(SLOW_MS)) } else { part(rng, plan.flush_max) };
        (slow, [before, part(rng, plan.flush_max)])
    });
    if slow {
        world.coverage.saw(Seen::SlowDisk);
        world.note(format_args!("{}: the disk is slow: {:?}", disk.name, times[0]));
    }
    times
}

fn part(rng: &mut StdRng, most: Duration) -> Duration {
    Duration::from_millis(rng.random_range(0..=u64::try_from(most.as_millis()).unwrap_or(1)))
}

impl Flush for SimFlush {
    fn flush(&mut self) -> Result<(), StoreError> {
        let after = self.disk.lock().after;
        self.disk.enter(Stage::After, after);
        if self.world.has(Bug::AnswerBeforeFlush) {
            return Ok(());
        }
        let fault = fault(&self.world, &self.disk);
        if fault.is_some() {
            self.world.coverage.saw(Seen::FlushFailed);
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
        self.disk.enter(Stage::Before, times[0]);
        self.disk.lock().after = times[1];
        times
    }
}

//! Disks that take time, fail, and lose what was not flushed when the power goes.
//!
//! SQLite runs inline, so at every simulated moment a store is two files: the database and its write-ahead log. What is
//! durable of the log is where it ended at the last flush that was reported complete (ours for the ledger, SQLite's own
//! at the commits of a copy that acknowledges orders, at a checkpoint and when a file is opened). A *kill* keeps both
//! files as they are. A *power cut* keeps the database and the durable part of the log; of the rest, sector by sector of 512 bytes, some is as
//! written, some is zeros, some is noise, and the end may be missing. The shared-memory index is lost either way. Every
//! incarnation works on a copy of the files made at the moment of the crash, so that what a dying process still does to
//! its own files (SQLite empties the log when its last connection closes) is never seen.
//!
//! Not covered: a cut in the middle of opening or of a checkpoint (both are one step here, and both sync before they
//! rely on it), names lost from a directory, flushed sectors that rot, and a disk that lies about flushing.

use bookstore_core::Seq;
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::{
    hosts::now,
    wal::{self, Mark},
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
    pub(crate) name: String,
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
    /// Batches appended since the last flush.
    unflushed: u32,
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
            unflushed: 0,
            cut: false,
            after: Duration::ZERO,
        };
        Self { dir, name: name.to_owned(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().expect("no code panics while it is locked")
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
        (state.flushed, state.unflushed) = (state.appended, 0);
    }

    /// Pages in the log, at most.
    pub(crate) fn log_pages(&self) -> u64 {
        fs::metadata(wal_of(&self.path())).map_or(0, |log| log.len() / 4096)
    }

    /// Whether a batch was appended on top of one that is not flushed.
    pub(crate) fn is_piled_up(&self) -> bool {
        self.lock().unflushed > 1
    }

    /// The last entry appended, and the last one flushed.
    pub(crate) fn heads(&self) -> (Seq, Seq) {
        let state = self.lock();
        (state.appended, state.flushed)
    }

    pub(crate) fn taken(&self, commands: usize) {
        self.lock().batch = commands;
    }

    pub(crate) fn appended(&self, head: Seq) {
        let mut state = self.lock();
        state.appended = head;
        state.unflushed += 1;
    }

    /// Begins a write that takes these times before and after the flush.
    pub(crate) fn begin_write(&self, times: [Duration; 2]) {
        self.enter(Stage::Before, times[0]);
        self.lock().after = times[1];
    }

    /// The flush is done, or has failed; the answers take their time.
    pub(crate) fn begin_answers(&self) {
        let after = self.lock().after;
        self.enter(Stage::After, after);
    }

    /// Commands of the batch under way.
    pub(crate) fn batch(&self) -> usize {
        self.lock().batch
    }

    /// The ledger was opened and ends at `head`. Says whether this is the first time after a power cut, and the last
    /// entries that had been appended and flushed before.
    pub(crate) fn opened(&self, head: Seq) -> (bool, Seq, Seq) {
        let mut state = self.lock();
        let before = (std::mem::take(&mut state.cut), state.appended, state.flushed);
        (state.appended, state.flushed, state.unflushed) = (head, head, 0);
        before
    }

    /// The process has died: its files as the next one will find them.
    pub(crate) fn after_kill(&self) -> io::Result<()> {
        let (from, to) = self.next_generation();
        copy_store(&from, &to)
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

    /// Copies the database and its log, as they are now.
    pub(crate) fn copy_to(&self, to: &Path) -> io::Result<()> {
        copy_store(&self.path(), to)
    }

    /// The machine is down. The next process finds other files in the place of its own: copies of these, all of them on the disk.
    pub(crate) fn become_copy_of(&self, store: &Path) -> io::Result<()> {
        let (_, to) = self.next_generation();
        copy_store(store, &to)?;
        self.replaced();
        self.lock().mark = wal::all_of(&fs::read(wal_of(&to)).unwrap_or_default());
        Ok(())
    }

    /// The files are others than those that were written here: nothing is known of their entries, and all of it is on the disk.
    pub(crate) fn replaced(&self) {
        let mut state = self.lock();
        (state.appended, state.flushed, state.unflushed, state.cut) = (Seq(0), Seq(0), 0, false);
        state.mark = Mark::default();
    }

    /// A file beside the running incarnation's.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}-{name}.db", self.name))
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

fn copy_store(from: &Path, to: &Path) -> io::Result<()> {
    copy(from, to)?;
    copy(&wal_of(from), &wal_of(to))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

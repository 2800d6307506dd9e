//! Moves the WAL's pages into the database file (a *WAL checkpoint*) beside the writer.
//!
//! Left to itself, SQLite does that in the commit that finds the WAL long, and for tens of milliseconds nothing is sold. Here a
//! thread does it over a connection of its own. The WAL starts again from its beginning only when all of it has been moved, which
//! beside a busy writer never happens by itself; so the writer moves the rest, once it is small.

use rusqlite::{Connection, hooks::Wal, wal::CheckpointMode};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{StoreError, rows::to_i64};

const PAGE_BYTES: u64 = 4096;
/// The length of the WAL, in pages of 4 KiB, from which on its pages are moved.
const PAGES: i32 = 8_192;
/// The writer moves the rest of the WAL when it is at most this many pages.
const REST: i32 = 1_024;
/// When the WAL has this many pages the thread is slower than the writer: the writer waits for it and moves the rest, however
/// many pages that are.
const PAGES_MAX: i32 = 4 * PAGES;

/// Leaves WAL checkpoints to SQLite's commits: in a simulation nothing happens on another thread.
pub(super) fn in_commits(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "wal_autocheckpoint", PAGES)?)
}

/// The length of the WAL, as the last commit left it.
#[derive(Debug, Default)]
pub(super) struct WalLength {
    pages: AtomicI32,
    restarted: AtomicBool,
    wanted: AtomicBool,
}

impl WalLength {
    pub(super) fn bytes(&self) -> u64 {
        bytes(self.pages.load(Ordering::Relaxed))
    }

    /// Has the pages of the next commit moved soon, however short the WAL is: with it or, while others are being moved, with the first one
    /// after these.
    pub(super) fn move_soon(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the WAL has started again since this was asked last.
    pub(super) fn take_restarted(&self) -> bool {
        self.restarted.swap(false, Ordering::Relaxed)
    }
}

fn bytes(pages: i32) -> u64 {
    u64::try_from(pages).unwrap_or_default() * PAGE_BYTES
}

/// Has the WAL of the file `path`, which `connection` writes, moved by a thread, until [`stop`] or until `connection` is closed.
pub(super) fn on_thread(connection: &mut Connection, path: &Path) -> Result<Arc<WalLength>, StoreError> {
    // What a reader has made it grow to is given back when it starts again.
    connection.pragma_update(None, "journal_size_limit", to_i64(bytes(PAGES_MAX)))?;
    let length = Arc::new(WalLength::default());
    let mut mover = Mover { path: path.to_owned(), thread: None, plan: Plan::default(), length: Arc::clone(&length) };
    let after_commit = move |wal: &mut Wal, pages| {
        mover.after_commit(wal, pages);
        Ok(())
    };
    connection.wal_hook(Some(after_commit))?;
    Ok(length)
}

/// Ends it, and waits for the thread. Only then can the whole WAL be moved and emptied.
pub(super) fn stop(connection: &mut Connection) -> Result<(), StoreError> {
    Ok(connection.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>)?)
}

/// Shows the operator how long the WAL is, and how much of it could not be moved: a reader still needs it.
fn show(pages: i32, moved: i32) {
    metrics::gauge!("bookstore_wal_bytes").set(bytes(pages) as f64);
    metrics::gauge!("bookstore_wal_unmoved_bytes").set(bytes(pages - moved) as f64);
}

/// Looks after each commit whether pages are to be moved. Nothing is lost if that fails: what has not been moved is still in the
/// WAL, and is tried again.
struct Mover {
    path: PathBuf,
    /// It returns how many pages of the WAL have been moved so far.
    thread: Option<JoinHandle<rusqlite::Result<i32>>>,
    plan: Plan,
    length: Arc<WalLength>,
}

impl Mover {
    fn after_commit(&mut self, wal: &mut Wal, pages: i32) {
        if pages < self.length.pages.swap(pages, Ordering::Relaxed) {
            self.length.restarted.store(true, Ordering::Relaxed);
            show(pages, 0);
        }
        self.plan.committed(pages);
        let Some(thread) = self.thread.take_if(|thread| thread.is_finished() || self.plan.is_too_long()) else {
            if self.thread.is_none() {
                self.begin_if(self.plan.is_due());
            }
            return;
        };
        let before = self.plan.moved;
        let moved = thread.join().unwrap_or(Ok(before)).unwrap_or_else(|error| {
            tracing::warn!(%error, "the WAL could not be moved into the database, it will be tried again");
            before
        });
        show(pages, moved);
        match self.plan.rest(moved) {
            Rest::OnThread => self.begin_if(true),
            Rest::ByWriter => {
                if let Ok((_, moved)) = wal.checkpoint_v2(CheckpointMode::PASSIVE) {
                    self.plan.moved = moved;
                }
            }
            Rest::Later => self.begin_if(false),
        }
    }

    fn begin_if(&mut self, due: bool) {
        if !self.length.wanted.swap(false, Ordering::Relaxed) && !due {
            return;
        }
        let path = self.path.clone();
        let thread = thread::Builder::new().name("ledger-checkpoint".into()).spawn(move || moved_pages(&path));
        // If there is no thread it is tried again after the next commit.
        self.thread = thread.ok();
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Moves the pages that no reader needs any more. Returns how many of the WAL's pages have been moved so far.
fn moved_pages(path: &Path) -> rusqlite::Result<i32> {
    let connection = Connection::open(path)?;
    // The C function does nothing over a connection that has not read the file yet; the pragma reads it.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
}

/// Decides when to move pages, from the length of the WAL.
#[derive(Debug)]
struct Plan {
    /// Pages in the WAL.
    pages: i32,
    /// Pages of them that had been moved when a thread last ended.
    moved: i32,
    /// The WAL's pages when moving begins.
    due_at: i32,
}

/// Who moves what a thread has left over.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    /// Another thread: there is too much of it.
    OnThread,
    /// The writer. The WAL starts again with the next commit, unless a reader still needs it.
    ByWriter,
    /// No one yet: a reader still needs the pages.
    Later,
}

impl Default for Plan {
    fn default() -> Self {
        Self { pages: 0, moved: 0, due_at: PAGES }
    }
}

impl Plan {
    /// A commit has left the WAL with this many pages.
    fn committed(&mut self, pages: i32) {
        if pages < self.pages {
            // The WAL has started again.
            *self = Self::default();
        }
        self.pages = pages;
    }

    fn is_due(&self) -> bool {
        self.pages >= self.due_at
    }

    fn is_too_long(&self) -> bool {
        self.pages >= PAGES_MAX
    }

    /// A thread has ended, and `moved` of the WAL's pages have been moved by now.
    fn rest(&mut self, moved: i32) -> Rest {
        let before = std::mem::replace(&mut self.moved, moved);
        self.due_at = self.pages + REST;
        if self.pages - moved <= REST || self.is_too_long() {
            Rest::ByWriter
        } else if moved > before {
            Rest::OnThread
        } else {
            Rest::Later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tempfile::TempDir;

    #[test]
    fn it_begins_when_the_wal_is_long() {
        let mut plan = Plan::default();
        plan.committed(PAGES - 1);
        assert!(!plan.is_due());
        plan.committed(PAGES);
        assert!(plan.is_due());
        assert_eq!(plan.rest(0), Rest::Later, "a reader is in the way");
        plan.committed(PAGES + REST - 1);
        assert!(!plan.is_due());
        plan.committed(PAGES + REST);
        assert!(plan.is_due());
    }

    #[test]
    fn the_writer_moves_little() {
        let mut plan = Plan::default();
        plan.committed(PAGES + REST + 1);
        assert_eq!(plan.rest(PAGES), Rest::OnThread);
        plan.committed(PAGES + REST + 2);
        assert_eq!(plan.rest(PAGES + 1), Rest::OnThread);
        assert_eq!(plan.rest(PAGES + 1), Rest::Later, "nothing more could be moved");
        assert_eq!(plan.rest(PAGES + 2), Rest::ByWriter);
    }

    #[test]
    fn the_writer_moves_everything_when_the_wal_is_too_long() {
        let mut plan = Plan::default();
        plan.committed(PAGES_MAX - 1);
        assert!(!plan.is_too_long());
        assert_eq!(plan.rest(PAGES), Rest::OnThread);
        plan.committed(PAGES_MAX);
        assert!(plan.is_too_long());
        assert_eq!(plan.rest(PAGES), Rest::ByWriter);
    }

    #[test]
    fn a_new_wal_is_none_of_the_last_ones_business() {
        let mut plan = Plan::default();
        plan.committed(3 * PAGES);
        assert_eq!(plan.rest(2 * PAGES), Rest::OnThread);
        plan.committed(1);
        plan.committed(PAGES);
        assert!(plan.is_due());
        assert_eq!(plan.rest(1), Rest::OnThread);
        plan.committed(PAGES);
        assert_eq!(plan.rest(1), Rest::Later, "a commit without a page begins nothing anew");
    }

    /// A file in WAL mode whose writer has its pages moved on a thread.
    fn file() -> (TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.pragma_update(None, "synchronous", "OFF").unwrap();
        writer.execute_batch("CREATE TABLE filled (page BLOB)").unwrap();
        on_thread(&mut writer, &path).unwrap();
        (folder, path, writer)
    }

    /// Commits about this many pages at once, and returns the length of the WAL in pages.
    fn commit(writer: &mut Connection, pages: i32) -> i32 {
        let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
            INSERT INTO filled SELECT zeroblob(4000) FROM n";
        writer.execute(sql, [pages]).unwrap();
        writer.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).unwrap()
    }

    #[test]
    fn another_connection_moves_what_the_writer_has_committed() {
        let (_folder, path, mut writer) = file();
        let pages = commit(&mut writer, 100);
        assert!(pages > 100);
        assert_eq!(moved_pages(&path).unwrap(), pages);
    }

    #[test]
    fn under_a_writer_that_goes_on_the_wal_begins_anew() {
        let (_folder, _path, mut writer) = file();
        let (mut longest, mut before, mut anew) = (0, 0, 0);
        while anew < 3 {
            let pages = commit(&mut writer, 50);
            longest = longest.max(pages);
            anew += u32::from(pages < before);
            before = pages;
            assert!(longest < PAGES_MAX + 100, "it has {longest} pages");
        }
        assert!(longest >= PAGES, "it was moved too early");
    }

    #[test]
    fn a_reader_in_the_way_costs_nothing_but_a_longer_wal() {
        let (_folder, path, mut writer) = file();
        commit(&mut writer, 50);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let seen = || reader.query_row("SELECT count(*) FROM filled", [], |row| row.get::<_, i32>(0)).unwrap();
        assert_eq!(seen(), 50);
        let mut pages = 0;
        while pages < PAGES + 3 * REST {
            pages = commit(&mut writer, 200);
        }
        assert_eq!(seen(), 50);
        reader.execute_batch("COMMIT").unwrap();
        let longest = pages;
        while commit(&mut writer, 50) > longest {
            pages += 50;
            assert!(pages < PAGES_MAX + 100, "nobody is in the way any more");
        }
    }

    #[test]
    fn whoever_stops_it_or_closes_the_connection_is_alone_with_the_wal() {
        let (_folder, path, mut writer) = file();
        for (close, begun) in [(false, 2), (true, 4), (false, 8), (true, 16)] {
            commit(&mut writer, PAGES);
            thread::sleep(Duration::from_millis(begun));
            if close {
                writer = Connection::open(&path).unwrap();
            } else {
                stop(&mut writer).unwrap();
            }
            let busy: bool = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
            assert!(!busy, "it was still being moved; closed: {close}");
            on_thread(&mut writer, &path).unwrap();
        }
    }
}

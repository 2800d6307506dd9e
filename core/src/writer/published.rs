//! The readers' side of a writer.

use smallvec::SmallVec;
use std::{collections::VecDeque, sync::RwLock};
use tokio::sync::watch;

use crate::{
    book::BookId,
    decide::{self, Level, Levels, State},
    ledger::{Entry, Seq},
};

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
    pub(super) fn new(state: &State) -> Self {
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
    pub fn level(&self, book: BookId) -> Option<Level> {
        self.levels(|levels| levels.get(book))
    }

    /// Up to `limit` entries after `after` and up to `head`, if all of them are at hand.
    pub(crate) fn recent(&self, after: Seq, head: Seq, limit: usize) -> Option<Vec<Entry>> {
        let recent = self.recent.read().expect("the writer does not panic");
        let first = recent.front().filter(|first| first.seq <= after.next())?;
        let skip = usize::try_from(after.next().0 - first.seq.0).ok()?;
        let durable = usize::try_from(head.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        // `clone` would take the changes over one by one.
        let copy = |entry: &Entry| Entry { changes: SmallVec::from_slice(&entry.changes), ..*entry };
        Some(recent.iter().skip(skip).take(durable.min(limit)).map(copy).collect())
    }

    pub(super) fn advance(&self, entries: Vec<Entry>) {
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

    pub(super) fn replace(&self, state: &State) {
        self.recent.write().expect("readers do not panic").clear();
        *self.levels.write().expect("readers do not panic") = state.levels.clone();
        self.head.send_replace(state.head);
    }
}

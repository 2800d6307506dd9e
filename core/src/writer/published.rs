//! The readers' side of a writer: the head, the levels and the newest entries that are durable.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Mutex, OnceLock, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

use super::sold::Sold;
use crate::{
    book::Text,
    decide::{self, Level, Levels, State},
    history::{Hash, LedgerIdentity},
    id::{BookId, Seq},
    inline_list::InlineList,
    ledger::Entry,
};

/// What is durable, for readers: they see the ledger up to [`Published::head`] and nothing beyond it.
///
/// The writer brings it up to date after each flush, before it answers.
#[derive(Debug)]
pub struct Published {
    head: watch::Sender<Seq>,
    writable: watch::Sender<bool>,
    /// The newer history under which the ledger goes on elsewhere.
    superseded: OnceLock<LedgerIdentity>,
    levels: RwLock<Levels>,
    /// No entry after this one changes lists.
    texts: AtomicU64,
    /// The number of the last change of a contact.
    contacts: AtomicU64,
    /// The newest entries, for followers that are close behind.
    recent: RwLock<Recent>,
    /// For whoever counts sales.
    sold: Mutex<Sold>,
}

/// The newest entries, in whole batches.
#[derive(Debug)]
struct Recent {
    /// The last entry before the first of these, and the hash up to it.
    before: (Seq, Hash),
    batches: VecDeque<RecentBatch>,
    /// The entries of all batches, and the bytes of their texts.
    entries: usize,
    text_bytes: usize,
}

#[derive(Debug)]
struct RecentBatch {
    /// At least one.
    entries: Vec<Entry>,
    text_bytes: usize,
    /// The number of the last one, and the hash up to it.
    last: Seq,
    hash: Hash,
}

impl Recent {
    fn new(state: &State) -> Self {
        Self { before: (state.head, state.hash), batches: VecDeque::new(), entries: 0, text_bytes: 0 }
    }

    /// Takes a batch in, and lets the oldest ones go.
    fn push(&mut self, last: Seq, hash: Hash, entries: Vec<Entry>) {
        let text_bytes = entries.iter().map(text_bytes).sum();
        self.entries += entries.len();
        self.text_bytes += text_bytes;
        self.batches.push_back(RecentBatch { entries, text_bytes, last, hash });
        while (self.entries > RECENT_MAX || self.text_bytes > TEXT_BYTES_MAX) && self.batches.len() > 1 {
            let Some(oldest) = self.batches.pop_front() else { return };
            self.before = (oldest.last, oldest.hash);
            self.entries -= oldest.entries.len();
            self.text_bytes -= oldest.text_bytes;
        }
    }

    /// The batches that end after this entry, if all entries after it are in memory.
    fn batches_after(&self, after: Seq) -> Option<impl Iterator<Item = &RecentBatch>> {
        (after >= self.before.0).then(|| {
            let from = self.batches.partition_point(|batch| batch.last <= after);
            self.batches.range(from..)
        })
    }

    /// The entries after `after` and up to `to`, if all of them are in memory.
    fn entries(&self, after: Seq, to: Seq) -> Option<impl Iterator<Item = &Entry>> {
        let entries = self.batches_after(after)?.flat_map(|batch| &batch.entries);
        Some(entries.skip_while(move |entry| entry.seq <= after).take_while(move |entry| entry.seq <= to))
    }

    /// The hash up to this entry, if it is in memory.
    fn hash(&self, at: Seq) -> Option<Hash> {
        let ended = self.batches.partition_point(|batch| batch.last <= at).checked_sub(1);
        let (last, hash) = ended.map_or(self.before, |ended| (self.batches[ended].last, self.batches[ended].hash));
        let newest = self.batches.back().map_or(self.before.0, |batch| batch.last);
        let between = self.entries(last, at)?;
        (last <= at && at <= newest).then(|| hash.after(between))
    }
}

/// Entries that are kept in memory for followers, unless one batch is longer. A follower that is further behind reads the store.
const RECENT_MAX: usize = 4_096;
/// The most bytes of their texts, unless those of one batch are more.
const TEXT_BYTES_MAX: usize = 8 << 20;

fn text_bytes(entry: &Entry) -> usize {
    entry.text.as_ref().map_or(0, Text::size)
}

impl Published {
    pub(super) fn new(state: &State) -> Self {
        let (head, levels) = (watch::Sender::new(state.head), RwLock::new(state.levels.clone()));
        Self {
            head,
            writable: watch::Sender::new(true),
            superseded: OnceLock::new(),
            levels,
            texts: AtomicU64::new(state.head.0),
            contacts: AtomicU64::new(state.contact_version),
            recent: RwLock::new(Recent::new(state)),
            sold: Mutex::new(Sold::since(state.head)),
        }
    }

    /// A durable entry after which no durable entry [changes lists](Entry::changes_lists), so that whoever follows these sees that it has
    /// them all.
    #[must_use]
    pub fn texts(&self) -> Seq {
        Seq(self.texts.load(Ordering::Acquire))
    }

    /// The number of the last change of a contact that is durable.
    #[must_use]
    pub fn contacts(&self) -> u64 {
        self.contacts.load(Ordering::Acquire)
    }

    /// Shows changes of contacts up to this number, which are durable now.
    pub(super) fn advance_contacts(&self, version: u64) {
        self.contacts.store(version, Ordering::Release);
    }

    /// A receiver that sees whether the ledger can be written: false from a failure of the store until it is open again.
    #[must_use]
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.writable.subscribe()
    }

    /// The newer history of the ledger that was shown to the writer: the ledger goes on elsewhere, and nothing is written here any more.
    #[must_use]
    pub fn superseded(&self) -> Option<&LedgerIdentity> {
        self.superseded.get()
    }

    /// Stops the writer, before its next batch.
    pub(crate) fn supersede(&self, by: LedgerIdentity) {
        // The first one stays: any is a reason.
        let _ = self.superseded.set(by);
    }

    pub(super) fn show_writable(&self, writable: bool) {
        self.writable.send_replace(writable);
    }

    /// The last durable entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        *self.head.borrow()
    }

    /// A receiver that sees every change of the head.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    /// Calls `look` with the levels as of a head that is at least [`Published::head`]. The writer waits while it runs.
    ///
    /// # Panics
    /// If the writer has panicked.
    pub fn levels<T>(&self, look: impl FnOnce(&Levels) -> T) -> T {
        look(&self.levels.read().expect("the writer does not panic"))
    }

    /// One book's level, or `None` if there is no such book.
    ///
    /// # Panics
    /// If the writer has panicked.
    #[must_use]
    pub fn level(&self, book: BookId) -> Option<Level> {
        self.levels(|levels| levels.get(book))
    }

    /// Up to `limit` entries after `after` and up to `head`, if all of them are in memory, and which of them end a batch.
    pub(crate) fn recent(&self, after: Seq, head: Seq, limit: usize) -> Option<(Vec<Entry>, Vec<Seq>)> {
        let recent = self.recent.read().expect("the writer does not panic");
        // Faster than `clone`, which copies the changes one by one.
        let copy = |entry: &Entry| Entry {
            changes: InlineList::from_slice(&entry.changes),
            text: entry.text.clone(),
            details: entry.details.clone(),
            ..*entry
        };
        let entries: Vec<_> = recent.entries(after, head)?.take(limit).map(copy).collect();
        let to = entries.last().map_or(after, |last| last.seq);
        let ends = recent.batches_after(after)?.map(|batch| batch.last).take_while(|last| *last <= to).collect();
        Some((entries, ends))
    }

    /// The entry after which [`Self::take_sold`] begins. Those up to it are in the store.
    pub(crate) fn sold_after(&self) -> Seq {
        self.sold.lock().expect("nothing panics with it").after
    }

    /// What was sold since this was last called. There MUST be one caller only.
    pub(crate) fn take_sold(&self) -> Sold {
        let mut sold = self.sold.lock().expect("nothing panics with it");
        let since = Sold::since(sold.to);
        mem::replace(&mut sold, since)
    }

    /// The hash up to an entry, if it is in memory.
    pub(crate) fn hash(&self, at: Seq) -> Option<Hash> {
        self.recent.read().expect("the writer does not panic").hash(at)
    }

    /// Shows the entries of a batch, which are durable now. `hash` is the one after them.
    pub(super) fn advance(&self, entries: Vec<Entry>, hash: Hash) {
        let Some(last) = entries.last().map(|entry| entry.seq) else { return };
        {
            let mut levels = self.levels.write().expect("readers do not panic");
            entries.iter().for_each(|entry| decide::apply(&mut levels, entry));
        }
        self.sold.lock().expect("nothing panics with it").take_in(&entries);
        let text = entries.iter().rfind(|entry| entry.changes_lists()).map(|entry| entry.seq);
        self.recent.write().expect("readers do not panic").push(last, hash, entries);
        self.head.send_replace(last);
        if let Some(text) = text {
            self.texts.store(text.0, Ordering::Release);
        }
    }

    /// Starts again from a recovered state.
    pub(super) fn replace(&self, state: &State) {
        *self.recent.write().expect("readers do not panic") = Recent::new(state);
        *self.sold.lock().expect("nothing panics with it") = Sold::since(state.head);
        *self.levels.write().expect("readers do not panic") = state.levels.clone();
        self.head.send_replace(state.head);
        self.texts.store(state.head.0, Ordering::Release);
        self.contacts.store(state.contact_version, Ordering::Release);
    }
}

//! The store in memory: the reference for other stores, and the right store for tests. It is gone with the process.
//!
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, SystemClock, store::memory};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), bookstore_core::store::StoreError> {
//! let (store, reader) = memory::open(&SystemClock);
//! let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())?;
//! # Ok(())
//! # }
//! ```

mod copy;

pub use copy::MemoryCopy;

use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    book::{BookText, Text},
    clock::{Clock, Timestamp},
    contact::{Contact, ContactChange},
    decide::{self, Batch, Known, State},
    error::Result,
    history::{Hash, LedgerIdentity},
    id::{BookId, OrderId, Seq},
    ledger::{Entry, Kind},
    money::Currency,
    order::{Order, Status},
    page::{FoundOrders, OrderScan, PAGE_BYTES_MAX},
    recent_keys::RecentKeys,
    store::{AppendError, Flush, LedgerReader, LedgerStore, MakeBytes, Recovered, StoreError},
};

/// A new, empty ledger in memory, in US dollars: its writing half, and its reading half.
#[must_use]
pub fn open(clock: &dyn Clock) -> (MemoryStore, Arc<MemoryReader>) {
    open_in(Currency::USD, clock)
}

/// A new, empty ledger in memory, in this currency: its writing half, and its reading half.
#[must_use]
pub fn open_in(currency: Currency, clock: &dyn Clock) -> (MemoryStore, Arc<MemoryReader>) {
    let identity = LedgerIdentity::new(clock.new_id(), clock.new_id()).in_currency(currency);
    let ledger = Ledger {
        entries: Vec::new(),
        batches: BTreeMap::from([(Seq(0), Hash::EMPTY)]),
        by_key: BTreeMap::new(),
        identities: BTreeMap::new(),
        contacts: BTreeMap::new(),
    };
    let reader = MemoryReader { identity, ledger: Arc::new(Mutex::new(ledger)), kept: Mutex::default() };
    (reader.reopen(), Arc::new(reader))
}

/// The writing half of a ledger in memory, see [`open`].
#[derive(Debug)]
pub struct MemoryStore {
    ledger: Arc<Mutex<Ledger>>,
}

/// The reading half of a ledger in memory, see [`open`].
#[derive(Debug)]
pub struct MemoryReader {
    identity: LedgerIdentity,
    ledger: Arc<Mutex<Ledger>>,
    kept: Mutex<BTreeMap<&'static str, Vec<u8>>>,
}

impl MemoryReader {
    /// Another writing half over the same ledger, for tests that restart. The one before MUST have been dropped.
    #[must_use]
    pub fn reopen(&self) -> MemoryStore {
        MemoryStore { ledger: Arc::clone(&self.ledger) }
    }
}

#[derive(Debug)]
struct Ledger {
    /// The entry with `seq` n is at n − 1.
    entries: Vec<Entry>,
    /// The last entry of each batch, and the hash up to it.
    batches: BTreeMap<Seq, Hash>,
    /// The entries under each key, and those that concern the order with this id under another one.
    by_key: BTreeMap<OrderId, Vec<Seq>>,
    /// What books are called, and were called.
    identities: BTreeMap<String, BookId>,
    /// The last change of each order's contact.
    contacts: BTreeMap<OrderId, ContactChange>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nothing panics while it holds this lock")
}

impl Ledger {
    fn head(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |entry| entry.seq)
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }

    /// The entries after `after` up to `head`.
    fn between(&self, after: Seq, head: Seq) -> &[Entry] {
        let index = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.get(index(after)..index(head)).unwrap_or_default()
    }

    /// The entries under a key up to `head`.
    fn under(&self, key: OrderId, head: Seq) -> impl Iterator<Item = &Entry> {
        let seqs = self.by_key.get(&key).into_iter().flatten();
        seqs.filter(move |seq| **seq <= head).filter_map(|seq| self.entry(*seq))
    }

    fn order(&self, id: OrderId, head: Seq) -> Option<Order> {
        Order::of(self.under(id, head))
    }

    fn known(&self, key: OrderId) -> Option<Known> {
        Known::of(&self.under(key, self.head()).cloned().collect::<Vec<_>>())
    }

    fn hash(&self, at: Seq) -> Hash {
        let (last, hash) = self.batches.range(..=at).next_back().expect("the empty ledger has a hash");
        hash.after(self.between(*last, at))
    }

    fn append(&mut self, batch: &Batch, hash: Hash) {
        self.contacts.extend(batch.contacts.iter().map(|change| (change.order, change.clone())));
        self.batches.extend(batch.entries.last().map(|last| (last.seq, hash)));
        for entry in &batch.entries {
            if let Some(key) = entry.key {
                self.by_key.entry(key).or_default().push(entry.seq);
            }
            if let Some(order) = entry.order_id().filter(|order| entry.key != Some(*order)) {
                self.by_key.entry(order).or_default().push(entry.seq);
            }
            if let (Some(text), Some(change)) = (&entry.text, entry.changes.first()) {
                self.identities.insert(BookText::from(text).identity(), change.book);
            }
            self.entries.push(entry.clone());
        }
    }
}

impl LedgerStore for MemoryStore {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        let ledger = lock(&self.ledger);
        let mut state = State { head: ledger.head(), hash: ledger.hash(ledger.head()), ..State::default() };
        for entry in &ledger.entries {
            decide::apply(&mut state.levels, entry);
            let held = (entry.kind == Kind::Hold).then(|| ledger.order(entry.key?, ledger.head())).flatten();
            held.filter(|order| order.status == Status::Held).into_iter().for_each(|order| state.holds.insert(order));
        }
        state.contact_version = ledger.contacts.values().map(|change| change.version).max().unwrap_or_default();
        state.last_book = state.levels.last().0;
        let highest_keys = ledger.by_key.keys().rev().take(RecentKeys::REACH).copied().collect();
        Ok(Recovered { state, highest_keys, superseded: None, flush: Box::new(Appended) })
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        let ledger = lock(&self.ledger);
        state.known.extend(keys.iter().filter_map(|key| Some((*key, ledger.known(*key)?))));
        let known = |identity: &String| Some((identity.clone(), *ledger.identities.get(identity)?));
        state.identities.extend(identities.iter().filter_map(known));
        Ok(())
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        let ledger = lock(&self.ledger);
        let kept = |order: &OrderId| Some((*order, ledger.contacts.get(order)?.contact.clone()));
        state.contacts.extend(orders.iter().filter_map(kept));
        Ok(())
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        let mut ledger = lock(&self.ledger);
        let follows = std::iter::successors(Some(ledger.head().next()), |seq| Some(seq.next()));
        if !batch.entries.iter().map(|entry| entry.seq).eq(follows.take(batch.entries.len())) {
            let why = format!("the batch does not follow on entry {}", ledger.head());
            return Err(AppendError::NotAppended(StoreError::Unusable(why)));
        }
        ledger.append(batch, state.hash);
        Ok(())
    }
}

/// The first of these entries, as many as one page has.
fn page<'a>(entries: impl Iterator<Item = &'a Entry>, limit: usize) -> Vec<Entry> {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let before = bytes;
        bytes += entry.json_bytes();
        before < PAGE_BYTES_MAX
    };
    entries.take(limit).take_while(fits).cloned().collect()
}

/// Memory is as durable as it gets.
struct Appended;

#[async_trait]
impl Flush for Appended {
    async fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl LedgerReader for MemoryReader {
    fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    async fn hash(&self, at: Seq) -> Result<Hash> {
        Ok(lock(&self.ledger).hash(at))
    }

    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>> {
        let ledger = lock(&self.ledger);
        let text = ledger.entry(version).and_then(Entry::book_text).filter(|(of, _)| *of == book);
        Ok(text.map(|(_, text)| text.clone()))
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        Ok(page(lock(&self.ledger).between(after, head).iter(), limit))
    }

    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        Ok(page(lock(&self.ledger).between(after, head).iter().filter(|entry| entry.changes_lists()), limit))
    }

    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>> {
        let ledger = lock(&self.ledger);
        let ends = ledger.batches.range((Bound::Excluded(after), Bound::Unbounded)).map(|(seq, _)| *seq);
        Ok(ends.take_while(|seq| *seq <= to).collect())
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        Ok(lock(&self.ledger).order(id, head))
    }

    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders> {
        let ledger = lock(&self.ledger);
        let last = scan.before().map_or(head, |before| head.min(Seq(before.0.saturating_sub(1))));
        let begun = ledger.between(Seq(0), last).iter().rev();
        let begun = begun.filter(|entry| matches!(entry.kind, Kind::Sale | Kind::Hold)).filter_map(Order::begun);
        let contact = |id| ledger.contacts.get(&id).and_then(|change| change.contact.as_deref().cloned());
        scan.run(begun.map(Ok), |id| Ok(ledger.order(id, head)), |id| Ok(contact(id)))
    }

    async fn contact(&self, order: OrderId) -> Result<Option<Contact>> {
        let contact = lock(&self.ledger).contacts.get(&order).and_then(|change| change.contact.clone());
        Ok(contact.map(|contact| *contact))
    }

    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>> {
        let ledger = lock(&self.ledger);
        let kept = ledger.contacts.values().filter(|change| change.contact.is_some());
        let mut kept: Vec<_> = kept.filter(|change| change.version > after && change.version <= to).cloned().collect();
        kept.sort_by_key(|change| change.version);
        kept.truncate(limit);
        Ok(kept)
    }

    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>> {
        let ledger = lock(&self.ledger);
        let kept = ledger.contacts.values().filter(|change| change.contact.is_some());
        let mut old: Vec<_> = kept.filter(|change| change.placed_at < placed_before).collect();
        old.sort_by_key(|change| change.placed_at);
        Ok(old.into_iter().map(|change| change.order).take(limit).collect())
    }

    async fn keep(&self, name: &'static str, make: MakeBytes) -> Result<()> {
        let bytes = make();
        self.kept.lock().expect("nothing panics with it").insert(name, bytes);
        Ok(())
    }

    async fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>> {
        Ok(self.kept.lock().expect("nothing panics with it").get(name).cloned())
    }
}

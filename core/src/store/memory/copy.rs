//! An order server's copy of a ledger in memory.

use async_trait::async_trait;
use std::{collections::BTreeMap, ops::Bound, sync::Mutex};
use uuid::Uuid;

use super::lock;
use crate::{
    contact::ContactPage,
    error::{Error, Result},
    history::{Entries, Hash, RunningHash},
    id::{OrderId, Seq},
    ledger::Entry,
    order::{Order, Status},
    page::{FoundOrders, OrderScan, fitting},
    service::{ContactFeed, ENTRIES_MAX, LedgerFeed, OrderReader},
    store::{Followed, Projection},
};

/// An order server's copy of a ledger, in memory. After a restart the order server rebuilds it from the ledger.
#[derive(Debug)]
pub struct MemoryCopy {
    copied: Mutex<Copied>,
}

#[derive(Debug)]
struct Copied {
    followed: Followed,
    hash: RunningHash,
    /// The last entry of each batch, and the hash up to it.
    batches: BTreeMap<Seq, Hash>,
    entries: Vec<Entry>,
    orders: BTreeMap<OrderId, Order>,
    /// The orders that are listed, by the number of their first entry.
    listed: BTreeMap<Seq, OrderId>,
    /// Entries that the ledger does not have any more.
    set_aside: Vec<Entry>,
}

impl Default for MemoryCopy {
    fn default() -> Self {
        Self { copied: Mutex::new(Copied::after(Vec::new(), Followed::default(), BTreeMap::new())) }
    }
}

impl MemoryCopy {
    /// An empty copy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The orders that were set aside when the copy went back, as they were placed.
    #[must_use]
    pub fn set_aside(&self) -> Vec<Order> {
        let copied = lock(&self.copied);
        copied.set_aside.iter().filter_map(Entry::order).filter(|order| order.status == Status::Placed).collect()
    }
}

impl Copied {
    /// A copy of these entries, which end at a place that has been followed.
    fn after(entries: Vec<Entry>, followed: Followed, batches: BTreeMap<Seq, Hash>) -> Self {
        let (last, hash) = batches.last_key_value().map_or((Seq(0), Hash::EMPTY), |(seq, hash)| (*seq, *hash));
        let mut hash = RunningHash::new(hash);
        hash.take(&entries[entries.partition_point(|entry| entry.seq <= last)..]);
        let (orders, listed, set_aside) = Default::default();
        let mut copied = Self { followed, hash, batches, entries: Vec::new(), orders, listed, set_aside };
        copied.take(entries);
        copied
    }

    /// The hash up to an entry that it has.
    fn hash_at(&self, at: Seq) -> Hash {
        let (last, hash) =
            self.batches.range(..=at).next_back().map_or((Seq(0), Hash::EMPTY), |(seq, hash)| (*seq, *hash));
        let index = |seq: Seq| self.entries.partition_point(|entry| entry.seq <= seq);
        hash.after(&self.entries[index(last)..index(at)])
    }

    fn take(&mut self, entries: Vec<Entry>) {
        for entry in &entries {
            let Some(id) = entry.order_id() else { continue };
            let order = match self.orders.remove(&id) {
                Some(order) => order.after(entry),
                None => match entry.order() {
                    Some(order) => order,
                    None => continue,
                },
            };
            if order.seq == entry.seq && order.status != Status::Voided {
                self.listed.insert(entry.seq, id);
            }
            self.orders.insert(id, order);
        }
        self.entries.extend(entries);
    }
}

#[async_trait]
impl Projection for MemoryCopy {
    async fn followed(&self) -> Result<Followed> {
        Ok(lock(&self.copied).followed.clone())
    }

    async fn append(&self, page: Entries) -> Result<()> {
        let mut copied = lock(&self.copied);
        copied.followed.check(&page)?;
        let mut hash = copied.hash.clone();
        let ends = hash.take_page(&page)?;
        copied.hash = hash;
        copied.batches.extend(ends);
        copied.followed = copied.followed.after(&page);
        copied.take(page.entries);
        Ok(())
    }

    async fn rewind(&self, fork: Seq) -> Result<u64> {
        let mut copied = lock(&self.copied);
        let from = copied.entries.partition_point(|entry| entry.seq < fork);
        let lost = copied.entries.split_off(from);
        let count = lost.len() as u64;
        let mut set_aside = std::mem::take(&mut copied.set_aside);
        set_aside.extend(lost);
        let kept = std::mem::take(&mut copied.entries);
        let mut batches = std::mem::take(&mut copied.batches);
        batches.split_off(&fork);
        let seq = kept.last().map_or(Seq(0), |last| last.seq);
        let mut followed = Followed { seq, ..std::mem::take(&mut copied.followed) };
        *copied = Copied { set_aside, ..Copied::after(kept, Followed::default(), batches) };
        followed.hash = copied.hash.hash();
        copied.followed = followed;
        Ok(count)
    }
}

#[async_trait]
impl LedgerFeed for MemoryCopy {
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries> {
        let copied = lock(&self.copied);
        let Some(identity) = copied.followed.identity.clone() else {
            return Err(Error::unavailable("this copy has followed nothing yet"));
        };
        let head = copied.followed.seq;
        let from = copied.entries.partition_point(|entry| entry.seq <= after);
        let mut entries: Vec<Entry> =
            copied.entries[from..].iter().take(limit.clamp(1, ENTRIES_MAX)).cloned().collect();
        entries.truncate(fitting(entries.iter().map(Entry::json_bytes)));
        let last = entries.last().map_or(head, |last| last.seq);
        let batch_ends = copied.batches.range((Bound::Excluded(after.min(last)), Bound::Included(last)));
        let batch_ends = batch_ends.map(|(seq, _)| *seq).collect();
        let before = (after <= head).then(|| copied.hash_at(after));
        let after = copied.hash_at(last);
        Ok(Entries { identity, incarnation: Uuid::nil(), head, before, entries, batch_ends, after })
    }
}

/// It has no contacts: what is gone with the process is no place to keep them for later.
#[async_trait]
impl ContactFeed for MemoryCopy {
    async fn contacts(&self, _after: u64, _limit: usize) -> Result<ContactPage> {
        let Some(identity) = lock(&self.copied).followed.identity.clone() else {
            return Err(Error::unavailable("this copy has followed nothing yet"));
        };
        Ok(ContactPage { identity, incarnation: Uuid::nil(), changes: Vec::new() })
    }
}

#[async_trait]
impl OrderReader for MemoryCopy {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(lock(&self.copied).orders.get(&id).cloned())
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        if scan.needs_contacts() {
            return Err(Error::invalid("contact", "this server's copy is in memory, and keeps no contacts"));
        }
        let copied = lock(&self.copied);
        let older = copied.listed.range(..scan.before().unwrap_or(Seq(u64::MAX))).rev();
        let older = older.filter_map(|(_, id)| copied.orders.get(id).cloned());
        scan.run(older.map(Ok), |id| Ok(copied.orders.get(&id).cloned()), |_| Ok(None))
    }
}

//! An order server's copy in memory.

use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Mutex};

use super::lock;
use crate::{
    error::{Error, Result},
    id::{LedgerId, OrderId, Seq},
    ledger::{Entry, Kind},
    order::Order,
    store::OrderCopy,
};

/// An order server's copy in memory. After a restart the order server rebuilds it from the ledger.
#[derive(Debug, Default)]
pub struct MemoryCopy {
    copied: Mutex<Copied>,
}

#[derive(Debug, Default)]
struct Copied {
    /// The ledger that is copied; `None` before the first entry.
    ledger: Option<LedgerId>,
    /// The last entry that was taken in.
    followed: Seq,
    orders: BTreeMap<OrderId, Order>,
    /// The orders by the number of their sale.
    by_sale: BTreeMap<Seq, OrderId>,
}

impl MemoryCopy {
    /// An empty copy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Copied {
    /// Refuses entries of another ledger, and entries that do not follow on the last one.
    fn check(&self, ledger: LedgerId, entries: &[Entry]) -> Result<()> {
        if self.ledger.is_some_and(|own| own != ledger) {
            return Err(Error::unavailable("these entries are of another ledger than this copy's"));
        }
        let follows = std::iter::successors(Some(self.followed.next()), |seq| Some(seq.next()));
        if !entries.iter().map(|entry| entry.seq).eq(follows.take(entries.len())) {
            return Err(Error::unavailable(format!("these entries do not follow on entry {}", self.followed)));
        }
        Ok(())
    }

    fn take(&mut self, entry: &Entry) {
        if let Some(order) = entry.order() {
            self.by_sale.insert(entry.seq, order.id);
            self.orders.insert(order.id, order);
        }
        if let (Kind::Return, Some(key)) = (entry.kind, entry.key)
            && let Some(order) = self.orders.remove(&key)
        {
            self.orders.insert(key, order.cancelled(entry.at));
        }
        self.followed = entry.seq;
    }
}

#[async_trait]
impl OrderCopy for MemoryCopy {
    async fn followed(&self) -> Result<(Option<LedgerId>, Seq)> {
        let copied = lock(&self.copied);
        Ok((copied.ledger, copied.followed))
    }

    async fn append(&self, ledger: LedgerId, entries: Vec<Entry>) -> Result<()> {
        let mut copied = lock(&self.copied);
        copied.check(ledger, &entries)?;
        if !entries.is_empty() {
            copied.ledger = Some(ledger);
        }
        entries.iter().for_each(|entry| copied.take(entry));
        Ok(())
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(lock(&self.copied).orders.get(&id).cloned())
    }

    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        let copied = lock(&self.copied);
        let older = copied.by_sale.range(..before.unwrap_or(Seq(u64::MAX))).rev();
        Ok(older.filter_map(|(_, id)| copied.orders.get(id).cloned()).take(limit).collect())
    }
}

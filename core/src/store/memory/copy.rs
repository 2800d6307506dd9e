//! An order server's copy in memory.

use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Mutex};

use super::lock;
use crate::{
    error::Result,
    history::Entries,
    id::{OrderId, Seq},
    ledger::{Entry, Kind},
    order::Order,
    store::{Followed, OrderCopy},
};

/// An order server's copy in memory. After a restart the order server rebuilds it from the ledger.
#[derive(Debug, Default)]
pub struct MemoryCopy {
    copied: Mutex<Copied>,
}

#[derive(Debug, Default)]
struct Copied {
    followed: Followed,
    orders: BTreeMap<OrderId, Order>,
    /// The orders by the number of their sale.
    by_sale: BTreeMap<Seq, OrderId>,
    /// Orders that the ledger does not have any more.
    set_aside: Vec<Order>,
}

impl MemoryCopy {
    /// An empty copy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The orders that were set aside when the copy started again.
    #[must_use]
    pub fn set_aside(&self) -> Vec<Order> {
        lock(&self.copied).set_aside.clone()
    }
}

impl Copied {
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
    }
}

#[async_trait]
impl OrderCopy for MemoryCopy {
    async fn followed(&self) -> Result<Followed> {
        Ok(lock(&self.copied).followed.clone())
    }

    async fn append(&self, page: Entries) -> Result<()> {
        let mut copied = lock(&self.copied);
        copied.followed.check(&page)?;
        copied.followed = copied.followed.after(&page);
        page.entries.iter().for_each(|entry| copied.take(entry));
        Ok(())
    }

    async fn restart(&self, fork: Seq) -> Result<u64> {
        let mut copied = lock(&self.copied);
        let copied = &mut *copied;
        let lost = copied.by_sale.range(fork..).filter_map(|(_, id)| copied.orders.get(id).cloned());
        copied.set_aside.extend(lost);
        let set_aside = std::mem::take(&mut copied.set_aside);
        let count = set_aside.len() as u64;
        *copied = Copied { set_aside, ..Copied::default() };
        Ok(count)
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

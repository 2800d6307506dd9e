//! An order server's real copy, on a disk of the simulation.

use async_trait::async_trait;
use bookstore_core::{
    Entries, Error, FoundOrders, Order, OrderId, OrderReader, OrderScan, Result, Seq,
    orders::Ack,
    service::LedgerFeed,
    store::{Followed, Projection, sqlite::SqliteCopy},
};
use rand::RngExt as _;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    accident::Seller,
    bugs::Bug,
    coverage::Seen,
    disk::{Disk, Stage},
    disk_faults::{fault, write_times},
    hosts::Host,
    world::Shared,
};

/// How many of the appends that do not wait for the disk are followed by a checkpoint.
const CHECKPOINTS: f64 = 0.05;

/// The copy, with time to be crashed in.
pub(crate) struct SimCopy {
    copy: SqliteCopy,
    disk: Arc<Disk>,
    host: Host,
    world: Shared,
    failed: AtomicBool,
}

impl SimCopy {
    pub(crate) fn new(copy: SqliteCopy, host: Host, world: &Shared) -> Self {
        let disk = Arc::clone(world.disk(host));
        Self { copy, disk, host, world: world.clone(), failed: AtomicBool::new(false) }
    }

    /// What is on the disk after an append: all, if orders are acknowledged by it; otherwise what SQLite moves into the database
    /// now and then, here long before it would do so by itself.
    fn flush(&self) {
        match self.world.plan.ack {
            Ack::Copied { .. } => self.disk.mark_durable(),
            Ack::Ledger => {
                if self.disk.draw(|rng| rng.random_bool(CHECKPOINTS)) {
                    self.disk.checkpoint();
                }
                assert!(self.disk.log_pages() < 1000, "SQLite has moved the log without the disk's knowing");
            }
        }
    }

    /// Whether the copy knows an order. A copy that would skip an entry is refused by the store, as its hash is another one, so the bug
    /// hides the order.
    fn has(&self, order: &Order) -> bool {
        !self.world.has(Bug::CopySkipsAnEntry) || !order.seq.0.is_multiple_of(16)
    }

    fn seller(&self) -> &Seller {
        self.world.accident.seller(self.host).expect("an order server has a copy")
    }

    /// For [`Bug::FollowsWithoutComparing`]: the page as it would look if it continued this copy.
    pub(crate) async fn pretend(&self, mut page: Entries) -> Result<Entries> {
        let own = self.copy.followed().await?;
        let (mut rest, mut hash) = (page.entries.as_slice(), own.hash);
        page.before = Some(hash);
        for end in &page.batch_ends {
            let (batch, later) = rest.split_at(rest.partition_point(|entry| entry.seq <= *end));
            (hash, rest) = (hash.after(batch), later);
        }
        page.after = hash.after(rest);
        page.identity = own.identity.unwrap_or(page.identity);
        Ok(page)
    }

    async fn stay(&self, stage: Stage, lasts: Duration) {
        self.disk.enter(stage, lasts);
        tokio::time::sleep(lasts).await;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Projection for SimCopy {
    async fn followed(&self) -> Result<Followed> {
        self.copy.followed().await
    }

    async fn rewind(&self, fork: Seq) -> Result<u64> {
        let before = self.copy.followed().await?.seq;
        let count = self.copy.rewind(fork).await?;
        self.world.note(format_args!("{}: rewound from {before} to before {fork}, {count} set aside", self.host));
        let seller = self.seller();
        seller.rewound.lock().expect("nobody panics with it").push((before, count));
        seller.followed.store(self.copy.followed().await?.seq.0, Ordering::SeqCst);
        Ok(count)
    }

    async fn append(&self, page: Entries) -> Result<()> {
        let [before, after] = write_times(&self.world, &self.disk);
        self.stay(Stage::Before, before).await;
        let fault = fault(&self.world, &self.disk);
        if fault.is_some() {
            self.failed.store(true, Ordering::SeqCst);
            self.world.coverage.saw(Seen::CopyFailed);
            self.world.note(format_args!("{}: copying fails, {fault:?}", self.host));
        }
        let failed = Err(Error::unavailable("an injected fault"));
        if fault == Some(false) {
            return failed;
        }
        let (last, timelines) = (page.entries.last().map(|entry| entry.seq), page.identity.timelines.len());
        self.copy.append(page).await?;
        let last = last.unwrap_or_else(|| self.seller().followed());
        self.seller().note_followed(last, timelines);
        self.flush();
        self.world.note(format_args!("{}: copied up to {last}", self.host));
        self.stay(Stage::After, after).await;
        if fault.is_some() {
            return failed;
        }
        if self.failed.swap(false, Ordering::SeqCst) {
            self.world.coverage.saw(Seen::CopyRetried);
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LedgerFeed for SimCopy {
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries> {
        self.copy.page(after, limit).await
    }
}

#[async_trait]
impl OrderReader for SimCopy {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(self.copy.order(id).await?.filter(|order| self.has(order)))
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        let mut found = self.copy.find_orders(scan).await?;
        found.orders.retain(|order| self.has(order));
        Ok(found)
    }
}

/// For [`Bug::AcknowledgesByNumber`]: a copy that is thought to have what was sold just now, once it has followed far enough.
pub(crate) struct ByNumber {
    copy: Arc<dyn OrderReader>,
    host: Host,
    world: Shared,
}

impl ByNumber {
    pub(crate) fn over(copy: Arc<dyn OrderReader>, host: Host, world: &Shared) -> Arc<dyn OrderReader> {
        Arc::new(Self { copy, host, world: world.clone() })
    }
}

#[async_trait]
impl OrderReader for ByNumber {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        match self.copy.order(id).await? {
            Some(order) => Ok(Some(order)),
            None => {
                let followed = self.world.accident.seller(self.host).map(Seller::followed);
                let sold = self.world.facts().sold.remove(&id);
                Ok(sold.filter(|sold| followed >= Some(sold.seq)))
            }
        }
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        self.copy.find_orders(scan).await
    }
}

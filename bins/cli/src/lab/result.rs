//! The result of the lab.

use bookstore_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Audit, Lab, Machine, Plan, Promises, Shape};
use crate::{
    load::{Check, LoadResult, Mix, Moment, Numbers, Operation, OperationNumbers},
    report::float,
};

/// The result of the lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabResult {
    /// The bookstore's version.
    pub version: String,
    /// Whether it was compiled with optimisation; without it, its times mean nothing.
    pub optimised: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What was measured, and for how long.
    pub plan: Plan,
    /// The seed of the clients' choices.
    pub seed: u64,
    /// The machine.
    pub machine: Machine,
    /// Question 1: growing numbers of clients; a third each of searches, looks and purchases.
    pub clients: Vec<Cell>,
    /// Question 2: where the time is spent.
    pub tiers: Vec<TierCell>,
    /// Question 3: growing shares of purchases.
    pub mixes: Vec<Cell>,
    /// Question 4: a frontend's cache.
    pub caching: Caching,
    /// Question 5: an order server is killed.
    pub killing: Killing,
    /// The three promises, over everything.
    pub promises: Promises,
}

impl LabResult {
    pub(super) fn new(lab: &Lab, started_at: Timestamp, machine: Machine) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            optimised: !cfg!(debug_assertions),
            started_at,
            seconds: 0.0,
            plan: lab.plan.clone(),
            seed: lab.seed,
            machine,
            clients: Vec::new(),
            tiers: Vec::new(),
            mixes: Vec::new(),
            caching: Caching::default(),
            killing: Killing::default(),
            promises: Promises::default(),
        }
    }
}

/// The result of one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The deployment.
    pub shape: Shape,
    /// What clients did.
    pub mix: Mix,
    /// How many there were.
    pub clients: usize,
    /// All operations together.
    pub total: Numbers,
    /// Each operation.
    pub operations: Vec<OperationNumbers>,
}

impl Cell {
    pub(super) fn new(shape: Shape, result: LoadResult) -> Self {
        Self {
            shape,
            mix: result.mix,
            clients: result.pace.clients(),
            total: result.total,
            operations: result.operations,
        }
    }

    /// The numbers of one operation.
    #[must_use]
    pub fn operation(&self, operation: Operation) -> Option<&Numbers> {
        of(&self.operations, operation)
    }
}

fn of(operations: &[OperationNumbers], operation: Operation) -> Option<&Numbers> {
    operations.iter().find(|of| of.operation == operation).map(|of| &of.numbers)
}

/// A tier of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The client, and the network between it and the first server.
    Client,
    /// The only server, where all tiers are in one process.
    Whole,
    /// The frontends.
    Frontend,
    /// The order servers.
    Order,
    /// The catalog server.
    Catalog,
}

impl Tier {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client and network",
            Self::Whole => "the one process",
            Self::Frontend => "frontend",
            Self::Order => "order server",
            Self::Catalog => "catalog server",
        }
    }
}

/// Where the time of one operation is spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierCell {
    /// The deployment.
    pub shape: Shape,
    /// The number of clients.
    pub clients: usize,
    /// The operation.
    pub operation: Operation,
    /// The tiers, from the client inwards.
    pub hops: Vec<Hop>,
}

/// One tier's part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// The tier.
    pub tier: Tier,
    /// Requests that it answered for these operations; several purchases may share one.
    pub requests: u64,
    /// Mean time from a request to its answer, in microseconds, the tiers behind it included.
    pub mean_us: f64,
    /// The part of it that is not spent in the tiers behind it.
    pub own_us: f64,
}

/// What a frontend's cache does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caching {
    /// How stale a cache may be, in milliseconds.
    pub bound_ms: u64,
    /// Books that each frontend keeps at most.
    pub books_max: usize,
    /// Loads without and with it.
    pub cells: Vec<CacheCell>,
    /// How long one frontend shows a book as it was before a purchase through the other one, without and with load.
    pub staleness: Vec<Staleness>,
}

/// One load with or without a cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheCell {
    /// Whether the frontends had one.
    pub cached: bool,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// How long it took.
    pub seconds: f64,
    /// Looks that were answered from the cache.
    pub hits: u64,
    /// Looks at books that were not in the cache.
    pub misses: u64,
    /// Looks at books that were in the cache, but might have been too old.
    pub bypasses: u64,
    /// Looks that reached the frontends.
    pub looks: u64,
    /// Looks that reached the catalog server.
    pub catalog_looks: u64,
    /// Purchases that reached the frontends.
    pub purchases: u64,
    /// Requests with purchases that reached the catalog server.
    pub catalog_calls: u64,
    /// Polls for new entries that reached the catalog server, from order servers and caches.
    pub catalog_polls: u64,
    /// Entries of the ledger that the caches followed.
    pub entries_followed: u64,
}

impl CacheCell {
    /// The part of all looks that the cache answered.
    #[must_use]
    pub fn hit_share(&self) -> f64 {
        ratio(self.hits, self.hits + self.misses + self.bypasses)
    }

    /// Requests for a book at the catalog server, for each look.
    #[must_use]
    pub fn catalog_looks_per_look(&self) -> f64 {
        ratio(self.catalog_looks, self.looks)
    }

    /// Requests with purchases at the catalog server, for each purchase.
    #[must_use]
    pub fn catalog_calls_per_purchase(&self) -> f64 {
        ratio(self.catalog_calls, self.purchases)
    }

    /// Requests a second at the catalog server: looks, purchases and polls.
    pub(super) fn catalog_requests_per_second(&self) -> f64 {
        float(self.catalog_looks + self.catalog_calls + self.catalog_polls) / self.seconds.max(1e-9)
    }

    /// Polls a second at the catalog server.
    #[must_use]
    pub fn polls_per_second(&self) -> f64 {
        if self.seconds > 0.0 { float(self.catalog_polls) / self.seconds } else { 0.0 }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole > 0 { float(part) / float(whole) } else { 0.0 }
}

/// How long one frontend shows a book as it was before a purchase through the other one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staleness {
    /// Clients that loaded both frontends meanwhile.
    pub clients: usize,
    /// Purchases that were measured.
    pub purchases: u64,
    /// Those among them that the first look through the other frontend did not show yet.
    pub seen_old: u64,
    /// From the purchase's answer to the end of the first look that shows it, in microseconds: the median.
    pub p50_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// A load during which an order server is killed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Killing {
    /// Requests a second.
    pub rate: f64,
    /// Clients.
    pub clients: usize,
    /// The chance that a look was followed by a purchase.
    pub chance: f64,
    /// When the server was killed, in seconds since the start.
    pub killed_at: f64,
    /// When it was started again.
    pub restarted_at: f64,
    /// When its copy had caught up and it was ready.
    pub ready_at: f64,
    /// Requests that the frontends sent again, to the same or another server.
    pub frontend_retries: u64,
    /// Requests that no client was free to send.
    pub not_started: u64,
    /// All operations together.
    pub total: Numbers,
    /// Each operation.
    pub operations: Vec<OperationNumbers>,
    /// The load over time.
    pub timeline: Vec<Moment>,
    /// The audit of every server's store afterwards.
    pub audit: Option<Audit>,
    /// The check through the frontends.
    pub check: Option<Check>,
}

impl Killing {
    /// The numbers of one operation.
    #[must_use]
    pub fn operation(&self, operation: Operation) -> Option<&Numbers> {
        of(&self.operations, operation)
    }
}

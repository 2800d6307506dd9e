//! What the lab has found out.

use bookstore_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lab, Machine, Plan, Shape};
use crate::{
    load::{Check, LoadResult, Mix, Moment, Numbers, Operation, OperationNumbers, Verdict},
    report::float,
};

/// What the lab has found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabResult {
    /// The bookstore's version.
    pub version: String,
    /// Whether it was compiled with optimisation; without, its times say nothing.
    pub optimised: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What was to be measured.
    pub plan: Plan,
    /// What the clients' choices were drawn from.
    pub seed: u64,
    /// What it ran on.
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

/// One load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// On which deployment.
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
    /// The client, and the way between it and the first server.
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
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client and way there",
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
    /// In which deployment.
    pub shape: Shape,
    /// With how many clients.
    pub clients: usize,
    /// Which operation.
    pub operation: Operation,
    /// The tiers, from the client inwards.
    pub hops: Vec<Hop>,
}

/// One tier's part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Which tier.
    pub tier: Tier,
    /// Requests that it answered for these operations; several purchases may share one.
    pub requests: u64,
    /// Mean time from a request to its answer, in microseconds, with the tiers behind it.
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
    /// How long one frontend shows a book as it was before a purchase through the other one.
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
    /// Looks at books that were not in it.
    pub misses: u64,
    /// Looks at books that were, but might have been too old.
    pub bypasses: u64,
    /// Looks that reached the frontends.
    pub looks: u64,
    /// Looks that reached the catalog server.
    pub catalog_looks: u64,
    /// Purchases that reached the frontends.
    pub purchases: u64,
    /// Requests with purchases that reached the catalog server.
    pub catalog_calls: u64,
    /// Polls for new entries that reached the catalog server: of the order servers and of the caches.
    pub catalog_polls: u64,
    /// Entries that the caches were brought forward by.
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
    /// Clients that loaded both meanwhile.
    pub clients: usize,
    /// Purchases that were watched.
    pub purchases: u64,
    /// Those among them whose book the other frontend still showed as it had been, at the first look.
    pub seen_old: u64,
    /// From the purchase's answer to the end of the first look that shows it, in microseconds: the median.
    pub p50_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// What clients saw of an order server's end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Killing {
    /// Requests a second that were to arrive.
    pub rate: f64,
    /// Clients that shared them.
    pub clients: usize,
    /// The chance that a look was followed by a purchase.
    pub chance: f64,
    /// When the server was killed, in seconds since the start.
    pub killed_at: f64,
    /// When it was started again.
    pub restarted_at: f64,
    /// When its copy had caught up and it was ready.
    pub ready_at: f64,
    /// Requests that the frontends had to send once more, or elsewhere.
    pub frontend_retries: u64,
    /// Requests for which there was never a free client.
    pub not_started: u64,
    /// All operations together.
    pub total: Numbers,
    /// Each operation.
    pub operations: Vec<OperationNumbers>,
    /// The load, moment by moment.
    pub timeline: Vec<Moment>,
    /// What every server's store says afterwards.
    pub audit: Option<Audit>,
    /// What was checked through the frontends.
    pub check: Option<Check>,
}

impl Killing {
    /// The numbers of one operation.
    #[must_use]
    pub fn operation(&self, operation: Operation) -> Option<&Numbers> {
        of(&self.operations, operation)
    }
}

/// What the stores of a deployment say at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Which deployment.
    pub shape: Shape,
    /// Entries of the ledger.
    pub entries: u64,
    /// Orders in it.
    pub orders: u64,
    /// Copies that they bought.
    pub copies_sold: u64,
    /// Each order server's copy, held against the ledger.
    pub copies: Vec<CopyAudit>,
    /// What must not be so.
    pub findings_total: u64,
    /// The first of it.
    pub findings: Vec<String>,
}

/// One order server's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyAudit {
    /// Orders in it.
    pub orders: u64,
    /// Entries that it lacks.
    pub behind: u64,
}

impl Audit {
    /// Whether all is well.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let behind = self.copies.iter().any(|copy| copy.behind > 0);
        match self.findings_total {
            1.. => Verdict::Broken,
            0 if behind => Verdict::Incomplete,
            0 => Verdict::Kept,
        }
    }
}

/// What became of the three promises in all loads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promises {
    /// The worst of all checks and audits.
    pub verdict: Verdict,
    /// Loads that were checked.
    pub loads: u64,
    /// Purchases that were acknowledged.
    pub acknowledged: u64,
    /// Those among them that were read back just as answered.
    pub confirmed: u64,
    /// Purchases whose outcome stayed unknown.
    pub unknown: u64,
    /// What was found against the promises.
    pub findings_total: u64,
    /// The first of it.
    pub findings: Vec<String>,
    /// What could not be checked.
    pub not_checked: Vec<String>,
    /// The audits, one for each deployment.
    pub audits: Vec<Audit>,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            verdict: Verdict::Kept,
            loads: 0,
            acknowledged: 0,
            confirmed: 0,
            unknown: 0,
            findings_total: 0,
            findings: Vec::new(),
            not_checked: Vec::new(),
            audits: Vec::new(),
        }
    }
}

/// Findings, and reasons why something was not checked, that are named.
const NAMED_MAX: usize = 50;

impl Promises {
    pub(super) fn loaded(&mut self, check: &Check) {
        self.verdict = self.verdict.max(check.verdict);
        self.loads += 1;
        self.acknowledged += check.acknowledged;
        self.confirmed += check.confirmed;
        self.unknown += check.unknown;
        self.findings_total += check.findings_total;
        let found = check.findings.iter().map(|finding| format!("{}: {}", finding.promise.name(), finding.what));
        self.findings.extend(found);
        self.findings.truncate(NAMED_MAX);
        if check.verdict == Verdict::Incomplete {
            self.not_checked.extend(check.promises.iter().filter_map(|promise| promise.not_checked.clone()));
            self.not_checked.truncate(NAMED_MAX);
        }
    }

    pub(super) fn audited(&mut self, audit: &Audit) {
        self.verdict = self.verdict.max(audit.verdict());
        self.findings_total += audit.findings_total;
        self.findings
            .extend(audit.findings.iter().map(|finding| format!("audit of {}: {finding}", audit.shape.name())));
        self.findings.truncate(NAMED_MAX);
        let behind = audit.copies.iter().filter(|copy| copy.behind > 0);
        let late = behind.map(|copy| format!("a copy of {} is {} entries behind", audit.shape.name(), copy.behind));
        self.not_checked.extend(late);
        self.audits.push(audit.clone());
    }

    /// The verdict in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.verdict {
            Verdict::Kept => "Every promise is kept: nothing oversold, nothing lost, nothing doubled.".to_owned(),
            Verdict::Incomplete => "Nothing wrong was found, but not everything could be checked.".to_owned(),
            Verdict::Broken => format!("A promise is broken: {} findings.", self.findings_total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(behind: u64, findings: &[&str]) -> Audit {
        Audit {
            shape: Shape::Replicated,
            entries: 10,
            orders: 5,
            copies_sold: 5,
            copies: vec![CopyAudit { orders: 5, behind: 0 }, CopyAudit { orders: 5, behind }],
            findings_total: findings.len() as u64,
            findings: findings.iter().map(|finding| (*finding).to_owned()).collect(),
        }
    }

    fn check(verdict: Verdict) -> Check {
        let json = serde_json::json!({
            "verdict": verdict, "acknowledged": 3, "confirmed": 2, "unknown": 1, "unknown_existing": 0, "unread": 0,
            "ledger_entries": 9, "findings_total": 1,
            "promises": [{
                "promise": "never_lost", "verdict": verdict, "checked": "", "not_checked": "the shop is away", "findings": 1
            }],
            "findings": [{ "promise": "never_lost", "what": "order 7 is gone" }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_worst_check_counts() {
        let mut promises = Promises::default();
        promises.audited(&audit(0, &[]));
        assert_eq!(promises.verdict, Verdict::Kept);
        promises.loaded(&check(Verdict::Incomplete));
        assert_eq!(
            (promises.verdict, promises.not_checked.as_slice()),
            (Verdict::Incomplete, &["the shop is away".to_owned()][..])
        );
        promises.loaded(&check(Verdict::Broken));
        promises.loaded(&check(Verdict::Kept));
        assert_eq!((promises.verdict, promises.loads, promises.acknowledged), (Verdict::Broken, 3, 9));
        assert!(promises.findings[0].contains("order 7 is gone"), "{promises:?}");
    }

    #[test]
    fn an_audit_counts_as_much_as_a_check() {
        let mut late = Promises::default();
        late.audited(&audit(2, &[]));
        assert_eq!(late.verdict, Verdict::Incomplete);
        assert!(late.not_checked[0].contains("2 entries behind"), "{late:?}");
        late.audited(&audit(0, &["entry 3 follows on entry 1"]));
        assert_eq!((late.verdict, late.findings_total), (Verdict::Broken, 1));
        assert!(late.sentence().contains("broken") && late.findings[0].contains("entry 3"), "{late:?}");
    }
}

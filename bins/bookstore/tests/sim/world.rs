//! What all parts of one run share.

use bookstore_core::{Book, BookId, Catalog, Clock, Entry, Order, OrderId, Seq, Timestamp, check::Recorder};
use bookstore_transport_http::{client::ClientOptions, token::AccessToken};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

use super::{
    accident::AccidentState,
    bugs::Bug,
    coverage::Coverage,
    disk::{Disk, Stage},
    hosts::{CutLinks, Host, now},
    index::IndexFolder,
    plan::Plan,
    searchers::Searched,
    trace::Trace,
};

/// What a server is doing: crashes choose their moment by it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// From its start until it listens.
    pub(crate) starting: AtomicBool,
    /// Calls that it works on.
    pub(crate) calls: AtomicUsize,
    /// How often it was started: hands out fresh seeds and ids.
    pub(crate) starts: AtomicU64,
}

/// One run.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) bug: Option<Bug>,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) recorder: Arc<Recorder>,
    /// The recorder's clock.
    ticks: Arc<AtomicU64>,
    pub(crate) cut_links: CutLinks,
    pub(crate) token: AccessToken,
    pub(crate) activity: [Activity; 7],
    /// Of the catalog, of the order servers, and of the spare machine.
    pub(crate) disks: [Arc<Disk>; 4],
    /// Milliseconds by which each machine's clock is off.
    pub(crate) clocks: [AtomicI64; 7],
    pub(crate) accident: AccidentState,
    /// Nanoseconds of simulated time at which the faults ended.
    healed_at: AtomicU64,
    /// The same, of the last moment when something was under way.
    busy_at: AtomicU64,
    ids: AtomicU64,
    buyers_done: AtomicBool,
    /// Of the catalog and of the spare machine.
    indexes: [IndexFolder; 2],
    serving: Mutex<Serving>,
    facts: Mutex<Facts>,
    /// The frontend's, for [`Bug::InvalidateBeforeCommit`].
    bad_cache: Mutex<BTreeMap<BookId, Book>>,
}

/// What the actors have seen and done.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Which purchase intent an order id was made for.
    pub(crate) intents: BTreeMap<OrderId, u64>,
    /// Orders that an answer has shown.
    pub(crate) orders: Vec<OrderId>,
    /// Durable entries that the auditor has read.
    pub(crate) shown: Vec<Entry>,
    /// Acknowledged restocks by key, and the copies that were meant to be added.
    pub(crate) restocks: Vec<(OrderId, i64)>,
    /// Sales that order servers were told of, for [`Bug::AcknowledgesByNumber`].
    pub(crate) sold: BTreeMap<OrderId, Order>,
    /// Broken promises, by rule.
    pub(crate) failures: Vec<(String, String)>,
    /// Searches by words that were answered.
    pub(crate) searches: Vec<Searched>,
}

/// The catalog that serves the ledger.
#[derive(Debug, Default)]
struct Serving {
    catalog: Weak<Catalog>,
    /// What it had published when it was looked at last.
    published: Seq,
}

pub(crate) type Shared = Arc<World>;

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, bug: Option<Bug>, print: bool, dir: &Path) -> Shared {
        let disk = |name: &str| Arc::new(Disk::new(PathBuf::from(dir), name, seed));
        let ticks = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&ticks);
        Arc::new(Self {
            seed,
            plan,
            bug,
            trace: Trace::new(print),
            coverage: Coverage::default(),
            recorder: Arc::new(Recorder::with_clock(Recorder::LIMIT_DEFAULT, move || {
                clock.fetch_add(1, Ordering::SeqCst)
            })),
            ticks,
            cut_links: CutLinks::default(),
            token: AccessToken::new("0123456789abcdef0123456789abcdef").expect("long enough"),
            activity: Default::default(),
            disks: [disk("catalog"), disk("order-1"), disk("order-2"), disk("spare")],
            clocks: Default::default(),
            accident: AccidentState::default(),
            healed_at: AtomicU64::new(u64::MAX),
            busy_at: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            buyers_done: AtomicBool::new(false),
            indexes: [("catalog", 8), ("spare", 9)]
                .map(|(name, purpose)| IndexFolder::new(dir, name, seed_of(seed, purpose))),
            serving: Mutex::default(),
            facts: Mutex::default(),
            bad_cache: Mutex::default(),
        })
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("no code panics while it is locked")
    }

    pub(crate) fn bad_cache(&self) -> MutexGuard<'_, BTreeMap<BookId, Book>> {
        self.bad_cache.lock().expect("no code panics while it is locked")
    }

    pub(crate) fn disk(&self, host: Host) -> &Arc<Disk> {
        match host {
            Host::Order1 => &self.disks[1],
            Host::Order2 => &self.disks[2],
            Host::Spare => &self.disks[3],
            _ => &self.disks[0],
        }
    }

    pub(crate) fn index_folder(&self, host: Host) -> &IndexFolder {
        &self.indexes[usize::from(host == Host::Spare)]
    }

    /// A catalog serves the ledger from now on.
    pub(crate) fn serves(&self, catalog: &Arc<Catalog>) {
        self.serving().catalog = Arc::downgrade(catalog);
    }

    /// The last entry that is known to be published: a call that is made now must not miss it.
    pub(crate) fn published(&self) -> Seq {
        let mut serving = self.serving();
        if let Some(catalog) = serving.catalog.upgrade() {
            serving.published = catalog.head();
        }
        serving.published
    }

    fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().expect("no code panics while it is locked")
    }

    pub(crate) fn client_options(&self, inner: bool, seed: u64) -> ClientOptions {
        ClientOptions { token: Some(self.token.clone()), ..self.plan.client_options(inner, seed) }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn heal(&self, now: Duration) {
        self.healed_at.store(nanos(now), Ordering::SeqCst);
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed_at.load(Ordering::SeqCst) != u64::MAX
    }

    /// Must be called between the simulation's steps: notes whether anything is under way that may have an effect.
    pub(crate) fn watch(&self, now: Duration) {
        let calls = self.activity.iter().any(|activity| activity.calls.load(Ordering::SeqCst) > 0);
        if calls || [Host::Catalog, Host::Spare].iter().any(|host| self.disk(*host).stage(now) != Stage::Idle) {
            self.busy_at.store(nanos(now), Ordering::SeqCst);
        }
    }

    /// The recorder's time: what was recorded until now is before it.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    /// The catalog servers that others know.
    pub(crate) fn catalogs(&self) -> &'static [Host] {
        if self.plan.has_spare() { &[Host::Catalog, Host::Spare] } else { &[Host::Catalog] }
    }

    /// Where a machine finds the host with this name. Buyers and staff are told when the catalog moves; servers have a list.
    pub(crate) fn found_at<'a>(&self, from: Host, name: &'a str) -> &'a str {
        let asks = matches!(from, Host::Buyers | Host::Staff);
        if asks && name == Host::Catalog.name() { self.accident.ledger_host().name() } else { name }
    }

    /// Waits until the faults have ended, and everything that was under way then has ended too.
    pub(crate) async fn settled(&self) {
        let healed_at = || self.healed_at.load(Ordering::SeqCst);
        let since = || healed_at().max(self.busy_at.load(Ordering::SeqCst));
        while self.accident.is_open()
            || nanos(now()) < healed_at().saturating_add(nanos(SETTLE_MAX)).min(since().saturating_add(nanos(QUIET)))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn buyers_done(&self) {
        self.buyers_done.store(true, Ordering::SeqCst);
    }

    /// Waits until no actor calls any more and nothing is under way.
    pub(crate) async fn all_done(&self) {
        while !self.buyers_done.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.settled().await;
    }

    /// Writes a line of the trace. Must be called on a simulated host.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.trace.line(now(), what);
    }

    pub(crate) fn fail(&self, rule: &str, what: String) {
        self.facts().failures.push((rule.to_owned(), what));
    }

    /// A number that differs for every `purpose`, and for every seed.
    pub(crate) fn seed_for(&self, purpose: u64) -> u64 {
        seed_of(self.seed, purpose)
    }
}

fn seed_of(seed: u64, purpose: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03)
}

/// Longer than anything stays hidden between two machines: a duplicate, a retry's pause.
const QUIET: Duration = Duration::from_millis(1_300);
/// Longer than any call takes with its retries, at every server on its way.
const SETTLE_MAX: Duration = Duration::from_secs(8);

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1)
}

/// One machine's clock: simulated time plus the machine's error.
#[derive(Clone)]
pub(crate) struct SimClock {
    world: Shared,
    host: Host,
}

impl SimClock {
    pub(crate) fn new(world: &Shared, host: Host) -> Self {
        Self { world: world.clone(), host }
    }
}

/// 2026-01-01.
const EPOCH_MS: i64 = 1_767_225_600_000;

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let off = self.world.clocks[self.host as usize].load(Ordering::SeqCst);
        Timestamp(EPOCH_MS + i64::try_from(now().as_millis()).unwrap_or_default() + off)
    }

    /// Version 7, counted; every eighth is a version 4.
    fn new_id(&self) -> Uuid {
        let count = self.world.ids.fetch_add(1, Ordering::SeqCst);
        let noise = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if count % 8 == 7 {
            return uuid::Builder::from_random_bytes((u128::from(noise) << 64 | u128::from(count)).to_be_bytes())
                .into_uuid();
        }
        let mut random = [0; 10];
        random[..2].copy_from_slice(&noise.to_be_bytes()[..2]);
        random[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(self.now().0).unwrap_or_default(), &random).into_uuid()
    }
}

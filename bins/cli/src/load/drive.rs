//! Drives the clients: in a closed loop, or at the arrivals of a fixed rate.

use bookstore_core::OrderId;
use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
};

use super::{
    Load, LoadError, Mix, Pace,
    buyer::Buyer,
    catalogue::Catalogue,
    client::Servers,
    mix::{Operation, Share},
    purchases::{Findings, Purchase},
    record::Recorder,
    stop::Ending,
};

/// Connections that are opened concurrently before the start.
const CONNECTING_MAX: usize = 256;
/// Orders that clients choose from when they read one.
const RECENT_MAX: usize = 1024;

/// Why a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its time had passed.
    Time,
    /// The book of the race was sold out.
    SoldOut,
    /// It was stopped.
    Stopped,
    /// It reached [`Limits::purchases_max`](super::Limits::purchases_max).
    PurchasesMax,
}

/// The state that all clients share.
pub(super) struct Run {
    pub(super) load: Load,
    pub(super) catalogue: Catalogue,
    pub(super) servers: Arc<Servers>,
    pub(super) shares: Vec<Share>,
    pub(super) findings: Arc<Findings>,
    pub(super) ending: Ending,
    pub(super) recorder: OnceLock<Recorder>,
    started: OnceLock<Instant>,
    ended: OnceLock<(Reason, Instant)>,
    arrivals: Semaphore,
    due: AtomicU64,
    taken: AtomicU64,
    purchases: AtomicUsize,
    /// Purchases that were sent again and got the same answer.
    again: AtomicU64,
    recent: Mutex<Vec<OrderId>>,
}

/// A load that is over.
pub(super) struct Completed {
    /// Sorted by id.
    pub(super) purchases: Arc<Vec<Purchase>>,
    /// How many of them were sent again and got the same answer.
    pub(super) again: u64,
    pub(super) reason: Reason,
    /// From the start to the end, warm-up included.
    pub(super) took: Duration,
    /// From the start to the last acknowledged purchase.
    pub(super) last_sale: Option<Duration>,
    /// Arrivals that no client was free to take.
    pub(super) not_started: u64,
}

impl Run {
    pub(super) fn new(load: Load, catalogue: Catalogue, servers: Arc<Servers>, ending: Ending) -> Self {
        let shares = load.mix.shares(servers.has_token());
        Self {
            load,
            catalogue,
            servers,
            shares,
            ending,
            findings: Arc::default(),
            recorder: OnceLock::new(),
            started: OnceLock::new(),
            ended: OnceLock::new(),
            arrivals: Semaphore::new(0),
            due: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            purchases: AtomicUsize::new(0),
            again: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    /// Time since the start; `None` before it.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.started.get().map(Instant::elapsed)
    }

    fn planned(&self) -> Duration {
        self.load.warmup + self.load.duration
    }

    /// When it started.
    pub(super) fn started(&self) -> Instant {
        *self.started.get_or_init(Instant::now)
    }

    /// Whether one more purchase can be remembered; if not, the load ends.
    pub(super) fn may_purchase(&self) -> bool {
        let may = self.purchases.fetch_add(1, Ordering::Relaxed) < self.load.limits.purchases_max;
        if !may {
            self.end(Reason::PurchasesMax);
        }
        may
    }

    /// Counts a purchase that was sent again and got the same answer.
    pub(super) fn answered_again(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers an order to be read later, if the mix reads orders.
    pub(super) fn remember(&self, id: OrderId, rng: &mut impl Rng) {
        if !self.shares.iter().any(|share| share.operation == Operation::Order) {
            return;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() < RECENT_MAX {
            recent.push(id);
        } else {
            recent[rng.random_range(0..RECENT_MAX)] = id;
        }
    }

    /// An order that was acknowledged before, to any client.
    pub(super) fn recent_order(&self, rng: &mut impl Rng) -> Option<OrderId> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        (!recent.is_empty()).then(|| recent[rng.random_range(0..recent.len())])
    }

    /// Ends the load: no operation begins any more.
    pub(super) fn end(&self, reason: Reason) {
        if self.ended.set((reason, Instant::now())).is_ok() {
            self.arrivals.close();
        }
    }

    /// Whether the load has ended.
    fn is_over(&self, started: Instant) -> bool {
        if self.ended.get().is_some() {
            return true;
        }
        if self.ending.is_asked() {
            self.end(Reason::Stopped);
        } else if matches!(self.load.pace, Pace::Closed { .. }) && started.elapsed() >= self.planned() {
            self.end(Reason::Time);
        }
        self.ended.get().is_some()
    }

    /// Waits for a client's next operation and returns when it was due; `None` at the end.
    pub(super) async fn turn(&self, started: Instant) -> Option<Instant> {
        loop {
            if self.is_over(started) {
                return None;
            }
            let Pace::Open { rate, .. } = self.load.pace else { return Some(Instant::now()) };
            self.arrivals.acquire().await.ok()?.forget();
            let intended = due_at(self.taken.fetch_add(1, Ordering::Relaxed), rate);
            // Arrivals that the warm-up did not get to must not be measured.
            let left_over = intended < self.load.warmup && started.elapsed() > self.load.warmup;
            if !left_over {
                return Some(started + intended);
            }
        }
    }
}

/// When arrival `number` is due at `rate` a second.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 arrivals")]
fn due_at(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

/// How many arrivals are due after `elapsed`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and at most a day's arrivals")]
fn due_by(elapsed: Duration, rate: f64) -> u64 {
    (elapsed.as_secs_f64() * rate) as u64 + 1
}

/// Releases arrivals when they are due, on a thread of its own: a runtime's timers are too coarse.
fn admit(run: &Run, started: Instant, rate: f64) {
    let total = due_by(run.planned(), rate) - 1;
    let mut admitted = 0;
    while admitted < total && !run.is_over(started) {
        let ahead = (started + due_at(admitted, rate)).saturating_duration_since(Instant::now());
        // At most so long that a stop is noticed soon.
        std::thread::sleep(ahead.min(Duration::from_millis(50)));
        let due = due_by(started.elapsed(), rate).min(total);
        if started.elapsed() >= due_at(admitted, rate) && due > admitted {
            run.arrivals.add_permits(usize::try_from(due - admitted).unwrap_or(usize::MAX));
            admitted = due;
            run.due.store(admitted, Ordering::Relaxed);
        }
    }
    let left = (started + run.planned()).saturating_duration_since(Instant::now());
    let over = Instant::now() + left + GRACE;
    while !run.is_over(started) && Instant::now() < over && run.taken.load(Ordering::Relaxed) < admitted {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.end(Reason::Time);
}

/// How long after the planned end a client may still take an arrival.
const GRACE: Duration = Duration::from_millis(100);

/// Runs the load to its end.
pub(super) async fn drive(run: &Arc<Run>) -> Result<Completed, LoadError> {
    let clients = run.load.pace.clients();
    let (ready, connecting) = (Arc::new(Barrier::new(clients + 1)), Arc::new(Semaphore::new(CONNECTING_MAX)));
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let buyer = Buyer::new(Arc::clone(run), number);
        tasks.spawn(buyer.run(Arc::clone(&ready), Arc::clone(&connecting)));
    }
    let started = start(run, &ready).await?;
    let (mut purchases, mut last_sale) = (Vec::new(), None);
    while let Some(joined) = tasks.join_next().await {
        let (bought, last) = joined.map_err(|error| LoadError::Broken(error.to_string()))?;
        purchases.extend(bought);
        last_sale = last_sale.max(last);
    }
    purchases.sort_unstable_by_key(|purchase: &Purchase| purchase.id);
    run.end(Reason::Time);
    let (reason, ended) = run.ended.get().copied().unwrap_or((Reason::Time, Instant::now()));
    Ok(Completed {
        purchases: Arc::new(purchases),
        again: run.again.load(Ordering::Relaxed),
        reason,
        took: ended.saturating_duration_since(started).min(run.planned()),
        last_sale,
        not_started: run.due.load(Ordering::Relaxed).saturating_sub(run.taken.load(Ordering::Relaxed)),
    })
}

/// Starts the clock when all clients are ready.
async fn start(run: &Arc<Run>, ready: &Barrier) -> Result<Instant, LoadError> {
    // When all clients have tried to connect, they start together.
    ready.wait().await;
    let started = Instant::now();
    let race = matches!(run.load.mix, Mix::Race(_));
    let _ = run.recorder.set(Recorder::new(started, run.load.warmup, run.load.duration, race));
    let _ = run.started.set(started);
    ready.wait().await;
    if let Pace::Open { rate, .. } = run.load.pace {
        let run = Arc::clone(run);
        let thread = std::thread::Builder::new().name("load-arrivals".into());
        let spawned = thread.spawn(move || admit(&run, started, rate));
        spawned.map_err(|error| LoadError::Broken(format!("no thread for the arrivals: {error}")))?;
    }
    Ok(started)
}

//! How far a run is.

use serde::{Deserialize, Serialize};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    drive::Run,
    record::{Counted, Recorder},
};

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading what there is to buy.
    Preparing,
    /// Load that is not measured.
    WarmUp,
    /// Load that is measured.
    Load,
    /// Reading the orders back.
    Orders,
    /// Replaying the ledger.
    Ledger,
    /// Comparing the books.
    Books,
}

impl Phase {
    const ALL: [Self; 6] = [Self::Preparing, Self::WarmUp, Self::Load, Self::Orders, Self::Ledger, Self::Books];
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Time since the load began; zero before.
    pub elapsed: Duration,
    /// What the load is planned to take, warm-up included.
    pub planned: Duration,
    /// In a check: orders, entries or books checked.
    pub done: u64,
    /// In a check: how many there are, if that is known.
    pub total: Option<u64>,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Operations that the shop refused: sold out, for example.
    pub refused: u64,
    /// Operations without an answer, or with the answer that the shop cannot serve now.
    pub failed: u64,
    /// Answers a second since the last report, refusals included.
    pub per_second: f64,
    /// The recent median latency, in microseconds.
    pub p50_us: Option<u64>,
    /// The recent 99th percentile, in microseconds.
    pub p99_us: Option<u64>,
}

/// How far a check is. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckProgress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl CheckProgress {
    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase, total: Option<u64>) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(total.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Adds to what is done.
    pub(super) fn done(&self, more: u64) {
        self.0.done.fetch_add(more, Ordering::Relaxed);
    }

    /// The phase, how much of it is done, and how much there is.
    pub(super) fn now(&self) -> (Phase, u64, Option<u64>) {
        let at = usize::from(self.0.phase.load(Ordering::Relaxed));
        let total = self.0.total.load(Ordering::Relaxed);
        (Phase::ALL[at], self.0.done.load(Ordering::Relaxed), (total != u64::MAX).then_some(total))
    }
}

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Does the work, and calls `report` meanwhile.
pub(super) async fn reporting<T>(work: impl Future<Output = T>, mut report: impl FnMut()) -> T {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => report(),
        }
    }
}

/// Reports [`Progress`].
pub(super) struct Reporter<'a> {
    run: Arc<Run>,
    check: CheckProgress,
    progress: &'a (dyn Fn(&Progress) + Sync),
    last: Option<(Instant, Counted)>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(run: Arc<Run>, check: CheckProgress, progress: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        Self { run, check, progress, last: None }
    }

    /// Reports how far the run is now.
    pub(super) fn report(&mut self) {
        let load = &self.run.load;
        let (phase, done, total) = self.check.now();
        let elapsed = self.run.elapsed().unwrap_or_default();
        let phase = match phase {
            Phase::Preparing if self.run.elapsed().is_none() => Phase::Preparing,
            Phase::Preparing if elapsed < load.warmup => Phase::WarmUp,
            Phase::Preparing => Phase::Load,
            checking => checking,
        };
        let counts = self.run.recorder.get().map(Recorder::counts).unwrap_or_default();
        let recent = self.run.recorder.get().and_then(Recorder::recent).filter(|recent| !recent.is_empty());
        let percentile = |percent| recent.as_ref().map(|recent| recent.value_at_percentile(percent).min(recent.max()));
        let per_second = self.last.map_or(0.0, |(at, before)| {
            let answered = counts.answered().saturating_sub(before.answered());
            f64::from(u32::try_from(answered).unwrap_or(u32::MAX)) / at.elapsed().as_secs_f64().max(1e-3)
        });
        self.last = Some((Instant::now(), counts));
        (self.progress)(&Progress {
            phase,
            elapsed,
            planned: load.warmup + load.duration,
            done,
            total,
            succeeded: counts.succeeded,
            refused: counts.refused,
            failed: counts.failed,
            per_second,
            p50_us: percentile(50.0),
            p99_us: percentile(99.0),
        });
    }
}

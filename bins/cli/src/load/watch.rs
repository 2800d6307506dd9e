//! How far a run is, for whoever watches.

use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What is going on.
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

/// How far a run is, told several times a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Since the load began; zero before.
    pub elapsed: Duration,
    /// What the load is planned to take, warm-up included.
    pub planned: Duration,
    /// Of a check: orders, entries or books looked at.
    pub done: u64,
    /// Of a check: how many there are, if that is known.
    pub total: Option<u64>,
    /// Operations that did what was asked.
    pub succeeded: u64,
    /// Operations that the shop refused: sold out, for example.
    pub refused: u64,
    /// Operations without an answer, or answered that the shop cannot serve now.
    pub failed: u64,
    /// Answers (yes or no) a second since the last time.
    pub per_second: f64,
    /// The median latency of the last moment, in microseconds.
    pub p50_us: Option<u64>,
    /// Its 99th percentile.
    pub p99_us: Option<u64>,
}

/// How far a check is. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    /// Another phase begins.
    pub(super) fn enter(&self, phase: Phase, total: Option<u64>) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(total.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// More of it is done.
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

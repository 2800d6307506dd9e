//! What is measured, and for how long.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Shape;

/// What is measured, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Books of the sample catalogue to add, at least one.
    pub books: usize,
    /// Numbers of clients, for latency.
    pub clients: Vec<usize>,
    /// Numbers of clients for the time in each tier. With one client no request waits for another or shares a call.
    pub tier_clients: Vec<usize>,
    /// Chances that a look is followed by a purchase.
    pub chances: Vec<f64>,
    /// Such chances for the cache.
    pub cache_chances: Vec<f64>,
    /// Clients where their number is not the question.
    pub clients_otherwise: usize,
    /// How long each load is measured.
    pub cell: Duration,
    /// The warm-up of each load.
    pub warmup: Duration,
    /// How long staleness is measured, without other load and with it.
    pub staleness: Duration,
    /// How long the load lasts during which an order server is killed.
    pub killing: Duration,
}

/// Estimated time to start and stock a deployment.
pub(super) const OPENING: Duration = Duration::from_millis(1200);
/// Estimated time of the check after a load.
pub(super) const CHECK: Duration = Duration::from_millis(700);
/// Estimated time of a deployment's audit.
pub(super) const CLOSING: Duration = Duration::from_millis(500);

impl Plan {
    /// About four minutes.
    #[must_use]
    pub fn full() -> Self {
        Self {
            books: 300,
            clients: vec![1, 2, 4, 8, 16, 32, 64, 128],
            tier_clients: vec![1, 16],
            chances: vec![0.0, 0.1, 0.2, 0.4, 0.6, 0.8],
            cache_chances: vec![0.0, 0.2, 0.8],
            clients_otherwise: 16,
            cell: Duration::from_millis(2000),
            warmup: Duration::from_millis(400),
            staleness: Duration::from_secs(5),
            killing: Duration::from_secs(12),
        }
    }

    /// Less than a minute: every question, but little time for each.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            // Few, because each is compared with the ledger after every load.
            books: 60,
            clients: vec![1, 8, 32],
            tier_clients: vec![1, 8],
            chances: vec![0.0, 0.2, 0.8],
            cache_chances: vec![0.0, 0.2],
            clients_otherwise: 8,
            cell: Duration::from_millis(400),
            warmup: Duration::from_millis(100),
            staleness: Duration::from_millis(1000),
            killing: Duration::from_secs(3),
        }
    }

    /// Estimated time of one load.
    pub(super) fn cell_takes(&self) -> Duration {
        self.warmup + self.cell + CHECK
    }

    /// Estimated time of one load whose warm-up is a load of its own.
    pub(super) fn warmed_cell_takes(&self) -> Duration {
        self.cell_takes() + CHECK
    }

    /// Estimated time of the whole lab.
    #[must_use]
    pub fn takes(&self) -> Duration {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let each = OPENING
            + CLOSING
            + self.cell_takes() * count(self.clients.len() + self.chances.len())
            + self.warmed_cell_takes() * count(self.tier_clients.len());
        let cache = (OPENING + CLOSING + self.warmed_cell_takes() * count(self.cache_chances.len())) * 2;
        let killing = OPENING + self.killing + CHECK + CLOSING;
        each * count(Shape::ALL.len()) + cache + self.staleness * 2 + CHECK + killing
    }
}

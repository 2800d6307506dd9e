//! A laboratory on this machine: starts the deployments one after the other, loads them, and answers the questions of the
//! textbook exercise with numbers.
//!
//! 1. How long do search, info and purchase take as the number of clients grows?
//! 2. In which tier is that time spent?
//! 3. What does a larger share of purchases cost?
//! 4. What does a frontend's cache save, what does keeping it consistent cost, and how stale is it?
//! 5. What do clients see when an order server is killed?
//!
//! The servers are child processes of the same executable on loopback; their stores are in a folder that is removed at the
//! end. After every load the three promises are checked, and at the end of each deployment its ledger and every copy of
//! it are audited.

mod audit;
mod caching;
mod deployment;
mod error;
mod http;
mod killing;
mod latency;
mod machine;
mod metrics;
mod plan;
mod promises;
mod report;
mod result;
mod server;
mod session;
mod shape;
mod steps;
mod tiers;

use bookstore_core::{Clock as _, SystemClock};
use std::{path::PathBuf, time::Instant};

use deployment::Site;
use session::Session;

pub use error::LabError;
pub use machine::Machine;
pub use plan::Plan;
pub use promises::{Audit, CopyAudit, Promises};
pub use report::Answer;
pub use result::{CacheCell, Caching, Cell, Hop, Killing, LabResult, Staleness, Tier, TierCell};
pub use shape::Shape;
pub use steps::Progress;

/// What to measure, with which executable.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The executable `bookstore`, whose commands run the servers.
    pub executable: PathBuf,
    /// How much, and for how long.
    pub plan: Plan,
    /// Where the folder of the stores is created, which also decides on which disk flushes are measured; by default the
    /// system's temporary folder.
    pub directory: Option<PathBuf>,
    /// The seed of the clients' choices.
    pub seed: u64,
}

impl Lab {
    /// Answers all questions. `progress` is called several times a second.
    ///
    /// Dropping the future ends the servers at once and removes their folder. If this process is killed, the servers stop by
    /// themselves: their stdin ends with it.
    ///
    /// # Errors
    /// A server cannot be started, or a load cannot begin, see [`LabError`]. A broken promise is no error: it is in the result.
    pub async fn run(&self, progress: &(dyn Fn(&Progress) + Sync)) -> Result<LabResult, LabError> {
        let (started, started_at) = (Instant::now(), SystemClock.now());
        let site = Site::new(self)?;
        let mut session = Session::new(self, &site, progress);
        let mut result = LabResult::new(self, started_at, machine::Machine::here(site.folder()));
        for shape in Shape::ALL {
            let shop = session.open(shape, 0).await?;
            latency::by_clients(&mut session, &shop, &mut result.clients).await?;
            tiers::measure(&mut session, &shop, &mut result.tiers).await?;
            latency::by_purchases(&mut session, &shop, &mut result.mixes).await?;
            session.close(shop).await?;
        }
        result.caching = caching::measure(&mut session).await?;
        result.killing = killing::measure(&mut session, &result.mixes).await?;
        result.promises = session.finish();
        result.seconds = started.elapsed().as_secs_f64();
        Ok(result)
    }
}

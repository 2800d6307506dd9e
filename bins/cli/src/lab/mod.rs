//! A laboratory on this machine: starts the deployments one after the other, loads them, and answers with numbers what
//! the textbook exercise asks about the shop.
//!
//! 1. How long do search, info and purchase take as the number of clients grows?
//! 2. In which tier is that time spent?
//! 3. What does a larger share of purchases cost?
//! 4. What does a frontend's cache save, what does keeping it consistent cost, and how stale is it?
//! 5. What do clients see when an order server is killed?
//!
//! The servers are child processes of the same executable on loopback, their stores in a folder that is removed at the
//! end. After every load the three promises are checked, and at the end of each deployment its ledger and every copy of
//! it are audited.

mod caching;
mod clients;
mod deployment;
mod error;
mod http;
mod killing;
mod machine;
mod metrics;
mod mixes;
mod plan;
mod report;
mod result;
mod server;
mod session;
mod steps;
mod tiers;

use bookstore_core::{Clock as _, SystemClock};
use std::{path::PathBuf, time::Instant};

use deployment::Site;
use session::Session;

pub use deployment::Shape;
pub use error::LabError;
pub use machine::Machine;
pub use plan::Plan;
pub use report::Answer;
pub use result::{
    Audit, CacheCell, Caching, Cell, CopyAudit, Hop, Killing, LabResult, Promises, Staleness, Tier, TierCell,
};
pub use steps::Progress;

/// What is to be measured, with which executable.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The bookstore's executable, whose commands run the servers.
    pub executable: PathBuf,
    /// How much, and for how long.
    pub plan: Plan,
    /// Where the folder of the stores is made; the system's place for temporary files if it is not said. It is the disk
    /// there whose flushes are measured.
    pub directory: Option<PathBuf>,
    /// What the clients' choices are drawn from.
    pub seed: u64,
}

impl Lab {
    /// Answers all questions. `progress` is called several times a second.
    ///
    /// Dropping the future ends the servers at once and removes their folder. They end by themselves, too, if this process
    /// is killed: their stdin ends with it.
    ///
    /// # Errors
    /// A server cannot be started, or a load cannot be run, see [`LabError`]. A broken promise is no error here: it is in
    /// the result.
    pub async fn run(&self, progress: &(dyn Fn(&Progress) + Sync)) -> Result<LabResult, LabError> {
        let (started, started_at) = (Instant::now(), SystemClock.now());
        let site = Site::new(self)?;
        let mut session = Session::new(self, &site, progress);
        let mut result = LabResult::new(self, started_at, machine::Machine::here(site.folder()));
        for shape in Shape::ALL {
            let shop = session.open(shape, 0).await?;
            clients::measure(&mut session, &shop, &mut result.clients).await?;
            tiers::measure(&mut session, &shop, &mut result.tiers).await?;
            mixes::measure(&mut session, &shop, &mut result.mixes).await?;
            session.close(shop).await?;
        }
        result.caching = caching::measure(&mut session).await?;
        result.killing = killing::measure(&mut session, &result.mixes).await?;
        result.promises = session.finish();
        result.seconds = started.elapsed().as_secs_f64();
        Ok(result)
    }
}

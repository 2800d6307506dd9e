//! Load on a running shop, over its public HTTP interface, and a check of the three promises afterwards.
//!
//! Clients run in a closed loop (each sends a request, waits for the answer, and sends the next) or an open one (requests
//! arrive at a fixed rate, whether or not the shop keeps up). In the open loop latency counts from the time at which a request
//! was *due*, so that a stall of the shop shows in all the requests that it delayed (no coordinated omission).
//!
//! Every purchase has one order id; after an unknown outcome or a 503 the same request is sent again.
//! When the load is over, every order is read back, and the three promises are checked, see [`Check`].
//!
//! ```no_run
//! # async fn example() -> Result<(), bookstore_cli::load::LoadError> {
//! use bookstore_cli::load::{Load, Mix, Pace, Stop, Target, Verdict};
//!
//! let load = Load {
//!     mix: Mix::Chance(0.2),
//!     pace: Pace::Closed { clients: 16 },
//!     ..Load::on(Target { servers: vec!["http://127.0.0.1:8080".into()], admin_token: None })
//! };
//! let result = load.run(&|_| (), &Stop::new()).await?;
//! println!("{:.0} answers a second", result.total.answered_per_second);
//! assert_eq!(result.check.verdict, Verdict::Kept);
//! # Ok(())
//! # }
//! ```

mod buyer;
mod catalogue;
mod check;
mod client;
pub mod connection;
mod drive;
mod error;
mod mix;
mod progress;
mod purchases;
mod record;
pub(crate) mod report;
mod result;
mod stop;

use bookstore_core::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use bookstore::AccessToken;
use catalogue::Catalogue;
use client::{Ask, Client, Servers};
use drive::Run;
use progress::{CheckProgress, Reporter, reporting};

pub use crate::text::{counted, grouped, shown_us};
pub use catalogue::BOOKS_MAX;
pub use check::{Check, PromiseCheck, Verdict};
pub use drive::Reason;
pub use error::LoadError;
pub use mix::{INTERACTIONS, Mix, Operation, Prize, Share};
pub use progress::{Phase, Progress};
pub use purchases::{Finding, Promise};
pub use result::{Latency, LoadResult, Moment, Numbers, OperationNumbers, RaceResult};
pub use stop::Stop;

/// The shop to load.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its frontends, `http://host:port`. Clients are spread over them, and go on to the next one when theirs fails.
    pub servers: Vec<String>,
    /// Its admin token: needed to add a book for a race, to restock, and to replay the ledger in the check.
    pub admin_token: Option<AccessToken>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Pace {
    /// Closed loop: each client sends a request, waits for the answer, and sends the next.
    Closed {
        /// How many clients.
        clients: usize,
    },
    /// Open loop: requests arrive evenly at a rate, and the next free client takes each.
    Open {
        /// Requests a second.
        rate: f64,
        /// Clients: the most requests that can be in flight.
        clients: usize,
    },
}

impl Pace {
    /// The most clients.
    pub const CLIENTS_MAX: usize = 10_000;
    /// The highest rate, in requests a second.
    pub const RATE_MAX: f64 = 1_000_000.0;

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> usize {
        match self {
            Self::Closed { clients } | Self::Open { clients, .. } => *clients,
        }
    }
}

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long a purchase is tried, retries included.
    pub timeout: Duration,
    /// The most retries of a purchase.
    pub retries_max: u32,
    /// The most purchases: each is remembered for the check, in about 64 bytes. The load ends when there are so many.
    pub purchases_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(6),
            timeout: Duration::from_secs(30),
            retries_max: 10,
            purchases_max: 5_000_000,
        }
    }
}

/// A load: what clients do, how fast, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// The shop.
    pub target: Target,
    /// What clients do.
    pub mix: Mix,
    /// How many clients, and when they send requests.
    pub pace: Pace,
    /// How long is measured, 100 ms to [`Load::DURATION_MAX`]; a race may end earlier.
    pub duration: Duration,
    /// How long the shop is loaded before that; a race has no warm-up.
    pub warmup: Duration,
    /// The seed of the clients' choices. Order ids are always new.
    pub seed: u64,
    /// Zipf's exponent: the book of rank r is chosen in proportion to 1 / r^skew. With 0 all are alike.
    pub skew: f64,
    /// The part of acknowledged purchases that are sent again, as by a buyer who lost the answer; 0 to 1.
    pub again: f64,
    /// Before the start, add copies until each book has this many; needs the admin token.
    pub stock: Option<u32>,
    /// Limits of time, retries and memory.
    pub limits: Limits,
}

impl Load {
    /// The longest run.
    pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
    /// The shortest one.
    const DURATION_MIN: Duration = Duration::from_millis(100);

    /// The shopping mix from 64 clients in a closed loop for ten seconds.
    #[must_use]
    pub fn on(target: Target) -> Self {
        Self {
            target,
            mix: Mix::Shopping,
            pace: Pace::Closed { clients: 64 },
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(2),
            seed: 1,
            // The default of YCSB.
            skew: 0.99,
            again: 0.01,
            stock: None,
            limits: Limits::default(),
        }
    }

    /// Checks the configuration; nothing is sent.
    ///
    /// # Errors
    /// [`LoadError::Invalid`]: a value is outside its limits, or something needs the admin token.
    pub fn check(&self) -> Result<(), LoadError> {
        let invalid = |why: String| Err(LoadError::Invalid(why));
        let clients = self.pace.clients();
        if !(1..=Pace::CLIENTS_MAX).contains(&clients) {
            return invalid(format!("there can be 1 to {} clients, not {clients}", Pace::CLIENTS_MAX));
        }
        if let Pace::Open { rate, .. } = self.pace
            && !(rate > 0.0 && rate <= Pace::RATE_MAX)
        {
            return invalid(format!(
                "a rate is more than 0 and at most {} requests a second, not {rate}",
                Pace::RATE_MAX
            ));
        }
        if !(Self::DURATION_MIN..=Self::DURATION_MAX).contains(&self.duration) || self.warmup > Self::DURATION_MAX {
            return invalid("a run takes from 100 ms to 24 hours, and so does its warm-up at most".into());
        }
        if !(0.0..=1.0).contains(&self.again) {
            return invalid(format!("the part of purchases that are sent again is from 0 to 1, not {}", self.again));
        }
        if !(0.0..=10.0).contains(&self.skew) {
            return invalid(format!("the skew is from 0 (all books alike) to 10, not {}", self.skew));
        }
        if let Mix::Chance(chance) = self.mix
            && !(0.0..=1.0).contains(&chance)
        {
            return invalid(format!("p is a chance from 0 to 1, not {chance}"));
        }
        if self.target.admin_token.is_none() && matches!(self.mix, Mix::Race(Prize::Copies(_))) {
            return invalid(
                "a race lists a book of its own, which needs the admin token; or race for a book that there is".into(),
            );
        }
        if self.target.admin_token.is_none() && self.stock.is_some() {
            return invalid("to add copies before the start needs the admin token".into());
        }
        Servers::new(&self.target, &self.limits).map(drop)
    }

    /// Runs the load, reads every order back and checks the promises. `progress` is called about five times a second.
    ///
    /// The orders, the restocked copies and the book of a race stay in the shop.
    ///
    /// # Errors
    /// The load could not begin, see [`LoadError`]. What goes wrong later is in the result.
    pub async fn run(&self, progress: &(dyn Fn(&Progress) + Sync), stop: &Stop) -> Result<LoadResult, LoadError> {
        self.run_between(std::future::ready(()), std::future::ready(()), progress, stop).await
    }

    /// As [`run`](Self::run); completes `before` right before the load and `after` right after it. Neither the preparation nor
    /// the check is in between.
    pub(crate) async fn run_between(
        &self,
        before: impl Future<Output = ()>,
        after: impl Future<Output = ()>,
        progress: &(dyn Fn(&Progress) + Sync),
        stop: &Stop,
    ) -> Result<LoadResult, LoadError> {
        self.check()?;
        let mut load = self.clone();
        if matches!(load.mix, Mix::Race(_)) {
            load.warmup = Duration::ZERO;
        }
        let servers = Arc::new(Servers::new(&load.target, &load.limits)?);
        let (started_at, ending, checked) = (SystemClock.now(), stop.first(), CheckProgress::default());
        let mut client = Client::new(Arc::clone(&servers), 0, load.seed);
        if servers.has_token() {
            check_token(&mut client).await?;
        }
        let catalogue = Catalogue::prepare(&load, &mut client, &ending).await?;
        let run = Arc::new(Run::new(load, catalogue, servers, ending));
        let mut reporter = Reporter::new(Arc::clone(&run), checked.clone(), progress);
        before.await;
        let completed = reporting(drive::drive(&run), || reporter.report()).await?;
        after.await;
        let ending = stop.next();
        let check = reporting(check::check(&run, &completed, &ending, &checked), || reporter.report()).await;
        Ok(LoadResult::of(&run, &completed, started_at, check))
    }
}

/// Fails if the shop refuses the admin token.
async fn check_token(client: &mut Client) -> Result<(), LoadError> {
    let ask = Ask::get(catalogue::path("/entries?after=0&limit=1")?).admin();
    match client.call_once(&ask).await.result {
        Err(failure) if failure.effect == client::Effect::Refused => {
            Err(LoadError::Refused { what: "use the admin token".into(), error: failure.error })
        }
        // Whether the shop answers at all is noticed next.
        _ => Ok(()),
    }
}

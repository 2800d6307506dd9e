//! Load on a running shop, over its public HTTP interface, and the proof afterwards that nothing was broken by it.
//!
//! Clients run in a closed loop (each asks, waits for the answer, asks again) or an open one (requests arrive at a fixed
//! rate, whether or not the shop keeps up). In the open loop latency counts from the moment when a request was *to be*
//! sent, so that a stall of the shop is seen in all the requests that it held up, not only in the one that met it.
//!
//! Every purchase has an order id, made once; an unknown outcome or a 503 is answered by sending the same request again.
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
mod check;
mod client;
pub mod connection;
mod drive;
mod error;
mod mix;
pub(crate) mod plot;
mod purchases;
mod record;
pub(crate) mod report;
mod result;
mod shelf;
mod stop;
mod tell;
pub(crate) mod text;
mod watch;

use bookstore_core::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use bookstore::AccessToken;
use client::{Ask, Client, Servers};
use drive::Run;
use shelf::Shelf;
use tell::{Teller, told};
use watch::Watch;

pub use check::{Check, PromiseCheck, Verdict};
pub use drive::Reason;
pub use error::LoadError;
pub use mix::{INTERACTIONS, Mix, Operation, Prize, Share};
pub use purchases::{Finding, Promise};
pub use result::{Latency, LoadResult, Moment, Numbers, OperationNumbers, RaceResult};
pub use shelf::BOOKS_MAX;
pub use stop::Stop;
pub use text::shown_us;
pub use watch::{Phase, Progress};

/// The shop that is loaded.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its frontends, `http://host:port`; clients are spread over them, and go to the next one when one fails.
    pub servers: Vec<String>,
    /// Its admin token: needed to list a book for a race, to restock, and to replay the ledger afterwards.
    pub admin_token: Option<AccessToken>,
}

/// How requests follow on one another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Pace {
    /// Each client asks, waits for the answer, and asks again.
    Closed {
        /// How many clients.
        clients: usize,
    },
    /// Requests arrive evenly at a rate, and the next free client takes them.
    Open {
        /// Requests a second.
        rate: f64,
        /// Clients, and so requests that can be under way at once.
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
    /// How long one try may take.
    pub attempt_timeout: Duration,
    /// How long a purchase is tried in all.
    pub timeout: Duration,
    /// Tries of it after the first one.
    pub retries_max: u32,
    /// Purchases that are remembered, each about 64 bytes: the load ends when there are so many.
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

/// A load: what, on whom, how fast and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// On whom.
    pub target: Target,
    /// What.
    pub mix: Mix,
    /// How fast.
    pub pace: Pace,
    /// How long it is measured, 100 ms to [`Load::DURATION_MAX`]; a race may be over earlier.
    pub duration: Duration,
    /// How long before that; a race has none.
    pub warmup: Duration,
    /// The same seed draws the same choices for each client; order ids are always new.
    pub seed: u64,
    /// How much more popular some books are: the book of rank r is chosen in proportion to 1 / r^skew. 0 is even.
    pub skew: f64,
    /// The part of acknowledged purchases that are sent once more, as by a buyer who lost the answer; 0 to 1.
    pub again: f64,
    /// See to it, before the start, that each book has so many copies; needs the admin token.
    pub stock: Option<u32>,
    /// What is too much.
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
            // As YCSB has it.
            skew: 0.99,
            again: 0.01,
            stock: None,
            limits: Limits::default(),
        }
    }

    /// Checks what can be checked before anything is sent.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] naming what is wrong.
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

    /// Runs it, reads every order back and checks the promises. `progress` is called about five times a second.
    ///
    /// The shop keeps what was bought, what was restocked, and the book of a race.
    ///
    /// # Errors
    /// Nothing could be started, see [`LoadError`]. Whatever goes wrong later is in the result.
    pub async fn run(&self, progress: &(dyn Fn(&Progress) + Sync), stop: &Stop) -> Result<LoadResult, LoadError> {
        self.run_between(std::future::ready(()), std::future::ready(()), progress, stop).await
    }

    /// Runs it, with something done right before and right after the load itself: neither what prepares it nor the check
    /// lies in between.
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
        let (started_at, ending, watch) = (SystemClock.now(), stop.first(), Watch::default());
        let mut client = Client::new(Arc::clone(&servers), 0, load.seed);
        if servers.has_token() {
            knock(&mut client).await?;
        }
        let shelf = Shelf::prepare(&load, &mut client, &ending).await?;
        let run = Arc::new(Run::new(load, shelf, servers, ending));
        let mut teller = Teller::new(Arc::clone(&run), watch.clone(), progress);
        before.await;
        let driven = told(drive::drive(&run), || teller.tell()).await?;
        after.await;
        let ending = stop.next();
        let check = told(check::check(&run, &driven, &ending, &watch), || teller.tell()).await;
        Ok(LoadResult::of(&run, &driven, started_at, check))
    }
}

/// Whether the admin token is the right one.
async fn knock(client: &mut Client) -> Result<(), LoadError> {
    let ask = Ask::get(shelf::path("/entries?after=0&limit=1")?).admin();
    match client.call_once(&ask).await.result {
        Err(failure) if failure.effect == client::Effect::Refused => {
            Err(LoadError::Refused { what: "use the admin token".into(), error: failure.error })
        }
        // Whether the shop answers at all is seen next.
        _ => Ok(()),
    }
}

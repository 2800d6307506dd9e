//! Reads every order back.

use bookstore_core::{Error, Order};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

use crate::load::{
    catalogue::path,
    client::{Ask, Client, Effect},
    drive::Run,
    progress::{CheckProgress, Phase},
    purchases::{Findings, Outcome, Promise, Purchase, as_json},
    stop::Ending,
};

/// Connections that read concurrently.
const READERS: usize = 32;

/// What was read back.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// Acknowledged orders that read exactly as they were acknowledged.
    pub(super) confirmed: u64,
    /// Indexes of the purchases of unknown outcome that are orders.
    pub(super) existing: Vec<usize>,
    /// Orders that could not be read.
    pub(super) unread: u64,
    /// Why not, unless the check was stopped.
    pub(super) error: Option<String>,
}

/// What all readers share.
struct Reader {
    purchases: Arc<Vec<Purchase>>,
    /// Whether refused purchases are looked up, too.
    refused: bool,
    timeout: Duration,
    findings: Arc<Findings>,
    ending: Ending,
    progress: CheckProgress,
    next: AtomicUsize,
    confirmed: AtomicU64,
    unread: AtomicU64,
    answered_at: Mutex<Instant>,
    error: Mutex<Option<String>>,
}

/// Reads back all orders that may exist, and, if `refused`, looks up those that must not.
pub(super) async fn read_back(
    run: &Run,
    purchases: &Arc<Vec<Purchase>>,
    refused: bool,
    ending: &Ending,
    progress: &CheckProgress,
) -> Readings {
    let reader = Arc::new(Reader {
        purchases: Arc::clone(purchases),
        refused,
        timeout: run.load.limits.timeout,
        findings: Arc::clone(&run.findings),
        ending: ending.clone(),
        progress: progress.clone(),
        next: AtomicUsize::new(0),
        confirmed: AtomicU64::new(0),
        unread: AtomicU64::new(0),
        answered_at: Mutex::new(Instant::now()),
        error: Mutex::default(),
    });
    let wanted = purchases.iter().filter(|purchase| reader.wants(purchase)).count();
    progress.enter(Phase::Orders, Some(wanted as u64));
    let mut tasks = JoinSet::new();
    for number in 0..READERS.min(wanted) {
        let client = Client::new(Arc::clone(&run.servers), number, run.load.seed);
        tasks.spawn(Arc::clone(&reader).read(client));
    }
    let existing = tasks.join_all().await.concat();
    let error = locked(&reader.error).clone();
    let (confirmed, unread) = (reader.confirmed.load(Ordering::Relaxed), reader.unread.load(Ordering::Relaxed));
    Readings { confirmed, existing, unread, error }
}

impl Reader {
    fn wants(&self, purchase: &Purchase) -> bool {
        self.refused || purchase.outcome != Outcome::NotSold
    }

    /// Whether no reader has had an answer for so long that the rest is given up.
    fn has_given_up(&self) -> bool {
        locked(&self.answered_at).elapsed() > self.timeout
    }

    /// One reader; returns the indexes of the purchases of unknown outcome that it found to be orders.
    async fn read(self: Arc<Self>, mut client: Client) -> Vec<usize> {
        let mut existing = Vec::new();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(purchase) = self.purchases.get(at) else { return existing };
            if !self.wants(purchase) {
                continue;
            }
            if self.ending.is_asked() || self.has_given_up() {
                self.unread.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match self.order(&mut client, purchase).await {
                Ok(found) => {
                    *locked(&self.answered_at) = Instant::now();
                    self.compare(purchase, found.as_ref());
                    if found.is_some() && purchase.outcome == Outcome::Unknown {
                        existing.push(at);
                    }
                }
                Err(why) => {
                    self.unread.fetch_add(1, Ordering::Relaxed);
                    *locked(&self.error) = Some(why);
                }
            }
            self.progress.done(1);
        }
    }

    /// The order of a purchase, if there is one.
    async fn order(&self, client: &mut Client, purchase: &Purchase) -> Result<Option<Order>, String> {
        let path = path(&format!("/orders/{}", purchase.id)).map_err(|error| error.to_string())?;
        let called = client.call(&Ask::get(path), self.timeout, &self.ending).await;
        match called.result {
            Ok(answer) => {
                let order = serde_json::from_slice(&answer.body);
                order.map(Some).map_err(|error| format!("an order cannot be read: {error}"))
            }
            Err(failure)
                if failure.effect == Effect::Refused && matches!(failure.error, Error::OrderNotFound { .. }) =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure.why()),
        }
    }

    fn compare(&self, purchase: &Purchase, found: Option<&Order>) {
        let id = purchase.id;
        match (purchase.order(), found) {
            (Some(answered), Some(found)) if answered == *found => {
                self.confirmed.fetch_add(1, Ordering::Relaxed);
            }
            (Some(answered), Some(found)) => {
                let what = format!("order {id} was answered as {}, but reads {}", as_json(&answered), as_json(found));
                self.findings.add(Promise::NeverLost, what);
            }
            (Some(answered), None) => {
                self.findings.add(
                    Promise::NeverLost,
                    format!("order {id} was acknowledged ({}), but there is no such order", as_json(&answered)),
                );
            }
            (None, Some(found)) if purchase.outcome == Outcome::NotSold => {
                self.findings.add(
                    Promise::NeverDouble,
                    format!("purchase {id} was refused, but there is an order: {}", as_json(found)),
                );
            }
            (None, Some(found)) if !purchase.asked_for(found) => {
                let what = format!(
                    "purchase {id} asked for a copy of book {}, but its order is {}",
                    purchase.book,
                    as_json(found)
                );
                self.findings.add(Promise::NeverDouble, what);
            }
            (None, _) => {}
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Reading every order back.

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
    client::{Ask, Client, Effect},
    drive::Run,
    purchases::{Findings, Promise, Purchase, Told, shown},
    shelf::path,
    stop::Ending,
    watch::{Phase, Watch},
};

/// Connections that read at once.
const READERS: usize = 32;

/// What reading back has shown.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// Acknowledged orders that are just as answered.
    pub(super) confirmed: u64,
    /// Places of those purchases without an answer that are orders now.
    pub(super) existing: Vec<usize>,
    /// Orders that could not be read.
    pub(super) unread: u64,
    /// Why, if it was not for the check being stopped.
    pub(super) trouble: Option<String>,
}

/// What is read, how far, and what all readers share.
struct Reader {
    purchases: Arc<Vec<Purchase>>,
    /// Whether those that were refused are looked for, too.
    refused: bool,
    timeout: Duration,
    findings: Arc<Findings>,
    ending: Ending,
    watch: Watch,
    next: AtomicUsize,
    confirmed: AtomicU64,
    unread: AtomicU64,
    answered_at: Mutex<Instant>,
    trouble: Mutex<Option<String>>,
}

/// Reads all orders back that may exist, and, if `refused`, those that must not.
pub(super) async fn read_back(
    run: &Run,
    purchases: &Arc<Vec<Purchase>>,
    refused: bool,
    ending: &Ending,
    watch: &Watch,
) -> Readings {
    let reader = Arc::new(Reader {
        purchases: Arc::clone(purchases),
        refused,
        timeout: run.load.limits.timeout,
        findings: Arc::clone(&run.findings),
        ending: ending.clone(),
        watch: watch.clone(),
        next: AtomicUsize::new(0),
        confirmed: AtomicU64::new(0),
        unread: AtomicU64::new(0),
        answered_at: Mutex::new(Instant::now()),
        trouble: Mutex::default(),
    });
    let wanted = purchases.iter().filter(|purchase| reader.wants(purchase)).count();
    watch.enter(Phase::Orders, Some(wanted as u64));
    let mut tasks = JoinSet::new();
    for number in 0..READERS.min(wanted) {
        let client = Client::new(Arc::clone(&run.servers), number, run.load.seed);
        tasks.spawn(Arc::clone(&reader).read(client));
    }
    let existing = tasks.join_all().await.concat();
    let trouble = locked(&reader.trouble).clone();
    let (confirmed, unread) = (reader.confirmed.load(Ordering::Relaxed), reader.unread.load(Ordering::Relaxed));
    Readings { confirmed, existing, unread, trouble }
}

impl Reader {
    fn wants(&self, purchase: &Purchase) -> bool {
        self.refused || purchase.told != Told::NotSold
    }

    /// Whether nobody has got an answer for so long that there is no use in going on.
    fn is_hopeless(&self) -> bool {
        locked(&self.answered_at).elapsed() > self.timeout
    }

    /// One reader; the places of those purchases that it found to be orders against expectation.
    async fn read(self: Arc<Self>, mut client: Client) -> Vec<usize> {
        let mut existing = Vec::new();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(purchase) = self.purchases.get(at) else { return existing };
            if !self.wants(purchase) {
                continue;
            }
            if self.ending.is_asked() || self.is_hopeless() {
                self.unread.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match self.order(&mut client, purchase).await {
                Ok(found) => {
                    *locked(&self.answered_at) = Instant::now();
                    self.compare(purchase, found.as_ref());
                    if found.is_some() && purchase.told == Told::Nothing {
                        existing.push(at);
                    }
                }
                Err(why) => {
                    self.unread.fetch_add(1, Ordering::Relaxed);
                    *locked(&self.trouble) = Some(why);
                }
            }
            self.watch.done(1);
        }
    }

    /// The order of a purchase as the shop shows it, if there is one.
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
                let what = format!("order {id} was answered as {}, but reads {}", shown(&answered), shown(found));
                self.findings.add(Promise::NeverLost, what);
            }
            (Some(answered), None) => {
                self.findings.add(
                    Promise::NeverLost,
                    format!("order {id} was acknowledged ({}), but there is no such order", shown(&answered)),
                );
            }
            (None, Some(found)) if purchase.told == Told::NotSold => {
                self.findings.add(
                    Promise::NeverDouble,
                    format!("purchase {id} was refused, but there is an order: {}", shown(found)),
                );
            }
            (None, Some(found)) if !purchase.asked_for(found) => {
                let what = format!(
                    "purchase {id} asked for a copy of book {}, but its order is {}",
                    purchase.book,
                    shown(found)
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

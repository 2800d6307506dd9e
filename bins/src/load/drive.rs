//! The load itself: clients in a closed loop, or arrivals at a fixed rate.

use bookstore_core::{Clock as _, Order, OrderId, SystemClock};
use hyper::header::HeaderName;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
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
    client::{Ask, Called, Client, Effect, Servers},
    mix::{Operation, Share},
    purchases::{Findings, Promise, Purchase, Told},
    record::{Ended, Event, Recorder},
    shelf::{Shelf, Standing, path},
    stop::Ending,
};

/// Connections that are made at once before the start.
const CONNECTING_MAX: usize = 256;
/// Orders that order inquiries choose from.
const RECENT_MAX: usize = 1024;
/// The longest pause of a client in a closed loop whose last request failed.
const PAUSE_MAX: Duration = Duration::from_secs(1);
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Why a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its time was over.
    Time,
    /// The book of the race is sold out.
    SoldOut,
    /// Somebody stopped it.
    Stopped,
    /// No more purchases can be remembered.
    PurchasesMax,
}

/// What all clients share.
pub(super) struct Run {
    pub(super) load: Load,
    pub(super) shelf: Shelf,
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
    /// Purchases that were sent again and answered alike.
    again: AtomicU64,
    recent: Mutex<Vec<OrderId>>,
}

/// What a load was, when it is over.
pub(super) struct Driven {
    /// Sorted by id.
    pub(super) purchases: Arc<Vec<Purchase>>,
    /// How many of them were sent again and answered alike.
    pub(super) again: u64,
    pub(super) reason: Reason,
    /// From the start to the end, warm-up included.
    pub(super) took: Duration,
    /// From the start to the last acknowledged purchase.
    pub(super) last_sale: Option<Duration>,
    /// Arrivals for which there was never a free client.
    pub(super) not_started: u64,
}

impl Run {
    pub(super) fn new(load: Load, shelf: Shelf, servers: Arc<Servers>, ending: Ending) -> Self {
        let shares = load.mix.shares(servers.has_token());
        Self {
            load,
            shelf,
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

    /// How long it has been going on; `None` before the start.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.started.get().map(Instant::elapsed)
    }

    fn planned(&self) -> Duration {
        self.load.warmup + self.load.duration
    }

    fn end(&self, reason: Reason) {
        if self.ended.set((reason, Instant::now())).is_ok() {
            self.arrivals.close();
        }
    }

    /// Whether no more operations are to begin.
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

    /// When the next operation is to begin; `None` when it is over.
    async fn turn(&self, started: Instant) -> Option<Instant> {
        loop {
            if self.is_over(started) {
                return None;
            }
            let Pace::Open { rate, .. } = self.load.pace else { return Some(Instant::now()) };
            self.arrivals.acquire().await.ok()?.forget();
            let intended = due_at(self.taken.fetch_add(1, Ordering::Relaxed), rate);
            // What the warm-up has left undone must not be carried into what is measured.
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

/// Lets arrivals in at their times, on a thread of its own: a runtime's timers are too coarse.
fn admit(run: &Run, started: Instant, rate: f64) {
    let total = due_by(run.planned(), rate) - 1;
    let mut admitted = 0;
    while admitted < total && !run.is_over(started) {
        let ahead = (started + due_at(admitted, rate)).saturating_duration_since(Instant::now());
        // Never so long that a stop would have to wait.
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

/// How long after the planned end arrivals may still find a client.
const GRACE: Duration = Duration::from_millis(100);

/// Runs the load to its end.
pub(super) async fn drive(run: &Arc<Run>) -> Result<Driven, LoadError> {
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
    Ok(Driven {
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
    // First all clients have tried to connect, then they start together.
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

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Read(Operation, usize),
    Purchase(usize),
    Order(OrderId),
    Restock(usize),
}

/// One client with its own choices.
struct Buyer {
    run: Arc<Run>,
    number: usize,
    client: Client,
    rng: StdRng,
    /// A book that was looked at and is bought next.
    wanted: Option<usize>,
    purchases: Vec<Purchase>,
    last_sale: Option<Instant>,
    pause: Duration,
}

impl Buyer {
    fn new(run: Arc<Run>, number: usize) -> Self {
        let seed = run.load.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let client = Client::new(Arc::clone(&run.servers), number, seed);
        let rng = StdRng::seed_from_u64(seed);
        Self { run, number, client, rng, wanted: None, purchases: Vec::new(), last_sale: None, pause: Duration::ZERO }
    }

    async fn run(mut self, ready: Arc<Barrier>, connecting: Arc<Semaphore>) -> (Vec<Purchase>, Option<Duration>) {
        {
            // Never closed: without a place it would just be one connection more at once.
            let _place = connecting.acquire().await;
            self.client.connect().await;
        }
        ready.wait().await;
        ready.wait().await;
        let started = *self.run.started.get_or_init(Instant::now);
        while let Some(intended) = self.run.turn(started).await {
            let step = self.next();
            let ended = self.step(step, intended).await;
            self.rest(ended).await;
        }
        (self.purchases, self.last_sale.map(|at| at.saturating_duration_since(started)))
    }

    /// Draws what to do.
    fn next(&mut self) -> Step {
        if let Some(book) = self.wanted.take() {
            return Step::Purchase(book);
        }
        let shelf = &self.run.shelf;
        let mut drawn = self.rng.random_range(0.0..100.0);
        let share = self.run.shares.iter().find(|share| {
            drawn -= share.percent;
            drawn < 0.0
        });
        let any = |asks: &[Ask], rng: &mut StdRng| (!asks.is_empty()).then(|| rng.random_range(0..asks.len()));
        let operation = share.map_or(Operation::Book, |share| share.operation);
        let step = match operation {
            Operation::Topics => Some(Step::Read(operation, 0)),
            Operation::SearchTopic => any(&shelf.by_topic, &mut self.rng).map(|at| Step::Read(operation, at)),
            Operation::SearchWords => any(&shelf.by_words, &mut self.rng).map(|at| Step::Read(operation, at)),
            Operation::Purchase => Some(Step::Purchase(shelf.pick(&mut self.rng))),
            Operation::Restock => Some(Step::Restock(shelf.pick(&mut self.rng))),
            Operation::Order => {
                let recent = self.run.recent.lock().unwrap_or_else(PoisonError::into_inner);
                (!recent.is_empty()).then(|| Step::Order(recent[self.rng.random_range(0..recent.len())]))
            }
            Operation::Book | Operation::PurchaseAgain => None,
        };
        step.unwrap_or_else(|| Step::Read(Operation::Book, self.run.shelf.pick(&mut self.rng)))
    }

    async fn step(&mut self, step: Step, intended: Instant) -> Ended {
        match step {
            Step::Read(operation, at) => self.read(operation, at, intended).await,
            Step::Purchase(book) => self.purchase(book, intended).await,
            Step::Order(id) => self.inquire(id, intended).await,
            Step::Restock(book) => self.restock(book, intended).await,
        }
    }

    fn record(&self, operation: Operation, intended: Instant, began: Instant, called: &Called) -> Ended {
        let ended = match &called.result {
            Ok(_) => Ended::Succeeded,
            Err(failure) if failure.effect == Effect::Refused => Ended::Refused(failure.kind),
            Err(failure) => Ended::Failed(failure.kind),
        };
        self.record_as(ended, operation, intended, began, called.attempts)
    }

    fn record_as(&self, ended: Ended, operation: Operation, intended: Instant, began: Instant, attempts: u32) -> Ended {
        let event = Event { operation, intended, began, ended_at: Instant::now(), attempts, ended };
        if let Some(recorder) = self.run.recorder.get() {
            recorder.record(self.number, &event);
        }
        ended
    }

    async fn read(&mut self, operation: Operation, at: usize, intended: Instant) -> Ended {
        let (run, began) = (Arc::clone(&self.run), Instant::now());
        let ask = match operation {
            Operation::Topics => &run.shelf.topics,
            Operation::SearchTopic => &run.shelf.by_topic[at],
            Operation::SearchWords => &run.shelf.by_words[at],
            _ => &run.shelf.books[at].info,
        };
        let called = self.client.call_once(ask).await;
        if let (Operation::Book, Ok(answer)) = (operation, &called.result) {
            let book = &run.shelf.books[at];
            match serde_json::from_slice::<Standing>(&answer.body).ok().filter(|standing| standing.id == book.id) {
                Some(standing) => self.saw(at, standing.stock),
                None => return self.record_as(Ended::Failed("unreadable-answer"), operation, intended, began, 1),
            }
        }
        self.record(operation, intended, began, &called)
    }

    fn saw(&mut self, book: usize, stock: i64) {
        if stock < 0 {
            let id = self.run.shelf.books[book].id;
            self.run.findings.add(Promise::NeverOversold, format!("book {id} was shown with a stock of {stock}"));
        }
        if let Mix::Chance(chance) = self.run.load.mix
            && stock > 0
            && self.rng.random_bool(chance)
        {
            self.wanted = Some(book);
        }
    }

    async fn inquire(&mut self, id: OrderId, intended: Instant) -> Ended {
        let began = Instant::now();
        let Ok(path) = path(&format!("/orders/{id}")) else { return Ended::Failed("malformed") };
        let called = self.client.call_once(&Ask::get(path)).await;
        if let Err(failure) = &called.result
            && failure.effect == Effect::Refused
        {
            let what = format!("order {id} had been acknowledged, but a moment later the answer was {}", failure.kind);
            self.run.findings.add(Promise::NeverLost, what);
        }
        self.record(Operation::Order, intended, began, &called)
    }

    async fn restock(&mut self, book: usize, intended: Instant) -> Ended {
        let began = Instant::now();
        let ask = self.run.shelf.books[book].restock.clone().once(SystemClock.new_order_id());
        let called = self.client.call(&ask, self.run.load.limits.patience, &self.run.ending).await;
        self.record(Operation::Restock, intended, began, &called)
    }

    async fn purchase(&mut self, book: usize, intended: Instant) -> Ended {
        if self.run.purchases.fetch_add(1, Ordering::Relaxed) >= self.run.load.limits.purchases_max {
            self.run.end(Reason::PurchasesMax);
            return Ended::Refused("not-asked");
        }
        let (id, book) = (SystemClock.new_order_id(), &self.run.shelf.books[book]);
        let (ask, book) = (book.purchase.clone().once(id), book.id);
        let began = Instant::now();
        let called = self.client.call(&ask, self.run.load.limits.patience, &self.run.ending).await;
        let (told, ended) = self.told(id, book, &called);
        let ended = self.record_as(ended, Operation::Purchase, intended, began, called.attempts);
        let client = u32::try_from(self.number).unwrap_or(u32::MAX);
        let purchase = Purchase { id, book, client, told };
        self.purchases.push(purchase);
        if let Some(order) = purchase.order() {
            self.last_sale = Some(Instant::now());
            self.remember(id);
            if self.rng.random_bool(self.run.load.again) {
                self.purchase_again(&ask, &order).await;
            }
        }
        if matches!(self.run.load.mix, Mix::Race(_)) && ended == Ended::Refused("out-of-stock") {
            self.run.end(Reason::SoldOut);
        }
        ended
    }

    /// What an answer says, and whether it is one to the question.
    fn told(&self, id: OrderId, book: bookstore_core::BookId, called: &Called) -> (Told, Ended) {
        let answer = match &called.result {
            Ok(answer) => answer,
            Err(failure) => match failure.effect {
                Effect::Refused => return (Told::NotSold, Ended::Refused(failure.kind)),
                Effect::NotExecuted => return (Told::NotSold, Ended::Failed(failure.kind)),
                Effect::Unknown => return (Told::Nothing, Ended::Failed(failure.kind)),
            },
        };
        let Ok(order) = serde_json::from_slice::<Order>(&answer.body) else {
            return (Told::Nothing, Ended::Failed("unreadable-answer"));
        };
        match Purchase::told_by(id, book, &order) {
            Some(told) => (told, Ended::Succeeded),
            None => {
                let what = format!(
                    "purchase {id} of a copy of book {book} was answered with another order: {}",
                    shown(&order)
                );
                self.run.findings.add(Promise::NeverDouble, what);
                (Told::Nothing, Ended::Failed("wrong-answer"))
            }
        }
    }

    /// Sends an acknowledged purchase again, as somebody does who lost the answer.
    async fn purchase_again(&mut self, ask: &Ask, order: &Order) {
        let began = Instant::now();
        let called = self.client.call(ask, self.run.load.limits.patience, &self.run.ending).await;
        let id = order.id;
        let broken = match &called.result {
            Ok(answer) => match serde_json::from_slice::<Order>(&answer.body) {
                Ok(again) if again != *order => {
                    Some(format!("purchase {id} has two answers: {} and, sent again, {}", shown(order), shown(&again)))
                }
                Ok(_) if answer.head.headers.get(REPLAYED).is_none() => {
                    Some(format!("purchase {id} was sent again and answered as a new one, not as a replay"))
                }
                Ok(_) => {
                    self.run.again.fetch_add(1, Ordering::Relaxed);
                    None
                }
                Err(_) => Some(format!("purchase {id} was sent again, and the answer is not an order")),
            },
            Err(failure) if failure.effect == Effect::Refused => {
                Some(format!("purchase {id} was acknowledged, but sent again it was refused: {}", failure.error))
            }
            Err(_) => None,
        };
        if let Some(what) = broken {
            self.run.findings.add(Promise::NeverDouble, what);
        }
        self.record(Operation::PurchaseAgain, began, began, &called);
    }

    /// For order inquiries.
    fn remember(&mut self, id: OrderId) {
        if !self.run.shares.iter().any(|share| share.operation == Operation::Order) {
            return;
        }
        let mut recent = self.run.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() < RECENT_MAX {
            recent.push(id);
        } else {
            recent[self.rng.random_range(0..RECENT_MAX)] = id;
        }
    }

    /// In a closed loop, whoever got no answer waits a little: a dead server must not be asked as fast as possible.
    async fn rest(&mut self, ended: Ended) {
        if !matches!(ended, Ended::Failed(_)) {
            self.pause = Duration::from_millis(10);
        } else if matches!(self.run.load.pace, Pace::Closed { .. }) {
            self.pause = (self.pause * 2).clamp(Duration::from_millis(20), PAUSE_MAX);
            let pause = self.client.jitter(self.pause);
            self.run.ending.sleep(pause).await;
        }
    }
}

/// An order in a line.
pub(super) fn shown(order: &Order) -> String {
    serde_json::to_string(order).unwrap_or_else(|_| format!("order {}", order.id))
}

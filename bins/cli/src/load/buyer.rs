//! One client: chooses operations, sends them, records how they end, and remembers its purchases.

use bookstore_core::{BookId, Clock as _, Order, OrderId, SystemClock};
use hyper::header::HeaderName;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Barrier, Semaphore};

use super::{
    Mix, Pace, Reason,
    catalogue::{ShownBook, path},
    client::{Ask, Called, Client, Effect},
    drive::Run,
    mix::Operation,
    purchases::{Outcome, Promise, Purchase, as_json},
    record::{Ended, Event},
};

/// The shortest and the longest pause of a client in a closed loop whose last request failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The next operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Read(Operation, usize),
    Purchase(usize),
    Order(OrderId),
    Restock(usize),
}

/// One client, with random choices of its own.
pub(super) struct Buyer {
    run: Arc<Run>,
    number: usize,
    client: Client,
    rng: StdRng,
    /// A book that was looked at and will be bought next.
    wanted: Option<usize>,
    purchases: Vec<Purchase>,
    last_sale: Option<Instant>,
    pause: Duration,
}

impl Buyer {
    /// The client with this number, from 0.
    pub(super) fn new(run: Arc<Run>, number: usize) -> Self {
        let seed = run.load.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let client = Client::new(Arc::clone(&run.servers), number, seed);
        let rng = StdRng::seed_from_u64(seed);
        Self { run, number, client, rng, wanted: None, purchases: Vec::new(), last_sale: None, pause: PAUSE.0 }
    }

    /// Connects, waits for the start, and runs operations until the end. Returns its purchases, and when the last one was
    /// acknowledged.
    pub(super) async fn run(
        mut self,
        ready: Arc<Barrier>,
        connecting: Arc<Semaphore>,
    ) -> (Vec<Purchase>, Option<Duration>) {
        {
            // The semaphore is never closed; if it were, more connections would be opened at once.
            let _place = connecting.acquire().await;
            self.client.connect().await;
        }
        ready.wait().await;
        ready.wait().await;
        let started = self.run.started();
        while let Some(intended) = self.run.turn(started).await {
            let step = self.next();
            let ended = self.step(step, intended).await;
            self.pause_after(ended).await;
        }
        (self.purchases, self.last_sale.map(|at| at.saturating_duration_since(started)))
    }

    /// Draws the next operation.
    fn next(&mut self) -> Step {
        if let Some(book) = self.wanted.take() {
            return Step::Purchase(book);
        }
        let catalogue = &self.run.catalogue;
        let mut drawn = self.rng.random_range(0.0..100.0);
        let share = self.run.shares.iter().find(|share| {
            drawn -= share.percent;
            drawn < 0.0
        });
        let any = |asks: &[Ask], rng: &mut StdRng| (!asks.is_empty()).then(|| rng.random_range(0..asks.len()));
        let operation = share.map_or(Operation::Book, |share| share.operation);
        let step = match operation {
            Operation::Topics => Some(Step::Read(operation, 0)),
            Operation::SearchTopic => any(&catalogue.by_topic, &mut self.rng).map(|at| Step::Read(operation, at)),
            Operation::SearchWords => any(&catalogue.by_words, &mut self.rng).map(|at| Step::Read(operation, at)),
            Operation::Purchase => Some(Step::Purchase(catalogue.pick(&mut self.rng))),
            Operation::Restock => Some(Step::Restock(catalogue.pick(&mut self.rng))),
            Operation::Order => self.run.recent_order(&mut self.rng).map(Step::Order),
            Operation::Book | Operation::PurchaseAgain => None,
        };
        step.unwrap_or_else(|| Step::Read(Operation::Book, self.run.catalogue.pick(&mut self.rng)))
    }

    async fn step(&mut self, step: Step, intended: Instant) -> Ended {
        match step {
            Step::Read(operation, at) => self.read(operation, at, intended).await,
            Step::Purchase(book) => self.purchase(book, intended).await,
            Step::Order(id) => self.read_order(id, intended).await,
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
            Operation::Topics => &run.catalogue.topics,
            Operation::SearchTopic => &run.catalogue.by_topic[at],
            Operation::SearchWords => &run.catalogue.by_words[at],
            _ => &run.catalogue.books[at].info,
        };
        let called = self.client.call_once(ask).await;
        if let (Operation::Book, Ok(answer)) = (operation, &called.result) {
            let book = &run.catalogue.books[at];
            match serde_json::from_slice::<ShownBook>(&answer.body).ok().filter(|shown| shown.id == book.id) {
                Some(shown) => self.looked_at(at, shown.stock),
                None => return self.record_as(Ended::Failed("unreadable-answer"), operation, intended, began, 1),
            }
        }
        self.record(operation, intended, began, &called)
    }

    fn looked_at(&mut self, book: usize, stock: i64) {
        if stock < 0 {
            let id = self.run.catalogue.books[book].id;
            self.run.findings.add(Promise::NeverOversold, format!("book {id} was shown with a stock of {stock}"));
        }
        if let Mix::Chance(chance) = self.run.load.mix
            && stock > 0
            && self.rng.random_bool(chance)
        {
            self.wanted = Some(book);
        }
    }

    async fn read_order(&mut self, id: OrderId, intended: Instant) -> Ended {
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
        let ask = self.run.catalogue.books[book].restock.clone().once(SystemClock.new_order_id());
        let called = self.client.call(&ask, self.run.load.limits.timeout, &self.run.ending).await;
        self.record(Operation::Restock, intended, began, &called)
    }

    async fn purchase(&mut self, book: usize, intended: Instant) -> Ended {
        if !self.run.may_purchase() {
            return Ended::Refused("not-asked");
        }
        let (id, book) = (SystemClock.new_order_id(), &self.run.catalogue.books[book]);
        let (ask, book) = (book.purchase.clone().once(id), book.id);
        let began = Instant::now();
        let called = self.client.call(&ask, self.run.load.limits.timeout, &self.run.ending).await;
        let (outcome, ended) = self.outcome(id, book, &called);
        let ended = self.record_as(ended, Operation::Purchase, intended, began, called.attempts);
        let client = u32::try_from(self.number).unwrap_or(u32::MAX);
        let purchase = Purchase { id, book, client, outcome };
        self.purchases.push(purchase);
        if let Some(order) = purchase.order() {
            self.last_sale = Some(Instant::now());
            self.run.remember(id, &mut self.rng);
            if self.rng.random_bool(self.run.load.again) {
                self.purchase_again(&ask, &order).await;
            }
        }
        if matches!(self.run.load.mix, Mix::Race(_)) && ended == Ended::Refused("out-of-stock") {
            self.run.end(Reason::SoldOut);
        }
        ended
    }

    /// The outcome of a purchase, and how the operation ended. An answer to another purchase is a finding.
    fn outcome(&self, id: OrderId, book: BookId, called: &Called) -> (Outcome, Ended) {
        let answer = match &called.result {
            Ok(answer) => answer,
            Err(failure) => match failure.effect {
                Effect::Refused => return (Outcome::NotSold, Ended::Refused(failure.kind)),
                Effect::NotExecuted => return (Outcome::NotSold, Ended::Failed(failure.kind)),
                Effect::Unknown => return (Outcome::Unknown, Ended::Failed(failure.kind)),
            },
        };
        let Ok(order) = serde_json::from_slice::<Order>(&answer.body) else {
            return (Outcome::Unknown, Ended::Failed("unreadable-answer"));
        };
        match Purchase::acknowledged(id, book, &order) {
            Some(outcome) => (outcome, Ended::Succeeded),
            None => {
                let what = format!(
                    "purchase {id} of a copy of book {book} was answered with another order: {}",
                    as_json(&order)
                );
                self.run.findings.add(Promise::NeverDouble, what);
                (Outcome::Unknown, Ended::Failed("wrong-answer"))
            }
        }
    }

    /// Sends an acknowledged purchase again, like a buyer who lost the answer.
    async fn purchase_again(&mut self, ask: &Ask, order: &Order) {
        let began = Instant::now();
        let called = self.client.call(ask, self.run.load.limits.timeout, &self.run.ending).await;
        let id = order.id;
        let broken = match &called.result {
            Ok(answer) => match serde_json::from_slice::<Order>(&answer.body) {
                Ok(again) if again != *order => Some(format!(
                    "purchase {id} has two answers: {} and, sent again, {}",
                    as_json(order),
                    as_json(&again)
                )),
                Ok(_) if answer.head.headers.get(REPLAYED).is_none() => {
                    Some(format!("purchase {id} was sent again and answered as a new one, not as a replay"))
                }
                Ok(_) => {
                    self.run.answered_again();
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

    /// In a closed loop, pauses after a failure: a dead server must not be sent requests as fast as possible.
    async fn pause_after(&mut self, ended: Ended) {
        if !matches!(ended, Ended::Failed(_)) {
            self.pause = PAUSE.0;
        } else if matches!(self.run.load.pace, Pace::Closed { .. }) {
            let pause = self.client.jitter(self.pause);
            self.run.ending.sleep(pause).await;
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
    }
}

//! A bad network, reproducibly: the same seed and the same calls meet the same faults.

use async_trait::async_trait;
use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, CatalogService, Entries, Error, Lines, NewBook, Order, OrderId, OrderPage,
    OrderQuery, OrderService, Query, Receipt, Result, Seq, Topic,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::watch;

/// How often each fault strikes: shares of all calls, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Refused, and said so.
    pub overloaded: f64,
    /// Never arrives; the caller cannot know.
    pub request_lost: f64,
    /// Executed, but the answer never arrives.
    pub reply_lost: f64,
    /// A call that may be sent again arrives again, after a delay.
    pub duplicated: f64,
    /// Arrives late.
    pub delayed: f64,
    /// The longest delay, and how long a lost message is waited for.
    pub delay_max: Duration,
}

impl Rates {
    /// Every fault that this can inject at the rate `rate`.
    #[must_use]
    pub fn all(rate: f64, delay_max: Duration) -> Self {
        Self { overloaded: rate, request_lost: rate, reply_lost: rate, duplicated: rate, delayed: rate, delay_max }
    }
}

/// How often each fault struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// All calls, struck or not.
    pub calls: u64,
    /// Refused as overloaded.
    pub overloaded: u64,
    /// Requests that never arrived.
    pub requests_lost: u64,
    /// Answers that never arrived.
    pub replies_lost: u64,
    /// Calls that arrived twice.
    pub duplicated: u64,
    /// Calls that arrived late.
    pub delayed: u64,
}

/// A service behind a bad network.
///
/// A lost message of a call that may have an effect is an [`Error::OutcomeUnknown`] to its caller, one of a read an
/// [`Error::Unavailable`]. Only calls that may be sent again are duplicated: those with a key, and listings.
pub struct Faulty<S: ?Sized> {
    service: Arc<S>,
    dice: Mutex<Dice>,
    /// Duplicates on their way.
    under_way: Arc<watch::Sender<usize>>,
}

struct Dice {
    rng: StdRng,
    rates: Rates,
    faults: Faults,
}

/// What one call meets.
#[derive(Clone, Copy, Debug)]
struct Fate {
    fault: Option<Fault>,
    /// How long until it arrives.
    delay: Duration,
    /// How long after its answer it arrives again.
    again: Option<Duration>,
    /// How long the caller waits for what is lost.
    patience: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Overloaded,
    RequestLost,
    ReplyLost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// None.
    Read,
    /// At most once if sent once.
    Once,
    /// Once, however often it is sent.
    Keyed,
}

impl Dice {
    /// As many draws for every call, so that one call's fate does not shift the others'.
    fn roll(&mut self, effect: Effect) -> Fate {
        let (fault, duplicated, delayed) = (self.rng.random(), self.rng.random::<f64>(), self.rng.random::<f64>());
        let (delay, again): (f64, f64) = (self.rng.random(), self.rng.random());
        let Rates { delay_max, .. } = self.rates;
        self.faults.calls += 1;
        let fault = self.fault(fault);
        let arrives = !matches!(fault, Some(Fault::Overloaded | Fault::RequestLost));
        let delayed = arrives && delayed < self.rates.delayed;
        let duplicated = arrives && effect == Effect::Keyed && duplicated < self.rates.duplicated;
        self.faults.delayed += u64::from(delayed);
        self.faults.duplicated += u64::from(duplicated);
        Fate {
            fault,
            delay: if delayed { delay_max.mul_f64(delay) } else { Duration::ZERO },
            again: duplicated.then(|| delay_max.mul_f64(again)),
            patience: delay_max,
        }
    }

    /// At most one of the faults that exclude each other, from a number between 0 and 1.
    fn fault(&mut self, drawn: f64) -> Option<Fault> {
        let Rates { overloaded, request_lost, reply_lost, .. } = self.rates;
        let (count, fault) = if drawn < overloaded {
            (&mut self.faults.overloaded, Fault::Overloaded)
        } else if drawn < overloaded + request_lost {
            (&mut self.faults.requests_lost, Fault::RequestLost)
        } else if drawn < overloaded + request_lost + reply_lost {
            (&mut self.faults.replies_lost, Fault::ReplyLost)
        } else {
            return None;
        };
        *count += 1;
        Some(fault)
    }
}

impl<S: ?Sized> Faulty<S> {
    /// Puts `service` behind a network whose faults come from `seed`.
    #[must_use]
    pub fn new(service: Arc<S>, rates: Rates, seed: u64) -> Self {
        let dice = Dice { rng: StdRng::seed_from_u64(seed), rates, faults: Faults::default() };
        Self { service, dice: Mutex::new(dice), under_way: Arc::default() }
    }

    /// Waits until every duplicate has arrived and has been executed.
    pub async fn settled(&self) {
        // The sender is alive: this cannot fail.
        let _ = self.under_way.subscribe().wait_for(|under_way| *under_way == 0).await;
    }

    /// Changes the rates from the next call on; [`Rates::default`] heals the network.
    pub fn set_rates(&self, rates: Rates) {
        self.dice().rates = rates;
    }

    /// What has struck so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.dice().faults
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().expect("nobody panics with the dice")
    }

    /// Makes a call meet its fate; `call` makes the request, and makes it anew if it arrives twice.
    async fn call<T, F>(&self, effect: Effect, call: impl Fn(Arc<S>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.message(effect, call, turned_away).await
    }

    /// Makes a message with many calls meet its fate.
    async fn many<T, F>(&self, calls: usize, call: impl Fn(Arc<S>) -> F) -> Vec<Result<T>>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<Vec<Result<T>>>> + Send + 'static,
    {
        let any = |answers: &Result<Vec<Result<T>>>| answers.iter().flatten().any(turned_away);
        self.message(Effect::Keyed, call, any).await.unwrap_or_else(|error| vec![Err(error); calls])
    }

    async fn message<T, F>(
        &self,
        effect: Effect,
        call: impl Fn(Arc<S>) -> F,
        turned_away: impl Fn(&Result<T>) -> bool,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let fate = self.dice().roll(effect);
        match fate.fault {
            Some(Fault::Overloaded) => return Err(Error::overloaded("by an injected fault")),
            Some(Fault::RequestLost) => {
                pause(fate.patience).await;
                return Err(lost(effect));
            }
            Some(Fault::ReplyLost) | None => {}
        }
        pause(fate.delay).await;
        let answer = call(Arc::clone(&self.service)).await;
        // What never arrived, or was turned away at the door, does not arrive again.
        if let Some(delay) = fate.again.filter(|_| !turned_away(&answer)) {
            let (again, under_way) = (call(Arc::clone(&self.service)), Arc::clone(&self.under_way));
            under_way.send_modify(|count| *count += 1);
            tokio::spawn(async move {
                pause(delay).await;
                // Nobody waits for the answer of a duplicate.
                drop(again.await);
                under_way.send_modify(|count| *count -= 1);
            });
        }
        if matches!(fate.fault, Some(Fault::ReplyLost)) {
            pause(fate.patience).await;
            return Err(lost(effect));
        }
        answer
    }
}

impl<S: ?Sized> std::fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty").field("faults", &self.faults()).finish_non_exhaustive()
    }
}

fn turned_away<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unavailable { .. } | Error::Overloaded { .. } | Error::DeadlineExpired { .. }))
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

fn lost(effect: Effect) -> Error {
    match effect {
        Effect::Read => Error::unavailable("an injected fault lost a message"),
        Effect::Once | Effect::Keyed => Error::unknown("an injected fault lost a message"),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized + 'static> CatalogService for Faulty<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.search(query).await }
        })
        .await
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.call(Effect::Read, |service| async move { service.topics().await }).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.call(Effect::Read, |service| async move { service.info(book).await }).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let lines = lines.clone();
            async move { service.sell(order, lines).await }
        })
        .await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        self.many(sales.len(), |service| {
            let sales = sales.clone();
            async move { Ok(service.sell_many(sales).await) }
        })
        .await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| async move { service.release(order).await }).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Once };
        self.call(effect, |service| async move { service.amend(book, change, key).await }).await
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        self.call(Effect::Keyed, |service| {
            let books = books.clone();
            async move { service.add_books(books).await }
        })
        .await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.call(Effect::Read, |service| async move { service.entries(after, limit, wait).await }).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.call(Effect::Read, |service| async move { service.find_order(order).await }).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized + 'static> OrderService for Faulty<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let lines = lines.clone();
            async move { service.purchase(id, lines).await }
        })
        .await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        self.many(purchases.len(), |service| {
            let purchases = purchases.clone();
            async move { Ok(service.purchase_many(purchases).await) }
        })
        .await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| async move { service.cancel(id).await }).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.call(Effect::Read, |service| async move { service.order(id).await }).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.orders(query).await }
        })
        .await
    }
}

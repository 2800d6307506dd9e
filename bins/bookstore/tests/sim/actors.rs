//! The actors: buyers, a restocker, a canceller, readers and an auditor, all at random.

use bookstore_core::{
    Amend, BookId, Clock as _, Error, Executed, Line, Lines, OrderAction, OrderId, Query, Result, Seq,
    audit::Audit,
    fixtures::{self, cents},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{sync::Arc, time::Duration};

use super::{
    bugs::Bug,
    caller::{Caller, Routes, follow},
    coverage::Seen,
    hosts::{Host, now},
    world::{Shared, SimClock},
};

/// A call with a key: an actor may make it again.
pub(super) enum KeyedCall {
    Purchase(OrderId, Lines),
    Cancel(OrderId),
    Change(OrderId, OrderAction),
    Amend(BookId, Amend, OrderId),
}

impl Caller {
    pub(super) async fn call(&self, call: &KeyedCall) -> Result<()> {
        match call {
            KeyedCall::Purchase(id, lines) => self.purchase(*id, lines).await.map(drop),
            KeyedCall::Cancel(id) => self.cancel(*id).await.map(drop),
            KeyedCall::Change(id, action) => self.change(*id, action).await.map(drop),
            KeyedCall::Amend(book, change, key) => self.amend(*book, change.clone(), *key).await.map(drop),
        }
    }
}

/// What every actor has.
pub(super) struct Actor {
    pub(super) world: Shared,
    pub(super) caller: Caller,
    pub(super) clock: SimClock,
    pub(super) rng: StdRng,
    /// Calls of unknown outcome, to be made again when the faults are over.
    pub(super) unresolved: Vec<KeyedCall>,
}

impl Actor {
    pub(super) fn new(routes: &Routes, host: Host, process: u64) -> Self {
        let caller = routes.caller(process);
        let world = caller.world.clone();
        let rng = StdRng::seed_from_u64(world.seed_for(1000 + process));
        Self { clock: SimClock::new(&world, host), world, caller, rng, unresolved: Vec::new() }
    }

    /// Pauses for a random time; false when it is time to stop.
    pub(super) async fn think(&mut self) -> bool {
        let most = u64::try_from(self.world.plan.think.as_millis()).unwrap_or(1);
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..=most))).await;
        self.caller.choose_route(&mut self.rng);
        now() < self.world.plan.chaos && !self.world.is_healed()
    }

    pub(super) fn any_book(&mut self) -> BookId {
        let books = self.world.plan.stocks.len() as u64;
        // The first book is the hot one.
        BookId(if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(1..=books) })
    }

    /// Whether the same call should be made again now.
    fn again(&mut self, error: &Error, attempts: &mut u32) -> bool {
        *attempts += 1;
        self.caller.choose_route(&mut self.rng);
        error.may_retry(true) && *attempts < 4 && self.rng.random_bool(0.7)
    }

    /// Makes a call until it is answered or the actor gives up; true if it was answered.
    pub(super) async fn call(&mut self, mut call: KeyedCall) -> bool {
        let (mut attempts, mut is_unknown) = (0, false);
        loop {
            let Err(error) = self.caller.call(&call).await else { return true };
            is_unknown |= error.executed() == Executed::Unknown;
            if !self.again(&error, &mut attempts) {
                self.unresolved.extend(Some(call).filter(|_| is_unknown));
                return false;
            }
            if let KeyedCall::Purchase(id, _) = &mut call
                && self.world.has(Bug::RetryWithNewId)
            {
                *id = self.intend(*id);
            }
        }
    }

    /// A new id for the intent of an old one.
    fn intend(&self, old: OrderId) -> OrderId {
        let id = self.clock.new_order_id();
        let mut facts = self.world.facts();
        let intent = facts.intents.get(&old).copied().unwrap_or_default();
        facts.intents.insert(id, intent);
        id
    }

    /// After the faults every open call must get an answer.
    pub(super) async fn resolve(mut self) {
        self.world.settled().await;
        for open in std::mem::take(&mut self.unresolved) {
            let resolved = self.resolve_one(&open).await;
            self.world.coverage.saw(Seen::Resolved);
            if let Err(error) = resolved {
                self.world.fail("convergence", format!("a call stays open after the faults: {error}"));
            }
        }
    }

    async fn resolve_one(&mut self, open: &KeyedCall) -> Result<()> {
        const ATTEMPTS: u32 = 20;
        let mut attempts = 0;
        loop {
            self.caller.choose_route(&mut self.rng);
            attempts += 1;
            match self.caller.call(open).await {
                Err(error) if error.may_retry(true) && attempts < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) if error.may_retry(true) => return Err(error),
                _ => return Ok(()),
            }
        }
    }
}

/// Buys, retries, sends twice, reads back, cancels.
pub(crate) async fn buyer(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Buyers, number);
    for nth in 0..actor.world.plan.intents {
        if !actor.think().await {
            break;
        }
        let id = actor.clock.new_order_id();
        actor.world.facts().intents.insert(id, number * 1000 + nth);
        let lines = lines(&mut actor);
        let purchase = || KeyedCall::Purchase(id, lines.clone());
        let bought = actor.call(purchase()).await;
        let roll = actor.rng.random_range(0..10);
        match roll {
            0 => drop(actor.call(purchase()).await),
            1 => drop(actor.caller.order(id).await),
            2 if bought => {
                let other = fixtures::lines(&[(1, 7)]);
                drop(actor.caller.purchase(id, &other).await);
            }
            3..6 => drop(actor.call(KeyedCall::Cancel(id)).await),
            _ => {}
        }
    }
    actor.resolve().await;
}

pub(super) fn lines(actor: &mut Actor) -> Lines {
    let count = if actor.rng.random_bool(0.2) { 2 } else { 1 };
    let line = |_| {
        let book = actor.any_book();
        let seen = actor.rng.random_bool(0.1).then(|| cents(1000));
        Line { book, quantity: actor.rng.random_range(1..=3), price_cents: seen }
    };
    let lines: Vec<Line> = (0..count).map(line).collect();
    // Two lines of one book must agree on what was seen.
    Lines::new(lines.clone()).unwrap_or_else(|_| Lines::new([lines[0]]).expect("one good line"))
}

/// Adds copies; now and then sets a price, or a stock as it was seen.
pub(crate) async fn restocker(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Staff, number);
    while actor.think().await {
        let book = actor.any_book();
        let delta = actor.rng.random_range(1..=4);
        if actor.world.has(Bug::RestockReadsThenWrites) {
            restock_badly(&mut actor, book, delta).await;
            continue;
        }
        let change = match actor.rng.random_range(0..8) {
            0 => Amend::Set { price_cents: Some(cents(actor.rng.random_range(900..1100))), stock: None, version: None },
            1 => Amend::StockDelta { delta: -delta },
            2 => {
                let Ok(seen) = actor.caller.info(book).await else { continue };
                Amend::Set { price_cents: None, stock: Some(seen.stock + 2), version: Some(seen.version) }
            }
            _ => Amend::StockDelta { delta },
        };
        let key = actor.clock.new_order_id();
        actor.call(KeyedCall::Amend(book, change, key)).await;
    }
    actor.resolve().await;
}

/// The bug: reads, adds, and writes the sum over whatever is there by then. What it means to do is recorded.
async fn restock_badly(actor: &mut Actor, book: BookId, delta: i64) {
    let Ok(seen) = actor.caller.info(book).await else { return };
    tokio::time::sleep(Duration::from_millis(30)).await;
    let Ok(now) = actor.caller.info(book).await else { return };
    let sum = u32::try_from(i64::from(seen.stock) + delta).unwrap_or_default();
    let key = actor.clock.new_order_id();
    let write = Amend::Set { price_cents: None, stock: Some(sum), version: Some(now.version) };
    if actor.caller.amend(book, write, key).await.is_ok() {
        actor.world.facts().restocks.push((key, delta));
    }
}

/// Cancels orders of others.
pub(crate) async fn canceller(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Staff, number);
    while actor.think().await && actor.think().await {
        let orders = actor.world.facts().orders.clone();
        if !orders.is_empty() {
            let id = orders[actor.rng.random_range(0..orders.len())];
            actor.call(KeyedCall::Cancel(id)).await;
        }
    }
    actor.resolve().await;
}

/// Reads books and orders, by any route.
pub(crate) async fn reader(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Staff, number);
    while actor.think().await {
        let orders = actor.world.facts().orders.clone();
        match actor.rng.random_range(0..8) {
            0 => drop(actor.caller.search(Query::topic("testing")).await),
            1 => actor.caller.orders().await,
            2..5 if !orders.is_empty() => {
                let id = orders[actor.rng.random_range(0..orders.len())];
                drop(actor.caller.order(id).await);
            }
            _ => {
                let book = actor.any_book();
                drop(actor.caller.info(book).await);
            }
        }
    }
}

/// Follows the ledger and audits it as it grows: what it has read must stay.
pub(crate) async fn auditor(routes: Arc<Routes>, world: Shared) {
    let mut audit = Audit::new();
    let mut after = Seq(0);
    while now() < world.plan.chaos {
        match follow(&routes, after).await {
            // From here on it may be another history.
            _ if world.accident.has_begun() => return,
            Ok(page) => {
                for entry in page.entries {
                    if let Err(finding) = audit.take(&entry) {
                        world.fail("audit", finding.to_string());
                    }
                    after = entry.seq;
                    world.facts().shown.push(entry);
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

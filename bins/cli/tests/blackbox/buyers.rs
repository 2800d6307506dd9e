//! Buyers, who arrive at a steady rate whether the shop answers or not, and the shop's staff; every call is recorded.

use bookstore::{
    AccessToken, Bookstore, ConnectOptions,
    core::{
        Amend, BookId, CatalogService, Clock as _, Error, Line, Lines, OrderId, OrderQuery, OrderService, Query,
        SystemClock,
        check::{Recorded, Recorder},
        fixtures::{book, cents},
    },
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{bugs::Bug, servers::ADMIN_TOKEN};

/// Buyers that arrive every second.
const BUYERS_PER_SECOND: u64 = 120;
/// The most that may be in the shop at once; more are turned away.
const BUYERS_MAX: usize = 1500;
/// What is on sale.
const BOOKS: u64 = 8;
/// How long a single call may take, retries of the client's own included: its outcome is unknown after that.
const CALL: Duration = Duration::from_millis(700);
/// How long a buyer tries, with the same id.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One connection to the shop: through one frontend, or both.
struct Door {
    catalog: Recorded<dyn CatalogService>,
    orders: Recorded<dyn OrderService>,
}

/// All buyers and staff, and what they record.
pub(crate) struct Market {
    doors: Vec<Door>,
    pub(crate) recorder: Arc<Recorder>,
    seed: u64,
    turned_away: AtomicU64,
}

/// The doors whose frontend may show books as they were a moment ago.
pub(crate) const CACHED: [&str; 2] = ["frontend-1", "both frontends"];

impl Market {
    /// Connects to either frontend and to both, with a bug if there is one to plant.
    ///
    /// To be called on the client's threads.
    pub(crate) fn new(frontends: &[String; 2], bug: Option<Bug>, seed: u64, calls_max: usize) -> Arc<Self> {
        let recorder = Arc::new(Recorder::new(calls_max));
        let [one, two] = frontends;
        let both = format!("{one},{two}");
        let door = |(name, urls): (&str, &str)| {
            let admin_token = Some(AccessToken::new(ADMIN_TOKEN).expect("long enough"));
            let shop = Bookstore::connect_with(urls, ConnectOptions { admin_token, timeout: CALL }).expect("URLs");
            let (mut catalog, mut orders) = (Arc::clone(shop.catalog()), Arc::clone(shop.order_service()));
            if let Some(bug) = bug {
                (catalog, orders) = bug.build_in(catalog, orders);
            }
            Door { catalog: Recorded::new(catalog, &recorder, name), orders: Recorded::new(orders, &recorder, name) }
        };
        let doors = [(CACHED[0], one.as_str()), ("frontend-2", two), (CACHED[1], &both)].map(door).into();
        Arc::new(Self { doors, recorder, seed, turned_away: AtomicU64::new(0) })
    }

    /// The shop as one caller sees it.
    fn shop(&self, door: u64, caller: u64) -> Bookstore {
        let door = &self.doors[usize::try_from(door % 3).expect("small")];
        let (catalog, orders) = (door.catalog.of_process(caller), door.orders.of_process(caller));
        Bookstore::new(Arc::new(catalog), Arc::new(orders)).with_timeout(TIMEOUT)
    }

    /// Adds the books, with so many copies of each.
    pub(crate) async fn add_books(&self, stock: u32) {
        let book = |n| book(&format!("Book {n}"), stock);
        let shop = self.shop(1, 0).with_timeout(Duration::from_secs(60));
        shop.add_books((1..=BOOKS).map(book).collect()).await.expect("the shop is ready");
    }

    /// Buyers and staff arrive until `until`, or until `enough`; returns when all are done.
    pub(crate) async fn trade(self: Arc<Self>, until: Instant, enough: Arc<AtomicBool>) {
        let mut people = JoinSet::new();
        let mut ticks = interval(Duration::from_micros(1_000_000 / BUYERS_PER_SECOND));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 1.. {
            ticks.tick().await;
            if Instant::now() >= until || enough.load(Ordering::Relaxed) {
                break;
            }
            while people.try_join_next().transpose().expect("no buyer panics").is_some() {}
            if people.len() >= BUYERS_MAX {
                self.turned_away.fetch_add(1, Ordering::Relaxed);
            } else if n % 24 == 0 {
                people.spawn(Arc::clone(&self).restock(n));
            } else {
                people.spawn(Arc::clone(&self).buy(n));
            }
        }
        while people.join_next().await.transpose().expect("no buyer panics").is_some() {}
    }

    /// Buyers who only buy arrive until `enough`; returns when all are done.
    pub(crate) async fn sell(self: Arc<Self>, enough: Arc<AtomicBool>) {
        let mut people = JoinSet::new();
        let mut ticks = interval(Duration::from_micros(1_000_000 / BUYERS_PER_SECOND));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 1.. {
            ticks.tick().await;
            if enough.load(Ordering::Relaxed) {
                break;
            }
            while people.try_join_next().transpose().expect("no buyer panics").is_some() {}
            if people.len() < BUYERS_MAX {
                people.spawn(Arc::clone(&self).buy_only(n));
            }
        }
        while people.join_next().await.transpose().expect("no buyer panics").is_some() {}
    }

    /// Whether it was bought.
    pub(crate) async fn buy_only(self: Arc<Self>, n: u64) -> bool {
        let mut rng = StdRng::seed_from_u64(self.seed ^ (n << 20));
        let shop = self.shop(rng.random(), n);
        let lines = Lines::new([Line::new(BookId(rng.random_range(1..=BOOKS)), rng.random_range(1..3))]);
        purchase(&shop, SystemClock.new_order_id(), &lines.expect("a good line")).await
    }

    /// How many buyers found the shop too crowded.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    async fn buy(self: Arc<Self>, n: u64) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ (n << 20));
        let (shop, other) = (self.shop(rng.random(), n), self.shop(rng.random(), n));
        let Some(lines) = choose(&shop, &mut rng).await else { return };
        let id = SystemClock.new_order_id();
        let bought = if rng.random_ratio(1, 8) {
            // The buyer clicks twice.
            let twice = tokio::join!(purchase(&shop, id, &lines), purchase(&other, id, &lines));
            twice.0 && twice.1
        } else {
            purchase(&shop, id, &lines).await
        };
        // What these answer is recorded, and not needed here.
        match rng.random_range(0..10) {
            0..3 if bought => drop(other.cancel(id).await),
            3..6 => drop(other.order(id).await),
            6 if !bought => drop(other.cancel(id).await),
            _ => {}
        }
    }

    async fn restock(self: Arc<Self>, n: u64) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ (n << 20));
        let shop = self.shop(rng.random(), n);
        let book = BookId(rng.random_range(1..=BOOKS));
        let delta = Amend::StockDelta { delta: rng.random_range(10..50) };
        // What these answer is recorded, and not needed here.
        match rng.random_range(0..12) {
            0..6 => drop(shop.amend(book, delta, SystemClock.new_order_id()).await),
            6 => drop(shop.catalog().amend(book, delta, None, None).await),
            7 => drop(shop.set_price(book, cents(rng.random_range(900..1100))).await),
            8 | 9 => {
                let Ok(seen) = shop.info(book).await else { return };
                let (stock, version) = (Some(rng.random_range(20..60)), Some(seen.version));
                let set = Amend::Set { price_cents: None, stock, version };
                drop(shop.amend(book, set, SystemClock.new_order_id()).await);
            }
            10 => {
                drop(shop.orders(OrderQuery { page_size: Some(20), page_token: None, ..OrderQuery::default() }).await);
            }
            _ => drop(shop.search(Query::topic("testing")).await),
        }
    }
}

/// One book or two; some buyers look first, and some of these buy only at the price that they saw.
async fn choose(shop: &Bookstore, rng: &mut StdRng) -> Option<Lines> {
    let [one, two] = [(); 2].map(|()| Line::new(BookId(rng.random_range(1..=BOOKS)), rng.random_range(1..3)));
    let mut lines = vec![one];
    if rng.random_ratio(1, 4) {
        let seen = shop.info(one.book).await.ok()?;
        lines[0].price_cents = rng.random_ratio(1, 2).then_some(seen.price_cents);
    } else if rng.random_ratio(1, 4) {
        lines.push(two);
    }
    Lines::new(lines).ok()
}

/// Whether it was bought.
async fn purchase(shop: &Bookstore, id: OrderId, lines: &Lines) -> bool {
    match shop.purchase(id, lines.iter().copied()).await {
        Ok(receipt) => receipt.order.sold(lines),
        Err(Error::OrderIdReused { .. } | Error::Invalid { .. } | Error::Malformed { .. }) => {
            panic!("a good purchase was called a bad one")
        }
        Err(_) => false,
    }
}

/// Spawns on the client's threads, and waits.
pub(crate) async fn on<T: Send + 'static>(client: &Handle, task: impl Future<Output = T> + Send + 'static) -> T {
    client.spawn(task).await.expect("no task panics")
}

//! A purchase race: many buyers in the shop's own process buy at once.

use bookstore_core::{BookId, Clock as _, Error, Lines, OrderId, OrderService, Result, SystemClock};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

use crate::catalogue::mix;

/// Which book a purchase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookChoice {
    /// Always book 1.
    Hot,
    /// One of this many books, each equally often.
    Uniform(u64),
    /// One of [`ZIPF_BOOKS`] books: the second half as often as the first, the third a third as often, …
    Zipf,
}

/// The books of [`BookChoice::Zipf`].
pub const ZIPF_BOOKS: u64 = 10_000;

/// 262,144 draws from Zipf's distribution with exponent 1.
static ZIPF_DRAWS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    const DRAWS: u32 = 1 << 18;
    let mut total = 0.0;
    let mut add = |rank: u64| {
        total += 1.0 / rank as f64;
        total
    };
    let sums: Vec<f64> = (1..=ZIPF_BOOKS).map(&mut add).collect();
    let draw = |n: u32| sums.partition_point(|sum| *sum < (f64::from(n) + 0.5) / f64::from(DRAWS) * total);
    (0..DRAWS).map(|n| u32::try_from(draw(n) + 1).expect("few books")).collect()
});

impl BookChoice {
    /// The book of the `n`th purchase, the same in every run.
    #[must_use]
    pub fn book(self, n: u64) -> BookId {
        BookId(match self {
            Self::Hot => 1,
            Self::Uniform(books) => 1 + mix(n) % books,
            Self::Zipf => {
                let at = usize::try_from(mix(n) % ZIPF_DRAWS.len() as u64).expect("an index");
                u64::from(ZIPF_DRAWS[at])
            }
        })
    }
}

impl fmt::Display for BookChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hot => f.write_str("hot"),
            Self::Uniform(_) => f.write_str("uniform"),
            Self::Zipf => f.write_str("zipf"),
        }
    }
}

/// Where the ids of the purchases come from.
#[derive(Clone, Debug)]
pub enum Ids {
    /// Time-ordered, drawn by the buyer.
    V7,
    /// Random, drawn by the buyer.
    V4,
    /// The `n`th purchase has the `n`th of these.
    Given(Arc<Vec<OrderId>>),
}

impl Ids {
    fn draw(&self, n: u64) -> OrderId {
        match self {
            Self::V7 => SystemClock.new_order_id(),
            Self::V4 => random_id(),
            Self::Given(ids) => ids[usize::try_from(n).expect("an index")],
        }
    }
}

/// A version 4 id.
#[must_use]
pub fn random_id() -> OrderId {
    OrderId(uuid::Builder::from_random_bytes(rand::random()).into_uuid())
}

/// A fresh version 7 id.
#[must_use]
pub fn fresh_id() -> OrderId {
    OrderId(Uuid::now_v7())
}

/// Something that sells single copies.
pub trait Seller: Send + Sync + 'static {
    /// Sells one copy under this id.
    fn sell(&self, id: OrderId, book: BookId) -> impl Future<Output = Result<()>> + Send;
}

impl Seller for Arc<dyn OrderService> {
    async fn sell(&self, id: OrderId, book: BookId) -> Result<()> {
        self.purchase(id, Lines::one(book, 1)?).await.map(drop)
    }
}

/// When a race ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this number of purchases.
    Purchases(u64),
    /// After this time, when what is under way has been answered.
    Elapsed(Duration),
}

/// The result of a race.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Purchases acknowledged.
    pub sold: u64,
    /// Purchases refused because nothing was left.
    pub sold_out: u64,
    /// From the first purchase to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Purchases a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.sold as f64 / self.elapsed.as_secs_f64()
    }
}

/// `buyers` tasks buy, one purchase after another each.
///
/// # Panics
/// On any answer but "sold" and "out of stock".
pub async fn run<S: Seller>(seller: &Arc<S>, choice: BookChoice, ids: Ids, buyers: u64, until: Until) -> Tally {
    let most = match until {
        Until::Purchases(purchases) => purchases,
        Until::Elapsed(_) => u64::MAX / 2,
    };
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let buy = || buyer(Arc::clone(seller), choice, ids.clone(), Arc::clone(&next), most);
    let tasks: Vec<_> = (0..buyers.min(most)).map(|_| tokio::spawn(buy())).collect();
    if let Until::Elapsed(time) = until {
        tokio::time::sleep(time).await;
        next.store(most, Ordering::Relaxed);
    }
    let mut tally = Tally::default();
    for task in tasks {
        let (sold, sold_out) = task.await.expect("a buyer panicked");
        tally.sold += sold;
        tally.sold_out += sold_out;
    }
    tally.elapsed = started.elapsed();
    tally
}

async fn buyer<S: Seller>(seller: Arc<S>, choice: BookChoice, ids: Ids, next: Arc<AtomicU64>, most: u64) -> (u64, u64) {
    let (mut sold, mut sold_out) = (0, 0);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= most {
            return (sold, sold_out);
        }
        match seller.sell(ids.draw(n), choice.book(n)).await {
            Ok(()) => sold += 1,
            Err(Error::OutOfStock { .. }) => sold_out += 1,
            Err(error) => panic!("a purchase failed: {error}"),
        }
    }
}

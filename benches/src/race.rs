//! Buyers who all buy at once.

use async_trait::async_trait;
use bookstore_core::{BookId, Clock as _, Error, Lines, OrderId, OrderService, Result, SystemClock};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Which books the buyers want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All want book 1.
    Hot,
    /// Each purchase wants one of this many books, all alike.
    Uniform(u64),
}

impl Wanted {
    /// How many books there must be.
    #[must_use]
    pub fn books(self) -> u64 {
        match self {
            Self::Hot => 1,
            Self::Uniform(books) => books,
        }
    }

    /// The book of the `n`th purchase: spread by a multiplicative hash, the same in every run.
    fn book(self, n: u64) -> BookId {
        let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        BookId(1 + spread % self.books())
    }
}

/// Something that sells single copies.
#[async_trait]
pub trait Seller: Send + Sync {
    /// Sells one copy under this id.
    async fn sell(&self, id: OrderId, book: BookId) -> Result<()>;
}

#[async_trait]
impl Seller for Arc<dyn OrderService> {
    async fn sell(&self, id: OrderId, book: BookId) -> Result<()> {
        self.purchase(id, Lines::one(book, 1)?).await.map(drop)
    }
}

/// What a race came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Purchases acknowledged.
    pub sold: u64,
    /// Purchases refused because nothing was left.
    pub sold_out: u64,
    /// From the first purchase to the last answer.
    pub elapsed: Duration,
}

/// `buyers` tasks make `purchases` purchases in all, one after another each.
///
/// # Panics
/// On any answer but "sold" and "out of stock".
pub async fn run(seller: Arc<dyn Seller>, wanted: Wanted, buyers: u64, purchases: u64) -> Tally {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..buyers.min(purchases))
        .map(|_| {
            let (seller, next) = (Arc::clone(&seller), Arc::clone(&next));
            tokio::spawn(async move {
                let (mut sold, mut sold_out) = (0, 0);
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= purchases {
                        return (sold, sold_out);
                    }
                    match seller.sell(SystemClock.new_order_id(), wanted.book(n)).await {
                        Ok(()) => sold += 1,
                        Err(Error::OutOfStock { .. }) => sold_out += 1,
                        Err(error) => panic!("a purchase failed: {error}"),
                    }
                }
            })
        })
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        let (sold, sold_out) = task.await.expect("a buyer panicked");
        tally.sold += sold;
        tally.sold_out += sold_out;
    }
    tally.elapsed = started.elapsed();
    tally
}

//! Buyers race for the last copy of a book: who gets it holds it, and then places, cancels or loses it, so that the next one may.

use bookstore_core::{
    BookId, Clock as _, Error, Lines, ManualClock, OrderAction, OrderId, OrderService, Receipt, Result, Timestamp,
};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// A design in which copies can be held. An answer of `false` is a refusal.
pub trait Holder: Send + Sync + 'static {
    /// Sets the copy aside.
    fn hold(&self, id: OrderId) -> impl Future<Output = bool> + Send;
    /// Buys the copy that is held.
    fn confirm(&self, id: OrderId) -> impl Future<Output = bool> + Send;
    /// Puts the copy back.
    fn cancel(&self, id: OrderId) -> impl Future<Output = bool> + Send;
    /// Lets the time of the hold pass, and the copy come back.
    fn lapse(&self, id: OrderId) -> impl Future<Output = bool> + Send;
}

/// The shop, whose clock the buyers move.
pub struct Real {
    orders: Arc<Arc<dyn OrderService>>,
    clock: Arc<ManualClock>,
}

impl fmt::Debug for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Real").finish_non_exhaustive()
    }
}

impl Real {
    /// A shop with one copy of book 1.
    #[must_use]
    pub fn new(orders: Arc<Arc<dyn OrderService>>, clock: Arc<ManualClock>) -> Self {
        Self { orders, clock }
    }

    async fn change(&self, id: OrderId, action: OrderAction) -> Result<Receipt> {
        self.orders.change(id, action, None).await
    }
}

impl Holder for Real {
    async fn hold(&self, id: OrderId) -> bool {
        let lines = Lines::one(BookId(1), 1).expect("one line");
        match self.change(id, OrderAction::Hold { lines, seconds: 1, reference: None, contact: None }).await {
            Ok(_) => true,
            Err(Error::OutOfStock { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn confirm(&self, id: OrderId) -> bool {
        match self.change(id, OrderAction::Confirm).await {
            Ok(_) => true,
            Err(Error::OrderLapsed { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn cancel(&self, id: OrderId) -> bool {
        self.change(id, OrderAction::Cancel).await.is_ok()
    }

    async fn lapse(&self, id: OrderId) -> bool {
        self.clock.set(Timestamp(self.clock.now().0 + 2_000));
        !self.confirm(id).await
    }
}

/// What became of a race.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Holds that were granted.
    pub held: u64,
    /// Holds that were granted while somebody else had the only copy.
    pub oversold: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Each of `buyers` tasks tries `tries` times to hold the copy. Of those who get it, a third each buys and returns it, cancels, and lets
/// the time pass.
///
/// # Panics
/// If a task does.
pub async fn race(shop: &Arc<impl Holder>, buyers: u64, tries: u64, new_id: fn() -> OrderId) -> Outcome {
    let (taken, held, oversold) =
        (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let (mut tasks, started) = (JoinSet::new(), Instant::now());
    for _ in 0..buyers {
        let (shop, taken, held, oversold) = (shop.clone(), taken.clone(), held.clone(), oversold.clone());
        tasks.spawn(async move {
            for _ in 0..tries {
                let id = new_id();
                if !shop.hold(id).await {
                    continue;
                }
                if taken.fetch_add(1, Ordering::SeqCst) > 0 {
                    oversold.fetch_add(1, Ordering::SeqCst);
                }
                let way = held.fetch_add(1, Ordering::SeqCst) % 3;
                if way == 0 {
                    assert!(shop.confirm(id).await, "a hold is placed in time");
                }
                taken.fetch_sub(1, Ordering::SeqCst);
                let back = if way == 2 { shop.lapse(id).await } else { shop.cancel(id).await };
                assert!(back, "the copy comes back");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a buyer does not panic");
    }
    Outcome { held: held.load(Ordering::SeqCst), oversold: oversold.load(Ordering::SeqCst), elapsed: started.elapsed() }
}

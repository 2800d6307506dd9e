//! A shop on SQLite with buyers in the same process, for `compare`.
//!
//! `purchase_worker STORE_URL` opens the store, which has books that do not sell out. Each line `TASKS BOOKS PURCHASES MILLIS` on
//! standard input starts a race: that many tasks buy single copies of the first books, until that many are bought or the time is
//! over. The answer is a line with the purchases a second. When the input ends, the store is closed.
//!
//! `compare` compiles this one source in both trees, so it uses only what both have.

use bookstore::{
    Bookstore,
    core::{BookId, Lines},
};
use std::{
    env,
    error::Error,
    io, iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Builder;

// As the executable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let store = env::args().nth(1).ok_or("usage: purchase_worker STORE_URL")?;
    // One processor is left to the ledger's writer, as README advises.
    let workers = thread::available_parallelism()?.get().saturating_sub(1).max(1);
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let shop = runtime.block_on(Bookstore::open(&store))?;
    for line in io::stdin().lines() {
        let numbers = line?.split(' ').map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?;
        let [tasks, books, purchases, millis] = numbers[..] else { return Err("four numbers are needed".into()) };
        println!("{}", runtime.block_on(race(&shop, tasks, books, purchases, millis))?);
    }
    runtime.block_on(shop.close());
    Ok(())
}

/// Runs a race, and returns the purchases a second.
async fn race(shop: &Bookstore, tasks: u64, books: u64, purchases: u64, millis: u64) -> Result<f64> {
    let (next, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let buyer = || tokio::spawn(buy(shop.clone(), Arc::clone(&next), books, purchases));
    let buyers: Vec<_> = iter::repeat_with(buyer).take(usize::try_from(tasks)?).collect();
    let end = Arc::clone(&next);
    let timer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        end.store(purchases, Ordering::Relaxed);
    });
    let mut bought = 0;
    for buyer in buyers {
        bought += buyer.await??;
    }
    timer.abort();
    Ok(bought as f64 / started.elapsed().as_secs_f64())
}

/// Buys until the number of the next purchase is `purchases`, and returns how often.
async fn buy(shop: Bookstore, next: Arc<AtomicU64>, books: u64, purchases: u64) -> Result<u64> {
    let mut bought = 0;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= purchases {
            return Ok(bought);
        }
        // Multiplicative hashing: all books alike, in no order.
        let book = BookId(1 + (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % books);
        shop.order_service().purchase(shop.new_order_id(), Lines::one(book, 1)?).await?;
        bought += 1;
    }
}

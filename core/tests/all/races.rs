//! Purchase races with real threads: many buyers, few copies, duplicates and cancellations, on every store.

use bookstore_core::{
    Amend, BookId, CatalogOptions, Clock as _, Error, Line, Lines, OrderId, Receipt, Result, Status, SystemClock,
    conformance::{Deployment, audit},
    store::memory,
    writer::{Execution, WriterLimits},
};
use std::{collections::BTreeMap, future::Future, sync::Arc, task::Poll};
use tokio::sync::Barrier;

use crate::fixture::{book, deployment};

/// Small batches, so that a race is spread over many of them.
fn options(batch_max: usize, execution: Execution) -> CatalogOptions {
    let limits = WriterLimits { batch_max, ..WriterLimits::default() };
    CatalogOptions { execution, limits, ..CatalogOptions::default() }
}

async fn deployments() -> Vec<Deployment> {
    let mut all = Vec::new();
    for (batch_max, execution) in
        [(1, Execution::Threads), (7, Execution::Threads), (4096, Execution::Threads), (7, Execution::Task)]
    {
        let (store, reader) = memory::open(&SystemClock);
        all.push(deployment(store, reader, options(batch_max, execution)));
        #[cfg(feature = "sqlite")]
        {
            use bookstore_core::store::sqlite::{self, SqliteOptions};
            let dir = tempfile::tempdir().expect("a temporary directory");
            let opened = sqlite::open(&dir.path().join("a.db"), &SystemClock, SqliteOptions::default());
            let (store, reader) = opened.expect("a new file");
            all.push(deployment(store, reader, options(batch_max, execution)).keep(dir));
        }
        #[cfg(all(unix, feature = "postgres"))]
        if execution == Execution::Threads
            && let Some(database) = crate::postgres::server::database()
        {
            let opened = crate::postgres::open(&database.url()).await;
            let (store, reader) = opened.expect("a new database can be opened");
            all.push(deployment(store, reader, options(batch_max, execution)).keep(database));
        }
    }
    all
}

/// Runs the buyers' tasks at once.
async fn race<T: Send + 'static>(tasks: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let running = tasks.into_iter().map(|task| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            task.await
        })
    });
    let mut done = Vec::new();
    for task in running.collect::<Vec<_>>() {
        done.push(task.await.expect("no panic"));
    }
    done
}

async fn purchase(d: Deployment, id: OrderId, quantity: u32) -> (OrderId, Result<Receipt>) {
    (id, d.orders.purchase(id, Lines::one(BookId(1), quantity).expect("a good line")).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_buyers_of_m_copies_buy_m_copies() {
    for d in deployments().await {
        d.catalog.add_books(vec![book("A book", 100)], None).await.expect("listed");
        // Every intent twice, from two tasks: 300 buyers of one copy each, and 100 copies.
        let ids = (0..300).map(|_| SystemClock.new_order_id());
        let tasks = ids.flat_map(|id| [purchase(d.clone(), id, 1), purchase(d.clone(), id, 1)]).collect();
        let mut told = BTreeMap::<OrderId, Vec<Result<Receipt>>>::new();
        for (id, outcome) in race(tasks).await {
            told.entry(id).or_default().push(outcome);
        }
        let mut sold = 0;
        for (id, outcomes) in told {
            let receipts: Vec<&Receipt> = outcomes.iter().flatten().collect();
            let first = receipts.iter().filter(|receipt| !receipt.replayed).count();
            match receipts.len() {
                // Nothing was restocked: a refusal is final, for both.
                0 => assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::OutOfStock { .. })))),
                2 => assert_eq!((first, &receipts[0].order), (1, &receipts[1].order)),
                _ => panic!("one of the two was told of the order, the other was not: {outcomes:?}"),
            }
            sold += first;
            assert_eq!(d.orders.order(id).await.is_ok(), first == 1);
        }
        assert_eq!(sold, 100);
        assert_eq!(d.catalog.info(BookId(1)).await.map(|book| book.stock), Ok(0));
        let summary = audit(&d).await;
        assert_eq!((summary.sales, summary.copies_sold), (100, 100));
    }
}

/// What a buyer with second thoughts was told: of the purchase, and of the cancellation.
async fn waver(d: Deployment, id: OrderId, quantity: u32, cancels: bool) -> (Result<Receipt>, Option<Result<Receipt>>) {
    let (_, bought) = purchase(d.clone(), id, quantity).await;
    let cancelled = if cancels { Some(d.orders.cancel(id).await) } else { None };
    (bought, cancelled)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_cancellations_mixed_in_every_copy_is_sold_or_there() {
    for d in deployments().await {
        d.catalog.add_books(vec![book("A book", 60)], None).await.expect("listed");
        let ids: Vec<OrderId> = (0..120).map(|_| SystemClock.new_order_id()).collect();
        // Two tasks per order; the second of every third one cancels.
        let mut tasks = Vec::new();
        for (n, id) in (0..).zip(&ids) {
            let quantity = n % 3 + 1;
            tasks.push(waver(d.clone(), *id, quantity, false));
            tasks.push(waver(d.clone(), *id, quantity, n % 3 == 0));
        }
        let told = race(tasks).await;
        let mut standing = 0;
        for (n, (id, told)) in ids.iter().zip(told.chunks_exact(2)).enumerate() {
            let order = d.orders.order(*id).await.ok();
            let bought = told.iter().any(|(bought, _)| bought.is_ok());
            assert_eq!(order.is_some(), bought, "an order exists if one of the two was told so");
            let Some(order) = order else { continue };
            let cancelled = told.iter().any(|(_, cancelled)| matches!(cancelled, Some(Ok(_))));
            assert_eq!(order.status == Status::Cancelled, cancelled, "{n}: {told:?}");
            standing += if cancelled { 0 } else { order.lines[0].quantity };
        }
        let stock = d.catalog.info(BookId(1)).await.expect("listed").stock;
        assert_eq!(stock + standing, 60);
        assert_eq!(audit(&d).await.copies_sold, u64::from(standing));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn carts_and_restocks_over_many_books_conserve_every_book() {
    for d in deployments().await {
        d.catalog.add_books((0..10).map(|n| book(&format!("Book {n}"), 30)).collect(), None).await.expect("listed");
        let task = |n: u64| {
            let d = d.clone();
            async move {
                let mut added = 0;
                for step in 0..5 {
                    let line = |k: u64| Line::new(BookId((n * 7 + step * 3 + k * k) % 10 + 1), 1 + u32::from(k == 0));
                    let wanted = Lines::new((0..4).map(line)).expect("good lines");
                    match d.orders.purchase(SystemClock.new_order_id(), wanted).await {
                        Ok(receipt) if n.is_multiple_of(4) => {
                            d.orders.cancel(receipt.order.id).await.expect("cancelled");
                        }
                        Ok(_) => {}
                        Err(Error::OutOfStock { book, .. }) => {
                            let key = Some(SystemClock.new_order_id());
                            d.catalog.amend(book, Amend::StockDelta { delta: 2 }, key, None).await.expect("a restock");
                            added += 2;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                added
            }
        };
        let added: u64 = race((0..40).map(task).collect()).await.into_iter().sum();
        let mut left = 0;
        for n in 1..=10 {
            left += u64::from(d.catalog.info(BookId(n)).await.expect("listed").stock);
        }
        // The audit compares each book with the sum of its entries; here the sums meet what the buyers know.
        assert_eq!(audit(&d).await.copies_sold + left, 300 + added);
        assert!(added > 0, "some must have met an empty shelf");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let (store, reader) = memory::open(&SystemClock);
    let limits = WriterLimits { waiting_max: 8, batch_max: 4, ..WriterLimits::default() };
    let d =
        deployment(store, reader, CatalogOptions { limits, execution: Execution::Task, ..CatalogOptions::default() });
    d.catalog.add_books(vec![book("A book", 1000)], None).await.expect("listed");
    // One thread: all of these are sent before the writer's task runs.
    let tasks = (0..50).map(|_| tokio::spawn(purchase(d.clone(), SystemClock.new_order_id(), 1)));
    let (mut bought, mut refused) = (0, 0);
    for task in tasks.collect::<Vec<_>>() {
        let (id, outcome) = task.await.expect("no panic");
        match outcome {
            Ok(_) => bought += 1,
            Err(Error::Overloaded { .. }) => {
                refused += 1;
                assert!(d.orders.order(id).await.is_err(), "refused is not executed");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(bought >= 8 && refused > 0, "{bought} bought, {refused} refused");
    assert_eq!(audit(&d).await.sales, bought);
}

#[tokio::test]
async fn whoever_hangs_up_before_the_batch_buys_nothing() {
    let (store, reader) = memory::open(&SystemClock);
    let d = deployment(store, reader, options(4096, Execution::Task));
    d.catalog.add_books(vec![book("A book", 10)], None).await.expect("listed");
    let mut hasty = Box::pin(purchase(d.clone(), SystemClock.new_order_id(), 1));
    let waits = std::future::poll_fn(|context| Poll::Ready(hasty.as_mut().poll(context).is_pending())).await;
    // Its call waits in the queue, and the writer's task has not run: there is but one thread.
    assert!(waits);
    drop(hasty);
    let (_, patient) = purchase(d.clone(), SystemClock.new_order_id(), 1).await;
    assert!(patient.is_ok());
    assert_eq!(audit(&d).await.sales, 1);
}

//! A store that fails: what was acknowledged stays, what was refused never happened, and what is unknown is told by the
//! ledger once the store is open again.

use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService as _, Error, Executed, Lines, OrderId, Receipt, Result,
    SystemClock, Timestamp,
    clock::Clock as _,
    conformance::{Deployment, audit},
    decide::{Batch, State},
    store::{AppendError, LedgerReader, LedgerStore, Recovered, StoreError, memory},
    writer::{Execution, WriterLimits},
};
use futures_util::FutureExt as _;
use std::{sync::Arc, time::Duration};

use crate::{
    failing::{
        Failing, Forgetful,
        Moment::{self, After, Before, Panic, Refused},
        Operation::{self, Append, Confirm, Flush, Load, Recover},
        Plan,
    },
    fixture::{book, deployment},
};

/// How a writer works: how it is executed, and its `overlap_min`, with which small batches change hands or do not.
type Setting = (Execution, usize);

const SETTINGS: [Setting; 4] =
    [(Execution::Threads, 0), (Execution::Threads, 64), (Execution::Task, 0), (Execution::Task, 64)];

fn options((execution, overlap_min): Setting, recover_after: Duration) -> CatalogOptions {
    let limits = WriterLimits { overlap_min, recover_after, ..WriterLimits::default() };
    CatalogOptions { execution, limits, ..CatalogOptions::default() }
}

fn failing(
    (store, reader): (impl LedgerStore, Arc<impl LedgerReader + 'static>),
    plan: &Arc<Plan>,
    setting: Setting,
    recover_after: Duration,
) -> Deployment {
    let store = Failing { store, plan: Arc::clone(plan) };
    deployment(store, reader, options(setting, recover_after))
}

fn in_memory() -> (memory::MemoryStore, Arc<memory::MemoryReader>) {
    memory::open(&SystemClock)
}

/// Buys one copy of book 1.
async fn buy(d: &Deployment, id: OrderId) -> Result<Receipt> {
    d.orders.purchase(id, Lines::one(BookId(1), 1).expect("a good line")).await
}

async fn stock(d: &Deployment) -> u32 {
    d.catalog.info(BookId(1)).await.expect("listed").stock
}

/// Asserts that the ledger says of each purchase what its buyer was told, then sends each again until it is known.
async fn settle(d: &Deployment, copies: u32, told: &[(OrderId, Result<Receipt>)]) {
    // The store is opened again for the next command, whatever it is; this one does not touch the book in question.
    d.catalog.add_books(vec![book("Another book", 1)], None).await.expect("the store works again");
    for (id, outcome) in told {
        let found = d.orders.order(*id).await;
        match outcome {
            Ok(receipt) => assert_eq!(found.as_ref(), Ok(&receipt.order), "what was acknowledged is there"),
            Err(error) if error.executed() == Executed::No => {
                assert_eq!(found, Err(Error::OrderNotFound { order: *id }), "{error:?} promised that nothing happened");
            }
            Err(_) => {}
        }
        let known = found.is_ok();
        let receipt = buy(d, *id).await.expect("the store works again");
        assert_eq!(receipt.replayed, known);
    }
    assert_eq!(stock(d).await, copies - u32::try_from(told.len()).expect("few"), "each was bought once");
    assert_eq!(audit(d).await.sales, told.len() as u64);
}

/// Whether a failure of `operation` leaves the caller in doubt.
fn leaves_doubt(operation: Operation, moment: Moment) -> bool {
    matches!(operation, Append | Flush) && moment != Refused
}

/// A listing and ten purchases, one after another, with one failure; gives whether it struck.
async fn one_failure(
    opened: (impl LedgerStore, Arc<impl LedgerReader + 'static>),
    fault: (Operation, u64, Moment),
    setting: Setting,
) -> bool {
    let plan = Plan::new([fault]);
    let d = failing(opened, &plan, setting, Duration::ZERO);
    if d.catalog.add_books(vec![book("A book", 100)], None).await.is_err() {
        d.catalog.add_books(vec![book("A book", 100)], None).await.expect("the store works again");
    }
    let mut told = Vec::new();
    for _ in 0..10 {
        let struck = plan.struck();
        let id = SystemClock.new_order_id();
        let outcome = buy(&d, id).await;
        let now_struck = plan.struck() > struck;
        match &outcome {
            Ok(_) => assert!(!now_struck, "{fault:?}: a failure must not be acknowledged"),
            Err(error) => {
                assert!(now_struck, "{fault:?}: {error:?} without a failure");
                let expected = if leaves_doubt(fault.0, fault.2) { Executed::Unknown } else { Executed::No };
                assert_eq!(error.executed(), expected, "{fault:?}: {error:?}");
            }
        }
        told.push((id, outcome));
    }
    settle(&d, 100, &told).await;
    assert_eq!(
        plan.tried(Recover),
        1 + plan.struck(),
        "{fault:?}: a store is opened again if it failed, and only then"
    );
    plan.struck() > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nth_operation_fails_for_every_n() {
    for setting in SETTINGS {
        for (operation, moment) in [
            (Load, Before),
            (Load, After),
            (Append, Refused),
            (Append, Before),
            (Append, After),
            (Flush, Before),
            (Flush, After),
        ] {
            for n in 1..=11 {
                assert!(one_failure(in_memory(), (operation, n, moment), setting).await, "the {n}. {operation:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_flushed_is_forgotten_and_nobody_was_told_otherwise() {
    for setting in SETTINGS {
        for (operation, moment) in
            [(Append, Refused), (Append, Before), (Append, After), (Flush, Before), (Flush, After)]
        {
            for n in 1..=11 {
                assert!(one_failure(Forgetful::open(), (operation, n, moment), setting).await);
            }
        }
    }
}

/// The batch behind a failed one is decided on top of it: it must not be acknowledged, though its own flush would succeed.
#[tokio::test]
async fn what_was_decided_on_top_of_a_lost_batch_is_not_acknowledged() {
    for n in 2..6 {
        let (store, reader, hold) = Forgetful::tearing_at(n);
        let limits =
            WriterLimits { batch_max: 1, overlap_min: 0, recover_after: Duration::ZERO, ..WriterLimits::default() };
        let d = deployment(store, reader, CatalogOptions { limits, ..CatalogOptions::default() });
        d.catalog.add_books(vec![book("A book", 100)], None).await.expect("the first flush works");
        let buyers = (0..20).map(|_| {
            let (d, id) = (d.clone(), SystemClock.new_order_id());
            tokio::spawn(async move { (id, buy(&d, id).await) })
        });
        // All of them wait before the first one's batch is appended, so that there is always another one behind.
        hold.set(true);
        let buyers: Vec<_> = buyers.collect();
        tokio::task::yield_now().await;
        hold.set(false);
        let mut told = Vec::new();
        for buyer in buyers {
            told.push(buyer.await.expect("no panic"));
        }
        let unknown = told.iter().filter(|(_, outcome)| matches!(outcome, Err(Error::OutcomeUnknown { .. }))).count();
        assert!(unknown >= 2, "the torn batch and the one behind it: {told:?}");
        settle(&d, 100, &told).await;
    }
}

/// Many wait behind a flush, so that a batch is begun; all of them but one have hung up, so that it is a small one. It must not be
/// flushed before the batch under way is known to be durable.
#[tokio::test(start_paused = true)]
async fn a_batch_that_has_become_small_is_not_acknowledged_on_top_of_a_lost_one() {
    const FLUSH: Duration = Duration::from_millis(50);
    let plan = Plan::slow(FLUSH, [(Flush, 2, Before)]);
    let d = failing(Forgetful::open(), &plan, (Execution::Task, 16), Duration::ZERO);
    d.catalog.add_books(vec![book("A book", 100)], None).await.expect("the first flush works");
    let under_way = (0..65).map(|_| {
        let (d, id) = (d.clone(), SystemClock.new_order_id());
        tokio::spawn(async move { (id, buy(&d, id).await) })
    });
    let under_way: Vec<_> = under_way.collect();
    tokio::time::sleep(FLUSH / 2).await;
    assert_eq!((plan.tried(Append), plan.tried(Flush)), (2, 1), "65 are appended, not flushed");
    let ids: Vec<_> = (0..16).map(|_| SystemClock.new_order_id()).collect();
    let mut waiting: Vec<_> = ids.iter().map(|id| Box::pin(buy(&d, *id))).collect();
    assert!(waiting.iter_mut().all(|buyer| buyer.as_mut().now_or_never().is_none()));
    waiting.truncate(1);
    tokio::time::sleep(FLUSH / 4).await;
    assert_eq!((plan.tried(Append), plan.tried(Flush)), (3, 1), "one is appended behind them");
    let mut told = vec![(ids[0], waiting.remove(0).await)];
    for buyer in under_way {
        told.push(buyer.await.expect("no panic"));
    }
    assert!(told.iter().all(|(_, outcome)| matches!(outcome, Err(Error::OutcomeUnknown { .. }))), "{told:?}");
    settle(&d, 100, &told).await;
}

/// Of two buyers of one copy in one batch, the second is refused because of the first one's sale. If that sale is lost
/// with the batch, "out of stock" would be a lie.
#[tokio::test]
async fn a_refusal_that_rests_on_a_lost_batch_is_not_told() {
    for (operation, moment) in [(Append, Before), (Append, After), (Flush, Before), (Flush, After)] {
        // The listing is the first of each. On one thread, both buyers wait before the writer's task takes its batch.
        let plan = Plan::new([(operation, 2, moment)]);
        let d = failing(Forgetful::open(), &plan, (Execution::Task, 64), Duration::ZERO);
        d.catalog.add_books(vec![book("The last copy", 1)], None).await.expect("the store works");
        let (first, second) = (SystemClock.new_order_id(), SystemClock.new_order_id());
        let (bought, refused) = tokio::join!(buy(&d, first), buy(&d, second));
        assert_eq!(plan.struck(), 1, "{operation:?}");
        assert!(
            matches!(bought, Err(Error::OutcomeUnknown { order: Some(id), .. }) if id == first),
            "{operation:?} {moment:?}: {bought:?}"
        );
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{operation:?} {moment:?}: {refused:?}");
    }
}

/// A batch that certainly was not appended: every caller in it is told that nothing was executed, whatever was decided.
#[tokio::test]
async fn a_batch_that_was_not_appended_is_not_executed() {
    let plan = Plan::new([(Append, 2, Refused)]);
    let d = failing(Forgetful::open(), &plan, (Execution::Task, 64), Duration::ZERO);
    d.catalog.add_books(vec![book("The last copy", 1)], None).await.expect("the store works");
    let (first, second) = (SystemClock.new_order_id(), SystemClock.new_order_id());
    let (bought, refused) = tokio::join!(buy(&d, first), buy(&d, second));
    assert!(matches!(bought, Err(Error::Unavailable { .. })), "{bought:?}");
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert_eq!(d.orders.order(first).await, Err(Error::OrderNotFound { order: first }));
    assert_eq!(buy(&d, second).await.map(|receipt| receipt.replayed), Ok(false), "its copy is still there");
    assert_eq!((plan.tried(Append), plan.tried(Recover)), (3, 2));
}

/// A batch of replays and refusals writes nothing. If the store cannot confirm what it read for them, nobody is told of it.
#[tokio::test]
async fn what_the_store_does_not_confirm_is_not_told() {
    for setting in SETTINGS {
        let plan = Plan::new([(Confirm, 2, Before), (Confirm, 3, After)]);
        let d = failing(in_memory(), &plan, setting, Duration::ZERO);
        d.catalog.add_books(vec![book("The last copy", 1)], None).await.expect("listed");
        let (sold, late) = (SystemClock.new_order_id(), SystemClock.new_order_id());
        let receipt = buy(&d, sold).await.expect("there is one");
        assert_eq!(plan.tried(Confirm), 0, "a batch with entries confirms itself");
        assert_eq!(buy(&d, late).await, Err(Error::OutOfStock { book: BookId(1), available: 0, short: Vec::new() }));
        // The second time a refusal is not confirmed, the third time a replay.
        let unconfirmed = buy(&d, late).await.expect_err("it was not confirmed");
        assert!(matches!(unconfirmed, Error::Unavailable { .. }), "{unconfirmed:?}");
        let unconfirmed = buy(&d, sold).await.expect_err("it was not confirmed");
        assert!(matches!(unconfirmed, Error::Unavailable { .. }), "{unconfirmed:?}");
        let replay = buy(&d, sold).await.expect("the store works again");
        assert_eq!((replay.replayed, replay.order), (true, receipt.order));
        assert_eq!((plan.tried(Confirm), plan.tried(Recover)), (4, 3), "it is opened again after each failure");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_goes_on_after_a_failure() {
    use bookstore_core::store::sqlite::{self, SqliteOptions};
    for setting in SETTINGS {
        for (operation, moment) in [(Load, Before), (Append, Before), (Append, After), (Flush, Before), (Flush, After)]
        {
            for n in [1, 2, 6, 11] {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let options = SqliteOptions { execution: setting.0, ..SqliteOptions::default() };
                let opened = sqlite::open(&dir.path().join("a.db"), &SystemClock, options);
                let (store, reader) = opened.expect("a new file can be opened");
                assert!(one_failure((store, reader), (operation, n, moment), setting).await);
            }
        }
    }
}

#[cfg(all(unix, feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn postgres_goes_on_after_a_failure() {
    let Some(server) = crate::postgres::server::shared() else { return };
    let settings = SETTINGS.into_iter().filter(|(execution, _)| *execution == Execution::Threads);
    for setting in settings {
        for (operation, moment) in
            [(Load, Before), (Append, Refused), (Append, Before), (Append, After), (Flush, Before), (Flush, After)]
        {
            for n in [1, 2, 11] {
                let database = server.database();
                let opened = crate::postgres::open(&database.url()).await.expect("a new database can be opened");
                assert!(one_failure(opened, (operation, n, moment), setting).await);
            }
        }
    }
}

/// Many purchases at once, so that batches are on their way while another one fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_amid_many_purchases_tells_each_the_truth() {
    for setting in SETTINGS {
        for (operation, moment) in [(Load, Before), (Append, Before), (Append, After), (Flush, Before), (Flush, After)]
        {
            for forgetful in [false, true] {
                let plan = Plan::new([2, 5, 6].map(|n| (operation, n, moment)));
                let d = if forgetful {
                    failing(Forgetful::open(), &plan, setting, Duration::ZERO)
                } else {
                    failing(in_memory(), &plan, setting, Duration::ZERO)
                };
                d.catalog.add_books(vec![book("A book", 1000)], None).await.expect("the first operation works");
                let mut told = Vec::new();
                // In waves, until every fault has struck: how many batches a wave makes is up to the scheduler.
                while plan.struck() < 3 {
                    let buyers = (0..50).map(|_| {
                        let (d, id) = (d.clone(), SystemClock.new_order_id());
                        tokio::spawn(async move { (id, buy(&d, id).await) })
                    });
                    for buyer in buyers.collect::<Vec<_>>() {
                        told.push(buyer.await.expect("no panic"));
                    }
                    assert!(told.len() <= 1000, "the faults never struck");
                }
                settle(&d, 1000, &told).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_executed_until_the_store_is_open_again() {
    for setting in SETTINGS {
        for operation in [Load, Append, Flush] {
            // It recovers once at the start; then twice in vain.
            let plan = Plan::new([(operation, 3, Before), (Recover, 2, Before), (Recover, 3, Before)]);
            let d = failing(in_memory(), &plan, setting, Duration::ZERO);
            d.catalog.add_books(vec![book("A book", 100)], None).await.expect("listed");
            let first = buy(&d, SystemClock.new_order_id()).await;
            assert!(first.is_ok(), "{first:?}");
            let mut told = Vec::new();
            for expected in [leaves_doubt(operation, Before), false, false] {
                let id = SystemClock.new_order_id();
                let error = buy(&d, id).await.expect_err("the store does not work");
                assert_eq!(error.executed() == Executed::Unknown, expected, "{operation:?}: {error:?}");
                assert!(expected || matches!(error, Error::Unavailable { .. }), "{error:?}");
                assert_eq!(stock(&d).await, 99, "reads go on");
                told.push((id, Err(error)));
            }
            assert_eq!((plan.struck(), plan.tried(Recover)), (3, 3));
            told.push((first.as_ref().expect("bought").order.id, first));
            settle(&d, 100, &told).await;
            assert_eq!(plan.tried(Recover), 4);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_store_is_left_alone_for_a_while() {
    let plan = Plan::new([(Append, 2, After)]);
    let d = failing(in_memory(), &plan, (Execution::Task, 64), Duration::from_secs(5));
    d.catalog.add_books(vec![book("A book", 100)], None).await.expect("listed");
    let id = SystemClock.new_order_id();
    assert_eq!(buy(&d, id).await.expect_err("it failed").executed(), Executed::Unknown);
    for _ in 0..4 {
        assert!(matches!(buy(&d, id).await, Err(Error::Unavailable { .. })));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(plan.tried(Recover), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(buy(&d, id).await.map(|receipt| receipt.replayed), Ok(true), "it had been appended");
    assert_eq!(plan.tried(Recover), 2);
}

#[tokio::test]
async fn a_failed_store_is_left_alone_on_threads_too() {
    let plan = Plan::new([(Flush, 2, Before)]);
    let d = failing(in_memory(), &plan, (Execution::Threads, 64), Duration::from_secs(3600));
    d.catalog.add_books(vec![book("A book", 100)], None).await.expect("listed");
    let id = SystemClock.new_order_id();
    assert_eq!(buy(&d, id).await.expect_err("it failed").executed(), Executed::Unknown);
    for _ in 0..20 {
        assert!(matches!(buy(&d, id).await, Err(Error::Unavailable { .. })));
    }
    assert_eq!((plan.tried(Recover), stock(&d).await), (1, 100));
}

#[tokio::test]
async fn a_store_that_cannot_be_recovered_does_not_start() {
    for setting in SETTINGS {
        let plan = Plan::new([(Recover, 1, Before)]);
        let (store, reader) = in_memory();
        let store = Failing { store, plan };
        let clock = Arc::new(bookstore_core::ManualClock::new(Timestamp(0)));
        let started = Catalog::start(store, reader.clone(), reader, clock, options(setting, Duration::ZERO));
        assert!(started.is_err());
    }
}

/// A store that waits when it is opened, as one over a network.
struct Waits<S>(S);

impl<S: LedgerStore> LedgerStore for Waits<S> {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        tokio::task::yield_now().await;
        self.0.recover().await
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        self.0.load(keys, identities, state).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.0.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        self.0.append(batch, state).await
    }
}

#[tokio::test]
async fn a_store_that_waits_when_it_is_opened_needs_threads() {
    for (setting, opens) in [((Execution::Threads, 64), true), ((Execution::Task, 64), false)] {
        let (store, reader) = in_memory();
        let options = options(setting, Duration::ZERO);
        let opened = Catalog::start(Waits(store), reader.clone(), reader, Arc::new(SystemClock), options);
        assert_eq!(opened.is_ok(), opens, "{opened:?}");
    }
}

/// A writer that panics acknowledges nothing that is not durable, whichever half was at work.
#[tokio::test]
async fn what_a_panic_left_behind_is_not_acknowledged() {
    for setting in [(Execution::Threads, 0), (Execution::Threads, 64)] {
        let plan = Plan::new([(Flush, 2, Panic)]);
        let d = failing(in_memory(), &plan, setting, Duration::ZERO);
        d.catalog.add_books(vec![book("A book", 100)], None).await.expect("the first flush works");
        let error = buy(&d, SystemClock.new_order_id()).await.expect_err("it was never flushed");
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
        let later = buy(&d, SystemClock.new_order_id()).await;
        assert!(later.is_err(), "nobody makes it durable: {later:?}");
        assert_eq!(stock(&d).await, 100);
    }
}

/// Two small batches cost more than one, and the disk would have to be waited for anyway. Many wait, too, if the batch before them was
/// too small to be handed over.
#[tokio::test(start_paused = true)]
async fn few_commands_wait_for_the_flush_before_them_and_many_do_not() {
    const FLUSH: Duration = Duration::from_secs(1);
    for (overlap_min, firsts, batches_meanwhile) in
        [(0, 1, 3), (1, 4, 2), (1, 5, 3), (2, 8, 2), (2, 9, 3), (3, 13, 2), (64, 4, 2)]
    {
        let plan = Plan::slow(FLUSH, []);
        let (store, reader) = in_memory();
        let limits = WriterLimits { overlap_min, ..WriterLimits::default() };
        let store = Failing { store, plan: Arc::clone(&plan) };
        let d = deployment(
            store,
            reader,
            CatalogOptions { limits, execution: Execution::Task, ..CatalogOptions::default() },
        );
        d.catalog.add_books(vec![book("A book", 100)], None).await.expect("the store works");
        let buyer = || {
            let d = d.clone();
            tokio::spawn(async move { buy(&d, SystemClock.new_order_id()).await })
        };
        let first: Vec<_> = (0..firsts).map(|_| buyer()).collect();
        tokio::time::sleep(FLUSH / 4).await;
        let later = [buyer(), buyer()];
        tokio::time::sleep(FLUSH / 4).await;
        assert_eq!(
            plan.tried(Append),
            batches_meanwhile,
            "the listing, the first {firsts}, and the later two if they may, with {overlap_min}"
        );
        assert_eq!(plan.tried(Flush), 1, "the first buyers' flush is under way");
        for buyer in first.into_iter().chain(later) {
            buyer.await.expect("no panic").expect("there is enough");
        }
        assert_eq!(plan.tried(Append), 3, "the later two were one batch");
    }
}

/// If the runtime that opened the shop is gone, or nobody drives it, the
/// buyers of another one must be answered all the same.
#[test]
fn a_large_batch_is_answered_whatever_became_of_the_runtime_that_opened_the_shop() {
    use tokio::runtime::Builder;
    let open = async || {
        let (store, reader, hold) = Forgetful::tearing_at(u64::MAX);
        let d = deployment(store, reader, CatalogOptions::default());
        d.catalog.add_books(vec![book("A book", 1000)], None).await.expect("the store works");
        (d, hold)
    };
    let buyers = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for (mut opener, gone) in [(Builder::new_multi_thread(), true), (Builder::new_current_thread(), false)] {
        let opener = opener.enable_all().build().expect("a runtime");
        let (d, hold) = opener.block_on(open());
        let _idle = if gone {
            opener.shutdown_background();
            None
        } else {
            Some(opener)
        };
        // All of them wait before the first one's batch is appended, so the rest are one large batch.
        hold.set(true);
        let waiting = (0..1000).map(|_| {
            let (d, id) = (d.clone(), SystemClock.new_order_id());
            buyers.spawn(async move { (id, buy(&d, id).await) })
        });
        let waiting: Vec<_> = waiting.collect();
        // The runtime's one worker begins this task after those.
        buyers.block_on(async { tokio::spawn(async {}).await }).expect("no panic");
        hold.set(false);
        let told: Vec<_> = waiting.into_iter().map(|buyer| buyers.block_on(buyer).expect("no panic")).collect();
        assert!(
            told.iter().all(|(_, outcome)| outcome.is_ok()),
            "{:?}",
            told.iter().find(|(_, outcome)| outcome.is_err())
        );
        buyers.block_on(settle(&d, 1000, &told));
    }
}

/// A server that says that it is not ready gets no calls, so the store must be opened again without any.
#[tokio::test]
async fn a_catalog_says_whether_its_ledger_can_be_written_and_reopens_it() {
    for (operation, moment) in [(Append, Before), (Append, After), (Flush, After), (Load, Before)] {
        let plan = Plan::new([(operation, 2, moment)]);
        let (store, reader) = in_memory();
        let store = Failing { store, plan };
        let options = options((Execution::Threads, 64), Duration::ZERO);
        let catalog = Catalog::start(store, reader.clone(), reader, std::sync::Arc::new(SystemClock), options).unwrap();
        let writable = catalog.writable();
        catalog.add_books(vec![book("A book", 9)], None).await.unwrap();
        assert!(*writable.borrow());
        let sold = catalog.sell(SystemClock.new_order_id(), Lines::one(BookId(1), 1).unwrap()).await;
        assert!(sold.is_err() && !*writable.borrow(), "{operation:?} {moment:?}: {sold:?}");
        let head = catalog.head();
        for _ in 0..2 {
            catalog.reopen().await;
        }
        assert!(*writable.borrow(), "{operation:?} {moment:?}");
        assert!(catalog.head() <= head.next(), "it changes nothing itself");
        catalog.sell(SystemClock.new_order_id(), Lines::one(BookId(1), 1).unwrap()).await.unwrap();
    }
}

/// A large batch is answered by a task of the runtime that the catalog was started in. That runtime may be gone by then.
#[test]
fn answers_arrive_though_the_runtime_of_the_start_is_gone() {
    const SALES: u32 = 2_000;
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, callers) = (runtime(), runtime());
    let (store, reader) = in_memory();
    let d = first.block_on(async {
        let d = deployment(store, reader, CatalogOptions::default());
        d.catalog.add_books(vec![book("A book", SALES)], None).await.unwrap();
        d
    });
    first.shutdown_timeout(Duration::from_secs(10));
    callers.block_on(async {
        let line = || Lines::one(BookId(1), 1).expect("a good line");
        let sales = (0..SALES).map(|_| (SystemClock.new_order_id(), line())).collect();
        let answers = tokio::time::timeout(Duration::from_secs(30), d.catalog.sell_many(sales)).await.expect("answers");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(stock(&d).await, 0);
    });
}

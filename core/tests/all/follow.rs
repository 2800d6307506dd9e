//! Order servers' copies: they follow the ledger through failures, never a stranger's, and rebuild themselves.

use async_trait::async_trait;
use bookstore_core::{
    Amend, BookId, CatalogOptions, CatalogService, Clock as _, Entries, Error, FoundOrders, Kind, LedgerIdentity,
    Lines, Order, OrderId, OrderQuery, OrderScan, OrderService, Orders, Result, Seq, Status, SystemClock, Timestamp,
    follow::Follower,
    history::Hash,
    orders::{Ack, OrderReader},
    service::LedgerFeed,
    store::{Followed, LedgerCopy, LedgerReader, Projection, memory},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::fixture::{book, monolith, with_copy};

fn shop() -> (Arc<dyn CatalogService>, Arc<dyn OrderService>) {
    let (store, reader) = memory::open(&SystemClock);
    monolith(store, reader, CatalogOptions::default())
}

fn one() -> Lines {
    Lines::one(BookId(1), 1).expect("a good line")
}

/// A ledger with sales, returns and restocks among them, and the orders it makes, newest first.
async fn busy_shop(sales: usize) -> (Arc<dyn CatalogService>, Vec<Order>) {
    let (catalog, orders) = shop();
    catalog.add_books(vec![book("A book", 1_000_000)], None).await.expect("listed");
    let mut sold = Vec::new();
    for n in 0..sales {
        let mut order = orders.purchase(SystemClock.new_order_id(), one()).await.expect("bought").order;
        if n % 5 == 0 {
            order = orders.cancel(order.id).await.expect("cancelled").order;
        }
        if n % 7 == 0 {
            catalog.amend(BookId(1), Amend::StockDelta { delta: 1 }, None, None).await.expect("a restock");
        }
        sold.push(order);
    }
    sold.reverse();
    (catalog, sold)
}

async fn until_followed(follower: &Follower<impl Projection + 'static>, catalog: &Arc<dyn CatalogService>) {
    let head = catalog.entries(Seq(0), 1, Duration::ZERO).await.expect("the ledger can be read").head;
    let mut followed = follower.followed();
    let caught_up = followed.wait_for(|seq| *seq >= head);
    tokio::time::timeout(Duration::from_secs(30), caught_up).await.expect("in time").expect("it follows");
}

async fn assert_copied(copy: &dyn LedgerCopy, orders: &[Order]) {
    assert_eq!(copy.orders(None, 10_000).await.as_deref(), Ok(orders));
    for order in orders.iter().step_by(37) {
        assert_eq!(copy.order(order.id).await, Ok(Some(order.clone())));
    }
    let older = copy.orders(Some(orders[2].seq), 4).await;
    assert_eq!(older.as_deref(), Ok(&orders[3..7]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_copy_rebuilds_itself_from_the_ledger() {
    let (catalog, orders) = busy_shop(1200).await;
    let copy = Arc::new(memory::MemoryCopy::new());
    let follower = Follower::start(Arc::clone(&catalog), copy.clone()).await.expect("a new copy");
    until_followed(&follower, &catalog).await;
    assert_copied(copy.as_ref(), &orders).await;
    let mut caught_up = follower.caught_up();
    caught_up.wait_for(|caught_up| *caught_up).await.expect("it follows");
}

/// A copy whose every third append fails, before or after the deed in turn.
struct Flaky {
    copy: memory::MemoryCopy,
    appends: AtomicU64,
}

#[async_trait]
impl Projection for Flaky {
    async fn followed(&self) -> Result<Followed> {
        self.copy.followed().await
    }

    async fn rewind(&self, fork: Seq) -> Result<u64> {
        self.copy.rewind(fork).await
    }

    async fn append(&self, page: Entries) -> Result<()> {
        let failed = || Err(Error::unknown("injected"));
        match self.appends.fetch_add(1, Ordering::SeqCst) % 6 {
            2 => failed(),
            5 => {
                self.copy.append(page).await?;
                failed()
            }
            _ => self.copy.append(page).await,
        }
    }
}

#[async_trait]
impl LedgerFeed for Flaky {
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries> {
        self.copy.page(after, limit).await
    }
}

#[async_trait]
impl OrderReader for Flaky {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.copy.order(id).await
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        self.copy.find_orders(scan).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_goes_on_where_it_stands() {
    let (catalog, orders) = shop();
    catalog.add_books(vec![book("A book", 1_000)], None).await.expect("listed");
    let copy = Arc::new(Flaky { copy: memory::MemoryCopy::new(), appends: AtomicU64::new(0) });
    let follower = Follower::start(Arc::clone(&catalog), copy.clone()).await.expect("a new copy");
    let mut sold = Vec::new();
    // One append at a time, so that each kind of failure is met twice.
    for _ in 0..12 {
        sold.push(orders.purchase(SystemClock.new_order_id(), one()).await.expect("bought").order);
        until_followed(&follower, &catalog).await;
    }
    sold.reverse();
    assert_copied(copy.as_ref(), &sold).await;
    assert!(copy.appends.load(Ordering::SeqCst) >= 12);
}

/// A copy that takes nothing in.
struct Stuck;

#[async_trait]
impl Projection for Stuck {
    async fn followed(&self) -> Result<Followed> {
        Ok(Followed::default())
    }

    async fn rewind(&self, _fork: Seq) -> Result<u64> {
        Err(Error::unavailable("injected"))
    }

    async fn append(&self, _page: Entries) -> Result<()> {
        Err(Error::unavailable("injected"))
    }
}

#[async_trait]
impl LedgerFeed for Stuck {
    async fn page(&self, _after: Seq, _limit: usize) -> Result<Entries> {
        Err(Error::unavailable("injected"))
    }
}

#[async_trait]
impl OrderReader for Stuck {
    async fn order(&self, _id: OrderId) -> Result<Option<Order>> {
        Ok(None)
    }

    async fn find_orders(&self, _: OrderScan) -> Result<FoundOrders> {
        Ok(FoundOrders::default())
    }
}

#[tokio::test]
async fn a_purchase_that_is_not_copied_in_time_is_unknown_and_exists() {
    let (catalog, _) = shop();
    catalog.add_books(vec![book("A book", 10)], None).await.expect("listed");
    let ack = Ack::Copied { wait: Duration::from_millis(50) };
    let orders = with_copy(Arc::clone(&catalog), Arc::new(Stuck), ack).await;
    let id = SystemClock.new_order_id();
    let outcome = orders.purchase(id, one()).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown { order: Some(order), .. }) if order == id), "{outcome:?}");
    // This server knows nothing of it, but the ledger does.
    let order = orders.order(id).await.expect("looked up in the ledger");
    assert_eq!((order.id, order.status), (id, Status::Placed));
    assert_eq!(orders.orders(OrderQuery::default()).await.map(|page| page.orders), Ok(Vec::new()));
    assert_eq!(catalog.info(BookId(1)).await.map(|book| book.stock), Ok(9));
    // Without waiting for the copy, the same server sells.
    let orders = with_copy(catalog, Arc::new(Stuck), Ack::Ledger).await;
    assert_eq!(orders.purchase(id, one()).await.map(|receipt| receipt.replayed), Ok(true));
    let cancelled = orders.cancel(id).await.expect("cancelled").order;
    assert_eq!(orders.order(id).await, Ok(cancelled));
}

#[tokio::test]
async fn of_a_batch_only_what_is_not_copied_in_time_is_unknown() {
    let (catalog, _) = shop();
    catalog.add_books(vec![book("A book", 10)], None).await.expect("listed");
    let [early, late, short] = std::array::from_fn(|_| SystemClock.new_order_id());
    let copied = catalog.sell(early, one()).await.expect("there are ten").order;
    let (_follower, followed) = tokio::sync::watch::channel(copied.seq);
    let reader = Arc::new(Behind(vec![copied]));
    let ack = Ack::Copied { wait: Duration::from_millis(50) };
    let orders = Orders::new(Arc::clone(&catalog), reader).acknowledge(ack, followed);
    let many = vec![(late, one()), (early, one()), (short, Lines::one(BookId(1), 100).expect("a good line"))];
    let late_id = late;
    let [late, early, short] = orders.purchase_many(many).await.try_into().expect("three answers");
    assert!(matches!(late, Err(Error::OutcomeUnknown { order: Some(order), .. }) if order == late_id), "{late:?}");
    assert_eq!(early.map(|receipt| receipt.replayed), Ok(true));
    assert_eq!(short, Err(Error::OutOfStock { book: BookId(1), available: 8, short: Vec::new() }));
}

/// A copy that shows orders as they were placed, whatever has happened since.
struct Behind(Vec<Order>);

#[async_trait]
impl OrderReader for Behind {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(self.0.iter().find(|order| order.id == id).cloned())
    }

    async fn find_orders(&self, _: OrderScan) -> Result<FoundOrders> {
        Ok(FoundOrders::default())
    }
}

/// An order server that reads from [`Behind`], another one over the same catalogue, and orders that were placed.
async fn behind(orders: usize) -> (Orders, Arc<dyn OrderService>, Vec<Order>) {
    let (catalog, other) = shop();
    catalog.add_books(vec![book("A book", 10_000)], None).await.expect("listed");
    let mut placed = Vec::new();
    for _ in 0..orders {
        placed.push(other.purchase(SystemClock.new_order_id(), one()).await.expect("bought").order);
    }
    (Orders::new(catalog, Arc::new(Behind(placed.clone()))), other, placed)
}

async fn status(orders: &Orders, order: &Order) -> Status {
    orders.order(order.id).await.expect("it exists").status
}

#[tokio::test]
async fn a_cancellation_shows_at_once_where_it_was_heard_of() {
    let (orders, other, placed) = behind(4).await;
    for order in &placed[..2] {
        orders.cancel(order.id).await.expect("cancelled");
    }
    assert_eq!(status(&orders, &placed[0]).await, Status::Cancelled);
    assert_eq!(status(&orders, &placed[1]).await, Status::Cancelled);
    assert_eq!(status(&orders, &placed[2]).await, Status::Placed);
    // Through another server, it shows when the copy has followed, or when the buyer tries again here.
    other.cancel(placed[3].id).await.expect("cancelled");
    assert_eq!(status(&orders, &placed[3]).await, Status::Placed);
    let again = orders.purchase(placed[3].id, one()).await;
    assert!(matches!(again, Err(Error::OrderCancelled { .. })), "{again:?}");
    assert_eq!(status(&orders, &placed[3]).await, Status::Cancelled);
}

#[tokio::test]
async fn the_cancellations_that_a_server_remembers_are_bounded() {
    let (orders, _, placed) = behind(1025).await;
    for order in &placed {
        orders.cancel(order.id).await.expect("cancelled");
    }
    assert_eq!(status(&orders, &placed[0]).await, Status::Placed, "as the copy says");
    for order in &placed[1..] {
        assert_eq!(status(&orders, order).await, Status::Cancelled);
    }
}

#[tokio::test]
async fn a_copy_does_not_follow_an_older_ledger_or_a_stranger() {
    let (long, _) = busy_shop(20).await;
    let (short, _) = busy_shop(5).await;
    let copy = Arc::new(memory::MemoryCopy::new());
    let follower = Follower::start(Arc::clone(&long), copy.clone()).await.expect("a new copy");
    until_followed(&follower, &long).await;
    drop(follower);
    let followed = copy.followed().await.expect("read");
    for stranger in [short, busy_shop(40).await.0] {
        let follower = Follower::start(stranger, copy.clone()).await.expect("the copy can be read");
        let mut caught_up = follower.caught_up();
        // Long enough for several tries; it must not give in.
        let caught_up = tokio::time::timeout(Duration::from_millis(300), caught_up.wait_for(|caught_up| *caught_up));
        assert!(caught_up.await.is_err(), "it took up with a stranger");
        assert_eq!(copy.followed().await.as_ref(), Ok(&followed));
        assert!(follower.refused().borrow().is_some(), "it says why");
    }
}

/// What every copy must do, whatever it is made of.
async fn keeps_its_contract(copy: &dyn LedgerCopy) {
    let (catalog, orders) = busy_shop(30).await;
    let page =
        async |after, limit| catalog.entries(Seq(after), limit, Duration::ZERO).await.expect("the ledger can be read");
    let Entries { identity, entries, after: end, .. } = page(0, 1000).await;
    assert_eq!(copy.followed().await, Ok(Followed::default()));
    assert!(copy.append(page(1, 4).await).await.is_err(), "it does not begin in the middle");
    copy.append(page(0, 10).await).await.expect("the beginning");
    let hash = page(10, 1).await.before.expect("the ledger is longer");
    let ten = Followed { identity: Some(identity.clone()), seq: Seq(10), hash };
    assert_eq!(copy.followed().await.as_ref(), Ok(&ten));
    let before = copy.orders(None, 1000).await.expect("read");
    let next = page(10, 10).await;
    let mut holed = next.clone();
    holed.entries.remove(5);
    let stranger =
        Entries { identity: LedgerIdentity::new(SystemClock.new_id(), SystemClock.new_id()), ..next.clone() };
    let other_history = Entries { before: page(9, 1).await.before, ..next.clone() };
    let no_history = Entries { before: None, ..next };
    let refused = [page(11, 9).await, page(9, 11).await, page(0, 10).await, holed, stranger, other_history, no_history];
    for (n, page) in refused.into_iter().enumerate() {
        assert!(copy.append(page).await.is_err(), "{n} must be refused");
        assert_eq!(copy.followed().await.as_ref(), Ok(&ten));
        assert_eq!(copy.orders(None, 1000).await.as_ref(), Ok(&before), "all or nothing");
    }
    for after in 10..entries.len() as u64 {
        copy.append(page(after, 1).await).await.expect("the next entry");
    }
    copy.append(page(entries.len() as u64, 1).await).await.expect("nothing is fine");
    let all = Followed { identity: Some(identity), seq: Seq(entries.len() as u64), hash: end };
    assert_eq!(copy.followed().await, Ok(all));
    assert_eq!(copy.orders(None, 1000).await.as_ref(), Ok(&orders));
    assert!(entries.iter().any(|entry| entry.kind == Kind::Return) && orders.iter().any(|o| o.cancelled_at.is_some()));
    for order in &orders {
        assert_eq!(copy.order(order.id).await, Ok(Some(order.clone())));
    }
    assert_eq!(copy.order(SystemClock.new_order_id()).await, Ok(None));
    assert_eq!(copy.orders(Some(orders[4].seq), 3).await, Ok(orders[5..8].to_vec()));
    assert_eq!(copy.orders(Some(Seq(0)), 3).await, Ok(Vec::new()));
    let altered = page(0, 1000).await;
    let other = Entries { after: Hash([7; 32]), ..altered };
    // It gives the same pages as the ledger.
    for (after, limit) in [(0, 7), (7, 100), (19, 1), (entries.len() as u64, 5)] {
        let (own, ledger) = (copy.page(Seq(after), limit).await.expect("read"), page(after, limit).await);
        assert_eq!(Entries { incarnation: ledger.incarnation, ..own }, ledger, "after {after}");
    }
    assert_eq!(copy.page(Seq(u64::MAX), 1).await.map(|page| (page.before, page.after)), Ok((None, end)));
    // Back to entry 20, wherever the batches end, and on from there.
    assert_eq!(copy.rewind(Seq(21)).await, Ok(entries.len() as u64 - 20));
    let twenty = page(20, 1000).await;
    let back = copy.followed().await.expect("read");
    assert_eq!((back.seq, Some(back.hash)), (Seq(20), twenty.before));
    let placed = copy.orders(None, 1000).await.expect("read");
    assert!(placed.iter().all(|order| order.seq <= Seq(20)) && placed.len() < orders.len());
    let mut altered = twenty.clone();
    altered.entries[0].at = Timestamp(1);
    assert!(copy.append(altered).await.is_err(), "the hash is not theirs");
    copy.append(twenty).await.expect("the rest");
    assert_eq!(copy.orders(None, 1000).await.as_ref(), Ok(&orders));
    // And from the first entry on.
    assert_eq!(copy.rewind(Seq(1)).await, Ok(entries.len() as u64));
    assert_eq!(copy.orders(None, 1000).await, Ok(Vec::new()));
    assert!(copy.append(other).await.is_err(), "the hash is not theirs");
    copy.append(page(0, 1000).await).await.expect("from the beginning");
    assert_eq!(copy.orders(None, 1000).await.as_ref(), Ok(&orders));
}

#[tokio::test]
async fn memory_keeps_the_contract_of_a_copy() {
    keeps_its_contract(&memory::MemoryCopy::new()).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use bookstore_core::{
        BookId, Clock as _, Lines, Seq, SystemClock,
        follow::Follower,
        orders::{Ack, OrderReader as _},
        store::{
            Projection as _, StoreError,
            sqlite::{SqliteCopy, SqliteOptions, open},
        },
        writer::Execution,
    };
    use std::{path::Path, sync::Arc};

    use super::{busy_shop, keeps_its_contract, until_followed};
    use crate::fixture::with_copy;

    fn copy(path: &Path, execution: Execution) -> Result<SqliteCopy, StoreError> {
        SqliteCopy::open(path, SqliteOptions { execution, ..SqliteOptions::default() })
    }

    #[tokio::test]
    async fn sqlite_keeps_the_contract_of_a_copy() {
        for execution in [Execution::Threads, Execution::Task] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            keeps_its_contract(&copy(&dir.path().join("copy.db"), execution).expect("a new copy")).await;
            let unsynced =
                copy(&dir.path().join("unsynced.db"), execution).and_then(|copy| copy.acknowledging(Ack::Ledger));
            keeps_its_contract(&unsynced.expect("a new copy")).await;
        }
    }

    #[tokio::test]
    async fn a_copy_knows_after_a_restart_where_it_stood() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("copy.db");
        let (catalog, orders) = busy_shop(50).await;
        let first = Arc::new(copy(&path, Execution::Threads).expect("a new copy"));
        let follower = Follower::start(Arc::clone(&catalog), first.clone()).await.expect("the copy can be read");
        until_followed(&follower, &catalog).await;
        let followed = first.followed().await.expect("read");
        drop((follower, first));
        let again = {
            // The follower's task is aborted, not joined: it may hold the file for a moment.
            let mut tries = 0;
            loop {
                match copy(&path, Execution::Threads) {
                    Err(StoreError::InUse(_)) if tries < 100 => tries += 1,
                    opened => break opened.expect("the same copy"),
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(again.followed().await, Ok(followed));
        assert_eq!(again.orders(None, 1000).await.as_ref(), Ok(&orders));
        // And goes on from there.
        let again = Arc::new(again);
        let server =
            with_copy(Arc::clone(&catalog), again.clone(), Ack::Copied { wait: std::time::Duration::from_secs(20) });
        let line = Lines::one(BookId(1), 1).expect("a good line");
        let bought = server.await.purchase(SystemClock.new_order_id(), line).await.expect("bought and copied").order;
        assert_eq!(again.order(bought.id).await, Ok(Some(bought)));
        let head = catalog.entries(Seq(0), 1, std::time::Duration::ZERO).await.expect("read").head;
        assert_eq!(again.followed().await.map(|followed| followed.seq), Ok(head));
    }

    #[tokio::test]
    async fn a_ledger_and_a_copy_are_not_mixed_up() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (ledger_path, copy_path) = (dir.path().join("ledger.db"), dir.path().join("copy.db"));
        drop(open(&ledger_path, &SystemClock, SqliteOptions::default()).expect("a new ledger"));
        drop(copy(&copy_path, Execution::Threads).expect("a new copy"));
        assert!(matches!(copy(&ledger_path, Execution::Threads), Err(StoreError::Unusable(_))));
        let opened = open(&copy_path, &SystemClock, SqliteOptions::default());
        assert!(matches!(opened, Err(StoreError::Unusable(_))));
    }
}

#[tokio::test]
async fn a_ledger_is_read_alike_from_the_store_and_from_memory() {
    let (store, reader) = memory::open(&SystemClock);
    let stored: Arc<dyn LedgerReader> = reader.clone();
    let (catalog, orders) = monolith(store, reader, CatalogOptions::default());
    catalog.add_books(vec![book("A book", 1_000_000)], None).await.expect("listed");
    // More than are kept at hand.
    let sales = (0..6_000).map(|_| orders.purchase(SystemClock.new_order_id(), one()));
    assert!(futures_util::future::join_all(sales).await.iter().all(Result::is_ok));
    let mut whole = Vec::new();
    while whole.len() < 6_001 {
        let page = stored.entries(Seq(whole.len() as u64), Seq(6_001), 1000).await.expect("the store can be read");
        whole.extend(page);
    }
    assert!(whole[0].text.is_some() && whole[1].text.is_none());
    for after in [0, 1, 1_904, 1_905, 1_906, 5_000, 5_999, 6_000, 6_001] {
        let page = catalog.entries(Seq(after), 1000, Duration::ZERO).await.expect("the ledger can be read");
        let from = usize::try_from(after).expect("small");
        assert_eq!(page.entries, whole[from..(from + 1000).min(6_001)], "after {after}");
        assert_eq!(page.head, Seq(6_001));
        let last = page.entries.last().map_or(Seq(0), |last| last.seq);
        assert_eq!(Ok(page.batch_ends), stored.batch_ends(Seq(after), last).await);
    }
}

/// It followed a ledger that went back since, and would otherwise learn it only at the end of its wait.
#[tokio::test]
async fn whoever_is_beyond_the_end_does_not_wait() {
    let (catalog, _) = busy_shop(3).await;
    let beyond = catalog.entries(Seq(99), 1, Duration::from_secs(30));
    let page = tokio::time::timeout(Duration::from_secs(10), beyond).await.expect("at once").expect("an answer");
    assert_eq!((page.before, page.entries.len()), (None, 0));
}

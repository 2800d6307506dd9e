//! Going on after the catalog's disk is lost: a copy becomes the ledger, and the old catalog must not sell beside it.

use bookstore_core::{
    BookId, Catalog, CatalogService as _, Clock as _, Error, Executed, Order, OrderService as _, Orders, Query, Seq,
    SystemClock,
    audit::{self, Comparison},
    fixtures::book,
    follow::Follower,
    history::Relation,
    service::LedgerFeed,
    store::{
        Projection,
        memory::MemoryCopy,
        sqlite::{self, SqliteCopy, SqliteOptions, promote},
    },
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

use crate::restore::{close, one, open};

async fn sell(catalog: &Catalog, count: usize) -> Vec<Order> {
    let sales = (0..count).map(|_| catalog.sell(SystemClock.new_order_id(), one()));
    let sold = futures_util::future::join_all(sales).await;
    sold.into_iter().map(|receipt| receipt.expect("there are enough").order).collect()
}

/// A shop with two copies, of which the second one has followed further.
struct Shop {
    folder: TempDir,
    catalog: Arc<Catalog>,
    behind: Arc<MemoryCopy>,
    ahead: Arc<SqliteCopy>,
    /// What both have; what only the one ahead has; what no copy has.
    orders: [Vec<Order>; 3],
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = open(&folder.path().join("shop.db")).expect("a new file");
        catalog.add_books(vec![book("A book", 100), book("Another book", 7)], None).await.expect("added");
        let ahead = SqliteCopy::open(&folder.path().join("copy.db"), SqliteOptions::default()).expect("a new file");
        let (behind, ahead) = (Arc::new(MemoryCopy::new()), Arc::new(ahead));
        let first = sell(&catalog, 5).await;
        follow(&catalog, behind.as_ref(), 1000).await;
        let second = sell(&catalog, 20).await;
        // It ends within a batch.
        follow(&catalog, ahead.as_ref(), 18).await;
        let third = sell(&catalog, 2).await;
        let (copied, lost) = second.split_at(18 - 7);
        let lost = [lost, &third].concat();
        Self { folder, catalog, behind, ahead, orders: [first, copied.to_vec(), lost] }
    }
}

/// Follows up to an entry.
async fn follow(catalog: &Catalog, copy: &impl Projection, to: u64) {
    let after = copy.followed().await.expect("read").seq;
    let limit = usize::try_from(to - after.0).expect("small").min(1000);
    copy.append(catalog.page(after, limit).await.expect("read")).await.expect("it continues");
}

/// An order server over a catalog with this copy, once it has compared the two.
async fn order_server(catalog: &Arc<Catalog>, copy: &Arc<MemoryCopy>) -> (Orders, Arc<Follower<MemoryCopy>>) {
    let follower = Arc::new(Follower::start(catalog.clone(), copy.clone()).await.expect("a copy"));
    let mut caught_up = follower.caught_up();
    let caught_up = caught_up.wait_for(|caught_up| *caught_up);
    tokio::time::timeout(Duration::from_secs(30), caught_up).await.expect("in time").expect("it follows");
    (Orders::new(catalog.clone(), follower.clone()).refuse_while(follower.refused()), follower)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_becomes_the_ledger_and_the_other_copy_follows_it() {
    let Shop { folder, catalog, behind, ahead, orders: [first, second, lost] } = Shop::new().await;
    let old = catalog.identity().clone();
    close(catalog).await;
    let new = folder.path().join("new.db");
    let mut steps = Vec::new();
    let promoted = promote(ahead.as_ref(), &new, &SystemClock, |at, of| steps.push((at, of))).await.expect("promoted");
    assert_eq!((promoted.head, steps), (Seq(19), vec![(Seq(18), Seq(18))]));
    assert_eq!(old.relation(&promoted.identity), Relation::Newer(Seq(19)));
    let catalog = open(&new).expect("a ledger");
    let (summary, findings) = audit::audit(catalog.as_ref()).await.expect("read");
    assert_eq!((summary.books, summary.sales, findings), (2, 16, Vec::new()));
    assert_eq!(catalog.info(BookId(1)).await.expect("there").stock, 84);
    assert_eq!(catalog.search(Query::words("another")).await.expect("searched").books[0].id, BookId(2));
    let (orders, follower) = order_server(&catalog, &behind).await;
    for order in first.iter().chain(&second) {
        assert_eq!(orders.order(order.id).await.as_ref(), Ok(order));
    }
    assert!(behind.set_aside().is_empty());
    for order in lost {
        assert!(matches!(orders.order(order.id).await, Err(Error::OrderNotFound { .. })), "it was in no copy");
        // Its buyer tries again and buys once.
        assert!(!orders.purchase(order.id, one()).await.expect("there are enough").replayed);
    }
    // The hash goes on from where the copy ended, within a batch.
    let page = catalog.page(Seq(0), 1000).await.expect("read");
    assert_eq!(page.batch_ends.iter().find(|end| **end >= Seq(18)), Some(&Seq(18)));
    drop(follower);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_catalog_stops_at_the_first_call_that_shows_it_the_newer_timeline() {
    let Shop { folder, catalog: old, ahead, .. } = Shop::new().await;
    let new = folder.path().join("new.db");
    let promoted = promote(ahead.as_ref(), &new, &SystemClock, |_, _| {}).await.expect("promoted");
    sell(&old, 1).await;
    assert!(old.check_history(&old.identity().clone()).await.is_ok());
    let mut stranger = promoted.identity.clone();
    stranger.ledger = SystemClock.new_id();
    assert!(old.check_history(&stranger).await.is_ok(), "another ledger says nothing about this one");
    let writable = old.writable();
    let refused = old.check_history(&promoted.identity).await.expect_err("it is newer").to_string();
    assert!(refused.contains("restore --replace"), "{refused}");
    let check = async |catalog: &Catalog| {
        let refused = catalog.sell(SystemClock.new_order_id(), one()).await.expect_err("it is superseded");
        assert!(refused.executed() == Executed::No && refused.to_string().contains("newer timeline"), "{refused}");
        assert!(catalog.check_history(&catalog.identity().clone()).await.is_err());
    };
    check(&old).await;
    assert!(!*writable.borrow());
    let head = old.head();
    close(old).await;
    // Durably: also after a restart, whoever calls.
    let old = open(&folder.path().join("shop.db")).expect("it can be read");
    check(&old).await;
    assert_eq!(old.head(), head);
    assert!(!*old.writable().borrow());
    assert_eq!(old.info(BookId(2)).await.expect("there").stock, 7, "what is there can be read");
    close(old).await;
    // The new one is not stopped by the old one's history.
    let new = open(&new).expect("a ledger");
    assert!(new.check_history(&Shop::new().await.catalog.identity().clone()).await.is_ok());
    sell(&new, 1).await;
    // And whoever decides for the old one goes back to it.
    close(new).await;
    let backup = folder.path().join("backup.db");
    sqlite::backup(&folder.path().join("shop.db"), &backup).expect("written");
    sqlite::restore_replacing(&backup, &folder.path().join("shop.db"), &SystemClock).expect("nobody has it open");
    let back = open(&folder.path().join("shop.db")).expect("a ledger");
    sell(&back, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_promoted_leaves_nothing_behind() {
    let Shop { folder, ahead, .. } = Shop::new().await;
    let shop = folder.path().join("shop.db");
    let refused = promote(ahead.as_ref(), &shop, &SystemClock, |_, _| {}).await.expect_err("it is there");
    assert!(refused.to_string().contains("exists already"), "{refused}");
    let new = folder.path().join("new.db");
    let empty = promote(&MemoryCopy::new(), &new, &SystemClock, |_, _| {}).await.expect_err("there is nothing");
    assert!(empty.to_string().contains("followed nothing"), "{empty}");
    assert!(!new.exists());
    let again = promote(ahead.as_ref(), &new, &SystemClock, |_, _| {}).await;
    assert!(again.is_ok(), "what the failed one has left is no obstacle");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_compared_by_their_hashes() {
    let Shop { folder, catalog, behind, ahead, .. } = Shop::new().await;
    let compare = async |ledger: &dyn LedgerFeed, copy: &dyn LedgerFeed| audit::compare(ledger, copy).await;
    let (catalog, behind, ahead) = (catalog.as_ref(), behind.as_ref(), ahead.as_ref());
    assert_eq!(compare(catalog, behind).await, Ok(Comparison::Same { followed: Seq(7), behind: 22 }));
    assert_eq!(compare(catalog, ahead).await, Ok(Comparison::Same { followed: Seq(18), behind: 11 }));
    assert_eq!(compare(behind, ahead).await, Ok(Comparison::Ahead { followed: Seq(18), by: 11 }));
    let stranger = Shop::new().await;
    assert_eq!(compare(stranger.catalog.as_ref(), behind).await, Ok(Comparison::OtherLedger));
    let new = folder.path().join("new.db");
    promote(ahead, &new, &SystemClock, |_, _| {}).await.expect("promoted");
    let new = open(&new).expect("a ledger");
    sell(&new, 40).await;
    assert_eq!(compare(new.as_ref(), catalog).await, Ok(Comparison::Differs { from: Seq(19), followed: Seq(29) }));
    assert_eq!(compare(catalog, new.as_ref()).await, Ok(Comparison::Differs { from: Seq(19), followed: Seq(59) }));
}

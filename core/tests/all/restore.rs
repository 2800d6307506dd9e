//! Going back to a backup: what follows the ledger must notice, and nothing may disappear in silence.

use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService, Clock as _, Error, Executed, LedgerIdentity, Lines, Order,
    OrderId, OrderService as _, Orders, Seq, SystemClock,
    fixtures::book,
    follow::Follower,
    history::Relation,
    store::{
        Projection as _, StoreError,
        memory::MemoryCopy,
        sqlite::{self, Restored, Snapshot, SqliteCopy, SqliteOptions},
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// A shop whose order server has followed its ledger for longer than the backup.
struct Shop {
    folder: TempDir,
    copy: Arc<MemoryCopy>,
    /// Orders that the backup has, and those that were sold later.
    kept: Vec<Order>,
    lost: Vec<Order>,
}

pub(crate) fn open(path: &Path) -> Result<Arc<Catalog>, StoreError> {
    let (store, reader) = sqlite::open(path, &SystemClock, SqliteOptions::default())?;
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())?;
    Ok(Arc::new(catalog))
}

pub(crate) async fn close(catalog: Arc<Catalog>) {
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
}

async fn sell(catalog: &Catalog, count: usize) -> Vec<Order> {
    let mut sold = Vec::new();
    for _ in 0..count {
        sold.push(catalog.sell(SystemClock.new_order_id(), one()).await.expect("there are enough").order);
    }
    sold
}

pub(crate) fn one() -> Lines {
    Lines::one(BookId(1), 1).expect("a good line")
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.db");
        let catalog = open(&path).expect("a new file");
        catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
        let kept = sell(&catalog, 3).await;
        sqlite::backup(&path, &folder.path().join("backup.db")).expect("written");
        let lost = sell(&catalog, 2).await;
        let copy = Arc::new(MemoryCopy::new());
        let follower = Follower::start(catalog.clone(), copy.clone()).await.expect("an empty copy");
        follower.caught_up().wait_for(|caught_up| *caught_up).await.expect("it follows");
        drop(follower);
        close(catalog).await;
        Self { folder, copy, kept, lost }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    fn replace(&self) -> Result<Restored, StoreError> {
        sqlite::restore_replacing(&self.backup(), &self.path(), &SystemClock)
    }

    /// An order server over the shop's catalog and its copy, once it has compared the two.
    async fn order_server(&self, catalog: &Arc<Catalog>) -> (Orders, Arc<Follower<MemoryCopy>>) {
        let follower = Arc::new(Follower::start(catalog.clone(), self.copy.clone()).await.expect("a copy"));
        let (mut caught_up, mut refused) = (follower.caught_up(), follower.refused());
        let compared = async {
            tokio::select! {
                _ = caught_up.wait_for(|caught_up| *caught_up) => {}
                _ = refused.wait_for(Option::is_some) => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(30), compared).await.expect("in time");
        let orders = Orders::new(catalog.clone(), follower.clone()).refuse_while(follower.refused());
        let orders = orders.forget_with(follower.pinned());
        (orders, follower)
    }

    /// Asserts that an order server neither follows this catalog nor sells through it, and says `why`.
    async fn is_refused(&self, catalog: &Arc<Catalog>, why: &str) {
        let (orders, follower) = self.order_server(catalog).await;
        let refused = orders.purchase(SystemClock.new_order_id(), one()).await.expect_err("it must not sell");
        assert!(refused.executed() == Executed::No && refused.to_string().contains(why), "{refused}");
        assert!(follower.pinned().current().is_err(), "nothing is pinned");
        assert_eq!(orders.order(self.lost[1].id).await.as_ref(), Ok(&self.lost[1]), "orders can be read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_follow_a_backup_that_was_restored_and_set_aside_what_it_lacks() {
    let shop = Shop::new().await;
    let Restored { identity, head, replaced } = shop.replace().expect("nobody has it open");
    assert_eq!((head, identity.timelines.len(), identity.timelines[1].begins_at), (Seq(5), 2, Seq(5)));
    let catalog = open(&shop.path()).expect("a ledger");
    let (orders, follower) = shop.order_server(&catalog).await;
    assert_eq!(*follower.refused().borrow(), None);
    assert_eq!(shop.copy.set_aside(), shop.lost);
    let sold = orders.purchase(SystemClock.new_order_id(), one()).await.expect("there are 97").order;
    assert_eq!(sold.seq, Seq(6));
    for order in &shop.kept {
        assert_eq!(orders.order(order.id).await.as_ref(), Ok(order));
    }
    assert!(matches!(orders.order(shop.lost[0].id).await, Err(Error::OrderNotFound { .. })));
    drop((orders, follower));
    close(catalog).await;
    let kept = open(&replaced.expect("there was one")).expect("it is kept whole");
    assert_eq!(kept.find_order(shop.lost[1].id).await.as_ref(), Ok(&shop.lost[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_moved_into_place_is_refused_however_long_it_grows() {
    let shop = Shop::new().await;
    fs::copy(shop.backup(), shop.path()).expect("copied");
    let catalog = open(&shop.path()).expect("a ledger");
    shop.is_refused(&catalog, "restore --replace").await;
    // Beyond the copy's last entry, whose number it has, too.
    sell(&catalog, 10).await;
    shop.is_refused(&catalog, "restore --replace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_catalog_that_comes_back_is_refused() {
    let shop = Shop::new().await;
    let replaced = shop.replace().expect("nobody has it open").replaced.expect("there was one");
    let catalog = open(&shop.path()).expect("a ledger");
    let (_, follower) = shop.order_server(&catalog).await;
    drop(follower);
    let old = open(&replaced).expect("a ledger");
    let (orders, _follower) = shop.order_server(&old).await;
    let refused = orders.purchase(SystemClock.new_order_id(), one()).await.expect_err("it is too old").to_string();
    assert!(refused.contains("older timeline"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_restores_of_one_backup_are_no_history_of_each_other() {
    let shop = Shop::new().await;
    let first = shop.replace().expect("nobody has it open");
    let catalog = open(&shop.path()).expect("a ledger");
    let (_, follower) = shop.order_server(&catalog).await;
    drop(follower);
    close(catalog).await;
    let second = shop.replace().expect("nobody has it open");
    assert_eq!(first.identity.relation(&second.identity), Relation::Unrelated);
    let catalog = open(&shop.path()).expect("a ledger");
    let (orders, _follower) = shop.order_server(&catalog).await;
    orders.purchase(SystemClock.new_order_id(), one()).await.expect_err("neither went on from the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_a_drill_is_another_ledger() {
    let shop = Shop::new().await;
    let drill = shop.folder.path().join("drill.db");
    let restored = sqlite::restore_copy(&shop.backup(), &drill, &SystemClock).expect("a new file");
    assert_eq!((restored.head, restored.replaced), (Seq(4), None));
    let original =
        Snapshot::open(&shop.backup()).and_then(|mut file| file.identity()).expect("a ledger").expect("an id");
    assert_eq!(original.relation(&restored.identity), Relation::Unrelated);
    let again = sqlite::restore_copy(&shop.backup(), &drill, &SystemClock).expect_err("it is there").to_string();
    assert!(again.contains("exists already"), "{again}");
    let catalog = open(&drill).expect("a ledger");
    assert_eq!(catalog.find_order(shop.kept[0].id).await.as_ref(), Ok(&shop.kept[0]));
    shop.is_refused(&catalog, "not the one that this server followed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_currency_travels_with_the_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let options = SqliteOptions { currency: Some("KWD".parse().expect("a currency")), ..SqliteOptions::default() };
    let (store, reader) = sqlite::open(&at("shop.db"), &SystemClock, options).expect("a new file");
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default());
    let catalog = Arc::new(catalog.expect("a ledger"));
    catalog.add_books(vec![book("A", 5)], None).await.expect("added");
    let copy = SqliteCopy::open(&at("copy.db"), SqliteOptions::default()).expect("a copy");
    copy.append(catalog.entries(Seq(0), 10, Duration::ZERO).await.expect("read")).await.expect("it continues");
    let followed = copy.followed().await.expect("read").identity.expect("it has followed");
    close(catalog).await;
    sqlite::backup(&at("shop.db"), &at("backup.db")).expect("copied");
    let promoted =
        sqlite::promote(&copy, &at("promoted.db"), &SystemClock, |_, _| {}).await.expect("promoted").identity;
    let drill = sqlite::restore_copy(&at("backup.db"), &at("drill.db"), &SystemClock).expect("restored").identity;
    let back = sqlite::restore_replacing(&at("backup.db"), &at("shop.db"), &SystemClock).expect("restored").identity;
    for identity in [followed, promoted, drill, back] {
        assert_eq!(identity.currency.code(), "KWD", "{identity}");
    }
    for name in ["promoted.db", "drill.db", "shop.db"] {
        let opened = open(&at(name)).expect("a ledger");
        assert_eq!(opened.currency().await, Ok("KWD".parse().expect("a currency")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_replaced_is_left_as_it_is() {
    let shop = Shop::new().await;
    let catalog = open(&shop.path()).expect("a ledger");
    assert!(matches!(shop.replace(), Err(StoreError::InUse(_))), "a server has it open");
    close(catalog).await;
    // Another ledger.
    let other = shop.folder.path().join("other.db");
    close(open(&other).expect("a new file")).await;
    let refused = sqlite::restore_replacing(&shop.backup(), &other, &SystemClock).expect_err("it is another one");
    assert!(refused.to_string().contains("another ledger"), "{refused}");
    // What is no backup of a ledger.
    let copy = shop.folder.path().join("copy.db");
    drop(SqliteCopy::open(&copy, SqliteOptions::default()).expect("a new file"));
    for (wrong, why) in [(copy, "order server's copy"), (shop.folder.path().join("nothing.db"), "no such file")] {
        let refused = sqlite::restore_replacing(&wrong, &shop.path(), &SystemClock).expect_err("it is no ledger");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let catalog = open(&shop.path()).expect("it is as it was");
    assert_eq!(catalog.head(), Seq(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_cut_off_is_run_again() {
    let shop = Shop::new().await;
    let restoring = shop.folder.path().join("shop.db.restoring");
    fs::write(&restoring, "half of it").expect("written");
    fs::rename(shop.path(), shop.folder.path().join("shop.db.replaced-1")).expect("moved");
    let refused = open(&shop.path()).expect_err("a new shop would hide the old one").to_string();
    assert!(refused.contains("run bookstore restore again"), "{refused}");
    assert!(!shop.path().exists(), "nothing is made");
    shop.replace().expect("it is run again");
    assert!(!restoring.exists());
    open(&shop.path()).expect("a ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_can_be_replaced_and_is_kept() {
    let shop = Shop::new().await;
    fs::write(shop.path(), "no database at all").expect("written");
    let Restored { replaced, .. } = shop.replace().expect("there is nothing to compare");
    assert_eq!(fs::read_to_string(replaced.expect("it is kept")).expect("it can be read"), "no database at all");
    let catalog = open(&shop.path()).expect("a ledger");
    assert_eq!(catalog.find_order(shop.kept[2].id).await.as_ref(), Ok(&shop.kept[2]));
}

/// The id of a timeline is not for orders.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_s_id_is_taken() {
    let shop = Shop::new().await;
    let LedgerIdentity { timelines, .. } = shop.replace().expect("nobody has it open").identity;
    let catalog = open(&shop.path()).expect("a ledger");
    let id = OrderId(timelines[1].id);
    assert_eq!(catalog.sell(id, one()).await, Err(Error::OrderIdReused { order: id }));
    assert_eq!(catalog.release(id).await, Err(Error::OrderNotFound { order: id }));
    assert_eq!(catalog.find_order(id).await, Err(Error::OrderNotFound { order: id }));
}

//! What operators do to a database file: other names for it, and removing or replacing it while it is in use.

use bookstore_core::{
    Catalog, CatalogOptions, CatalogService as _, Clock as _, Executed, OrderId, SystemClock,
    fixtures::{book, lines},
    store::{
        StoreError,
        sqlite::{self, SqliteOptions},
    },
    writer::WriterLimits,
};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

fn open(path: &Path) -> Result<Catalog, StoreError> {
    let (store, reader) = sqlite::open(path, &SystemClock, SqliteOptions::default())?;
    let limits = WriterLimits { recover_after: Duration::ZERO, ..WriterLimits::default() };
    let options = CatalogOptions { limits, ..CatalogOptions::default() };
    Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn close(catalog: Catalog) {
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
}

/// A shop with ten copies of one book, one of which is sold.
async fn shop_with_a_sale(path: &Path) -> (Catalog, OrderId) {
    let catalog = open(path).expect("it opens");
    catalog.add_books(vec![book("A book", 10)]).await.expect("it is added");
    let order = SystemClock.new_order_id();
    catalog.sell(order, lines(&[(1, 1)])).await.expect("there are ten");
    (catalog, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_one_writer_whatever_it_is_called() {
    let folder = folder();
    let (path, hard, soft) =
        (folder.path().join("shop.db"), folder.path().join("hard.db"), folder.path().join("soft.db"));
    let (catalog, _) = shop_with_a_sale(&path).await;
    fs::hard_link(&path, &hard).expect("a hard link");
    std::os::unix::fs::symlink(&path, &soft).expect("a symbolic link");
    for name in [&path, &hard, &soft] {
        assert!(matches!(open(name), Err(StoreError::InUse(_))), "{}", name.display());
    }
    sqlite::Snapshot::open(&path).expect("reading is possible beside the writer");
    close(catalog).await;
    close(open(&hard).expect("it is free now")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbolic_link_leads_to_its_file_and_a_dangling_one_is_refused() {
    let folder = folder();
    let (path, link) = (folder.path().join("shop.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink(&path, &link).expect("a symbolic link");
    let refused = open(&link).expect_err("it leads to nothing").to_string();
    assert!(refused.contains("symbolic link") && refused.contains("shop.db"), "{refused}");
    assert!(!path.exists(), "nothing is made");
    let (catalog, order) = shop_with_a_sale(&path).await;
    close(catalog).await;
    let catalog = open(&link).expect("it leads to the file");
    assert_eq!(catalog.find_order(order).await.expect("it is there").id, order);
    catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await.expect("it can be written");
    close(catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_readable_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let path = folder.path().join("shop.db");
    let (catalog, _) = shop_with_a_sale(&path).await;
    for name in ["shop.db", "shop.db-wal", "shop.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    close(catalog).await;
}

/// Whatever is done to the files of an open shop, nothing more is acknowledged, and nothing that was is lost.
async fn nothing_is_lost_after(done: impl FnOnce(&Path)) {
    let folder = folder();
    let path = folder.path().join("shop.db");
    let (catalog, order) = shop_with_a_sale(&path).await;
    done(&path);
    for _ in 0..3 {
        let late = catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await;
        late.expect_err("nobody may be told that it is sold");
    }
    let refused = catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await.expect_err("it stays so");
    assert_eq!(refused.executed(), Executed::No);
    close(catalog).await;
    let rescued = folder.path().join("shop.db.rescued");
    if path.exists() {
        let refused = open(&path).expect_err("what was acknowledged is in another file").to_string();
        assert!(refused.contains("shop.db.rescued"), "{refused}");
    }
    for left in ["shop.db-wal", "shop.db-shm"] {
        let _ = fs::remove_file(folder.path().join(left));
    }
    fs::rename(&rescued, &path).expect("it was saved");
    let catalog = open(&path).expect("it is a ledger");
    assert_eq!(catalog.find_order(order).await.expect("it was acknowledged").id, order);
    close(catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_is_noticed_and_its_ledger_saved() {
    nothing_is_lost_after(|path| fs::remove_file(path).expect("it is there")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_file_is_noticed_and_its_ledger_saved() {
    nothing_is_lost_after(|path| fs::rename(path, path.with_extension("old")).expect("it is there")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_is_noticed_and_its_ledger_saved() {
    nothing_is_lost_after(|path| {
        let other = path.with_extension("other");
        fs::write(&other, "something else").expect("it can be written");
        fs::rename(&other, path).expect("it is there");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_wal_is_noticed_and_its_ledger_saved() {
    nothing_is_lost_after(|path| fs::remove_file(path.with_extension("db-wal")).expect("it is there")).await;
}

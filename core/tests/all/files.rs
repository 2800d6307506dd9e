//! What operators do to a database file: other names for it, and removing or replacing it while it is in use.

use bookstore_core::{
    Amend, Catalog, CatalogOptions, CatalogService as _, Clock as _, Executed, OrderId, SystemClock,
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
    catalog.add_books(vec![book("A book", 10)], None).await.expect("it is added");
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
    sqlite::backup(&path, &folder.path().join("backup.db")).expect("written");
    let drill = folder.path().join("drill.db");
    sqlite::restore_copy(&folder.path().join("backup.db"), &drill, &SystemClock).expect("restored");
    for name in ["shop.db", "shop.db-wal", "shop.db-shm", "backup.db", "drill.db"] {
        let mode = fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    close(catalog).await;
}

/// Whatever is done to the files of an open shop, nothing more is acknowledged, and nothing that was is lost.
async fn nothing_is_lost_after(done: impl Fn(&Path)) {
    // Stopped at once, after the first purchase that failed, and later.
    for attempts in [0, 1, 4] {
        stopped_after(attempts, &done).await;
    }
}

async fn stopped_after(attempts: u32, done: impl Fn(&Path)) {
    let folder = folder();
    let path = folder.path().join("shop.db");
    let (catalog, order) = shop_with_a_sale(&path).await;
    done(&path);
    for attempt in 0..attempts {
        let late = catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await;
        let error = late.expect_err("nobody may be told that it is sold");
        assert!(attempt < 2 || error.executed() == Executed::No, "{error}");
    }
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

/// What is left of a shop after `kill -9`: its database and its WAL, in another folder.
async fn crashed(work: impl AsyncFn(&Catalog)) -> (TempDir, OrderId) {
    let (folder, left) = (folder(), folder());
    let path = folder.path().join("shop.db");
    let (catalog, order) = shop_with_a_sale(&path).await;
    work(&catalog).await;
    for name in ["shop.db", "shop.db-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).expect("copied");
    }
    sqlite::backup(&path, &left.path().join("backup.db")).expect("written");
    (left, order)
}

/// Every file of a folder, with its content.
fn content(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let files = fs::read_dir(folder).expect("it can be read").map(|file| file.expect("it can be read"));
    let mut files: Vec<_> =
        files.map(|file| (file.file_name(), fs::read(file.path()).expect("it can be read"))).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_the_wal_of_another_database_is_refused_and_nothing_is_written() {
    // With a short WAL, and with one that has started again.
    for sales in [1, 4_000] {
        let (left, order) = crashed(async |catalog| sell(catalog, sales).await).await;
        let (path, wal) = (left.path().join("shop.db"), left.path().join("shop.db-wal"));
        let crashed_database = fs::read(&path).expect("it can be read");
        let length = fs::metadata(&wal).expect("it is there").len();
        assert!(length < 48 << 20, "{length} bytes: the WAL has started again");
        fs::copy(left.path().join("backup.db"), &path).expect("copied");
        let before = content(left.path());
        for refused in [open(&path).map(drop), sqlite::Snapshot::open(&path).map(drop)] {
            let refused = refused.expect_err("the WAL is another's").to_string();
            assert!(refused.contains("shop.db-wal") && refused.contains("another database"), "{refused}");
        }
        assert!(content(left.path()) == before, "nothing is written");
        // Without it, the backup is what it was.
        let aside = left.path().join("aside");
        fs::rename(&wal, &aside).expect("moved");
        let catalog = open(&path).expect("it is whole");
        assert_eq!(catalog.find_order(order).await.map(|order| order.id), Ok(order));
        close(catalog).await;
        // Together, database and WAL are what they were.
        fs::write(&path, crashed_database).expect("written");
        fs::rename(&aside, &wal).expect("moved");
        let catalog = open(&path).expect("they belong together");
        assert_eq!(catalog.find_order(order).await.map(|order| order.id), Ok(order));
        close(catalog).await;
    }
}

/// Sells copies of the one book one after the other, after a restock.
async fn sell(catalog: &Catalog, sales: u32) {
    catalog.amend(1.into(), Amend::StockDelta { delta: sales.into() }, None, None).await.expect("restocked");
    for _ in 0..sales {
        catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await.expect("there are enough");
    }
}

/// A database that was opened, closed and killed again and again is always its own WAL's.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_its_wal_belong_together_after_any_number_of_starts() {
    let folder = folder();
    let path = folder.path().join("shop.db");
    let (catalog, order) = shop_with_a_sale(&path).await;
    drop(catalog);
    for start in 0..6 {
        let left = tempfile::tempdir().expect("a folder");
        let catalog = open(&path).expect("it is the same");
        sell(&catalog, 1 + start % 3).await;
        for name in ["shop.db", "shop.db-wal"] {
            fs::copy(folder.path().join(name), left.path().join(name)).expect("copied");
        }
        let killed = open(&left.path().join("shop.db")).expect("they belong together");
        assert_eq!(killed.find_order(order).await.map(|order| order.id), Ok(order));
        close(killed).await;
        close(catalog).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_without_its_database_is_not_deleted() {
    for empty in [false, true] {
        let (left, _) = crashed(async |_| {}).await;
        let path = left.path().join("shop.db");
        fs::remove_file(&path).expect("it is there");
        if empty {
            fs::write(&path, "").expect("written");
        }
        let before = content(left.path());
        let refused = open(&path).map(drop).expect_err("a new shop would delete the WAL").to_string();
        assert!(refused.contains("without its database"), "{refused}");
        assert!(content(left.path()) == before, "nothing is made or written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_an_old_snapshot_does_not_make_the_wal_grow_for_ever() {
    let folder = folder();
    let path = folder.path().join("shop.db");
    let options = SqliteOptions { wal_bytes_max: 1 << 20, ..SqliteOptions::default() };
    let (store, reader) = sqlite::open(&path, &SystemClock, options).expect("a new file");
    let limits = WriterLimits { recover_after: Duration::ZERO, ..WriterLimits::default() };
    let options = CatalogOptions { limits, ..CatalogOptions::default() };
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options).expect("it opens");
    catalog.add_books(vec![book("A book", 1_000_000)], None).await.expect("it is added");
    let other = rusqlite::Connection::open(&path).expect("another program");
    other.execute_batch("BEGIN; SELECT count(*) FROM ledger").expect("it reads");
    let refused = loop {
        if let Err(refused) = catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await {
            break refused;
        }
    };
    assert_eq!(refused.executed(), Executed::No);
    let length = || fs::metadata(path.with_extension("db-wal")).expect("it is there").len();
    assert!((1 << 20..2 << 20).contains(&length()), "{}", length());
    assert_eq!(catalog.info(1.into()).await.map(|book| book.id), Ok(1.into()), "books can be read");
    other.execute_batch("COMMIT").expect("it is done");
    while catalog.sell(SystemClock.new_order_id(), lines(&[(1, 1)])).await.is_err() {}
    assert!(length() < 1 << 20, "{}", length());
    close(catalog).await;
}

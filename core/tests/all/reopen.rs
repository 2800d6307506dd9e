//! SQLite across restarts and crashes: the same answers, also with more entries than its caches and its stock snapshot hold.

use bookstore_core::{
    Amend, BookId, BookText, Catalog, CatalogOptions, CatalogService as _, Cents, Clock, Currency, Error, Line, Lines,
    ManualClock, NewBook, OrderId, OrderReader as _, Query, Seq, SystemClock, Timestamp,
    audit::Audit,
    conformance::{Deployment, audit},
    decide::{Batch, Command, Level, Outcome, State},
    history::Hash,
    recent_keys::RecentKeys,
    store::{
        AppendError, Flush, Followed, LedgerReader as _, LedgerStore as _, Projection as _, Recovered, StoreError,
        sqlite::{self, SqliteOptions, SqliteReader, SqliteStore},
    },
    writer::{Execution, WriterLimits},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

use crate::fixture::{at_once, book, deployment};

fn open(path: &Path) -> (SqliteStore, Arc<SqliteReader>) {
    sqlite::open(path, &SystemClock, SqliteOptions::default()).expect("the file can be opened")
}

/// Time-ordered ids in any order.
fn v7(millis: u64) -> OrderId {
    OrderId(uuid::Builder::from_unix_timestamp_millis(millis, &[1; 10]).into_uuid())
}

fn sale(order: OrderId, book: u64) -> Command {
    Command::Sell { order, lines: Lines::new([Line::new(BookId(book), 1)]).expect("a good line") }
}

/// After the time of every id here, so that all of them are in the filters.
const LATER: Timestamp = Timestamp(4_000_000_000_000);

struct Ledger {
    store: SqliteStore,
    state: State,
    recent: RecentKeys,
    flush: Box<dyn Flush>,
}

impl Ledger {
    fn open(path: &Path) -> Self {
        let (mut store, _) = open(path);
        let Recovered { state, highest_keys, flush, .. } = at_once(store.recover()).expect("the file can be used");
        Self { store, state, recent: RecentKeys::of(&highest_keys, LATER), flush }
    }

    /// Decides and appends one batch, durably.
    fn batch(&mut self, commands: &[Command]) -> Vec<Result<Outcome, Error>> {
        let mut batch = Batch::default();
        self.state.forget_batch();
        let keys = commands.iter().flat_map(Command::keys).filter(|key| !self.recent.is_new(*key));
        let (keys, identities): (Vec<_>, Vec<_>) =
            (keys.collect(), commands.iter().filter_map(Command::identity).collect());
        at_once(self.store.load(&keys, &identities, &mut self.state)).expect("loaded");
        let decided = commands.iter().map(|command| self.state.decide(command, Timestamp(5), &mut batch)).collect();
        self.state.finish(&batch);
        if !batch.entries.is_empty() {
            at_once(self.store.append(&batch, &self.state)).expect("appended");
            at_once(self.flush.flush()).expect("flushed");
        }
        for entry in &batch.entries {
            entry.key.into_iter().for_each(|key| self.recent.insert(key, LATER));
        }
        decided
    }

    fn assert_replayed(&mut self, orders: impl Iterator<Item = OrderId>) {
        let commands: Vec<Command> = orders.map(|order| sale(order, 1)).collect();
        for (command, outcome) in commands.iter().zip(self.batch(&commands)) {
            let replayed = matches!(&outcome, Ok(Outcome::Receipt(receipt)) if receipt.replayed);
            assert!(replayed, "{command:?} must be known: {outcome:?}");
        }
    }
}

/// More keys than are remembered, and more entries than go without a stock snapshot.
#[test]
fn a_long_ledger_is_the_same_after_a_crash() {
    const SALES: u64 = 70_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let mut ledger = Ledger::open(&path);
    ledger.batch(&[
        Command::AddBook { book: Box::new(book("One", 1_000_000)), by: None },
        Command::AddBook { book: Box::new(book("Two", 5)), by: None },
    ]);
    let base = 1_700_000_000_000;
    for first in (0..SALES).step_by(5000) {
        let commands: Vec<Command> = (first..first + 5000).map(|n| sale(v7(base + n), 1)).collect();
        assert!(ledger.batch(&commands).iter().all(Result::is_ok));
    }
    // Keys that come late: older than all that are remembered, and of another version.
    let (late, random) = (v7(base - 1), OrderId(Uuid::from_u128(u128::MAX / 3)));
    ledger.batch(&[sale(late, 1), sale(random, 1), Command::Release { order: v7(base + 3) }]);
    let some = || (0..SALES).step_by(997).map(|n| v7(base + n)).chain([late, random]);
    ledger.assert_replayed(some());
    let (head, levels) = (ledger.state.head, ledger.state.levels.iter().collect::<Vec<_>>());
    assert_eq!(head, Seq(2 + SALES + 3));
    // A crash: nothing is written back.
    drop(ledger);
    let mut ledger = Ledger::open(&path);
    assert_eq!(ledger.state.head, head);
    assert_eq!(ledger.state.levels.iter().collect::<Vec<_>>(), levels);
    assert_eq!(levels[0].1.stock, 1_000_000 - u32::try_from(SALES).expect("fits") - 2 + 1);
    ledger.assert_replayed(some());
    assert_eq!(ledger.state.head, head, "replays append nothing");
    // A clean end, and what a reader beside it says.
    at_once(ledger.store.close(&ledger.state)).expect("closed");
    drop(ledger);
    let mut checked = Audit::new();
    let mut snapshot = sqlite::Snapshot::open(&path).expect("the file can be read");
    let (summary, stock) = snapshot
        .read(|_, entry| checked.take(&entry).map_err(|finding| StoreError::Failed(finding.to_string())))
        .expect("a good ledger");
    assert_eq!((summary.head, summary.applied), (head, head), "a clean end leaves nothing to replay");
    let (summary, findings) = checked.finish(stock.iter());
    assert_eq!(findings, []);
    assert_eq!((summary.sales, summary.returns, summary.copies_sold), (SALES + 2, 1, SALES + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let small = WriterLimits { batch_max: 3, ..WriterLimits::default() };
    let options = CatalogOptions { limits: small, ..CatalogOptions::default() };
    let start = || {
        let (store, reader) = open(&path);
        let identity = reader.identity().clone();
        (deployment(store, reader, options), identity)
    };
    let (d, ledger) = start();
    d.catalog.add_books((0..30).map(|n| book(&format!("Book {n}"), 9)).collect(), None).await.expect("listed");
    let orders: Vec<OrderId> = (0..20).map(|_| SystemClock.new_order_id()).collect();
    let (restock, price) = (SystemClock.new_order_id(), Cents::new(5).expect("small"));
    for (order, n) in orders.iter().zip(1..) {
        let lines = [Line::new(BookId(n % 5 + 1), 1), Line::new(BookId(30), 1)];
        let bought = d.orders.purchase(*order, Lines::new(lines).expect("good lines")).await;
        assert_eq!(bought.is_ok(), n <= 9, "there are nine of book 30");
    }
    d.orders.cancel(orders[2]).await.expect("cancelled");
    let delta = Amend::StockDelta { delta: 3 };
    d.catalog.amend(BookId(7), delta.clone(), Some(restock), None).await.expect("a restock");
    let text = Box::new(book("Book revised", 1).text);
    let revise = Amend::Revise { text, text_version: Some(Seq(10)) };
    d.catalog.amend(BookId(10), revise, None, None).await.expect("revised");
    d.catalog.amend(BookId(11), Amend::Withdraw, None, None).await.expect("withdrawn");
    let new_price = Amend::Set { price_cents: Some(price), stock: None, version: None };
    d.catalog.amend(BookId(8), new_price, None, None).await.expect("set");
    let answers = async |d: &Deployment| {
        let mut answers = Vec::new();
        for order in &orders {
            answers.push(format!("{:?}", d.orders.order(*order).await));
        }
        answers.push(format!("{:?}", d.catalog.search(Query { page_size: Some(100), ..Query::words("book") }).await));
        let ledger = d.catalog.entries(Seq(0), 1000, std::time::Duration::ZERO).await.expect("the ledger can be read");
        answers.push(format!("{:?} {:?}", ledger.entries, ledger.after));
        answers.push(format!(
            "{:?} {:?}",
            d.catalog.topics(Default::default()).await,
            d.orders.orders(Default::default()).await
        ));
        answers.push(format!("{:?}", audit(d).await));
        answers
    };
    let before = answers(&d).await;
    drop(d);
    for _ in 0..2 {
        let (d, reopened) = start();
        assert_eq!(reopened, ledger, "a ledger keeps its id");
        assert_eq!(answers(&d).await, before);
        // What was done is known, what was refused is forgotten.
        let known = d.orders.cancel(orders[2]).await.expect("cancelled before");
        assert!(known.replayed);
        assert_eq!(d.catalog.amend(BookId(7), delta.clone(), Some(restock), None).await.map(|book| book.stock), Ok(12));
        assert_eq!(d.catalog.add_books(vec![book("Book 3", 1)], None).await.map(|listed| listed[0].created), Ok(false));
        for known in ["Book 9", "Book revised"] {
            let again =
                d.catalog.add_books(vec![book(known, 1)], None).await.map(|listed| (listed[0].id, listed[0].created));
            assert_eq!(again, Ok((BookId(10), false)), "{known}");
        }
        let [revised, withdrawn] = [10, 11].map(|id| d.catalog.info(BookId(id)));
        let (revised, withdrawn) = (revised.await.expect("a book"), withdrawn.await.expect("a book"));
        assert_eq!((revised.text.title(), revised.on_sale, withdrawn.on_sale), ("Book revised", true, false));
        assert!(matches!(d.orders.cancel(orders[15]).await, Err(Error::OrderNotFound { .. })));
        assert_eq!(answers(&d).await, before);
    }
}

#[tokio::test]
async fn a_store_in_use_is_not_opened_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let (store, reader) = open(&path);
    let second = sqlite::open(&path, &SystemClock, SqliteOptions::default());
    assert!(matches!(second, Err(StoreError::InUse(_))));
    // Neither half may hold on to a file that nobody writes to.
    let d = deployment(store, reader, CatalogOptions::default());
    d.catalog.add_books(vec![book("A book", 1)], None).await.expect("it works undisturbed");
    drop(d);
    drop(open(&path));
}

#[test]
fn a_simulated_store_needs_no_threads() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp(7)));
        let sqlite_options = SqliteOptions { execution: Execution::Task, ..SqliteOptions::default() };
        let opened = sqlite::open(&dir.path().join("a.db"), clock.as_ref(), sqlite_options);
        let (store, reader) = opened.expect("a new file");
        let options = CatalogOptions { execution: Execution::Task, ..CatalogOptions::default() };
        let d = deployment(store, reader, options);
        d.catalog.add_books(vec![book("A book", 3)], None).await.expect("listed");
        let bought = d.orders.purchase(v7(1), Lines::one(BookId(1), 2).expect("a good line")).await.expect("bought");
        assert_eq!(d.orders.order(v7(1)).await, Ok(bought.order));
        assert_eq!(audit(&d).await.copies_sold, 2);
    });
}

/// The file of a ledger that was closed, with more books than fit a row of the stock table, one of them sold and one
/// repriced; and their levels.
fn many_books(dir: &Path) -> (PathBuf, Vec<(BookId, Level)>) {
    let path = dir.join("a.db");
    let mut ledger = Ledger::open(&path);
    let list = |n: u32| Command::AddBook { book: Box::new(book(&format!("Book {n}"), n)), by: None };
    ledger.batch(&(1..=450).map(list).collect::<Vec<_>>());
    let price = Amend::Set { price_cents: Some(Cents::new(7).expect("small")), stock: None, version: None };
    let reprice = Command::Amend { book: BookId(200), change: price.into(), key: None, by: None };
    let withdraw = Command::Amend { book: BookId(300), change: Amend::Withdraw.into(), key: None, by: None };
    let done = ledger.batch(&[sale(v7(1_700_000_000_000), 450), reprice, withdraw]);
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    at_once(ledger.store.close(&ledger.state)).expect("closed");
    let levels: Vec<_> = ledger.state.levels.iter().collect();
    assert_eq!(levels.len(), 450);
    (path, levels)
}

#[test]
fn the_stock_of_every_book_is_read_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, levels) = many_books(dir.path());
    let mut snapshot = sqlite::Snapshot::open(&path).expect("the file can be read");
    let (summary, stock) = snapshot.read(|_, _| Ok::<_, StoreError>(())).expect("a good ledger");
    assert_eq!((summary.applied, summary.head), (Seq(453), Seq(453)), "nothing is left to replay");
    assert_eq!(stock.iter().collect::<Vec<_>>(), levels);
    assert_eq!(Ledger::open(&path).state.levels.iter().collect::<Vec<_>>(), levels);
}

#[tokio::test]
async fn a_ledger_keeps_its_currency() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let open = |code: Option<&str>| {
        let currency = code.map(|code| code.parse().expect("a currency"));
        sqlite::open(&path, &SystemClock, SqliteOptions { currency, ..SqliteOptions::default() })
    };
    for same in [Some("JPY"), None, Some("JPY")] {
        let (_, reader) = open(same).expect("a ledger");
        assert_eq!(reader.identity().currency.code(), "JPY", "{same:?}");
    }
    let refused = open(Some("EUR")).expect_err("it is in another currency").to_string();
    assert!(refused.contains("JPY") && refused.contains("EUR") && refused.contains("a.db"), "{refused}");
}

/// A file that the version before wrote, statement by statement.
const FORMAT_2: &str = include_str!("format_2.sql");

#[tokio::test]
async fn a_ledger_of_format_2_is_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    rusqlite::Connection::open(&path).and_then(|file| file.execute_batch(FORMAT_2)).expect("written");
    let refused = sqlite::Snapshot::open(&path).expect_err("it has no hashes yet").to_string();
    assert!(refused.contains("earlier version"), "{refused}");
    let (store, reader) = open(&path);
    let identity = reader.identity().clone();
    assert_eq!(identity.ledger.simple().to_string(), "01a22a1b2c8a7032b85e75ed37d79c4b");
    assert_eq!((identity.timelines.len(), identity.currency), (1, Currency::USD));
    let d = deployment(store, reader, CatalogOptions::default());
    let page = d.catalog.entries(Seq(0), 100, std::time::Duration::ZERO).await.expect("the ledger can be read");
    assert_eq!((page.head, page.entries.len()), (Seq(7), 7));
    assert_eq!(page.after, Hash::EMPTY.after(&page.entries));
    let summary = audit(&d).await;
    assert_eq!((summary.sales, summary.returns, summary.copies_sold), (2, 1, 3));
    let restocked = OrderId("01a22a1b2c8a7032b85e75ed37d70003".parse().expect("a UUID"));
    let restock = d.catalog.amend(BookId(2), Amend::StockDelta { delta: 5 }, Some(restocked), None).await;
    assert_eq!(restock.map(|book| book.stock), Ok(5), "it was done before");
    assert_eq!(d.catalog.search(Query::words("paxos")).await.map(|page| page.books.len()), Ok(1));
    d.orders.purchase(v7(1), Lines::one(BookId(2), 5).expect("a good line")).await.expect("there are five");
    drop(d);
    assert_eq!(open(&path).1.identity(), &identity, "that happens once");
    assert!(sqlite::Snapshot::open(&path).is_ok());
}

/// An ISBN was kept as it was spelled, and any number could be one.
#[tokio::test]
async fn books_of_format_2_get_the_identities_of_today() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let file = rusqlite::Connection::open(&path).expect("a new file");
    let more = "INSERT INTO book VALUES
            (3, '0-306-40615-2', 'The Last Copy, again', 'A. Author; B. Author', 'races', '0-306-40615-2', NULL, '[]', 1),
            (4, '1-55860-832-X', 'Readings', '', 'races', '1-55860-832-X', NULL, '[]', 1),
            (5, 'X-17', 'A pamphlet', '', 'races', 'X-17', NULL, '[]', 1);
        INSERT INTO ledger VALUES
            (8, 1796002753745, 5, NULL, '[[3,1,1,1]]'), (9, 1796002753746, 5, NULL, '[[4,1,1,1]]'),
            (10, 1796002753747, 5, NULL, '[[5,1,1,1]]');";
    file.execute_batch(FORMAT_2).and_then(|()| file.execute_batch(more)).expect("written");
    drop(file);
    let (store, reader) = open(&path);
    let d = deployment(store, reader, CatalogOptions::default());
    let text = async |id| BookText::from(&d.catalog.info(BookId(id)).await.expect("a book").text);
    assert_eq!(text(3).await.authors, ["A. Author", "B. Author"]);
    assert_eq!((text(5).await.sku.as_str(), text(5).await.isbn), ("X-17", None), "nothing is lost");
    let with = |isbn: &str, sku: &str| {
        let isbn = (!isbn.is_empty()).then(|| isbn.parse().expect("an ISBN"));
        let text = BookText { isbn, sku: sku.into(), ..book("Another title", 1).text };
        NewBook { text, ..book("", 1) }
    };
    let known = [with("9780306406157", ""), with("9781558608320", ""), with("", "X-17")];
    let added = d.catalog.add_books(known.to_vec(), None).await.expect("good books");
    let added: Vec<_> = added.into_iter().map(|added| (added.id.0, added.created)).collect();
    assert_eq!(added, [(2, false), (4, false), (5, false)], "two books of one ISBN stay two");
}

#[tokio::test]
async fn a_copy_of_format_2_starts_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let copy = "UPDATE meta SET role = 'copy', applied = 7; DELETE FROM ledger WHERE kind > 2;";
    let file = rusqlite::Connection::open(&path).expect("a new file");
    file.execute_batch(FORMAT_2).and_then(|()| file.execute_batch(copy)).expect("written");
    drop(file);
    let copy = sqlite::SqliteCopy::open(&path, SqliteOptions::default()).expect("a copy");
    assert_eq!(copy.followed().await, Ok(Followed::default()));
    assert_eq!(copy.orders(None, 100).await, Ok(Vec::new()));
}

/// Of a newer program's entries, nothing is guessed.
#[test]
fn an_entry_of_an_unknown_kind_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, _) = many_books(dir.path());
    let hold = "INSERT INTO ledger VALUES ((SELECT max(seq) + 1 FROM ledger), 0, 100, NULL, '[[1,-1,1000,0]]', NULL)";
    rusqlite::Connection::open(&path).and_then(|file| file.execute(hold, [])).expect("inserted");
    let (mut store, _) = open(&path);
    let refused = at_once(store.recover()).expect_err("it is of no known kind").to_string();
    assert!(refused.contains("newer version"), "{refused}");
}

#[test]
fn damaged_stock_is_noticed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, _) = many_books(dir.path());
    let cut = "UPDATE stock SET levels = substr(levels, 1, 4031) WHERE row = 1";
    let changed = rusqlite::Connection::open(&path).and_then(|file| file.execute(cut, [])).expect("changed");
    assert_eq!(changed, 1);
    let (mut store, _) = open(&path);
    let refused = at_once(store.recover()).expect_err("a row is too short").to_string();
    assert!(refused.contains("from book 144 on is damaged"), "{refused}");
}

/// Only the lock keeps other programs from writing; one that does not know of it must not shift what is written after it.
#[test]
fn an_entry_from_elsewhere_is_noticed_before_anything_is_written_on_top_of_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.db");
    let mut ledger = Ledger::open(&path);
    ledger.batch(&[Command::AddBook { book: Box::new(book("One", 5)), by: None }]);
    let restock = "INSERT INTO ledger VALUES (2, 0, 3, NULL, '[[1,2,1000,7]]', NULL)";
    rusqlite::Connection::open(&path).and_then(|file| file.execute(restock, [])).expect("inserted");

    let mut batch = Batch::default();
    ledger.state.decide(&sale(v7(1), 1), Timestamp(5), &mut batch).expect("there is enough");
    let refused = at_once(ledger.store.append(&batch, &ledger.state)).expect_err("it would be entry 3");
    assert!(matches!(refused, AppendError::NotAppended(_)), "{refused:?}");
    let refused = refused.to_string();
    assert!(refused.contains("at entry 3 instead of 2"), "{refused}");
    drop(ledger);
    let mut ledger = Ledger::open(&path);
    assert_eq!(ledger.state.head, Seq(2), "nothing of it is left");
    ledger.batch(&[sale(v7(1), 1)]);
    let level = ledger.state.levels.get(BookId(1)).expect("listed");
    assert_eq!((level.stock, level.version), (6, Seq(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_leaves_nothing_to_replay() {
    for execution in [Execution::Threads, Execution::Task] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.db");
        let (store, reader) = open(&path);
        let options = CatalogOptions { execution, ..CatalogOptions::default() };
        let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options);
        let catalog = catalog.expect("the store can be used");
        catalog.add_books(vec![book("A book", 5)], None).await.expect("listed");
        let one = Lines::one(BookId(1), 1).expect("a good line");
        catalog.sell(SystemClock.new_order_id(), one).await.expect("bought");
        let applied = || {
            let mut snapshot = sqlite::Snapshot::open(&path).expect("the file can be read");
            snapshot.read(|_, _| Ok::<_, StoreError>(())).expect("a good ledger").0.applied
        };
        assert_eq!(applied(), Seq(0), "nothing has been written back yet");
        let closed = catalog.closed();
        drop(catalog);
        closed.wait().await;
        assert_eq!(applied(), Seq(2), "{execution:?}");
        let wal = dir.path().join("a.db-wal");
        assert!(!wal.exists() || wal.metadata().expect("there").len() == 0);
    }
}

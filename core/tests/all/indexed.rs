//! An index beside a store: it follows what is added, survives what happens to its folder, and is never needed for selling.

use bookstore_core::{
    BookId, BookText, Catalog, CatalogOptions, CatalogService as _, LedgerIdentity, Lines, OrderId, Query, Seq, Sort,
    SystemClock, Text, TopicQuery,
    history::Hash,
    search::{
        BookSearch as _, IndexedSearch,
        index::{BookIndex, IndexChange},
    },
    store::{
        LedgerReader as _,
        sqlite::{self, SqliteOptions},
    },
};
use futures_util::future::poll_immediate;
use std::{fs, path::Path, sync::Arc};
use uuid::Uuid;

use crate::fixture::book;

struct Shop {
    catalog: Catalog,
    search: Arc<IndexedSearch>,
    ledger: LedgerIdentity,
}

impl Shop {
    fn open(place: &Path) -> Self {
        let (store, reader) =
            sqlite::open(&place.join("shop.db"), &SystemClock, SqliteOptions::default()).expect("a store");
        let ledger = reader.identity().clone();
        let search = Arc::new(IndexedSearch::open(Some(&folder(place)), reader.clone()));
        let clock = Arc::new(SystemClock);
        let catalog =
            Catalog::start(store, reader, search.clone(), clock, CatalogOptions::default()).expect("a ledger");
        Self { catalog, search, ledger }
    }

    async fn close(self) {
        let closed = self.catalog.closed();
        drop(self);
        closed.wait().await;
    }

    async fn found(&self, query: impl Into<Query>) -> Vec<u64> {
        let page = self.catalog.search(query.into()).await.expect("an answer");
        page.books.into_iter().map(|book| book.id.0).collect()
    }

    async fn add(&self, titles: &[&str]) {
        let books = titles.iter().map(|title| book(title, 5)).collect();
        self.catalog.add_books(books, None).await.expect("good books");
    }
}

fn folder(place: &Path) -> std::path::PathBuf {
    place.join("shop.db.search")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_is_found_at_once_and_after_a_restart() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(place.path());
    for (n, title) in ["Frankenstein", "Dracula", "Beloved"].into_iter().enumerate() {
        shop.add(&[title]).await;
        assert_eq!(shop.found(title).await, [n as u64 + 1], "{title}");
    }
    assert_eq!(shop.found("frankenstien").await, [1]);
    let proposal = shop.catalog.search(Query::words("draculla")).await.expect("an answer").did_you_mean;
    assert_eq!(proposal.as_deref(), Some("dracula"));
    let ledger = shop.ledger.clone();
    shop.close().await;

    let index = BookIndex::open(&folder(place.path()), &ledger).expect("it is whole");
    assert_eq!(index.seq(), Seq(3), "nothing has to be built again");
    drop(index);
    assert_eq!(Shop::open(place.path()).found("belovd").await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_orders_and_topics_go_with_words() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(place.path());
    shop.add(&["Zoo tales", "Tales of a mouse", "Mice and tales", "Something else"]).await;
    let by = |sort| Query { sort, page_size: Some(2), ..Query::words("tale") };
    assert_eq!(shop.found(by(Sort::Title)).await, [3, 2]);
    let first = shop.catalog.search(by(Sort::Title)).await.expect("an answer");
    assert_eq!(shop.found(Query { page_token: first.next_page_token, ..by(Sort::Title) }).await, [1]);
    assert_eq!(shop.found(Query { topic: Some("TESTING".into()), ..Query::words("tales") }).await.len(), 3);
    assert_eq!(shop.found(Query { topic: Some("other".into()), ..Query::words("tales") }).await, [0; 0]);
    assert_eq!(shop.found(Query::default()).await, [1, 2, 3, 4]);
    assert_eq!(shop.catalog.topics(TopicQuery::default()).await.expect("topics").total_books, 4);
}

/// What may have happened to the folder of an index while no program ran.
type Accident = fn(&Path, &LedgerIdentity);

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_used_is_built_again() {
    let lost: Accident = |folder, _| fs::remove_dir_all(folder).expect("removed");
    let torn: Accident = |folder, _| {
        let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "term" || ending == "idx")) {
            fs::write(file, b"torn").expect("written");
        }
    };
    let without_meta: Accident = |folder, _| fs::remove_file(folder.join("meta.json")).expect("removed");
    let of_another: Accident = |folder, _| {
        let other = LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(2));
        drop(BookIndex::create(folder, other).expect("a folder"));
    };
    // A power cut has taken books back that the index had.
    let ahead: Accident = |folder, ledger| {
        // The shop's own index may still be closing its files.
        let mut tries = (0..500).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            BookIndex::open(folder, ledger)
        });
        let index = tries.find_map(Result::ok).expect("it is whole");
        let text = Text::from(BookText { title: "Never sold".into(), topic: "t".into(), ..BookText::default() });
        index.apply(vec![IndexChange::Add(BookId(3), text)], Seq(3), Hash([3; 32])).expect("good");
    };
    // A power cut has taken entries back, and others have their numbers now.
    let other_history: Accident = |folder, ledger| {
        fs::remove_dir_all(folder).expect("removed");
        let index = BookIndex::create(folder, ledger.clone()).expect("a folder");
        let text = Text::from(BookText { title: "Never sold".into(), topic: "t".into(), ..BookText::default() });
        index.apply(vec![IndexChange::Add(BookId(2), text)], Seq(2), Hash([2; 32])).expect("good");
    };
    for (name, accident) in [
        ("lost", lost),
        ("torn", torn),
        ("without meta", without_meta),
        ("another's", of_another),
        ("ahead", ahead),
        ("other history", other_history),
    ] {
        let place = tempfile::tempdir().expect("a temporary folder");
        let shop = Shop::open(place.path());
        shop.add(&["Frankenstein", "Dracula"]).await;
        shop.search.catch_up(Seq(2)).await.expect("books");
        let ledger = shop.ledger.clone();
        shop.close().await;
        accident(&folder(place.path()), &ledger);
        let shop = Shop::open(place.path());
        assert_eq!(shop.found("frankenstien").await, [1], "{name}");
        assert_eq!(shop.found("sold").await, [0; 0], "{name}");
        shop.add(&["Beloved"]).await;
        assert_eq!(shop.found("belovd").await, [3], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_without_an_index_sells_and_searches_in_its_own_way() {
    let place = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder(place.path())).expect("a folder");
    let foreign = folder(place.path()).join("thesis.txt");
    fs::write(&foreign, b"years of work").expect("written");
    let shop = Shop::open(place.path());
    shop.add(&["Frankenstein"]).await;
    assert_eq!(shop.found("frank").await, [1]);
    let lines = Lines::one(BookId(1), 1).expect("a copy");
    shop.catalog.sell(OrderId(Uuid::now_v7()), lines).await.expect("sold");
    assert!(foreign.exists(), "what is no index's is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_books_are_taken_in_beside_searches() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(place.path());
    let books: Vec<_> = (1..=2_500).map(|n| book(&format!("Number {n}"), 1)).collect();
    for books in books.chunks(1_000) {
        shop.catalog.add_books(books.to_vec(), None).await.expect("good books");
        shop.found("number 7").await;
    }
    shop.search.catch_up(Seq(2_500)).await.expect("books");
    assert_eq!(shop.found("numbr 2499").await[0], 2_499);
    shop.search.texts_added(Seq(2_500));
    assert_eq!(shop.found("\"number 1\"").await, [1]);
}

/// A caller that hangs up, at whatever moment, leaves the index as if it had waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_is_given_up_takes_no_book_in_twice() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (store, reader) =
        sqlite::open(&place.path().join("shop.db"), &SystemClock, SqliteOptions::default()).expect("a store");
    let search = IndexedSearch::open(None, reader.clone());
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())
        .expect("a ledger");
    let query = Query::words("volume").check().expect("a good query");
    for n in 1..=60 {
        catalog.add_books(vec![book(&format!("Volume {n}"), 1)], None).await.expect("a good book");
        let mut given_up = Box::pin(search.matches(&query, Seq(n)));
        for _ in 0..n {
            if poll_immediate(&mut given_up).await.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        }
        drop(given_up);
        let mut found: Vec<u64> =
            search.matches(&query, Seq(n)).await.expect("an answer").books.iter().map(|found| found.book.0).collect();
        found.sort_unstable();
        assert_eq!(found, (1..=n).collect::<Vec<_>>(), "given up after {n} polls");
    }
}

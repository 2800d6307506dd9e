use super::*;
use bookstore_core::{
    BookText, Catalog, CatalogOptions, Cents, Line, Lines, NewBook, OrderId, SystemClock, history::Timeline,
    store::memory,
};
use std::sync::Mutex as StdMutex;
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

/// Takes events until there are so many.
#[derive(Clone, Default)]
struct Taken {
    ids: Arc<StdMutex<Vec<String>>>,
    most: Option<usize>,
    /// One more was to be taken.
    full: Arc<Notify>,
}

#[async_trait]
impl Receiver for Taken {
    async fn deliver(&mut self, event: &Event) {
        if Some(self.ids.lock().unwrap().len()) == self.most {
            self.full.notify_one();
            std::future::pending::<()>().await;
        }
        self.ids.lock().unwrap().push(event.id.clone());
    }
}

/// A ledger with a book and this many sales of it.
async fn ledger(sales: u64) -> Arc<Catalog> {
    let (store, reader) = memory::open(&SystemClock);
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default());
    let catalog = Arc::new(catalog.unwrap());
    let text = BookText { title: "A".into(), topic: "t".into(), ..BookText::default() };
    catalog.add_books(vec![NewBook { text, price_cents: Cents::ZERO, stock: 1000 }], None).await.unwrap();
    for n in 0..sales {
        let lines = Lines::new([Line::new(bookstore_core::BookId(1), 1)]).unwrap();
        catalog.sell(OrderId(Uuid::from_u128(u128::from(n) + 1)), lines).await.unwrap();
    }
    catalog
}

fn outbox(catalog: &Arc<Catalog>, folder: &TempDir, taken: &Taken) -> Outbox {
    let (file, place) = PlaceFile::open(&folder.path().join("relay.json")).unwrap();
    let types = Types::new(&[]).unwrap();
    Outbox::new(catalog.clone(), Box::new(taken.clone()), types, (file, place.unwrap_or_default()))
}

/// Ends the outbox in the middle of a page.
async fn kill_when_full(outbox: Outbox, page: Entries, taken: &Taken) {
    tokio::select! {
        done = outbox.append(page) => panic!("{done:?}"),
        () = taken.full.notified() => {}
    }
}

/// The ids without ledger and timeline.
fn places(taken: &Taken) -> Vec<String> {
    taken.ids.lock().unwrap().iter().map(|id| id.splitn(3, '_').nth(2).unwrap().to_owned()).collect()
}

async fn page(catalog: &Catalog, after: u64) -> Entries {
    catalog.entries(Seq(after), 1000, Duration::ZERO).await.unwrap()
}

/// The same page of a ledger that went on under a newer timeline from `fork`.
fn forked(mut page: Entries, fork: u64) -> Entries {
    page.identity.timelines.push(Timeline { id: Uuid::from_u128(7), begins_at: Seq(fork) });
    page
}

#[tokio::test]
async fn every_entry_is_delivered_once_in_order_and_the_place_is_kept() {
    let (folder, taken, catalog) = (TempDir::new().unwrap(), Taken::default(), ledger(120).await);
    let first = outbox(&catalog, &folder, &taken);
    first.append(page(&catalog, 0).await).await.unwrap();
    assert_eq!(places(&taken), (1..=121).map(|seq| seq.to_string()).collect::<Vec<_>>());
    assert!(first.append(page(&catalog, 0).await).await.is_err(), "it does not follow");
    drop(first);
    let again = outbox(&catalog, &folder, &taken);
    assert_eq!((again.followed().await.unwrap().seq, again.delivered()), (Seq(121), Seq(121)));
}

#[tokio::test]
async fn after_a_kill_it_goes_on_within_the_page() {
    let (folder, catalog) = (TempDir::new().unwrap(), ledger(120).await);
    let stuck = Taken { most: Some(110), ..Taken::default() };
    let first = outbox(&catalog, &folder, &stuck);
    let whole = page(&catalog, 0).await;
    kill_when_full(first, whole.clone(), &stuck).await;
    assert_eq!(places(&stuck).len(), 110);
    let taken = Taken::default();
    let again = outbox(&catalog, &folder, &taken);
    assert_eq!((again.followed().await.unwrap().seq, again.delivered()), (Seq(0), Seq(100)), "as it was kept");
    again.append(whole).await.unwrap();
    assert_eq!(places(&taken), (101..=121).map(|seq| seq.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fork_within_the_page_is_announced() {
    for (fork, expected) in [
        (41, vec!["41_rewound", "41", "42"]),
        (100, vec!["100_rewound", "100", "101"]),
        (101, vec!["101", "102", "103"]),
        (111, vec!["101", "102", "103"]),
    ] {
        let (folder, catalog) = (TempDir::new().unwrap(), ledger(120).await);
        let stuck = Taken { most: Some(100), ..Taken::default() };
        let first = outbox(&catalog, &folder, &stuck);
        let whole = page(&catalog, 0).await;
        kill_when_full(first, whole.clone(), &stuck).await;
        let taken = Taken::default();
        let again = outbox(&catalog, &folder, &taken);
        again.append(forked(whole.clone(), fork)).await.unwrap();
        let places = places(&taken);
        assert_eq!(places[..3], expected, "{fork}");
        assert_eq!(places.last().map(String::as_str), Some("121"));
        drop(again);
        let last = outbox(&catalog, &folder, &taken);
        let kept = last.followed().await.unwrap();
        assert_eq!((kept.seq, kept.identity), (Seq(121), Some(forked(whole, fork).identity)));
    }
}

/// The new timeline's first entries were delivered, and the place was kept in the middle of their page.
#[tokio::test]
async fn a_fork_that_was_followed_is_not_announced_after_a_kill() {
    let (folder, catalog) = (TempDir::new().unwrap(), ledger(150).await);
    let stuck = Taken { most: Some(120), ..Taken::default() };
    let first = outbox(&catalog, &folder, &stuck);
    let mut start = page(&catalog, 0).await;
    let whole = forked(start.clone(), 60);
    start.entries.clear();
    start.head = Seq(0);
    start.after = start.before.unwrap();
    first.append(start).await.unwrap();
    kill_when_full(first, whole.clone(), &stuck).await;
    let taken = Taken::default();
    outbox(&catalog, &folder, &taken).append(whole).await.unwrap();
    assert_eq!(places(&taken)[0], "101");
    assert!(places(&taken).iter().all(|place| !place.ends_with("rewound")));
}

#[tokio::test]
async fn a_ledger_without_what_was_delivered_is_refused() {
    let (folder, catalog) = (TempDir::new().unwrap(), ledger(120).await);
    let stuck = Taken { most: Some(100), ..Taken::default() };
    let first = outbox(&catalog, &folder, &stuck);
    let whole = page(&catalog, 0).await;
    kill_when_full(first, whole.clone(), &stuck).await;
    let refused = async |page: Entries, says: &str| {
        let taken = Taken::default();
        let error = outbox(&catalog, &folder, &taken).append(page).await.unwrap_err();
        assert!(error.to_string().contains(says) && places(&taken).is_empty(), "{error}");
    };
    let mut shorter = whole.clone();
    shorter.entries.truncate(50);
    shorter.head = Seq(50);
    refused(shorter, "ends before entry 100").await;
    let mut other = whole;
    other.entries[99].key = Some(OrderId(Uuid::from_u128(7)));
    refused(other, "entry 100 is not the one").await;
}

//! What a crash, a power cut or a careless hand leaves of an index: the shop sells, finds what it should, and goes on.

use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService as _, LedgerIdentity, Line, Lines, OrderId, Query, SystemClock,
    search::{
        IndexedSearch,
        index::{BookIndex, Unusable},
    },
    store::{
        LedgerReader as _,
        sqlite::{self, SqliteOptions},
    },
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

use crate::fixture::book;

/// Indexes that are damaged, each in another way.
const ROUNDS: u64 = 24;
/// Times at which books are added, and how many each time.
const TIMES: u64 = 4;
const AT_ONCE: u64 = 3;
/// No one of them has the stem of another one, so that searches with and without an index find the same.
const WORDS: [&str; 4] = ["zebra", "oak", "quartz", "x86"];

/// Draws numbers, the same ones for the same seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

struct Shop {
    catalog: Catalog,
    ledger: LedgerIdentity,
}

impl Shop {
    /// With an index, or without, so that the store's texts are searched.
    fn open(place: &Path, indexed: bool) -> Self {
        let file = place.join("shop.db");
        let (store, reader) = sqlite::open(&file, &SystemClock, SqliteOptions::default()).expect("a store");
        let (ledger, clock) = (reader.identity().clone(), Arc::new(SystemClock));
        let options = CatalogOptions::default();
        let catalog = if indexed {
            let search = Arc::new(IndexedSearch::open(Some(&folder(place)), reader.clone()));
            Catalog::start(store, reader, search, clock, options)
        } else {
            Catalog::start(store, reader.clone(), reader, clock, options)
        };
        Self { catalog: catalog.expect("a ledger"), ledger }
    }

    async fn close(self) {
        let closed = self.catalog.closed();
        drop(self);
        closed.wait().await;
    }

    async fn add(&self, from: u64) {
        let word = |n: u64| WORDS[usize::try_from(n % 4).expect("small")];
        let title = |n: u64| format!("{} {} number{n}", word(n), word(n / 4));
        let books = (from..from + AT_ONCE).map(|n| book(&title(n), 5)).collect();
        self.catalog.add_books(books, None).await.expect("good books");
    }

    /// What is found by each word, by number.
    async fn found(&self) -> Vec<Vec<u64>> {
        let mut all = Vec::new();
        for word in WORDS {
            let query = Query { page_size: Some(100), ..Query::words(word) };
            let books = self.catalog.search(query).await.expect("an answer").books;
            let mut numbers: Vec<u64> = books.into_iter().map(|book| book.id.0).collect();
            numbers.sort_unstable();
            all.push(numbers);
        }
        all
    }

    async fn sell(&self) {
        let lines = Lines::new([Line::new(BookId(1), 1)]).expect("a line");
        self.catalog.sell(OrderId(Uuid::now_v7()), lines).await.expect("it sells");
    }
}

fn folder(place: &Path) -> PathBuf {
    place.join("shop.db.search")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
    }
}

/// Damages a folder, and says how.
fn damage(folder: &Path, draw: &mut Draw) -> &'static str {
    let all = files(folder);
    let one = &all[usize::try_from(draw.below(all.len() as u64)).expect("few")];
    match draw.below(6) {
        0 => "none",
        1 => {
            fs::remove_dir_all(folder).expect("removed");
            "lost"
        }
        2 => {
            fs::remove_file(one).expect("removed");
            "one file lost"
        }
        // Written, and not on the disk yet.
        3 | 4 => {
            for file in &all {
                if draw.below(3) == 0 {
                    let length = fs::metadata(file).expect("a file").len();
                    let file = fs::OpenOptions::new().write(true).open(file).expect("a file");
                    file.set_len(draw.below(length + 1)).expect("cut off");
                }
            }
            "cut off"
        }
        _ => {
            // What the engine reads as JSON has no checksum.
            let Some(file) = all.iter().rfind(|file| file.extension().is_some_and(|ending| ending != "json")) else {
                return "none";
            };
            let mut bytes = fs::read(file).expect("a file");
            if bytes.is_empty() {
                return "none";
            }
            let at = usize::try_from(draw.below(bytes.len() as u64)).expect("small");
            bytes[at] ^= 0x10;
            fs::write(file, bytes).expect("written");
            "a bit flipped"
        }
    }
}

/// Waits until nobody has the index open: the engine closes its files in the background.
fn released(folder: &Path, ledger: &LedgerIdentity) {
    let opens = || {
        std::thread::sleep(std::time::Duration::from_millis(10));
        BookIndex::open(folder, ledger).ok()
    };
    drop((0..1_000).find_map(|_| opens()).expect("it is whole"));
}

/// What a shop would do with an index.
fn state(folder: &Path, ledger: &LedgerIdentity, last: u64) -> &'static str {
    match BookIndex::open(folder, ledger) {
        Ok(index) if index.seq().0 == last => "whole",
        Ok(_) => "lagging",
        Err(Unusable::Missing) => "missing",
        Err(_) => "unusable",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_left_of_an_index_books_are_found_and_sold() {
    let (mut damages, mut states) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for seed in 0..ROUNDS {
        let mut draw = Draw(seed);
        let place = tempfile::tempdir().expect("a temporary folder");
        let (saved, kept) = (place.path().join("saved"), draw.below(TIMES));
        let shop = Shop::open(place.path(), true);
        for time in 0..TIMES {
            shop.add(time * AT_ONCE).await;
            // Brings the index up to date.
            shop.found().await;
            if time == kept {
                copy(&folder(place.path()), &saved);
            }
        }
        let ledger = shop.ledger.clone();
        shop.close().await;
        released(&folder(place.path()), &ledger);

        let shop = Shop::open(place.path(), false);
        let expected = shop.found().await;
        shop.close().await;
        fs::remove_dir_all(folder(place.path())).expect("removed");
        copy(&saved, &folder(place.path()));
        let how = damage(&folder(place.path()), &mut draw);
        *damages.entry(how).or_default() += 1;
        let state = state(&folder(place.path()), &ledger, TIMES * AT_ONCE);
        *states.entry(state).or_default() += 1;

        let shop = Shop::open(place.path(), true);
        shop.sell().await;
        assert_eq!(shop.found().await, expected, "seed {seed}: {how}, {state}");
        shop.add(TIMES * AT_ONCE).await;
        let more: u64 = shop.found().await.iter().map(|books| books.len() as u64).sum();
        assert!(more > expected.iter().map(|books| books.len() as u64).sum(), "seed {seed}: {how}, {state}");
        shop.close().await;
    }
    for how in ["none", "lost", "one file lost", "cut off", "a bit flipped"] {
        assert!(damages.get(how).is_some_and(|rounds| *rounds >= 2), "{how}: {damages:?}");
    }
    for (state, least) in [("whole", 1), ("lagging", 3), ("missing", 3), ("unusable", 3)] {
        assert!(states.get(state).is_some_and(|rounds| *rounds >= least), "{state}: {states:?}");
    }
}

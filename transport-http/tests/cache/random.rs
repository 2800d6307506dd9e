//! Whatever happens in whichever order, a client sees no book go back, and every level that it sees was true.

use bookstore_core::{
    Amend, Book, BookId, CatalogService as _, OrderId, OrderService as _, Query, Result, Seq,
    decide::{self, Level, Levels},
};
use bookstore_transport_http::cache::{CacheOptions, CacheStats};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::{task::JoinHandle, time::advance};

use crate::support::{Frontend, frontend, lines, price_of, settle};

const CLIENTS: usize = 3;
const BOOKS: u64 = 3;

/// What happens next. Clients do one thing at a time: one that waits for an answer is passed over.
#[derive(Clone, Debug)]
enum Step {
    /// Through another frontend.
    SellElsewhere {
        book: BookId,
    },
    RepriceElsewhere {
        book: BookId,
        price: u64,
    },
    RestockElsewhere {
        book: BookId,
        delta: i64,
    },
    ReviseElsewhere {
        book: BookId,
        title: u64,
    },
    PutElsewhere {
        book: BookId,
        on_sale: bool,
    },
    Buy {
        client: usize,
        book: BookId,
    },
    Cancel {
        client: usize,
    },
    Amend {
        client: usize,
        book: BookId,
        price: u64,
    },
    Read {
        client: usize,
        book: BookId,
    },
    Search {
        client: usize,
    },
    /// A client learns of the newest entry.
    Learn {
        client: usize,
    },
    /// One of the answers on their way arrives.
    Answer {
        at: usize,
    },
    /// The follower gets its next page.
    Follow {
        entries: usize,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let book = (1..=BOOKS).prop_map(BookId);
    let price = 100..120_u64;
    prop_oneof![
        3 => book.clone().prop_map(|book| Step::SellElsewhere { book }),
        2 => (book.clone(), price.clone()).prop_map(|(book, price)| Step::RepriceElsewhere { book, price }),
        1 => (book.clone(), 1..5_i64).prop_map(|(book, delta)| Step::RestockElsewhere { book, delta }),
        1 => (book.clone(), 0..1000_u64).prop_map(|(book, title)| Step::ReviseElsewhere { book, title }),
        1 => (book.clone(), any::<bool>()).prop_map(|(book, on_sale)| Step::PutElsewhere { book, on_sale }),
        2 => (client.clone(), book.clone()).prop_map(|(client, book)| Step::Buy { client, book }),
        1 => client.clone().prop_map(|client| Step::Cancel { client }),
        1 => (client.clone(), book.clone(), price).prop_map(|(client, book, price)| Step::Amend { client, book, price }),
        12 => (client.clone(), book).prop_map(|(client, book)| Step::Read { client, book }),
        1 => client.clone().prop_map(|client| Step::Search { client }),
        1 => client.prop_map(|client| Step::Learn { client }),
        8 => (0..8_usize).prop_map(|at| Step::Answer { at }),
        6 => (1..4_usize).prop_map(|entries| Step::Follow { entries }),
        2 => (1..4000_u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

#[derive(Default)]
struct Client {
    /// The oldest version of each book that this client may still be shown.
    seen: BTreeMap<BookId, Seq>,
    reading: Option<(BookId, JoinHandle<Result<Book>>)>,
    orders: Vec<OrderId>,
}

struct World {
    shop: Frontend,
    clients: Vec<Client>,
}

impl World {
    async fn new() -> Self {
        let shop = frontend(CacheOptions { books_max: 2, ..CacheOptions::default() }).await;
        shop.upstream.infos.close();
        shop.stop_the_feed().await;
        Self { shop, clients: std::iter::repeat_with(Client::default).take(CLIENTS).collect() }
    }

    /// How every book stood at every one of its versions.
    async fn truth(&self) -> BTreeMap<(BookId, Seq), Level> {
        let (mut levels, mut truth) = (Levels::default(), BTreeMap::new());
        for entry in self.shop.upstream.ledger().await {
            decide::apply(&mut levels, &entry);
            for change in &entry.changes {
                truth.insert((change.book, entry.seq), levels.get(change.book).unwrap());
            }
        }
        truth
    }

    async fn check(&mut self, client: usize, book: &Book) {
        let truth = self.truth().await;
        let level = Level::shown(book);
        assert_eq!(truth.get(&(book.id, book.version)), Some(&level), "client {client} was shown what never was");
        let texts = self.shop.upstream.ledger().await.into_iter().filter(|entry| entry.seq == book.text_version);
        let texts: Vec<_> = texts.filter_map(|entry| entry.text).collect();
        assert_eq!(texts, std::slice::from_ref(&book.text), "client {client} was shown another text");
        self.saw(client, book.id, book.version);
    }

    fn saw(&mut self, client: usize, book: BookId, version: Seq) {
        let seen = self.clients[client].seen.entry(book).or_default();
        assert!(version >= *seen, "client {client} saw book {book} go from {seen} back to {version}");
        *seen = version;
    }

    /// The client learns of everything that is durable.
    async fn learn(&mut self, client: usize) {
        for (book, version) in self.truth().await.into_keys() {
            let seen = self.clients[client].seen.entry(book).or_default();
            *seen = version.max(*seen);
        }
    }

    async fn take(&mut self, step: Step) {
        let catalog = Arc::clone(&self.shop.upstream.catalog);
        match step {
            Step::SellElsewhere { book } => {
                let _ = catalog.sell(self.shop.id(), lines(book, 1)).await;
            }
            Step::RepriceElsewhere { book, price } => {
                catalog.amend(book, price_of(price), None, None).await.unwrap();
            }
            Step::ReviseElsewhere { book, title } => {
                self.shop.revise_elsewhere(book, &format!("Revised {book}, {title}")).await;
            }
            Step::PutElsewhere { book, on_sale } => {
                let change = if on_sale { Amend::Relist } else { Amend::Withdraw };
                catalog.amend(book, change, None, None).await.unwrap();
            }
            Step::RestockElsewhere { book, delta } => {
                catalog.amend(book, Amend::StockDelta { delta }, None, None).await.unwrap();
            }
            Step::Answer { at } => {
                self.shop.upstream.infos.release(at);
            }
            Step::Follow { entries } => {
                self.shop.upstream.page_max.store(entries, SeqCst);
                self.shop.upstream.feed.release(0);
                settle().await;
                // After an empty page the follower rests a little.
                advance(Duration::from_millis(51)).await;
            }
            Step::Pass { ms } => advance(Duration::from_millis(ms)).await,
            Step::Buy { client, .. }
            | Step::Cancel { client }
            | Step::Amend { client, .. }
            | Step::Read { client, .. }
            | Step::Search { client }
            | Step::Learn { client } => {
                if self.clients[client].reading.is_none() {
                    self.act(client, step).await;
                }
            }
        }
    }

    async fn act(&mut self, client: usize, step: Step) {
        match step {
            Step::Buy { book, .. } => {
                if let Ok(receipt) = self.shop.buy(book).await {
                    self.saw(client, book, receipt.order.seq);
                    self.clients[client].orders.push(receipt.order.id);
                }
            }
            Step::Cancel { .. } => {
                let Some(id) = self.clients[client].orders.pop() else { return };
                let order = self.shop.orders.cancel(id).await.unwrap().order;
                // Nothing else happens meanwhile: the return is the ledger's end.
                self.saw(client, order.lines[0].book, self.shop.upstream.catalog.head());
            }
            Step::Amend { book, price, .. } => {
                let amended = self.shop.cache.amend(book, price_of(price), None, None).await.unwrap();
                self.check(client, &amended).await;
            }
            Step::Read { book, .. } => {
                self.clients[client].reading = Some((book, self.shop.reader(book)));
            }
            Step::Search { .. } => {
                for book in self.shop.cache.search(Query::topic("testing")).await.unwrap().books {
                    self.check(client, &book).await;
                }
            }
            Step::Learn { .. } => {
                self.shop.cache.observed(self.shop.upstream.catalog.head());
                self.learn(client).await;
            }
            _ => unreachable!("not a client's step: {step:?}"),
        }
    }

    /// Takes down the answers that have arrived.
    async fn harvest(&mut self) {
        settle().await;
        for client in 0..CLIENTS {
            if let Some((book, reading)) = self.clients[client].reading.take_if(|(_, reading)| reading.is_finished()) {
                let read =
                    reading.await.unwrap().unwrap_or_else(|error| panic!("client {client}, book {book}: {error}"));
                self.check(client, &read).await;
            }
        }
    }

    /// Lets everything arrive; then the cache must show what the catalogue does.
    async fn converge(mut self) -> CacheStats {
        self.shop.upstream.page_max.store(usize::MAX, SeqCst);
        self.shop.upstream.infos.open();
        self.shop.upstream.feed.open();
        self.shop.caught_up().await;
        self.harvest().await;
        for book in (1..=BOOKS).map(BookId) {
            let now = self.shop.upstream.catalog.info(book).await.unwrap();
            assert_eq!(self.shop.read(book).await, now);
            assert_eq!(self.shop.read(book).await, now);
        }
        self.shop.cache.stats()
    }
}

fn run(steps: Vec<Step>) -> CacheStats {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new().await;
        for step in steps {
            world.take(step).await;
            world.harvest().await;
        }
        world.converge().await
    })
}

#[test]
fn no_client_sees_a_book_go_back_or_as_it_never_was() {
    let totals = Mutex::new(CacheStats::default());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&vec(step(), 1..120), |steps| {
        let stats = run(steps);
        let mut totals = totals.lock().unwrap();
        totals.hits += stats.hits;
        totals.misses += stats.misses;
        totals.bypasses += stats.bypasses;
        totals.joined += stats.joined;
        totals.served_stale += stats.served_stale;
        totals.entries_followed += stats.entries_followed;
        totals.resets += stats.resets;
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let totals = totals.into_inner().unwrap();
    println!("{totals:?}");
    // A run without these moments shows nothing.
    let reached = [totals.hits, totals.misses, totals.bypasses, totals.joined, totals.served_stale];
    assert!(reached.iter().all(|moments| *moments >= 20), "{totals:?}");
    assert_eq!(totals.resets, 0, "a true ledger is never doubted");
}

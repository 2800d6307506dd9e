//! Actors that search by words, and the verdict on what they found.
//!
//! The reference search over the store says which books have the words at each point of the ledger between a call and its answer. What was
//! found had them at one of these, and what has them at all of these was found. In an accident only searches are judged that were answered
//! before it, and those after all faults: whoever reads does not compare.

use bookstore_core::{
    BookId, Entry, Kind, Query, Seq, Sort,
    check::FinalState,
    search::BookSearch as _,
    store::{LedgerReader, sqlite},
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    actors::Actor,
    caller::{Caller, Routes},
    coverage::Seen,
    editors::TITLES,
    forks,
    hosts::Host,
    index,
    servers::SQLITE,
    world::{Shared, SimClock},
};

/// A search that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    words: String,
    /// What was durable when it was called, and what was written when it was answered.
    from: Seq,
    to: Seq,
    /// When it was answered, by the recorder's clock.
    answered: u64,
    books: BTreeSet<BookId>,
    /// Whether all faults were over.
    at_the_end: bool,
}

/// What is searched for: a word of each title that books get, of those that they had first, and of all authors.
fn words() -> impl Iterator<Item = String> {
    TITLES.iter().copied().chain(["Book", "Anna"]).map(str::to_lowercase)
}

/// Searches by words, by any route.
pub(crate) async fn searcher(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Staff, number);
    let words: Vec<String> = words().collect();
    while actor.think().await {
        let words = &words[actor.rng.random_range(0..words.len())];
        search(&actor.caller, words, false).await;
    }
}

/// Searches for each of the words when all faults are over.
pub(crate) async fn search_at_the_end(routes: &Routes, number: u64) {
    const ATTEMPTS: usize = 20;
    let mut caller = routes.caller(number);
    for words in words() {
        caller.next_route();
        let mut attempts = 1;
        while !search(&caller, &words, true).await {
            attempts += 1;
            if attempts > ATTEMPTS {
                return caller.world.fail("convergence", format!("a search for {words} fails after the faults"));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Returns whether it was answered.
async fn search(caller: &Caller, words: &str, at_the_end: bool) -> bool {
    let world = &caller.world;
    let from = world.published();
    // The order by relevance depends on how the engine has merged its segments.
    let query = Query { sort: Sort::Title, ..Query::words(words) };
    let Ok(page) = caller.search(query).await else { return false };
    let to = world.disk(world.accident.ledger_host()).heads().0;
    let books = page.books.iter().map(|book| book.id).collect();
    let answered = world.tick();
    world.facts().searches.push(Searched { words: words.to_owned(), from, to, answered, books, at_the_end });
    true
}

/// The verdict on all searches of a run, and on the index as it is left.
pub(crate) fn judge(world: &Shared, end: &FinalState) {
    if !world.plan.indexed {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a plain runtime starts");
    runtime.block_on(async {
        let record = world.accident.record().clone();
        let searches = world.facts().searches.clone();
        let (began, host) = (record.began.unwrap_or(u64::MAX), world.accident.ledger_host());
        let (before, after): (Vec<_>, Vec<_>) = searches
            .into_iter()
            .filter(|search| search.answered < began || search.at_the_end)
            .partition(|search| search.answered < began && record.destroyed.is_some());
        let reference = Reference::open(world, host, &world.disk(host).path(), end.entries.clone());
        reference.judge(world, &after).await;
        judge_index(world, host, &reference).await;
        if let Some(kept) = &record.destroyed {
            let entries = forks::entries(kept).expect("a store can be read");
            Reference::open(world, Host::Catalog, kept, entries).judge(world, &before).await;
        }
    });
}

/// With all texts, the index finds what the reference finds.
async fn judge_index(world: &Shared, host: Host, reference: &Reference) {
    let head = reference.head();
    let index = index::reopen(world, host, Arc::clone(&reference.reader));
    if let Err(error) = index.catch_up(head).await {
        return world.fail("search", format!("the index cannot be brought up to date: {error}"));
    }
    for words in words() {
        let query = Query::words(words.as_str()).check().expect("a good query");
        match index.matches(&query, head).await {
            Ok(found) => {
                if index::answered_by(&found) == Some(Seen::SearchedIndex) {
                    world.coverage.saw(Seen::IndexCompared);
                }
                let mut found: BTreeSet<BookId> = found.books.into_iter().map(|found| found.book).collect();
                let on_sale = reference.on_sale(head);
                found.retain(|book| on_sale.contains(book));
                let expected = &reference.matching(&words, head).await & &on_sale;
                if found != expected {
                    world.fail("search", format!("the index finds {found:?} by {words}, the store {expected:?}"));
                }
            }
            Err(error) => world.fail("search", format!("the index cannot be searched: {error}")),
        }
    }
}

/// What the reference search finds at any point of a ledger.
struct Reference {
    reader: Arc<dyn LedgerReader>,
    entries: Vec<Entry>,
}

impl Reference {
    fn open(world: &Shared, host: Host, path: &Path, entries: Vec<Entry>) -> Self {
        let opened = sqlite::open(path, &SimClock::new(world, host), SQLITE);
        let (_store, reader) = opened.unwrap_or_else(|error| panic!("the ledger cannot be read: {error}"));
        Self { reader, entries }
    }

    fn head(&self) -> Seq {
        Seq(self.entries.len() as u64)
    }

    async fn matching(&self, words: &str, at: Seq) -> BTreeSet<BookId> {
        let query = Query::words(words).check().expect("a good query");
        let found = self.reader.matches(&query, at).await.expect("a store can be read");
        found.books.into_iter().map(|found| found.book).collect()
    }

    fn on_sale(&self, at: Seq) -> BTreeSet<BookId> {
        let mut on_sale = BTreeMap::new();
        for entry in self.entries.iter().take_while(|entry| entry.seq <= at) {
            let Some(book) = entry.changes.first().map(|change| change.book) else { continue };
            match entry.kind {
                Kind::Listing | Kind::Relist => drop(on_sale.insert(book, true)),
                Kind::Withdraw => drop(on_sale.insert(book, false)),
                _ => {}
            }
        }
        on_sale.into_iter().filter(|(_, on_sale)| *on_sale).map(|(book, _)| book).collect()
    }

    async fn judge(&self, world: &Shared, searches: &[Searched]) {
        for search in searches {
            let changes = self.entries.iter().filter(|entry| entry.changes_lists()).map(|entry| entry.seq);
            let points = changes.filter(|at| *at > search.from && *at <= search.to);
            let (mut matched, mut sold) = (BTreeSet::new(), BTreeSet::new());
            let mut always: Option<BTreeSet<BookId>> = None;
            for at in [search.from].into_iter().chain(points) {
                let (matching, on_sale) = (self.matching(&search.words, at).await, self.on_sale(at));
                let both = &matching & &on_sale;
                always = Some(always.map_or(both.clone(), |always| &always & &both));
                matched.extend(matching);
                sold.extend(on_sale);
            }
            let (ever, always) = (&matched & &sold, always.unwrap_or_default());
            if !search.books.is_subset(&ever) || !always.is_subset(&search.books) {
                world.fail("search", format!("{search:?}: all of {always:?} and none beside {ever:?} can be right"));
            }
        }
    }
}

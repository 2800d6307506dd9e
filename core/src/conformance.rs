//! The conformance suite: what [`CatalogService`] and [`OrderService`] promise, in executable form.
//!
//! For authors of stores, transports and decorators. Each case is written once, against the two traits, and listed once,
//! in [`CASES`]; every store, every transport and every deployment runs them all:
//!
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, Orders, SystemClock, conformance::{self, Deployment}, store::memory};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! conformance::run_all("memory", async |_case: &str| {
//!     let (store, reader) = memory::open(&SystemClock);
//!     let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
//!     let catalog = Arc::new(catalog);
//!     let orders = Orders::new(catalog.clone(), catalog.clone());
//!     Deployment::new(catalog, Arc::new(orders))
//! })
//! .await;
//! # }
//! ```
//!
//! A store's test makes a store of its own for each case and puts a [`Catalog`](crate::Catalog) over it; a transport's
//! test makes servers and gives their clients. After every case the whole ledger is [audited](crate::audit). Run it twice,
//! the second time [`Deployment::repeated`]: then every keyed call is sent once more than it was asked for.

mod amends;
mod cancels;
mod fixture;
mod ledger;
mod listing;
mod orders;
mod paging;
mod purchases;
mod races;
mod retrying;
mod search;

pub use retrying::Retrying;

use std::{
    any::Any,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    audit::{Audit, Summary},
    book::BookId,
    catalog::{CatalogService, ENTRIES_MAX},
    decide::Level,
    orders::OrderService,
};

/// Something that keeps the promises of both services, with an empty ledger, for one case.
#[derive(Clone)]
pub struct Deployment {
    /// The catalogue.
    pub catalog: Arc<dyn CatalogService>,
    /// The orders over that catalogue.
    pub orders: Arc<dyn OrderService>,
    /// Whether each keyed call is executed twice: then its answer always says that it was done before.
    pub repeats: bool,
    /// Dropped after the services.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Deployment {
    /// A catalogue with an empty ledger, and orders over it.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> Self {
        Self { catalog, orders, repeats: false, kept: Vec::new() }
    }

    /// Keeps something until the case is over: a server's handle, a temporary directory.
    #[must_use]
    pub fn keep(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(guard));
        self
    }

    /// The same, with every keyed call [sent twice](Retrying).
    #[must_use]
    pub fn repeated(self) -> Self {
        let (catalog, orders) = (Arc::new(Retrying(self.catalog)), Arc::new(Retrying(self.orders)));
        Self { catalog, orders, repeats: true, kept: self.kept }
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment").field("repeats", &self.repeats).finish_non_exhaustive()
    }
}

/// One case: it panics if a promise is broken.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, `module::promise`.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(Deployment) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! cases {
    ($($module:ident { $($case:ident)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(
            Case { name: concat!(stringify!($module), "::", stringify!($case)), run: |deployment| Box::pin($module::$case(deployment)) },
        )*)*];
    };
}

cases! {
    listing {
        numbers_books_and_keeps_what_they_say
        again_changes_nothing
        knows_a_book_by_isbn_or_else_by_title_author_and_year
        rejects_a_list_with_one_bad_book_as_a_whole
        takes_fields_at_their_limits
        takes_as_many_books_as_it_says
        knows_no_strangers
    }
    search {
        finds_by_topic
        finds_by_beginnings_of_words
        finds_only_what_has_all_words
        finds_by_words_within_a_topic
        ranks_title_over_author_over_subjects
        survives_hostile_words
        finds_nothing_by_punctuation
        rejects_what_is_too_long
        shows_price_and_stock_as_they_are
        counts_topics
    }
    paging {
        shows_every_book_once_in_every_sort
        sorts_as_asked
        ends_without_an_empty_page
        pages_through_long_titles
        rejects_strange_tokens
        rejects_page_sizes_out_of_range
    }
    purchases {
        sells_one_line
        sells_many_lines_sorted
        answers_each_of_many_by_itself
        sums_lines_of_one_book
        sells_all_or_nothing
        refuses_unknown_books
        replays_the_same_lines
        refuses_other_lines_under_the_same_id
        forgets_a_refusal
        heeds_the_price_that_was_seen
        refuses_a_total_that_is_too_large
        sells_a_hundred_lines
        sells_the_last_copy
    }
    cancels {
        puts_copies_back
        twice_is_once
        refuses_unknown_orders
        shows_in_later_replays_of_the_purchase
        returns_at_the_price_of_the_sale
        needs_room_for_the_copies
    }
    amends {
        adds_and_takes_copies
        never_goes_below_zero
        has_a_limit_of_copies
        with_a_key_happens_once
        keys_are_not_shared
        changes_something
        sets_with_the_version_seen
        needs_a_version_for_stock
        sets_a_price_without_a_version
        refuses_unknown_books
    }
    ledger {
        is_dense_and_ordered
        records_each_kind
        limits_a_stretch
        wakes_who_waits
        lets_waiting_end
        sums_up_to_the_stock
        finds_orders
    }
    orders {
        reads_its_own_writes
        pages_newest_first
        rejects_strange_pages
    }
    races {
        sell_exactly_what_there_is
        with_one_id_buy_once
        with_one_id_and_other_lines_buy_one_of_them
        over_many_books_in_any_order_end
        of_cancels_return_once
        of_deltas_lose_none
        of_absolute_values_have_one_winner
        of_everything_conserve_stock
    }
}

/// The longest that one case may take.
pub const CASE_MAX: Duration = Duration::from_secs(120);

/// How the cases ended.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cases that passed.
    pub passed: Vec<&'static str>,
    /// The cases that failed, and why.
    pub failed: Vec<(&'static str, String)>,
}

/// Runs every case on a deployment of its own, prints how each ended, and audits each ledger.
///
/// # Panics
/// At the end, with every failure, if there is one.
pub async fn run_all(label: &str, make: impl AsyncFn(&'static str) -> Deployment) -> Report {
    let mut report = Report::default();
    for case in CASES {
        let started = Instant::now();
        let outcome = run(case, make(case.name).await).await;
        let ms = started.elapsed().as_millis();
        match outcome {
            Ok(Summary { head, .. }) => {
                println!("{label}: {} ... ok ({head} entries, {ms} ms)", case.name);
                report.passed.push(case.name);
            }
            Err(why) => {
                println!("{label}: {} ... FAILED ({ms} ms): {why}", case.name);
                report.failed.push((case.name, why));
            }
        }
    }
    let failures: String = report.failed.iter().map(|(name, why)| format!("\n  {name}: {why}")).collect();
    assert!(failures.is_empty(), "{label}: {} of {} cases failed:{failures}", report.failed.len(), CASES.len());
    report
}

/// Runs one case and audits its ledger.
///
/// # Errors
/// What the case or the audit says.
pub async fn run(case: &Case, deployment: Deployment) -> Result<Summary, String> {
    let done = (case.run)(deployment.clone());
    let audited = async move {
        done.await;
        audit(&deployment).await
    };
    // A task of its own, so that a panic ends the case and not the suite.
    match tokio::spawn(tokio::time::timeout(CASE_MAX, audited)).await {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(_)) => Err(format!("not done after {} s", CASE_MAX.as_secs())),
        Err(stopped) => Err(match stopped.try_into_panic() {
            Ok(panic) => message_of(panic.as_ref()),
            Err(stopped) => stopped.to_string(),
        }),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// Replays the whole ledger and compares every book with it. The deployment must stand still meanwhile.
///
/// # Panics
/// If the ledger breaks a promise, or a book is not as the ledger says.
pub async fn audit(deployment: &Deployment) -> Summary {
    let catalog = deployment.catalog.as_ref();
    let (mut audit, mut findings, mut head) = (Audit::new(), Vec::new(), Default::default());
    loop {
        let page = catalog.entries(head, ENTRIES_MAX, Duration::ZERO).await.expect("the ledger can be read");
        let Some(last) = page.entries.last() else { break };
        head = last.seq;
        findings.extend(page.entries.iter().filter_map(|entry| audit.take(entry).err()));
    }
    let books: Vec<BookId> = audit.books().collect();
    let mut levels = Vec::with_capacity(books.len());
    for id in books {
        let book = catalog.info(id).await.expect("a listed book can be read");
        levels.push((id, Level { stock: book.stock, price_cents: book.price_cents, version: book.version }));
    }
    let (summary, off) = audit.finish(levels);
    findings.extend(off);
    assert!(findings.is_empty(), "the audit found: {findings:?}");
    summary
}

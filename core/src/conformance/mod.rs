//! The conformance suite: what [`CatalogService`](crate::CatalogService) and [`OrderService`](crate::OrderService)
//! promise, in executable form.
//!
//! It is for authors of stores, transports and decorators. Each case is written once, against the two traits; every
//! store, every transport and every deployment runs them all. A store's test makes a new store for each case and puts a
//! [`Catalog`](crate::Catalog) over it. A transport's test starts servers and passes clients of them.
//!
//! # Run it over a service of your own
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
//! After every case the whole ledger is [audited](crate::audit). Run the suite a second time with
//! [`Deployment::repeated`]: then every call with a key is sent twice, as a client does after a lost answer.
//!
//! # What a deployment must provide
//! - An empty ledger for every case: the numbers of books and entries begin at 1.
//! - Time: a case has [`CASE_MAX`], 120 seconds, which is for busy machines. Most take some milliseconds.
//! - A runtime of several threads, or the races prove little.
//! - If there are several order servers, one of them for all calls of a case, as another one may show a cancellation
//!   later.
//!
//! # Limits
//! The suite calls services that work. It does not crash them, fill their disks, lose their messages or load them. For
//! a store, add tests that reopen it after a crash; for a transport, put a decorator that injects faults behind it,
//! record the calls, and check the history with `bookstore_core::check`.
//!
//! # Run one case
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, Orders, SystemClock, conformance::{self, CASES, Deployment}, store::memory};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let (store, reader) = memory::open(&SystemClock);
//! # let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
//! # let catalog = Arc::new(catalog);
//! # let deployment = Deployment::new(catalog.clone(), Arc::new(Orders::new(catalog.clone(), catalog)));
//! let case = CASES.iter().find(|case| case.name == "purchases::sells_one_line").unwrap();
//! let summary = conformance::run(case, deployment).await.unwrap();
//! assert_eq!((summary.books, summary.sales), (1, 1));
//! # }
//! ```
//!
//! # Add a case
//! Write a function in one of the modules of `cases`, and add its name to the table there. A function that is not in
//! the table does not compile. Every test that calls [`run_all`] then runs the case.

mod cases;
mod deployment;
mod retrying;

pub use cases::{CASES, Case};
pub use deployment::Deployment;
pub use retrying::Retrying;

use std::{
    any::Any,
    time::{Duration, Instant},
};

use crate::audit::{self, Summary};

/// The longest that one case may take, its audit included.
pub const CASE_MAX: Duration = Duration::from_secs(120);

/// Runs every case on a deployment of its own, one after the other, prints how each ended, and audits each ledger.
///
/// `make` gets the name of the case. `label` names the kind of deployment in what is printed, a line for each case:
///
/// ```text
/// memory: purchases::sells_one_line ... ok (2 entries, 1 ms)
/// ```
///
/// # Panics
/// At the end, with every failure, if a case failed.
pub async fn run_all(label: &str, make: impl AsyncFn(&'static str) -> Deployment) {
    let mut failures = Vec::new();
    for case in CASES {
        let started = Instant::now();
        let outcome = run(case, make(case.name).await).await;
        let ms = started.elapsed().as_millis();
        match outcome {
            Ok(Summary { head, .. }) => {
                println!("{label}: {} ... ok ({head} entries, {ms} ms)", case.name);
            }
            Err(why) => {
                println!("{label}: {} ... FAILED ({ms} ms): {why}", case.name);
                failures.push(format!("\n  {}: {why}", case.name));
            }
        }
    }
    let failed = failures.len();
    assert_eq!(failed, 0, "{label}: {failed} of {} cases failed:{}", CASES.len(), failures.concat());
}

/// Runs one case and audits its ledger.
///
/// # Errors
/// - The message of a panic in the case: a promise is broken.
/// - What the audit found.
/// - That the case took longer than [`CASE_MAX`].
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

/// Audits the deployment's ledger and compares every book with it. Nothing may be changed meanwhile.
///
/// # Panics
/// If the ledger breaks a promise, a book is not as the ledger says, or either cannot be read.
pub async fn audit(deployment: &Deployment) -> Summary {
    let audited = audit::audit(deployment.catalog.as_ref()).await;
    let (summary, findings) = audited.expect("the ledger and its books can be read");
    assert!(findings.is_empty(), "the audit found: {findings:?}");
    summary
}

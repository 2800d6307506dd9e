//! The history checker: it decides from a recorded run whether the shop kept its promises.
//!
//! It takes what clients asked and were answered, and the ledger at the end. The promises: nothing is oversold, nothing
//! is lost, nothing is doubled, and every answer was true at some moment of its call; [`Rule`] lists them all.
//!
//! 1. A [`Recorder`] keeps the calls of services that are wrapped in [`Recorded`]: the [`History`].
//! 2. [`FinalState::read`] reads the ledger and the books when the run is over.
//! 3. [`check`] compares the two in O(n log n): 100,000 calls take about 0.1 s. The order of the ledger's entries is
//!    the witness: one by one in this order, the calls must have given the recorded answers.
//!
//! If there is no ledger that can be trusted, [`search`] looks for such an order itself, book by book.
//!
//! The checker shares no code with [`decide`](crate::decide), so neither hides the other's mistakes.
//!
//! # Record a run and check it
//! ```
//! use bookstore_core::{
//!     Catalog, CatalogOptions, CatalogService, OrderService, Orders, Seq, SystemClock,
//!     check::{FinalState, Options, Recorded, Recorder, check},
//!     fixtures::{any_book, lines, order_id},
//!     store::memory,
//! };
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> bookstore_core::Result<()> {
//! # let (store, reader) = memory::open(&SystemClock);
//! # let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default());
//! # let catalog = Arc::new(catalog.expect("a store in memory can be used"));
//! # let orders = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
//! let book = catalog.add_books(vec![any_book(1)], None).await?[0].id;
//!
//! // Every client gets the service as a process of its own.
//! let recorder = Arc::new(Recorder::default());
//! let recorded = Recorded::new(orders, &recorder, "order-1");
//! let (one, two) = (recorded.of_process(1), recorded.of_process(2));
//! let wanted = lines(&[(book, 1)]);
//! let (one, two) = tokio::join!(one.purchase(order_id(), wanted.clone()), two.purchase(order_id(), wanted));
//! assert!(one.is_ok() != two.is_ok(), "there is one copy");
//!
//! // Entry 1 lists the book; no recorded call has to account for it.
//! let end = FinalState::read(catalog.as_ref()).await?.since(Seq(1));
//! let report = check(&recorder.history(), &end, &Options::default());
//! assert!(report.holds(), "{report}");
//! # Ok(()) }
//! ```
//!
//! # Limits
//! - Reads of topics and of ledger entries are not recorded.
//! - [`Error::Invalid`](crate::Error::Invalid) counts as not executed, whatever its reason.
//! - Titles and other texts are not compared.

mod answers;
mod copies;
mod final_state;
mod history;
mod ledger_index;
mod matching;
mod operation;
mod options;
mod recorded;
mod recorder;
mod report;
mod search;
mod sweep;

pub use final_state::{CopyContents, FinalState, ServerCopy};
pub use history::{Call, History, ReadError};
pub use operation::{BookState, ListedBook, Operation, Outcome};
pub use options::{Cached, Cancellations, Delivery, Options};
pub use recorded::Recorded;
pub use recorder::{Recorder, Ticket};
pub use report::{Counts, Report, Rule, Violation};
pub use search::{SEARCH_BUDGET, search};

use crate::audit::{Audit, Finding};
use ledger_index::LedgerIndex;

/// Checks a history against the state at its end.
///
/// The run MUST be over: no call that could still have an effect may be under way when the final state is read.
#[must_use]
pub fn check(history: &History, end: &FinalState, options: &Options) -> Report {
    let (mut report, is_comparable) = Report::begin(history);
    if !is_comparable {
        return report;
    }
    audit(end, &mut report);
    let ledger = LedgerIndex::new(&end.entries, end.since);
    let matching = matching::match_calls(history, &ledger, options.delivery, &mut report);
    answers::compare(history, &ledger, &mut report);
    sweep::run(history, &ledger, &matching, options, &mut report);
    for copy in &end.copies {
        copies::compare(&ledger, copy, &mut report);
    }
    report
}

/// Audits the ledger itself, and compares the books with it if they were read.
fn audit(end: &FinalState, report: &mut Report) {
    let mut audit = Audit::new();
    let mut findings: Vec<Finding> = end.entries.iter().filter_map(|entry| audit.take(entry).err()).collect();
    if let Some(levels) = &end.levels {
        findings.extend(audit.finish(levels.iter().copied()).1);
    }
    for finding in findings {
        let rule = match finding {
            Finding::KeyUsedAgain { .. } => Rule::ExactlyOnce,
            _ => Rule::Conservation,
        };
        report.add(rule, &[], || finding.to_string());
    }
}

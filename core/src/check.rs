//! The history checker: from what clients asked and were answered, and from the ledger as it stands in the end, it decides
//! whether the promises held: nothing oversold, nothing lost, nothing doubled, and every answer true at some moment of its call.
//!
//! [`Recorded`] writes the [`History`], [`Finals::read`] takes down the end state, [`check`] compares them in O(n log n):
//! the ledger's order is the witness that one by one, in that order, the calls would have given these answers. Without a
//! ledger that can be trusted, [`search`] looks for such a witness by itself, book by book.
//!
//! The checker shares no code with [`decide`](crate::decide), so that neither hides the other's mistakes.
//!
//! ```
//! use bookstore_core::{CatalogService, OrderService, Seq, check::{Finals, Options, Recorded, Recorder, check}};
//! use std::{sync::Arc, time::Duration};
//!
//! async fn watch(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> bookstore_core::Result<()> {
//!     let before = catalog.entries(Seq(0), 1, Duration::ZERO).await?.head;
//!     let recorder = Arc::new(Recorder::default());
//!     let recorded = Recorded::new(orders, &recorder, "order-1");
//!     // … any number of clients use `recorded.of_process(1)`, `recorded.of_process(2)`, … and come to rest …
//!     let finals = Finals::read(catalog.as_ref()).await?.since(before);
//!     let report = check(&recorder.history(), &finals, &Options::default());
//!     assert!(report.holds(), "{report}");
//!     Ok(())
//! }
//! ```
//!
//! # What it cannot see
//! Reading the list of topics and following the ledger are not recorded. A refusal as [`Error::Invalid`](crate::Error::Invalid)
//! counts as not executed, whatever its reason. Titles are not compared.

mod answers;
mod attempts;
mod copies;
mod finals;
mod history;
mod index;
mod recorder;
mod refusals;
mod report;
mod search;
mod sweep;

pub use finals::{Copied, Copy, Finals};
pub use history::{Call, History, Operation, Outcome, ReadError, Shelved, Shown};
pub use recorder::{Recorded, Recorder, Ticket};
pub use report::{Counts, Report, Rule, Violation};
pub use search::{SEARCH_BUDGET, search};

use crate::audit::{Audit, Finding};
use index::Ledger;

/// What may happen to a call between the recorder and the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives once, or not at all.
    Once,
    /// It may be sent again until it has been answered, as clients do: a first answer may say `replayed`.
    #[default]
    Retried,
    /// It may also arrive again after it was answered: a call with a key that was refused may happen all the same.
    Duplicated,
}

/// Whose cancellations a read of an order must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cancellations {
    /// Any that was acknowledged before the read: orders are read from the ledger itself.
    Everywhere,
    /// Those that were acknowledged through the same server, as [`OrderService`](crate::OrderService) promises.
    #[default]
    SameServer,
    /// Nobody's: servers were restarted, and their copies may be behind.
    Eventually,
}

/// Which reads of books may be out of date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cached {
    /// None.
    #[default]
    Never,
    /// All of them. They must still have been true once, and not before their time.
    Always,
    /// Those through these servers.
    Through(Vec<String>),
}

impl Cached {
    fn covers(&self, server: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Through(servers) => servers.iter().any(|cached| cached == server),
        }
    }
}

/// What a deployment promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What may happen to calls on their way.
    pub delivery: Delivery,
    /// Which cancellations a read of an order must show.
    pub cancellations: Cancellations,
    /// Which reads of books may be out of date.
    pub cached: Cached,
}

/// Checks a history against the end state. The run MUST be over: nothing may be under way that could still have an effect.
#[must_use]
pub fn check(history: &History, finals: &Finals, options: &Options) -> Report {
    let mut report = Report::new(history);
    if !is_sane(history, &mut report) {
        return report;
    }
    audit(finals, &mut report);
    let ledger = Ledger::new(&finals.entries, finals.since);
    let attempts = attempts::match_up(history, &ledger, options, &mut report);
    answers::compare(history, &ledger, &mut report);
    sweep::run(history, &ledger, &attempts, options, &mut report);
    for copy in &finals.copies {
        copies::compare(&ledger, copy, &mut report);
    }
    report
}

/// Time must go forward, or nothing can be said.
fn is_sane(history: &History, report: &mut Report) -> bool {
    if history.unrecorded > 0 {
        let unrecorded = history.unrecorded;
        report.undecided.push(format!("{unrecorded} calls were not recorded: entries of the ledger may be theirs"));
    }
    let returned_too_early =
        |call: &Call| call.completed.is_some_and(|completed| completed < call.invoked) || call.invoked == u64::MAX;
    let bad = history.calls.iter().position(returned_too_early);
    if let Some(at) = bad {
        report.undecided.push(format!("call {at} returned before it was made: its times are not on one clock"));
    }
    let unreturned = |call: &Call| call.completed.is_none() && !call.operation.ending().is_unknown();
    let unreturned = history.calls.iter().position(unreturned);
    if let Some(at) = unreturned {
        report.undecided.push(format!("call {at} has an outcome but never returned"));
    }
    bad.or(unreturned).is_none()
}

/// The ledger by itself, and the books against it.
fn audit(finals: &Finals, report: &mut Report) {
    let mut audit = Audit::new();
    let found = finals.entries.iter().filter_map(|entry| audit.take(entry).err()).collect::<Vec<_>>();
    let levels = finals.levels.iter().flat_map(|levels| levels.iter().copied());
    let (_, mut off) = audit.finish(levels);
    if finals.levels.is_none() {
        off.clear();
    }
    for finding in found.into_iter().chain(off) {
        let rule = match finding {
            Finding::KeyUsedAgain { .. } => Rule::ExactlyOnce,
            _ => Rule::Conservation,
        };
        report.add(rule, &[], || finding.to_string());
    }
}

//! The search without a ledger: is there any order of the calls that explains the answers?
//!
//! It looks at each book's stock alone: sales, returns, restocks and reads of one book are its steps, and [`wgl`] looks
//! for an order of them in which every answer is true. Linearizability is local: if the history of each book is
//! linearizable, so is the history of all books, as far as no call reads or changes several of them at once. So the
//! parts of an order count one by one, and what an order does to several books in one moment is not checked here.

mod claims;
mod collector;
mod moves;
mod orders;
mod state;
mod wgl;

use std::collections::BTreeSet;

use super::{
    history::History,
    options::Options,
    report::{Report, Rule},
};
use crate::book::BookId;
use claims::ClaimedEntries;
use collector::{BookSteps, Collector};
use state::Step;
use wgl::{Verdict, linearize};

/// How many attempts [`search`] is usually given for one book: a few seconds.
pub const SEARCH_BUDGET: u64 = 2_000_000;

/// How many concurrent calls a violation names, beside the call that no order explains.
const CONCURRENT_MAX: usize = 15;

/// Decides without a ledger whether each book's history is linearizable: whether its sales, returns, restocks and the
/// shown stock can have happened one after the other, each at some moment of its call.
///
/// `initial` is the stock before the first recorded call, of the books that were listed before it. Every book has a
/// `budget` of attempts; a book that exceeds it is undecided, not violated.
///
/// An order of several books counts for each of them alone. A read of an order serves as proof that a sale or a return
/// had happened. Use [`check`](super::check) where there is a ledger: it is linear, it sees all books together, and it
/// knows all rules.
///
/// ```
/// use bookstore_core::{BookId, check::{self, History, Options, SEARCH_BUDGET}};
///
/// let report = check::search(&History::default(), &[(BookId(1), 10)], &Options::default(), SEARCH_BUDGET);
/// assert!(report.holds());
/// ```
#[must_use]
pub fn search(history: &History, initial: &[(BookId, u32)], options: &Options, budget: u64) -> Report {
    let (mut report, is_comparable) = Report::begin(history);
    if !is_comparable {
        return report;
    }
    let books = Collector::new(options, initial, &mut report).collect(history);
    let changes = books.values().flat_map(|book| &book.steps).filter(|step| !step.is_read());
    let claimed = ClaimedEntries::new(changes.filter_map(|step| step.claim).collect());
    for (id, book) in books {
        search_book(id, &book, &claimed, budget, &mut report);
    }
    report
}

/// Looks for an order of the steps, and reports if there is none or if none was found within `budget` attempts.
fn search_book(id: BookId, book: &BookSteps, claimed: &ClaimedEntries, budget: u64, report: &mut Report) {
    if book.steps.is_empty() {
        return;
    }
    let Some(initial_stock) = book.initial_stock.filter(|_| !book.ambiguous) else {
        let why = if book.ambiguous {
            "one of its keys may have done different things"
        } else {
            "its initial stock is not known"
        };
        return report.undecided.push(format!("book {id}: {why}"));
    };
    match linearize(initial_stock, &book.steps, claimed, budget) {
        Verdict::Linearizable => {}
        Verdict::Undecided => report.undecided.push(format!("book {id}: not decided after {budget} attempts")),
        Verdict::Stuck(stuck) => report_stuck(id, &book.steps, book.steps[stuck], report),
    }
}

fn report_stuck(id: BookId, steps: &[Step], stuck: Step, report: &mut Report) {
    let concurrent = |other: &&Step| other.invoked <= stuck.deadline && stuck.invoked <= other.deadline;
    let concurrent: BTreeSet<usize> = steps.iter().filter(concurrent).map(|step| step.call).collect();
    let others = concurrent.into_iter().filter(|call| *call != stuck.call).take(CONCURRENT_MAX);
    let calls: Vec<usize> = std::iter::once(stuck.call).chain(others).collect();
    let why = || format!("book {id}: no order of the calls explains call {} and those before it", stuck.call);
    report.add(Rule::Linearizable, &calls, why);
}

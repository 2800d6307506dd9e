//! The check after the load: every order is read back, and what is found is compared with the three promises.

mod books;
mod ledger;
mod orders;

use bookstore_core::BookId;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

use self::{ledger::LedgerCheck, orders::Readings};
use super::{
    client::Client,
    drive::{Completed, Run},
    progress::{CheckProgress, Phase},
    purchases::{Finding, Findings, Outcome, Promise, Purchase},
    stop::Ending,
};
use crate::text::{counted, grouped, plural};

/// Whether a promise, or all three, were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was checked is as promised.
    Kept,
    /// Nothing wrong was found, but not everything could be checked.
    Incomplete,
    /// Something contradicts the promise.
    Broken,
}

impl Verdict {
    /// In a word or two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Incomplete => "not proven",
            Self::Broken => "BROKEN",
        }
    }
}

/// What was found about one promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseCheck {
    /// Which.
    pub promise: Promise,
    /// Whether it is kept.
    pub verdict: Verdict,
    /// What was checked, in words.
    pub checked: String,
    /// What was not checked, and why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_checked: Option<String>,
    /// Findings against it.
    pub findings: u64,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The worst of the three.
    pub verdict: Verdict,
    /// Each promise.
    pub promises: Vec<PromiseCheck>,
    /// Purchases that were acknowledged.
    pub acknowledged: u64,
    /// Those among them that read exactly as they were acknowledged.
    pub confirmed: u64,
    /// Purchases whose outcome stayed unknown.
    pub unknown: u64,
    /// Orders among them that exist.
    pub unknown_existing: u64,
    /// Orders that could not be read, because the shop did not answer or the check was stopped.
    pub unread: u64,
    /// Entries of the ledger that were replayed; `None` without the admin token.
    pub ledger_entries: Option<u64>,
    /// All findings.
    pub findings_total: u64,
    /// The first ones of each promise.
    pub findings: Vec<Finding>,
}

/// The results of the parts of a check.
struct Parts<'a> {
    findings: &'a Findings,
    purchases: &'a [Purchase],
    readings: Readings,
    ledger: Option<LedgerCheck<'a>>,
    books: books::Compared,
    again: u64,
}

/// Checks what clients were answered.
pub(super) async fn check(run: &Run, completed: &Completed, ending: &Ending, progress: &CheckProgress) -> Check {
    let purchases = &completed.purchases;
    let with_ledger = run.servers.has_token();
    let readings = orders::read_back(run, purchases, !with_ledger, ending, progress).await;
    let sold = sold(purchases, &readings);
    let mut client = Client::new(Arc::clone(&run.servers), 0, run.load.seed);
    let (ledger, books) = if with_ledger {
        progress.enter(Phase::Ledger, None);
        let mut ledger = LedgerCheck::new(purchases, &run.findings);
        let books = books::against_ledger(run, &mut ledger, &mut client, ending, progress).await;
        ledger.finish();
        (Some(ledger), books)
    } else {
        progress.enter(Phase::Books, Some(sold.len() as u64));
        (None, books::against_sales(run, &sold, &mut client, ending, progress).await)
    };
    Parts { findings: &run.findings, purchases, readings, ledger, books, again: completed.again }.judged()
}

/// Copies sold of each book, as far as this run knows.
fn sold(purchases: &[Purchase], readings: &Readings) -> BTreeMap<BookId, i64> {
    let mut sold = BTreeMap::new();
    for purchase in purchases {
        // Refused ones, too: their books are checked, with nothing sold.
        *sold.entry(purchase.book).or_default() += i64::from(matches!(purchase.outcome, Outcome::Sold { .. }));
    }
    for at in &readings.existing {
        *sold.entry(purchases[*at].book).or_default() += 1;
    }
    sold
}

impl Parts<'_> {
    fn judged(self) -> Check {
        let count =
            |is: fn(&Outcome) -> bool| self.purchases.iter().filter(|purchase| is(&purchase.outcome)).count() as u64;
        let (acknowledged, unknown) =
            (count(|of| matches!(of, Outcome::Sold { .. })), count(|of| *of == Outcome::Unknown));
        let promises = vec![self.never_oversold(), self.never_lost(acknowledged, unknown), self.never_double()];
        Check {
            verdict: promises.iter().map(|promise| promise.verdict).max().unwrap_or(Verdict::Kept),
            findings_total: promises.iter().map(|promise| promise.findings).sum(),
            promises,
            acknowledged,
            confirmed: self.readings.confirmed,
            unknown,
            unknown_existing: self.readings.existing.len() as u64,
            unread: self.readings.unread,
            ledger_entries: self.ledger.as_ref().map(LedgerCheck::entries),
            findings: self.findings.named(),
        }
    }

    fn promise(&self, promise: Promise, complete: bool, checked: String, not_checked: Option<String>) -> PromiseCheck {
        let findings = self.findings.count(promise);
        let verdict = match (findings, complete) {
            (1.., _) => Verdict::Broken,
            (0, true) => Verdict::Kept,
            (0, false) => Verdict::Incomplete,
        };
        PromiseCheck { promise, verdict, checked, not_checked, findings }
    }

    fn ledger_error(&self) -> Option<String> {
        let error = self.ledger.as_ref()?.error()?;
        Some(format!("the ledger could not be read to its end: {error}"))
    }

    fn never_oversold(&self) -> PromiseCheck {
        let books = &self.books;
        let compared = counted(books.compared, "book", "books");
        let (checked, mut not_checked) = match &self.ledger {
            Some(ledger) if books.compared == 0 => {
                (format!("{} of the ledger replayed", counted(ledger.entries(), "entry", "entries")), None)
            }
            Some(ledger) => {
                let entries = counted(ledger.entries(), "entry", "entries");
                (format!("{entries} of the ledger replayed; the stock of {compared} is the sum of its entries"), None)
            }
            None if self.purchases.is_empty() => ("nothing was bought".to_owned(), None),
            None => (
                format!("{compared}: no more copies sold than there were, and the stock fell by at least as many"),
                Some(
                    "the ledger, where other people's sales and restocks are, too: give the admin token for that"
                        .to_owned(),
                ),
            ),
        };
        let complete = books.unread == 0 && self.ledger_error().is_none();
        if !complete {
            let unread = format!("{} could not be read", counted(books.unread, "book", "books"));
            not_checked = Some(self.ledger_error().unwrap_or(unread));
        }
        self.promise(Promise::NeverOversold, complete, checked, not_checked)
    }

    fn never_lost(&self, acknowledged: u64, unknown: u64) -> PromiseCheck {
        let Readings { confirmed, existing, unread, error, .. } = &self.readings;
        let of = if *confirmed == acknowledged { String::new() } else { format!(" of {}", grouped(acknowledged)) };
        let mut checked = format!(
            "{}{of} acknowledged {} read back as answered",
            grouped(*confirmed),
            plural(acknowledged, "order", "orders")
        );
        if unknown > 0 {
            checked.push_str(&format!("; {} stayed without an answer", counted(unknown, "purchase", "purchases")));
            if *unread == 0 {
                checked.push_str(&format!(", {} of them did happen", grouped(existing.len() as u64)));
            }
        }
        let mut not_checked = (*unread > 0).then(|| {
            let why = error.as_deref().unwrap_or("the check was stopped");
            format!("{} could not be read back: {why}", counted(*unread, "order", "orders"))
        });
        not_checked = not_checked.or_else(|| self.ledger_error());
        self.promise(Promise::NeverLost, not_checked.is_none(), checked, not_checked)
    }

    fn never_double(&self) -> PromiseCheck {
        let ids = counted(self.purchases.len() as u64, "order id", "order ids");
        let refused = self.purchases.iter().filter(|purchase| purchase.outcome == Outcome::NotSold).count() as u64;
        let place = if self.ledger.is_some() { "the ledger" } else { "the shop" };
        let mut checked = format!("{ids}, each with one answer");
        if self.again > 0 {
            let again = counted(self.again, "purchase was", "purchases were");
            checked.push_str(&format!("; {again} sent twice and answered alike"));
        }
        if refused > 0 {
            let refused = counted(refused, "refused one has", "refused ones have");
            checked.push_str(&format!("; {refused} no order in {place}"));
        }
        let unread =
            (self.readings.unread > 0 && self.ledger.is_none()).then(|| "not every order could be read".to_owned());
        let not_checked = unread.or_else(|| self.ledger_error());
        self.promise(Promise::NeverDouble, not_checked.is_none(), checked, not_checked)
    }
}

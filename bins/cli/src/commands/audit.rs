//! `bookstore audit`: replays the ledger, beside a running server if there is one, and compares copies with it.

mod database;
mod remote;

use bookstore_cli::load::{counted, grouped};
use bookstore_core::{
    Entry, Kind, OrderId, Seq,
    audit::{Audit, Summary},
    decide,
    store::{
        StoreError,
        sqlite::{Snapshot, Summary as StoreSummary},
    },
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
};

use super::{
    Failure, REFUSED,
    output::{Card, print, print_json},
};
use crate::{
    cli::AuditArgs,
    config::{self, StoreToRead},
};

/// The most findings that are printed; more are counted.
const NAMED_MAX: usize = 100;

/// The result, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    store: String,
    ledger: Option<String>,
    entries: u64,
    books: u64,
    orders: u64,
    cancelled: u64,
    copies_sold: u64,
    copies: Vec<CopyReport>,
    findings_total: u64,
    findings: Vec<String>,
}

/// One order server's copy.
#[derive(Debug, Serialize)]
struct CopyReport {
    store: String,
    followed: Seq,
    behind: u64,
    /// Not counted over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<u64>,
    /// Entries of an earlier timeline that the ledger does not have any more; only the copy's file tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<u64>,
    /// The first of the orders among them.
    orders_set_aside: Vec<OrderId>,
}

/// Runs the command.
pub(super) async fn run(args: &AuditArgs) -> Result<ExitCode, Failure> {
    if args.store.starts_with("http://") {
        return remote::run(args).await;
    }
    let (ledger, copies) = config::audited(&args.store, &args.copy)?;
    let report = match ledger {
        StoreToRead::File(ledger) => audit(&ledger, &copies)?,
        StoreToRead::Database(ledger) => database::audit(&ledger, &copies).await?,
    };
    if args.json {
        print_json(&report);
    } else {
        print(&report.shown());
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { REFUSED })
}

fn audit(ledger: &Path, copies: &[PathBuf]) -> Result<Report, StoreError> {
    let mut report = Report { store: format!("sqlite:{}", ledger.display()), ..Report::default() };
    let mut snapshot = Snapshot::open(ledger)?;
    // A copy's snapshot is taken before the ledger's: then all of its entries must be in the ledger.
    let mut copies = copies.iter().map(|path| CopyAudit::open(path)).collect::<Result<Vec<_>, _>>()?;
    let mut audit = Audit::new();
    let mut tail = Vec::new();
    let (store, mut levels) = snapshot.read(|summary, entry| {
        must_be(ledger, summary, Role::Ledger)?;
        if let Err(finding) = audit.take(&entry) {
            report.finding(finding);
        }
        for copy in &mut copies {
            copy.compare(summary, &entry, &mut report);
        }
        if entry.seq > summary.applied {
            tail.push(entry);
        }
        Ok::<(), StoreError>(())
    })?;
    must_be(ledger, &store, Role::Ledger)?;
    // The stock table is a snapshot: later entries are replayed on top, as the store itself does.
    tail.iter().for_each(|entry| decide::apply(&mut levels, entry));
    let (summary, findings) = audit.finish(levels.iter());
    findings.into_iter().for_each(|finding| report.finding(finding));
    for copy in copies {
        copy.finish(&store, &mut report)?;
    }
    report.sum_up(&store, &summary);
    Ok(report)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Ledger,
    Copy,
}

fn must_be(path: &Path, summary: &StoreSummary, role: Role) -> Result<(), StoreError> {
    let path = path.display();
    match (role, summary.is_copy) {
        (Role::Ledger, false) | (Role::Copy, true) => Ok(()),
        (Role::Ledger, true) => {
            Err(StoreError::Unusable(format!("{path} is an order server's copy; give it as --copy")))
        }
        (Role::Copy, false) => {
            Err(StoreError::Unusable(format!("{path} is a ledger, not an order server's copy of one")))
        }
    }
}

/// One copy, read by a thread of its own while the ledger is read.
struct CopyAudit {
    store: String,
    summary: Arc<StoreSummary>,
    entries: mpsc::Receiver<(Arc<StoreSummary>, Entry)>,
    next: Option<Entry>,
    thread: thread::JoinHandle<Result<StoreSummary, StoreError>>,
    orders: u64,
}

impl CopyAudit {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let mut snapshot = Snapshot::open(path)?;
        let (send, entries) = mpsc::sync_channel(1024);
        let path = path.to_path_buf();
        let store = format!("sqlite:{}", path.display());
        let mut thread = thread::spawn(move || {
            let mut sent = None;
            let (summary, _) = snapshot.read(|summary, entry| {
                must_be(&path, summary, Role::Copy)?;
                let summary = sent.get_or_insert_with(|| Arc::new(summary.clone()));
                // If the receiver is gone, the ledger could not be read, which is reported there.
                let _ = send.send((Arc::clone(summary), entry));
                Ok::<(), StoreError>(())
            })?;
            must_be(&path, &summary, Role::Copy)?;
            Ok(summary)
        });
        // Once there is a first entry, or the end, the snapshot is taken.
        let (summary, next) = match entries.recv() {
            Ok((summary, entry)) => (summary, Some(entry)),
            Err(_) => {
                let summary = joined(thread)?;
                let ended = summary.clone();
                thread = thread::spawn(move || Ok(ended));
                (Arc::new(summary), None)
            }
        };
        Ok(Self { store, summary, entries, next, thread, orders: 0 })
    }

    fn is_of(&self, ledger: &StoreSummary) -> bool {
        self.summary.identity.as_ref().is_none_or(|own| Some(own.ledger) == ledger.ledger())
    }

    fn advance(&mut self) {
        self.next = self.entries.recv().ok().map(|(_, entry)| entry);
    }

    fn compare(&mut self, ledger: &StoreSummary, entry: &Entry, report: &mut Report) {
        if !self.is_of(ledger) {
            return;
        }
        let copied = entry.seq <= self.summary.head;
        while let Some(own) = self.next.as_ref().filter(|own| own.seq <= entry.seq) {
            if own.seq < entry.seq || !copied {
                report.finding(format!("{} has an entry {} that is not in the ledger", self.store, own.seq));
            } else if own != entry {
                report.finding(format!("{} has another entry {} than the ledger", self.store, own.seq));
            }
            let met = own.seq == entry.seq;
            self.orders += u64::from(matches!(own.kind, Kind::Sale | Kind::Confirm));
            self.advance();
            if met {
                return;
            }
        }
        if copied {
            report.finding(format!("{} lacks entry {}", self.store, entry.seq));
        }
    }

    fn finish(mut self, ledger: &StoreSummary, report: &mut Report) -> Result<(), StoreError> {
        if !self.is_of(ledger) {
            report.finding(format!("{} is a copy of another ledger", self.store));
        }
        while self.is_of(ledger) && self.next.is_some() {
            report.finding(format!("{} goes on after the ledger's end", self.store));
            self.advance();
        }
        drop(self.entries);
        joined(self.thread)?;
        let behind = ledger.head.0.saturating_sub(self.summary.head.0);
        let (followed, orders) = (self.summary.head, Some(self.orders));
        let (set_aside, orders_set_aside) = (Some(self.summary.set_aside), self.summary.orders_set_aside.clone());
        report.copies.push(CopyReport { store: self.store, followed, behind, orders, set_aside, orders_set_aside });
        Ok(())
    }
}

fn joined(thread: thread::JoinHandle<Result<StoreSummary, StoreError>>) -> Result<StoreSummary, StoreError> {
    thread.join().unwrap_or_else(|_| Err(StoreError::Failed("the reader of a copy panicked".into())))
}

impl Report {
    fn finding(&mut self, finding: impl ToString) {
        self.findings_total += 1;
        if self.findings.len() < NAMED_MAX {
            self.findings.push(finding.to_string());
        }
    }

    fn sum_up(&mut self, store: &StoreSummary, summary: &Summary) {
        if store.head != summary.head {
            self.finding(format!("the ledger ends at entry {}, but its head is {}", summary.head, store.head));
        }
        self.ledger = store.ledger().map(|id| id.to_string());
        self.count(summary);
    }

    fn count(&mut self, summary: &Summary) {
        self.entries = summary.head.0;
        self.books = summary.books;
        self.orders = summary.sales;
        self.cancelled = summary.returns;
        self.copies_sold = summary.copies_sold;
        self.ok = self.findings_total == 0;
    }

    fn shown(&self) -> String {
        let mut card = Card::new(&format!("Audit of {}", self.store));
        card.line("Ledger", self.ledger.as_deref().unwrap_or("without an id"));
        card.line("Entries", grouped(self.entries));
        card.line("Books", grouped(self.books));
        card.line("Orders", format!("{}, of which {} cancelled", grouped(self.orders), grouped(self.cancelled)));
        card.line("Sold", counted(self.copies_sold, "copy", "copies"));
        for copy in &self.copies {
            let lag = match copy.behind {
                0 => "up to date".to_owned(),
                behind => format!("{} entries behind", grouped(behind)),
            };
            let orders = copy.orders.map(|orders| format!("{} orders, ", grouped(orders))).unwrap_or_default();
            card.line("Followed", format!("by {}: {orders}{lag}", copy.store));
            if let Some(set_aside) = copy.set_aside.filter(|set_aside| *set_aside > 0) {
                let orders = copy.orders_set_aside.iter().map(OrderId::to_string).collect::<Vec<_>>().join(" ");
                let entries = grouped(set_aside);
                card.line(
                    "Set aside",
                    format!("{entries} entries that the ledger does not have any more; orders: {orders}"),
                );
            }
        }
        let mut text = card.text;
        if self.ok {
            text.push_str("\nEvery promise is kept: nothing oversold, nothing lost, nothing doubled.\n");
            return text;
        }
        text.push_str(&format!("\n{} broken:\n", counted(self.findings_total, "promise is", "promises are")));
        self.findings.iter().for_each(|finding| text.push_str(&format!("  {finding}\n")));
        let unnamed = self.findings_total - self.findings.len() as u64;
        if unnamed > 0 {
            text.push_str(&format!("  … and {} more\n", grouped(unnamed)));
        }
        text
    }
}

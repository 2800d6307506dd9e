//! The audit of servers: compares the copies' hashes with the ledger's, and replays the ledger's entries.

use bookstore_cli::load::grouped;
use bookstore_core::{
    Seq,
    audit::{Audit, Comparison, compare},
    service::{ENTRIES_MAX, LedgerFeed},
};
use std::{process::ExitCode, time::Duration};

use super::{
    super::{Failure, feeds, progress::Progress},
    CopyReport, REFUSED, Report, print, print_json,
};
use crate::{cli::AuditArgs, config};

pub(super) async fn run(args: &AuditArgs) -> Result<ExitCode, Failure> {
    let token = config::server_token(args.server_token_file.as_deref())?;
    let ledger = feeds::open(&config::feed("--store", &args.store)?, token.as_ref())?;
    let mut report = Report { store: args.store.clone(), ..Report::default() };
    for url in &args.copy {
        let copy = feeds::open(&config::feed("--copy", url)?, token.as_ref())?;
        let compared = compare(ledger.as_ref(), copy.as_ref()).await;
        report.compared(url, compared.map_err(|error| Failure::Answer { error, hint: None })?);
    }
    replay(ledger.as_ref(), &mut report).await?;
    if args.json {
        print_json(&report);
    } else {
        print(&report.shown());
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { REFUSED })
}

/// Reads the ledger as far as it goes now, and replays it.
async fn replay(ledger: &dyn LedgerFeed, report: &mut Report) -> Result<(), Failure> {
    let (mut audit, mut after) = (Audit::new(), Seq(0));
    let progress = Progress::start(Duration::from_secs(5));
    loop {
        let page = ledger.page(after, ENTRIES_MAX).await.map_err(|error| Failure::Answer { error, hint: None })?;
        report.ledger = Some(page.identity.ledger.to_string());
        let Some(last) = page.entries.last().map(|last| last.seq) else { break };
        after = last;
        page.entries.iter().filter_map(|entry| audit.take(entry).err()).for_each(|finding| report.finding(finding));
        progress.update(after.0, page.head.0, "audit", &format!("{} of {}", grouped(after.0), grouped(page.head.0)));
        if after == page.head {
            break;
        }
    }
    progress.clear();
    // Books are not compared with a server's: it goes on selling meanwhile.
    let levels: Vec<_> = audit.levels().collect();
    let (summary, _) = audit.finish(levels);
    report.count(&summary);
    Ok(())
}

impl Report {
    fn compared(&mut self, url: &str, compared: Comparison) {
        let (followed, behind) = match compared {
            Comparison::Same { followed, behind } => (followed, behind),
            Comparison::Ahead { followed, by } => {
                self.finding(format!("{url} goes on after the ledger's end, by {by} entries"));
                (followed, 0)
            }
            Comparison::Differs { from, followed } => {
                self.finding(format!("{url} has other entries than the ledger, from entry {from} on"));
                (followed, 0)
            }
            Comparison::OtherLedger => {
                self.finding(format!("{url} is a copy of another ledger"));
                (Seq(0), 0)
            }
        };
        let (orders, set_aside, orders_set_aside) = (None, None, Vec::new());
        self.copies.push(CopyReport { store: url.into(), followed, behind, orders, set_aside, orders_set_aside });
    }
}

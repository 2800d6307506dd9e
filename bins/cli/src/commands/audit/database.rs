//! The audit of a ledger in PostgreSQL, as of one moment, beside its catalog.

use bookstore_core::{
    audit::Audit,
    store::{
        StoreError,
        postgres::{PostgresUrl, View},
        sqlite::Summary as StoreSummary,
    },
};
use std::path::PathBuf;

use super::{CopyAudit, Report};

pub(super) async fn audit(ledger: &PostgresUrl, copies: &[PathBuf]) -> Result<Report, StoreError> {
    let mut report = Report { store: ledger.to_string(), ..Report::default() };
    // A copy's snapshot is taken before the ledger's: then all of its entries must be in the ledger.
    let mut copies = copies.iter().map(|path| CopyAudit::open(path)).collect::<Result<Vec<_>, _>>()?;
    let mut view = View::open(ledger).await?;
    let store = StoreSummary {
        identity: Some(view.identity().clone()),
        is_copy: false,
        head: view.head(),
        applied: view.applied(),
        set_aside: 0,
        orders_set_aside: Vec::new(),
    };
    let mut audit = Audit::new();
    view.replay(|entry| {
        if let Err(finding) = audit.take(&entry) {
            report.finding(finding);
        }
        for copy in &mut copies {
            copy.compare(&store, &entry, &mut report);
        }
        Ok::<(), StoreError>(())
    })
    .await?;
    let (summary, findings) = audit.finish(view.levels().iter());
    findings.into_iter().for_each(|finding| report.finding(finding));
    for copy in copies {
        copy.finish(&store, &mut report)?;
    }
    report.sum_up(&store, &summary);
    Ok(report)
}

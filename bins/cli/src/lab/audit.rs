//! Audits a deployment with `bookstore audit`.

use serde::Deserialize;
use std::time::Duration;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    Audit, CopyAudit, LabError, Shape,
    deployment::{Deployment, LEDGER, copy},
};

/// How long copies may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// The pause between two audits until they have.
const CATCH_UP_EVERY: Duration = Duration::from_millis(100);
/// The most findings that are named.
const FINDINGS_MAX: usize = 20;

impl Deployment<'_> {
    /// Audits the ledger and every copy of it, once the copies have caught up.
    pub(super) async fn audit(&self) -> Result<Audit, LabError> {
        let until = Instant::now() + CATCH_UP_MAX;
        loop {
            let audit = self.audit_once().await?;
            if audit.copies.iter().all(|copy| copy.behind == 0) || Instant::now() > until {
                return Ok(audit);
            }
            sleep(CATCH_UP_EVERY).await;
        }
    }

    async fn audit_once(&self) -> Result<Audit, LabError> {
        let mut command = Command::new(&self.site.executable);
        command.args(["audit", "--json", "--store", LEDGER]).env_clear().current_dir(&self.folder).kill_on_drop(true);
        for number in 0..self.orders.len() {
            command.args(["--copy", &copy(number)]);
        }
        let ended = command.output().await.map_err(|error| LabError::Failed(format!("the audit: {error}")))?;
        let failed = || LabError::Failed(format!("the audit: {}", String::from_utf8_lossy(&ended.stderr).trim()));
        let output: Output = serde_json::from_slice(&ended.stdout).map_err(|_| failed())?;
        Ok(output.of(self.shape))
    }
}

/// The part of the output of `bookstore audit --json` that is needed.
#[derive(Deserialize)]
struct Output {
    entries: u64,
    orders: u64,
    copies_sold: u64,
    copies: Vec<CopyOutput>,
    findings_total: u64,
    findings: Vec<String>,
}

#[derive(Deserialize)]
struct CopyOutput {
    orders: u64,
    behind: u64,
}

impl Output {
    fn of(self, shape: Shape) -> Audit {
        let copies = self.copies.into_iter().map(|copy| CopyAudit { orders: copy.orders, behind: copy.behind });
        let findings = self.findings.into_iter().take(FINDINGS_MAX).collect();
        Audit {
            shape,
            entries: self.entries,
            orders: self.orders,
            copies_sold: self.copies_sold,
            copies: copies.collect(),
            findings_total: self.findings_total,
            findings,
        }
    }
}

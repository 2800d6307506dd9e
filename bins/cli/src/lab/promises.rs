//! The three promises over all loads and deployments.

use serde::{Deserialize, Serialize};

use super::Shape;
use crate::load::{Check, Verdict};

/// The audit of a deployment at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Which deployment.
    pub shape: Shape,
    /// Entries of the ledger.
    pub entries: u64,
    /// Orders in it.
    pub orders: u64,
    /// Copies that they bought.
    pub copies_sold: u64,
    /// Each order server's copy, compared with the ledger.
    pub copies: Vec<CopyAudit>,
    /// How many contradictions were found.
    pub findings_total: u64,
    /// The first ones.
    pub findings: Vec<String>,
}

/// One order server's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyAudit {
    /// Orders in it.
    pub orders: u64,
    /// Entries that it lacks.
    pub behind: u64,
}

impl Audit {
    /// Whether nothing was found, and every copy was complete.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let behind = self.copies.iter().any(|copy| copy.behind > 0);
        match self.findings_total {
            1.. => Verdict::Broken,
            0 if behind => Verdict::Incomplete,
            0 => Verdict::Kept,
        }
    }
}

/// The three promises over all loads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promises {
    /// The worst of all checks and audits.
    pub verdict: Verdict,
    /// Loads that were checked.
    pub loads: u64,
    /// Purchases that were acknowledged.
    pub acknowledged: u64,
    /// Those among them that read exactly as they were acknowledged.
    pub confirmed: u64,
    /// Purchases whose outcome stayed unknown.
    pub unknown: u64,
    /// How many findings contradict a promise.
    pub findings_total: u64,
    /// The first ones.
    pub findings: Vec<String>,
    /// What could not be checked.
    pub not_checked: Vec<String>,
    /// The audits, one for each deployment.
    pub audits: Vec<Audit>,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            verdict: Verdict::Kept,
            loads: 0,
            acknowledged: 0,
            confirmed: 0,
            unknown: 0,
            findings_total: 0,
            findings: Vec::new(),
            not_checked: Vec::new(),
            audits: Vec::new(),
        }
    }
}

/// The most findings, and reasons why something was not checked, that are named.
const NAMED_MAX: usize = 50;

impl Promises {
    /// Adds the check of a load.
    pub(super) fn loaded(&mut self, check: &Check) {
        self.verdict = self.verdict.max(check.verdict);
        self.loads += 1;
        self.acknowledged += check.acknowledged;
        self.confirmed += check.confirmed;
        self.unknown += check.unknown;
        self.findings_total += check.findings_total;
        let found = check.findings.iter().map(|finding| format!("{}: {}", finding.promise.name(), finding.what));
        self.findings.extend(found);
        self.findings.truncate(NAMED_MAX);
        if check.verdict == Verdict::Incomplete {
            self.not_checked.extend(check.promises.iter().filter_map(|promise| promise.not_checked.clone()));
            self.not_checked.truncate(NAMED_MAX);
        }
    }

    /// Adds the audit of a deployment.
    pub(super) fn audited(&mut self, audit: &Audit) {
        self.verdict = self.verdict.max(audit.verdict());
        self.findings_total += audit.findings_total;
        self.findings
            .extend(audit.findings.iter().map(|finding| format!("audit of {}: {finding}", audit.shape.name())));
        self.findings.truncate(NAMED_MAX);
        let behind = audit.copies.iter().filter(|copy| copy.behind > 0);
        let late = behind.map(|copy| format!("a copy of {} is {} entries behind", audit.shape.name(), copy.behind));
        self.not_checked.extend(late);
        self.audits.push(audit.clone());
    }

    /// The verdict in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.verdict {
            Verdict::Kept => "Every promise is kept: nothing oversold, nothing lost, nothing doubled.".to_owned(),
            Verdict::Incomplete => "Nothing wrong was found, but not everything could be checked.".to_owned(),
            Verdict::Broken => format!("A promise is broken: {} findings.", self.findings_total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(behind: u64, findings: &[&str]) -> Audit {
        Audit {
            shape: Shape::Replicated,
            entries: 10,
            orders: 5,
            copies_sold: 5,
            copies: vec![CopyAudit { orders: 5, behind: 0 }, CopyAudit { orders: 5, behind }],
            findings_total: findings.len() as u64,
            findings: findings.iter().map(|finding| (*finding).to_owned()).collect(),
        }
    }

    fn check(verdict: Verdict) -> Check {
        let json = serde_json::json!({
            "verdict": verdict, "acknowledged": 3, "confirmed": 2, "unknown": 1, "unknown_existing": 0, "unread": 0,
            "ledger_entries": 9, "findings_total": 1,
            "promises": [{
                "promise": "never_lost", "verdict": verdict, "checked": "", "not_checked": "the shop is away", "findings": 1
            }],
            "findings": [{ "promise": "never_lost", "what": "order 7 is gone" }],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_worst_check_counts() {
        let mut promises = Promises::default();
        promises.audited(&audit(0, &[]));
        assert_eq!(promises.verdict, Verdict::Kept);
        promises.loaded(&check(Verdict::Incomplete));
        assert_eq!(
            (promises.verdict, promises.not_checked.as_slice()),
            (Verdict::Incomplete, &["the shop is away".to_owned()][..])
        );
        promises.loaded(&check(Verdict::Broken));
        promises.loaded(&check(Verdict::Kept));
        assert_eq!((promises.verdict, promises.loads, promises.acknowledged), (Verdict::Broken, 3, 9));
        assert!(promises.findings[0].contains("order 7 is gone"), "{promises:?}");
    }

    #[test]
    fn an_audit_counts_as_much_as_a_check() {
        let mut late = Promises::default();
        late.audited(&audit(2, &[]));
        assert_eq!(late.verdict, Verdict::Incomplete);
        assert!(late.not_checked[0].contains("2 entries behind"), "{late:?}");
        late.audited(&audit(0, &["entry 3 follows on entry 1"]));
        assert_eq!((late.verdict, late.findings_total), (Verdict::Broken, 1));
        assert!(late.sentence().contains("broken") && late.findings[0].contains("entry 3"), "{late:?}");
    }
}

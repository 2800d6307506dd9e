//! Replays the ledger, entry by entry, with the audit, which shares no code with the shop's decisions.

use bookstore_core::{
    BookId, Entries, Entry, Kind, LedgerId, Seq,
    audit::{Audit, Finding},
};
use std::collections::HashMap;

use crate::load::{
    Limits,
    catalogue::{ShownBook, path},
    client::{Ask, Client},
    progress::CheckProgress,
    purchases::{Findings, Outcome, Promise, Purchase, as_json},
    stop::Ending,
};

/// Entries a page.
const PAGE: usize = 1000;

/// A ledger that is being replayed.
pub(super) struct LedgerCheck<'a> {
    purchases: &'a [Purchase],
    findings: &'a Findings,
    audit: Audit,
    ledger: Option<LedgerId>,
    last: Seq,
    /// For each purchase, whether its sale was found.
    found: Vec<bool>,
    /// Books that were shown at a version whose entry is not read yet.
    awaited: HashMap<BookId, ShownBook>,
    error: Option<String>,
}

impl<'a> LedgerCheck<'a> {
    /// Before the first entry; `purchases` are sorted by id.
    pub(super) fn new(purchases: &'a [Purchase], findings: &'a Findings) -> Self {
        Self {
            purchases,
            findings,
            audit: Audit::new(),
            ledger: None,
            last: Seq::default(),
            found: vec![false; purchases.len()],
            awaited: HashMap::new(),
            error: None,
        }
    }

    /// How many entries were replayed.
    pub(super) fn entries(&self) -> u64 {
        self.last.0
    }

    /// Why it could not be read to its end.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Reads on to the present end of the ledger; false if that failed.
    pub(super) async fn read(
        &mut self,
        client: &mut Client,
        limits: &Limits,
        ending: &Ending,
        progress: &CheckProgress,
    ) -> bool {
        loop {
            let page = match self.page(client, limits, ending).await {
                Ok(page) => page,
                Err(error) => {
                    self.error = Some(error);
                    return false;
                }
            };
            let before = self.last;
            page.entries.iter().for_each(|entry| self.take(entry));
            progress.done(page.entries.len() as u64);
            if self.last >= page.head {
                return true;
            }
            if self.last <= before || ending.is_asked() {
                let error =
                    if ending.is_asked() { "the check was stopped" } else { "it gives no more entries before its end" };
                self.error = Some(error.to_owned());
                return false;
            }
        }
    }

    async fn page(&mut self, client: &mut Client, limits: &Limits, ending: &Ending) -> Result<Entries, String> {
        let path = path(&format!("/entries?after={}&limit={PAGE}", self.last)).map_err(|error| error.to_string())?;
        let called = client.call(&Ask::get(path).admin(), limits.timeout, ending).await;
        let answer = called.result.map_err(|failure| failure.why())?;
        let page: Entries =
            serde_json::from_slice(&answer.body).map_err(|error| format!("its entries cannot be read: {error}"))?;
        if *self.ledger.get_or_insert(page.identity.ledger) != page.identity.ledger {
            return Err("another ledger answered half-way".into());
        }
        Ok(page)
    }

    fn take(&mut self, entry: &Entry) {
        self.last = entry.seq;
        if let Err(finding) = self.audit.take(entry) {
            let promise = match finding {
                Finding::KeyUsedAgain { .. } => Promise::NeverDouble,
                _ => Promise::NeverOversold,
            };
            self.findings.add(promise, format!("ledger: {finding}"));
        }
        if entry.kind == Kind::Sale {
            self.take_sale(entry);
        }
        for change in &entry.changes {
            if self.awaited.get(&change.book).is_some_and(|shown| shown.version == entry.seq.0) {
                self.awaited.remove(&change.book).into_iter().for_each(|shown| self.compare(shown));
            }
        }
    }

    fn take_sale(&mut self, entry: &Entry) {
        let Some(order) = entry.order() else { return };
        let Ok(at) = self.purchases.binary_search_by_key(&order.id, |purchase| purchase.id) else { return };
        self.found[at] = true;
        let purchase = &self.purchases[at];
        let (promise, outcome) = match (purchase.order(), purchase.outcome) {
            (Some(answered), _) if answered == order => return,
            (Some(answered), _) => (Promise::NeverLost, format!("was answered as {}", as_json(&answered))),
            (None, Outcome::NotSold) => (Promise::NeverDouble, "was refused".to_owned()),
            (None, _) if purchase.asked_for(&order) => return,
            (None, _) => (Promise::NeverDouble, format!("asked for a copy of book {}", purchase.book)),
        };
        self.findings
            .add(promise, format!("purchase {} {outcome}, but in the ledger stands {}", order.id, as_json(&order)));
    }

    /// Compares a book as it was shown with the ledger, now or once the entry of its version is read. Returns true if it was
    /// shown at an older version than the ledger has.
    pub(super) fn is_behind(&mut self, shown: ShownBook) -> bool {
        match self.audit.level(shown.id) {
            Some(level) if level.version.0 > shown.version => return true,
            Some(level) if level.version.0 == shown.version => self.compare(shown),
            _ => drop(self.awaited.insert(shown.id, shown)),
        }
        false
    }

    fn compare(&self, shown: ShownBook) {
        let ShownBook { id, stock, version, price_cents } = shown;
        let Some(level) = self.audit.level(id) else { return };
        if i64::from(level.stock) != stock || level.price_cents.get() != price_cents {
            let (price, ledger_price) = (price_cents, level.price_cents.get());
            let what = format!(
                "book {id} is shown with a stock of {stock} at {price} cents, but by the ledger it is {} at {ledger_price} (version {version})",
                level.stock
            );
            self.findings.add(Promise::NeverOversold, what);
        }
    }

    /// After the last entry: what has not been found by now is missing.
    pub(super) fn finish(&mut self) {
        if self.error.is_some() {
            return;
        }
        for shown in self.awaited.drain().map(|(_, shown)| shown) {
            let what = format!(
                "book {} is shown at version {}, which no entry of the ledger gave it",
                shown.id, shown.version
            );
            self.findings.add(Promise::NeverOversold, what);
        }
        for (purchase, found) in self.purchases.iter().zip(&self.found) {
            if let Some(order) = purchase.order().filter(|_| !found) {
                let what =
                    format!("order {} was acknowledged ({}), but is not in the ledger", order.id, as_json(&order));
                self.findings.add(Promise::NeverLost, what);
            }
        }
    }
}

//! Replaying the ledger, entry by entry, with the audit that shares no code with the shop's decisions.

use bookstore_core::{
    BookId, Entries, Entry, Kind, LedgerId, Seq,
    audit::{Audit, Finding},
};
use std::collections::HashMap;

use crate::load::{
    Limits,
    client::{Ask, Client},
    purchases::{Findings, Promise, Purchase, Told, shown},
    shelf::{Standing, path},
    stop::Ending,
    watch::Watch,
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
    /// By place: whether the purchase's sale was met.
    met: Vec<bool>,
    /// Books as they were shown, waiting for the entry that made them so.
    awaited: HashMap<BookId, Standing>,
    trouble: Option<String>,
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
            met: vec![false; purchases.len()],
            awaited: HashMap::new(),
            trouble: None,
        }
    }

    /// Entries replayed.
    pub(super) fn entries(&self) -> u64 {
        self.last.0
    }

    /// Why it could not be read to its end, if so.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Reads on to the ledger's end as of now. False if that is not possible.
    pub(super) async fn read(&mut self, client: &mut Client, limits: &Limits, ending: &Ending, watch: &Watch) -> bool {
        loop {
            let page = match self.page(client, limits, ending).await {
                Ok(page) => page,
                Err(trouble) => {
                    self.trouble = Some(trouble);
                    return false;
                }
            };
            let before = self.last;
            page.entries.iter().for_each(|entry| self.take(entry));
            watch.done(page.entries.len() as u64);
            if self.last >= page.head {
                return true;
            }
            if self.last <= before || ending.is_asked() {
                let trouble =
                    if ending.is_asked() { "the check was stopped" } else { "it gives no more entries before its end" };
                self.trouble = Some(trouble.to_owned());
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
        if *self.ledger.get_or_insert(page.ledger) != page.ledger {
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
            if self.awaited.get(&change.book).is_some_and(|standing| standing.version == entry.seq.0) {
                self.awaited.remove(&change.book).into_iter().for_each(|standing| self.compare(standing));
            }
        }
    }

    fn take_sale(&mut self, entry: &Entry) {
        let Some(order) = entry.order() else { return };
        let Ok(at) = self.purchases.binary_search_by_key(&order.id, |purchase| purchase.id) else { return };
        self.met[at] = true;
        let purchase = &self.purchases[at];
        let (promise, told) = match (purchase.order(), purchase.told) {
            (Some(answered), _) if answered == order => return,
            (Some(answered), _) => (Promise::NeverLost, format!("was answered as {}", shown(&answered))),
            (None, Told::NotSold) => (Promise::NeverDouble, "was refused".to_owned()),
            (None, _) if purchase.asked_for(&order) => return,
            (None, _) => (Promise::NeverDouble, format!("asked for a copy of book {}", purchase.book)),
        };
        self.findings.add(promise, format!("purchase {} {told}, but in the ledger stands {}", order.id, shown(&order)));
    }

    /// Compares a book as it was shown with the ledger: now, when the entry that made it so comes, or (true) not at all,
    /// because it was shown as it had been before.
    pub(super) fn is_behind(&mut self, standing: Standing) -> bool {
        match self.audit.level(standing.id) {
            Some(level) if level.version.0 > standing.version => return true,
            Some(level) if level.version.0 == standing.version => self.compare(standing),
            _ => drop(self.awaited.insert(standing.id, standing)),
        }
        false
    }

    fn compare(&self, standing: Standing) {
        let Standing { id, stock, version, price_cents } = standing;
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

    /// After the last entry: whatever should have come by now never will.
    pub(super) fn finish(&mut self) {
        if self.trouble.is_some() {
            return;
        }
        for standing in self.awaited.drain().map(|(_, standing)| standing) {
            let what = format!(
                "book {} is shown at version {}, which no entry of the ledger gave it",
                standing.id, standing.version
            );
            self.findings.add(Promise::NeverOversold, what);
        }
        for (purchase, met) in self.purchases.iter().zip(&self.met) {
            if let Some(order) = purchase.order().filter(|_| !met) {
                let what = format!("order {} was acknowledged ({}), but is not in the ledger", order.id, shown(&order));
                self.findings.add(Promise::NeverLost, what);
            }
        }
    }
}

//! Erasing the contacts of orders that are older than a shop keeps them, and following them with an order server's copy.

use bookstore_core::{Catalog, Clock, ContactRule, Result, SystemClock, Timestamp};
#[cfg(feature = "sqlite")]
use bookstore_core::{
    service::{CONTACTS_MAX, ContactFeed},
    store::{Projection as _, sqlite::SqliteCopy},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::Task;

/// Whether a shop's orders carry contacts, and how long these are kept. The default is a shop that keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contacts {
    /// Whether a new order carries one.
    pub rule: ContactRule,
    /// How long after the order was placed its contact is erased; `None` for never.
    pub keep: Option<Duration>,
}

impl Default for Contacts {
    fn default() -> Self {
        Self { rule: ContactRule::Off, keep: None }
    }
}

/// How often old contacts are looked for, and how soon again after a failure.
const EVERY: Duration = Duration::from_secs(3600);
const AFTER_A_FAILURE: Duration = Duration::from_secs(60);
/// Contacts erased at once: a small part of what the writer takes in one batch, so that buyers do not wait for it.
const AT_ONCE: usize = 256;

/// Begins to erase contacts that are older than they are kept.
pub(super) fn erase_in_time(catalog: &Arc<Catalog>, keep: Duration) -> Task {
    Task(tokio::spawn(erase_for_ever(Arc::downgrade(catalog), Arc::new(SystemClock), keep)))
}

async fn erase_for_ever(catalog: Weak<Catalog>, clock: Arc<dyn Clock>, keep: Duration) {
    loop {
        let Some(catalog) = catalog.upgrade() else { return };
        let pause = match erase(&catalog, clock.as_ref(), keep).await {
            Ok(0) => EVERY,
            Ok(contacts) => {
                tracing::info!(contacts, "erased the contacts of old orders");
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the contacts of old orders could not be erased; trying again in a minute");
                AFTER_A_FAILURE
            }
        };
        drop(catalog);
        tokio::time::sleep(pause).await;
    }
}

/// Erases all that are old now. Returns how many.
async fn erase(catalog: &Catalog, clock: &dyn Clock, keep: Duration) -> Result<usize> {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let placed_before = Timestamp(clock.now().0.saturating_sub(keep));
    let mut erased = 0;
    loop {
        let contacts = catalog.erase_contacts(placed_before, AT_ONCE).await?;
        erased += contacts;
        if contacts < AT_ONCE {
            return Ok(erased);
        }
    }
}

/// How often a copy asks for contacts that have changed, and how soon again after a failure.
#[cfg(feature = "sqlite")]
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
#[cfg(feature = "sqlite")]
const FOLLOW_AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// Begins to follow the contacts of a ledger with a copy. Nothing waits for it: what a copy has is for the case that the ledger is lost.
#[cfg(feature = "sqlite")]
pub(super) fn follow(ledger: Arc<dyn ContactFeed>, copy: Arc<SqliteCopy>) -> Task {
    Task(tokio::spawn(async move {
        let mut failing = false;
        loop {
            let followed = follow_once(ledger.as_ref(), &copy).await;
            let pause = match &followed {
                Ok(CONTACTS_MAX) => Duration::ZERO,
                Ok(_) => FOLLOW_EVERY,
                Err(_) => FOLLOW_AFTER_A_FAILURE,
            };
            if let (Err(error), false) = (&followed, failing) {
                tracing::warn!(%error, "cannot follow the contacts of orders, trying again");
            }
            failing = followed.is_err();
            tokio::time::sleep(pause).await;
        }
    }))
}

/// Takes the next page over. Returns how many contacts it has.
#[cfg(feature = "sqlite")]
async fn follow_once(ledger: &dyn ContactFeed, copy: &SqliteCopy) -> Result<usize> {
    let (source, after) = copy.contacts_followed().await?;
    let mut page = ledger.contacts(after, CONTACTS_MAX).await?;
    if after > 0 && page.source() != source {
        page = ledger.contacts(0, CONTACTS_MAX).await?;
    }
    let contacts = page.changes.len();
    if copy.followed().await?.identity.as_ref() != Some(&page.identity) {
        // The copy follows another history, or none yet.
        return Ok(0);
    }
    if contacts > 0 || page.source() != source {
        copy.append_contacts(page).await?;
    }
    Ok(contacts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{
        CatalogOptions, CatalogService as _, Contact, ContactFields, Line, Lines, ManualClock, NewBook, OrderAction,
        OrderId, store::memory, writer::Execution,
    };

    async fn buy(catalog: &Catalog) -> OrderId {
        let fields = ContactFields { name: Some("Ada".into()), ..ContactFields::default() };
        let contact = Some(Box::new(Contact::new(fields).unwrap()));
        let lines = Lines::new([Line::new(bookstore_core::BookId(1), 1)]).unwrap();
        let purchase = OrderAction::Purchase { lines, reference: None, contact };
        catalog.change_order(SystemClock.new_order_id(), purchase, None).await.unwrap().order.id
    }

    #[tokio::test(start_paused = true)]
    async fn contacts_are_erased_when_they_are_too_old_and_not_before() {
        const DAY: u64 = 86_400;
        let (store, reader) = memory::open(&SystemClock);
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        let options = CatalogOptions { execution: Execution::Task, ..CatalogOptions::default() };
        let catalog = Arc::new(Catalog::start(store, reader.clone(), reader, clock.clone(), options).unwrap());
        let text = bookstore_core::BookText { title: "A book".into(), topic: "t".into(), ..Default::default() };
        let book = NewBook { text, price_cents: bookstore_core::Cents::new(100).unwrap(), stock: 10_000 };
        catalog.add_books(vec![book], None).await.unwrap();
        let mut old = Vec::new();
        // More than are erased at once.
        for _ in 0..=AT_ONCE {
            old.push(buy(&catalog).await);
        }
        let later = |seconds: u64| clock.set(Timestamp(clock.now().0 + i64::try_from(seconds).unwrap() * 1000));
        later(DAY);
        let new = buy(&catalog).await;
        let keep = Duration::from_secs(30 * DAY);
        let task = tokio::spawn(erase_for_ever(Arc::downgrade(&catalog), clock.clone(), keep));
        tokio::time::sleep(EVERY + EVERY / 2).await;
        assert!(catalog.find_contact(old[0]).await.unwrap().is_some());
        later(29 * DAY + 1);
        tokio::time::sleep(EVERY).await;
        for id in old {
            assert_eq!(catalog.find_contact(id).await, Ok(None));
        }
        assert!(catalog.find_contact(new).await.unwrap().is_some());
        task.abort();
    }
}

//! A ledger as of one moment, for a reader beside the catalog that writes it: audits and exports.

use std::time::Duration;
use tokio::runtime::Handle;

use super::{PostgresUrl, StoreError, connect, contacts, hosts::Hosts, rows, schema, session::Session};
use crate::{
    book::Book,
    contact::Contact,
    decide::Levels,
    history::LedgerIdentity,
    id::{BookId, OrderId, Seq},
    ledger::Entry,
    page::{FoundOrders, OrderScan},
};

/// A ledger as of the moment when it was opened, however long it is read. It takes 32 bytes a book in memory.
///
/// It claims nothing, writes nothing and never holds up the catalog, but PostgreSQL cannot vacuum what has changed since until it is dropped.
/// It is used on the runtime that it was opened on.
///
/// ```no_run
/// use bookstore_core::{audit::Audit, store::{StoreError, postgres::View}};
///
/// # async fn audit() -> Result<(), StoreError> {
/// let mut audit = Audit::new();
/// let mut view = View::open(&"postgres://shop@db1/shop?passfile=shop.pgpass".parse()?).await?;
/// view.replay(|entry| audit.take(&entry).map_err(|finding| StoreError::Failed(finding.to_string()))).await?;
/// println!("{} entries, every one of them follows on the one before", view.head());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct View {
    /// In a transaction that only reads.
    session: Session,
    identity: LedgerIdentity,
    head: Seq,
    applied: Seq,
    levels: Levels,
}

impl View {
    /// Opens the ledger in a database.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if there is no ledger, or an earlier program made it.
    /// - As [`open`](super::open) otherwise.
    pub async fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let (hosts, runtime) = (Hosts::of(url)?, Handle::current());
        let mut session = connect(&hosts, &runtime).await?;
        session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let name = hosts.name();
        match schema::version(&mut session, name).await? {
            schema::VERSION => {}
            0 => {
                let why =
                    format!("{name} has no ledger; a catalog that opens it makes one, and so does bookstore migrate");
                return Err(StoreError::Unusable(why));
            }
            _ => {
                let why = format!(
                    "{name}: an earlier version of this program made it; bookstore migrate brings it up to date"
                );
                return Err(StoreError::Unusable(why));
            }
        }
        let (identity, head, applied) = schema::identity(&mut session, name).await?;
        let levels = rows::levels_at(&mut session, applied, head, |_| ()).await?;
        Ok(Self { session, identity, head, applied, levels })
    }

    /// Which ledger it is.
    #[must_use]
    pub fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    /// The last entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// As of which entry the stock snapshot is true.
    #[must_use]
    pub fn applied(&self) -> Seq {
        self.applied
    }

    /// Every book's level: the stock snapshot, and on top of it the entries since.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The last book; 0 if there is none. Numbers are dense from 1.
    #[must_use]
    pub fn last_book(&self) -> BookId {
        self.levels.last()
    }

    /// Calls `take` with each entry, in order.
    ///
    /// # Errors
    /// - Whatever `take` fails with, at the first failure.
    /// - [`StoreError::Unusable`], [`StoreError::Failed`] if the ledger is damaged or cannot be read.
    pub async fn replay<E: From<StoreError>>(&mut self, take: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        rows::replay(&mut self.session, Seq(0), self.head, take).await
    }

    /// These books, also those that are off sale, in this order; `None` for one that there is not.
    ///
    /// # Errors
    /// [`StoreError::Unusable`], [`StoreError::Failed`] if the ledger is damaged or cannot be read.
    pub async fn books(&mut self, ids: &[BookId]) -> Result<Vec<Option<Book>>, StoreError> {
        let versions: Vec<Seq> =
            ids.iter().filter_map(|id| self.levels.get(*id)).map(|level| level.text_version).collect();
        let mut texts = rows::texts_of(&mut self.session, &versions).await?;
        let mut book = |id: BookId| {
            let Some(level) = self.levels.get(id) else { return Ok(None) };
            let text = texts.remove(&(id, level.text_version));
            let damaged = || StoreError::Unusable(format!("it is damaged: book {id} has no text"));
            Ok(Some(level.of(id, text.ok_or_else(damaged)?)))
        };
        ids.iter().map(|id| book(*id)).collect()
    }

    /// Looks for orders, newest first, as [`OrderScan::run`] does.
    ///
    /// # Errors
    /// As [`Self::books`].
    pub async fn find_orders(&mut self, scan: &OrderScan) -> Result<FoundOrders, StoreError> {
        rows::find_orders(&mut self.session, scan, self.head).await
    }

    /// The contacts of these orders, one for each.
    ///
    /// # Errors
    /// As [`Self::books`].
    pub async fn contacts(&mut self, orders: &[OrderId]) -> Result<Vec<Option<Contact>>, StoreError> {
        let mut contacts = contacts::of(&mut self.session, orders).await?;
        Ok(orders.iter().map(|order| contacts.remove(order).flatten()).collect())
    }
}

/// The name of the connection of a writer, in `pg_stat_activity`.
pub(super) const WRITER: &str = "bookstore writer";

/// Whether a catalog that has claimed the ledger is connected: opening the ledger would take it over. It may begin or end right after.
///
/// # Errors
/// As [`open`](super::open).
pub async fn is_in_use(url: &PostgresUrl) -> Result<bool, StoreError> {
    const AGAIN: (u32, Duration) = (5, Duration::from_millis(100));
    let (hosts, runtime) = (Hosts::of(url)?, Handle::current());
    let mut session = connect(&hosts, &runtime).await?;
    if schema::version(&mut session, hosts.name()).await? == 0 {
        return Ok(false);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity a, bookstore.ledger l
        WHERE a.datname = current_database() AND a.application_name = $1 AND l.leader IS NOT NULL)";
    // The connection of one that was just closed is there for a moment.
    for _ in 1..AGAIN.0 {
        if !session.query_one(sql, &[&WRITER]).await?.get::<_, bool>(0) {
            return Ok(false);
        }
        tokio::time::sleep(AGAIN.1).await;
    }
    Ok(true)
}

//! The state at the end of a run, which a history is checked against.

use crate::{
    audit::{read_ledger, read_levels},
    book::BookId,
    catalog::CatalogService,
    decide::Level,
    error::Result,
    ledger::{Entry, Seq},
    order::Order,
    orders::OrderService,
    page::{OrderQuery, Query},
    store::LedgerCopy,
};

/// What one order server knows at the end. Under [`Rule::CopyPrefix`](super::Rule::CopyPrefix) it must be what the
/// ledger holds up to `followed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCopy {
    /// Which server.
    pub server: String,
    /// The last ledger entry that it has followed. Up to there the copy must be complete.
    pub followed: Seq,
    /// What the copy contains.
    pub contents: CopyContents,
}

/// What a copy contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyContents {
    /// Its orders, in any order.
    Orders(Vec<Order>),
    /// Its ledger entries, oldest first. Sales and returns must all be there; other entries may be.
    Entries(Vec<Entry>),
}

/// The state at the end of a run, read when nothing was under way any more.
///
/// [`FinalState::read`] reads it through a catalogue. A test that has the ledger from elsewhere, such as a file that it
/// opens after the servers have ended, fills in the fields itself:
///
/// ```
/// use bookstore_core::{Seq, check::FinalState};
///
/// let end = FinalState { entries: Vec::new(), levels: None, ..FinalState::default() }.since(Seq(8));
/// assert!(end.copies.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct FinalState {
    /// The whole ledger, from its first entry on.
    pub entries: Vec<Entry>,
    /// Every book as the store shows it; `None` if the books were not read.
    pub levels: Option<Vec<(BookId, Level)>>,
    /// What the order servers know.
    pub copies: Vec<ServerCopy>,
    /// The ledger's head before the first recorded call: no call has to account for the entries up to it.
    pub since: Seq,
}

impl FinalState {
    /// Reads the whole ledger and every book in it, into memory: about 150 bytes an entry.
    ///
    /// # Errors
    /// Those of [`CatalogService::entries`] and [`CatalogService::info`].
    pub async fn read(catalog: &dyn CatalogService) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        read_ledger(catalog, |entry| entries.push(entry)).await?;
        let changes = entries.iter().flat_map(|entry| &entry.changes);
        let mut books: Vec<BookId> = changes.map(|change| change.book).collect();
        books.sort_unstable();
        books.dedup();
        let levels = Some(read_levels(catalog, books).await?);
        Ok(Self { entries, levels, ..Self::default() })
    }

    /// The same for a run that began when the ledger's head was `head`.
    #[must_use]
    pub fn since(mut self, head: Seq) -> Self {
        self.since = head;
        self
    }

    /// Adds the orders that `server` lists. By now it must list all orders of the ledger.
    ///
    /// # Errors
    /// Those of [`OrderService::orders`].
    pub async fn add_orders(&mut self, server: impl Into<String>, orders: &dyn OrderService) -> Result<()> {
        let (mut all, mut page_token) = (Vec::new(), None);
        loop {
            let page = orders
                .orders(OrderQuery { page_size: Some(Query::PAGE_MAX), page_token, ..OrderQuery::default() })
                .await?;
            all.extend(page.orders);
            page_token = page.next_page_token;
            if page_token.is_none() {
                break;
            }
        }
        let followed = self.entries.last().map_or(Seq(0), |entry| entry.seq);
        self.copies.push(ServerCopy { server: server.into(), followed, contents: CopyContents::Orders(all) });
        Ok(())
    }

    /// Adds the copy that belongs to `server`, which may be behind the ledger.
    ///
    /// # Errors
    /// Those of [`Projection::followed`](crate::store::Projection::followed) and of [`OrderReader::orders`](crate::OrderReader::orders).
    pub async fn add_copy(&mut self, server: impl Into<String>, copy: &(impl LedgerCopy + ?Sized)) -> Result<()> {
        const PAGE: usize = 1000;
        let followed = copy.followed().await?.seq;
        let mut all: Vec<Order> = Vec::new();
        loop {
            let page = copy.orders(all.last().map(|order| order.seq), PAGE).await?;
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        self.copies.push(ServerCopy { server: server.into(), followed, contents: CopyContents::Orders(all) });
        Ok(())
    }
}

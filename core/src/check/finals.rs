//! The end state that a history is checked against.

use std::time::Duration;

use crate::{
    book::BookId,
    catalog::{CatalogService, ENTRIES_MAX},
    decide::Level,
    error::Result,
    ledger::{Entry, Seq},
    order::Order,
    orders::OrderService,
    page::{OrderQuery, Query},
    store::OrderCopy,
};

/// What an order server knows in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Which server.
    pub server: String,
    /// How far it has followed the ledger; up to there it must be complete.
    pub followed: Seq,
    /// What it holds.
    pub copied: Copied,
}

/// The contents of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copied {
    /// Its orders, in any order.
    Orders(Vec<Order>),
    /// Its entries: sales and returns at least.
    Entries(Vec<Entry>),
}

/// The end state of a run: taken down when everything has come to rest.
#[derive(Clone, Debug, Default)]
pub struct Finals {
    /// The whole ledger, from its first entry on.
    pub entries: Vec<Entry>,
    /// Every book as it stands, if somebody asked.
    pub levels: Option<Vec<(BookId, Level)>>,
    /// What order servers hold.
    pub copies: Vec<Copy>,
    /// The ledger's head before the first recorded call: nobody has to account for what is older.
    pub since: Seq,
}

impl Finals {
    /// Reads the whole ledger and every book in it, into memory: about 150 bytes an entry.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub async fn read(catalog: &dyn CatalogService) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map_or(Seq(0), |entry| entry.seq);
            let page = catalog.entries(after, ENTRIES_MAX, Duration::ZERO).await?;
            if page.entries.is_empty() {
                break;
            }
            entries.extend(page.entries);
        }
        let mut books: Vec<BookId> =
            entries.iter().flat_map(|entry| &entry.changes).map(|change| change.book).collect();
        books.sort_unstable();
        books.dedup();
        let mut levels = Vec::with_capacity(books.len());
        for id in books {
            let book = catalog.info(id).await?;
            levels.push((id, Level { stock: book.stock, price_cents: book.price_cents, version: book.version }));
        }
        Ok(Self { entries, levels: Some(levels), ..Self::default() })
    }

    /// Nobody has to account for the entries up to `head`.
    #[must_use]
    pub fn since(mut self, head: Seq) -> Self {
        self.since = head;
        self
    }

    /// Adds the orders that `server` shows, which must be all orders of the ledger by now.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn add_orders(&mut self, server: impl Into<String>, orders: &dyn OrderService) -> Result<()> {
        let (mut all, mut page_token) = (Vec::new(), None);
        loop {
            let page = orders.orders(OrderQuery { page_size: Some(Query::PAGE_MAX), page_token }).await?;
            all.extend(page.orders);
            page_token = page.next_page_token;
            if page_token.is_none() {
                break;
            }
        }
        let followed = self.entries.last().map_or(Seq(0), |entry| entry.seq);
        self.copies.push(Copy { server: server.into(), followed, copied: Copied::Orders(all) });
        Ok(())
    }

    /// Adds an order server's own copy, as far as it has followed.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn add_copy(&mut self, server: impl Into<String>, copy: &dyn OrderCopy) -> Result<()> {
        const PAGE: usize = 1000;
        let (_, followed) = copy.followed().await?;
        let mut all: Vec<Order> = Vec::new();
        loop {
            let page = copy.orders(all.last().map(|order| order.seq), PAGE).await?;
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        self.copies.push(Copy { server: server.into(), followed, copied: Copied::Orders(all) });
        Ok(())
    }
}

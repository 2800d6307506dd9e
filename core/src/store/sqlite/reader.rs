//! The reading half of a ledger in a SQLite file, beside the writer and over connections of its own.

use async_trait::async_trait;
use std::sync::Arc;

use super::{SqliteOptions, StoreError, contacts, database_file::DatabaseFile, derived, pool::Pool, rows};
use crate::{
    book::Text,
    clock::Timestamp,
    contact::{Contact, ContactChange},
    error::Result,
    history::{Hash, LedgerIdentity},
    id::{BookId, OrderId, Seq},
    ledger::Entry,
    order::Order,
    page::{FoundOrders, OrderScan},
    store::{LedgerReader, MakeBytes, text_cache::TextCache},
};

/// The reading half of a ledger in a SQLite file.
///
/// A read runs on one of the runtime's threads for blocking work, except for a text that is in memory. See
/// [`SqliteOptions`] for the limits.
#[derive(Debug)]
pub struct SqliteReader {
    identity: LedgerIdentity,
    pool: Pool,
    texts: TextCache,
}

impl SqliteReader {
    pub(super) fn open(
        file: &Arc<DatabaseFile>,
        identity: LedgerIdentity,
        options: SqliteOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self { identity, pool: Pool::open(file, options)?, texts: TextCache::new(options.cached_texts) })
    }
}

#[async_trait]
impl LedgerReader for SqliteReader {
    fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    async fn hash(&self, at: Seq) -> Result<Hash> {
        self.pool.read(move |connection| rows::hash(connection, at)).await
    }

    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>> {
        let read = self.pool.read(move |connection| rows::text(connection, book, version));
        self.texts.get_or_read(book, version, read).await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.pool.read(move |connection| rows::entries(connection, after, head, limit)).await
    }

    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.pool.read(move |connection| rows::texts(connection, after, head, limit)).await
    }

    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>> {
        self.pool.read(move |connection| rows::batch_ends(connection, after, to)).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.pool.read(move |connection| rows::order(connection, id, head)).await
    }

    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders> {
        self.pool.read(move |connection| rows::find_orders(connection, &scan, head)).await
    }

    async fn contact(&self, order: OrderId) -> Result<Option<Contact>> {
        Ok(self.pool.read(move |connection| contacts::find(connection, order)).await?.flatten())
    }

    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>> {
        self.pool.read(move |connection| contacts::between(connection, after, to, limit)).await
    }

    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>> {
        self.pool.read(move |connection| contacts::placed_before(connection, placed_before, limit)).await
    }

    /// In a file beside the ledger's, `shop.db.NAME`.
    async fn keep(&self, name: &'static str, make: MakeBytes) -> Result<()> {
        self.pool.read(move |connection| derived::keep(connection, name, &make())).await
    }

    async fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>> {
        self.pool.read(move |connection| derived::kept(connection, name)).await
    }
}

//! The reading half of a ledger in PostgreSQL, over connections of its own to the host that is written to.

use async_trait::async_trait;
use futures_util::FutureExt as _;
use std::sync::Arc;
use tokio::runtime::Handle;

use super::{PostgresOptions, contacts, hosts::Hosts, pool::Pool, rows, session::Session};
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

/// The most bytes that are kept under one name: 256 MiB.
const KEPT_BYTES_MAX: usize = 256 << 20;

/// The reading half of a ledger in PostgreSQL. See [`PostgresOptions`] for the limits.
#[derive(Debug)]
pub struct PostgresReader {
    identity: LedgerIdentity,
    pool: Pool,
    texts: TextCache,
}

impl PostgresReader {
    pub(super) fn new(
        (hosts, runtime): (Arc<Hosts>, Handle),
        first: Session,
        identity: LedgerIdentity,
        options: &PostgresOptions,
    ) -> Self {
        let pool = Pool::new(hosts, runtime, first, options);
        Self { identity, pool, texts: TextCache::new(options.cached_texts) }
    }
}

#[async_trait]
impl LedgerReader for PostgresReader {
    fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    async fn hash(&self, at: Seq) -> Result<Hash> {
        self.pool.read(move |session| rows::hash(session, at).boxed()).await
    }

    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>> {
        let read = self.pool.read(move |session| rows::text(session, book, version).boxed());
        self.texts.get_or_read(book, version, read).await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.pool.read(move |session| rows::entries(session, after, head, limit).boxed()).await
    }

    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.pool.read(move |session| rows::texts(session, after, head, limit).boxed()).await
    }

    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>> {
        self.pool.read(move |session| rows::batch_ends(session, after, to).boxed()).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.pool.read(move |session| rows::order(session, id, head).boxed()).await
    }

    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders> {
        self.pool.read(move |session| async move { rows::find_orders(session, &scan, head).await }.boxed()).await
    }

    async fn contact(&self, order: OrderId) -> Result<Option<Contact>> {
        Ok(self.pool.read(move |session| contacts::of_one(session, order).boxed()).await?.flatten())
    }

    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>> {
        self.pool.read(move |session| contacts::between(session, after, to, limit).boxed()).await
    }

    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>> {
        self.pool.read(move |session| contacts::placed_before(session, placed_before, limit).boxed()).await
    }

    /// In the table `kept`; nothing if it is longer than 256 MiB.
    async fn keep(&self, name: &'static str, make: MakeBytes) -> Result<()> {
        let made = tokio::task::spawn_blocking(make).await;
        let bytes = made.map_err(|_| crate::Error::unavailable("what was to be kept could not be made"))?;
        if bytes.len() > KEPT_BYTES_MAX {
            return Ok(());
        }
        self.pool.read(move |session| rows::keep(session, name, bytes).boxed()).await
    }

    async fn kept(&self, name: &'static str) -> Result<Option<Vec<u8>>> {
        self.pool.read(move |session| rows::kept(session, name).boxed()).await
    }
}

//! The contacts of orders: a table beside the ledger.
//!
//! A row without a text says that the contact was erased. PostgreSQL keeps what a row was before until the table is vacuumed, and its file
//! until that place is written over.

use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{StoreError, session::Session};
use crate::{
    clock::Timestamp,
    contact::{Contact, ContactChange},
    id::OrderId,
    store::encoding::{to_i64, to_u64},
};

fn read(order: Uuid, text: &str) -> Result<Contact, StoreError> {
    // The cause would show what is stored.
    serde_json::from_str(text)
        .map_err(|_| StoreError::Unusable(format!("it is damaged: the contact of order {order} cannot be read")))
}

/// What is known of these orders' contacts; `None` for one that was erased.
pub(super) async fn of(
    session: &mut Session,
    orders: &[OrderId],
) -> Result<HashMap<OrderId, Option<Contact>>, StoreError> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    let sql = "SELECT order_id, text FROM bookstore.contact WHERE order_id = ANY($1)";
    let found = |row: &Row| {
        let id: Uuid = row.get(0);
        let contact = row.get::<_, Option<&str>>(1).map(|text| read(id, text)).transpose()?;
        Ok((OrderId(id), contact))
    };
    session.query(sql, &[&ids]).await?.iter().map(found).collect()
}

/// The contact of an order; `Some(None)` if it was erased.
pub(super) async fn of_one(session: &mut Session, order: OrderId) -> Result<Option<Option<Contact>>, StoreError> {
    Ok(of(session, &[order]).await?.remove(&order))
}

/// Up to `limit` contacts whose last change has a number above `after` and up to `to`, lowest first.
pub(super) async fn between(
    session: &mut Session,
    after: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<ContactChange>, StoreError> {
    let sql = "SELECT order_id, placed_ms, version, text FROM bookstore.contact
        WHERE version > $1 AND version <= $2 AND text IS NOT NULL ORDER BY version LIMIT $3";
    let [after, to, limit] = [after, to, limit as u64].map(|number| to_i64(number.min(i64::MAX as u64)));
    let change = |row: &Row| {
        let order: Uuid = row.get(0);
        let contact = Some(Box::new(read(order, row.get(3))?));
        let (placed_at, version) = (Timestamp(row.get(1)), to_u64(row.get(2)));
        Ok(ContactChange { order: OrderId(order), placed_at, version, contact })
    };
    session.query(sql, &[&after, &to, &limit]).await?.iter().map(change).collect()
}

/// Up to `limit` orders with contacts that were placed before this time, oldest first.
pub(super) async fn placed_before(
    session: &mut Session,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT order_id FROM bookstore.contact WHERE text IS NOT NULL AND placed_ms < $1
        ORDER BY placed_ms LIMIT $2";
    let rows = session.query(sql, &[&before.0, &to_i64(limit as u64)]).await?;
    Ok(rows.iter().map(|row| OrderId(row.get(0))).collect())
}

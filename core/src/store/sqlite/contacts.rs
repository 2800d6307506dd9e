//! The contacts of orders: tables beside the ledger.
//!
//! A row of `contact` without a text says that the contact was erased. Texts are written once, at the end of `contact_text`, and what is
//! replaced or erased is overwritten where it stands, with zeros. So no row ever moves: where SQLite moves a row to another page, it may
//! leave a copy of it in the old one, also with `secure_delete`, which overwrites what is deleted. The WAL keeps a text until that part of
//! the WAL is written over, or emptied.
// Why: docs/decisions/0060.

use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::{StoreError, rows};
use crate::{
    clock::Timestamp,
    decide::State,
    id::{OrderId, Seq},
    ledger::{Entry, Kind},
    order::{Actor, Contact, ContactChange},
};

pub(super) const TABLE: &str = "
    CREATE TABLE contact (
        order_id BLOB PRIMARY KEY,
        version INTEGER NOT NULL,
        placed_ms INTEGER NOT NULL,
        text INTEGER
    ) STRICT;
    CREATE INDEX contact_version ON contact (version);
    CREATE INDEX contact_kept ON contact (placed_ms) WHERE text IS NOT NULL;
    CREATE TABLE contact_text (
        id INTEGER PRIMARY KEY,
        text BLOB NOT NULL
    ) STRICT;
";

const PUT: &str = "INSERT INTO contact (order_id, version, placed_ms, text) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, text = excluded.text";
/// As many zeros, so that the row stays where it is.
const OVERWRITE: &str = "UPDATE contact_text SET text = zeroblob(length(text))
    WHERE id = (SELECT text FROM contact WHERE order_id = ?1)";

/// Writes changes down.
pub(super) fn put(connection: &Connection, changes: &[ContactChange]) -> Result<(), StoreError> {
    for ContactChange { order, placed_at, version, contact } in changes {
        connection.prepare_cached(OVERWRITE)?.execute([order.0.as_bytes()])?;
        let text = match contact {
            Some(contact) => {
                let text = serde_json::to_vec(contact).expect("strings are JSON");
                connection.prepare_cached("INSERT INTO contact_text (text) VALUES (?1)")?.execute([text])?;
                Some(connection.last_insert_rowid())
            }
            None => None,
        };
        let mut put = connection.prepare_cached(PUT)?;
        put.execute((order.0.as_bytes(), rows::to_i64(*version), placed_at.0, text))?;
    }
    Ok(())
}

/// Erases what these entries say was erased, in a copy, which learns it from them alone.
pub(super) fn take(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Erase) {
        let Some(order) = entry.order_id() else { continue };
        let (contact, placed_at) = (None, entry.at);
        let version = last_version(connection)? + 1;
        put(connection, &[ContactChange { order, placed_at, version, contact }])?;
    }
    Ok(())
}

/// The orders whose contacts were erased, and who erased each.
pub(super) fn erased(connection: &Connection) -> Result<Vec<(OrderId, Option<Actor>)>, StoreError> {
    let mut orders = connection.prepare("SELECT order_id FROM contact WHERE text IS NULL ORDER BY version")?;
    let orders = orders.query_map([], |row| row.get::<_, [u8; 16]>(0))?;
    let by_whom = |id: rusqlite::Result<[u8; 16]>| {
        let order = OrderId(Uuid::from_bytes(id?));
        let entries = rows::entries_of(connection, order, Seq(i64::MAX as u64))?;
        let erasure = entries.into_iter().find(|entry| entry.kind == Kind::Erase);
        Ok((order, erasure.and_then(|entry| entry.details?.actor)))
    };
    orders.map(by_whom).collect()
}

/// Puts what is known of these orders' contacts into a state.
pub(super) fn load(connection: &Connection, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
    for order in orders {
        if let Some(contact) = find(connection, *order)? {
            state.contacts.insert(*order, contact.map(Box::new));
        }
    }
    Ok(())
}

/// The contact of an order; `Some(None)` if it was erased.
pub(super) fn find(connection: &Connection, order: OrderId) -> Result<Option<Option<Contact>>, StoreError> {
    let sql = "SELECT contact_text.text FROM contact LEFT JOIN contact_text ON contact_text.id = contact.text WHERE order_id = ?1";
    let mut select = connection.prepare_cached(sql)?;
    let contact: Option<Option<Vec<u8>>> = select.query_row([order.0.as_bytes()], |row| row.get(0)).optional()?;
    let read = |text: Vec<u8>| {
        // The cause would show what is stored.
        serde_json::from_slice(&text)
            .map_err(|_| StoreError::Unusable(format!("it is damaged: the contact of order {order} cannot be read")))
    };
    contact.map(|contact| contact.map(read).transpose()).transpose()
}

/// Up to `limit` orders with contacts that were placed before this time, oldest first.
pub(super) fn placed_before(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT order_id FROM contact WHERE text IS NOT NULL AND placed_ms < ?1 ORDER BY placed_ms LIMIT ?2";
    let mut orders = connection.prepare_cached(sql)?;
    let orders = orders.query_map((before.0, rows::to_i64(limit as u64)), |row| row.get::<_, [u8; 16]>(0))?;
    Ok(orders.map(|row| row.map(|id| OrderId(Uuid::from_bytes(id)))).collect::<Result<_, _>>()?)
}

/// The number of the last change; 0 if there is none.
pub(super) fn last_version(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> = connection.query_row("SELECT max(version) FROM contact", [], |row| row.get(0))?;
    Ok(rows::to_u64(last.unwrap_or_default()))
}

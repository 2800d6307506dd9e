//! The contacts of orders: tables beside the ledger.
//!
//! A row of `contact` without a text says that the contact was erased. Texts are written once, at the end of `contact_text`, and what is
//! replaced or erased is overwritten where it stands, with zeros. So no row ever moves: where SQLite moves a row to another page, it may
//! leave a copy of it in the old one, also with `secure_delete`, which overwrites what is deleted. The WAL keeps a text until that part of
//! the WAL is written over, or emptied.
// Why: docs/decisions/0060.

use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use super::{StoreError, rows, schema};
use crate::{
    clock::Timestamp,
    contact::{Contact, ContactChange, ContactPage},
    decide::State,
    id::{OrderId, Seq},
    ledger::{Entry, Kind},
    order::Actor,
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

/// Forgets every contact that is there. The table of texts is emptied as a whole, so no page keeps any.
const FORGET: &str = "DELETE FROM contact_text; DELETE FROM contact WHERE text IS NOT NULL;";

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
        // The numbers of changes count contacts that are there.
        put(connection, &[ContactChange { order, placed_at, version: 0, contact }])?;
    }
    Ok(())
}

/// How far a copy has followed the ledger's contacts: where they were from, and up to which change.
pub(super) fn followed(connection: &Connection) -> Result<((Option<Uuid>, Uuid), u64), StoreError> {
    let sql = "SELECT contacts_timeline, contacts_opening, contacts FROM meta";
    let id = |bytes: Option<[u8; 16]>| bytes.map(Uuid::from_bytes);
    Ok(connection.query_row(sql, [], |row| {
        let source = (id(row.get(0)?), id(row.get(1)?).unwrap_or_default());
        Ok((source, rows::to_u64(row.get(2)?)))
    })?)
}

/// Takes the next contacts of a ledger into a copy. What was erased stays erased.
pub(super) fn follow(connection: &Connection, page: &ContactPage) -> Result<(), StoreError> {
    if schema::identity(connection)?.as_ref() != Some(&page.identity) {
        return Err(StoreError::Failed("these contacts are of another history than this copy's".into()));
    }
    let (source, followed) = (page.source(), followed(connection)?);
    if followed.0.0 != source.0 {
        connection.execute_batch(FORGET)?;
    }
    for change in &page.changes {
        let mut known =
            connection.prepare_cached("SELECT text IS NULL OR version = ?2 FROM contact WHERE order_id = ?1")?;
        let version = rows::to_i64(change.version);
        let is_known = known.query_row((change.order.0.as_bytes(), version), |row| row.get(0)).optional()?;
        if is_known != Some(true) {
            put(connection, std::slice::from_ref(change))?;
        }
    }
    let before = if followed.0 == source { followed.1 } else { 0 };
    let version = page.changes.last().map_or(before, |last| last.version);
    let update = "UPDATE meta SET contacts_timeline = ?1, contacts_opening = ?2, contacts = ?3";
    let (timeline, opening) = (source.0.map(Uuid::into_bytes), source.1.into_bytes());
    connection.execute(update, (timeline, opening, rows::to_i64(version)))?;
    Ok(())
}

/// Up to `limit` contacts whose last change has a number above `after` and up to `to`, lowest first.
pub(super) fn between(
    connection: &Connection,
    after: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<ContactChange>, StoreError> {
    let sql = "SELECT order_id, placed_ms, version, contact_text.text FROM contact
        JOIN contact_text ON contact_text.id = contact.text
        WHERE version > ?1 AND version <= ?2 ORDER BY version LIMIT ?3";
    let mut contacts = connection.prepare_cached(sql)?;
    let range = [after, to.min(i64::MAX as u64), limit as u64].map(rows::to_i64);
    let contacts = contacts.query_map(range, |row| {
        let order = OrderId(Uuid::from_bytes(row.get(0)?));
        Ok((order, Timestamp(row.get(1)?), rows::to_u64(row.get(2)?), row.get::<_, Vec<u8>>(3)?))
    })?;
    let change = |row: rusqlite::Result<_>| {
        let (order, placed_at, version, text): (_, _, _, Vec<u8>) = row?;
        let contact = Some(Box::new(read(order, &text)?));
        Ok(ContactChange { order, placed_at, version, contact })
    };
    contacts.map(change).collect()
}

fn read(order: OrderId, text: &[u8]) -> Result<Contact, StoreError> {
    // The cause would show what is stored.
    serde_json::from_slice(text)
        .map_err(|_| StoreError::Unusable(format!("it is damaged: the contact of order {order} cannot be read")))
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
    contact.map(|contact| contact.map(|text| read(order, &text)).transpose()).transpose()
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

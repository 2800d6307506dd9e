//! Which orders are held: a table that follows the ledger's entries, in the same transactions, so that a start need not look for them.

use rusqlite::Connection;
use uuid::Uuid;

use super::{StoreError, rows};
use crate::{
    decide::State,
    id::OrderId,
    ledger::{Entry, Kind},
    order::Status,
};

/// Takes in entries.
pub(super) fn take(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries {
        let sql = match entry.kind {
            Kind::Hold => "INSERT INTO hold (key) VALUES (?1)",
            Kind::Confirm | Kind::Lapse | Kind::Return => "DELETE FROM hold WHERE key = ?1",
            _ => continue,
        };
        let Some(key) = entry.key else { continue };
        connection.prepare_cached(sql)?.execute([key.0.as_bytes()])?;
    }
    Ok(())
}

/// Puts the held orders into a state that has the ledger's head.
pub(super) fn read(connection: &Connection, state: &mut State) -> Result<(), StoreError> {
    let mut keys = connection.prepare("SELECT key FROM hold")?;
    let keys = keys.query_map([], |row| row.get::<_, [u8; 16]>(0))?;
    for key in keys {
        let id = OrderId(Uuid::from_bytes(key?));
        match rows::order(connection, id, state.head)? {
            Some(order) if order.status == Status::Held => state.holds.insert(order),
            _ => return Err(StoreError::Unusable(format!("it is damaged: order {id} should be held"))),
        }
    }
    Ok(())
}

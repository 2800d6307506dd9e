//! Rows as the domain's types, and the queries that a ledger and its copies share.

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, types::Type};
use std::sync::LazyLock;

use super::{StoreError, contacts};
use crate::{
    book::Text,
    clock::Timestamp,
    history::{self, Hash, RunningHash},
    id::{BookId, OrderId, Seq},
    ledger::{Entry, Kind},
    order::{Order, Reference},
    page::{FoundOrders, OrderScan, PAGE_BYTES_MAX},
    store::encoding::{self, read_changes, write_changes},
};

pub(super) use crate::store::encoding::{to_i64, to_u64};

const SALE: i64 = 1;
const HOLD: i64 = 6;

fn kind(number: i64) -> rusqlite::Result<Kind> {
    encoding::kind(number)
        .map_err(|unknown| rusqlite::Error::FromSqlConversionFailure(2, Type::Integer, Box::new(unknown)))
}

/// The columns that [`entry`] reads, in order.
///
/// Only listings and revisions have a text, so it is looked up for these only.
const ENTRY: &str = "seq, at_ms, kind, key, changes,
    CASE WHEN kind IN (5, 12) THEN (SELECT text FROM entry_text WHERE entry_text.seq = ledger.seq) END";

/// An entry from the columns of [`ENTRY`].
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let key: Option<[u8; 16]> = row.get(3)?;
    let damaged = |column, name: &str| rusqlite::Error::InvalidColumnType(column, name.into(), Type::Text);
    let (changes, details) = read_changes(row.get_ref(4)?.as_str()?).ok_or_else(|| damaged(4, "changes"))?;
    let text = match row.get_ref(5)?.as_str_or_null()? {
        Some(text) => Some(serde_json::from_str(text).map_err(|_| damaged(5, "text"))?),
        None => None,
    };
    Ok(Entry {
        seq: Seq(to_u64(row.get(0)?)),
        at: Timestamp(row.get(1)?),
        kind: kind(row.get(2)?)?,
        key: key.map(|bytes| OrderId(uuid::Uuid::from_bytes(bytes))),
        changes,
        text,
        details,
    })
}

/// The last entry of a ledger.
pub(super) fn head(connection: &Connection) -> Result<Seq, StoreError> {
    let head: Option<i64> = connection.query_row("SELECT max(seq) FROM ledger", [], |row| row.get(0))?;
    Ok(Seq(to_u64(head.unwrap_or_default())))
}

/// The hash up to an entry: from the last batch that ends there or before, over the entries after it.
pub(super) fn hash(connection: &Connection, at: Seq) -> Result<Hash, StoreError> {
    let last = "SELECT seq, hash FROM ledger WHERE seq <= ?1 AND hash IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let mut last = connection.prepare_cached(last)?;
    let last = last.query_row([to_i64(at.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (last, hash) = last.unwrap_or((0, Hash::EMPTY.0));
    if to_u64(last) == at.0 {
        return Ok(Hash(hash));
    }
    let sql = select_entries("WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
    let mut rest = connection.prepare_cached(&sql)?;
    let rest = rest.query_map((last, to_i64(at.0)), entry)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Hash(hash).after(&rest))
}

/// The hash up to the last entry, to go on from there.
pub(super) fn running_hash(connection: &Connection) -> Result<RunningHash, StoreError> {
    let last = "SELECT seq, hash FROM ledger WHERE hash IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let last = connection.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (last, hash) = last.unwrap_or((0_i64, Hash::EMPTY.0));
    let mut hash = RunningHash::new(Hash(hash));
    let mut rest = connection.prepare_cached(&select_entries("WHERE seq > ?1 ORDER BY seq"))?;
    for entry in rest.query_map([last], entry)? {
        hash.take(&[entry?]);
    }
    Ok(hash)
}

/// Notes the hash after a batch, on its last entry: the last one that was appended.
pub(super) fn end_batch(connection: &Connection, hash: Hash) -> Result<(), StoreError> {
    let sql = "UPDATE ledger SET hash = ?1 WHERE seq = (SELECT max(seq) FROM ledger)";
    connection.prepare_cached(sql)?.execute([hash.0])?;
    Ok(())
}

/// Notes the hash after each of these batches, on its last entry.
pub(super) fn end_batches(connection: &Connection, ends: &[(Seq, Hash)]) -> Result<(), StoreError> {
    let mut end = connection.prepare_cached("UPDATE ledger SET hash = ?1 WHERE seq = ?2")?;
    for (seq, hash) in ends {
        end.execute((hash.0, to_i64(seq.0)))?;
    }
    Ok(())
}

/// The entries after `after` and up to `to` that end a batch.
pub(super) fn batch_ends(connection: &Connection, after: Seq, to: Seq) -> Result<Vec<Seq>, StoreError> {
    let sql = "SELECT seq FROM ledger WHERE seq > ?1 AND seq <= ?2 AND hash IS NOT NULL ORDER BY seq";
    let mut ends = connection.prepare_cached(sql)?;
    let ends = ends.query_map((to_i64(after.0), to_i64(to.0)), |row| Ok(Seq(to_u64(row.get(0)?))))?;
    Ok(ends.collect::<Result<_, _>>()?)
}

/// Up to `limit` entries after `after` and up to `head`, at most about [`PAGE_BYTES_MAX`] of them.
pub(super) fn entries(connection: &Connection, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
    page(connection, "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3", after, head, limit)
}

/// The same of the entries that change lists of books.
pub(super) fn texts(connection: &Connection, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let with_texts =
        "WHERE seq IN (SELECT seq FROM entry_text WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3) ORDER BY seq";
    page(connection, with_texts, after, head, limit)
}

fn page(connection: &Connection, rest: &str, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let mut statement = connection.prepare_cached(&select_entries(rest))?;
    let range = (to_i64(after.0), to_i64(head.0), to_i64(limit as u64));
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in statement.query_map(range, entry)? {
        let entry: Entry = entry?;
        bytes += entry.json_bytes();
        entries.push(entry);
        if bytes > PAGE_BYTES_MAX {
            break;
        }
    }
    Ok(entries)
}

/// For a ledger the entry of its stock snapshot, for a copy the last entry that it has followed.
pub(super) fn applied(connection: &Connection) -> Result<Seq, StoreError> {
    let mut statement = connection.prepare_cached("SELECT applied FROM meta")?;
    Ok(Seq(to_u64(statement.query_row([], |row| row.get(0))?)))
}

/// Selects the entries of one key up to an entry.
pub(super) const OF_KEY: &str = "WHERE key = ?1 AND seq <= ?2 ORDER BY seq";

/// The entries under one key up to `head`; of an order also those that concern it under another key.
pub(super) fn entries_of(connection: &Connection, key: OrderId, head: Seq) -> Result<Vec<Entry>, StoreError> {
    let read = |sql: &str| {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map((key.0.as_bytes(), to_i64(head.0)), entry)?;
        Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?)
    };
    let mut entries = read(&select_entries(OF_KEY))?;
    if entries.first().is_some_and(|first| matches!(first.kind, Kind::Sale | Kind::Hold)) {
        let others = "WHERE seq IN (SELECT seq FROM order_entry WHERE order_id = ?1 AND seq <= ?2)";
        let others = read(&select_entries(others))?;
        if !others.is_empty() {
            entries.extend(others);
            entries.sort_unstable_by_key(|entry| entry.seq);
        }
    }
    Ok(entries)
}

/// The statement that reads entries, with these conditions.
pub(super) fn select_entries(rest: &str) -> String {
    format!("SELECT {ENTRY} FROM ledger {rest}")
}

/// An order as of `head`.
pub(super) fn order(connection: &Connection, id: OrderId, head: Seq) -> Result<Option<Order>, StoreError> {
    Ok(Order::of(&entries_of(connection, id, head)?))
}

/// Looks for orders that began not after `head`, as of `head`.
pub(super) fn find_orders(connection: &Connection, scan: &OrderScan, head: Seq) -> Result<FoundOrders, StoreError> {
    let first = scan.before().map_or(head, |before| head.min(Seq(before.0.saturating_sub(1))));
    let of_reference = match scan.reference() {
        Some(_) => "AND seq IN (SELECT seq FROM order_reference WHERE reference = ?2)",
        None => "AND ?2 IS NULL",
    };
    let rest = format!("WHERE kind IN ({SALE}, {HOLD}) AND seq <= ?1 {of_reference} ORDER BY seq DESC");
    let mut begun = connection.prepare_cached(&select_entries(&rest))?;
    let begun = begun.query_map((to_i64(first.0), scan.reference().map(Reference::as_str)), entry)?;
    let begun = begun.map(|entry| entry.map_err(StoreError::from));
    let begun = begun.filter_map(|entry| entry.map(|entry| Order::begun(&entry)).transpose());
    scan.run(begun, |id| order(connection, id, head), |id| Ok(contacts::find(connection, id)?.flatten()))
}

/// Rows of one insert statement, largest first: the more rows, the smaller the share of each in the cost of the statement.
const ROWS: [usize; 3] = [64, 8, 1];

/// Inserts entries that follow on the ledger's last one, many with each statement.
///
/// SQLite numbers the rows itself. If they came with their numbers, it would look each of them up, and keep a copy of every page
/// that the statement changes in case one is not a number. So the last number is checked afterwards.
pub(super) fn append_entries(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    // OR ROLLBACK: a conflict ends the transaction anyway, so SQLite need not be ready to undo this one statement.
    static STATEMENTS: LazyLock<[String; 3]> = LazyLock::new(|| {
        let one = "INSERT OR ROLLBACK INTO ledger (at_ms, kind, key, changes) VALUES (?,?,?,?)";
        ROWS.map(|rows| format!("{one}{}", ",(?,?,?,?)".repeat(rows - 1)))
    });
    let Some(last) = entries.last() else { return Ok(()) };
    let mut text = String::with_capacity(64);
    let mut rest = entries;
    for (rows, sql) in ROWS.into_iter().zip(STATEMENTS.iter()) {
        let chunks = rest.chunks_exact(rows);
        rest = chunks.remainder();
        for chunk in chunks {
            let mut statement = connection.prepare_cached(sql)?;
            for (row, entry) in chunk.iter().enumerate() {
                bind(&mut statement, row * 4, entry, &mut text)?;
            }
            statement.raw_execute()?;
        }
    }
    let seq = connection.last_insert_rowid();
    if seq != to_i64(last.seq.0) {
        return Err(StoreError::Failed(format!("the ledger went on at entry {seq} instead of {}", last.seq)));
    }
    insert_texts(connection, entries)?;
    insert_order_entries(connection, entries)
}

/// Notes the entries that concern an order under another key than its id, and the references of orders.
fn insert_order_entries(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for (entry, details) in entries.iter().filter_map(|entry| Some((entry, entry.details.as_ref()?))) {
        if let Some(order) = details.order {
            let mut insert = connection.prepare_cached("INSERT INTO order_entry (order_id, seq) VALUES (?1, ?2)")?;
            insert.execute((order.0.as_bytes(), to_i64(entry.seq.0)))?;
        }
        if let Some(reference) = &details.reference {
            let mut insert =
                connection.prepare_cached("INSERT INTO order_reference (reference, seq) VALUES (?1, ?2)")?;
            insert.execute((reference.as_str(), to_i64(entry.seq.0)))?;
        }
    }
    Ok(())
}

/// The text that an entry gives a book.
pub(super) fn text(connection: &Connection, book: BookId, version: Seq) -> Result<Option<Text>, StoreError> {
    let Ok(version) = i64::try_from(version.0) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&select_entries("WHERE seq = ?1"))?;
    let found = statement.query_row([version], entry).optional()?;
    Ok(found.filter(|entry| entry.book_text().is_some_and(|(of, _)| of == book)).and_then(|entry| entry.text))
}

/// Inserts the texts of entries beside them, and a row without one for the others that change lists of books.
fn insert_texts(connection: &Connection, entries: &[Entry]) -> Result<(), StoreError> {
    for entry in entries.iter().filter(|entry| entry.changes_lists()) {
        let text = entry.text.as_ref().map(|text| serde_json::to_string(text).expect("strings are JSON"));
        let mut insert = connection.prepare_cached("INSERT INTO entry_text (seq, text) VALUES (?1, ?2)")?;
        insert.execute((to_i64(entry.seq.0), text))?;
    }
    Ok(())
}

/// Binds all columns but the number, from parameter `after + 1` on. `text` is room for the changes.
fn bind(statement: &mut Statement<'_>, after: usize, entry: &Entry, text: &mut String) -> rusqlite::Result<()> {
    text.clear();
    write_changes(text, &entry.changes, entry.details.as_deref());
    statement.raw_bind_parameter(after + 1, entry.at.0)?;
    statement.raw_bind_parameter(after + 2, history::kind_number(entry.kind))?;
    statement.raw_bind_parameter(after + 3, entry.key.as_ref().map(|key| key.0.as_bytes().as_slice()))?;
    statement.raw_bind_parameter(after + 4, text.as_str())
}

//! The append: one statement, which is its own transaction, compares and swaps the ledger's row and inserts everything that the batch has.
//!
//! No transaction is ever open across a way over the network, so a writer that dies leaves nothing locked. If somebody else has claimed the
//! ledger, or has appended, the row is not found, and then nothing is inserted anywhere.

use std::{collections::HashMap, fmt::Write as _};
use uuid::Uuid;

use super::{
    StoreError,
    session::{Session, Value},
};
use crate::{
    book::BookText,
    contact::ContactChange,
    decide::{Batch, State},
    history::{self, Hash},
    id::{OrderId, Seq},
    ledger::{Entry, Kind},
    store::{
        encoding::{to_i64, write_changes},
        level_rows::DirtyRows,
    },
};

use super::{PostgresOptions, outcome::WriteError};

/// A batch as the values of the statement.
#[derive(Debug, Default)]
pub(super) struct Append {
    before: i64,
    after: i64,
    hash: Option<Vec<u8>>,
    entries: Entries,
    identities: (Vec<Vec<u8>>, Vec<i64>),
    held: Vec<Uuid>,
    released: Vec<Uuid>,
    contacts: Contacts,
    /// Rows of the stock snapshot, which is true as of the batch then.
    levels: Option<(Vec<i64>, Vec<Vec<u8>>)>,
}

/// A column each, in the order of the statement's parameters.
#[derive(Debug, Default)]
struct Entries {
    at_ms: Vec<i64>,
    kind: Vec<i16>,
    key: Vec<Option<Uuid>>,
    changes: Vec<String>,
    text: Vec<Option<String>>,
    order_id: Vec<Option<Uuid>>,
    reference: Vec<Option<String>>,
}

#[derive(Debug, Default)]
struct Contacts {
    order_id: Vec<Uuid>,
    version: Vec<i64>,
    placed_ms: Vec<i64>,
    text: Vec<Option<String>>,
}

/// What became of an append that the server has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in the ledger.
    Yes,
    /// It is not, and never will be: the ledger is not where this writer left it, or was claimed by another one.
    Fenced,
}

impl Append {
    /// `state` is that after the batch.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the batch has no sense.
    pub(super) fn of(batch: &Batch, state: &State, snapshot: Option<&DirtyRows>) -> Result<Self, StoreError> {
        let (before, after) = (state.head.0.saturating_sub(batch.entries.len() as u64), state.head.0);
        let follows = (before + 1..=after).map(Seq);
        if !batch.entries.iter().map(|entry| entry.seq).eq(follows) {
            return Err(StoreError::Unusable(format!("the batch does not end with entry {after}")));
        }
        let mut append = Self { before: to_i64(before), after: to_i64(after), ..Self::default() };
        let Hash(hash) = state.hash;
        append.hash = (!batch.entries.is_empty()).then(|| hash.to_vec());
        batch.entries.iter().try_for_each(|entry| append.take(entry))?;
        append.held.retain(|key| !append.released.contains(key));
        append.take_contacts(&batch.contacts);
        append.levels = snapshot.map(|dirty| level_columns(dirty, state));
        Ok(append)
    }

    fn take(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let Entry { seq, at, kind, key, changes, text, details } = entry;
        let mut written = String::with_capacity(32);
        write_changes(&mut written, changes, details.as_deref());
        let columns = &mut self.entries;
        columns.at_ms.push(at.0);
        columns.kind.push(history::kind_number(*kind).into());
        columns.key.push(key.map(|key| key.0));
        columns.changes.push(written);
        columns.text.push(text.as_ref().map(|text| serde_json::to_string(text).expect("strings are JSON")));
        columns.order_id.push(details.as_ref().and_then(|details| details.order).map(|order| order.0));
        let reference = details.as_ref().and_then(|details| details.reference.as_ref());
        columns.reference.push(reference.map(|reference| reference.as_str().to_owned()));
        match kind {
            Kind::Listing | Kind::Revise => {
                let Some((book, text)) = entry.book_text() else {
                    return Err(StoreError::Unusable(format!("entry {seq} has no text")));
                };
                self.identities.0.push(hash_of(&BookText::from(text).identity()));
                self.identities.1.push(to_i64(book.0));
            }
            Kind::Hold => self.held.extend(key.map(|key| key.0)),
            Kind::Confirm | Kind::Lapse | Kind::Return => self.released.extend(key.map(|key| key.0)),
            _ => {}
        }
        Ok(())
    }

    /// A statement changes a row once only, so of each order the last change counts.
    fn take_contacts(&mut self, changes: &[ContactChange]) {
        let last: HashMap<OrderId, usize> = changes.iter().enumerate().map(|(at, change)| (change.order, at)).collect();
        for (at, ContactChange { order, placed_at, version, contact }) in changes.iter().enumerate() {
            if last[order] != at {
                continue;
            }
            self.contacts.order_id.push(order.0);
            self.contacts.version.push(to_i64(*version));
            self.contacts.placed_ms.push(placed_at.0);
            let text = contact.as_ref().map(|contact| serde_json::to_string(contact).expect("strings are JSON"));
            self.contacts.text.push(text);
        }
    }

    /// Whether the batch changes contacts only.
    pub(super) fn has_no_entries(&self) -> bool {
        self.hash.is_none()
    }

    /// The last entry before the batch, and its own last one.
    pub(super) fn range(&self) -> (i64, i64) {
        (self.before, self.after)
    }

    /// The hash of the ledger up to the batch, if it has entries.
    pub(super) fn hash(&self) -> Option<&[u8]> {
        self.hash.as_deref()
    }

    /// The last change of a contact: whose, and its number.
    pub(super) fn last_contact(&self) -> Option<(Uuid, i64)> {
        Some((*self.contacts.order_id.last()?, *self.contacts.version.last()?))
    }

    /// Sends it.
    ///
    /// # Errors
    /// As [`Session::write`].
    pub(super) async fn send(
        &self,
        session: &mut Session,
        epoch: i64,
        options: &PostgresOptions,
    ) -> Result<Appended, WriteError> {
        let (sql, values) = self.statement(&epoch);
        let rows = session.write(&sql, &values, options.write_timeout).await?;
        let counts = rows.first().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        match counts {
            Some((1, added)) if added == self.after - self.before => Ok(Appended::Yes),
            Some((0, 0)) => Ok(Appended::Fenced),
            counts => {
                let why = format!("an append of {} entries counted {counts:?}", self.after - self.before);
                Err(WriteError::Unknown(StoreError::Failed(why)))
            }
        }
    }

    /// The statement with the parts that this batch needs, so that a plain sale pays for no others, and its values.
    fn statement<'a>(&'a self, epoch: &'a i64) -> (String, Vec<Value<'a>>) {
        let Entries { at_ms, kind, key, changes, text, order_id, reference } = &self.entries;
        let mut values: Vec<Value<'a>> = vec![&self.before, &self.after, epoch, &self.hash];
        values.extend([at_ms as Value<'a>, kind, key, changes, text, order_id, reference]);
        let mut parts = String::new();
        let mut part = |sql: &str, more: &[Value<'a>]| {
            let mut sql = sql.to_owned();
            for (name, value) in ["$a", "$b", "$c", "$d"].iter().zip(more) {
                values.push(*value);
                sql = sql.replace(name, &format!("${}", values.len()));
            }
            parts.push_str(&sql);
        };
        let (hashes, books) = &self.identities;
        if !hashes.is_empty() {
            part(IDENTITIES, &[hashes, books]);
        }
        if !self.held.is_empty() {
            part(HELD, &[&self.held]);
        }
        if !self.released.is_empty() {
            part(RELEASED, &[&self.released]);
        }
        let contacts = &self.contacts;
        if !contacts.order_id.is_empty() {
            part(CONTACTS, &[&contacts.order_id, &contacts.version, &contacts.placed_ms, &contacts.text]);
        }
        if let Some((rows, levels)) = &self.levels {
            part(LEVELS, &[rows, levels]);
        }
        let applied = if self.levels.is_some() { ", applied = $2" } else { "" };
        let mut sql = String::with_capacity(1024);
        let written = write!(sql, "WITH head AS (UPDATE bookstore.ledger SET seq = $2{applied} {HEAD}{parts} {COUNTS}");
        written.expect("a string takes everything");
        (sql, values)
    }
}

const HEAD: &str = "WHERE seq = $1 AND epoch = $3 RETURNING seq),
    added AS (
        INSERT INTO bookstore.entry (seq, at_ms, kind, key, changes, text, order_id, reference, hash)
        SELECT $1 + n, at_ms, kind, key, changes, text, order_id, reference, CASE WHEN $1 + n = $2 THEN $4::bytea END
        FROM head, unnest($5::bigint[], $6::smallint[], $7::uuid[], $8::text[], $9::text[], $10::uuid[], $11::text[])
            WITH ORDINALITY AS e (at_ms, kind, key, changes, text, order_id, reference, n)
        RETURNING 1)";
/// A book that is called what it was called before is known so already.
const IDENTITIES: &str = ", identities AS (INSERT INTO bookstore.identity (hash, book)
    SELECT hash, book FROM head, unnest($a::bytea[], $b::bigint[]) AS i (hash, book) ON CONFLICT DO NOTHING)";
const HELD: &str = ", held AS (INSERT INTO bookstore.hold (key) SELECT key FROM head, unnest($a::uuid[]) AS h (key))";
const RELEASED: &str = ", released AS (DELETE FROM bookstore.hold USING head WHERE key = ANY($a::uuid[]))";
const CONTACTS: &str = ", contacts AS (INSERT INTO bookstore.contact (order_id, version, placed_ms, text)
    SELECT c.* FROM head, unnest($a::uuid[], $b::bigint[], $c::bigint[], $d::text[]) AS c
    ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, text = excluded.text)";
const LEVELS: &str = ", levels AS (INSERT INTO bookstore.level (row, levels)
    SELECT l.* FROM head, unnest($a::bigint[], $b::bytea[]) AS l
    ON CONFLICT (row) DO UPDATE SET levels = excluded.levels)";
const COUNTS: &str = "SELECT (SELECT count(*) FROM head), (SELECT count(*) FROM added)";

/// The rows of the stock snapshot that have changed, a column each.
fn level_columns(dirty: &DirtyRows, state: &State) -> (Vec<i64>, Vec<Vec<u8>>) {
    dirty.encoded(&state.levels).map(|(row, bytes)| (to_i64(row), bytes)).unzip()
}

/// An identity as it is stored.
pub(super) fn hash_of(identity: &str) -> Vec<u8> {
    blake3::hash(identity.as_bytes()).as_bytes().to_vec()
}

/// Writes the stock snapshot alone, if nothing was appended since, and lets go of the ledger.
///
/// # Errors
/// It was not written, or may not have been.
pub(super) async fn close(
    session: &mut Session,
    (epoch, name): (i64, Uuid),
    state: &State,
    dirty: &DirtyRows,
    options: &PostgresOptions,
) -> Result<(), StoreError> {
    const CLOSE: &str = "WITH head AS (UPDATE bookstore.ledger SET applied = $1, leader = NULL
            WHERE seq = $1 AND epoch = $2 AND leader = $3 RETURNING 1),
        levels AS (INSERT INTO bookstore.level (row, levels)
            SELECT l.* FROM head, unnest($4::bigint[], $5::bytea[]) AS l
            ON CONFLICT (row) DO UPDATE SET levels = excluded.levels)
        SELECT count(*) FROM head";
    let (rows, levels) = level_columns(dirty, state);
    let values: [Value<'_>; 5] = [&to_i64(state.head.0), &epoch, &name, &rows, &levels];
    let closed = session.write(CLOSE, &values, options.write_timeout).await.map_err(WriteError::into_store_error)?;
    match closed.first().map(|row| row.get(0)) {
        Some(1_i64) => Ok(()),
        _ => Err(StoreError::Failed("another writer has claimed the ledger".into())),
    }
}

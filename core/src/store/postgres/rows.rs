//! Rows as the domain's types, and the queries of the reading and the writing half.

use futures_util::{TryStreamExt as _, pin_mut};
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{StoreError, contacts, session::Session};
use crate::{
    book::Text,
    clock::Timestamp,
    decide::{self, Levels},
    history::Hash,
    id::{BookId, OrderId, Seq},
    ledger::{Entry, Kind},
    order::{Order, Reference},
    page::{FoundOrders, OrderScan, PAGE_BYTES_MAX},
    store::{
        encoding::{self, read_changes, to_i64, to_u64},
        level_rows,
    },
};

/// The columns that [`entry`] reads, in order.
macro_rules! entry_columns {
    () => {
        "seq, at_ms, kind, key, changes, text"
    };
}

fn damaged(seq: i64, what: &str) -> StoreError {
    StoreError::Unusable(format!("the ledger is damaged: the {what} of entry {seq} cannot be read"))
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let seq: i64 = row.get(0);
    let kind = encoding::kind(row.get::<_, i16>(2).into());
    let (changes, details) = read_changes(row.get(4)).ok_or_else(|| damaged(seq, "changes"))?;
    let text = row.get::<_, Option<&str>>(5).map(serde_json::from_str).transpose();
    Ok(Entry {
        seq: Seq(to_u64(seq)),
        at: Timestamp(row.get(1)),
        kind: kind.map_err(|unknown| StoreError::Unusable(unknown.to_string()))?,
        key: row.get::<_, Option<Uuid>>(3).map(OrderId),
        changes,
        text: text.map_err(|_| damaged(seq, "text"))?,
        details,
    })
}

fn all(rows: &[Row]) -> Result<Vec<Entry>, StoreError> {
    rows.iter().map(entry).collect()
}

/// Up to `limit` entries after `after` and up to `head`, at most about [`PAGE_BYTES_MAX`] of them.
pub(super) async fn entries(
    session: &mut Session,
    after: Seq,
    head: Seq,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    page(session, PAGE, after, head, limit).await
}

/// The same of the entries that change lists of books.
pub(super) async fn texts(
    session: &mut Session,
    after: Seq,
    head: Seq,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    page(session, PAGE_OF_TEXTS, after, head, limit).await
}

/// The sum of the lengths is made where the entries are, so that no more of them are sent than a page has.
macro_rules! page_where {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            entry_columns!(),
            " FROM (
                SELECT *, sum(octet_length(changes) + coalesce(octet_length(text), 0)) OVER (ORDER BY seq) AS bytes
                FROM (SELECT ",
            entry_columns!(),
            " FROM bookstore.entry
                    WHERE seq > $1 AND seq <= $2 ",
            $condition,
            " ORDER BY seq LIMIT $3) AS first) AS page
            WHERE bytes - octet_length(changes) - coalesce(octet_length(text), 0) < $4 ORDER BY seq"
        )
    };
}
const PAGE: &str = page_where!("");
const PAGE_OF_TEXTS: &str = page_where!("AND kind IN (5, 12, 13, 14)");

async fn page(session: &mut Session, sql: &str, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let (after, head, limit) = (to_i64(after.0), to_i64(head.0), to_i64(limit as u64));
    all(&session.query(sql, &[&after, &head, &limit, &to_i64(PAGE_BYTES_MAX as u64)]).await?)
}

/// The entries after `after` and up to `to` that end a batch.
pub(super) async fn batch_ends(session: &mut Session, after: Seq, to: Seq) -> Result<Vec<Seq>, StoreError> {
    let sql = "SELECT seq FROM bookstore.entry WHERE seq > $1 AND seq <= $2 AND hash IS NOT NULL ORDER BY seq";
    let rows = session.query(sql, &[&to_i64(after.0), &to_i64(to.0)]).await?;
    Ok(rows.iter().map(|row| Seq(to_u64(row.get(0)))).collect())
}

/// The hash up to an entry: from the last batch that ends there or before, over the entries after it.
pub(super) async fn hash(session: &mut Session, at: Seq) -> Result<Hash, StoreError> {
    let last = "SELECT seq, hash FROM bookstore.entry WHERE seq <= $1 AND hash IS NOT NULL ORDER BY seq DESC LIMIT 1";
    let last = session.query(last, &[&to_i64(at.0)]).await?;
    let (last, hash) = match last.first() {
        Some(row) => {
            let (seq, hash): (i64, &[u8]) = (row.get(0), row.get(1));
            (seq, Hash(hash.try_into().map_err(|_| damaged(seq, "hash"))?))
        }
        None => (0, Hash::EMPTY),
    };
    if to_u64(last) == at.0 {
        return Ok(hash);
    }
    const REST: &str =
        concat!("SELECT ", entry_columns!(), " FROM bookstore.entry WHERE seq > $1 AND seq <= $2 ORDER BY seq");
    let rest = all(&session.query(REST, &[&last, &to_i64(at.0)]).await?)?;
    Ok(hash.after(&rest))
}

/// The text that an entry gives a book.
pub(super) async fn text(session: &mut Session, book: BookId, version: Seq) -> Result<Option<Text>, StoreError> {
    const OF_SEQ: &str = concat!("SELECT ", entry_columns!(), " FROM bookstore.entry WHERE seq = $1");
    let Ok(version) = i64::try_from(version.0) else { return Ok(None) };
    let found = all(&session.query(OF_SEQ, &[&version]).await?)?.into_iter().next();
    Ok(found.filter(|entry| entry.book_text().is_some_and(|(of, _)| of == book)).and_then(|entry| entry.text))
}

/// The texts that these entries give books.
pub(super) async fn texts_of(
    session: &mut Session,
    versions: &[Seq],
) -> Result<HashMap<(BookId, Seq), Text>, StoreError> {
    const OF_SEQS: &str = concat!("SELECT ", entry_columns!(), " FROM bookstore.entry WHERE seq = ANY($1)");
    let versions: Vec<i64> = versions.iter().map(|version| to_i64(version.0)).collect();
    let entries = all(&session.query(OF_SEQS, &[&versions]).await?)?;
    let text = |entry: &Entry| entry.book_text().map(|(book, text)| ((book, entry.seq), text.clone()));
    Ok(entries.iter().filter_map(text).collect())
}

/// The entries under each of these keys up to `head`, oldest first; of an order also those that concern it under another key.
pub(super) async fn entries_of(
    session: &mut Session,
    keys: &[OrderId],
    head: Seq,
) -> Result<HashMap<OrderId, Vec<Entry>>, StoreError> {
    const OF_KEYS: &str = concat!(
        "SELECT ",
        entry_columns!(),
        ", false FROM bookstore.entry WHERE key = ANY($1) AND seq <= $2
        UNION ALL SELECT ",
        entry_columns!(),
        ", true FROM bookstore.entry WHERE order_id = ANY($1) AND seq <= $2"
    );
    let mut of_keys = HashMap::<OrderId, Vec<Entry>>::new();
    if keys.is_empty() {
        return Ok(of_keys);
    }
    let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
    let rows = session.query(OF_KEYS, &[&ids, &to_i64(head.0)]).await?;
    let mut others = Vec::new();
    for row in &rows {
        let (entry, is_other) = (entry(row)?, row.get::<_, bool>(6));
        match entry.key.filter(|_| !is_other) {
            Some(key) => of_keys.entry(key).or_default().push(entry),
            None => others.push(entry),
        }
    }
    of_keys.values_mut().for_each(|entries| entries.sort_unstable_by_key(|entry| entry.seq));
    for other in others {
        let Some(order) = other.order_id().and_then(|order| of_keys.get_mut(&order)) else { continue };
        // A key that is no order's may be what another entry calls its order all the same.
        if order.first().is_some_and(|first| matches!(first.kind, Kind::Sale | Kind::Hold)) {
            let at = order.partition_point(|entry| entry.seq < other.seq);
            order.insert(at, other);
        }
    }
    Ok(of_keys)
}

/// Orders as of `head`.
async fn orders(session: &mut Session, ids: &[OrderId], head: Seq) -> Result<HashMap<OrderId, Order>, StoreError> {
    let entries = entries_of(session, ids, head).await?;
    Ok(entries.into_iter().filter_map(|(id, entries)| Some((id, Order::of(&entries)?))).collect())
}

/// An order as of `head`.
pub(super) async fn order(session: &mut Session, id: OrderId, head: Seq) -> Result<Option<Order>, StoreError> {
    Ok(orders(session, &[id], head).await?.remove(&id))
}

/// How many orders are looked at together: few at first, as many pages are short.
const SCAN_CHUNKS: [i64; 2] = [128, 1024];

/// Looks for orders that began not after `head`, as of `head`.
pub(super) async fn find_orders(session: &mut Session, scan: &OrderScan, head: Seq) -> Result<FoundOrders, StoreError> {
    const BEGUN: &str = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM bookstore.entry WHERE kind IN (1, 6) AND seq <= $1 ORDER BY seq DESC LIMIT $2"
    );
    const BEGUN_WITH: &str = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM bookstore.entry
        WHERE kind IN (1, 6) AND seq <= $1 AND reference = $3 ORDER BY seq DESC LIMIT $2"
    );
    let mut last = scan.before().map_or(head, |before| head.min(Seq(before.0.saturating_sub(1))));
    let (mut looking, mut chunk) = (scan.look(), SCAN_CHUNKS[0]);
    loop {
        let rows = match scan.reference().map(Reference::as_str) {
            None => session.query(BEGUN, &[&to_i64(last.0), &chunk]).await?,
            Some(reference) => session.query(BEGUN_WITH, &[&to_i64(last.0), &chunk, &reference]).await?,
        };
        let begun: Vec<Order> = all(&rows)?.iter().filter_map(Order::begun).collect();
        let Some(oldest) = begun.last().map(|oldest| oldest.seq) else { return Ok(looking.found()) };
        last = Seq(oldest.0 - 1);
        let ids: Vec<_> = begun.iter().filter(|begun| scan.admits(begun)).map(|begun| begun.id).collect();
        let mut contacts = match scan.needs_contacts() {
            true => contacts::of(session, &ids).await?,
            false => HashMap::new(),
        };
        let mut orders = orders(session, &ids, head).await?;
        for begun in begun {
            let contact = |id| Ok::<_, StoreError>(contacts.remove(&id).flatten());
            if !looking.take(begun, |id| Ok(orders.remove(&id)), contact)? {
                return Ok(looking.found());
            }
        }
        chunk = SCAN_CHUNKS[1];
    }
}

/// The levels of the stock snapshot.
pub(super) async fn read_levels(session: &mut Session) -> Result<Levels, StoreError> {
    let mut levels = Levels::default();
    let rows = session.stream("SELECT row, levels FROM bookstore.level ORDER BY row DESC", &[]).await?;
    pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        level_rows::decode_row(to_u64(row.get(0)), row.get(1), &mut levels)?;
    }
    Ok(levels)
}

/// Calls `take` with each entry after `after` and up to `head`.
///
/// # Errors
/// Whatever `take` fails with; [`StoreError::Unusable`] also if an entry is missing.
pub(super) async fn replay<E: From<StoreError>>(
    session: &mut Session,
    after: Seq,
    head: Seq,
    mut take: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    const AFTER: &str =
        concat!("SELECT ", entry_columns!(), " FROM bookstore.entry WHERE seq > $1 AND seq <= $2 ORDER BY seq");
    let rows = session.stream(AFTER, &[&to_i64(after.0), &to_i64(head.0)]).await.map_err(StoreError::from)?;
    pin_mut!(rows);
    let mut next = after.next();
    while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
        let entry = entry(&row)?;
        if entry.seq != next {
            break;
        }
        next = next.next();
        take(entry)?;
    }
    if next != head.next() {
        return Err(StoreError::Unusable(format!("the ledger is damaged: entry {next} is missing")).into());
    }
    Ok(())
}

/// The levels as of `head`: the snapshot, and on top of it the entries since.
pub(super) async fn levels_at(
    session: &mut Session,
    applied: Seq,
    head: Seq,
    mut touch: impl FnMut(&Entry),
) -> Result<Levels, StoreError> {
    if applied > head {
        return Err(StoreError::Unusable("the ledger is damaged: its stock is newer than its entries".into()));
    }
    let mut levels = read_levels(session).await?;
    replay(session, applied, head, |entry| {
        decide::apply(&mut levels, &entry);
        touch(&entry);
        Ok::<_, StoreError>(())
    })
    .await?;
    Ok(levels)
}

/// Keeps bytes under a name.
pub(super) async fn keep(session: &mut Session, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
    let sql = "INSERT INTO bookstore.kept (name, bytes) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes";
    session.query(sql, &[&name, &bytes]).await?;
    Ok(())
}

/// What was kept under a name.
pub(super) async fn kept(session: &mut Session, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = session.query("SELECT bytes FROM bookstore.kept WHERE name = $1", &[&name]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

//! The reading half: a few connections of its own, beside the writer.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params_from_iter, types::Value};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Semaphore;

use super::{
    SqliteOptions, StoreError,
    rows::{self, to_i64, to_u64},
    schema,
    texts::Texts,
};
use crate::{
    book::{BookId, Text, Topic},
    error::{Error, Result},
    ledger::{Entry, LedgerId, Seq},
    order::{Order, OrderId},
    page::{CheckedQuery, Position, Sort, SortKey},
    store::{Found, LedgerReader},
    writer::Execution,
};

/// The reading half of a ledger in a SQLite file.
pub struct SqliteReader {
    id: LedgerId,
    pool: Pool,
    texts: Texts,
    /// The topics as of the highest book id: books are only ever added.
    topics: Arc<Mutex<(i64, Vec<Topic>)>>,
}

impl SqliteReader {
    pub(super) fn open(path: &Path, id: LedgerId, options: SqliteOptions) -> Result<Self, StoreError> {
        Ok(Self {
            id,
            pool: Pool::open(path, options)?,
            texts: Texts::new(options.cached_texts),
            topics: Arc::default(),
        })
    }
}

#[async_trait]
impl LedgerReader for SqliteReader {
    fn id(&self) -> LedgerId {
        self.id
    }

    async fn find_books(&self, query: CheckedQuery) -> Result<Vec<Found>> {
        self.pool.read(move |connection| find_books(connection, &query)).await
    }

    async fn text(&self, book: BookId) -> Result<Option<Text>> {
        let kept = self.texts.get(book);
        if kept.is_some() {
            return Ok(kept);
        }
        let text = self.pool.read(move |connection| text(connection, book)).await?;
        if let Some(text) = &text {
            self.texts.put(book, text.clone());
        }
        Ok(text)
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        let cache = Arc::clone(&self.topics);
        self.pool.read(move |connection| topics(connection, &cache)).await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.pool.read(move |connection| entries(connection, after, head, limit)).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.pool.read(move |connection| rows::order(connection, id, head)).await
    }

    async fn orders(&self, before: Option<Seq>, head: Seq, limit: usize) -> Result<Vec<Order>> {
        self.pool.read(move |connection| rows::orders(connection, before, head, limit)).await
    }
}

/// Connections that only read, and the threads to use them on.
pub(super) struct Pool {
    connections: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    execution: Execution,
}

impl Pool {
    pub(super) fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let readers = options.readers.max(1);
        let connections = (0..readers).map(|_| schema::open_read_only(path)).collect::<Result<_, _>>()?;
        Ok(Self {
            connections: Arc::new(Mutex::new(connections)),
            free: Arc::new(Semaphore::new(readers)),
            waiting: AtomicUsize::new(0),
            waiting_max: options.waiting_reads_max,
            execution: options.execution,
        })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let _waiting = Waiting::enter(&self.waiting, self.waiting_max)?;
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.map_err(|_| Error::unavailable("shutting down"))?;
        let lent = Lent::take(Arc::clone(&self.connections));
        let work = move || {
            // Locals are dropped in reverse: the connection is back before the permit is,
            // also if the caller has gone or the read panics.
            let _permit = permit;
            let lent = lent;
            read(lent.connection())
        };
        match self.execution {
            Execution::Task => Ok(work()?),
            Execution::Threads => match tokio::task::spawn_blocking(work).await {
                Ok(result) => Ok(result?),
                Err(_) => Err(Error::unavailable("a read did not finish")),
            },
        }
    }
}

/// A connection that goes back to its pool when dropped.
struct Lent {
    connection: Option<Connection>,
    pool: Arc<Mutex<Vec<Connection>>>,
}

impl Lent {
    fn take(pool: Arc<Mutex<Vec<Connection>>>) -> Self {
        let connection = pool.lock().expect("nobody panics with it").pop();
        Self { connection, pool }
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("there are as many permits as connections")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.lock().expect("nobody panics with it").extend(self.connection.take());
    }
}

/// One more that waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Result<Self> {
        let guard = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= max {
            return Err(Error::overloaded("too many reads wait for the store"));
        }
        Ok(guard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const TEXT: &str = "title, author, topic, isbn, year, subjects";

/// A book's text from the columns of [`TEXT`], the first of which is `at`.
fn text_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Text> {
    let letters = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let names = (letters(at)?, letters(at + 1)?, letters(at + 2)?);
    let isbn = row.get_ref(at + 3)?.as_str_or_null()?;
    let subjects: Vec<String> = serde_json::from_str(letters(at + 5)?).unwrap_or_default();
    Ok(Text::new(names, isbn, row.get(at + 4)?, subjects.iter().map(String::as_str)))
}

fn text(connection: &Connection, book: BookId) -> Result<Option<Text>, StoreError> {
    let Ok(id) = i64::try_from(book.0) else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!("SELECT {TEXT} FROM book WHERE id = ?1"))?;
    Ok(statement.query_row([id], |row| text_of(row, 0)).optional()?)
}

/// With `min(id)`, SQLite takes the bare column from the row that has it.
const SPELLED_AS_FIRST_LISTED: &str = "SELECT topic, count(*), min(id) FROM book GROUP BY topic ORDER BY topic";

fn topics(connection: &Connection, cache: &Mutex<(i64, Vec<Topic>)>) -> Result<Vec<Topic>, StoreError> {
    let last: Option<i64> = connection.query_row("SELECT max(id) FROM book", [], |row| row.get(0))?;
    let last = last.unwrap_or_default();
    {
        let cached = cache.lock().expect("nobody panics with it");
        if cached.0 == last {
            return Ok(cached.1.clone());
        }
    }
    let mut statement = connection.prepare_cached(SPELLED_AS_FIRST_LISTED)?;
    let rows = statement.query_map([], |row| Ok(Topic { topic: row.get(0)?, books: to_u64(row.get(1)?) }))?;
    let topics: Vec<Topic> = rows.collect::<Result<_, _>>()?;
    *cache.lock().expect("nobody panics with it") = (last, topics.clone());
    Ok(topics)
}

fn entries(connection: &Connection, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let sql = rows::select_entries("WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let range = (to_i64(after.0), to_i64(head.0), to_i64(limit as u64));
    let rows = statement.query_map(range, rows::entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn find_books(connection: &Connection, query: &CheckedQuery) -> Result<Vec<Found>, StoreError> {
    if query.words.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let (sql, values) = search_sql(query);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values.iter().map(|value| value as &dyn ToSql)), |row| {
        let id = BookId(to_u64(row.get(0)?));
        let key = match row.get(1)? {
            Value::Real(rank) => SortKey::Real(rank),
            Value::Text(title) => SortKey::Text(title),
            Value::Integer(number) => SortKey::Integer(number),
            _ => SortKey::Integer(0),
        };
        Ok(Found { position: Position { key, id }, text: text_of(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "book.title, book.author, book.topic, book.isbn, book.year, book.subjects";

/// One statement for every search: the matches with their sort key, those after the last page, sorted.
fn search_sql(query: &CheckedQuery) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut conditions = Vec::new();
    if let Some(words) = &query.words {
        conditions.push(format!("book_fts MATCH {}", bind(Value::Text(match_expression(words)))));
    }
    if let Some(topic) = &query.topic {
        conditions.push(format!("book.topic = {}", bind(Value::Text(topic.clone()))));
    }
    let after = query.after.as_ref().map(|position| (bind(key_value(&position.key)), bind(id_value(position.id))));
    let limit = bind(Value::Integer(to_i64(query.size as u64 + 1)));
    let from = if query.words.is_some() { "book_fts JOIN book ON book.id = book_fts.rowid" } else { "book" };
    let sql = match (query.sort, &query.words) {
        (Sort::Relevance, Some(_)) => ranked_sql(from, &conditions, after, &limit),
        // By id alone, so that the primary key serves.
        (Sort::Relevance, None) => {
            conditions.extend(after.map(|(key, id)| format!("0 >= {key} AND book.id > {id}")));
            sorted_sql("0", from, &conditions, "book.id", &limit)
        }
        (Sort::Title, _) => {
            let title = |id: &str| format!("(SELECT title FROM book WHERE id = {id})");
            keyed_sql("book.title", from, conditions, after.map(|(_, id)| (title(&id), id)), &limit)
        }
        (Sort::Price, _) => keyed_sql("book.price_cents", from, conditions, after, &limit),
        (Sort::Newest, _) => keyed_sql("ifnull(-book.year, 10000)", from, conditions, after, &limit),
    };
    (sql, values)
}

fn keyed_sql(
    key: &str,
    from: &str,
    mut conditions: Vec<String>,
    after: Option<(String, String)>,
    limit: &str,
) -> String {
    conditions.extend(after.map(|(last, id)| format!("({key}, book.id) > ({last}, {id})")));
    sorted_sql(key, from, &conditions, &format!("{key}, book.id"), limit)
}

fn sorted_sql(key: &str, from: &str, conditions: &[String], order: &str, limit: &str) -> String {
    let filter = filter(conditions);
    format!("SELECT book.id, {key}, {COLUMNS} FROM {from} {filter} ORDER BY {order} LIMIT {limit}")
}

/// The rank is no column to compare with before it has been computed, and only one page of matches needs its texts.
fn ranked_sql(from: &str, conditions: &[String], after: Option<(String, String)>, limit: &str) -> String {
    let filter = filter(conditions);
    let after = after.map_or_else(String::new, |(rank, id)| format!("WHERE (rank, id) > ({rank}, {id})"));
    // Weights so far apart that a word in a title outranks it in an author, and that one in a subject, whatever their lengths.
    let matches = format!("SELECT book.id AS id, bm25(book_fts, 1e10, 1e5, 1.0) AS rank FROM {from} {filter}");
    let page = format!("SELECT id, rank FROM ({matches}) {after} ORDER BY rank, id LIMIT {limit}");
    format!(
        "SELECT page.id, page.rank, {COLUMNS} FROM ({page}) AS page JOIN book ON book.id = page.id \
         ORDER BY page.rank, page.id"
    )
}

fn filter(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) }
}

fn key_value(key: &SortKey) -> Value {
    match key {
        SortKey::Integer(number) => Value::Integer(*number),
        SortKey::Real(rank) => Value::Real(*rank),
        SortKey::Text(title) => Value::Text(title.clone()),
    }
}

fn id_value(id: BookId) -> Value {
    Value::Integer(i64::try_from(id.0).unwrap_or(i64::MAX))
}

/// Every word quoted, so that nothing in it is an operator; `*` makes it a prefix.
fn match_expression(words: &[String]) -> String {
    let quoted = words.iter().map(|word| format!("\"{}\"*", word.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" ")
}

//! The search of a SQLite store: the full-text index of its file (FTS5), with one statement for each search.
//!
//! It sets diacritics aside, as the tokenizer `unicode61` does. `schema.rs` makes the index; the writing half adds each new book
//! in the transaction that adds it to the ledger.

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, params, params_from_iter, types::Value};
use std::sync::Arc;

#[cfg(feature = "search")]
use crate::{book::Text, history::LedgerIdentity, search::BookList, store::LedgerReader as _};

use super::{
    StoreError,
    reader::{SqliteReader, text_from},
    rows::{to_i64, to_u64},
};
use crate::{
    book::{BookText, Topic},
    error::Result,
    id::BookId,
    page::{CheckedQuery, Position, Sort, SortKey},
    search::{BookSearch, Found, FoundPage},
    topics::{CheckedTopicQuery, TopicList, TopicPage},
};

#[async_trait]
impl BookSearch for SqliteReader {
    async fn find(&self, query: CheckedQuery, _: BookId) -> Result<FoundPage> {
        let place = if query.words.is_some() { Some(self.word_searches.enter().await?) } else { None };
        let found = self.pool.read(move |connection| {
            let _place = place;
            find(connection, &query, None)
        });
        Ok(found.await?.into())
    }

    async fn topics(&self, query: CheckedTopicQuery) -> Result<TopicPage> {
        // One at a time: after a new book the first caller counts, and those who wait find it done.
        let mut topics = Arc::clone(&self.topics).lock_owned().await;
        self.pool
            .read(move |connection| {
                topics.bring_up_to_date(connection)?;
                Ok(topics.list.page(&query))
            })
            .await
    }
}

#[cfg(feature = "search")]
#[async_trait]
impl BookList for SqliteReader {
    fn ledger(&self) -> &LedgerIdentity {
        self.identity()
    }

    async fn text_of(&self, book: BookId) -> Result<Option<Text>> {
        self.text(book).await
    }

    async fn texts_after(&self, after: BookId, last: BookId, limit: usize) -> Result<Vec<(BookId, Text)>> {
        self.pool.read(move |connection| texts_after(connection, after, last, limit)).await
    }

    async fn sorted(&self, books: Vec<BookId>, query: CheckedQuery) -> Result<Vec<Found>> {
        self.pool.read(move |connection| find(connection, &query, Some(&books))).await
    }
}

#[cfg(feature = "search")]
fn texts_after(
    connection: &Connection,
    after: BookId,
    last: BookId,
    limit: usize,
) -> Result<Vec<(BookId, Text)>, StoreError> {
    let sql = format!("SELECT id, {COLUMNS} FROM book WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let range = (to_i64(after.0), to_i64(last.0), to_i64(limit as u64));
    let rows = statement.query_map(range, |row| Ok((BookId(to_u64(row.get(0)?)), text_from(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Adds a new book to the full-text index.
///
/// # Errors
/// The transaction cannot be committed then.
pub(super) fn index_book(connection: &Connection, id: BookId, text: &BookText) -> Result<(), StoreError> {
    let insert = "INSERT INTO book_fts (rowid, title, author, subjects) VALUES (?1,?2,?3,?4)";
    let mut index = connection.prepare_cached(insert)?;
    index.execute(params![to_i64(id.0), text.title, text.author, text.subjects.join(" \n ")])?;
    Ok(())
}

/// With `min(id)`, SQLite takes the bare column `topic` from the row that has the smallest id.
const SPELLED_AS_FIRST_LISTED: &str = "SELECT topic, count(*), min(id) FROM book GROUP BY topic ORDER BY topic";

/// The topics as of a book. Books are only ever added, so they hold until there is a higher book id.
#[derive(Debug, Default)]
pub(super) struct Topics {
    last_book: i64,
    list: TopicList,
}

impl Topics {
    fn bring_up_to_date(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let last: Option<i64> = connection.query_row("SELECT max(id) FROM book", [], |row| row.get(0))?;
        let last_book = last.unwrap_or_default();
        if self.last_book != last_book {
            let mut statement = connection.prepare_cached(SPELLED_AS_FIRST_LISTED)?;
            let rows = statement.query_map([], |row| Ok(Topic { topic: row.get(0)?, books: to_u64(row.get(1)?) }))?;
            *self = Self { last_book, list: TopicList::new(rows.collect::<Result<_, _>>()?) };
        }
        Ok(())
    }
}

/// A page of the books that match, or of those among these.
fn find(connection: &Connection, query: &CheckedQuery, among: Option<&[BookId]>) -> Result<Vec<Found>, StoreError> {
    if query.words.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let (sql, values) = search_sql(query, among);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values.iter().map(|value| value as &dyn ToSql)), |row| {
        let id = BookId(to_u64(row.get(0)?));
        let key = match row.get(1)? {
            Value::Real(rank) => SortKey::Real(rank),
            Value::Text(title) => SortKey::Text(title),
            Value::Integer(number) => SortKey::Integer(number),
            _ => SortKey::Integer(0),
        };
        Ok(Found { position: Position { key, id }, text: text_from(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "book.title, book.author, book.topic, book.isbn, book.year, book.subjects";

/// The statement for a search, and what to bind: the matches after the page before, with their sort keys, in order.
fn search_sql(query: &CheckedQuery, among: Option<&[BookId]>) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut conditions = Vec::new();
    if let Some(words) = &query.words {
        conditions.push(format!("book_fts MATCH {}", bind(Value::Text(match_expression(words)))));
    }
    if let Some(books) = among {
        let ids = serde_json::to_string(books).expect("numbers are JSON");
        conditions.push(format!("book.id IN (SELECT value FROM json_each({}))", bind(Value::Text(ids))));
    }
    if let Some(topic) = &query.topic {
        conditions.push(format!("book.topic = {}", bind(Value::Text(topic.clone()))));
    }
    let after = query.after.as_ref().map(|position| (bind(key_value(&position.key)), bind(id_value(position.id))));
    let limit = bind(Value::Integer(to_i64(query.size as u64 + 1)));
    let from = if query.words.is_some() { "book_fts JOIN book ON book.id = book_fts.rowid" } else { "book" };
    let sql = match (query.sort, &query.words) {
        (Sort::Relevance, Some(_)) => ranked_sql(from, &conditions, after, &limit),
        // By id alone, so that the primary key serves as the order.
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

/// The rank can be compared only after it has been computed, so it is in a statement of its own. The texts are joined last: only
/// one page of the matches needs them.
fn ranked_sql(from: &str, conditions: &[String], after: Option<(String, String)>, limit: &str) -> String {
    let filter = filter(conditions);
    let after = after.map_or_else(String::new, |(rank, id)| format!("WHERE (rank, id) > ({rank}, {id})"));
    // The weights are so far apart that a word in a title outranks one in an author, and that one a word in a subject, whatever
    // the lengths of the fields.
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

/// The words as FTS5 wants them: each is quoted, so that nothing in it is an operator, and `*` makes it a prefix.
fn match_expression(words: &[String]) -> String {
    let quoted = words.iter().map(|word| format!("\"{}\"*", word.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" ")
}

//! The search of a SQLite store: topics and orders by the indexes of its file, and words by reading every text, see
//! [`reference`](crate::search::reference). With an index beside the store, words do not come here.

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, params_from_iter, types::Value};
use std::sync::Arc;

#[cfg(feature = "search")]
use crate::{book::Text, history::LedgerIdentity, search::BookList, store::LedgerReader as _};

use super::{
    StoreError,
    reader::{SqliteReader, text_from},
    rows::{to_i64, to_u64},
};
use crate::{
    book::Topic,
    error::Result,
    id::BookId,
    page::{CheckedQuery, Position, Sort, SortKey},
    search::{BookSearch, Found, FoundPage, reference::rank},
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
    if let Some(words) = &query.words {
        return find_words(connection, words, query);
    }
    let (sql, values) = search_sql(query, among);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values.iter().map(|value| value as &dyn ToSql)), |row| {
        let id = BookId(to_u64(row.get(0)?));
        let key = match row.get(1)? {
            Value::Text(title) => SortKey::Text(title),
            Value::Integer(number) => SortKey::Integer(number),
            _ => SortKey::Integer(0),
        };
        Ok(Found { position: Position { key, id }, text: text_from(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The same for books that match words: it reads every text of the topic, or of all.
fn find_words(connection: &Connection, words: &[String], query: &CheckedQuery) -> Result<Vec<Found>, StoreError> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut matches = ranks(connection, words, query.topic.as_deref())?;
    if query.sort != Sort::Relevance {
        let books: Vec<BookId> = matches.iter().map(|(_, id)| *id).collect();
        return find(connection, &query.clone().of_all_books(), Some(&books));
    }
    matches.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if let Some(Position { key: SortKey::Real(rank), id }) = query.after {
        matches.retain(|(other, book)| other.total_cmp(&rank).then(book.cmp(&id)).is_gt());
    }
    let mut text = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM book WHERE id = ?1"))?;
    let page = matches.into_iter().take(query.size + 1).map(|(rank, id)| {
        let text = text.query_row([to_i64(id.0)], |row| text_from(row, 0))?;
        Ok(Found { position: Position { key: SortKey::Real(rank), id }, text })
    });
    page.collect()
}

/// The ranks of all books that match.
fn ranks(connection: &Connection, words: &[String], topic: Option<&str>) -> Result<Vec<(f64, BookId)>, StoreError> {
    let sql = format!("SELECT id, {COLUMNS} FROM book WHERE ?1 IS NULL OR topic = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([topic])?;
    let mut matches = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(rank) = rank(words, &text_from(row, 1)?) {
            matches.push((rank, BookId(to_u64(row.get(0)?))));
        }
    }
    Ok(matches)
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
    if let Some(books) = among {
        let ids = serde_json::to_string(books).expect("numbers are JSON");
        conditions.push(format!("book.id IN (SELECT value FROM json_each({}))", bind(Value::Text(ids))));
    }
    if let Some(topic) = &query.topic {
        conditions.push(format!("book.topic = {}", bind(Value::Text(topic.clone()))));
    }
    let after = query.after.as_ref().map(|position| (bind(key_value(&position.key)), bind(id_value(position.id))));
    let limit = bind(Value::Integer(to_i64(query.size as u64 + 1)));
    let sql = match query.sort {
        // By id alone, so that the primary key serves as the order.
        Sort::Relevance => {
            conditions.extend(after.map(|(key, id)| format!("0 >= {key} AND book.id > {id}")));
            sorted_sql("0", &conditions, "book.id", &limit)
        }
        Sort::Title => {
            let title = |id: &str| format!("(SELECT title FROM book WHERE id = {id})");
            keyed_sql("book.title", conditions, after.map(|(_, id)| (title(&id), id)), &limit)
        }
        Sort::Price => keyed_sql("book.price_cents", conditions, after, &limit),
        Sort::Newest => keyed_sql("ifnull(-book.year, 10000)", conditions, after, &limit),
    };
    (sql, values)
}

fn keyed_sql(key: &str, mut conditions: Vec<String>, after: Option<(String, String)>, limit: &str) -> String {
    conditions.extend(after.map(|(last, id)| format!("({key}, book.id) > ({last}, {id})")));
    sorted_sql(key, &conditions, &format!("{key}, book.id"), limit)
}

fn sorted_sql(key: &str, conditions: &[String], order: &str, limit: &str) -> String {
    let filter = filter(conditions);
    format!("SELECT book.id, {key}, {COLUMNS} FROM book {filter} ORDER BY {order} LIMIT {limit}")
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

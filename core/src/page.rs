//! Reading long lists a page at a time.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    book::{Book, BookId},
    error::{Error, Result},
    ledger::Seq,
    order::Order,
};

/// How books are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Best match first if there are words (a title counts more than an author, an author more than a subject), else as listed.
    #[default]
    Relevance,
    /// By title.
    Title,
    /// Cheapest first.
    Price,
    /// Newest first, by year; books without a year last.
    Newest,
}

/// What to search for. Without words and topic: every book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Words that must all begin some word of the title, author or subjects; case and diacritics do not matter.
    #[serde(default, rename = "q", skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The topic, case aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The order of the books.
    #[serde(default)]
    pub sort: Sort,
    /// Books a page, 1 to [`Query::PAGE_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Where the page before ended, as it said itself. Opaque, and only good for the same query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl Query {
    /// Books or orders a page, unless asked otherwise.
    pub const PAGE_DEFAULT: u32 = 20;
    /// The most books or orders a page.
    pub const PAGE_MAX: u32 = 100;
    /// The longest search text or topic, in characters.
    pub const TEXT_MAX: usize = 200;

    /// A search for words.
    pub fn words(words: impl Into<String>) -> Self {
        Self { words: Some(words.into()), ..Self::default() }
    }

    /// A search for a topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..Self::default() }
    }

    /// Checks every field and takes the page token apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first bad field.
    pub fn check(&self) -> Result<CheckedQuery> {
        for (field, text) in [("q", &self.words), ("topic", &self.topic)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > Self::TEXT_MAX) {
                return Err(Error::invalid(field, format!("must be at most {} characters", Self::TEXT_MAX)));
            }
        }
        let words = self.words.as_deref().map(str::trim).filter(|words| !words.is_empty());
        let topic = self.topic.as_deref().map(str::trim).filter(|topic| !topic.is_empty());
        let (words, topic) = (words.map(terms), topic.map(str::to_owned));
        let about = format!("{words:?} {topic:?} {:?}", self.sort);
        let after = self.page_token.as_deref().map(|token| read_token(token, &about)).transpose()?;
        Ok(CheckedQuery { words, topic, sort: self.sort, size: page_size(self.page_size)?, after, about })
    }
}

/// A search for words.
impl From<&str> for Query {
    fn from(words: &str) -> Self {
        Self::words(words)
    }
}

/// A search for words.
impl From<String> for Query {
    fn from(words: String) -> Self {
        Self::words(words)
    }
}

/// The words of a text as the search sees them: runs of letters and digits, in lower case.
#[must_use]
pub fn terms(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// A [`Query`] within its limits, as stores get it.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedQuery {
    /// The words, see [`terms`]; `Some` and empty matches nothing.
    pub words: Option<Vec<String>>,
    /// The topic.
    pub topic: Option<String>,
    /// The order of the books.
    pub sort: Sort,
    /// Books a page.
    pub size: usize,
    /// The last book of the page before. Sorted by title, only its id counts: titles may be long, and never change.
    pub after: Option<Position>,
    about: String,
}

impl CheckedQuery {
    /// The token that leads to the books after `last`: short enough for a URI, so a title is left to be looked up by the id.
    #[must_use]
    pub fn token(&self, last: &Position) -> String {
        match last.key {
            SortKey::Text(_) => write_token(&Position { key: SortKey::Integer(0), id: last.id }, &self.about),
            SortKey::Integer(_) | SortKey::Real(_) => write_token(last, &self.about),
        }
    }
}

/// A book's place in a sorted list: its sort key, then its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The value that the list is sorted by.
    pub key: SortKey,
    /// Breaks ties, so that no book is shown twice or left out.
    pub id: BookId,
}

/// A value that books are sorted by, ascending.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    /// Price, year (negated) or 0 where the id alone decides.
    Integer(i64),
    /// The search's rank, lower is better.
    Real(f64),
    /// The title.
    Text(String),
}

/// A page of books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookPage {
    /// The books, in the asked order.
    pub books: Vec<Book>,
    /// Leads to the next page, if there is one.
    pub next_page_token: Option<String>,
}

/// Which page of the orders, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderQuery {
    /// Orders a page, 1 to [`Query::PAGE_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Where the page before ended, as it said itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

const ORDERS: &str = "orders";

impl OrderQuery {
    /// Checks the fields: how many orders, older than which (exclusive).
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first bad field.
    pub fn check(&self) -> Result<(usize, Option<Seq>)> {
        let before = self.page_token.as_deref().map(|token| read_token(token, ORDERS)).transpose()?;
        Ok((page_size(self.page_size)?, before))
    }
}

/// A page of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderPage {
    /// The orders, newest first.
    pub orders: Vec<Order>,
    /// Leads to the next page, if there is one.
    pub next_page_token: Option<String>,
}

impl OrderPage {
    /// A page of at most `size` out of `size + 1` orders that were read to see whether there are more.
    #[must_use]
    pub fn cut(mut orders: Vec<Order>, size: usize) -> Self {
        let more = orders.len() > size;
        orders.truncate(size);
        let last = orders.last().filter(|_| more);
        let next_page_token = last.map(|order| write_token(&order.seq, ORDERS));
        Self { orders, next_page_token }
    }
}

fn page_size(asked: Option<u32>) -> Result<usize> {
    let size = asked.unwrap_or(Query::PAGE_DEFAULT);
    if !(1..=Query::PAGE_MAX).contains(&size) {
        return Err(Error::invalid("page_size", format!("must be from 1 to {}", Query::PAGE_MAX)));
    }
    Ok(size as usize)
}

/// FNV-1a: ties a token to its query; not a secret, only a guard against mix-ups.
fn fingerprint(about: &str) -> u32 {
    about.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn write_token<T: Serialize>(place: &T, about: &str) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([fingerprint(about), place]).to_string())
}

fn read_token<T: DeserializeOwned>(token: &str, about: &str) -> Result<T> {
    let bad = || Error::invalid("page_token", "is not one that this list gave for this query");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let (mark, place): (u32, T) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if mark == fingerprint(about) { Ok(place) } else { Err(bad()) }
}

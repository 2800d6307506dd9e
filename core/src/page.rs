//! Reading long lists a page at a time: queries, their limits, and page tokens.
//!
//! A page says where it ends by an opaque token, which leads to the next page. The token holds the position of the last item
//! and a fingerprint of the query, so nothing is remembered between pages, and items that are added meanwhile do not shift
//! the next page.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    book::{Book, normal},
    error::{Error, Result},
    id::{BookId, Seq},
    order::Order,
};

/// The most bytes of a page's JSON, whatever texts are on it: 1 MiB. A page that would be longer ends early, with a token that
/// leads on. It has one item at least; none is longer than 80 KiB.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of [`PAGE_BYTES_MAX`] that are kept for what is around the items: names of fields, numbers, and the page token.
const AROUND_ITEMS: usize = 16 << 10;

/// How many of these items, given the bytes of JSON of each, are on one page: one at least, if there is one.
pub(crate) fn fitting(items: impl Iterator<Item = usize>) -> usize {
    let mut bytes = AROUND_ITEMS;
    let fits = |(at, item): &(usize, usize)| {
        bytes = bytes.saturating_add(*item).saturating_add(1);
        *at == 0 || bytes <= PAGE_BYTES_MAX
    };
    items.enumerate().take_while(fits).count()
}

/// How books are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The best match first if there are words (a title counts more than an author, an author more than a subject). Without
    /// words, in the order in which the books were added.
    #[default]
    Relevance,
    /// By title.
    Title,
    /// Cheapest first.
    Price,
    /// Newest first, by year; books without a year last.
    Newest,
}

/// A search for books. Without words and topic it finds every book.
///
/// A string is a query for its words, so `search("ada roe")` works wherever `impl Into<Query>` is taken:
///
/// ```
/// use bookstore_core::{Query, Sort};
///
/// assert_eq!(Query::from("ada roe"), Query::words("ada roe"));
/// let cheap = Query { sort: Sort::Price, page_size: Some(50), ..Query::topic("databases") };
/// assert!(cheap.check().is_ok());
/// assert!(Query { page_size: Some(1000), ..cheap }.check().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Words, each of which must begin some word of the title, the author or a subject. Case does not matter; diacritics may be
    /// set aside. At most [`Query::TEXT_MAX`] characters.
    #[serde(default, rename = "q", skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The topic; upper and lower case are the same in ASCII. At most [`Query::TEXT_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The order of the books.
    #[serde(default)]
    pub sort: Sort,
    /// Books a page, 1 to [`Query::PAGE_MAX`]; [`Query::PAGE_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The [`BookPage::next_page_token`] of the page before. It is opaque, and good for the same query only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl Query {
    /// Books or orders a page, if the query does not say.
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

    /// Checks every field against its limits, splits the words and reads the page token.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits, or `page_token` if the token is not one that this
    ///   query gave.
    pub fn check(&self) -> Result<CheckedQuery> {
        for (field, text) in [("q", &self.words), ("topic", &self.topic)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > Self::TEXT_MAX) {
                return Err(Error::invalid(field, format!("must be at most {} characters", Self::TEXT_MAX)));
            }
        }
        // In their normal form, as the texts of books are stored.
        let normal = |text: &Option<String>| text.as_deref().filter(|text| !text.trim().is_empty()).map(normal);
        let (text, topic) = (normal(&self.words), normal(&self.topic));
        let words = text.as_deref().map(terms);
        let about = format!("{text:?} {topic:?} {:?}", self.sort);
        let after = self.page_token.as_deref().map(|token| read_token(token, &about)).transpose()?;
        Ok(CheckedQuery { text, words, topic, sort: self.sort, size: page_size(self.page_size)?, after, about })
    }
}

impl From<&str> for Query {
    /// A search for words, as [`Query::words`].
    fn from(words: &str) -> Self {
        Self::words(words)
    }
}

impl From<String> for Query {
    /// A search for words, as [`Query::words`].
    fn from(words: String) -> Self {
        Self::words(words)
    }
}

/// The words of a text as the search sees them: runs of letters and digits, in lower case.
///
/// ```
/// assert_eq!(bookstore_core::page::terms("The C++ book, x86-64"), ["the", "c", "book", "x86", "64"]);
/// ```
#[must_use]
pub fn terms(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// A [`Query`] within its limits, as a [`BookSearch`](crate::search::BookSearch) gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedQuery {
    /// What was asked for, as it was written, without spaces around it: a search that understands more than words reads this.
    pub text: Option<String>,
    /// The words, see [`terms`]. `None` matches every book; `Some` without words matches none.
    pub words: Option<Vec<String>>,
    /// The topic in the normal form of a book's topic.
    pub topic: Option<String>,
    /// The order of the books.
    pub sort: Sort,
    /// Books a page.
    pub size: usize,
    /// The last book of the page before. When sorted by title, only its id counts: the token does not hold the title, which may
    /// be long and never changes, so the search looks it up.
    pub after: Option<Position>,
    about: String,
}

impl CheckedQuery {
    /// The same page in the same order, without words and topic.
    #[must_use]
    pub fn of_all_books(self) -> Self {
        Self { text: None, words: None, topic: None, ..self }
    }

    /// The token that leads to the books after `last`. It is short enough for a URI, so it holds no title.
    #[must_use]
    pub fn token(&self, last: &Position) -> String {
        match last.key {
            SortKey::Text(_) => write_token(&Position { key: SortKey::Integer(0), id: last.id }, &self.about),
            SortKey::Integer(_) | SortKey::Real(_) => write_token(last, &self.about),
        }
    }
}

/// A book's position in a sorted list: its sort key, then its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The value that the list is sorted by.
    pub key: SortKey,
    /// The id, which orders books with the same key: so no page repeats a book or leaves one out.
    pub id: BookId,
}

/// A value that books are sorted by, ascending.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    /// Price, year (negated) or 0 where the id alone decides.
    Integer(i64),
    /// The rank of a match, lower is better.
    Real(f64),
    /// The title.
    Text(String),
}

/// A page of books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookPage {
    /// The books, in the order that the query asks for. A page can have fewer than its size although another one follows: its
    /// JSON is at most [`PAGE_BYTES_MAX`] long.
    pub books: Vec<Book>,
    /// Leads to the next page; `None` on the last page.
    pub next_page_token: Option<String>,
    /// Another spelling of the words, if few books were found and it would find more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

/// A page of the orders, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderQuery {
    /// Orders a page, 1 to [`Query::PAGE_MAX`]; [`Query::PAGE_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The [`OrderPage::next_page_token`] of the page before. It is opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

const ORDERS: &str = "orders";

impl OrderQuery {
    /// Checks the fields. Gives the number of orders, and the sale before which they were placed, if any.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits.
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
    /// Leads to the next page; `None` on the last page.
    pub next_page_token: Option<String>,
}

impl OrderPage {
    /// A page of at most `size` orders, whose JSON is at most [`PAGE_BYTES_MAX`] long. `orders` has one more if another page follows: read
    /// `size + 1` of them.
    #[must_use]
    pub fn cut(mut orders: Vec<Order>, size: usize) -> Self {
        let fits = fitting(orders.iter().take(size).map(Order::json_bytes));
        let more = orders.len() > fits;
        orders.truncate(fits);
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

/// Ties a token to its query (FNV-1a, 32 bits). It guards against mistakes, not against forgery.
fn fingerprint(about: &str) -> u32 {
    about.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub(crate) fn write_token<T: Serialize>(place: &T, about: &str) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([fingerprint(about), place]).to_string())
}

pub(crate) fn read_token<T: DeserializeOwned>(token: &str, about: &str) -> Result<T> {
    let bad = || Error::invalid("page_token", "is not one that this list gave for this query");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let (mark, place): (u32, T) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if mark == fingerprint(about) { Ok(place) } else { Err(bad()) }
}

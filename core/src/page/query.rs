//! A search for books: what it asks for, its limits, and the place where a page goes on.

use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, str::FromStr};

use super::{Period, page_size, read_token, write_token};
use crate::{
    book::normal,
    error::{Error, Result},
    id::BookId,
    money::Cents,
};

/// How books are sorted. Books that a sort does not tell apart are in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// The best match first if there are words (a title counts more than an author, an author more than a subject). Without
    /// words, in the order in which the books were added.
    #[default]
    Relevance,
    /// By title, see [`title_key`](crate::search::title_key).
    Title,
    /// Cheapest first.
    Price,
    /// Most expensive first.
    PriceDesc,
    /// Newest first, by year; books without a year last.
    Newest,
    /// Oldest first, by year; books without a year last.
    Oldest,
    /// Those first that were added last.
    NewlyListed,
    /// Those first of which most copies were sold in [`Query::sold`], or ever.
    BestSelling,
}

impl Sort {
    /// Every sort.
    pub const ALL: [Self; 8] = [
        Self::Relevance,
        Self::Title,
        Self::Price,
        Self::PriceDesc,
        Self::Newest,
        Self::Oldest,
        Self::NewlyListed,
        Self::BestSelling,
    ];

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Title => "title",
            Self::Price => "price",
            Self::PriceDesc => "price_desc",
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::NewlyListed => "newly_listed",
            Self::BestSelling => "best_selling",
        }
    }
}

impl FromStr for Sort {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|sort| sort.name()).collect();
            Error::invalid("sort", format!("must be one of {}, not {name:?}", names.join(", ")))
        })
    }
}

/// A property of books whose values can be counted with a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Facet {
    /// The topic.
    Topic,
    /// The author.
    Author,
    /// The year of publication.
    Year,
}

impl Facet {
    /// Every facet.
    pub const ALL: [Self; 3] = [Self::Topic, Self::Author, Self::Year];

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Author => "author",
            Self::Year => "year",
        }
    }
}

impl FromStr for Facet {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|facet| facet.name() == name);
        found.ok_or_else(|| Error::invalid("facets", format!("must be of topic, author and year, not {name:?}")))
    }
}

/// A search for books. Without words and filters it finds every book.
///
/// A string is a query for its words, so `search("ada roe")` works wherever `impl Into<Query>` is taken:
///
/// ```
/// use bookstore_core::{Query, Sort};
///
/// assert_eq!(Query::from("ada roe"), Query::words("ada roe"));
/// let cheap = Query { sort: Sort::Price, in_stock: true, page_size: Some(50), ..Query::topic("databases") };
/// assert!(cheap.check().is_ok());
/// assert!(Query { page_size: Some(1000), ..cheap }.check().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Words, each of which must begin some word of the title, the author or a subject. Case does not matter; diacritics may be
    /// set aside. At most [`Query::TEXT_MAX`] characters.
    #[serde(default, rename = "q", skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Only books of this topic; upper and lower case are the same. At most [`Query::TEXT_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only books of this author, whose name is given as a whole; upper and lower case are the same. At most
    /// [`Query::NAME_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Only books of which a copy can be bought now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_stock: bool,
    /// Only books that cost as much now, or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_min: Option<Cents>,
    /// Only books that cost as much now, or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_max: Option<Cents>,
    /// Only books of this year or later ones. Books without a year are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year_min: Option<i32>,
    /// Only books of this year or earlier ones. Books without a year are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year_max: Option<i32>,
    /// Only books of which copies were sold in this time, and did not come back in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold: Option<Period>,
    /// What to count among all books that are found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facets: Vec<Facet>,
    /// The order of the books.
    #[serde(default)]
    pub sort: Sort,
    /// Books a page, 1 to [`Query::PAGE_MAX`]; [`Query::PAGE_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The [`BookPage::next_page_token`](super::BookPage::next_page_token) of the page before. It is opaque, and good for the same
    /// query only, with any facets.
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
    /// The longest name of an author, in characters.
    pub const NAME_MAX: usize = crate::book::BookText::FIELD_MAX;

    /// A search for words.
    pub fn words(words: impl Into<String>) -> Self {
        Self { words: Some(words.into()), ..Self::default() }
    }

    /// A search for a topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..Self::default() }
    }

    /// A search for an author's books.
    pub fn author(author: impl Into<String>) -> Self {
        Self { author: Some(author.into()), ..Self::default() }
    }

    /// The best sellers of a time.
    #[must_use]
    pub fn best_sellers(of: Period) -> Self {
        Self { sold: Some(of), sort: Sort::BestSelling, ..Self::default() }
    }

    /// Checks every field against its limits, splits the words and reads the page token.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits, or `page_token` if the token is not one that this
    ///   query gave.
    pub fn check(&self) -> Result<CheckedQuery> {
        for (field, text, max) in [
            ("q", &self.words, Self::TEXT_MAX),
            ("topic", &self.topic, Self::TEXT_MAX),
            ("author", &self.author, Self::NAME_MAX),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > max) {
                return Err(Error::invalid(field, format!("must be at most {max} characters")));
            }
        }
        let text = filled(self.words.as_ref());
        let words = text.as_deref().map(terms);
        let filter = self.filter();
        let about = format!("{text:?} {filter:?} {:?}", self.sort);
        let after = self.page_token.as_deref().map(|token| read_token(token, &about)).transpose()?;
        let size = page_size(self.page_size)?;
        Ok(CheckedQuery { text, words, filter, facets: self.facets.clone(), sort: self.sort, size, after, about })
    }

    fn filter(&self) -> Filter {
        let price = (self.price_min.is_some() || self.price_max.is_some())
            .then(|| self.price_min.unwrap_or(Cents::ZERO)..=self.price_max.unwrap_or(Cents::MAX));
        let year = (self.year_min.is_some() || self.year_max.is_some())
            .then(|| self.year_min.unwrap_or(i32::MIN)..=self.year_max.unwrap_or(i32::MAX));
        Filter {
            topic: filled(self.topic.as_ref()),
            author: filled(self.author.as_ref()),
            in_stock: self.in_stock,
            price,
            year,
            sold: self.sold,
        }
    }
}

/// A text in its normal form, as the texts of books are stored; `None` if it is empty.
fn filled(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty()).map(|text| normal(text))
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

/// A [`Query`] within its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedQuery {
    /// What was asked for, as it was written, without spaces around it: a search that understands more than words reads this.
    pub text: Option<String>,
    /// The words, see [`terms`]. `None` matches every book; `Some` without words matches none.
    pub words: Option<Vec<String>>,
    /// Which of the books that match are found.
    pub filter: Filter,
    /// What to count.
    pub facets: Vec<Facet>,
    /// The order of the books.
    pub sort: Sort,
    /// Books a page.
    pub size: usize,
    /// The last book of the page before. When sorted by title, only its id counts: the token holds neither the title, which may be
    /// long, nor its place, which new books change.
    pub after: Option<Position>,
    about: String,
}

impl CheckedQuery {
    /// The token that leads to the books after `last`.
    #[must_use]
    pub fn token(&self, last: Position) -> String {
        let key = if self.sort == Sort::Title { 0 } else { last.key };
        write_token(&Position { key, ..last }, &self.about)
    }
}

/// What a book must be, beside its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its topic, in the normal form of a book's topic.
    pub topic: Option<String>,
    /// Its author, in the same form.
    pub author: Option<String>,
    /// Whether a copy can be bought.
    pub in_stock: bool,
    /// Its price.
    pub price: Option<RangeInclusive<Cents>>,
    /// Its year.
    pub year: Option<RangeInclusive<i32>>,
    /// The time in which copies of it were sold.
    pub sold: Option<Period>,
}

/// A book's position in a sorted list: its sort key, ascending, then its id, which orders books with the same key: so no page repeats
/// a book or leaves one out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// What the list is sorted by, as a number.
    pub key: i64,
    /// The book.
    pub id: BookId,
}

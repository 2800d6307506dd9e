//! Books: what the catalogue says of them, and how many copies there are.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{error::Error, ledger::Seq, money::Cents};

mod text;

pub use text::Text;

/// The number of a book, given by the catalogue when the book is listed: 1, 2, 3, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1))]
#[serde(transparent)]
pub struct BookId(pub u64);

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BookId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|_| Error::malformed(format!("a book id is a whole number, not {text:?}")))
    }
}

/// A book as clients see it; `version` is the ledger entry that last changed its price or stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Book {
    /// Its number in this catalogue.
    pub id: BookId,
    /// What it says of itself; shared, because it never changes.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = BookText))]
    pub text: Text,
    /// What one copy costs.
    pub price_cents: Cents,
    /// Copies that can be bought now.
    pub stock: u32,
    /// The ledger's sequence number of the last change to price or stock: the book's `ETag`.
    pub version: Seq,
}

/// The part of a book that never changes once it is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookText {
    /// 1 to [`BookText::TITLE_MAX`] characters.
    pub title: String,
    /// At most [`BookText::FIELD_MAX`] characters; may be empty.
    #[serde(default)]
    pub author: String,
    /// 1 to [`BookText::FIELD_MAX`] characters.
    pub topic: String,
    /// Ten or thirteen digits (`X` may end the short form), if it has one.
    #[serde(default)]
    pub isbn: Option<String>,
    /// Year of publication.
    #[serde(default)]
    pub year: Option<i32>,
    /// At most [`BookText::SUBJECTS_MAX`], searched with title and author.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
}

impl BookText {
    /// The longest title, in characters.
    pub const TITLE_MAX: usize = 1000;
    /// The longest author, topic or subject, in characters.
    pub const FIELD_MAX: usize = 500;
    /// The most subjects.
    pub const SUBJECTS_MAX: usize = 32;

    /// What makes two listings the same book: the ISBN, or else title, author and year.
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.isbn {
            Some(isbn) => isbn.clone(),
            None => format!("{}\u{1f}{}\u{1f}{}", self.title, self.author, self.year.unwrap_or_default()),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let length = |name: &'static str, text: &str, min: usize, max: usize| {
            let n = text.chars().count();
            if n < min || n > max {
                return Err(Error::invalid(name, format!("must have {min} to {max} characters, not {n}")));
            }
            if text.contains(|c: char| c.is_control()) {
                return Err(Error::invalid(name, "must not contain control characters"));
            }
            Ok(())
        };
        length("title", &self.title, 1, Self::TITLE_MAX)?;
        length("author", &self.author, 0, Self::FIELD_MAX)?;
        length("topic", &self.topic, 1, Self::FIELD_MAX)?;
        if self.subjects.len() > Self::SUBJECTS_MAX {
            return Err(Error::invalid("subjects", format!("must be at most {}", Self::SUBJECTS_MAX)));
        }
        for subject in &self.subjects {
            length("subjects", subject, 1, Self::FIELD_MAX)?;
        }
        if let Some(year) = self.year
            && !(-3000..=9999).contains(&year)
        {
            return Err(Error::invalid("year", "must be from -3000 to 9999"));
        }
        self.isbn.as_deref().map_or(Ok(()), check_isbn)
    }
}

fn check_isbn(isbn: &str) -> Result<(), Error> {
    let (digits, last) = isbn.as_bytes().split_at(isbn.len().saturating_sub(1));
    let shaped = matches!(isbn.len(), 10 | 13)
        && digits.iter().all(u8::is_ascii_digit)
        && (last[0].is_ascii_digit() || (isbn.len() == 10 && last == b"X"));
    if shaped { Ok(()) } else { Err(Error::invalid("isbn", "must be 10 or 13 digits without hyphens")) }
}

/// A book to be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewBook {
    /// What it says of itself.
    #[serde(flatten)]
    pub text: BookText,
    /// What one copy costs.
    pub price_cents: Cents,
    /// Copies to begin with, at most [`NewBook::STOCK_MAX`].
    pub stock: u32,
}

impl NewBook {
    /// The most copies of one book that a shop can hold.
    pub const STOCK_MAX: u32 = 1_000_000_000;

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first bad field.
    pub fn check(&self) -> Result<(), Error> {
        self.text.check()?;
        if self.stock > Self::STOCK_MAX {
            return Err(Error::invalid("stock", format!("must be at most {}", Self::STOCK_MAX)));
        }
        Ok(())
    }
}

/// The answer to listing one book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Added {
    /// The book's number.
    pub id: BookId,
    /// False if the same book was listed before: then nothing was changed.
    pub created: bool,
}

/// A topic and how many books it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// Books listed under it.
    pub books: u64,
}

/// A change to one book's price or stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "amend")]
pub enum Amend {
    /// Adds copies, or takes them away (never below zero). Safe beside sales, needs no version.
    StockDelta {
        /// Copies to add; negative to take away.
        delta: i64,
    },
    /// Sets price, stock or both, provided that the book is still as the caller saw it.
    Set {
        /// The new price, if it is to change.
        price_cents: Option<Cents>,
        /// The new stock, if it is to change.
        stock: Option<u32>,
        /// The version the caller saw. `None` accepts any version and is allowed for a price alone.
        version: Option<Seq>,
    },
}

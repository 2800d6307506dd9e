//! Reading books from files, one book at a time and never the whole file in memory: JSON lines always, CSV and gzipped JSON
//! lines with feature `import`.
//!
//! The fields are those of a [`BookText`](bookstore_core::BookText), price and stock, under many [names](ImportOptions::columns). Title and
//! topic, price and stock are required; nothing is invented, and no column is left out, unless [`ImportOptions`] say so. Texts are
//! tidied up: a catalogue card's ` /` behind a title goes, ` : ` before a subtitle becomes `: `, `Krasno, Jonathan S.` becomes
//! `Jonathan S. Krasno`, and `c2004` is a year.
//!
//! A file with columns named `price_cents` and `on_sale`, spelled so, is an export of a shop (feature `import`: module `export`). Its texts are
//! read as they are, a semicolon within a subject is doubled, and its columns `id`, `version` and `text_version` are left out: the shop
//! that takes the books in gives its own.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, import};
//!
//! let file = br#"{"title":"Ledgers","topic":"accounting","price":"$29.99","stock":10}"#;
//! let lines = import::json_lines(&file[..], &import::ImportOptions::default()).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(lines[0].book.price_cents.get(), 2999);
//! let shop = Bookstore::open("memory:").await?;
//! assert!(shop.add_books(lines.into_iter().map(|line| line.book).collect()).await?[0].created);
//! # Ok(())
//! # }
//! ```

mod amounts;
#[cfg(feature = "import")]
mod csv;
#[cfg(feature = "import")]
mod encoding;
#[cfg(feature = "import")]
mod file;
mod habits;
mod json_lines;
mod options;
mod record;

#[cfg(all(test, feature = "import"))]
mod arbitrary;
#[cfg(all(test, feature = "import"))]
mod tests;

use bookstore_core::NewBook;
use std::fmt;

#[cfg(feature = "import")]
pub use self::{csv::csv, file::open};
pub use json_lines::json_lines;
pub use options::{Field, ImportOptions};
pub use record::derived_price_and_stock;

/// The longest line of a file, in bytes: a longer one is a [`BrokenLine`].
pub const LINE_MAX: usize = 1 << 20;

/// A line that is a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1. A CSV record of several lines has the number of its first line.
    pub number: u64,
    /// The book, within its limits and in its normal form.
    pub book: NewBook,
    /// Whether the price stands in the file.
    pub has_price: bool,
    /// Whether the stock stands in the file.
    pub has_stock: bool,
    /// Whether the condition stands in the file.
    pub has_condition: bool,
    /// Whether the book is on sale, if that stands in the file.
    pub on_sale: Option<bool>,
    /// Whether it is a line of an export: it says all of the book, and the book has nothing that the line has not.
    pub exact: bool,
}

/// A line that is not a book.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BrokenLine {
    /// Its number, as [`Line::number`].
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
    /// Whether reading stops here: the file is damaged, or its header line cannot be used. After any other broken line the
    /// next one is read.
    pub last: bool,
}

impl BrokenLine {
    fn new(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), last: false }
    }

    fn last(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), last: true }
    }
}

/// The books of a file, in its order; a line that is not a book is an error, and the iterator goes on with the next line.
///
/// ```
/// use bookstore::import::{ImportOptions, json_lines};
///
/// let file = br#"{"title":"Ledgers","topic":"distributed systems","isbn13":"9780000000002"}"#;
/// let refused = json_lines(&file[..], &ImportOptions::default()).next().unwrap().unwrap_err();
/// assert_eq!(refused.to_string(), "line 1: price is missing");
/// let options = ImportOptions { fill_in: true, ..ImportOptions::default() };
/// let book = json_lines(&file[..], &options).next().unwrap().unwrap().book;
/// assert_eq!((book.text.title.as_str(), book.price_cents.get(), book.stock), ("Ledgers", 3399, 26));
/// ```
pub struct Books<'a>(Box<dyn Iterator<Item = Result<Line, BrokenLine>> + 'a>);

impl Iterator for Books<'_> {
    type Item = Result<Line, BrokenLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for Books<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

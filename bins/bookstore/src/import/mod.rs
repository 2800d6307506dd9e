//! Reading books from files, one book at a time and never the whole file in memory: JSON lines always, CSV and gzipped JSON
//! lines with feature `import`.
//!
//! The fields are `title`, `author`, `topic`, `isbn` (or `isbn13`), `year`, `subjects`, `price_cents` and `stock`; `title` and
//! `topic` are required. A missing price or stock is [derived from the book](derived_price_and_stock), always the same. Other
//! fields are ignored.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, import};
//!
//! let file = br#"{"title":"Ledgers","topic":"accounting","price_cents":2999,"stock":10}"#;
//! let books = import::json_lines(&file[..]).collect::<Result<Vec<_>, _>>()?;
//! let shop = Bookstore::open("memory:").await?;
//! assert!(shop.add_books(books).await?[0].created);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "import")]
mod csv;
#[cfg(feature = "import")]
mod file;
mod json_lines;
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
pub use record::derived_price_and_stock;

/// The longest line of a file, in bytes: a longer one is a [`BrokenLine`].
pub const LINE_MAX: usize = 1 << 20;

/// A line that is not a book.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BrokenLine {
    /// Its number, from 1. A CSV record of several lines has the number of its first line.
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
/// let lines = br#"{"title":"Ledgers","topic":"distributed systems","isbn13":"9780000000002"}"#;
/// let book = bookstore::import::json_lines(&lines[..]).next().unwrap().unwrap();
/// assert_eq!((book.text.title.as_str(), book.price_cents.get(), book.stock), ("Ledgers", 3399, 26));
/// ```
pub struct Books<'a>(Box<dyn Iterator<Item = Result<NewBook, BrokenLine>> + 'a>);

impl Iterator for Books<'_> {
    type Item = Result<NewBook, BrokenLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for Books<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

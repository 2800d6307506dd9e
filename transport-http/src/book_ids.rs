//! Several books' numbers in one query, with commas.

use bookstore_core::BookId;
#[cfg(feature = "server")]
use bookstore_core::{
    Error, Result,
    service::{BOOKS_MAX, at_most_books_max},
};

/// The numbers as a query has them.
#[cfg(feature = "client")]
pub(crate) fn write_ids(ids: &[BookId]) -> String {
    ids.iter().map(BookId::to_string).collect::<Vec<_>>().join(",")
}

/// Reads what [`write_ids`] wrote.
///
/// # Errors
/// - [`Error::Invalid`] in `ids` for anything but numbers, and for more of them than one call may ask for.
#[cfg(feature = "server")]
pub(crate) fn read_ids(ids: &str) -> Result<Vec<BookId>> {
    // One more than are allowed is enough to be refused.
    let ids = ids.split(',').filter(|_| !ids.is_empty()).take(BOOKS_MAX + 1);
    at_most_books_max(ids.map(|id| read_id("ids", id)).collect::<Result<_>>()?)
}

/// Reads the number of a book, which has up to 18 digits.
///
/// # Errors
/// - [`Error::Invalid`] in `field` for anything else.
#[cfg(feature = "server")]
pub(crate) fn read_id(field: &'static str, id: &str) -> Result<BookId> {
    let digits = id.len() <= 18 && id.bytes().all(|digit| digit.is_ascii_digit());
    let number = if digits { id.parse().ok() } else { None };
    number.map(BookId).ok_or_else(|| Error::invalid(field, format!("{id:?} is no book's number")))
}

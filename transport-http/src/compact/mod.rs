//! The binary form in which purchases travel between servers: records of fixed length, which take a fraction of the work of JSON.
//!
//! Only what comes by the thousand has this form: the calls of a batch, their answers, and pages of the ledger. Everything else
//! is JSON, and these are JSON, too, for a client that asks for it. A body does not describe its own layout, so any change
//! of these records MUST come with another [`MEDIA_TYPE`].
//!
//! A list is its length, a 32-bit number, and then its records one after the other. A record is followed by its lines, as many
//! as it says. Numbers are little-endian. A field that a record does not need is written as zeros and not read.
//!
//! For example, a batch of one sale, two copies of book 300 at 19.99, in hexadecimal:
//!
//! ```text
//! 01000000                          one call
//! 00                                it sells
//! 018f0a7e4b0c7c3e9d2f6a1b5c4d3e2f  the order's id
//! 01000000                          one line:
//! 2c01000000000000                  book 300,
//! 02000000                          two copies,
//! cf07000000000000                  at 1999 cents each
//! ```
//!
//! Reading is safe on any bytes: it never panics, allocates in proportion to the body, and refuses what means nothing.

mod command;
mod read;
mod records;
#[cfg(test)]
mod tests;
mod write;

pub use command::BATCH_MAX;
pub(crate) use command::OrderCommand;
pub(crate) use read::{FromCompact, read};
pub(crate) use records::MEDIA_TYPE;
pub(crate) use write::{write_answers, write_calls, write_page};

use http::{HeaderMap, HeaderName, header};

/// The header of a batch with its seller's [`Pin`](bookstore_core::follow::Pin).
pub(crate) const PIN: HeaderName = HeaderName::from_static("bookstore-pin");

/// The header of a call between servers with the history of the ledger that the caller has followed, as
/// [`LedgerIdentity`](bookstore_core::LedgerIdentity) is written.
pub(crate) const HISTORY: HeaderName = HeaderName::from_static("bookstore-history");

/// Whether the headers say that the body has this form.
pub(crate) fn is_content(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|content| content == MEDIA_TYPE)
}

/// Whether the headers ask for a response in this form.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted == MEDIA_TYPE)
}

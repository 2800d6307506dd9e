//! The records of the compact form, field by field as they stand in a body.
//!
//! They have no padding and no alignment, so that they can be read in place. Fields may be neither reordered nor resized without
//! another [`MEDIA_TYPE`].

use bookstore_core::ledger::Kind;
use http::HeaderValue;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I64, U32, U64},
};

/// The media type of these bodies. Its number is the version of the form.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.bookstore.4");

/// A call of a batch, to an order server or to the catalog. [`CallLine`]s follow.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct CallRecord {
    /// 0 sells all lines or none; 1 takes a sale back.
    pub(super) what: u8,
    /// The order's id: the key of the call.
    pub(super) order: [u8; 16],
    /// The number of lines: none if it takes a sale back.
    pub(super) lines: U32,
}

/// A line of a sale.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct CallLine {
    pub(super) book: U64,
    pub(super) quantity: U32,
    /// The price of one copy that the buyer saw, in cents, or [`ANY_PRICE`].
    pub(super) price_cents: U64,
}

/// Stands for "at any price": it is above every valid amount.
pub(super) const ANY_PRICE: u64 = u64::MAX;

/// The answer to a call. [`SoldLine`]s follow or, in JSON, an error or an order with what few orders have, because these are few and
/// have many shapes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct AnswerRecord {
    /// 0 for a placed order, 1 for a cancelled one, 2 for an error, 3 for an order in JSON.
    pub(super) what: u8,
    /// Whether an earlier call with the same key did it: 0 or 1. Of an error, whether the call was executed: 0 for no, 1 for unknown.
    pub(super) replayed: u8,
    /// Whether `cancelled_at_ms` is set: 0 or 1.
    pub(super) has_cancelled_at: u8,
    pub(super) order: [u8; 16],
    pub(super) total_cents: U64,
    pub(super) placed_at_ms: I64,
    pub(super) seq: U64,
    pub(super) version: U64,
    pub(super) cancelled_at_ms: I64,
    /// The number of lines; of JSON, of bytes.
    pub(super) len: U32,
}

/// A line of an order: what was sold, and at which price.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SoldLine {
    pub(super) book: U64,
    pub(super) quantity: U32,
    pub(super) unit_price_cents: U64,
}

/// A page of the ledger. Lists of [`TimelineRecord`]s, [`BatchEnd`]s and [`EntryRecord`]s follow.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct PageRecord {
    /// The id of the ledger.
    pub(super) ledger: [u8; 16],
    /// The code of its currency.
    pub(super) currency: [u8; 3],
    /// The id of its opening.
    pub(super) incarnation: [u8; 16],
    /// The last entry that there was when the page was made.
    pub(super) head: U64,
    /// Whether `before` is set: 0 or 1.
    pub(super) has_before: u8,
    /// The hash up to the entry that was asked after.
    pub(super) before: [u8; 32],
    /// The hash up to the last entry.
    pub(super) after: [u8; 32],
}

/// An entry that ends a batch.
pub(super) type BatchEnd = U64;

/// A timeline of the ledger.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct TimelineRecord {
    pub(super) id: [u8; 16],
    /// Its first entry.
    pub(super) begins_at: U64,
}

/// An entry. [`ChangeLine`]s follow, and then the text of a listed book and what few entries have, both in JSON.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct EntryRecord {
    pub(super) seq: U64,
    /// When it was appended, in milliseconds since 1970, as all times here.
    pub(super) at_ms: I64,
    /// The index of its kind in [`KINDS`].
    pub(super) kind: u8,
    /// Whether `key` is set: 0 or 1.
    pub(super) has_key: u8,
    pub(super) key: [u8; 16],
    pub(super) changes: U32,
    /// The bytes of the text; 0 if there is none.
    pub(super) text: U32,
    /// The bytes of the details; 0 if there are none.
    pub(super) details: U32,
}

/// What an entry changed of one book.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ChangeLine {
    pub(super) book: U64,
    /// Copies added; negative if they were taken away.
    pub(super) delta: I64,
    /// The price after the entry, in cents.
    pub(super) price_cents: U64,
    /// The stock after the entry.
    pub(super) stock: U32,
}

/// The number of each kind of entry. Numbers MUST NOT change.
pub(super) const KINDS: [Kind; 16] = Kind::ALL;

//! The form in which purchases travel between servers: records of fixed length, which take a fraction of the work that JSON makes.
//!
//! Only what comes by the thousand has it: the calls of a batch, their answers, and pages of the ledger. All else is JSON, and
//! so are these for whoever asks in JSON. A body tells nothing of its own shape, so any change of these records MUST come with
//! another [`MEDIA_TYPE`].
//!
//! A list is a [`U32`], how many there are, and that many of its records one after the other; each is followed by as many of its lines as
//! it says. Numbers are little-endian. A place that a record does not need is written as zeros, and not read.

mod read;
mod write;

pub(crate) use read::{FromCompact, read};
pub(crate) use write::{write_answers, write_calls, write_page};

use axum::http::{HeaderMap, HeaderValue, header};
use bookstore_core::ledger::Kind;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I64, U32, U64},
};

/// The media type of these bodies.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.bookstore.2");

/// Whether a body, by its headers, is of this form.
pub(crate) fn is_content(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|content| content == MEDIA_TYPE)
}

/// Whether an answer of this form is asked for.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted == MEDIA_TYPE)
}

/// A call of a batch, to an order server or to the catalog. [`CallLine`]s follow.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct CallRecord {
    /// 0 sells all lines or none, 1 takes a sale back.
    what: u8,
    order: [u8; 16],
    lines: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct CallLine {
    book: U64,
    quantity: U32,
    /// The price that the buyer saw, or [`ANY_PRICE`].
    price_cents: U64,
}

/// No amount of money is so large.
const ANY_PRICE: u64 = u64::MAX;

/// The answer to a call. [`SoldLine`]s follow, or an error in JSON, because errors are few and have many shapes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct AnswerRecord {
    /// 0 for an order that stands, 1 for a cancelled one, 2 for an error.
    what: u8,
    /// Whether an earlier call had done it: 0 or 1.
    replayed: u8,
    /// Whether `cancelled_at_ms` is something: 0 or 1.
    has_cancelled_at: u8,
    order: [u8; 16],
    total_cents: U64,
    placed_at_ms: I64,
    seq: U64,
    cancelled_at_ms: I64,
    /// How many lines; of an error, how many bytes.
    len: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SoldLine {
    book: U64,
    quantity: U32,
    unit_price_cents: U64,
}

/// A page of the ledger. A list of [`EntryRecord`]s follows.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct PageRecord {
    ledger: [u8; 16],
    head: U64,
}

/// An entry. [`ChangeLine`]s follow.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct EntryRecord {
    seq: U64,
    at_ms: I64,
    /// The place of its kind in [`KINDS`].
    kind: u8,
    /// Whether `key` is something: 0 or 1.
    has_key: u8,
    key: [u8; 16],
    changes: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ChangeLine {
    book: U64,
    delta: I64,
    price_cents: U64,
    stock: U32,
}

const KINDS: [Kind; 5] = [Kind::Sale, Kind::Return, Kind::Restock, Kind::Reprice, Kind::Listing];

#[cfg(test)]
mod tests {
    use super::{
        read::take_answer,
        write::{count, kind_byte},
        *,
    };
    use crate::{
        error_status::tests::{cents, orders},
        internal::OrderCommand,
    };
    use bookstore_core::{
        BookId, Cents, Entries, Entry, Error, Line, Lines, OrderId, Receipt, Result, Seq, Timestamp,
        ledger::{Change, LedgerId},
    };
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use std::fmt::Debug;
    use uuid::Uuid;
    use zerocopy::FromZeros as _;

    /// Whether bytes that are cut short or go on are refused.
    fn read_exactly<T: FromCompact + Debug>(bytes: &[u8]) -> T {
        assert!((0..bytes.len()).all(|to| read::<T>(&bytes[..to]).is_err()));
        assert!(read::<T>(&[bytes, &[0]].concat()).is_err());
        read(bytes).expect("it was written so")
    }

    fn deals() -> impl Strategy<Value = OrderCommand> {
        let line = (any::<u64>(), 1..=Lines::QUANTITY_MAX, option::of(cents()));
        let line = line.prop_map(|(book, quantity, price_cents)| Line { book: BookId(book), quantity, price_cents });
        let id = || any::<u128>().prop_map(|id| OrderId(Uuid::from_u128(id)));
        prop_oneof![
            (id(), vec(line, 1..4)).prop_map(|(order, lines)| OrderCommand::Sell(order, Lines::new(lines).unwrap())),
            id().prop_map(OrderCommand::Release),
        ]
    }

    fn answers() -> impl Strategy<Value = Result<Receipt>> {
        let errors = vec![
            Error::OutOfStock { book: BookId(7), available: 1 },
            Error::invalid("lines", "\"none\""),
            Error::VersionRequired,
            Error::unknown("it may have happened"),
        ];
        prop_oneof![
            4 => (orders(), any::<bool>()).prop_map(|(order, replayed)| Ok(Receipt { order, replayed })),
            1 => select(errors).prop_map(Err),
        ]
    }

    fn pages() -> impl Strategy<Value = Entries> {
        let change = (any::<u64>(), any::<i64>(), cents(), any::<u32>());
        let change = change.prop_map(|(book, delta, price_cents, stock)| Change {
            book: BookId(book),
            delta,
            price_cents,
            stock,
        });
        let kind = select(vec![Kind::Sale, Kind::Return, Kind::Restock, Kind::Reprice, Kind::Listing]);
        let entry = (any::<u64>(), any::<i64>(), kind, option::of(any::<u128>()), vec(change, 0..3));
        let entry = entry.prop_map(|(seq, at, kind, key, changes)| Entry {
            seq: Seq(seq),
            at: Timestamp(at),
            kind,
            key: key.map(|key| OrderId(Uuid::from_u128(key))),
            changes: changes.into(),
        });
        (any::<u128>(), any::<u64>(), vec(entry, 0..4)).prop_map(|(ledger, head, entries)| Entries {
            ledger: LedgerId::from_u128(ledger),
            head: Seq(head),
            entries,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(deals in vec(deals(), 0..4), answers in vec(answers(), 0..4), page in pages()) {
            prop_assert_eq!(read_exactly::<Vec<OrderCommand>>(&write_calls(deals.iter().map(OrderCommand::as_ref))), deals);
            prop_assert_eq!(read_exactly::<Vec<Result<Receipt>>>(&write_answers(&answers)), answers);
            prop_assert_eq!(read_exactly::<Entries>(&write_page(&page)), page);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(prop_oneof![any::<u8>(), 0..4_u8, Just(255)], 0..64)) {
            let _ = (read::<Vec<OrderCommand>>(&bytes), read::<Vec<Result<Receipt>>>(&bytes), read::<Entries>(&bytes));
        }
    }

    /// What older and newer servers must agree on. If this fails, give the new form another media type.
    #[test]
    fn the_form_is_this_one() {
        let (id, uuid) = (OrderId(Uuid::from_u128(7)), "00000000000000000000000000000007");
        let lines = Lines::new([Line { book: BookId(300), quantity: 2, price_cents: Some(Cents::MAX) }]).unwrap();
        let calls = [
            OrderCommand::Sell(id, lines),
            OrderCommand::Release(id),
            OrderCommand::Sell(id, Lines::one(BookId(1), 1).unwrap()),
        ];
        is(
            &write_calls(calls.iter().map(OrderCommand::as_ref)),
            &[
                "03000000",
                &format!("00 {uuid} 01000000"),
                "2c01000000000000 02000000 ffffffffffff1f00",
                &format!("01 {uuid} 00000000"),
                &format!("00 {uuid} 01000000"),
                "0100000000000000 01000000 ffffffffffffffff",
            ],
        );
        let change = Change { book: BookId(1), delta: -2, price_cents: Cents::ZERO, stock: 5 };
        let sale = Entry { seq: Seq(9), at: Timestamp(1), kind: Kind::Sale, key: Some(id), changes: [change].into() };
        let order = sale.order().unwrap().cancelled(Timestamp(-1));
        is(
            &write_answers(&[Ok(Receipt { order, replayed: true }), Err(Error::VersionRequired)]),
            &[
                "02000000",
                &format!(
                    "01 01 01 {uuid} 0000000000000000 0100000000000000 0900000000000000 ffffffffffffffff 01000000"
                ),
                "0100000000000000 02000000 0000000000000000",
                &format!("02 00 00 {:032} {:064} 1b000000", 0, 0),
                &hex(br#"{"code":"version-required"}"#),
            ],
        );
        let listing = Entry { kind: Kind::Listing, key: None, ..sale.clone() };
        is(
            &write_page(&Entries { ledger: id.0, head: Seq(9), entries: vec![sale, listing] }),
            &[
                &format!("{uuid} 0900000000000000 02000000"),
                &format!("0900000000000000 0100000000000000 00 01 {uuid} 01000000"),
                "0100000000000000 feffffffffffffff 0000000000000000 05000000",
                &format!("0900000000000000 0100000000000000 04 00 {:032} 01000000", 0),
                "0100000000000000 feffffffffffffff 0000000000000000 05000000",
            ],
        );
        for (place, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(usize::from(kind_byte(kind)), place);
        }
    }

    #[track_caller]
    fn is(bytes: &[u8], expected: &[&str]) {
        assert_eq!(hex(bytes), expected.concat().replace(' ', ""));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn an_error_that_is_not_known_here_leaves_the_outcome_unknown() {
        let error = br#"{"code":"of-tomorrow"}"#;
        let record = AnswerRecord { what: 2, len: count(error.len()), ..AnswerRecord::new_zeroed() };
        let told = take_answer(&mut &*[record.as_bytes(), error].concat()).unwrap();
        assert!(matches!(told, Err(Error::OutcomeUnknown { .. })), "{told:?}");
    }

    /// Each byte that must be one of a few.
    #[test]
    fn bytes_that_mean_nothing_are_refused() {
        let sale = Entry { seq: Seq(1), at: Timestamp(1), kind: Kind::Sale, key: None, changes: [].into() };
        let receipt = Entry { key: Some(OrderId(Uuid::nil())), ..sale.clone() }
            .order()
            .map(|order| Receipt { order, replayed: false });
        let call = write_calls([OrderCommand::Release(OrderId(Uuid::nil()))].into_iter());
        let answer = write_answers(&[Ok(receipt.unwrap())]);
        let page = write_page(&Entries { ledger: Uuid::nil(), head: Seq(1), entries: vec![sale] });
        refuses::<Vec<OrderCommand>>(&call, &[(4, 2)]);
        // Kind, two flags, and the highest byte of the total.
        refuses::<Vec<Result<Receipt>>>(&answer, &[(4, 3), (5, 2), (6, 2), (30, 1)]);
        // Kind and flag of the first entry.
        refuses::<Entries>(&page, &[(44, 5), (45, 2)]);
    }

    #[track_caller]
    fn refuses<T: FromCompact + Debug>(good: &[u8], broken: &[(usize, u8)]) {
        read::<T>(good).unwrap();
        for &(place, byte) in broken {
            let mut bytes = good.to_vec();
            bytes[place] = byte;
            read::<T>(&bytes).unwrap_err();
        }
    }
}

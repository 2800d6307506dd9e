//! The form in which purchases travel between servers: [Postcard](https://postcard.jamesmunns.com/wire-format), which takes a tenth
//! of the work that JSON makes.
//!
//! Only what comes by the thousand has it: the calls of a batch, their answers, and pages of the ledger. All else is JSON, and
//! so are these for whoever asks in JSON. A body tells nothing of its own shape, so any change of these types, the order of
//! their fields included, MUST come with another [`MEDIA_TYPE`].

use axum::http::{HeaderMap, HeaderValue, header};
use bookstore_core::{
    BookId, Cents, Entries, Entry, Error, Line, Lines, Order, OrderId, OrderLine, Receipt, Result, Seq, Status,
    Timestamp,
    ledger::{Change, Kind, LedgerId},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smallvec::SmallVec;

/// The media type of these bodies.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.bookstore.1+postcard");

/// Whether a body, by its headers, is of this form.
pub(crate) fn is_content(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|content| content == MEDIA_TYPE)
}

/// Whether an answer of this form is asked for.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted == MEDIA_TYPE)
}

/// The bytes of one of the types below, or of a list of them.
pub(crate) fn write(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("these types have a form, and a Vec takes all")
}

/// Reads all of `bytes`. The memory it takes is at most in proportion to them.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(postcard::Error::DeserializeBadEncoding) }
}

/// A call of a batch, to an order server or to the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Call {
    /// Sell all lines or none.
    Sell(OrderId, Wanted),
    /// Take a sale back.
    TakeBack(OrderId),
}

/// Nearly all purchases are of one book.
pub(crate) type Wanted = SmallVec<[(BookId, u32, Option<Cents>); 1]>;

impl Call {
    /// A purchase.
    pub(crate) fn sell(order: OrderId, lines: &Lines) -> Self {
        Self::Sell(order, lines.iter().map(|line| (line.book, line.quantity, line.price_cents)).collect())
    }

    /// The lines of a purchase, checked.
    ///
    /// # Errors
    /// As [`Lines::new`].
    pub(crate) fn lines(lines: Wanted) -> Result<Lines> {
        Lines::new(lines.into_iter().map(|(book, quantity, price_cents)| Line { book, quantity, price_cents }))
    }
}

/// The answer to one call.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Ok(Sold),
    /// In JSON, because errors are few and have many shapes.
    Error(String),
}

/// A receipt.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sold {
    id: OrderId,
    cancelled: bool,
    lines: SmallVec<[(BookId, u32, Cents); 1]>,
    total_cents: Cents,
    placed_at_ms: i64,
    seq: Seq,
    cancelled_at_ms: Option<i64>,
    replayed: bool,
}

impl From<&Result<Receipt>> for Answer {
    fn from(answer: &Result<Receipt>) -> Self {
        match answer {
            Ok(Receipt { order, replayed }) => Self::Ok(Sold {
                id: order.id,
                cancelled: order.status == Status::Cancelled,
                lines: order.lines.iter().map(|line| (line.book, line.quantity, line.unit_price_cents)).collect(),
                total_cents: order.total_cents,
                placed_at_ms: order.placed_at.0,
                seq: order.seq,
                cancelled_at_ms: order.cancelled_at.map(|at| at.0),
                replayed: *replayed,
            }),
            Err(error) => Self::Error(serde_json::to_string(error).expect("an error is JSON")),
        }
    }
}

impl From<Answer> for Result<Receipt> {
    fn from(answer: Answer) -> Self {
        let sold = match answer {
            Answer::Ok(sold) => sold,
            // A newer server may tell of one that this program does not know.
            Answer::Error(error) => {
                let foreign = |_| Error::unknown("the server told of an error that is not known here");
                return Err(serde_json::from_str(&error).unwrap_or_else(foreign));
            }
        };
        let line = |(book, quantity, unit_price_cents)| OrderLine { book, quantity, unit_price_cents };
        let order = Order {
            id: sold.id,
            status: if sold.cancelled { Status::Cancelled } else { Status::Placed },
            lines: sold.lines.into_iter().map(line).collect(),
            total_cents: sold.total_cents,
            placed_at: Timestamp(sold.placed_at_ms),
            seq: sold.seq,
            cancelled_at: sold.cancelled_at_ms.map(Timestamp),
        };
        Ok(Receipt { order, replayed: sold.replayed })
    }
}

/// A page of the ledger.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Page {
    ledger: LedgerId,
    head: Seq,
    entries: Vec<PageEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PageEntry {
    seq: Seq,
    at_ms: i64,
    kind: Kind,
    key: Option<OrderId>,
    changes: SmallVec<[(BookId, i64, Cents, u32); 1]>,
}

impl From<Entries> for Page {
    fn from(Entries { ledger, head, entries }: Entries) -> Self {
        let change = |change: &Change| (change.book, change.delta, change.price_cents, change.stock);
        let entry = |Entry { seq, at, kind, key, changes }: Entry| PageEntry {
            seq,
            at_ms: at.0,
            kind,
            key,
            changes: changes.iter().map(change).collect(),
        };
        Self { ledger, head, entries: entries.into_iter().map(entry).collect() }
    }
}

impl From<Page> for Entries {
    fn from(Page { ledger, head, entries }: Page) -> Self {
        let change = |(book, delta, price_cents, stock)| Change { book, delta, price_cents, stock };
        let entry = |PageEntry { seq, at_ms, kind, key, changes }: PageEntry| Entry {
            seq,
            at: Timestamp(at_ms),
            kind,
            key,
            changes: changes.into_iter().map(change).collect(),
        };
        Self { ledger, head, entries: entries.into_iter().map(entry).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::{cents, orders};
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use std::fmt::Debug;
    use uuid::Uuid;

    /// Whether bytes that are cut short or go on are refused.
    fn read_exactly<T: DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> T {
        assert!((0..bytes.len()).all(|to| read::<T>(&bytes[..to]).is_err()));
        assert!(read::<T>(&[bytes, &[0]].concat()).is_err());
        read(bytes).expect("it was written so")
    }

    fn calls() -> impl Strategy<Value = Call> {
        let line = (any::<u64>().prop_map(BookId), 1..=Lines::QUANTITY_MAX, option::of(cents()));
        let id = || any::<u128>().prop_map(|id| OrderId(Uuid::from_u128(id)));
        prop_oneof![
            (id(), vec(line, 1..4)).prop_map(|(order, lines)| Call::Sell(order, lines.into())),
            id().prop_map(Call::TakeBack),
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
        fn what_is_written_is_read_again(calls in vec(calls(), 0..4), answers in vec(answers(), 0..4), page in pages()) {
            prop_assert_eq!(&read_exactly::<Vec<Call>>(&write(&calls)), &calls);
            let written: Vec<_> = answers.iter().map(Answer::from).collect();
            let again = read_exactly::<Vec<Answer>>(&write(&written)).into_iter().map(Result::from);
            prop_assert_eq!(again.collect::<Vec<Result<Receipt>>>(), answers);
            prop_assert_eq!(Entries::from(read_exactly::<Page>(&write(&Page::from(page.clone())))), page);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(prop_oneof![any::<u8>(), 0..4_u8, Just(255)], 0..64)) {
            let _ = (read::<Vec<Call>>(&bytes), read::<Vec<Answer>>(&bytes), read::<Page>(&bytes));
        }
    }

    /// What older and newer servers must agree on. If this fails, give the new form another media type.
    #[test]
    fn the_form_is_this_one() {
        let id = OrderId(Uuid::from_u128(7));
        let uuid = "1000000000000000000000000000000007";
        let lines = Lines::new([Line { book: BookId(300), quantity: 2, price_cents: Some(Cents::MAX) }]).unwrap();
        assert_eq!(hex(&write(&vec![Call::sell(id, &lines)])), format!("0100{uuid}01ac020201ffffffffffffff0f"));
        assert_eq!(hex(&write(&Call::TakeBack(id))), format!("01{uuid}"));
        let change = Change { book: BookId(1), delta: -2, price_cents: Cents::ZERO, stock: 5 };
        let sale = Entry { seq: Seq(9), at: Timestamp(1), kind: Kind::Sale, key: Some(id), changes: [change].into() };
        let order = sale.order().unwrap().cancelled(Timestamp(-1));
        let answer = Answer::from(&Ok(Receipt { order, replayed: true }));
        assert_eq!(hex(&write(&answer)), format!("00{uuid}010101020000020901010 1").replace(' ', ""));
        assert_eq!(hex(&write(&Answer::from(&Err(Error::VersionRequired)))), hex_of_error());
        let page = Entries { ledger: id.0, head: Seq(9), entries: vec![sale] };
        assert_eq!(hex(&write(&Page::from(page))), format!("{uuid}0901090200 01{uuid}0101030005").replace(' ', ""));
    }

    fn hex_of_error() -> String {
        let json = br#"{"code":"version-required"}"#;
        format!("01{:02x}{}", json.len(), hex(json))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn an_error_that_is_not_known_here_leaves_the_outcome_unknown() {
        let told = Result::<Receipt>::from(Answer::Error(r#"{"code":"of-tomorrow"}"#.into()));
        assert!(matches!(told, Err(Error::Unknown { .. })), "{told:?}");
    }
}

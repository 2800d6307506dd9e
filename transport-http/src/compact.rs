//! The form in which purchases travel between servers: records of fixed length, which take a fraction of the work that JSON makes.
//!
//! Only what comes by the thousand has it: the calls of a batch, their answers, and pages of the ledger. All else is JSON, and
//! so are these for whoever asks in JSON. A body tells nothing of its own shape, so any change of these records MUST come with
//! another [`MEDIA_TYPE`].
//!
//! A list is a [`U32`], how many there are, and that many of its records one after the other; each is followed by as many of its lines as
//! it says. Numbers are little-endian. A place that a record does not need is written as zeros, and not read.

use axum::http::{HeaderMap, HeaderValue, header};
use bookstore_core::{
    BookId, Cents, Entries, Entry, Error, Line, Lines, Order, OrderId, OrderLine, Receipt, Result, Seq, Status,
    Timestamp,
    ledger::{Change, Kind, LedgerId},
};
use smallvec::SmallVec;
use uuid::Uuid;
use zerocopy::{
    FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I64, U32, U64},
};

use crate::internal::Deal;

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

/// Writes a record.
fn put(to: &mut Vec<u8>, record: &(impl IntoBytes + Immutable)) {
    to.extend_from_slice(record.as_bytes());
}

fn count(len: usize) -> U32 {
    U32::new(u32::try_from(len).expect("no body is so long"))
}

/// Begins a list of so many items, with room for them.
fn list_of(len: usize, each: usize) -> Vec<u8> {
    let mut to = Vec::with_capacity(size_of::<U32>() + len * each);
    put(&mut to, &count(len));
    to
}

/// The calls of a batch.
pub(crate) fn write_calls<'a>(calls: impl ExactSizeIterator<Item = Deal<&'a Lines>>) -> Vec<u8> {
    let mut to = list_of(calls.len(), size_of::<CallRecord>() + size_of::<CallLine>());
    for call in calls {
        let (what, order, lines) = match call {
            Deal::Sell(order, lines) => (0, order, lines.iter()),
            Deal::TakeBack(order) => (1, order, [].iter()),
        };
        put(&mut to, &CallRecord { what, order: order.0.into_bytes(), lines: count(lines.len()) });
        for line in lines {
            let price_cents = line.price_cents.map_or(ANY_PRICE, Cents::get).into();
            put(&mut to, &CallLine { book: line.book.0.into(), quantity: line.quantity.into(), price_cents });
        }
    }
    to
}

/// The answers to the calls of a batch.
pub(crate) fn write_answers(answers: &[Result<Receipt>]) -> Vec<u8> {
    let mut to = list_of(answers.len(), size_of::<AnswerRecord>() + size_of::<SoldLine>());
    for answer in answers {
        match answer {
            Ok(receipt) => write_receipt(&mut to, receipt),
            Err(error) => {
                let error = serde_json::to_vec(error).expect("an error is JSON");
                put(&mut to, &AnswerRecord { what: 2, len: count(error.len()), ..AnswerRecord::new_zeroed() });
                to.extend_from_slice(&error);
            }
        }
    }
    to
}

fn write_receipt(to: &mut Vec<u8>, Receipt { order, replayed }: &Receipt) {
    let record = AnswerRecord {
        what: u8::from(order.status == Status::Cancelled),
        replayed: u8::from(*replayed),
        has_cancelled_at: u8::from(order.cancelled_at.is_some()),
        order: order.id.0.into_bytes(),
        total_cents: order.total_cents.get().into(),
        placed_at_ms: order.placed_at.0.into(),
        seq: order.seq.0.into(),
        cancelled_at_ms: order.cancelled_at.map_or(0, |at| at.0).into(),
        len: count(order.lines.len()),
    };
    put(to, &record);
    for line in &order.lines {
        let unit_price_cents = line.unit_price_cents.get().into();
        put(to, &SoldLine { book: line.book.0.into(), quantity: line.quantity.into(), unit_price_cents });
    }
}

/// A page of the ledger.
pub(crate) fn write_page(page: &Entries) -> Vec<u8> {
    let (head, entries) = (size_of::<PageRecord>() + size_of::<U32>(), &page.entries);
    let mut to = Vec::with_capacity(head + entries.len() * (size_of::<EntryRecord>() + size_of::<ChangeLine>()));
    put(&mut to, &PageRecord { ledger: page.ledger.into_bytes(), head: page.head.0.into() });
    put(&mut to, &count(entries.len()));
    for entry in entries {
        let record = EntryRecord {
            seq: entry.seq.0.into(),
            at_ms: entry.at.0.into(),
            kind: kind_byte(entry.kind),
            has_key: u8::from(entry.key.is_some()),
            key: entry.key.map_or([0; 16], |key| key.0.into_bytes()),
            changes: count(entry.changes.len()),
        };
        put(&mut to, &record);
        for Change { book, delta, price_cents, stock } in entry.changes.iter().copied() {
            let price_cents = price_cents.get().into();
            put(&mut to, &ChangeLine { book: book.0.into(), delta: delta.into(), price_cents, stock: stock.into() });
        }
    }
    to
}

/// What a body of this form may hold.
pub(crate) trait FromCompact: Sized {
    /// Reads from the beginning of `from`, and leaves there what follows. The memory it takes is at most in proportion to that.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::Invalid`] for what would be refused in any form.
    fn take(from: &mut &[u8]) -> Result<Self>;
}

/// Reads all of `bytes`.
///
/// # Errors
/// As [`FromCompact::take`]; [`Error::Malformed`] if there is more.
pub(crate) fn read<T: FromCompact>(mut bytes: &[u8]) -> Result<T> {
    let value = T::take(&mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err(broken("it goes on after its end")) }
}

fn broken(what: &str) -> Error {
    Error::malformed(format!("this is not {MEDIA_TYPE:?}: {what}"))
}

/// Takes a record.
fn take<'a, T: FromBytes + KnownLayout + Immutable + Unaligned>(from: &mut &'a [u8]) -> Result<&'a T> {
    let (record, rest) = T::ref_from_prefix(from).map_err(|_| broken("it is too short"))?;
    *from = rest;
    Ok(record)
}

/// Takes as many records of one kind.
fn take_slice<'a, T: FromBytes + Immutable + Unaligned>(from: &mut &'a [u8], count: U32) -> Result<&'a [T]> {
    let taken = <[T]>::ref_from_prefix_with_elems(from, count.get() as usize);
    let (slice, rest) = taken.map_err(|_| broken("it is too short"))?;
    *from = rest;
    Ok(slice)
}

/// Takes the lines of a record: nearly always one.
fn take_lines<'a, L: FromBytes + Immutable + Unaligned + 'a, T>(
    from: &mut &'a [u8],
    count: U32,
    line: impl Fn(&L) -> Result<T>,
) -> Result<SmallVec<[T; 1]>> {
    let records = take_slice(from, count)?;
    let mut lines = SmallVec::with_capacity(records.len());
    for record in records {
        lines.push(line(record)?);
    }
    Ok(lines)
}

/// Takes a list whose items begin with an `R`.
fn take_list<R, T>(from: &mut &[u8], item: impl Fn(&mut &[u8]) -> Result<T>) -> Result<Vec<T>> {
    let count = take::<U32>(from)?.get() as usize;
    let mut items = Vec::with_capacity(count.min(from.len() / size_of::<R>()));
    for _ in 0..count {
        items.push(item(from)?);
    }
    Ok(items)
}

fn flag(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(broken("a flag is neither 0 nor 1")),
    }
}

impl FromCompact for Vec<Deal> {
    fn take(from: &mut &[u8]) -> Result<Self> {
        take_list::<CallRecord, _>(from, take_call)
    }
}

fn take_call(from: &mut &[u8]) -> Result<Deal> {
    let call: &CallRecord = take(from)?;
    let lines = take_lines(from, call.lines, |CallLine { book, quantity, price_cents }| {
        let price_cents = Some(price_cents.get()).filter(|&cents| cents != ANY_PRICE).map(Cents::new).transpose()?;
        Ok(Line { book: BookId(book.get()), quantity: quantity.get(), price_cents })
    })?;
    let order = OrderId(Uuid::from_bytes(call.order));
    match call.what {
        0 => Ok(Deal::Sell(order, Lines::new(lines)?)),
        1 => Ok(Deal::TakeBack(order)),
        _ => Err(broken("a call is neither of the two")),
    }
}

impl FromCompact for Vec<Result<Receipt>> {
    fn take(from: &mut &[u8]) -> Result<Self> {
        take_list::<AnswerRecord, _>(from, take_answer)
    }
}

fn take_answer(from: &mut &[u8]) -> Result<Result<Receipt>> {
    let answer: &AnswerRecord = take(from)?;
    let status = match answer.what {
        0 => Status::Placed,
        1 => Status::Cancelled,
        2 => {
            // A newer server may tell of one that this program does not know.
            let foreign = |_| Error::unknown("the server told of an error that is not known here");
            return Ok(Err(serde_json::from_slice(take_slice(from, answer.len)?).unwrap_or_else(foreign)));
        }
        _ => return Err(broken("an answer is none of the three")),
    };
    let lines = take_lines(from, answer.len, |SoldLine { book, quantity, unit_price_cents }| {
        let unit_price_cents = Cents::new(unit_price_cents.get())?;
        Ok(OrderLine { book: BookId(book.get()), quantity: quantity.get(), unit_price_cents })
    })?;
    let order = Order {
        id: OrderId(Uuid::from_bytes(answer.order)),
        status,
        lines,
        total_cents: Cents::new(answer.total_cents.get())?,
        placed_at: Timestamp(answer.placed_at_ms.get()),
        seq: Seq(answer.seq.get()),
        cancelled_at: flag(answer.has_cancelled_at)?.then(|| Timestamp(answer.cancelled_at_ms.get())),
    };
    Ok(Ok(Receipt { order, replayed: flag(answer.replayed)? }))
}

impl FromCompact for Entries {
    fn take(from: &mut &[u8]) -> Result<Self> {
        let page: &PageRecord = take(from)?;
        let (ledger, head) = (LedgerId::from_bytes(page.ledger), Seq(page.head.get()));
        Ok(Self { ledger, head, entries: take_list::<EntryRecord, _>(from, take_entry)? })
    }
}

fn take_entry(from: &mut &[u8]) -> Result<Entry> {
    let entry: &EntryRecord = take(from)?;
    let changes = take_lines(from, entry.changes, |ChangeLine { book, delta, price_cents, stock }| {
        let price_cents = Cents::new(price_cents.get())?;
        Ok(Change { book: BookId(book.get()), delta: delta.get(), price_cents, stock: stock.get() })
    })?;
    Ok(Entry {
        seq: Seq(entry.seq.get()),
        at: Timestamp(entry.at_ms.get()),
        kind: KINDS.get(usize::from(entry.kind)).copied().ok_or_else(|| broken("an entry is of no kind"))?,
        key: flag(entry.has_key)?.then(|| OrderId(Uuid::from_bytes(entry.key))),
        changes,
    })
}

/// A kind's place in [`KINDS`].
fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Sale => 0,
        Kind::Return => 1,
        Kind::Restock => 2,
        Kind::Reprice => 3,
        Kind::Listing => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::{cents, orders};
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use std::fmt::Debug;

    /// Whether bytes that are cut short or go on are refused.
    fn read_exactly<T: FromCompact + Debug>(bytes: &[u8]) -> T {
        assert!((0..bytes.len()).all(|to| read::<T>(&bytes[..to]).is_err()));
        assert!(read::<T>(&[bytes, &[0]].concat()).is_err());
        read(bytes).expect("it was written so")
    }

    fn deals() -> impl Strategy<Value = Deal> {
        let line = (any::<u64>(), 1..=Lines::QUANTITY_MAX, option::of(cents()));
        let line = line.prop_map(|(book, quantity, price_cents)| Line { book: BookId(book), quantity, price_cents });
        let id = || any::<u128>().prop_map(|id| OrderId(Uuid::from_u128(id)));
        prop_oneof![
            (id(), vec(line, 1..4)).prop_map(|(order, lines)| Deal::Sell(order, Lines::new(lines).unwrap())),
            id().prop_map(Deal::TakeBack),
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
            prop_assert_eq!(read_exactly::<Vec<Deal>>(&write_calls(deals.iter().map(Deal::as_ref))), deals);
            prop_assert_eq!(read_exactly::<Vec<Result<Receipt>>>(&write_answers(&answers)), answers);
            prop_assert_eq!(read_exactly::<Entries>(&write_page(&page)), page);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(prop_oneof![any::<u8>(), 0..4_u8, Just(255)], 0..64)) {
            let _ = (read::<Vec<Deal>>(&bytes), read::<Vec<Result<Receipt>>>(&bytes), read::<Entries>(&bytes));
        }
    }

    /// What older and newer servers must agree on. If this fails, give the new form another media type.
    #[test]
    fn the_form_is_this_one() {
        let (id, uuid) = (OrderId(Uuid::from_u128(7)), "00000000000000000000000000000007");
        let lines = Lines::new([Line { book: BookId(300), quantity: 2, price_cents: Some(Cents::MAX) }]).unwrap();
        let calls = [Deal::Sell(id, lines), Deal::TakeBack(id), Deal::Sell(id, Lines::one(BookId(1), 1).unwrap())];
        is(
            &write_calls(calls.iter().map(Deal::as_ref)),
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
        assert!(matches!(told, Err(Error::Unknown { .. })), "{told:?}");
    }

    /// Each byte that must be one of a few.
    #[test]
    fn bytes_that_mean_nothing_are_refused() {
        let sale = Entry { seq: Seq(1), at: Timestamp(1), kind: Kind::Sale, key: None, changes: SmallVec::new() };
        let receipt = Entry { key: Some(OrderId(Uuid::nil())), ..sale.clone() }
            .order()
            .map(|order| Receipt { order, replayed: false });
        let call = write_calls([Deal::TakeBack(OrderId(Uuid::nil()))].into_iter());
        let answer = write_answers(&[Ok(receipt.unwrap())]);
        let page = write_page(&Entries { ledger: Uuid::nil(), head: Seq(1), entries: vec![sale] });
        refuses::<Vec<Deal>>(&call, &[(4, 2)]);
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

//! The compact form byte by byte, and through both of its halves.

use super::{
    read::take_answer,
    records::{AnswerRecord, KINDS},
    write::{count, kind_byte},
    *,
};
use bookstore_core::{
    BookId, BookText, Cents, Entries, Entry, Error, Executed, LedgerIdentity, Line, Lines, Order, OrderDetails,
    OrderId, OrderLine, Receipt, Result, Seq, Status, Timeline, Timestamp,
    history::Hash,
    ledger::{Change, Details, Kind},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::fmt::Debug;
use uuid::Uuid;
use zerocopy::{FromZeros as _, IntoBytes as _};

fn cents() -> impl Strategy<Value = Cents> {
    (0..=Cents::MAX.get()).prop_map(|cents| Cents::new(cents).unwrap())
}

fn orders() -> impl Strategy<Value = Order> {
    let line = (any::<u64>(), any::<u32>(), cents());
    let line = line.prop_map(|(book, quantity, unit_price_cents)| OrderLine {
        book: BookId(book),
        quantity,
        unit_price_cents,
    });
    let times = (-1_000_000_000_000..4_000_000_000_000_i64, option::of(-1_000_000_000_000..4_000_000_000_000_i64));
    let numbers = (any::<u64>(), any::<u64>());
    (any::<u128>(), vec(line, 0..5), cents(), times, numbers, option::of(-1_000_000_000_000..4_000_000_000_000_i64))
        .prop_map(|(id, lines, total_cents, (placed_at, cancelled_at), (seq, version), expires_at)| Order {
            id: OrderId(Uuid::from_u128(id)),
            status: if cancelled_at.is_some() { Status::Cancelled } else { Status::Placed },
            lines: lines.into(),
            total_cents,
            placed_at: Timestamp(placed_at),
            seq: Seq(seq),
            version: Seq(version),
            cancelled_at: cancelled_at.map(Timestamp),
            details: expires_at.map(|at| {
                Box::new(OrderDetails {
                    expires_at: Some(Timestamp(at)),
                    held_by_shop: true,
                    ..OrderDetails::default()
                })
            }),
        })
}

/// Whether bytes that are cut short or go on are refused.
fn read_exactly<T: FromCompact + Debug>(bytes: &[u8]) -> T {
    assert!((0..bytes.len()).all(|to| read::<T>(&bytes[..to]).is_err()));
    assert!(read::<T>(&[bytes, &[0]].concat()).is_err());
    read(bytes).expect("it was written so")
}

fn commands() -> impl Strategy<Value = OrderCommand> {
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
        Error::OutOfStock { book: BookId(7), available: 1, short: Vec::new() },
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
    let change =
        change.prop_map(|(book, delta, price_cents, stock)| Change { book: BookId(book), delta, price_cents, stock });
    let kind = select(KINDS.to_vec());
    let text = option::of(".{1,9}".prop_map(|title| BookText { title, ..BookText::default() }.into()));
    let entry = (any::<u64>(), any::<i64>(), kind, option::of(any::<u128>()), vec(change, 0..3), text, details());
    let entry = entry.prop_map(|(seq, at, kind, key, changes, text, details)| Entry {
        seq: Seq(seq),
        at: Timestamp(at),
        kind,
        key: key.map(|key| OrderId(Uuid::from_u128(key))),
        changes: changes.into_iter().collect(),
        text,
        details: details.map(Box::new),
    });
    let hashes = (option::of(any::<[u8; 32]>()), any::<[u8; 32]>());
    let timelines = vec((any::<u128>(), any::<u64>()), 0..3);
    let timelines = (timelines, prop_oneof![Just("USD"), Just("JPY"), Just("KWD")]);
    (any::<[u128; 2]>(), timelines, any::<u64>(), hashes, vec(entry, 0..4), vec(any::<u64>(), 0..3)).prop_map(
        |([ledger, incarnation], (timelines, currency), head, (before, after), entries, ends)| Entries {
            identity: LedgerIdentity {
                ledger: Uuid::from_u128(ledger),
                currency: currency.parse().expect("a currency"),
                timelines: timelines.into_iter().map(timeline).collect(),
            },
            incarnation: Uuid::from_u128(incarnation),
            head: Seq(head),
            before: before.map(Hash),
            entries,
            batch_ends: ends.into_iter().map(Seq).collect(),
            after: Hash(after),
        },
    )
}

fn details() -> impl Strategy<Value = Option<Details>> {
    let reference = "[a-z]{1,9}".prop_map(|text| Some(text.parse().expect("short")));
    option::of(reference.prop_map(|reference| Details { reference, ..Details::default() }))
}

fn timeline((id, begins_at): (u128, u64)) -> Timeline {
    Timeline { id: Uuid::from_u128(id), begins_at: Seq(begins_at) }
}

fn page(ledger: Uuid, head: u64, entries: Vec<Entry>) -> Entries {
    let identity = LedgerIdentity { timelines: vec![timeline((1, 2))], ..LedgerIdentity::new(ledger, ledger) };
    let (incarnation, head, after) = (Uuid::nil(), Seq(head), Hash([255; 32]));
    Entries { identity, incarnation, head, before: None, entries, batch_ends: vec![head], after }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(commands in vec(commands(), 0..4), answers in vec(answers(), 0..4), page in pages()) {
        prop_assert_eq!(read_exactly::<Vec<OrderCommand>>(&write_calls(commands.iter().map(OrderCommand::as_ref))), commands);
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
    let sale = Entry {
        seq: Seq(9),
        at: Timestamp(1),
        kind: Kind::Sale,
        key: Some(id),
        changes: [change].into_iter().collect(),
        text: None,
        details: None,
    };
    let back = Entry { seq: Seq(10), at: Timestamp(-1), kind: Kind::Return, ..sale.clone() };
    let order = sale.order().unwrap().after(&back);
    is(
        &write_answers(&[Ok(Receipt { order, replayed: true }), Err(Error::VersionRequired)]),
        &[
            "02000000",
            &format!(
                "01 01 01 {uuid} 0000000000000000 0100000000000000 0900000000000000 0a00000000000000 ffffffffffffffff 01000000"
            ),
            "0100000000000000 02000000 0000000000000000",
            &format!("02 00 00 {:032} {:080} 1b000000", 0, 0),
            &hex(br#"{"code":"version-required"}"#),
        ],
    );
    let text = Some(BookText { title: "T".into(), ..BookText::default() }.into());
    let listing = Entry { kind: Kind::Listing, key: None, text, ..sale.clone() };
    is(
        &write_page(&page(id.0, 9, vec![sale, listing])),
        &[
            &format!("{uuid} 555344 {:032} 0900000000000000 00 {:064}", 0, 0),
            &"ff".repeat(32),
            &format!("01000000 {:031}1 0200000000000000", 0),
            "01000000 0900000000000000",
            "02000000",
            &format!("0900000000000000 0100000000000000 00 01 {uuid} 01000000 00000000 00000000"),
            "0100000000000000 feffffffffffffff 0000000000000000 05000000",
            &format!("0900000000000000 0100000000000000 04 00 {:032} 01000000 3c000000 00000000", 0),
            "0100000000000000 feffffffffffffff 0000000000000000 05000000",
            &hex(br#"{"title":"T","author":"","topic":"","isbn":null,"year":null}"#),
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

/// A newer server says whether the call was executed, so that what certainly did not happen is not unknown.
#[test]
fn an_error_that_is_not_known_here_is_named() {
    let error = br#"{"code":"of-tomorrow"}"#;
    for (executed, outcome) in [(0, Executed::No), (1, Executed::Unknown)] {
        let record =
            AnswerRecord { what: 2, replayed: executed, len: count(error.len()), ..AnswerRecord::new_zeroed() };
        let answer = take_answer(&mut &*[record.as_bytes(), error].concat()).unwrap().unwrap_err();
        assert_eq!(answer.executed(), outcome);
        assert!(answer.to_string().contains("of-tomorrow"), "{answer}");
    }
}

/// Each byte that must be one of a few.
#[test]
fn bytes_that_mean_nothing_are_refused() {
    let sale = Entry {
        seq: Seq(1),
        at: Timestamp(1),
        kind: Kind::Sale,
        key: None,
        changes: [].into_iter().collect(),
        text: None,
        details: None,
    };
    let receipt = Entry { key: Some(OrderId(Uuid::nil())), ..sale.clone() }
        .order()
        .map(|order| Receipt { order, replayed: false });
    let call = write_calls([OrderCommand::Release(OrderId(Uuid::nil()))].into_iter());
    let answer = write_answers(&[Ok(receipt.unwrap())]);
    let page = write_page(&page(Uuid::nil(), 1, vec![sale]));
    refuses::<Vec<OrderCommand>>(&call, &[(4, 2)]);
    // Kind, two flags, and the highest byte of the total.
    refuses::<Vec<Result<Receipt>>>(&answer, &[(4, 4), (5, 2), (6, 2), (30, 1)]);
    // The page's currency and flag; kind and flag of the first entry.
    let no_kind = u8::try_from(KINDS.len()).unwrap();
    refuses::<Entries>(&page, &[(16, b'?'), (43, 2), (168, no_kind), (169, 2)]);
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

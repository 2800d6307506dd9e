//! The audit accepts a good ledger, and names what is wrong with a bad one.

use bookstore_core::{
    BookId, BookText, Change, Entry, Kind, OrderId, Seq, Timestamp,
    audit::{Audit, Finding, Summary},
    decide::Level,
    fixtures::{book, cents},
    ledger::Details,
};
use uuid::Uuid;

fn key(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn entry(seq: u64, kind: Kind, of: Option<u128>, changes: &[(u64, i64, u64, u32)]) -> Entry {
    let changes = changes.iter().map(|&(book, delta, price, stock)| Change {
        book: BookId(book),
        delta,
        price_cents: cents(price),
        stock,
    });
    let text = (kind == Kind::Listing).then(|| book("A book", 1).text.into());
    Entry { seq: Seq(seq), at: Timestamp(0), kind, key: of.map(key), changes: changes.collect(), text, details: None }
}

/// Two books, a sale of both, a new price, the return, a keyed restock, and a sale that stands.
fn good() -> Vec<Entry> {
    vec![
        entry(1, Kind::Listing, None, &[(1, 10, 100, 10)]),
        entry(2, Kind::Listing, None, &[(2, 5, 200, 5)]),
        entry(3, Kind::Sale, Some(1), &[(1, -2, 100, 8), (2, -5, 200, 0)]),
        entry(4, Kind::Reprice, None, &[(1, 1, 150, 9)]),
        entry(5, Kind::Return, Some(1), &[(1, 2, 100, 11), (2, 5, 200, 5)]),
        entry(6, Kind::Restock, Some(2), &[(2, -5, 200, 0)]),
        entry(7, Kind::Sale, Some(3), &[(1, -3, 150, 8)]),
    ]
}

fn levels() -> Vec<(BookId, Level)> {
    vec![(BookId(1), level(8, 150, 7, 1)), (BookId(2), level(0, 200, 6, 2))]
}

fn level(stock: u32, price: u64, version: u64, text_version: u64) -> Level {
    Level { stock, price_cents: cents(price), version: Seq(version), text_version: Seq(text_version), on_sale: true }
}

/// Every finding of the entries.
fn findings(entries: &[Entry]) -> Vec<Finding> {
    let mut audit = Audit::new();
    entries.iter().filter_map(|entry| audit.take(entry).err()).collect()
}

/// The good ledger with its entry `seq` replaced.
fn spoiled(seq: u64, with: Entry) -> Vec<Entry> {
    let mut entries = good();
    entries[usize::try_from(seq).expect("small") - 1] = with;
    entries
}

#[test]
fn a_good_ledger_is_good() {
    let mut audit = Audit::new();
    for entry in good() {
        audit.take(&entry).expect("a good entry");
    }
    assert_eq!(audit.books().collect::<Vec<_>>(), [BookId(1), BookId(2)]);
    assert_eq!(audit.level(BookId(1)), Some(levels()[0].1));
    let summary = Summary { head: Seq(7), books: 2, sales: 2, returns: 1, copies_sold: 3 };
    assert_eq!(audit.finish(levels()), (summary, Vec::new()));
}

#[test]
fn an_empty_ledger_is_good() {
    assert_eq!(Audit::new().finish([]), (Summary::default(), Vec::new()));
}

#[test]
fn gaps_repeats_and_a_missing_beginning_are_found() {
    let mut entries = good();
    entries.remove(5);
    let gap = |after, found| Finding::Gap { after: Seq(after), found: Seq(found) };
    assert_eq!(findings(&entries)[0], gap(5, 7));
    let mut entries = good();
    entries.insert(4, entries[3].clone());
    assert_eq!(findings(&entries)[0], gap(4, 4));
    assert_eq!(findings(&good()[1..2]), [gap(0, 2)]);
}

#[test]
fn a_wrong_sum_is_found_once_and_where_it_happened() {
    let wrong = entry(3, Kind::Sale, Some(1), &[(1, -2, 100, 8), (2, -4, 200, 0)]);
    let sum = Finding::Sum { seq: Seq(3), book: BookId(2), sum: 1, stated: 0 };
    let not_mirrored = Finding::NotMirrored { seq: Seq(5), key: key(1) };
    assert_eq!(findings(&spoiled(3, wrong)), [sum, not_mirrored]);
    // More sold than there was: no stock can be stated that is right.
    let oversold = entry(3, Kind::Sale, Some(1), &[(1, -2, 100, 8), (2, -6, 200, 0)]);
    let sum = Finding::Sum { seq: Seq(3), book: BookId(2), sum: -1, stated: 0 };
    assert_eq!(findings(&spoiled(3, oversold))[0], sum);
    let first = entry(1, Kind::Listing, None, &[(1, 10, 100, 11)]);
    let sum = Finding::Sum { seq: Seq(1), book: BookId(1), sum: 10, stated: 11 };
    assert_eq!(findings(&spoiled(1, first))[0], sum);
    let absurd = entry(4, Kind::Restock, None, &[(1, i64::MAX, 100, 9)]);
    assert!(matches!(findings(&spoiled(4, absurd))[0], Finding::Sum { .. }));
}

#[test]
fn keys_that_do_something_twice_are_found() {
    let again = |seq, of| Finding::KeyUsedAgain { seq: Seq(seq), key: key(of) };
    let sold_twice = entry(7, Kind::Sale, Some(1), &[(1, -3, 150, 8)]);
    assert_eq!(findings(&spoiled(7, sold_twice)), [again(7, 1)]);
    let returned_twice = entry(6, Kind::Return, Some(1), &[(1, 2, 100, 13), (2, 5, 200, 10)]);
    assert_eq!(findings(&spoiled(6, returned_twice))[0], again(6, 1));
    let key_of_an_amend = entry(7, Kind::Sale, Some(2), &[(1, -3, 150, 8)]);
    assert_eq!(findings(&spoiled(7, key_of_an_amend)), [again(7, 2)]);
    let key_of_a_sale = entry(6, Kind::Restock, Some(1), &[(2, -5, 200, 0)]);
    assert_eq!(findings(&spoiled(6, key_of_a_sale)), [again(6, 1)]);
}

#[test]
fn returns_that_match_no_sale_are_found() {
    let stranger = entry(5, Kind::Return, Some(9), &[(1, 2, 100, 11), (2, 5, 200, 5)]);
    assert_eq!(findings(&spoiled(5, stranger)), [Finding::ReturnWithoutSale { seq: Seq(5), key: key(9) }]);
    let amend = entry(7, Kind::Return, Some(2), &[(2, 5, 200, 5)]);
    assert_eq!(findings(&spoiled(7, amend)), [Finding::ReturnWithoutSale { seq: Seq(7), key: key(2) }]);
    let not_mirrored = [
        entry(5, Kind::Return, Some(1), &[(1, 2, 100, 11)]),
        entry(5, Kind::Return, Some(1), &[(1, 1, 100, 10), (2, 5, 200, 5)]),
        entry(5, Kind::Return, Some(1), &[(1, 2, 150, 11), (2, 5, 200, 5)]),
    ];
    for entry in not_mirrored {
        assert_eq!(findings(&spoiled(5, entry))[0], Finding::NotMirrored { seq: Seq(5), key: key(1) });
    }
}

#[test]
fn prices_that_were_not_in_force_are_found() {
    let sale = entry(7, Kind::Sale, Some(3), &[(1, -3, 100, 8)]);
    assert_eq!(findings(&spoiled(7, sale)), [Finding::Price { seq: Seq(7), book: BookId(1) }]);
    let restock = entry(6, Kind::Restock, Some(2), &[(2, -5, 201, 0)]);
    assert_eq!(findings(&spoiled(6, restock)), [Finding::Price { seq: Seq(6), book: BookId(2) }]);
}

#[test]
fn unlisted_and_twice_listed_books_are_found() {
    let unlisted = entry(7, Kind::Sale, Some(3), &[(3, -3, 150, 8)]);
    let finding = Finding::Listing { seq: Seq(7), book: BookId(3), listed: false };
    assert_eq!(findings(&spoiled(7, unlisted)), [finding]);
    let twice = entry(7, Kind::Listing, None, &[(1, -3, 150, 8)]);
    assert_eq!(findings(&spoiled(7, twice)), [Finding::Listing { seq: Seq(7), book: BookId(1), listed: true }]);
}

#[test]
fn misshapen_entries_are_found() {
    let misshapen = [
        entry(7, Kind::Sale, Some(3), &[]),
        entry(7, Kind::Sale, None, &[(1, -3, 150, 8)]),
        entry(7, Kind::Sale, Some(3), &[(1, 3, 150, 14)]),
        entry(7, Kind::Sale, Some(3), &[(1, 0, 150, 11)]),
        entry(7, Kind::Sale, Some(3), &[(2, -0, 200, 0), (1, -3, 150, 8)]),
        entry(7, Kind::Sale, Some(3), &[(1, -2, 150, 9), (1, -1, 150, 8)]),
        entry(7, Kind::Return, None, &[(1, 3, 150, 14)]),
        entry(7, Kind::Return, Some(3), &[(1, -3, 150, 8)]),
        entry(7, Kind::Restock, None, &[(1, 1, 150, 12), (2, 1, 200, 1)]),
        entry(7, Kind::Reprice, None, &[(1, 1, 150, 12), (2, 1, 200, 1)]),
        entry(7, Kind::Listing, None, &[(3, 1, 1, 1), (4, 1, 1, 1)]),
        entry(7, Kind::Listing, Some(3), &[(3, 1, 1, 1)]),
    ];
    for entry in misshapen {
        let found = findings(&spoiled(7, entry.clone()));
        assert!(matches!(found[..], [Finding::Misshapen { seq: Seq(7), .. }]), "{entry:?}: {found:?}");
    }
}

/// The entry with details.
fn with(entry: Entry, details: Details) -> Entry {
    Entry { details: Some(Box::new(details)), ..entry }
}

#[test]
fn a_book_that_is_off_sale_is_not_sold() {
    let revised = |seq| {
        let text = BookText { title: "t".into(), topic: "t".into(), ..BookText::default() };
        Entry { text: Some(text.into()), ..entry(seq, Kind::Revise, None, &[(1, 0, 150, 8)]) }
    };
    let withdrawn = || Details { withdrawn: true, ..Details::default() };
    let from = |seq| Details { text_version: Some(Seq(seq)), ..Details::default() };
    let withdraw = |seq| entry(seq, Kind::Withdraw, None, &[(1, 0, 150, 8)]);
    let relist = |seq| entry(seq, Kind::Relist, None, &[(1, 0, 150, 8)]);
    let after = |more: &[Entry]| {
        let mut entries = good();
        entries.extend(more.iter().cloned());
        findings(&entries)
    };
    let right = [withdraw(8), with(revised(9), withdrawn()), with(relist(10), from(9)), revised(11)];
    assert_eq!(after(&right), []);
    for wrong in [
        [withdraw(8), entry(9, Kind::Sale, Some(9), &[(1, -1, 150, 7)])],
        [withdraw(8), entry(9, Kind::Withdraw, None, &[(1, 0, 150, 8)])],
        [withdraw(8), revised(9)],
        [withdraw(8), relist(9)],
        [withdraw(8), with(relist(9), from(7))],
        [revised(8), with(relist(9), from(8))],
        [revised(8), with(revised(9), withdrawn())],
        [revised(8), entry(9, Kind::Withdraw, None, &[(1, 1, 150, 9)])],
        [revised(8), entry(9, Kind::Revise, None, &[(1, 0, 150, 8)])],
        [revised(8), Entry { kind: Kind::Withdraw, ..revised(9) }],
    ] {
        let found = after(&wrong);
        assert!(matches!(found[..], [Finding::Misshapen { seq: Seq(9), .. }]), "{wrong:?}: {found:?}");
    }
}

#[test]
fn a_store_that_disagrees_is_found() {
    let finish = |levels: Vec<(BookId, Level)>| {
        let mut audit = Audit::new();
        good().iter().for_each(|entry| audit.take(entry).expect("a good entry"));
        audit.finish(levels).1
    };
    let spoil = |spoil: fn(&mut Level)| {
        let mut levels = levels();
        spoil(&mut levels[0].1);
        levels
    };
    let off = [
        spoil(|level| level.stock += 1),
        spoil(|level| level.price_cents = cents(1)),
        spoil(|level| level.version = Seq(6)),
        spoil(|level| level.text_version = Seq(2)),
        spoil(|level| level.on_sale = false),
    ];
    for levels_off in off {
        let found = Some(levels_off[0].1);
        let ledger = Some(levels()[0].1);
        assert_eq!(finish(levels_off), [Finding::Level { book: BookId(1), ledger, found }]);
    }
    let (missing, ledger) = (levels()[..1].to_vec(), Some(levels()[1].1));
    assert_eq!(finish(missing), [Finding::Level { book: BookId(2), ledger, found: None }]);
    let (mut extra, found) = (levels(), Some(levels()[1].1));
    extra.push((BookId(3), levels()[1].1));
    assert_eq!(finish(extra), [Finding::Level { book: BookId(3), ledger: None, found }]);
}

#[test]
fn findings_read_like_sentences() {
    let level = levels()[0].1;
    let missing = Finding::Level { book: BookId(1), ledger: Some(level), found: None };
    assert_eq!(
        missing.to_string(),
        "book 1 is missing, but the ledger says 8 at 150 cents, version 7, text 1, on sale"
    );
    let listing = Finding::Listing { seq: Seq(7), book: BookId(3), listed: false };
    assert_eq!(listing.to_string(), "entry 7 touches the unlisted book 3");
    let sum = Finding::Sum { seq: Seq(3), book: BookId(2), sum: -1, stated: 0 };
    assert_eq!(sum.to_string(), "entry 3 leaves 0 of book 2, but the deltas sum up to -1");
}

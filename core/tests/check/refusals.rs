//! Refusals that lie.

use bookstore_core::{
    Amend, BookId, Error, Lines, Seq,
    check::{Operation, Outcome, Rule},
    fixtures::{cents, lines, one_at},
};

use crate::fixture::{Shop, delta, key};

fn short(book: u64, available: u32) -> Error {
    Error::OutOfStock { book: BookId(book), available, short: Vec::new() }
}

/// Records a purchase of `wanted` that was refused because of `error`.
fn refused(shop: &mut Shop, when: (u64, u64), id: u128, wanted: Lines, error: Error) -> usize {
    shop.record(when, Operation::Purchase { order: key(id), lines: wanted, outcome: Outcome::Refused(error) })
}

fn refused_amend(shop: &mut Shop, change: Amend, with: Option<u128>, error: Error) -> usize {
    let (book, key) = (BookId(1), with.map(key));
    shop.record((90, 91), Operation::Amend { book, change, key, outcome: Outcome::Refused(error) })
}

#[test]
fn out_of_stock_is_true_while_there_are_too_few() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(2, 4)]);
    shop.buy((12, 13), 2, &[(1, 1), (2, 2)]);
    shop.amend((14, 15), 2, delta(-2), None);
    shop.assert_right();
    assert_eq!(shop.check().counts.refused, 2);
}

#[test]
fn out_of_stock_while_enough_remained_is_a_lie() {
    let mut shop = Shop::open();
    let lie = refused(&mut shop, (10, 11), 1, lines(&[(1, 1)]), short(1, 0));
    assert_eq!(shop.assert_broken(Rule::OutOfStock).violations[0].calls, [lie]);
}

#[test]
fn out_of_stock_before_or_after_it_was_so_is_a_lie() {
    let mut shop = Shop::open();
    shop.buy((20, 30), 1, &[(2, 5)]);
    shop.cancel((40, 50), 1);
    let lie = refused(&mut shop, (51, 60), 2, lines(&[(2, 1)]), short(2, 0));
    shop.assert_broken(Rule::OutOfStock);
    shop.calls[lie].invoked = 50;
    shop.assert_right();
    (shop.calls[lie].invoked, shop.calls[lie].completed) = (12, Some(19));
    shop.assert_broken(Rule::OutOfStock);
    shop.calls[lie].completed = Some(20);
    shop.assert_right();
}

#[test]
fn the_number_that_is_left_must_have_been_left() {
    let mut shop = Shop::open();
    shop.buy((10, 20), 1, &[(2, 2)]);
    for (available, right) in [(5, false), (4, false), (3, true), (2, false), (0, false)] {
        let mut shop = shop.clone();
        refused(&mut shop, (10, 20), 2, lines(&[(2, 4)]), short(2, available));
        if right { shop.assert_right() } else { drop(shop.assert_broken(Rule::OutOfStock)) }
    }
    refused(&mut shop, (10, 20), 2, lines(&[(2, 6)]), short(2, 5));
    shop.assert_right();
}

#[test]
fn out_of_stock_is_about_what_was_asked() {
    let mut shop = Shop::open();
    refused(&mut shop, (10, 11), 1, lines(&[(1, 1)]), short(2, 5));
    shop.assert_broken(Rule::OutOfStock);
    let mut shop = Shop::open();
    refused(&mut shop, (10, 11), 1, lines(&[(9, 1)]), short(9, 0));
    shop.assert_broken(Rule::OutOfStock);
}

#[test]
fn a_restock_is_refused_only_if_it_takes_too_many() {
    let mut shop = Shop::open();
    refused_amend(&mut shop, delta(-11), None, short(1, 10));
    shop.assert_right();
    refused_amend(&mut shop, delta(-10), None, short(1, 10));
    shop.assert_broken(Rule::OutOfStock);
    let mut shop = Shop::open();
    refused_amend(&mut shop, delta(3), None, short(1, 10));
    shop.assert_broken(Rule::OutOfStock);
}

#[test]
fn what_was_done_is_not_refused_later() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(2, 5)]);
    shop.amend((12, 13), 1, delta(-10), Some(key(9)));
    let sold_out = refused(&mut shop, (14, 15), 1, lines(&[(2, 5)]), short(2, 0));
    assert_eq!(shop.assert_broken(Rule::SameAnswer).violations[0].calls, [sold_out]);
    shop.calls.remove(sold_out);
    refused_amend(&mut shop, delta(-10), Some(9), short(1, 0));
    shop.assert_broken(Rule::SameAnswer);
}

#[test]
fn an_id_is_refused_only_if_it_was_used_for_something_else() {
    let (mut shop, _) = Shop::sold();
    shop.buy((12, 13), 1, &[(1, 4)]);
    shop.amend((14, 15), 1, delta(1), Some(key(1)));
    shop.amend((16, 17), 1, delta(1), Some(key(9)));
    shop.amend((18, 19), 2, delta(1), Some(key(9)));
    shop.buy((20, 21), 9, &[(1, 1)]);
    shop.amend((22, 23), 1, delta(2), Some(key(9)));
    shop.assert_right();
    assert_eq!(shop.check().counts.refused, 5);
    let reused = |id| Error::OrderIdReused { order: key(id) };
    let mut same = shop.clone();
    refused(&mut same, (90, 91), 1, lines(&[(1, 3)]), reused(1));
    same.assert_broken(Rule::TrueRefusal);
    let mut new = shop.clone();
    refused(&mut new, (90, 91), 5, lines(&[(1, 3)]), reused(5));
    new.assert_broken(Rule::TrueRefusal);
    let mut early = shop.clone();
    refused(&mut early, (1, 2), 1, lines(&[(1, 4)]), reused(1));
    early.assert_broken(Rule::TrueRefusal);
    refused_amend(&mut shop, delta(1), Some(9), reused(9));
    shop.assert_broken(Rule::TrueRefusal);
}

#[test]
fn a_changed_price_is_the_price() {
    let mut shop = Shop::open();
    shop.set((10, 20), 1, Some(150), None);
    shop.purchase((21, 22), 1, one_at(1, 100));
    shop.assert_right();
    let changed = |price| Error::PriceChanged { book: BookId(1), price_cents: cents(price) };
    for (when, seen, price, right) in [
        ((10, 20), 99, 100, true),
        ((10, 20), 99, 150, true),
        ((10, 20), 100, 100, false),
        ((21, 22), 99, 100, false),
        ((5, 9), 99, 150, false),
        ((10, 20), 99, 120, false),
    ] {
        let mut shop = shop.clone();
        refused(&mut shop, when, 2, one_at(1, seen), changed(price));
        if right { shop.assert_right() } else { drop(shop.assert_broken(Rule::TrueRefusal)) }
    }
    refused(&mut shop, (10, 20), 2, lines(&[(1, 1)]), changed(150));
    shop.assert_broken(Rule::TrueRefusal);
}

#[test]
fn a_book_that_is_refused_as_unknown_was_not_listed() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(7, 1)]);
    shop.amend((12, 13), 7, delta(1), None);
    shop.assert_right();
    let unknown = |book| Error::BookNotFound { book: BookId(book) };
    let mut listed = shop.clone();
    refused(&mut listed, (90, 91), 2, lines(&[(1, 1)]), unknown(1));
    listed.assert_broken(Rule::TrueRefusal);
    let mut amended = shop.clone();
    refused_amend(&mut amended, delta(1), None, unknown(1));
    amended.assert_broken(Rule::TrueRefusal);
    refused(&mut shop, (90, 91), 2, lines(&[(1, 1)]), unknown(8));
    shop.assert_broken(Rule::TrueRefusal);
}

#[test]
fn a_version_that_is_refused_was_not_the_one() {
    let set = |version: Option<u64>, stock| Amend::Set { price_cents: None, stock, version: version.map(Seq) };
    let mismatch = |version| Error::VersionMismatch { book: BookId(1), version: Seq(version) };
    let (mut shop, _) = Shop::sold();
    refused_amend(&mut shop, set(Some(1), Some(7)), None, mismatch(3));
    refused_amend(&mut shop, set(None, Some(7)), None, Error::VersionRequired);
    shop.assert_right();
    for (change, error) in [
        (set(Some(3), Some(7)), mismatch(3)),
        (set(Some(2), Some(7)), mismatch(1)),
        (set(Some(1), Some(7)), mismatch(2)),
        (set(None, None), mismatch(3)),
        (set(None, None), Error::VersionRequired),
        (set(Some(3), Some(7)), Error::VersionRequired),
        (delta(1), Error::OrderNotFound { order: key(1) }),
    ] {
        let mut shop = shop.clone();
        refused_amend(&mut shop, change, None, error);
        shop.assert_broken(Rule::TrueRefusal);
    }
}

#[test]
fn an_order_that_cannot_be_cancelled_was_not_there() {
    let mut shop = Shop::open();
    shop.cancel((10, 11), 1);
    shop.buy((12, 13), 1, &[(1, 3)]);
    shop.assert_right();
    let cancelled = shop.cancel((14, 15), 1);
    shop.lose(4);
    shop.end(cancelled, &Outcome::Refused(Error::OrderNotFound { order: key(1) }));
    shop.assert_broken(Rule::ReadYourWrites);
}

#[test]
fn a_refusal_must_be_one_that_the_call_can_have() {
    let mut shop = Shop::open();
    refused(&mut shop, (10, 11), 1, lines(&[(1, 1)]), Error::VersionRequired);
    shop.assert_broken(Rule::TrueRefusal);
}

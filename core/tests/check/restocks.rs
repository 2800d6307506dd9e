//! Restocks, absolute values and listings: lost updates, doubled ones, and ones that no call asked for.

use bookstore_core::{
    Amend, BookId, Kind, Seq,
    check::{ListedBook, Operation, Outcome, Rule},
    fixtures::cents,
};

use crate::fixture::{Shop, delta, key};

#[test]
fn a_lost_update_is_lost() {
    let mut shop = Shop::open();
    shop.amend((10, 20), 1, delta(5), None);
    let other = shop.amend((10, 20), 1, delta(5), None);
    shop.assert_right();
    // Both read ten, added five, and wrote back fifteen.
    shop.lose(4);
    let shown = shop.shown(1);
    *shop.book_of(other) = bookstore_core::check::BookState { stock: 15, version: Seq(3), ..shown };
    assert_eq!(shop.assert_broken(Rule::NoLoss).violations[0].calls, [other]);
}

#[test]
fn an_acknowledged_restock_with_a_key_is_lost_if_the_ledger_has_none() {
    let (mut shop, restock) = Shop::restocked(Some(key(9)));
    shop.lose(3);
    assert_eq!(shop.assert_broken(Rule::NoLoss).violations[0].calls, [restock]);
}

#[test]
fn a_restock_without_a_key_happens_at_most_as_often_as_it_was_asked_for() {
    let (mut shop, known) = Shop::restocked(None);
    let unknown = shop.amend((12, 13), 1, delta(5), None);
    shop.forget(unknown);
    shop.assert_right();
    assert_eq!(shop.check().counts.unacknowledged, 1);
    shop.forget(known);
    shop.assert_right();
    shop.double(3);
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn a_restock_of_unknown_outcome_need_not_have_happened() {
    let (mut shop, restock) = Shop::restocked(None);
    shop.forget(restock);
    shop.lose(3);
    shop.assert_right();
}

#[test]
fn a_keyed_restock_happens_once() {
    let (mut shop, _) = Shop::restocked(Some(key(9)));
    shop.amend((12, 13), 1, delta(5), Some(key(9)));
    shop.assert_right();
    shop.double(3);
    shop.assert_broken(Rule::ExactlyOnce);
}

#[test]
fn a_key_is_not_accepted_for_another_restock() {
    let (mut shop, _) = Shop::restocked(Some(key(9)));
    let other = shop.amend((12, 13), 1, delta(5), Some(key(9)));
    let Operation::Amend { change, .. } = &mut shop.calls[other].operation else { panic!("an amend") };
    *change = delta(6);
    shop.assert_broken(Rule::IdReuse);
}

#[test]
fn a_restock_that_no_call_asked_for_is_a_phantom() {
    for with in [None, Some(key(9))] {
        let (mut shop, restock) = Shop::restocked(with);
        shop.calls.remove(restock);
        shop.assert_broken(Rule::NoPhantom);
    }
}

#[test]
fn a_restock_by_another_number_is_a_phantom() {
    let (mut shop, restock) = Shop::restocked(Some(key(9)));
    let Operation::Amend { change, .. } = &mut shop.calls[restock].operation else { panic!("an amend") };
    *change = delta(6);
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn a_refused_restock_is_a_phantom() {
    let (mut shop, restock) = Shop::restocked(None);
    shop.end(restock, &Outcome::NotExecuted);
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn restocks_follow_the_clock() {
    let mut shop = Shop::open();
    shop.amend((20, 21), 1, delta(5), None);
    shop.amend((10, 11), 1, delta(6), None);
    shop.assert_broken(Rule::RealTimeOrder);
    // One of unknown outcome was made too late for the first of two entries like it.
    let mut shop = Shop::open();
    let late = shop.amend((20, 21), 1, delta(5), None);
    shop.amend((10, 11), 1, delta(6), None);
    shop.forget(late);
    shop.assert_broken(Rule::RealTimeOrder);
}

#[test]
fn an_answer_with_the_version_of_another_entry_is_found() {
    let (mut shop, restock) = Shop::restocked(None);
    shop.buy((12, 13), 1, &[(1, 1)]);
    shop.book_of(restock).version = Seq(4);
    let rules = shop.check().rules();
    assert!(rules.contains(&Rule::SameAnswer), "{rules:?}");
}

#[test]
fn a_value_is_set_only_on_the_version_that_was_seen() {
    let mut shop = Shop::open();
    let set = shop.set((10, 11), 1, Some(150), Some(7));
    shop.assert_right();
    shop.buy((12, 13), 1, &[(1, 1)]);
    let lost = shop.set((14, 15), 1, None, Some(9));
    shop.assert_right();
    let Operation::Amend { change: Amend::Set { version, .. }, .. } = &mut shop.calls[lost].operation else {
        panic!("a set")
    };
    // It had seen the stock before the sale, which it has overwritten.
    *version = Some(Seq(3));
    assert_eq!(shop.assert_broken(Rule::Linearizable).violations[0].calls, [lost]);
    shop.calls[lost].operation = shop.calls[set].operation.clone();
    assert!(!shop.check().holds());
}

#[test]
fn values_of_unknown_outcome_may_have_been_set() {
    type Set = (Option<u64>, Option<u32>);
    let sets: [Set; 4] = [(Some(150), None), (None, Some(7)), (Some(150), Some(7)), (Some(100), Some(10))];
    for (price, stock) in sets {
        let mut shop = Shop::open();
        let set = shop.set((10, 11), 1, price, stock);
        shop.forget(set);
        shop.assert_right();
        assert_eq!(shop.check().counts.unacknowledged, 1);
        shop.calls.remove(set);
        shop.assert_broken(Rule::NoPhantom);
    }
    let mut shop = Shop::open();
    let set = shop.amend((10, 11), 1, Amend::Set { price_cents: Some(cents(7)), stock: None, version: None }, None);
    shop.forget(set);
    shop.assert_right();
}

#[test]
fn a_listing_is_kept_once_and_as_asked() {
    let mut shop = Shop::open();
    let listing = shop.add_books((10, 11), 3, 300);
    shop.assert_right();
    let mut lost = shop.clone();
    lost.lose(3);
    lost.assert_broken(Rule::NoLoss);
    let mut phantom = shop.clone();
    phantom.calls.remove(listing);
    phantom.assert_broken(Rule::NoPhantom);
    let mut other = shop.clone();
    let Operation::AddBooks { books, .. } = &mut other.calls[listing].operation else { panic!("a listing") };
    books[0] = ListedBook { stock: 4, ..books[0] };
    other.assert_broken(Rule::NoPhantom);
    let mut twice = shop.clone();
    twice.record((10, 11), shop.calls[listing].operation.clone());
    twice.assert_broken(Rule::SameAnswer);
    let mut short = shop.clone();
    let Operation::AddBooks { books, .. } = &mut short.calls[listing].operation else { panic!("a listing") };
    books.push(books[0]);
    short.assert_broken(Rule::SameAnswer);
}

#[test]
fn a_listing_of_unknown_outcome_may_have_happened() {
    let mut shop = Shop::open();
    let listing = shop.add_books((10, 11), 3, 300);
    shop.forget(listing);
    shop.assert_right();
    assert_eq!(shop.batch.entries[2].kind, Kind::Listing);
    // A second call found it listed.
    let listed = bookstore_core::Added { id: BookId(3), created: false };
    let books = vec![ListedBook { stock: 3, price_cents: cents(300) }];
    let again = shop.record((12, 13), Operation::AddBooks { books, outcome: Outcome::Answered(vec![listed]) });
    shop.assert_right();
    (shop.calls[again].invoked, shop.calls[again].completed) = (1, Some(2));
    shop.calls.remove(listing);
    let rules = shop.check().rules();
    assert!(rules.iter().eq([&Rule::Linearizable]), "{rules:?}");
}

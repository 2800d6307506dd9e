//! Corrections of texts, and books that are off sale.

use bookstore_core::{
    Amend, BookId, BookText, Error, Seq,
    check::{Operation, Outcome, Rule},
    fixtures::{book, lines},
};

use crate::fixture::{Shop, key};

fn revise(title: &str, seen: u64) -> Amend {
    let text = Box::new(BookText { title: title.into(), ..book(title, 1).text });
    Amend::Revise { text, text_version: Some(Seq(seen)) }
}

/// Two revisions of book 1, a withdrawal with a refused purchase, and the relisting, one after the other.
fn edited() -> Shop {
    let mut shop = Shop::open();
    shop.amend((10, 11), 1, revise("One", 1), Some(key(1)));
    shop.amend((12, 13), 1, revise("Two", 3), None);
    shop.amend((14, 15), 1, Amend::Withdraw, None);
    shop.buy((16, 17), 2, &[(1, 1)]);
    shop.amend((18, 19), 1, Amend::Withdraw, None);
    shop.info((20, 21), 1);
    shop.amend((22, 23), 1, Amend::Relist, Some(key(3)));
    shop.buy((24, 25), 2, &[(1, 1)]);
    shop.amend((26, 27), 1, revise("Three", 1), None);
    shop
}

fn refused(shop: &mut Shop, change: Amend, error: Error) -> usize {
    shop.record((90, 91), Operation::Amend { book: BookId(1), change, key: None, outcome: Outcome::Refused(error) })
}

#[test]
fn a_right_history_is_right() {
    let shop = edited();
    shop.assert_right();
    assert_eq!(shop.check().counts.refused, 2);
}

#[test]
fn the_same_withdrawal_may_answer_two_calls() {
    let mut shop = Shop::open();
    let first = shop.amend((10, 15), 1, Amend::Withdraw, None);
    let second = shop.amend((5, 20), 1, Amend::Withdraw, None);
    shop.assert_right();
    for unknown in [first, second] {
        let mut shop = shop.clone();
        shop.forget(unknown);
        shop.assert_right();
    }
}

#[test]
fn a_lost_revision_is_found() {
    for seq in [3, 4] {
        let mut shop = Shop::open();
        shop.amend((10, 11), 1, revise("One", 1), (seq == 3).then(|| key(1)));
        shop.batch.entries.truncate(2);
        assert!(shop.check().rules().contains(&Rule::NoLoss), "{}", shop.check());
    }
}

#[test]
fn a_book_shown_as_it_was_not_is_found() {
    let mut shop = edited();
    shop.book_of(7).on_sale = true;
    shop.assert_broken(Rule::Linearizable);
    let mut shop = edited();
    shop.book_of(7).text_version = Seq(3);
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn refusals_about_texts_must_have_been_true() {
    let on_sale = Error::BookWithdrawn { book: BookId(1) };
    let mut shop = edited();
    let lines = lines(&[(1, 1)]);
    let purchase = Operation::Purchase { order: key(9), lines, outcome: Outcome::Refused(on_sale) };
    shop.record((90, 91), purchase);
    shop.assert_broken(Rule::TrueRefusal);
    let mismatch = |version| Error::TextVersionMismatch { book: BookId(1), text_version: Seq(version) };
    for (change, error) in [
        (revise("Three", 4), mismatch(4)),
        (revise("Three", 1), mismatch(3)),
        (revise("Three", 4), Error::VersionRequired),
        (Amend::Withdraw, mismatch(4)),
        (revise("Three", 4), Error::BookExists { book: BookId(1) }),
        (revise("Three", 4), Error::BookExists { book: BookId(7) }),
    ] {
        let mut shop = edited();
        refused(&mut shop, change, error);
        shop.assert_broken(Rule::TrueRefusal);
    }
    let mut shop = edited();
    refused(&mut shop, revise("Three", 4), Error::BookExists { book: BookId(2) });
    shop.assert_right();
}

#[test]
fn a_text_set_over_another_one_than_was_seen_is_found() {
    let mut shop = Shop::open();
    shop.amend((10, 11), 1, revise("One", 1), None);
    let call = shop.amend((12, 13), 1, revise("Two", 3), Some(key(2)));
    if let Operation::Amend { change: Amend::Revise { text_version, .. }, .. } = &mut shop.calls[call].operation {
        *text_version = Some(Seq(1));
    }
    shop.assert_broken(Rule::Linearizable);
}

//! Reads of books and orders: stale, from the future, or never true.

use bookstore_core::{
    BookId, Error, Receipt, Seq,
    check::{BookState, Operation, Outcome, Rule},
    fixtures::cents,
};

use crate::fixture::{Shop, key};

#[test]
fn a_stock_that_never_was_is_not_linearizable() {
    let spoils: [fn(&mut BookState); 4] = [
        |shown| shown.stock += 1,
        |shown| shown.price_cents = cents(1),
        |shown| shown.version = Seq(2),
        |shown| shown.version = Seq(99),
    ];
    for spoil in spoils {
        let (mut shop, _) = Shop::sold();
        let info = shop.info((12, 13), 1);
        spoil(shop.book_of(info));
        assert_eq!(shop.assert_broken(Rule::Linearizable).violations[0].calls, [info]);
    }
}

#[test]
fn a_read_of_what_was_acknowledged_before_must_show_it() {
    let mut shop = Shop::open();
    let before = shop.shown(1);
    shop.buy((10, 11), 1, &[(1, 3)]);
    let info = shop.info((12, 13), 1);
    *shop.book_of(info) = before;
    assert_eq!(shop.assert_broken(Rule::ReadYourWrites).violations[0].calls, [info]);
    // At the same time both are true.
    shop.calls[info].invoked = 11;
    shop.assert_right();
}

#[test]
fn a_page_of_books_is_read_book_by_book() {
    let mut shop = Shop::open();
    let before = shop.shown(1);
    shop.buy((10, 11), 1, &[(1, 3)]);
    let page = |books| Operation::Search { outcome: Outcome::Answered(books) };
    let found = vec![shop.shown(2), shop.shown(1)];
    let search = shop.record((12, 13), page(found));
    shop.assert_right();
    let found = vec![shop.shown(2), before];
    shop.calls[search].operation = page(found);
    shop.assert_broken(Rule::ReadYourWrites);
}

#[test]
fn a_read_cannot_show_what_was_not_yet_asked_for() {
    let mut shop = Shop::open();
    shop.buy((20, 21), 1, &[(1, 3)]);
    let info = shop.info((10, 19), 1);
    assert_eq!(shop.assert_broken(Rule::Linearizable).violations[0].calls, [info]);
    shop.calls[info].completed = Some(20);
    shop.assert_right();
}

#[test]
fn reads_do_not_go_back_in_time() {
    let mut shop = Shop::open();
    let before = shop.shown(1);
    // No answer has acknowledged the sale yet, but a read has shown it.
    shop.buy((10, 30), 1, &[(1, 3)]);
    shop.info((12, 13), 1);
    let info = shop.info((14, 15), 1);
    shop.assert_right();
    *shop.book_of(info) = before;
    assert_eq!(shop.assert_broken(Rule::Linearizable).violations[0].calls, [info]);
    shop.calls[info].invoked = 13;
    shop.assert_right();
}

#[test]
fn reads_of_two_books_do_not_show_half_an_order() {
    let mut shop = Shop::open();
    let before = shop.shown(2);
    let bought = shop.buy((10, 30), 1, &[(1, 3), (2, 1)]);
    shop.info((12, 13), 1);
    let info = shop.info((14, 15), 2);
    shop.forget(bought);
    shop.assert_right();
    *shop.book_of(info) = before;
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn a_refusal_shows_a_state_as_well() {
    let mut shop = Shop::open();
    let before = shop.shown(2);
    shop.buy((10, 30), 1, &[(2, 5)]);
    shop.buy((12, 13), 2, &[(2, 1)]);
    let info = shop.info((14, 15), 2);
    shop.assert_right();
    // It was refused with none left, and then shown five, although no call had brought any back.
    *shop.book_of(info) = before;
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn a_listed_book_is_found() {
    let mut shop = Shop::open();
    let info = shop.info((10, 11), 1);
    shop.end(info, &Outcome::Refused(Error::BookNotFound { book: BookId(1) }));
    shop.assert_broken(Rule::ReadYourWrites);
    shop.calls[info].invoked = 3;
    shop.assert_right();
    shop.info((12, 13), 9);
    shop.assert_right();
}

#[test]
fn an_acknowledged_order_is_found_through_any_server() {
    let (mut shop, _) = Shop::sold();
    shop.server = "b";
    let read = shop.read((12, 13), 1);
    shop.assert_right();
    shop.end(read, &Outcome::Refused(Error::OrderNotFound { order: key(1) }));
    assert_eq!(shop.assert_broken(Rule::ReadYourWrites).violations[0].calls, [read]);
    shop.calls[read].invoked = 11;
    shop.assert_right();
}

#[test]
fn an_order_that_was_shown_stays() {
    let (mut shop, bought) = Shop::sold();
    shop.read((12, 13), 1);
    let read = shop.read((14, 15), 1);
    shop.forget(bought);
    shop.assert_right();
    shop.end(read, &Outcome::Refused(Error::OrderNotFound { order: key(1) }));
    shop.assert_broken(Rule::ReadYourWrites);
}

#[test]
fn an_order_is_not_shown_before_it_was_asked_for() {
    let mut shop = Shop::open();
    shop.buy((20, 21), 1, &[(1, 3)]);
    shop.read((10, 11), 1);
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn an_order_is_shown_as_it_was_sold() {
    let (mut shop, _) = Shop::sold();
    let read = shop.read((12, 13), 1);
    shop.order_of(read).lines[0].quantity = 2;
    shop.assert_broken(Rule::SameAnswer);
    let page = vec![shop.order_of(read).clone()];
    shop.calls[read].operation = Operation::ReadOrders { outcome: Outcome::Answered(page) };
    shop.assert_broken(Rule::SameAnswer);
}

#[test]
fn a_cancellation_is_not_shown_before_it_was_asked_for() {
    let (mut shop, _) = Shop::sold();
    shop.cancel((20, 21), 1);
    let read = shop.read((12, 13), 1);
    shop.assert_broken(Rule::Linearizable);
    let page = vec![shop.order_of(read).clone()];
    shop.calls[read].operation = Operation::ReadOrders { outcome: Outcome::Answered(page) };
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn a_cancellation_that_was_shown_is_in_the_ledger() {
    let (mut shop, _) = Shop::sold();
    let cancelled = shop.cancel((12, 13), 1);
    shop.read((14, 15), 1);
    shop.forget(cancelled);
    shop.assert_right();
    shop.lose(4);
    shop.assert_broken(Rule::NoLoss);
}

#[test]
fn a_purchase_that_is_sent_again_learns_of_the_cancellation() {
    let (mut shop, _) = Shop::sold();
    let order = shop.order(1).expect("sold");
    shop.cancel((12, 13), 1);
    let again = shop.buy((14, 15), 1, &[(1, 3)]);
    shop.assert_right();
    let Operation::Purchase { outcome, .. } = &mut shop.calls[again].operation else { panic!("a purchase") };
    *outcome = Outcome::Answered(Receipt { order, replayed: true });
    shop.assert_broken(Rule::ReadYourWrites);
    shop.calls[again].invoked = 13;
    shop.assert_right();
}

#[test]
fn a_fresh_order_stands_and_a_cancelled_one_does_not() {
    let mut shop = Shop::open();
    let bought = shop.buy((10, 20), 1, &[(1, 3)]);
    let standing = shop.order(1).expect("sold");
    let cancelled = shop.cancel((12, 13), 1);
    let mut other = shop.clone();
    shop.receipt_of(bought).order = shop.order(1).expect("cancelled");
    shop.assert_broken(Rule::SameAnswer);
    other.receipt_of(cancelled).order = standing;
    other.assert_broken(Rule::SameAnswer);
}

#[test]
fn an_amend_shows_the_book_right_after_it() {
    let (mut shop, restock) = Shop::restocked(None);
    shop.book_of(restock).stock = 16;
    shop.assert_broken(Rule::Linearizable);
    let (mut shop, restock) = Shop::restocked(Some(key(9)));
    shop.assert_right();
    shop.book_of(restock).version = Seq(1);
    shop.book_of(restock).stock = 10;
    shop.assert_broken(Rule::Linearizable);
}

#[test]
fn a_book_that_no_ledger_knows_was_made_up() {
    let mut shop = Shop::open();
    let info = shop.info((10, 11), 1);
    shop.book_of(info).book = BookId(7);
    assert!(shop.check().rules().contains(&Rule::Linearizable));
}

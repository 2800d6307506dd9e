//! The search without a ledger: it agrees with trying every order, finds what cannot be, and gives up rather than hang.

use bookstore_core::{
    Amend, BookId, Cents, Error, Receipt, Seq, Timestamp,
    check::{self, BookState, Cached, Operation, Options, Outcome, Report, Rule, SEARCH_BUDGET},
    fixtures::{cents, lines},
};
use proptest::prelude::*;

use crate::fixture::{Shop, When, delta, key};

fn searched(shop: &Shop) -> Report {
    check::search(&shop.history(), &[(BookId(1), 3), (BookId(2), 3)], &Options::default(), SEARCH_BUDGET)
}

#[track_caller]
fn assert_found(shop: &Shop) -> Report {
    assert!(searched(shop).holds(), "{}", searched(shop));
    searched(shop)
}

#[track_caller]
fn assert_none(shop: &Shop) {
    let report = searched(shop);
    assert!(report.rules().iter().eq([&Rule::Linearizable]), "{report}");
}

/// What a call asks of book 1, in the small histories that are compared with trying every order.
#[derive(Clone, Copy, Debug)]
enum Small {
    Buy(u32),
    /// Cancels the purchase that is call 0.
    Cancel,
    Restock(i64, u32),
    Set(u32),
    Info(u32),
    Short(u32),
}

#[derive(Clone, Copy, Debug)]
struct SmallCall {
    what: Small,
    invoked: u64,
    completed: u64,
    answered: bool,
    /// The place in the ledger that its answer claims: true or not, it must not change the verdict.
    claim: u64,
}

const START: u32 = 3;

fn small_calls() -> impl Strategy<Value = Vec<SmallCall>> {
    let what = prop_oneof![
        3 => (1..3_u32).prop_map(Small::Buy),
        1 => Just(Small::Cancel),
        2 => (-2..3_i64, 0..6_u32).prop_map(|(by, then)| Small::Restock(by, then)),
        1 => (0..5_u32).prop_map(Small::Set),
        3 => (0..5_u32).prop_map(Small::Info),
        1 => (0..3_u32).prop_map(Small::Short),
    ];
    let call = (what, 0..8_u64, 0..5_u64, prop::bool::weighted(0.8), 0..7_u64).prop_map(
        |(what, invoked, length, answered, claim)| SmallCall {
            what,
            invoked,
            completed: invoked + length,
            answered,
            claim,
        },
    );
    prop::collection::vec(call, 1..7)
}

/// Tries every order: `done` says which calls have happened.
fn explained(calls: &[SmallCall], done: &mut Vec<bool>, stock: i64) -> bool {
    if calls.iter().zip(&*done).all(|(call, done)| *done || !call.answered) {
        return true;
    }
    (0..calls.len()).any(|next| {
        let call = calls[next];
        let overtaken = |other: usize| calls[other].answered && calls[other].completed < call.invoked && !done[other];
        if done[next] || (0..calls.len()).any(overtaken) {
            return false;
        }
        let bought = |at: usize| if let Small::Buy(copies) = calls[at].what { Some(i64::from(copies)) } else { None };
        let after = match call.what {
            Small::Buy(copies) => stock - i64::from(copies),
            Small::Cancel => match bought(0) {
                // Again is no return.
                Some(_) if done[0] && is_returned(calls, done) => stock,
                Some(copies) if done[0] => stock + copies,
                _ => return false,
            },
            Small::Restock(by, then) if !call.answered || stock + by == i64::from(then) => stock + by,
            Small::Set(stock) => i64::from(stock),
            Small::Info(seen) | Small::Short(seen) if i64::from(seen) == stock || !call.answered => stock,
            _ => return false,
        };
        if after < 0 {
            return false;
        }
        done[next] = true;
        let found = explained(calls, done, after);
        done[next] = false;
        found
    })
}

fn is_returned(calls: &[SmallCall], done: &[bool]) -> bool {
    calls.iter().zip(done).any(|(call, done)| *done && matches!(call.what, Small::Cancel))
}

fn receipt(id: u128, copies: u32, cancelled: bool) -> Receipt {
    let (lines, version) = (lines(&[(1, copies)]), Seq(0));
    let lines = lines.iter().map(|line| bookstore_core::OrderLine {
        book: line.book,
        quantity: line.quantity,
        unit_price_cents: Cents::ZERO,
    });
    let order = bookstore_core::Order {
        id: key(id),
        status: if cancelled { bookstore_core::Status::Cancelled } else { bookstore_core::Status::Placed },
        lines: lines.collect(),
        total_cents: Cents::ZERO,
        placed_at: Timestamp(0),
        seq: version,
        version,
        cancelled_at: cancelled.then_some(Timestamp(0)),
        details: None,
    };
    Receipt { order, replayed: cancelled }
}

fn shows(stock: u32) -> BookState {
    BookState { book: BookId(1), stock, price_cents: cents(100), version: Seq(0), text_version: Seq(0), on_sale: true }
}

/// Records a read of book 1 that shows this stock.
fn info(shop: &mut Shop, when: When, stock: u32) -> usize {
    shop.record(when, Operation::Info { book: BookId(1), outcome: Outcome::Answered(shows(stock)) })
}

/// Records a purchase of copies of book 1.
fn purchase(shop: &mut Shop, when: When, id: u128, copies: u32, outcome: Outcome<Receipt>) -> usize {
    shop.record(when, Operation::Purchase { order: key(id), lines: lines(&[(1, copies)]), outcome })
}

fn sold(id: u128, copies: u32, claim: u64) -> Receipt {
    let mut receipt = receipt(id, copies, false);
    receipt.order.seq = Seq(claim);
    receipt
}

fn recorded(calls: &[SmallCall]) -> Shop {
    let mut shop = Shop::empty();
    let bought = if let Small::Buy(copies) = calls[0].what { copies } else { 1 };
    for (id, call) in (0..).zip(calls) {
        let book = BookId(1);
        let amend =
            |change, then| Operation::Amend { book, change, key: None, outcome: Outcome::Answered(shows(then)) };
        let operation = match call.what {
            Small::Buy(copies) => Operation::Purchase {
                order: key(id),
                lines: lines(&[(1, copies)]),
                outcome: Outcome::Answered(sold(id, copies, call.claim)),
            },
            Small::Cancel => Operation::Cancel { order: key(0), outcome: Outcome::Answered(receipt(0, bought, true)) },
            Small::Restock(by, then) => amend(delta(by), then),
            Small::Set(stock) => amend(Amend::Set { price_cents: None, stock: Some(stock), version: None }, stock),
            Small::Info(stock) => Operation::Info { book, outcome: Outcome::Answered(shows(stock)) },
            Small::Short(available) => Operation::Purchase {
                order: key(100 + id),
                lines: lines(&[(1, 9)]),
                outcome: Outcome::Refused(Error::OutOfStock { book, available, short: Vec::new() }),
            },
        };
        let at = shop.record((call.invoked, call.completed), operation);
        if !call.answered {
            shop.forget(at);
        }
    }
    shop
}

/// Only a purchase can be cancelled, and what was refused was answered.
fn is_sensible(calls: &[SmallCall]) -> bool {
    let cancels = calls.iter().any(|call| matches!(call.what, Small::Cancel));
    let is_bought = matches!(calls[0].what, Small::Buy(_));
    let shorts = calls.iter().all(|call| call.answered || !matches!(call.what, Small::Short(_)));
    (is_bought || !cancels) && shorts
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_search_agrees_with_trying_every_order(calls in small_calls()) {
        prop_assume!(is_sensible(&calls));
        let report = searched(&recorded(&calls));
        let explained = explained(&calls, &mut vec![false; calls.len()], i64::from(START));
        prop_assert_eq!(report.holds(), explained, "{}", report);
    }
}

#[test]
fn small_histories_are_of_both_kinds() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut kinds = [0; 2];
    for _ in 0..1000 {
        let calls = small_calls().new_tree(&mut runner).expect("calls can be drawn").current();
        if calls.len() > 2 && is_sensible(&calls) {
            let explained = explained(&calls, &mut vec![false; calls.len()], i64::from(START));
            kinds[usize::from(explained)] += 1;
        }
    }
    assert!(kinds.iter().all(|kind| *kind > 60), "{kinds:?}");
}

#[test]
fn a_shop_at_work_is_explained() {
    let mut shop = Shop::open();
    shop.buy((10, 20), 1, &[(1, 3), (2, 1)]);
    shop.buy((11, 21), 2, &[(1, 7)]);
    shop.info((12, 19), 1);
    shop.buy((13, 22), 3, &[(1, 1)]);
    shop.cancel((23, 24), 1);
    let unknown = shop.buy((25, 26), 4, &[(1, 2)]);
    shop.forget(unknown);
    shop.amend((27, 28), 1, delta(4), Some(key(9)));
    shop.amend((29, 30), 1, delta(4), Some(key(9)));
    shop.set((31, 32), 1, Some(7), Some(2));
    shop.info((33, 34), 1);
    assert_found(&shop);
}

#[test]
fn an_oversell_is_found() {
    let mut shop = Shop::empty();
    for id in 1..=4 {
        let answer = Outcome::Answered(receipt(id, 1, false));
        let when = (u64::try_from(id).expect("small"), 10);
        purchase(&mut shop, when, id, 1, answer);
    }
    assert_none(&shop);
    shop.forget(2);
    assert_found(&shop);
}

#[test]
fn a_lost_update_is_found() {
    let restock = |then| Operation::Amend {
        book: BookId(1),
        change: delta(5),
        key: None,
        outcome: Outcome::Answered(shows(then)),
    };
    let mut shop = Shop::empty();
    shop.record((1, 5), restock(8));
    let other = shop.record((2, 6), restock(8));
    assert_none(&shop);
    shop.book_of(other).stock = 13;
    assert_found(&shop);
}

#[test]
fn a_lie_about_what_is_left_is_found() {
    let mut shop = Shop::empty();
    let refused = |available| Outcome::Refused(Error::OutOfStock { book: BookId(1), available, short: Vec::new() });
    purchase(&mut shop, (1, 2), 1, 1, refused(0));
    assert_none(&shop);
    shop.calls[0].operation = Operation::Purchase { order: key(1), lines: lines(&[(1, 2)]), outcome: refused(3) };
    assert!(searched(&shop).rules().iter().eq([&Rule::OutOfStock]));
}

#[test]
fn a_replay_is_no_second_sale() {
    let mut shop = Shop::empty();
    for when in [(1, 2), (3, 4), (5, 6)] {
        let outcome = Outcome::Answered(Receipt { replayed: when.0 > 1, ..receipt(1, 2, false) });
        purchase(&mut shop, when, 1, 2, outcome);
    }
    assert_found(&shop);
    let info = info(&mut shop, (7, 8), 1);
    assert_found(&shop);
    shop.book_of(info).stock = 3;
    assert_none(&shop);
}

#[test]
fn an_order_that_was_shown_had_been_sold() {
    let mut shop = Shop::empty();
    let outcome = Outcome::Answered(receipt(1, 2, false));
    let bought = purchase(&mut shop, (1, 2), 1, 2, outcome);
    shop.forget(bought);
    info(&mut shop, (5, 6), 3);
    assert_found(&shop);
    let order = receipt(1, 2, false).order;
    shop.record((3, 4), Operation::ReadOrder { order: key(1), outcome: Outcome::Answered(order) });
    assert_none(&shop);
}

#[test]
fn cached_reads_say_nothing() {
    let mut shop = Shop::empty();
    info(&mut shop, (5, 6), 9);
    assert_none(&shop);
    let options = Options { cached: Cached::Always, ..Options::default() };
    assert!(check::search(&shop.history(), &[(BookId(1), 3)], &options, SEARCH_BUDGET).holds());
}

#[test]
fn what_is_not_known_is_not_decided() {
    let mut shop = Shop::empty();
    info(&mut shop, (5, 6), 9);
    let report = check::search(&shop.history(), &[], &Options::default(), SEARCH_BUDGET);
    assert!(report.violations.is_empty() && report.undecided.len() == 1, "{report}");
    // Nobody knows which of the two it was.
    for copies in [1, 2] {
        purchase(&mut shop, (1, 2), 1, copies, Outcome::Unknown);
    }
    let report = searched(&shop);
    assert!(report.violations.is_empty() && report.undecided.len() == 1, "{report}");
}

#[test]
fn a_hard_question_is_given_up() {
    let mut shop = Shop::empty();
    // Each may have happened or not; no sum of them is what was seen, but there are very many sums.
    for nth in 0..40 {
        let change = delta(2 + 2 * 3_i64.pow(nth % 13));
        let operation = Operation::Amend { book: BookId(1), change, key: None, outcome: Outcome::Unknown };
        shop.record((u64::from(nth), u64::from(nth)), operation);
    }
    info(&mut shop, (50, 51), 1_000_000);
    let report = check::search(&shop.history(), &[(BookId(1), 3)], &Options::default(), 20_000);
    assert!(report.violations.is_empty() && report.undecided[0].contains("not decided after 20000"), "{report}");
}

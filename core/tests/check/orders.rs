//! Orders lost, doubled, made up and out of order; ids that are used again.

use bookstore_core::{
    BookId, Error, Kind, Receipt, Seq,
    check::{self, Delivery, Operation, Options, Outcome, Rule},
    fixtures::{cents, lines, one_at},
};

use crate::fixture::{Shop, delta, key};

#[test]
fn an_acknowledged_order_that_is_not_in_the_ledger_is_lost() {
    let (mut shop, bought) = Shop::sold();
    shop.lose(3);
    let report = shop.assert_broken(Rule::NoLoss);
    assert_eq!(report.violations[0].calls, [bought]);
}

#[test]
fn an_order_that_was_only_shown_is_lost_as_well() {
    let (mut shop, bought) = Shop::sold();
    shop.read((12, 13), 1);
    shop.forget(bought);
    shop.assert_right();
    shop.lose(3);
    shop.assert_broken(Rule::NoLoss);
}

#[test]
fn an_acknowledged_cancellation_that_is_not_in_the_ledger_is_lost() {
    let (mut shop, _) = Shop::sold();
    let cancelled = shop.cancel((12, 13), 1);
    shop.lose(4);
    assert_eq!(shop.assert_broken(Rule::NoLoss).violations[0].calls, [cancelled]);
}

#[test]
fn an_order_in_the_ledger_twice_was_not_made_once() {
    let (mut shop, _) = Shop::sold();
    shop.double(3);
    shop.assert_broken(Rule::ExactlyOnce);
}

#[test]
fn an_order_of_unknown_outcome_may_have_happened_but_not_twice() {
    let (mut shop, bought) = Shop::sold();
    shop.forget(bought);
    shop.assert_right();
    assert_eq!(shop.check().counts.unacknowledged, 1);
    shop.calls[bought].completed = None;
    shop.assert_right();
    shop.double(3);
    shop.assert_broken(Rule::ExactlyOnce);
}

#[test]
fn an_order_of_unknown_outcome_need_not_have_happened() {
    let (mut shop, bought) = Shop::sold();
    shop.forget(bought);
    shop.lose(3);
    shop.assert_right();
}

#[test]
fn a_cancellation_that_returns_twice_was_not_made_once() {
    let (mut shop, _) = Shop::sold();
    shop.cancel((12, 13), 1);
    shop.double(4);
    shop.assert_broken(Rule::ExactlyOnce);
}

#[test]
fn an_order_that_no_call_asked_for_is_a_phantom() {
    let (mut shop, bought) = Shop::sold();
    shop.calls.remove(bought);
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn a_cancellation_that_no_call_asked_for_is_a_phantom() {
    let (mut shop, _) = Shop::sold();
    let cancelled = shop.cancel((12, 13), 1);
    shop.calls.remove(cancelled);
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn an_order_that_was_not_executed_is_a_phantom() {
    let (mut shop, bought) = Shop::sold();
    shop.end(bought, &Outcome::NotExecuted);
    assert_eq!(shop.assert_broken(Rule::NoPhantom).violations[0].calls, [bought]);
}

#[test]
fn an_order_that_was_refused_is_a_phantom_unless_calls_can_arrive_again_later() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(2, 5)]);
    let refused = shop.buy((12, 13), 2, &[(2, 5)]);
    shop.cancel((14, 15), 1);
    shop.buy((16, 17), 2, &[(2, 5)]);
    shop.assert_right();
    shop.calls.truncate(refused + 2);
    shop.assert_broken(Rule::NoPhantom);
    let late = Options { delivery: Delivery::Duplicated, ..Options::default() };
    assert!(shop.check_as(&late).holds(), "{}", shop.check_as(&late));
}

#[test]
fn fewer_copies_than_were_asked_for_are_a_phantom() {
    let (mut shop, bought) = Shop::sold();
    if let Operation::Purchase { lines: asked, .. } = &mut shop.calls[bought].operation {
        *asked = lines(&[(1, 4)]);
    }
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn a_ledger_against_the_clock_is_out_of_order() {
    let mut shop = Shop::open();
    // The second was made after the first had been answered.
    let second = shop.buy((20, 30), 2, &[(1, 1)]);
    let first = shop.buy((10, 11), 1, &[(2, 1)]);
    assert_eq!(shop.assert_broken(Rule::RealTimeOrder).violations[0].calls, [first, second]);
    // At the same time either may come first.
    shop.calls[second].invoked = 11;
    shop.assert_right();
    shop.calls[second].invoked = 12;
    shop.assert_broken(Rule::RealTimeOrder);
}

#[test]
fn an_unknown_outcome_does_not_bend_time_either() {
    let mut shop = Shop::open();
    let late = shop.buy((20, 30), 2, &[(1, 1)]);
    shop.buy((10, 11), 1, &[(2, 1)]);
    shop.forget(late);
    shop.assert_broken(Rule::RealTimeOrder);
    // It may take effect at any later time, though.
    let mut shop = Shop::open();
    shop.buy((20, 30), 2, &[(1, 1)]);
    let early = shop.buy((10, 11), 1, &[(2, 1)]);
    shop.forget(early);
    shop.assert_right();
}

#[test]
fn a_cancellation_before_a_later_sale_is_out_of_order() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(1, 1)]);
    shop.buy((30, 31), 2, &[(1, 1)]);
    shop.cancel((20, 21), 1);
    shop.assert_broken(Rule::RealTimeOrder);
}

#[test]
fn a_retry_is_the_same_order() {
    let mut shop = Shop::open();
    let first = shop.buy((10, 11), 1, &[(1, 3), (2, 2)]);
    shop.buy((12, 13), 1, &[(2, 2), (1, 3)]);
    shop.assert_right();
    assert_eq!(shop.check().counts.replayed, 1);
    // The first one that is answered may be a replay.
    shop.forget(first);
    shop.assert_right();
}

#[test]
fn a_replay_with_another_answer_is_not_the_same() {
    let spoils: [fn(&mut Receipt); 5] = [
        |receipt| receipt.order.total_cents = cents(1),
        |receipt| receipt.order.seq = receipt.order.seq.next(),
        |receipt| receipt.order.placed_at.0 += 1,
        |receipt| receipt.order.lines[0].unit_price_cents = cents(1),
        |receipt| receipt.order.cancelled_at = Some(receipt.order.placed_at),
    ];
    for spoil in spoils {
        let (mut shop, _) = Shop::sold();
        let again = shop.buy((12, 13), 1, &[(1, 3)]);
        spoil(shop.receipt_of(again));
        assert_eq!(shop.assert_broken(Rule::SameAnswer).violations[0].calls, [again]);
    }
}

#[test]
fn two_calls_that_were_first_were_not_told_the_same() {
    let mut shop = Shop::open();
    let first = shop.buy((10, 20), 1, &[(1, 3)]);
    let again = shop.buy((10, 20), 1, &[(1, 3)]);
    shop.receipt_of(again).replayed = false;
    assert_eq!(shop.assert_broken(Rule::SameAnswer).violations[0].calls, [first, again]);
    let (mut shop, _) = Shop::sold();
    shop.cancel((12, 20), 1);
    let again = shop.cancel((12, 20), 1);
    shop.receipt_of(again).replayed = false;
    shop.assert_broken(Rule::SameAnswer);
}

#[test]
fn a_call_is_not_the_first_for_an_order_that_was_shown_before() {
    let (mut shop, first) = Shop::sold();
    shop.read((12, 13), 1);
    let again = shop.buy((14, 15), 1, &[(1, 3)]);
    shop.forget(first);
    shop.assert_right();
    shop.receipt_of(again).replayed = false;
    assert_eq!(shop.assert_broken(Rule::SameAnswer).violations[0].calls, [again]);
}

#[test]
fn a_replay_needs_an_earlier_call_if_calls_arrive_once() {
    let once = Options { delivery: Delivery::Once, ..Options::default() };
    let (mut shop, bought) = Shop::sold();
    shop.receipt_of(bought).replayed = true;
    shop.assert_right();
    let report = shop.check_as(&once);
    assert!(report.rules().iter().eq([&Rule::SameAnswer]), "{report}");
    // An unknown one before it explains it; one after it does not.
    let earlier = shop.record((9, 20), shop.calls[bought].operation.clone());
    shop.forget(earlier);
    assert!(shop.check_as(&once).holds(), "{}", shop.check_as(&once));
    shop.calls[earlier].invoked = 12;
    let report = shop.check_as(&once);
    assert!(report.rules().iter().eq([&Rule::Linearizable]), "{report}");
}

#[test]
fn an_id_is_not_accepted_for_other_lines() {
    let (mut shop, first) = Shop::sold();
    let other = shop.buy((12, 13), 1, &[(1, 4)]);
    shop.assert_right();
    let answer = shop.receipt_of(first).clone();
    if let Operation::Purchase { outcome, .. } = &mut shop.calls[other].operation {
        *outcome = Outcome::Answered(Receipt { replayed: true, ..answer });
    }
    assert_eq!(shop.assert_broken(Rule::IdReuse).violations[0].calls, [first, other]);
}

#[test]
fn an_answer_is_about_the_order_that_was_asked_for() {
    let (mut shop, first) = Shop::sold();
    shop.buy((12, 13), 2, &[(1, 3)]);
    let read = shop.read((14, 15), 2);
    *shop.order_of(read) = shop.receipt_of(first).order.clone();
    shop.assert_broken(Rule::SameAnswer);
}

#[test]
fn a_purchase_is_made_at_the_price_that_was_seen() {
    let mut shop = Shop::open();
    let bought = shop.purchase((10, 11), 1, one_at(1, 100));
    shop.assert_right();
    if let Operation::Purchase { lines, .. } = &mut shop.calls[bought].operation {
        *lines = one_at(1, 99);
    }
    shop.assert_broken(Rule::AgreedPrice);
    shop.forget(bought);
    shop.assert_broken(Rule::AgreedPrice);
}

#[test]
fn a_retry_may_remember_another_price() {
    let mut shop = Shop::open();
    shop.purchase((10, 11), 1, one_at(1, 100));
    shop.set((12, 13), 1, Some(150), None);
    shop.purchase((14, 15), 1, one_at(1, 150));
    shop.assert_right();
}

#[test]
fn what_was_there_before_recording_began_needs_no_call() {
    let (mut shop, _) = Shop::sold();
    shop.buy((12, 13), 2, &[(1, 1)]);
    shop.calls.drain(..3);
    assert!(!shop.check().holds());
    let end = shop.final_state().since(Seq(3));
    let report = check::check(&shop.history(), &end, &Options::default());
    assert!(report.holds(), "{report}");
    assert_eq!(report.counts.entries, 1);
}

#[test]
fn without_all_calls_a_strange_entry_is_not_decided() {
    let (mut shop, bought) = Shop::sold();
    shop.calls.remove(bought);
    let mut history = shop.history();
    history.unrecorded = 1;
    let report = check::check(&history, &shop.final_state(), &Options::default());
    assert!(report.violations.is_empty() && !report.holds(), "{report}");
}

#[test]
fn times_that_are_not_on_one_clock_are_not_decided() {
    let (mut shop, bought) = Shop::sold();
    shop.calls[bought].completed = Some(9);
    let report = shop.check();
    assert!(report.violations.is_empty() && report.undecided.len() == 1, "{report}");
    shop.calls[bought].completed = None;
    assert_eq!(shop.check().undecided.len(), 1);
}

#[test]
fn many_violations_are_counted_but_not_all_described() {
    let mut shop = Shop::open();
    for id in 1..=150 {
        let when = 10 + 2 * u64::try_from(id).expect("small");
        shop.amend((when, when), 1, delta(1), None);
        let order = key(id);
        let outcome = Outcome::Refused(Error::OutOfStock { book: BookId(1), available: 0, short: Vec::new() });
        shop.record((when + 1, when + 1), Operation::Purchase { order, lines: lines(&[(1, 1)]), outcome });
    }
    let report = shop.assert_broken(Rule::OutOfStock);
    assert_eq!((report.broken[&Rule::OutOfStock], report.violations.len()), (150, 100));
    assert!(report.to_string().contains("out-of-stock: 50 more"), "{report}");
    assert_eq!(shop.batch.entries.iter().filter(|entry| entry.kind == Kind::Restock).count(), 150);
}

//! Holds and what becomes of them: held copies are sold to nobody else, come back once, and no order is both confirmed and lapsed.

use bookstore_core::{
    BookId, Entry, Error, Kind, Order, OrderAction, Status, Timestamp,
    check::{Operation, Outcome, Rule},
    decide::{Command, Known},
    fixtures::lines,
    ledger::Details,
};

use crate::fixture::{Shop, When, key, receipt};

impl Shop {
    /// Does something with order `id`.
    fn change(&mut self, when: When, id: u128, action: OrderAction) -> usize {
        let order = key(id);
        let answer = self.decide(&Command::Order { order, action: Box::new(action.clone()), by: None });
        self.record(when, Operation::Change { order, action, outcome: Outcome::of(&answer, receipt) })
    }

    /// Holds three copies of book 1 for a minute.
    fn hold(&mut self, when: When, id: u128) -> usize {
        self.change(
            when,
            id,
            OrderAction::Hold { lines: lines(&[(1, 3)]), seconds: 60, reference: None, contact: None },
        )
    }

    /// The shop's clock goes on to the end of all holds.
    fn wait(&mut self) {
        self.state.lapse(Timestamp(1_700_000_000_000 + 100_000), &mut self.batch);
    }

    /// What order `id` is again, as if a later entry had never been.
    fn forget_later(&mut self, id: u128, order: Order) {
        self.state.known.insert(key(id), Known::Order(order));
    }

    fn held(&self, id: u128) -> Order {
        let begun = self.batch.entries.iter().find(|entry| entry.key == Some(key(id)));
        begun.and_then(Entry::order).expect("it is held")
    }
}

/// A shop with a hold, from 10 to 11.
fn held() -> Shop {
    let mut shop = Shop::open();
    shop.hold((10, 11), 1);
    shop
}

#[test]
fn what_becomes_of_orders_is_right() {
    let mut shop = held();
    shop.hold((12, 13), 1);
    shop.buy((14, 15), 2, &[(1, 8)]);
    shop.change((16, 17), 1, OrderAction::Confirm);
    shop.change((18, 19), 1, OrderAction::Confirm);
    shop.change((20, 21), 1, OrderAction::Return { lines: lines(&[(1, 1)]), key: key(77) });
    shop.change((22, 23), 1, OrderAction::Return { lines: lines(&[(1, 1)]), key: key(77) });
    shop.change((24, 25), 1, OrderAction::Fulfil);
    shop.cancel((26, 27), 1);
    shop.hold((28, 29), 3);
    let seen = shop.held(3).expires_at().expect("it is held");
    shop.change((30, 31), 3, OrderAction::Extend { seen, expires_at: Timestamp(seen.0 + 1) });
    shop.wait();
    shop.change((32, 33), 3, OrderAction::Confirm);
    shop.change((34, 35), 4, OrderAction::Void);
    shop.buy((36, 37), 4, &[(1, 1)]);
    shop.read((38, 39), 4);
    shop.hold((40, 41), 5);
    shop.buy((42, 43), 5, &[(1, 3)]);
    shop.hold((44, 45), 6);
    shop.cancel((46, 47), 6);
    shop.assert_right();
    assert_eq!(shop.batch.entries.iter().filter(|entry| entry.kind == Kind::Lapse).count(), 1);
    let refused = shop.calls.iter().filter(|call| matches!(call.operation.ending(), Outcome::Refused(_))).count();
    assert_eq!(refused, 4, "out of stock, fulfilled, lapsed, voided");
}

#[test]
fn a_confirmation_after_the_lapse_is_found() {
    let mut shop = held();
    let order = shop.held(1);
    shop.wait();
    shop.forget_later(1, order);
    shop.change((12, 13), 1, OrderAction::Confirm);
    assert!(shop.check().rules().contains(&Rule::Conservation), "{}", shop.check());
}

#[test]
fn copies_that_come_back_twice_are_found() {
    let mut shop = held();
    let order = shop.held(1);
    shop.wait();
    shop.forget_later(1, order);
    shop.cancel((12, 13), 1);
    assert!(shop.check().rules().contains(&Rule::ExactlyOnce), "{}", shop.check());
}

#[test]
fn a_lapse_before_its_time_is_found() {
    let mut shop = held();
    shop.wait();
    let lapse = shop.batch.entries.last_mut().expect("a lapse");
    lapse.at = Timestamp(lapse.at.0 - 50_000);
    shop.assert_broken(Rule::Conservation);
}

#[test]
fn a_lapse_of_other_copies_is_found() {
    let mut shop = held();
    shop.wait();
    let change = shop.batch.entries.last_mut().expect("a lapse").changes.first_mut().expect("a book");
    (change.delta, change.stock) = (change.delta + 1, change.stock + 1);
    shop.assert_broken(Rule::Conservation);
}

#[test]
fn a_hold_or_a_confirmation_that_nobody_asked_for_is_found() {
    for kind in [Kind::Confirm, Kind::Fulfil] {
        let mut shop = held();
        if kind == Kind::Fulfil {
            shop.change((12, 13), 1, OrderAction::Confirm);
        }
        let entry = shop.batch.entries.last().expect("an entry").clone();
        shop.append(Entry { kind, changes: [].into_iter().collect(), details: None, ..entry });
        shop.assert_broken(Rule::NoPhantom);
    }
    let mut shop = held();
    shop.calls.pop();
    shop.assert_broken(Rule::NoPhantom);
}

#[test]
fn an_acknowledged_confirmation_that_is_not_in_the_ledger_is_lost() {
    let mut shop = held();
    shop.change((12, 13), 1, OrderAction::Confirm);
    shop.lose(4);
    shop.assert_broken(Rule::NoLoss);
}

#[test]
fn an_ok_for_a_cancelled_order_is_found() {
    let mut shop = held();
    let cancelled = shop.cancel((12, 13), 1);
    let receipt = shop.receipt_of(cancelled).clone();
    let (lines, order) = (lines(&[(1, 3)]), key(1));
    let replay = bookstore_core::Receipt { replayed: true, ..receipt };
    shop.record((14, 15), Operation::Purchase { order, lines, outcome: Outcome::Answered(replay) });
    shop.assert_broken(Rule::SameAnswer);
}

#[test]
fn a_refusal_shows_a_state_that_was_true() {
    let mut shop = held();
    let order = shop.held(1);
    let fake = Order { status: Status::Lapsed, ..order.clone() };
    let outcome = Outcome::Refused(Error::OrderLapsed { order: Box::new(fake) });
    shop.record((12, 13), Operation::Change { order: key(1), action: OrderAction::Confirm, outcome });
    shop.assert_broken(Rule::SameAnswer);

    let mut shop = held();
    let outcome = Outcome::Refused(Error::OrderHeld { order: Box::new(order) });
    shop.change((12, 13), 1, OrderAction::Confirm);
    shop.record((14, 15), Operation::Change { order: key(1), action: OrderAction::Fulfil, outcome });
    shop.assert_broken(Rule::ReadYourWrites);
}

#[test]
fn an_extension_that_was_not_asked_for_is_found() {
    let mut shop = held();
    let seen = shop.held(1).expires_at().expect("it is held");
    shop.change((12, 13), 1, OrderAction::Extend { seen, expires_at: Timestamp(seen.0 + 1000) });
    shop.assert_right();
    let details = shop.batch.entries.last_mut().and_then(|entry| entry.details.as_mut()).expect("an extension");
    **details = Details { expires_at: Some(Timestamp(seen.0 + 2000)), ..Details::clone(details) };
    assert!(!shop.check().holds());
    assert_eq!(shop.stock(BookId(1)), 7);
}

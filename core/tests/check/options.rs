//! Deployments that promise less: caches, and copies that follow.

use bookstore_core::check::{Cached, Cancellations, Operation, Options, Outcome, Rule};

use crate::fixture::Shop;

#[test]
fn cached_reads_may_be_old_but_must_have_been_true() {
    let mut shop = Shop::open();
    let before = shop.shown(1);
    shop.buy((10, 11), 1, &[(1, 3)]);
    let info = shop.info((12, 13), 1);
    *shop.book_of(info) = before;
    let cached = |cached| Options { cached, ..Options::default() };
    let through = |server: &str| cached(Cached::Through(vec!["x".into(), server.into()]));
    assert!(shop.check_as(&cached(Cached::Always)).holds());
    assert!(shop.check_as(&through("a")).holds());
    for strict in [cached(Cached::Never), through("b")] {
        assert!(shop.check_as(&strict).rules().iter().eq([&Rule::ReadYourWrites]));
    }
    shop.book_of(info).stock += 1;
    assert!(shop.check_as(&cached(Cached::Always)).rules().iter().eq([&Rule::Linearizable]));
    // Nor may they be from the future.
    let mut shop = Shop::open();
    shop.buy((20, 21), 1, &[(1, 3)]);
    shop.info((12, 13), 1);
    assert!(shop.check_as(&cached(Cached::Always)).rules().iter().eq([&Rule::Linearizable]));
}

#[test]
fn amends_are_never_cached() {
    let mut shop = Shop::open();
    let restock = shop.amend((10, 11), 1, crate::fixture::delta(1), Some(crate::fixture::key(9)));
    shop.buy((12, 13), 1, &[(1, 3)]);
    let again = shop.record((14, 15), shop.calls[restock].operation.clone());
    let options = Options { cached: Cached::Always, ..Options::default() };
    assert!(shop.check_as(&options).rules().iter().eq([&Rule::ReadYourWrites]));
    shop.calls[again].invoked = 13;
    assert!(shop.check_as(&options).holds());
}

/// An order that is shown as standing through `server`, after it was cancelled through `a`.
fn stale(server: &'static str) -> Shop {
    let (mut shop, _) = Shop::sold();
    let standing = shop.order(1).expect("sold");
    shop.cancel((12, 13), 1);
    shop.server = server;
    let operation = Operation::ReadOrder { order: standing.id, outcome: Outcome::Answered(standing) };
    shop.record((14, 15), operation);
    shop
}

#[test]
fn a_cancellation_shows_where_it_was_acknowledged() {
    let with = |cancellations| Options { cancellations, ..Options::default() };
    let broken = |shop: &Shop, options| shop.check_as(&options).rules().into_iter().collect::<Vec<_>>();
    let stale_read = [Rule::ReadYourWrites];
    assert_eq!(broken(&stale("a"), with(Cancellations::Everywhere)), stale_read);
    assert_eq!(broken(&stale("b"), with(Cancellations::Everywhere)), stale_read);
    assert_eq!(broken(&stale("a"), with(Cancellations::SameServer)), stale_read);
    assert_eq!(broken(&stale("b"), with(Cancellations::SameServer)), []);
    assert_eq!(broken(&stale("a"), with(Cancellations::Eventually)), []);
    // At the same time as the cancellation it may show either.
    let mut shop = stale("a");
    shop.calls[4].invoked = 13;
    assert_eq!(broken(&shop, with(Cancellations::Everywhere)), []);
    assert_eq!(broken(&shop, with(Cancellations::SameServer)), []);
}

#[test]
fn a_page_of_orders_may_be_behind() {
    let mut shop = stale("a");
    let last = shop.calls.len() - 1;
    let Operation::ReadOrder { outcome: Outcome::Answered(order), .. } = shop.calls[last].operation.clone() else {
        panic!("a read")
    };
    shop.calls[last].operation = Operation::ReadOrders { outcome: Outcome::Answered(vec![order]) };
    let options = Options { cancellations: Cancellations::Everywhere, ..Options::default() };
    assert!(shop.check_as(&options).holds());
}

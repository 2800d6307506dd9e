//! The ledger by itself, the books, and the copies against it.

use bookstore_core::{
    BookId, Entry, Kind, Seq, Status, Timestamp,
    check::{self, CopyContents, FinalState, Operation, Options, Rule, ServerCopy},
    fixtures::{self, cents},
};

use crate::fixture::{Shop, delta, key};

/// Everything that can happen, one after the other.
fn busy() -> Shop {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(1, 3), (2, 1)]);
    shop.info((12, 13), 1);
    shop.amend((14, 15), 1, delta(5), None);
    shop.amend((16, 17), 2, delta(-1), Some(key(90)));
    shop.cancel((18, 19), 1);
    shop.read((20, 21), 1);
    shop.set((22, 23), 1, Some(150), None);
    shop.buy((24, 25), 2, &[(1, 4)]);
    shop.set((26, 27), 2, None, Some(2));
    shop.buy((28, 29), 3, &[(2, 3)]);
    shop.read((30, 31), 2);
    shop.copy(9);
    shop.copy(6);
    shop
}

#[test]
fn a_right_history_is_right() {
    let shop = busy();
    shop.assert_right();
    let counts = shop.check().counts;
    assert_eq!((counts.calls, counts.answered, counts.refused, counts.unknown), (13, 12, 1, 0));
    assert_eq!((counts.entries, counts.unacknowledged, counts.at_once, counts.replayed), (9, 0, 1, 0));
    assert!(shop.check().to_string().ends_with("every promise held"));
}

#[test]
fn nothing_is_right_too() {
    Shop::default().assert_right();
}

#[test]
fn an_oversell_is_not_conserved() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(2, 5)]);
    // One copy more was sold than there was.
    let sale = &mut shop.batch.entries[2];
    sale.changes[0].delta = -6;
    if let Operation::Purchase { lines, .. } = &mut shop.calls[2].operation {
        *lines = fixtures::lines(&[(2, 6)]);
    }
    let order = shop.batch.entries[2].order().expect("a sale");
    shop.receipt_of(2).order = order;
    shop.assert_broken(Rule::Conservation);
}

#[test]
fn stock_below_zero_is_not_conserved() {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(2, 5)]);
    shop.buy((10, 11), 2, &[(1, 1)]);
    shop.batch.entries[3].changes[0].book = BookId(2);
    shop.batch.entries[3].changes[0].stock = u32::MAX;
    assert!(shop.check().rules().contains(&Rule::Conservation));
}

#[test]
fn a_wrong_running_stock_is_not_conserved() {
    let mut shop = busy();
    shop.batch.entries[7].changes[0].stock += 1;
    let report = shop.assert_broken(Rule::Conservation);
    assert!(report.violations[0].message.contains("entry 8"), "{report}");
}

#[test]
fn a_gap_is_not_conserved() {
    let mut shop = busy();
    for entry in &mut shop.batch.entries[8..] {
        entry.seq = entry.seq.next();
    }
    shop.copies.clear();
    // Nobody was told of the last entry, so nothing but the gap shows.
    let last = shop.calls.iter().position(|call| call.invoked == 26).expect("the last amend");
    shop.forget(last);
    shop.calls.truncate(last + 1);
    shop.assert_broken(Rule::Conservation);
}

#[test]
fn a_return_without_a_sale_is_not_conserved() {
    let mut shop = busy();
    shop.lose(3);
    shop.copies.clear();
    let rules = shop.check().rules();
    assert!(rules.contains(&Rule::Conservation) && rules.contains(&Rule::NoLoss), "{rules:?}");
}

#[test]
fn a_return_of_something_else_is_not_conserved() {
    let (mut shop, _) = Shop::sold();
    shop.cancel((12, 13), 1);
    shop.batch.entries[3].changes[0].delta = 2;
    shop.batch.entries[3].changes[0].stock = 9;
    shop.assert_broken(Rule::Conservation);
}

#[test]
fn a_book_that_stands_otherwise_is_not_conserved() {
    let shop = busy();
    let mut end = shop.final_state();
    let check = |end: &FinalState| check::check(&shop.history(), end, &Options::default());
    end.levels.as_mut().expect("levels")[0].1.stock += 1;
    assert!(check(&end).rules().into_iter().eq([Rule::Conservation]));
    end.levels.as_mut().expect("levels").remove(0);
    assert!(check(&end).rules().into_iter().eq([Rule::Conservation]));
    end.levels = None;
    assert!(check(&end).holds());
}

#[test]
fn a_copy_that_skips_a_sale_is_no_prefix() {
    let mut shop = busy();
    shop.copied().remove(0);
    let report = shop.assert_broken(Rule::CopyPrefix);
    assert!(report.violations[0].message.contains("leaves out"), "{report}");
}

#[test]
fn a_copy_with_an_altered_line_is_no_prefix() {
    let mut shop = busy();
    shop.copied()[1].lines[0].quantity += 1;
    shop.assert_broken(Rule::CopyPrefix);
}

#[test]
fn a_copy_that_missed_a_cancellation_is_no_prefix() {
    let mut shop = busy();
    let order = &mut shop.copied()[0];
    (order.status, order.cancelled_at) = (Status::Placed, None);
    shop.assert_broken(Rule::CopyPrefix);
}

#[test]
fn a_copy_that_knows_more_than_it_followed_is_no_prefix() {
    let mut shop = busy();
    shop.copies[0].followed = Seq(7);
    shop.assert_broken(Rule::CopyPrefix);
}

#[test]
fn a_copy_that_says_it_followed_farther_is_no_prefix() {
    let mut shop = busy();
    shop.copies[1].followed = Seq(7);
    shop.assert_right();
    shop.copies[1].followed = Seq(8);
    shop.assert_broken(Rule::CopyPrefix);
    shop.copies[1].followed = Seq(5);
    shop.assert_broken(Rule::CopyPrefix);
}

#[test]
fn a_copy_beyond_the_ledger_is_no_prefix() {
    let mut shop = busy();
    shop.copies[0].followed = Seq(10);
    shop.assert_broken(Rule::CopyPrefix);
}

#[test]
fn a_copy_with_an_order_twice_or_a_stranger_is_no_prefix() {
    let mut shop = busy();
    let again = shop.copied()[1].clone();
    shop.copied().push(again);
    shop.assert_broken(Rule::CopyPrefix);
    let mut shop = busy();
    shop.copied()[1].id = key(77);
    assert_eq!(shop.assert_broken(Rule::CopyPrefix).broken[&Rule::CopyPrefix], 2);
}

/// A copy that keeps the entries.
fn of_entries(shop: &Shop, followed: u64) -> ServerCopy {
    let entries = shop.batch.entries.iter().take_while(|entry| entry.seq.0 <= followed).cloned().collect();
    ServerCopy { server: "c".into(), followed: Seq(followed), contents: CopyContents::Entries(entries) }
}

/// An operator began it, no caller.
#[test]
fn a_timeline_needs_no_call() {
    let mut shop = busy();
    let seq = shop.batch.entries.last().expect("it is busy").seq.next();
    let changes = std::iter::empty().collect();
    let timeline =
        Entry { seq, at: Timestamp(0), kind: Kind::Timeline, key: Some(key(77)), changes, text: None, details: None };
    shop.batch.entries.push(timeline);
    shop.assert_right();
}

#[test]
fn a_copy_of_entries_is_compared_entry_by_entry() {
    let mut shop = busy();
    for followed in 0..=9 {
        shop.copies = vec![of_entries(&shop, followed)];
        shop.assert_right();
    }
    let spoiled = |spoil: fn(&mut Vec<Entry>)| {
        let mut shop = busy();
        let mut copy = of_entries(&shop, 9);
        if let CopyContents::Entries(entries) = &mut copy.contents {
            spoil(entries);
        }
        shop.copies = vec![copy];
        shop.assert_broken(Rule::CopyPrefix)
    };
    spoiled(|entries| drop(entries.remove(1)));
    spoiled(|entries| drop(entries.pop()));
    spoiled(|entries| entries[0].changes[0].price_cents = cents(1));
    spoiled(|entries| entries.swap(0, 1));
    spoiled(|entries| entries.push(entries[0].clone()));
}

//! Random runs spoiled in one place.

use bookstore_core::{
    BookId, Error, OrderId, Receipt, Status,
    check::{BookState, Call, Operation, Outcome, Rule},
    decide::{self, Levels},
    fixtures::{cents, lines},
};
use proptest::sample::Index;
use std::collections::BTreeSet;

use crate::fixture::{Shop, key};

/// Spoils a run in one place, if there is such a place, and says which rule that breaks.
pub(crate) type Spoil = fn(&mut Shop, &Index) -> Option<Rule>;

/// All of them, by name.
pub(crate) const SPOILS: [(&str, Spoil); 18] = [
    ("lost order", lost_order),
    ("lost cancellation", lost_cancellation),
    ("doubled order", doubled_order),
    ("order without a call", unasked_order),
    ("order that was not executed", unexecuted_order),
    ("wrong total", wrong_total),
    ("wrong seq", wrong_seq),
    ("two firsts", two_firsts),
    ("wrong stock shown", wrong_stock_shown),
    ("stale read", stale_read),
    ("order not found", order_not_found),
    ("lie about what is left", wrong_number_left),
    ("out of stock with plenty left", out_of_stock_lie),
    ("running stock", running_stock),
    ("gap", gap),
    ("copy without an order", copy_without_order),
    ("copy of another order", copy_of_another),
    ("call that was made too late", late_call),
];

fn indexes(shop: &Shop, which: impl Fn(&Call) -> bool) -> Vec<usize> {
    (0..shop.calls.len()).filter(|at| which(&shop.calls[*at])).collect()
}

fn pick(from: &[usize], at: &Index) -> Option<usize> {
    if from.is_empty() { None } else { Some(*at.get(from)) }
}

fn bought(call: &Call) -> Option<&Receipt> {
    match &call.operation {
        Operation::Purchase { outcome: Outcome::Answered(receipt), .. } => Some(receipt),
        _ => None,
    }
}

fn cancelled(call: &Call) -> Option<&Receipt> {
    match &call.operation {
        Operation::Cancel { outcome: Outcome::Answered(receipt), .. } => Some(receipt),
        _ => None,
    }
}

fn first(receipt: Option<&Receipt>) -> bool {
    receipt.is_some_and(|receipt| !receipt.replayed)
}

fn lost_order(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| bought(call).is_some()), at)?;
    let id = shop.receipt_of(call).order.id;
    shop.batch.entries.retain(|entry| entry.key != Some(id));
    Some(Rule::NoLoss)
}

fn lost_cancellation(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| cancelled(call).is_some()), at)?;
    let id = shop.receipt_of(call).order.id;
    shop.batch.entries.retain(|entry| entry.key != Some(id) || entry.order().is_some());
    Some(Rule::NoLoss)
}

fn doubled_order(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let sales: Vec<usize> = (0..shop.batch.entries.len()).filter(|at| shop.batch.entries[*at].key.is_some()).collect();
    let entry = shop.batch.entries[pick(&sales, at)?].clone();
    shop.append(entry);
    Some(Rule::ExactlyOnce)
}

/// The calls that asked to buy under the id of the order that `call` has bought.
fn askers(shop: &mut Shop, call: usize) -> (OrderId, Vec<usize>) {
    let id = shop.receipt_of(call).order.id;
    let asks = |call: &Call| matches!(call.operation, Operation::Purchase { order, .. } if order == id);
    (id, indexes(shop, asks))
}

fn unasked_order(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| bought(call).is_some()), at)?;
    let (id, _) = askers(shop, call);
    shop.calls.retain(|call| !matches!(call.operation, Operation::Purchase { order, .. } if order == id));
    Some(Rule::NoPhantom)
}

fn unexecuted_order(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| bought(call).is_some()), at)?;
    let (_, askers) = askers(shop, call);
    for call in askers {
        shop.end(call, &Outcome::NotExecuted);
        let invoked = shop.calls[call].invoked;
        shop.calls[call].completed.get_or_insert(invoked);
    }
    Some(Rule::NoPhantom)
}

fn any_receipt(shop: &Shop, at: &Index) -> Option<usize> {
    pick(&indexes(shop, |call| bought(call).or(cancelled(call)).is_some()), at)
}

fn wrong_total(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = any_receipt(shop, at)?;
    shop.receipt_of(call).order.total_cents = cents(7);
    Some(Rule::SameAnswer)
}

fn wrong_seq(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = any_receipt(shop, at)?;
    let seq = &mut shop.receipt_of(call).order.seq;
    *seq = seq.next();
    Some(Rule::SameAnswer)
}

fn two_firsts(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let firsts: BTreeSet<OrderId> = shop
        .calls
        .iter()
        .filter_map(bought)
        .filter(|receipt| !receipt.replayed)
        .map(|receipt| receipt.order.id)
        .collect();
    let replays =
        |call: &Call| bought(call).is_some_and(|receipt| receipt.replayed && firsts.contains(&receipt.order.id));
    let call = pick(&indexes(shop, replays), at)?;
    shop.receipt_of(call).replayed = false;
    Some(Rule::SameAnswer)
}

/// Answered reads of books.
pub(crate) fn infos(shop: &Shop) -> Vec<usize> {
    indexes(shop, |call| matches!(&call.operation, Operation::Info { outcome: Outcome::Answered(_), .. }))
}

fn wrong_stock_shown(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&infos(shop), at)?;
    shop.book_of(call).stock += 1;
    Some(Rule::Linearizable)
}

/// Shows a book as it was before the last sale that had been acknowledged when it was read.
fn stale_read(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&infos(shop), at)?;
    let (invoked, book) = (shop.calls[call].invoked, shop.book_of(call).book);
    let acknowledged = shop.calls.iter().filter(|call| call.completed.is_some_and(|completed| completed < invoked));
    let acknowledged =
        acknowledged.filter_map(bought).filter(|receipt| receipt.order.lines.iter().any(|line| line.book == book));
    let last = acknowledged.map(|receipt| receipt.order.seq).max()?;
    let mut levels = Levels::default();
    let before = shop.batch.entries.iter().filter(|entry| entry.seq < last);
    before.for_each(|entry| decide::apply(&mut levels, entry));
    *shop.book_of(call) = BookState::new(book, levels.get(book)?);
    Some(Rule::ReadYourWrites)
}

fn order_not_found(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| first(bought(call))), at)?;
    let (order, after) = (shop.receipt_of(call).order.id, shop.calls[call].completed? + 1);
    let outcome = Outcome::Refused(Error::OrderNotFound { order });
    shop.record((after, after + 3), Operation::ReadOrder { order, outcome });
    Some(Rule::ReadYourWrites)
}

fn wrong_number_left(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let short = |call: &Call| {
        matches!(&call.operation, Operation::Purchase { outcome: Outcome::Refused(Error::OutOfStock { .. }), .. })
    };
    let call = pick(&indexes(shop, short), at)?;
    if let Operation::Purchase { outcome: Outcome::Refused(Error::OutOfStock { available, .. }), .. } =
        &mut shop.calls[call].operation
    {
        *available += 1000;
    }
    Some(Rule::OutOfStock)
}

fn out_of_stock_lie(shop: &mut Shop, _: &Index) -> Option<Rule> {
    let book = BookId(1);
    let available = shop.stock(book);
    if available == 0 {
        return None;
    }
    let last = shop.calls.iter().filter_map(|call| call.completed.or(Some(call.invoked))).max()?;
    // Only what can still happen could take them away, and there is nothing of it in the ledger.
    let outcome = Outcome::Refused(Error::OutOfStock { book, available: 0, short: Vec::new() });
    let wanted = lines(&[(1, 1)]);
    shop.record((last + 1, last + 2), Operation::Purchase { order: key(999), lines: wanted, outcome });
    // So that everything is known to have happened.
    shop.info((last + 1, last + 1), 1);
    let (info, lie) = (shop.calls.len() - 1, shop.calls.len() - 2);
    shop.calls[lie].invoked = last + 2;
    shop.calls[info].completed = Some(last + 1);
    Some(Rule::OutOfStock)
}

fn running_stock(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let entry = at.index(shop.batch.entries.len());
    shop.batch.entries[entry].changes[0].stock += 1;
    Some(Rule::Conservation)
}

fn gap(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let from = at.index(shop.batch.entries.len());
    for entry in &mut shop.batch.entries[from..] {
        entry.seq = entry.seq.next();
    }
    Some(Rule::Conservation)
}

fn copy_without_order(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let orders = shop.copied();
    if orders.is_empty() {
        return None;
    }
    orders.remove(at.index(orders.len()));
    Some(Rule::CopyPrefix)
}

fn copy_of_another(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let orders = shop.copied();
    if orders.is_empty() {
        return None;
    }
    let nth = at.index(orders.len());
    let order = &mut orders[nth];
    order.status = if order.status == Status::Placed { Status::Cancelled } else { Status::Placed };
    Some(Rule::CopyPrefix)
}

/// Moves a purchase behind everything else that was acknowledged, while its entry stays.
fn late_call(shop: &mut Shop, at: &Index) -> Option<Rule> {
    let call = pick(&indexes(shop, |call| first(bought(call))), at)?;
    let seq = shop.receipt_of(call).order.seq;
    let (_, askers) = askers(shop, call);
    let later = |call: &Call| first(bought(call)) && bought(call).is_some_and(|receipt| receipt.order.seq > seq);
    if askers.len() > 1 || indexes(shop, later).is_empty() {
        return None;
    }
    let last = shop.calls.iter().filter_map(|call| call.completed).max()?;
    (shop.calls[call].invoked, shop.calls[call].completed) = (last + 1, Some(last + 2));
    Some(Rule::RealTimeOrder)
}

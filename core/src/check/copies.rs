//! Whether an order server's copy is what the ledger holds up to some entry.
//!
//! A copy says how far it has followed. Up to there it must contain every order as the ledger has it, with the
//! cancellations up to there and no later ones; beyond there it must contain nothing. A copy that is given as entries must
//! have every one of them.

use std::collections::HashMap;

use super::{
    final_state::{CopyContents, ServerCopy},
    ledger_index::LedgerIndex,
    report::{Report, Rule},
};
use crate::{
    ledger::{Entry, Seq},
    order::{Order, OrderId, Status},
};

pub(super) fn compare(ledger: &LedgerIndex<'_>, copy: &ServerCopy, report: &mut Report) {
    let mut add = |why: String| report.add(Rule::CopyPrefix, &[], || format!("{}'s copy {why}", copy.server));
    let (followed, head) = (copy.followed, ledger.head());
    if followed > head {
        add(format!("is at entry {followed}, the ledger at {head}"));
    }
    match &copy.contents {
        CopyContents::Orders(orders) => compare_orders(ledger, followed, orders, add),
        CopyContents::Entries(entries) => compare_entries(ledger, followed, entries, add),
    }
}

/// The orders that the ledger holds up to entry `head`, by their sales.
fn orders_up_to(ledger: &LedgerIndex<'_>, head: Seq) -> Vec<Order> {
    let (mut orders, mut by_id) = (Vec::new(), HashMap::new());
    for entry in ledger.up_to(head) {
        let Some(id) = entry.order_id() else { continue };
        if let Some(nth) = by_id.get(&id) {
            let order: &mut Order = &mut orders[*nth];
            *order = order.clone().after(entry);
        } else if let Some(order) = entry.order() {
            by_id.insert(id, orders.len());
            orders.push(order);
        }
    }
    // A voided order is in no list.
    orders.retain(|order| order.status != Status::Voided);
    orders
}

/// Compares the orders of a copy, whatever their order.
fn compare_orders(ledger: &LedgerIndex<'_>, followed: Seq, orders: &[Order], mut add: impl FnMut(String)) {
    let mut copied: HashMap<OrderId, &Order> = HashMap::with_capacity(orders.len());
    for order in orders {
        if copied.insert(order.id, order).is_some() {
            add(format!("has order {} twice", order.id));
        }
    }
    for order in orders_up_to(ledger, followed) {
        match copied.remove(&order.id) {
            None => add(format!("leaves out order {}, the sale in entry {}", order.id, order.seq)),
            Some(found) if *found != order => add(format!("has {found:?} where the ledger has {order:?}")),
            Some(_) => {}
        }
    }
    let mut unknown: Vec<&OrderId> = copied.keys().collect();
    unknown.sort_unstable();
    for id in unknown {
        add(format!("has order {id}, which the ledger does not have up to entry {followed}"));
    }
}

/// Compares the entries of a copy, which must be in the order of the ledger.
fn compare_entries(ledger: &LedgerIndex<'_>, followed: Seq, entries: &[Entry], mut add: impl FnMut(String)) {
    let mut copied = entries.iter().peekable();
    for entry in ledger.up_to(followed) {
        match copied.next_if(|copied| copied.seq == entry.seq) {
            Some(found) if found != entry => add(format!("has another entry {} than the ledger", entry.seq)),
            None => add(format!("leaves out entry {}", entry.seq)),
            Some(_) => {}
        }
    }
    for entry in copied {
        add(format!("has entry {} out of order, or beyond the last entry that it has followed", entry.seq));
    }
}

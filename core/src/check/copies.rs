//! An order server's copy is what the ledger holds up to some entry.

use std::collections::HashMap;

use super::{
    finals::{Copied, Copy},
    index::Ledger,
    report::{Report, Rule},
};
use crate::{
    ledger::{Entry, Kind, Seq},
    order::{Order, OrderId},
};

pub(super) fn compare(ledger: &Ledger<'_>, copy: &Copy, report: &mut Report) {
    if copy.followed > ledger.head() {
        let (server, followed, head) = (&copy.server, copy.followed, ledger.head());
        report.add(Rule::CopyPrefix, &[], || format!("{server}'s copy is at entry {followed}, the ledger at {head}"));
    }
    match &copy.copied {
        Copied::Orders(orders) => orders_agree(ledger, copy, orders, report),
        Copied::Entries(entries) => entries_agree(ledger, copy, entries, report),
    }
}

/// The orders that the ledger holds up to an entry, by the order of their sales.
fn orders_up_to(ledger: &Ledger<'_>, head: Seq) -> Vec<Order> {
    let (mut orders, mut by_id) = (Vec::new(), HashMap::new());
    for entry in ledger.up_to(head) {
        if let Some(order) = entry.order() {
            by_id.insert(order.id, orders.len());
            orders.push(order);
        } else if let (Kind::Return, Some(nth)) = (entry.kind, entry.key.and_then(|id| by_id.get(&id))) {
            orders[*nth] = orders[*nth].clone().cancelled(entry.at);
        }
    }
    orders
}

fn orders_agree(ledger: &Ledger<'_>, copy: &Copy, orders: &[Order], report: &mut Report) {
    let mut copied: HashMap<OrderId, &Order> = HashMap::with_capacity(orders.len());
    let server = &copy.server;
    for order in orders {
        if copied.insert(order.id, order).is_some() {
            report.add(Rule::CopyPrefix, &[], || format!("{server}'s copy has order {} twice", order.id));
        }
    }
    for order in orders_up_to(ledger, copy.followed) {
        let (id, seq) = (order.id, order.seq);
        match copied.remove(&id) {
            None => {
                let why = || format!("{server}'s copy leaves out order {id}, the sale in entry {seq}");
                report.add(Rule::CopyPrefix, &[], why);
            }
            Some(found) if *found != order => {
                let why = || format!("{server}'s copy has {found:?} where the ledger has {order:?}");
                report.add(Rule::CopyPrefix, &[], why);
            }
            Some(_) => {}
        }
    }
    let followed = copy.followed;
    let mut strangers: Vec<&OrderId> = copied.keys().collect();
    strangers.sort_unstable();
    for id in strangers {
        let why = || format!("{server}'s copy has order {id}, which the ledger does not have up to entry {followed}");
        report.add(Rule::CopyPrefix, &[], why);
    }
}

fn entries_agree(ledger: &Ledger<'_>, copy: &Copy, entries: &[Entry], report: &mut Report) {
    let server = &copy.server;
    let mut copied = entries.iter().peekable();
    for entry in ledger.up_to(copy.followed) {
        let must = matches!(entry.kind, Kind::Sale | Kind::Return);
        let found = copied.next_if(|copied| copied.seq == entry.seq);
        if found.is_some_and(|found| found != entry) {
            let seq = entry.seq;
            report.add(Rule::CopyPrefix, &[], || format!("{server}'s copy of entry {seq} is not what the ledger has"));
        } else if found.is_none() && must {
            let seq = entry.seq;
            report.add(Rule::CopyPrefix, &[], || format!("{server}'s copy leaves out entry {seq}"));
        }
    }
    for entry in copied {
        let seq = entry.seq;
        let why = || format!("{server}'s copy has entry {seq} out of order, or beyond what it says it has followed");
        report.add(Rule::CopyPrefix, &[], why);
    }
}

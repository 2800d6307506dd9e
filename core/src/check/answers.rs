//! Whatever an answer shows of an order is what the ledger says of it.

use super::{
    history::{History, Operation, Outcome},
    index::Ledger,
    report::{Report, Rule},
};
use crate::order::{Order, Status};

pub(super) fn compare(history: &History, ledger: &Ledger<'_>, report: &mut Report) {
    for (at, call) in history.calls.iter().enumerate() {
        match &call.operation {
            Operation::Purchase { outcome: Outcome::Answered(receipt), .. } => {
                is_of_ledger(at, &receipt.order, ledger, report);
                if !receipt.replayed && receipt.order.status == Status::Cancelled {
                    let why = || format!("order {} was cancelled as soon as it was bought", receipt.order.id);
                    report.add(Rule::SameAnswer, &[at], why);
                }
            }
            Operation::Cancel { outcome: Outcome::Answered(receipt), .. } => {
                is_of_ledger(at, &receipt.order, ledger, report);
                if receipt.order.status == Status::Placed {
                    let why = || format!("order {} still stands after its cancellation", receipt.order.id);
                    report.add(Rule::SameAnswer, &[at], why);
                }
            }
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => is_of_ledger(at, order, ledger, report),
            Operation::ReadOrders { outcome: Outcome::Answered(orders) } => {
                orders.iter().for_each(|order| is_of_ledger(at, order, ledger, report));
            }
            _ => {}
        }
        is_about_what_was_asked(at, &call.operation, report);
    }
}

fn is_of_ledger(at: usize, shown: &Order, ledger: &Ledger<'_>, report: &mut Report) {
    let (id, uses) = (shown.id, ledger.uses(shown.id));
    if uses.sale == 0 {
        return report.add(Rule::NoLoss, &[at], || format!("order {id} was shown, but its sale is not in the ledger"));
    }
    let back = (uses.back > 0).then(|| ledger.entry(uses.back));
    let cancelled_at = match (shown.status, back) {
        (Status::Placed, _) => None,
        (Status::Cancelled, Some(back)) => Some(back.at),
        (Status::Cancelled, None) => {
            let why = || format!("order {id} was shown as cancelled, but its return is not in the ledger");
            return report.add(Rule::NoLoss, &[at], why);
        }
    };
    let sold = ledger.entry(uses.sale).order().map(|order| Order { status: shown.status, cancelled_at, ..order });
    if let Some(sold) = sold
        && sold != *shown
    {
        report.add(Rule::SameAnswer, &[at], || format!("an answer shows {shown:?}, the ledger says {sold:?}"));
    }
}

/// An answer about another order or book than was asked for.
fn is_about_what_was_asked(at: usize, operation: &Operation, report: &mut Report) {
    let same = match operation {
        Operation::Purchase { order, outcome: Outcome::Answered(receipt), .. }
        | Operation::Cancel { order, outcome: Outcome::Answered(receipt) } => receipt.order.id == *order,
        Operation::ReadOrder { order, outcome: Outcome::Answered(shown) } => shown.id == *order,
        Operation::Info { book, outcome: Outcome::Answered(shown) }
        | Operation::Amend { book, outcome: Outcome::Answered(shown), .. } => shown.book == *book,
        _ => true,
    };
    if !same {
        report.add(Rule::SameAnswer, &[at], || "an answer is about something else than was asked for".into());
    }
}

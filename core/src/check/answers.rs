//! Whether every order in an answer is what the ledger says of it, and every answer is about what was asked for.
//!
//! This part looks at each answer alone, without regard to time: an order never changes but for its cancellation, so
//! any answer that shows it must show the lines, prices, total and times of its sale. The sweep judges whether the
//! status was right at the time.

use super::{
    history::History,
    ledger_index::LedgerIndex,
    operation::{Operation, Outcome},
    report::{Report, Rule},
};
use crate::order::{Order, Status};

pub(super) fn compare(history: &History, ledger: &LedgerIndex<'_>, report: &mut Report) {
    for (at, call) in history.calls.iter().enumerate() {
        match &call.operation {
            Operation::Purchase { outcome: Outcome::Answered(receipt), .. } => {
                compare_order(at, &receipt.order, ledger, report);
                if !receipt.replayed && receipt.order.status == Status::Cancelled {
                    let why = || format!("order {} was cancelled as soon as it was bought", receipt.order.id);
                    report.add(Rule::SameAnswer, &[at], why);
                }
            }
            Operation::Cancel { outcome: Outcome::Answered(receipt), .. } => {
                compare_order(at, &receipt.order, ledger, report);
                if receipt.order.status == Status::Placed {
                    let why = || format!("order {} still stands after its cancellation", receipt.order.id);
                    report.add(Rule::SameAnswer, &[at], why);
                }
            }
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => compare_order(at, order, ledger, report),
            Operation::ReadOrders { outcome: Outcome::Answered(orders) } => {
                orders.iter().for_each(|order| compare_order(at, order, ledger, report));
            }
            _ => {}
        }
        if !answers_the_question(&call.operation) {
            report.add(Rule::SameAnswer, &[at], || "an answer is about something else than was asked for".into());
        }
    }
}

/// Compares an order in the answer of call `at` with its sale and its return.
fn compare_order(at: usize, shown: &Order, ledger: &LedgerIndex<'_>, report: &mut Report) {
    let (id, uses) = (shown.id, ledger.uses(shown.id));
    if uses.sale == 0 {
        return report.add(Rule::NoLoss, &[at], || format!("order {id} was shown, but its sale is not in the ledger"));
    }
    let returned = (uses.returned > 0).then(|| ledger.entry(uses.returned));
    let cancelled_at = match (shown.status, returned) {
        (Status::Placed, _) => None,
        (Status::Cancelled, Some(returned)) => Some(returned.at),
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

/// Whether an answer is about the order or book that was asked for.
fn answers_the_question(operation: &Operation) -> bool {
    match operation {
        Operation::Purchase { order, outcome: Outcome::Answered(receipt), .. }
        | Operation::Cancel { order, outcome: Outcome::Answered(receipt) } => receipt.order.id == *order,
        Operation::ReadOrder { order, outcome: Outcome::Answered(shown) } => shown.id == *order,
        Operation::Info { book, outcome: Outcome::Answered(shown) }
        | Operation::Amend { book, outcome: Outcome::Answered(shown), .. } => shown.book == *book,
        _ => true,
    }
}

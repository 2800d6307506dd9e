//! Whether every order in an answer is what the ledger says of it, and every answer is about what was asked for.
//!
//! This part looks at each answer alone, without regard to time: an answer that shows an order must show it as its entries make it up
//! to the version that it names. The sweep judges whether that was right at the time.

use super::{
    history::History,
    ledger_index::LedgerIndex,
    operation::{Operation, Outcome},
    report::{Report, Rule},
};
use crate::{
    error::Error,
    order::{Order, Receipt, Status},
    request::OrderAction,
};

pub(super) fn compare(history: &History, ledger: &LedgerIndex<'_>, report: &mut Report) {
    for (at, call) in history.calls.iter().enumerate() {
        match &call.operation {
            Operation::Purchase { outcome, .. } => {
                compare_outcome(at, outcome, &[Status::Placed, Status::Fulfilled], ledger, report);
            }
            Operation::Cancel { outcome, .. } => compare_outcome(at, outcome, &GIVEN_BACK, ledger, report),
            Operation::Change { action, outcome, .. } => {
                compare_outcome(at, outcome, statuses_after(action), ledger, report);
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

const GIVEN_BACK: [Status; 3] = [Status::Cancelled, Status::Lapsed, Status::Voided];

/// The states in which an order can be when this was done with it.
fn statuses_after(action: &OrderAction) -> &'static [Status] {
    match action {
        OrderAction::Hold { .. } | OrderAction::Extend { .. } => &[Status::Held, Status::Placed, Status::Fulfilled],
        OrderAction::Purchase { .. } | OrderAction::Confirm => &[Status::Placed, Status::Fulfilled],
        OrderAction::Fulfil => &[Status::Fulfilled],
        OrderAction::Cancel | OrderAction::Void => &GIVEN_BACK,
        OrderAction::EraseContact | OrderAction::SetContact { .. } => {
            &[Status::Held, Status::Placed, Status::Fulfilled, Status::Cancelled, Status::Lapsed, Status::Voided]
        }
        // Sent again, it is answered with the order as it is by then.
        OrderAction::Return { .. } => &[Status::Placed, Status::Fulfilled, Status::Cancelled],
    }
}

/// Compares the order in an answer or a refusal with the ledger, and its state with what the call asked for.
fn compare_outcome(
    at: usize,
    outcome: &Outcome<Receipt>,
    allowed: &[Status],
    ledger: &LedgerIndex<'_>,
    report: &mut Report,
) {
    match outcome {
        Outcome::Answered(receipt) => {
            compare_order(at, &receipt.order, ledger, report);
            let (id, status) = (receipt.order.id, receipt.order.status);
            if !allowed.contains(&status) {
                let why = || format!("order {id} was shown as {status} to a call that cannot leave it so");
                report.add(Rule::SameAnswer, &[at], why);
            }
        }
        Outcome::Refused(error) => {
            let Some(order) = error.order() else { return };
            compare_order(at, order, ledger, report);
            if !is_reason(error, order.status) {
                let why = || format!("a call was refused for what order {} is not: {error}", order.id);
                report.add(Rule::TrueRefusal, &[at], why);
            }
        }
        Outcome::NotExecuted | Outcome::Unknown => {}
    }
}

fn is_reason(error: &Error, status: Status) -> bool {
    match error {
        Error::OrderCancelled { .. } => status == Status::Cancelled,
        Error::OrderLapsed { .. } => status == Status::Lapsed,
        Error::OrderVoided { .. } => status == Status::Voided,
        Error::OrderFulfilled { .. } => status == Status::Fulfilled,
        Error::OrderHeld { .. } | Error::HoldChanged { .. } => status == Status::Held,
        _ => true,
    }
}

/// Compares an order in the answer of call `at` with its entries.
fn compare_order(at: usize, shown: &Order, ledger: &LedgerIndex<'_>, report: &mut Report) {
    let id = shown.id;
    if ledger.entries_of(id).is_empty() {
        return report.add(Rule::NoLoss, &[at], || format!("order {id} was shown, but it is not in the ledger"));
    }
    match ledger.order_at(id, shown.version) {
        None => report.add(Rule::NoLoss, &[at], || {
            format!("order {id} was shown as {} by entry {}, which it does not have", shown.status, shown.version)
        }),
        Some((order, ..)) if order != *shown => {
            report.add(Rule::SameAnswer, &[at], || format!("an answer shows {shown:?}, the ledger says {order:?}"));
        }
        Some(_) => {}
    }
}

/// Whether an answer is about the order or book that was asked for.
fn answers_the_question(operation: &Operation) -> bool {
    match operation {
        Operation::Purchase { order, outcome: Outcome::Answered(receipt), .. }
        | Operation::Cancel { order, outcome: Outcome::Answered(receipt) }
        | Operation::Change { order, outcome: Outcome::Answered(receipt), .. } => receipt.order.id == *order,
        Operation::ReadOrder { order, outcome: Outcome::Answered(shown) } => shown.id == *order,
        Operation::Info { book, outcome: Outcome::Answered(shown) }
        | Operation::Amend { book, outcome: Outcome::Answered(shown), .. } => shown.book == *book,
        _ => true,
    }
}

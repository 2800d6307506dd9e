//! The steps of orders: sales and returns.
//!
//! All calls about one order id are put together first, as each of them says something about the same sale: purchases
//! may have made it, and any answer that shows the order proves that it had happened by then.

use std::collections::BTreeMap;

use super::{
    collector::{Collector, KeyedEffect, OrderEvidence},
    state::{Action, Step},
};
use crate::{
    book::BookId,
    check::{
        history::Call,
        operation::{Operation, Outcome},
        report::Rule,
    },
    error::Error,
    order::{Lines, OrderId, Receipt},
};

/// Whether the answer says that this call did it, and no earlier one.
fn is_first(outcome: &Outcome<Receipt>) -> bool {
    outcome.answered().is_some_and(|receipt| !receipt.replayed)
}

fn quantities(lines: &Lines) -> impl Iterator<Item = (BookId, u32)> {
    lines.iter().map(|line| (line.book, line.quantity))
}

impl Collector<'_, '_> {
    /// Adds what a call proves to the evidence about its order.
    pub(super) fn order_call<'a>(
        &mut self,
        at: usize,
        call: &'a Call,
        orders: &mut BTreeMap<OrderId, OrderEvidence<'a>>,
    ) {
        match &call.operation {
            Operation::Purchase { order, lines, outcome } => {
                let evidence = orders.entry(*order).or_default();
                if is_first(outcome) {
                    evidence.sale.first = Some((call.invoked, at));
                }
                if self.options.delivery.may_execute(outcome) {
                    evidence.asked.push((lines, call.invoked, at));
                }
                match outcome {
                    Outcome::Answered(receipt) => evidence.show(call, &receipt.order),
                    Outcome::Refused(Error::OutOfStock { book, available, .. }) => {
                        self.purchase_out_of_stock(at, call, lines, (*book, *available));
                    }
                    _ => {}
                }
            }
            Operation::Cancel { order, outcome } => {
                let evidence = orders.entry(*order).or_default();
                if self.options.delivery.may_execute(outcome) {
                    evidence.returned.attempt(at, call, is_first(outcome));
                }
                if let Outcome::Answered(receipt) = outcome {
                    evidence.show(call, &receipt.order);
                }
            }
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => {
                orders.entry(order.id).or_default().show(call, order);
            }
            Operation::ReadOrders { outcome: Outcome::Answered(page) } => {
                page.iter().for_each(|order| orders.entry(order.id).or_default().show(call, order));
            }
            _ => {}
        }
    }

    /// A refusal shows the stock of one book, which must be too small for what was asked.
    fn purchase_out_of_stock(&mut self, at: usize, call: &Call, lines: &Lines, (book, available): (BookId, u32)) {
        if lines.iter().any(|line| line.book == book && line.quantity > available) {
            return self.out_of_stock(at, call, book, available);
        }
        let why =
            || format!("book {book} was refused as out of stock with {available} in stock, enough for what was asked");
        self.report.add(Rule::OutOfStock, &[at], why);
    }

    /// Adds the steps of an order: for each of its books a sale, and a return if a call asked for one.
    pub(super) fn order(&mut self, order: &OrderEvidence<'_>) {
        let sold: Vec<(BookId, u32)> = match (order.shown, order.asked.first()) {
            (Some(shown), _) => shown.lines.iter().map(|line| (line.book, line.quantity)).collect(),
            (None, Some((lines, ..))) => quantities(lines).collect(),
            (None, None) => return,
        };
        let mut sale = KeyedEffect { first: order.sale.first, known: order.sale.known, attempts: Vec::new() };
        for (lines, invoked, at) in &order.asked {
            if quantities(lines).eq(sold.iter().copied()) {
                sale.attempts.push((*invoked, *at));
            } else if order.shown.is_none() {
                let books = quantities(lines).chain(sold.iter().copied());
                books.for_each(|(book, _)| self.mark_ambiguous(book));
            }
        }
        // Without an attempt it was sold before recording began, and the initial stock includes that.
        let sale = sale.span().filter(|_| !sale.attempts.is_empty());
        let claim = order.shown.map(|order| order.seq);
        for (book, quantity) in sold {
            let copies = i64::from(quantity);
            let sold = sale.map(|(invoked, at, known)| {
                self.add(book, Step { claim, ..Step::new(Action::Add(-copies), (invoked, known), at) })
            });
            if let Some((invoked, at, known)) = order.returned.span() {
                // Mostly the times say already which comes first.
                let after = sold.filter(|_| sale.is_some_and(|(.., known)| known >= invoked));
                self.add(book, Step { after, ..Step::new(Action::Add(copies), (invoked, known), at) });
            }
        }
    }
}

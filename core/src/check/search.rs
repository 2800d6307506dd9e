//! The search for a witness, for histories without a ledger that can be trusted: book by book, by the stock alone.

mod places;
mod state;
mod wgl;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Delivery, Options,
    history::{Call, History, Operation, Outcome, Shelved, Shown},
    report::{Report, Rule},
};
use crate::{
    book::{Added, Amend, BookId},
    error::Error,
    order::{Lines, Order, OrderId, Status},
};
use places::Places;
use state::{NEVER, Step, What};
use wgl::Verdict;

/// How many attempts a search makes for one book before it gives up, unless asked otherwise: a few seconds.
pub const SEARCH_BUDGET: u64 = 2_000_000;

/// Decides without a ledger whether each book's history is linearizable: whether its sales, returns, restocks and the stock
/// that was shown can have happened one after the other, each at some moment of its call. `initial` is the stock before
/// the first recorded call, of the books that were listed before it.
///
/// An order of several books counts for each of them by itself. Reads of orders serve as proof that a sale or
/// a return had happened. Every book has a `budget` of attempts; one that exceeds it is undecided, not violated.
#[must_use]
pub fn search(history: &History, initial: &[(BookId, u32)], options: &Options, budget: u64) -> Report {
    let mut report = Report::new(history);
    if !super::is_sane(history, &mut report) {
        return report;
    }
    let mut builder = Builder { options, books: BTreeMap::new(), report: &mut report };
    for (book, stock) in initial {
        builder.books.entry(*book).or_default().start = Some(*stock);
    }
    builder.take(history);
    let books = std::mem::take(&mut builder.books);
    let changes = books.values().flat_map(|shelf| &shelf.steps).filter(|step| !step.is_read());
    let places = Places::new(changes.filter_map(|step| step.claim).collect());
    for (book, shelf) in books {
        shelf.search(book, &places, budget, &mut report);
    }
    report
}

/// What happened to one book.
#[derive(Default)]
struct Shelf {
    start: Option<u32>,
    steps: Vec<Step>,
    /// It cannot be told what was asked.
    unclear: bool,
}

impl Shelf {
    fn search(&self, book: BookId, places: &Places, budget: u64, report: &mut Report) {
        if self.steps.is_empty() {
            return;
        }
        let Some(start) = self.start.filter(|_| !self.unclear) else {
            let why = if self.unclear {
                "one of its order ids may have bought different things"
            } else {
                "its first stock is not known"
            };
            return report.undecided.push(format!("book {book}: {why}"));
        };
        match wgl::linearize(start, &self.steps, places, budget) {
            Verdict::Linearizable => {}
            Verdict::Undecided => report.undecided.push(format!("book {book}: not decided after {budget} attempts")),
            Verdict::Stuck(stuck) => {
                let step = self.steps[stuck];
                let beside = |other: &&Step| other.invoked <= step.deadline && step.invoked <= other.deadline;
                let beside: BTreeSet<usize> = self.steps.iter().filter(beside).map(|step| step.call).collect();
                let calls: Vec<usize> = std::iter::once(step.call)
                    .chain(beside.into_iter().filter(|call| *call != step.call).take(15))
                    .collect();
                let why =
                    || format!("book {book}: no order of the calls explains call {} and those before it", step.call);
                report.add(Rule::Linearizable, &calls, why);
            }
        }
    }
}

/// One thing that calls of the same id asked for, or proved.
#[derive(Default)]
struct Deal {
    /// The calls that may have done it: when they were made, and which.
    attempts: Vec<(u64, usize)>,
    /// When the call was made that says it was the first.
    first: Option<(u64, usize)>,
    /// When it was first known to have happened.
    known: Option<u64>,
}

impl Deal {
    fn prove(&mut self, call: &Call) {
        let completed = call.completed.unwrap_or(NEVER);
        self.known = Some(self.known.map_or(completed, |known| known.min(completed)));
    }

    fn attempt(&mut self, at: usize, call: &Call, first: bool) {
        self.attempts.push((call.invoked, at));
        if first && self.first.is_none() {
            self.first = Some((call.invoked, at));
        }
    }

    /// When it was asked for and by which call, and until when it has happened; `None` if nobody asked.
    fn window(&self) -> Option<(u64, usize, u64)> {
        let (invoked, call) = self.first.or(self.attempts.iter().min().copied())?;
        Some((invoked, call, self.known.unwrap_or(NEVER)))
    }
}

/// Everything about one order id.
#[derive(Default)]
struct Facts<'a> {
    asked: Vec<(&'a Lines, u64, usize)>,
    /// What an answer says was bought.
    shown: Option<&'a Order>,
    sale: Deal,
    back: Deal,
}

struct Builder<'o, 'r> {
    options: &'o Options,
    books: BTreeMap<BookId, Shelf>,
    report: &'r mut Report,
}

impl Builder<'_, '_> {
    fn take(&mut self, history: &History) {
        let mut orders: BTreeMap<OrderId, Facts<'_>> = BTreeMap::new();
        let mut keyed: BTreeMap<OrderId, Vec<usize>> = BTreeMap::new();
        for (at, call) in history.calls.iter().enumerate() {
            match &call.operation {
                Operation::Purchase { .. }
                | Operation::Cancel { .. }
                | Operation::ReadOrder { .. }
                | Operation::ReadOrders { .. } => self.order_call(at, call, &mut orders),
                Operation::Info { outcome: Outcome::Answered(shown), .. } => self.read(at, call, *shown),
                Operation::Search { outcome: Outcome::Answered(books) } => {
                    books.iter().for_each(|shown| self.read(at, call, *shown));
                }
                Operation::Amend { book, change, key, outcome } => {
                    if let Outcome::Refused(Error::OutOfStock { available, .. }) = outcome {
                        self.short(at, call, *book, *available);
                    }
                    match key {
                        Some(key) => keyed.entry(*key).or_default().push(at),
                        None => self.unkeyed(at, call, *book, *change, outcome),
                    }
                }
                Operation::List { books, outcome: Outcome::Answered(listed) } => {
                    self.add_books(at, call, books, listed)
                }
                Operation::Info { .. } | Operation::Search { .. } | Operation::List { .. } => {}
            }
        }
        orders.values().for_each(|facts| self.order(facts));
        keyed.values().for_each(|calls| self.keyed(history, calls));
    }

    /// Adds a step and says its index on the book's shelf.
    fn add(&mut self, book: BookId, step: Step) -> usize {
        let steps = &mut self.books.entry(book).or_default().steps;
        steps.push(step);
        steps.len() - 1
    }

    fn read(&mut self, at: usize, call: &Call, shown: Shown) {
        if !self.options.cached.covers(&call.server) {
            self.add(shown.book, Step::new(What::Read(shown.stock), window(call), at).claiming(shown.version));
        }
    }

    fn short(&mut self, at: usize, call: &Call, book: BookId, available: u32) {
        self.add(book, Step::new(What::Read(available), window(call), at));
    }

    fn add_books(&mut self, at: usize, call: &Call, books: &[Shelved], listed: &[Added]) {
        for (book, listed) in books.iter().zip(listed).filter(|(_, listed)| listed.created) {
            self.books.entry(listed.id).or_default().start = Some(0);
            self.add(listed.id, Step::new(What::Add(i64::from(book.stock)), window(call), at));
        }
    }

    fn unkeyed(&mut self, at: usize, call: &Call, book: BookId, change: Amend, outcome: &Outcome<Shown>) {
        let answered = outcome.answered();
        if answered.is_none() && !outcome.is_unknown() {
            return;
        }
        let when = if answered.is_some() { window(call) } else { (call.invoked, NEVER) };
        let what = match (change, answered) {
            (Amend::StockDelta { delta }, Some(shown)) => What::AddTo(delta, shown.stock),
            (Amend::StockDelta { delta }, None) => What::Add(delta),
            (Amend::Set { stock: Some(stock), .. }, _) => What::Assign(stock),
            (Amend::Set { stock: None, .. }, Some(shown)) => What::AddTo(0, shown.stock),
            (Amend::Set { stock: None, .. }, None) => What::Add(0),
        };
        let claim = answered.map(|shown| shown.version);
        self.add(book, Step { claim, ..Step::new(what, when, at) });
    }

    /// Amends under one key: it happened once, and each answer shows the stock then or later.
    fn keyed(&mut self, history: &History, calls: &[usize]) {
        let mut deals: Vec<(BookId, Amend, Deal)> = Vec::new();
        for &at in calls {
            let call = &history.calls[at];
            let Operation::Amend { book, change, outcome, .. } = &call.operation else { continue };
            if !self.may_do(outcome) {
                continue;
            }
            let same = deals.iter().position(|deal| (deal.0, deal.1) == (*book, *change)).unwrap_or(deals.len());
            if same == deals.len() {
                deals.push((*book, *change, Deal::default()));
            }
            let deal = &mut deals[same].2;
            deal.attempt(at, call, false);
            if outcome.answered().is_some() {
                deal.prove(call);
            }
        }
        if deals.len() > 1 {
            // Only one of them happened, and it cannot be told which.
            deals.iter().for_each(|(book, ..)| self.books.entry(*book).or_default().unclear = true);
        }
        let [(book, change, deal)] = &deals[..] else { return };
        let Some((invoked, call, known)) = deal.window() else { return };
        let what = match change {
            Amend::StockDelta { delta } => What::Add(*delta),
            Amend::Set { stock: Some(stock), .. } => What::Assign(*stock),
            Amend::Set { stock: None, .. } => What::Add(0),
        };
        let answers = calls.iter().filter_map(|at| match &history.calls[*at].operation {
            Operation::Amend { outcome: Outcome::Answered(shown), .. } => Some((*at, shown)),
            _ => None,
        });
        // The first answer shows the amend itself; later ones may show later entries.
        let claim = answers.clone().map(|(_, shown)| shown.version).min();
        let done = self.add(*book, Step { claim, ..Step::new(what, (invoked, known), call) });
        for (at, shown) in answers {
            let read = Step::new(What::Read(shown.stock), window(&history.calls[at]), at).claiming(shown.version);
            self.add(*book, Step { after: Some(done), ..read });
        }
    }

    fn may_do<T>(&self, outcome: &Outcome<T>) -> bool {
        match outcome {
            Outcome::Answered(_) | Outcome::Unknown => true,
            Outcome::Refused(_) => self.options.delivery == Delivery::Duplicated,
            Outcome::NotExecuted => false,
        }
    }

    fn order_call<'a>(&mut self, at: usize, call: &'a Call, orders: &mut BTreeMap<OrderId, Facts<'a>>) {
        match &call.operation {
            Operation::Purchase { order, lines, outcome } => {
                if let Outcome::Refused(Error::OutOfStock { book, available }) = outcome {
                    self.short_purchase(at, call, lines, (*book, *available));
                }
                let facts = orders.entry(*order).or_default();
                let first = outcome.answered().is_some_and(|receipt| !receipt.replayed);
                if first {
                    facts.sale.first = Some((call.invoked, at));
                }
                if self.may_do(outcome) {
                    facts.asked.push((lines, call.invoked, at));
                }
                if let Outcome::Answered(receipt) = outcome {
                    facts.show(call, &receipt.order);
                }
            }
            Operation::Cancel { order, outcome } => {
                let facts = orders.entry(*order).or_default();
                if self.may_do(outcome) {
                    facts.back.attempt(at, call, outcome.answered().is_some_and(|receipt| !receipt.replayed));
                }
                if let Outcome::Answered(receipt) = outcome {
                    facts.show(call, &receipt.order);
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

    fn short_purchase(&mut self, at: usize, call: &Call, lines: &Lines, short: (BookId, u32)) {
        let (book, available) = short;
        if lines.iter().any(|line| line.book == book && line.quantity > available) {
            return self.short(at, call, book, available);
        }
        let why =
            || format!("book {book} was refused as out of stock with {available} in stock, enough for what was asked");
        self.report.add(Rule::OutOfStock, &[at], why);
    }

    fn order(&mut self, facts: &Facts<'_>) {
        let sold: Vec<(BookId, u32)> = match (facts.shown, facts.asked.first()) {
            (Some(order), _) => order.lines.iter().map(|line| (line.book, line.quantity)).collect(),
            (None, Some((lines, ..))) => lines.iter().map(|line| (line.book, line.quantity)).collect(),
            (None, None) => return,
        };
        let is_sold = |lines: &Lines| lines.iter().map(|line| (line.book, line.quantity)).eq(sold.iter().copied());
        let mut sale = Deal { first: facts.sale.first, known: facts.sale.known, attempts: Vec::new() };
        for (lines, invoked, at) in &facts.asked {
            if is_sold(lines) {
                sale.attempts.push((*invoked, *at));
            } else if facts.shown.is_none() {
                let books = lines.iter().map(|line| line.book).chain(sold.iter().map(|(book, _)| *book));
                books.for_each(|book| self.books.entry(book).or_default().unclear = true);
            }
        }
        // Without an attempt it was sold before recording began, and the first stock knows.
        let sale = sale.window().filter(|_| !sale.attempts.is_empty());
        let claim = facts.shown.map(|order| order.seq);
        for (book, quantity) in sold {
            let copies = i64::from(quantity);
            let sold = sale.map(|(invoked, at, known)| {
                self.add(book, Step { claim, ..Step::new(What::Add(-copies), (invoked, known), at) })
            });
            if let Some((invoked, at, known)) = facts.back.window() {
                // Mostly the clock says already which comes first.
                let sold = sold.filter(|_| sale.is_some_and(|(.., known)| known >= invoked));
                self.add(book, Step { after: sold, ..Step::new(What::Add(copies), (invoked, known), at) });
            }
        }
    }
}

impl<'a> Facts<'a> {
    fn show(&mut self, call: &Call, order: &'a Order) {
        self.shown = Some(order);
        self.sale.prove(call);
        if order.status == Status::Cancelled {
            self.back.prove(call);
        }
    }
}

/// Between when and when an answered or refused call happened.
fn window(call: &Call) -> (u64, u64) {
    (call.invoked, call.completed.unwrap_or(NEVER))
}

//! Turns recorded calls into the steps of every book.
//!
//! A step has a span of time in which it happened. For a call that was answered without a key that is the time of the
//! call. For what calls with a key did together, it begins with the call that was the first, or the earliest that may
//! have been, and ends when an answer first shows the effect; if no answer does, it may have happened later, or never.

use std::collections::BTreeMap;

use super::state::{Action, NEVER, Step, span};
use crate::{
    book::{Added, Amend, BookId},
    check::{
        history::{Call, History},
        operation::{BookState, ListedBook, Operation, Outcome},
        options::Options,
        report::Report,
    },
    error::Error,
    order::{Order, OrderId, Receipt, Status},
    request::{Lines, OrderAction},
};

/// What happened to one book, in the order in which it was collected.
#[derive(Default)]
pub(super) struct BookSteps {
    /// The stock before the first step, if it is known.
    pub(super) initial_stock: Option<u32>,
    pub(super) steps: Vec<Step>,
    /// Calls with one key asked for different things, and no answer says which of them was done.
    pub(super) ambiguous: bool,
}

/// Something that happens once under a key, however many calls ask for it: a sale, a return, or a keyed amend.
#[derive(Default)]
pub(super) struct KeyedEffect {
    /// The calls that may have caused it: when they were made, and which they are.
    pub(super) attempts: Vec<(u64, usize)>,
    /// The call whose answer says that it was the first, and when it was made.
    pub(super) first: Option<(u64, usize)>,
    /// When it was first known to have happened.
    pub(super) known: Option<u64>,
}

impl KeyedEffect {
    /// The answer to `call` shows that it has happened.
    pub(super) fn prove(&mut self, call: &Call) {
        let completed = call.completed.unwrap_or(NEVER);
        self.known = Some(self.known.map_or(completed, |known| known.min(completed)));
    }

    /// Call `at` may have caused it.
    pub(super) fn attempt(&mut self, at: usize, call: &Call, first: bool) {
        self.attempts.push((call.invoked, at));
        if first {
            self.first.get_or_insert((call.invoked, at));
        }
    }

    /// When it was asked for, by which call, and the time until which it has happened; `None` if no call asked.
    pub(super) fn span(&self) -> Option<(u64, usize, u64)> {
        let (invoked, call) = self.first.or(self.attempts.iter().min().copied())?;
        Some((invoked, call, self.known.unwrap_or(NEVER)))
    }
}

/// Everything about one order id.
#[derive(Default)]
pub(super) struct OrderEvidence<'a> {
    /// What purchases that may have executed asked for: the lines, when the call was made, and which it is.
    pub(super) asked: Vec<(&'a Lines, u64, usize)>,
    /// The order as an answer shows it.
    pub(super) shown: Option<&'a Order>,
    pub(super) sale: KeyedEffect,
    pub(super) returned: KeyedEffect,
}

impl<'a> OrderEvidence<'a> {
    /// The answer to `call` shows the order.
    pub(super) fn show(&mut self, call: &Call, order: &'a Order) {
        self.shown = Some(order);
        self.sale.prove(call);
        if order.status == Status::Cancelled {
            self.returned.prove(call);
        }
    }
}

/// What an amend does to the stock.
fn action_of(change: &Amend) -> Action {
    match change {
        Amend::StockDelta { delta } => Action::Add(*delta),
        Amend::Set { stock: Some(stock), .. } => Action::Set(*stock),
        Amend::Set { stock: None, .. } | Amend::Revise { .. } | Amend::Withdraw | Amend::Relist => Action::Add(0),
    }
}

/// Collects the steps of all books from a history.
pub(super) struct Collector<'o, 'r> {
    pub(super) options: &'o Options,
    pub(super) books: BTreeMap<BookId, BookSteps>,
    pub(super) report: &'r mut Report,
}

impl<'o, 'r> Collector<'o, 'r> {
    pub(super) fn new(options: &'o Options, initial: &[(BookId, u32)], report: &'r mut Report) -> Self {
        let book = |&(book, stock)| (book, BookSteps { initial_stock: Some(stock), ..BookSteps::default() });
        Self { options, books: initial.iter().map(book).collect(), report }
    }

    /// Goes through the history, then through the orders and the keys that it found.
    pub(super) fn collect(mut self, history: &History) -> BTreeMap<BookId, BookSteps> {
        let mut orders: BTreeMap<OrderId, OrderEvidence<'_>> = BTreeMap::new();
        let mut keyed: BTreeMap<OrderId, Vec<usize>> = BTreeMap::new();
        for (at, call) in history.calls.iter().enumerate() {
            match &call.operation {
                Operation::Purchase { .. }
                | Operation::Cancel { .. }
                | Operation::ReadOrder { .. }
                | Operation::ReadOrders { .. } => self.order_call(at, call, &mut orders),
                Operation::Change { action, outcome, .. } => self.leave_out(action, outcome),
                Operation::Info { outcome, .. } => self.reads(at, call, outcome.answered()),
                Operation::Search { outcome } => self.reads(at, call, outcome.answered().into_iter().flatten()),
                Operation::Amend { book, change, key, outcome } => {
                    if let Outcome::Refused(Error::OutOfStock { available, .. }) = outcome {
                        self.out_of_stock(at, call, *book, *available);
                    }
                    match key {
                        // It may have made no entry.
                        _ if matches!(change, Amend::Withdraw | Amend::Relist) => {
                            self.reads(at, call, outcome.answered());
                        }
                        Some(key) => keyed.entry(*key).or_default().push(at),
                        None => self.unkeyed_amend(at, call, *book, change, outcome),
                    }
                }
                Operation::AddBooks { books, outcome } => {
                    if let Some(added) = outcome.answered() {
                        self.add_books(at, call, books, added);
                    }
                }
            }
        }
        orders.values().for_each(|order| self.order(order));
        keyed.values().for_each(|calls| self.keyed_amends(history, calls));
        self.books
    }

    /// Adds a step, and returns its index in the book's steps.
    pub(super) fn add(&mut self, book: BookId, step: Step) -> usize {
        let steps = &mut self.books.entry(book).or_default().steps;
        steps.push(step);
        steps.len() - 1
    }

    /// Marks a book of which no answer says which of several requests with one key was executed.
    pub(super) fn mark_ambiguous(&mut self, book: BookId) {
        self.books.entry(book).or_default().ambiguous = true;
    }

    /// Books whose copies were held, or came back in part, are left to the check with a ledger.
    fn leave_out(&mut self, action: &OrderAction, outcome: &Outcome<Receipt>) {
        let asked = match action {
            OrderAction::Purchase { lines, .. }
            | OrderAction::Hold { lines, .. }
            | OrderAction::Return { lines, .. } => lines.iter().map(|line| line.book).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let shown = outcome.answered().into_iter().flat_map(|receipt| &receipt.order.lines).map(|line| line.book);
        asked.into_iter().chain(shown).for_each(|book| self.mark_ambiguous(book));
    }

    /// Each book in an answer is a read, unless the server caches.
    fn reads<'s>(&mut self, at: usize, call: &Call, books: impl IntoIterator<Item = &'s BookState>) {
        if self.options.cached.covers(&call.server) {
            return;
        }
        for shown in books {
            let read = Step::new(Action::Read(shown.stock), span(call), at);
            self.add(shown.book, read.claiming(shown.version));
        }
    }

    /// A refusal shows the stock too.
    pub(super) fn out_of_stock(&mut self, at: usize, call: &Call, book: BookId, available: u32) {
        self.add(book, Step::new(Action::Read(available), span(call), at));
    }

    /// A listed book begins with no copies, and gets its first ones in the listing.
    fn add_books(&mut self, at: usize, call: &Call, books: &[ListedBook], added: &[Added]) {
        for (book, added) in books.iter().zip(added).filter(|(_, added)| added.created) {
            self.books.entry(added.id).or_default().initial_stock = Some(0);
            self.add(added.id, Step::new(Action::Add(i64::from(book.stock)), span(call), at));
        }
    }

    /// An amend without a key happened in its own call, if at all; its answer shows the stock right after it.
    fn unkeyed_amend(&mut self, at: usize, call: &Call, book: BookId, change: &Amend, outcome: &Outcome<BookState>) {
        let answered = outcome.answered();
        if answered.is_none() && !outcome.is_unknown() {
            return;
        }
        let span = if answered.is_some() { span(call) } else { (call.invoked, NEVER) };
        let action = match (action_of(change), answered) {
            (Action::Add(delta), Some(shown)) => Action::AddTo(delta, shown.stock),
            (action, _) => action,
        };
        let claim = answered.map(|shown| shown.version);
        self.add(book, Step { claim, ..Step::new(action, span, at) });
    }

    /// Amends with one key happened once, and each answer shows the stock then or later.
    fn keyed_amends(&mut self, history: &History, calls: &[usize]) {
        let effects = self.effects_of(history, calls);
        if effects.len() > 1 {
            // Only one of them happened, and no answer says which.
            effects.iter().for_each(|(book, ..)| self.mark_ambiguous(*book));
        }
        let [(book, change, effect)] = &effects[..] else { return };
        let Some((invoked, call, known)) = effect.span() else { return };
        let answers = calls.iter().filter_map(|at| match &history.calls[*at].operation {
            Operation::Amend { outcome: Outcome::Answered(shown), .. } => Some((*at, shown)),
            _ => None,
        });
        // The first answer shows the amend itself; later answers may show later entries.
        let claim = answers.clone().map(|(_, shown)| shown.version).min();
        let amend = self.add(*book, Step { claim, ..Step::new(action_of(change), (invoked, known), call) });
        for (at, shown) in answers {
            let read = Step::new(Action::Read(shown.stock), span(&history.calls[at]), at).claiming(shown.version);
            self.add(*book, Step { after: Some(amend), ..read });
        }
    }

    /// The different changes that calls with one key asked for and may have made.
    fn effects_of(&self, history: &History, calls: &[usize]) -> Vec<(BookId, Amend, KeyedEffect)> {
        let mut effects: Vec<(BookId, Amend, KeyedEffect)> = Vec::new();
        for &at in calls {
            let call = &history.calls[at];
            let Operation::Amend { book, change, outcome, .. } = &call.operation else { continue };
            if !self.options.delivery.may_execute(outcome) {
                continue;
            }
            let same = effects.iter().position(|effect| (effect.0, &effect.1) == (*book, change));
            let same = same.unwrap_or_else(|| {
                effects.push((*book, change.clone(), KeyedEffect::default()));
                effects.len() - 1
            });
            let effect = &mut effects[same].2;
            effect.attempt(at, call, false);
            if outcome.answered().is_some() {
                effect.prove(call);
            }
        }
        effects
    }
}

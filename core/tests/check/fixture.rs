//! A shop that decides as the real one does and records itself, so that a test can spoil what it recorded.

use bookstore_core::{
    Amend, BookId, Entry, Error, Lines, NewBook, Order, OrderId, Receipt, Seq, Timestamp,
    check::{
        self, BookState, Call, CopyContents, FinalState, History, ListedBook, Operation, Options, Outcome, Report,
        Rule, ServerCopy,
    },
    decide::{self, Batch, Command, Known, Level, Levels, Outcome as Decided, State},
    fixtures::{any_book, cents, lines},
};
use std::sync::Arc;
use uuid::Uuid;

/// When a call was made and when it returned.
pub(crate) type When = (u64, u64);

/// An order id or a key.
pub(crate) fn key(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

/// A restock by `delta`.
pub(crate) fn delta(delta: i64) -> Amend {
    Amend::StockDelta { delta }
}

/// The recording shop. Calls are decided in the order in which they are made here; when they were made and returned is up to
/// the test.
#[derive(Clone, Default)]
pub(crate) struct Shop {
    /// What decides.
    pub(crate) state: State,
    /// What was decided.
    pub(crate) batch: Batch,
    /// What was recorded.
    pub(crate) calls: Vec<Call>,
    /// Copies of order servers.
    pub(crate) copies: Vec<ServerCopy>,
    /// The server that the next calls go through.
    pub(crate) server: &'static str,
}

impl Shop {
    /// A shop without books, whose calls go through server "a".
    pub(crate) fn empty() -> Self {
        Self { server: "a", ..Self::default() }
    }

    /// A shop with book 1 (ten copies at 1.00) and book 2 (five copies at 2.00), listed by calls 0 and 1 until time 9.
    pub(crate) fn open() -> Self {
        let mut shop = Self::empty();
        shop.add_books((0, 4), 10, 100);
        shop.add_books((5, 9), 5, 200);
        shop
    }

    /// The same shop after a purchase of three copies of book 1 under key 1, from 10 to 11, and the index of that call.
    pub(crate) fn sold() -> (Self, usize) {
        let mut shop = Self::open();
        let bought = shop.buy((10, 11), 1, &[(1, 3)]);
        (shop, bought)
    }

    /// The same shop after a restock of book 1 by five copies, from 10 to 11, and the index of that call.
    pub(crate) fn restocked(key: Option<OrderId>) -> (Self, usize) {
        let mut shop = Self::open();
        let restock = shop.amend((10, 11), 1, delta(5), key);
        (shop, restock)
    }

    /// Decides, at a time of its own for every entry.
    pub(crate) fn decide(&mut self, command: &Command) -> Result<Decided, Error> {
        let now = Timestamp(1_700_000_000_000 + i64::try_from(self.state.head.0).expect("few entries"));
        self.state.decide(command, now, &mut self.batch)
    }

    /// Records a call and says its index.
    pub(crate) fn record(&mut self, when: When, operation: Operation) -> usize {
        let completed = (when.1 != u64::MAX).then_some(when.1);
        let call = Call { process: 0, server: Arc::from(self.server), invoked: when.0, completed, operation };
        self.calls.push(call);
        self.calls.len() - 1
    }

    pub(crate) fn add_books(&mut self, when: When, stock: u32, price: u64) -> usize {
        let book = NewBook { price_cents: cents(price), ..any_book(stock) };
        let decided = self.decide(&Command::AddBook { book: Box::new(book), by: None });
        let Ok(Decided::Added(listed)) = decided else { panic!("a new book can be listed") };
        let books = vec![ListedBook { price_cents: cents(price), stock }];
        self.record(when, Operation::AddBooks { books, outcome: Outcome::Answered(vec![listed]) })
    }

    fn receipt(&mut self, command: &Command) -> Outcome<Receipt> {
        let answer = self.decide(command);
        Outcome::of(&answer, receipt)
    }

    /// Buys under `id`.
    pub(crate) fn buy(&mut self, when: When, id: u128, wanted: &[(u64, u32)]) -> usize {
        self.purchase(when, id, lines(wanted))
    }

    pub(crate) fn purchase(&mut self, when: When, id: u128, lines: Lines) -> usize {
        let order = key(id);
        let outcome = self.receipt(&Command::Sell { order, lines: lines.clone() });
        self.record(when, Operation::Purchase { order, lines, outcome })
    }

    pub(crate) fn cancel(&mut self, when: When, id: u128) -> usize {
        let order = key(id);
        let outcome = self.receipt(&Command::Release { order });
        self.record(when, Operation::Cancel { order, outcome })
    }

    pub(crate) fn amend(&mut self, when: When, book: u64, change: Amend, key: Option<OrderId>) -> usize {
        let book = BookId(book);
        let answer = self.decide(&Command::Amend { book, change: change.clone().into(), key, by: None });
        self.record(when, Operation::Amend { book, change, key, outcome: Outcome::of(&answer, amended) })
    }

    /// Sets stock or price, having seen the book as it is now.
    pub(crate) fn set(&mut self, when: When, book: u64, price: Option<u64>, stock: Option<u32>) -> usize {
        let version = self.state.levels.get(BookId(book)).map(|level| level.version);
        self.amend(when, book, Amend::Set { price_cents: price.map(cents), stock, version }, None)
    }

    pub(crate) fn shown(&self, book: u64) -> BookState {
        BookState::new(BookId(book), self.state.levels.get(BookId(book)).expect("a listed book"))
    }

    pub(crate) fn info(&mut self, when: When, book: u64) -> usize {
        let book = BookId(book);
        let level = self.state.levels.get(book).ok_or(Error::BookNotFound { book });
        let outcome = Outcome::of(&level, |level| BookState::new(book, *level));
        self.record(when, Operation::Info { book, outcome })
    }

    pub(crate) fn order(&self, id: u128) -> Option<Order> {
        match self.state.known(key(id), &self.batch) {
            Some(Known::Order(order)) => Some(order),
            _ => None,
        }
    }

    pub(crate) fn read(&mut self, when: When, id: u128) -> usize {
        let order = key(id);
        let answer = self.order(id).ok_or(Error::OrderNotFound { order });
        self.record(when, Operation::ReadOrder { order, outcome: Outcome::of(&answer, Order::clone) })
    }

    /// The receipt of a call.
    pub(crate) fn receipt_of(&mut self, call: usize) -> &mut Receipt {
        match &mut self.calls[call].operation {
            Operation::Purchase { outcome: Outcome::Answered(receipt), .. }
            | Operation::Cancel { outcome: Outcome::Answered(receipt), .. } => receipt,
            other => panic!("expected a receipt, not {other:?}"),
        }
    }

    /// The order that a read was answered with.
    pub(crate) fn order_of(&mut self, call: usize) -> &mut Order {
        match &mut self.calls[call].operation {
            Operation::ReadOrder { outcome: Outcome::Answered(order), .. } => order,
            other => panic!("expected an order, not {other:?}"),
        }
    }

    /// The orders of the first copy.
    pub(crate) fn copied(&mut self) -> &mut Vec<Order> {
        match &mut self.copies[0].contents {
            CopyContents::Orders(orders) => orders,
            CopyContents::Entries(entries) => panic!("expected orders, not {entries:?}"),
        }
    }

    /// The book that a call was answered with.
    pub(crate) fn book_of(&mut self, call: usize) -> &mut BookState {
        match &mut self.calls[call].operation {
            Operation::Info { outcome: Outcome::Answered(shown), .. }
            | Operation::Amend { outcome: Outcome::Answered(shown), .. } => shown,
            other => panic!("expected a book, not {other:?}"),
        }
    }

    /// Gives a call another ending, without an answer.
    pub(crate) fn end(&mut self, call: usize, ending: &Outcome<()>) {
        fn with<T>(ending: &Outcome<()>) -> Outcome<T> {
            match ending {
                Outcome::Answered(()) => panic!("an answer needs an answer"),
                Outcome::Refused(error) => Outcome::Refused(error.clone()),
                Outcome::NotExecuted => Outcome::NotExecuted,
                Outcome::Unknown => Outcome::Unknown,
            }
        }
        match &mut self.calls[call].operation {
            Operation::Purchase { outcome, .. }
            | Operation::Cancel { outcome, .. }
            | Operation::Change { outcome, .. } => *outcome = with(ending),
            Operation::ReadOrder { outcome, .. } => *outcome = with(ending),
            Operation::ReadOrders { outcome } => *outcome = with(ending),
            Operation::Info { outcome, .. } | Operation::Amend { outcome, .. } => *outcome = with(ending),
            Operation::Search { outcome } => *outcome = with(ending),
            Operation::AddBooks { outcome, .. } => *outcome = with(ending),
        }
    }

    /// The outcome of a call becomes unknown.
    pub(crate) fn forget(&mut self, call: usize) {
        self.end(call, &Outcome::Unknown);
    }

    /// Takes entry `seq` out of the ledger as if it had never been, and undoes what it did to later stock.
    pub(crate) fn lose(&mut self, seq: u64) {
        let at = usize::try_from(seq).expect("few entries") - 1;
        let lost = self.batch.entries.remove(at);
        for change in &lost.changes {
            self.shift(at, change.book, -change.delta);
        }
        self.renumber();
    }

    /// Appends a copy of entry `seq`, as if it had been done once more at the end.
    pub(crate) fn double(&mut self, seq: u64) {
        let at = usize::try_from(seq).expect("few entries") - 1;
        let mut entry = self.batch.entries[at].clone();
        for change in &mut entry.changes {
            let stock = self.stock(change.book);
            change.stock = u32::try_from(i64::from(stock) + change.delta).expect("enough in stock");
        }
        self.append(entry);
    }

    /// Appends an entry, with the next number.
    pub(crate) fn append(&mut self, mut entry: Entry) {
        entry.seq = Seq(self.batch.entries.len() as u64 + 1);
        self.batch.entries.push(entry);
    }

    /// The stock of a book after the last entry.
    pub(crate) fn stock(&self, book: BookId) -> u32 {
        let changes = self.batch.entries.iter().rev().flat_map(|entry| &entry.changes);
        changes.filter(|change| change.book == book).map(|change| change.stock).next().expect("a listed book")
    }

    fn shift(&mut self, from: usize, book: BookId, by: i64) {
        for change in self.batch.entries[from..].iter_mut().flat_map(|entry| &mut entry.changes) {
            if change.book == book {
                change.stock = u32::try_from(i64::from(change.stock) + by).expect("enough in stock");
            }
        }
    }

    fn renumber(&mut self) {
        for (seq, entry) in (1..).zip(&mut self.batch.entries) {
            entry.seq = Seq(seq);
        }
    }

    /// How the books stand by the ledger as it is, spoiled or not.
    pub(crate) fn levels(&self) -> Vec<(BookId, Level)> {
        let mut levels = Levels::default();
        self.batch.entries.iter().for_each(|entry| decide::apply(&mut levels, entry));
        levels.iter().collect()
    }

    /// An order server's copy up to entry `followed`.
    pub(crate) fn copy(&mut self, followed: u64) {
        let mut orders: Vec<Order> = Vec::new();
        for entry in self.batch.entries.iter().take_while(|entry| entry.seq.0 <= followed) {
            orders.extend(entry.order());
            let of = |order: &Order| Some(order.id) == entry.order_id() && order.seq != entry.seq;
            if let Some(at) = orders.iter().position(of) {
                orders[at] = orders[at].clone().after(entry);
            }
        }
        let (server, followed) = ("b".to_owned(), Seq(followed));
        self.copies.push(ServerCopy { server, followed, contents: CopyContents::Orders(orders) });
    }

    pub(crate) fn history(&self) -> History {
        History { calls: self.calls.clone(), unrecorded: 0 }
    }

    pub(crate) fn final_state(&self) -> FinalState {
        FinalState {
            entries: self.batch.entries.clone(),
            levels: Some(self.levels()),
            copies: self.copies.clone(),
            since: Seq(0),
        }
    }

    pub(crate) fn check_as(&self, options: &Options) -> Report {
        check::check(&self.history(), &self.final_state(), options)
    }

    pub(crate) fn check(&self) -> Report {
        self.check_as(&Options::default())
    }

    /// Asserts that nothing is wrong.
    #[track_caller]
    pub(crate) fn assert_right(&self) {
        let report = self.check();
        assert!(report.holds(), "{report}");
    }

    /// Asserts that just this rule is broken.
    #[track_caller]
    pub(crate) fn assert_broken(&self, rule: Rule) -> Report {
        let report = self.check();
        assert!(report.rules().iter().eq([&rule]), "expected {rule} alone, found: {report}");
        assert!(report.undecided.is_empty(), "{report}");
        report
    }
}

/// The receipt of a decision.
pub(crate) fn receipt(decided: &Decided) -> Receipt {
    match decided {
        Decided::Receipt(receipt) => receipt.clone(),
        other => panic!("expected a receipt, not {other:?}"),
    }
}

/// The book that a decision has amended.
pub(crate) fn amended(decided: &Decided) -> BookState {
    match decided {
        Decided::Amended(book, level) => BookState::new(*book, *level),
        other => panic!("expected a level, not {other:?}"),
    }
}

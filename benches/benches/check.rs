//! How long the history checker takes for 100,000 calls, up to 64 of them at once: with the ledger as the witness, and by the
//! search that needs none, where that comes to an end. On one hot book, on ten, and on a hundred.

use bookstore_core::{
    Amend, BookId, BookText, Cents, Clock as _, Error, Lines, ManualClock, NewBook, OrderId, Receipt, Result,
    Timestamp,
    check::{self, BookState, Call, FinalState, History, ListedBook, Operation, Options, Outcome},
    decide::{Batch, Command, Known, Outcome as Decided, State},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc};

const CALLS: u64 = 100_000;
const AT_ONCE: u64 = 64;
/// Calls are decided so many ticks apart.
const PACE: u64 = 100;

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// A shop that decides as the real one does, and is recorded.
struct Shop {
    state: State,
    batch: Batch,
    clock: ManualClock,
    dice: Dice,
    books: u64,
    calls: Vec<Call>,
    orders: Vec<OrderId>,
}

impl Shop {
    fn run(books: u64) -> (History, FinalState) {
        let (state, batch) = (State::default(), Batch::default());
        let clock = ManualClock::new(Timestamp(1_700_000_000_000));
        let mut shop = Self { state, batch, clock, dice: Dice(7), books, calls: Vec::new(), orders: Vec::new() };
        for nth in 0..books {
            shop.add_books(nth);
        }
        for nth in books..CALLS {
            let operation = shop.call();
            let (early, late) = (shop.dice.below(AT_ONCE / 2 * PACE), shop.dice.below(AT_ONCE / 2 * PACE));
            let time = AT_ONCE * PACE + nth * PACE;
            shop.record(time - early, time + late, operation);
        }
        let finals = FinalState {
            entries: std::mem::take(&mut shop.batch.entries),
            levels: Some(shop.state.levels.iter().collect()),
            ..FinalState::default()
        };
        (History { calls: shop.calls, unrecorded: 0 }, finals)
    }

    fn record(&mut self, invoked: u64, completed: u64, operation: Operation) {
        let unknown = self.dice.below(50) == 0 && !matches!(operation, Operation::AddBooks { .. });
        let operation = if unknown { forgotten(operation) } else { operation };
        let completed = (!unknown).then_some(completed);
        self.calls.push(Call { process: 0, server: Arc::from("shop"), invoked, completed, operation });
    }

    fn decide(&mut self, command: &Command) -> Result<Decided> {
        self.state.decide(command, self.clock.now(), &mut self.batch)
    }

    fn add_books(&mut self, nth: u64) {
        let text = BookText { title: format!("book {nth}"), topic: "t".into(), ..BookText::default() };
        let (price_cents, stock) = (Cents::new(100).expect("small"), 100);
        let decided = self.decide(&Command::AddBook { book: Box::new(NewBook { text, price_cents, stock }), by: None });
        let Ok(Decided::Added(listed)) = decided else { panic!("a new book can be listed") };
        let books = vec![ListedBook { price_cents, stock }];
        self.record(nth, nth, Operation::AddBooks { books, outcome: Outcome::Answered(vec![listed]) });
    }

    fn book(&mut self) -> BookId {
        BookId(1 + self.dice.below(self.books))
    }

    /// One of the last orders; a new id if there is none yet.
    fn old_order(&mut self) -> OrderId {
        let back = self.dice.below(AT_ONCE);
        let old = self.orders.iter().rev().nth(usize::try_from(back).expect("small")).copied();
        old.unwrap_or_else(|| self.clock.new_order_id())
    }

    fn call(&mut self) -> Operation {
        match self.dice.below(20) {
            0 | 1 => {
                let order = self.old_order();
                let answer = self.decide(&Command::Release { order });
                Operation::Cancel { order, outcome: Outcome::of(&answer, receipt) }
            }
            2 | 3 => {
                let order = self.old_order();
                let known = match self.state.known(order, &self.batch) {
                    Some(Known::Order(order)) => Ok(order),
                    _ => Err(Error::OrderNotFound { order }),
                };
                Operation::ReadOrder { order, outcome: Outcome::of(&known, Clone::clone) }
            }
            4..7 => {
                let book = self.book();
                let level = self.state.levels.get(book).ok_or(Error::BookNotFound { book });
                Operation::Info { book, outcome: Outcome::of(&level, |level| BookState::new(book, *level)) }
            }
            7 => {
                let (book, change) = (self.book(), Amend::StockDelta { delta: 10 });
                let answer = self.decide(&Command::Amend { book, change: change.clone().into(), key: None, by: None });
                let shown = |decided: &Decided| match decided {
                    Decided::Amended(book, level) => BookState::new(*book, *level),
                    other => panic!("expected a level, not {other:?}"),
                };
                Operation::Amend { book, change, key: None, outcome: Outcome::of(&answer, shown) }
            }
            _ => self.purchase(),
        }
    }

    fn purchase(&mut self) -> Operation {
        let again = self.dice.below(20) == 0;
        let order = if again { self.old_order() } else { self.clock.new_order_id() };
        let (book, copies) = (self.book(), u32::try_from(1 + self.dice.below(2)).expect("small"));
        let lines = Lines::one(book, copies).expect("a good line");
        let answer = self.decide(&Command::Sell { order, lines: lines.clone() });
        if answer.is_ok() && !again {
            self.orders.push(order);
        }
        Operation::Purchase { order, lines, outcome: Outcome::of(&answer, receipt) }
    }
}

fn receipt(decided: &Decided) -> Receipt {
    match decided {
        Decided::Receipt(receipt) => receipt.clone(),
        other => panic!("expected a receipt, not {other:?}"),
    }
}

fn forgotten(operation: Operation) -> Operation {
    match operation {
        Operation::Purchase { order, lines, .. } => Operation::Purchase { order, lines, outcome: Outcome::Unknown },
        Operation::Cancel { order, .. } => Operation::Cancel { order, outcome: Outcome::Unknown },
        Operation::ReadOrder { order, .. } => Operation::ReadOrder { order, outcome: Outcome::Unknown },
        Operation::Info { book, .. } => Operation::Info { book, outcome: Outcome::Unknown },
        Operation::Amend { book, change, key, .. } => Operation::Amend { book, change, key, outcome: Outcome::Unknown },
        other => other,
    }
}

fn checker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(CALLS)).sample_size(10);
    for books in [1, 10, 100] {
        let (history, finals) = Shop::run(books);
        let options = Options { cancellations: check::Cancellations::Everywhere, ..Options::default() };
        let report = check::check(&history, &finals, &options);
        assert!(report.holds(), "{report}");
        println!("{books} books: {report}");
        group.bench_function(BenchmarkId::new("with the ledger", books), |bencher| {
            bencher.iter(|| black_box(check::check(&history, &finals, &options)));
        });
        let searched = check::search(&history, &[], &options, check::SEARCH_BUDGET);
        assert!(searched.violations.is_empty(), "{searched}");
        if !searched.undecided.is_empty() {
            println!("{books} books, without the ledger: {}", searched.undecided.join("; "));
            continue;
        }
        group.bench_function(BenchmarkId::new("by the search", books), |bencher| {
            bencher.iter(|| black_box(check::search(&history, &[], &options, check::SEARCH_BUDGET)));
        });
    }
    group.finish();
}

criterion_group!(benches, checker);
criterion_main!(benches);

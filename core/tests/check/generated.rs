//! Random concurrent runs of the real decision are right, and each spoiled in one place is caught by the rule that it breaks.

use bookstore_core::{
    Amend, BookId, Error, Line, Lines,
    check::{self, BookState, Delivery, Operation, Options, Outcome, Report},
    decide::Command,
    fixtures::{cents, lines},
};
use proptest::{prelude::*, sample::Index, strategy::ValueTree as _, test_runner::TestRunner};
use std::sync::Arc;

use crate::{
    fixture::{Shop, amended, delta, key, receipt},
    spoils::{SPOILS, infos},
};

/// What a process asks for next.
#[derive(Clone, Debug)]
enum Ask {
    Buy { id: u128, wanted: Vec<(u64, u32)>, seen: Option<u64> },
    Cancel { id: u128 },
    Read { id: u128 },
    Info { book: u64 },
    Page,
    Restock { book: u64, by: i64, keyed: Option<u128> },
    Set { book: u64, price: Option<u64>, stock: Option<u32>, unseen: bool },
}

/// One step of one process.
#[derive(Clone, Debug)]
struct Step {
    process: usize,
    /// What to ask if it is idle.
    ask: Ask,
    /// What becomes of the message, in hundredths.
    luck: u8,
}

const PROCESSES: usize = 6;
const BOOKS: u64 = 3;

fn asks() -> impl Strategy<Value = Ask> {
    // Few ids, so that calls meet; an id asks for the same most of the time, as a retry does.
    let id = 1..40_u128;
    let usual = |id: u128| {
        let book = u64::try_from(id).expect("small") % BOOKS + 1;
        if id.is_multiple_of(5) { vec![(book, 1), (book % BOOKS + 1, 2)] } else { vec![(book, 1)] }
    };
    let wanted = prop_oneof![8 => Just(None), 1 => (1..=BOOKS, 1..4_u32).prop_map(Some)];
    let buy = (id.clone(), wanted, prop::option::weighted(0.1, 90..110_u64)).prop_map(move |(id, other, seen)| {
        Ask::Buy { id, wanted: other.map_or_else(|| usual(id), |line| vec![line]), seen }
    });
    let restock = (1..=BOOKS, -3..4_i64, prop::option::of(100..106_u128));
    let set = (1..=BOOKS, prop::option::of(95..105_u64), prop::option::of(0..8_u32), any::<bool>());
    prop_oneof![
        8 => buy,
        2 => id.clone().prop_map(|id| Ask::Cancel { id }),
        3 => id.prop_map(|id| Ask::Read { id }),
        3 => (1..=BOOKS + 1).prop_map(|book| Ask::Info { book }),
        1 => Just(Ask::Page),
        // One key asks for one thing.
        2 => restock.prop_map(|(book, by, keyed)| match keyed {
            Some(key) => Ask::Restock { book: u64::try_from(key).expect("small") % BOOKS + 1, by: 2, keyed },
            None => Ask::Restock { book, by, keyed },
        }),
        1 => set.prop_map(|(book, price, stock, unseen)| Ask::Set { book, price, stock, unseen }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..PROCESSES, asks(), 0..100_u8).prop_map(|(process, ask, luck)| Step { process, ask, luck });
    prop::collection::vec(step, 1..250)
}

/// Where a process is with its call.
#[derive(Clone)]
enum Doing {
    Idle,
    /// Asked at a time, not yet decided.
    Asked(u64, Operation),
    /// Decided, the answer is on its way.
    Decided(u64, Operation),
    /// The answer will not come, but the call may still take effect.
    Lost(Operation),
}

/// A run: processes take their steps in turn, and decide, answer and lose what they are at.
struct Run {
    shop: Shop,
    time: u64,
    doing: Vec<Doing>,
}

impl Run {
    fn of(steps: &[Step]) -> Shop {
        let mut shop = Shop::empty();
        for book in 0..BOOKS {
            shop.add_books((2 * book, 2 * book + 1), 6, 100);
        }
        let mut run = Self { shop, time: 2 * BOOKS, doing: vec![Doing::Idle; PROCESSES] };
        steps.iter().for_each(|step| run.step(step));
        run.end();
        let head = run.shop.batch.entries.len() as u64;
        run.shop.copy(head);
        run.shop.copy(head / 2);
        run.shop
    }

    fn step(&mut self, Step { process, ask, luck }: &Step) {
        self.time += 1;
        let doing = std::mem::replace(&mut self.doing[*process], Doing::Idle);
        self.doing[*process] = match doing {
            Doing::Idle => Doing::Asked(self.time, operation(ask, &self.shop)),
            Doing::Asked(since, asked) if *luck < 6 => {
                let call = self.record(since, asked, *process, true);
                self.shop.end(call, &Outcome::NotExecuted);
                Doing::Idle
            }
            // The request is lost or late, and its caller does not know which.
            Doing::Asked(since, asked) if *luck < 16 => {
                self.record(since, asked.clone(), *process, luck % 2 == 0);
                if *luck < 12 { Doing::Lost(asked) } else { Doing::Idle }
            }
            Doing::Asked(since, asked) => Doing::Decided(since, self.decide(asked)),
            // The reply is lost.
            Doing::Decided(since, decided) if *luck < 12 => {
                let call = self.record(since, decided, *process, luck % 2 == 0);
                self.shop.forget(call);
                Doing::Idle
            }
            Doing::Decided(since, decided) => {
                self.record(since, decided, *process, true);
                Doing::Idle
            }
            Doing::Lost(asked) if *luck < 50 => Doing::Lost(asked),
            Doing::Lost(asked) => {
                self.decide(asked);
                Doing::Idle
            }
        };
    }

    fn record(&mut self, since: u64, operation: Operation, process: usize, returned: bool) -> usize {
        let completed = if returned { self.time } else { u64::MAX };
        let call = self.shop.record((since, completed), operation);
        self.shop.calls[call].process = process as u64;
        self.shop.calls[call].server = Arc::from(if process.is_multiple_of(2) { "a" } else { "b" });
        call
    }

    /// What is under way in the end never returns.
    fn end(&mut self) {
        for process in 0..PROCESSES {
            let doing = std::mem::replace(&mut self.doing[process], Doing::Idle);
            let (Doing::Asked(since, operation) | Doing::Decided(since, operation)) = doing else { continue };
            let call = self.record(since, operation, process, false);
            self.shop.forget(call);
        }
    }

    /// Decides now, and says what the answer is.
    fn decide(&mut self, asked: Operation) -> Operation {
        let command = match &asked {
            Operation::Purchase { order, lines, .. } => Command::Sell { order: *order, lines: lines.clone() },
            Operation::Cancel { order, .. } => Command::Release { order: *order },
            Operation::Amend { book, change, key, .. } => {
                Command::Amend { book: *book, change: change.clone().into(), key: *key, by: None }
            }
            _ => return self.look(asked),
        };
        let answer = self.shop.decide(&command);
        match asked {
            Operation::Purchase { order, lines, .. } => {
                Operation::Purchase { order, lines, outcome: Outcome::of(&answer, receipt) }
            }
            Operation::Cancel { order, .. } => Operation::Cancel { order, outcome: Outcome::of(&answer, receipt) },
            Operation::Amend { book, change, key, .. } => {
                Operation::Amend { book, change, key, outcome: Outcome::of(&answer, amended) }
            }
            other => other,
        }
    }

    fn look(&self, asked: Operation) -> Operation {
        match asked {
            Operation::ReadOrder { order, .. } => {
                let found = self.shop.order(order.0.as_u128()).ok_or(Error::OrderNotFound { order });
                Operation::ReadOrder { order, outcome: Outcome::of(&found, Clone::clone) }
            }
            Operation::Info { book, .. } => {
                let level = self.shop.state.levels.get(book).ok_or(Error::BookNotFound { book });
                Operation::Info { book, outcome: Outcome::of(&level, |level| BookState::new(book, *level)) }
            }
            _ => {
                let books = self.shop.state.levels.iter().map(|(book, level)| BookState::new(book, level)).collect();
                Operation::Search { outcome: Outcome::Answered(books) }
            }
        }
    }
}

/// What is asked, not yet answered.
fn operation(ask: &Ask, shop: &Shop) -> Operation {
    match ask {
        Ask::Buy { id, wanted, seen } => {
            let mut wanted: Vec<Line> = lines(wanted).iter().copied().collect();
            wanted[0].price_cents = seen.map(cents);
            let lines = Lines::new(wanted).expect("still good lines");
            Operation::Purchase { order: key(*id), lines, outcome: Outcome::Unknown }
        }
        Ask::Cancel { id } => Operation::Cancel { order: key(*id), outcome: Outcome::Unknown },
        Ask::Read { id } => Operation::ReadOrder { order: key(*id), outcome: Outcome::Unknown },
        Ask::Info { book } => Operation::Info { book: BookId(*book), outcome: Outcome::Unknown },
        Ask::Page => Operation::Search { outcome: Outcome::Unknown },
        Ask::Restock { book, by, keyed } => {
            let (book, key) = (BookId(*book), keyed.map(key));
            Operation::Amend { book, change: delta(*by), key, outcome: Outcome::Unknown }
        }
        Ask::Set { book, price, stock, unseen } => {
            let book = BookId(*book);
            let version = shop.state.levels.get(book).map(|level| level.version).filter(|_| !unseen);
            let change = Amend::Set { price_cents: price.map(cents), stock: *stock, version };
            Operation::Amend { book, change, key: None, outcome: Outcome::Unknown }
        }
    }
}

fn strict() -> Options {
    Options { cancellations: check::Cancellations::Everywhere, ..Options::default() }
}

fn report(shop: &Shop) -> Report {
    shop.check_as(&strict())
}

proptest! {
    // Each run is checked many times.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn random_runs_are_right(steps in steps()) {
        let shop = Run::of(&steps);
        for delivery in [Delivery::Once, Delivery::Retried, Delivery::Duplicated] {
            let report = shop.check_as(&Options { delivery, ..strict() });
            prop_assert!(report.holds(), "{}", report);
        }
        let searched = check::search(&shop.history(), &[], &Options::default(), check::SEARCH_BUDGET);
        prop_assert!(searched.violations.is_empty(), "{}", searched);
    }

    #[test]
    fn spoiled_runs_are_caught(steps in steps(), at in any::<Index>()) {
        let run = Run::of(&steps);
        for (name, spoil) in SPOILS {
            let mut shop = run.clone();
            if let Some(rule) = spoil(&mut shop, &at) {
                let report = report(&shop);
                prop_assert!(report.rules().contains(&rule), "{} must break {}: {}", name, rule, report);
            }
        }
    }

    #[test]
    fn a_read_that_no_search_explains_no_ledger_explains(steps in steps(), at in any::<Index>(), by in 1..4_u32) {
        let mut shop = Run::of(&steps);
        let reads = infos(&shop);
        if !reads.is_empty() {
            shop.book_of(*at.get(&reads)).stock += by;
        }
        let searched = check::search(&shop.history(), &[], &Options::default(), check::SEARCH_BUDGET);
        prop_assert!(searched.violations.is_empty() || !report(&shop).holds());
    }
}

#[test]
fn random_runs_reach_what_is_interesting() {
    let mut runner = TestRunner::deterministic();
    let (mut spoiled, mut counts) = ([0; SPOILS.len()], [0; 6]);
    for _ in 0..100 {
        let tree = (steps(), any::<Index>()).new_tree(&mut runner).expect("runs can be drawn");
        let (steps, at) = tree.current();
        let run = Run::of(&steps);
        for ((_, spoil), spoiled) in SPOILS.iter().zip(&mut spoiled) {
            *spoiled += u32::from(spoil(&mut run.clone(), &at).is_some());
        }
        let found = report(&run).counts;
        let reached =
            [found.refused, found.not_executed, found.unknown, found.replayed, found.unacknowledged, found.at_once / 4];
        counts.iter_mut().zip(reached).for_each(|(count, reached)| *count += reached);
    }
    let rarely = SPOILS.iter().zip(spoiled).filter(|(_, spoiled)| *spoiled < 10).map(|((name, _), _)| name);
    assert_eq!(rarely.collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(counts.iter().all(|count| *count >= 40), "{counts:?}");
}

//! How many copies of each book were sold: ever, and in the last days.

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use crate::{
    id::{BookId, OrderId},
    ledger::{Change, Entry, Kind},
    page::Period,
};

/// Numbers of copies that are kept by book and day, each of 12 bytes: 24 MB. Beyond them days are counted together, the oldest first.
const CELLS_MAX: usize = 2_000_000;
/// Days that are counted together last.
const RECENT_DAYS: i64 = 30;

/// The first day of a period that ends today.
fn first_day(period: Period, today: i64) -> i64 {
    period.days().map_or(i64::MIN, |days| today - i64::from(days) + 1)
}

/// The sales of a ledger up to an entry.
///
/// Beside the days it takes 32 bytes a book, and what is held: at most [`Holds::MAX`](crate::decide::Holds::MAX) orders.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sales {
    today: i64,
    cells_max: usize,
    /// Of each book, by number, the copies that were sold and did not come back, for each of [`Period::ALL`].
    sold: Vec<[i64; Period::ALL.len()]>,
    /// The copies of each day of the last year but `open`.
    days: BTreeMap<i64, Day>,
    /// How many there are in `days`.
    cells: usize,
    /// The day of the last entry.
    open: (i64, HashMap<u32, i64, RandomState>),
    /// What was held and is not sold yet.
    held: HashMap<OrderId, Box<[Change]>, RandomState>,
}

/// The copies of one day, or of several that are counted together, by the numbers of the books, which are in order.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    books: Box<[u32]>,
    copies: Box<[i64]>,
}

impl Day {
    fn iter(&self) -> impl Iterator<Item = (u32, i64)> {
        self.books.iter().copied().zip(self.copies.iter().copied())
    }

    fn of(mut cells: Vec<(u32, i64)>) -> Self {
        cells.sort_unstable_by_key(|(book, _)| *book);
        cells.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        cells.retain(|(_, copies)| *copies != 0);
        let (books, copies): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        Self { books: books.into(), copies: copies.into() }
    }
}

impl Sales {
    /// Before the first entry.
    pub(super) fn new(today: i64) -> Self {
        Self {
            today,
            cells_max: CELLS_MAX,
            sold: Vec::new(),
            days: BTreeMap::new(),
            cells: 0,
            open: (today, HashMap::default()),
            held: HashMap::default(),
        }
    }

    /// The last day of every period.
    pub(super) fn today(&self) -> i64 {
        self.today
    }

    /// How many copies of a book were sold in a period and did not come back in it.
    pub(super) fn of(&self, book: BookId, period: Period) -> i64 {
        let sold = usize::try_from(book.0).ok().and_then(|at| self.sold.get(at));
        sold.map_or(0, |sold| sold[period as usize].max(0))
    }

    /// Takes the next entry in.
    pub(super) fn apply(&mut self, entry: &Entry) {
        let day = entry.at.day();
        match (entry.kind, entry.order_id()) {
            (Kind::Hold, Some(order)) => {
                self.held.insert(order, Box::from(&entry.changes[..]));
            }
            (Kind::Confirm, Some(order)) => {
                let lines = self.held.remove(&order).unwrap_or_default();
                self.add(&lines, day);
            }
            (Kind::Lapse, Some(order)) => drop(self.held.remove(&order)),
            // What comes back before it is sold was never counted.
            (Kind::Return, Some(order)) if self.held.remove(&order).is_some() => {}
            (Kind::Sale | Kind::Return, _) => self.add(&entry.changes, day),
            _ => {}
        }
    }

    /// Takes in copies that were sold: for each day a table by the number of the book.
    pub(super) fn add_up(&mut self, copies: &[(i64, Vec<i64>)]) {
        for (day, copies) in copies {
            let sold = (0..).map(BookId).zip(copies).filter(|(_, copies)| **copies != 0);
            sold.for_each(|(book, copies)| self.add_copies(book, *copies, *day));
        }
    }

    /// Begins another day, which is not before the present one.
    pub(super) fn begin(&mut self, today: i64) {
        self.close();
        for period in Period::ALL {
            let left = first_day(period, self.today)..first_day(period, today);
            let cells = if left.is_empty() { Vec::new() } else { self.between(left.start, left.end) };
            for (book, copies) in cells {
                self.sold[book as usize][period as usize] -= copies;
            }
        }
        self.today = today;
        self.days = self.days.split_off(&first_day(Period::Year, today));
        self.cells = self.days.values().map(|day| day.books.len()).sum();
    }

    fn between(&self, from: i64, to: i64) -> Vec<(u32, i64)> {
        self.days.range(from..to).flat_map(|(_, day)| day.iter()).collect()
    }

    /// Counts changes of stock as sales.
    fn add(&mut self, changes: &[Change], day: i64) {
        changes.iter().for_each(|change| self.add_copies(change.book, -change.delta, day));
    }

    fn add_copies(&mut self, book: BookId, copies: i64, day: i64) {
        // No ledger has more books.
        let Ok(book) = u32::try_from(book.0) else { return };
        let at = book as usize;
        if at >= self.sold.len() {
            self.sold.resize(at + 1, Default::default());
        }
        for period in Period::ALL {
            if first_day(period, self.today) <= day {
                self.sold[at][period as usize] += copies;
            }
        }
        if first_day(Period::Year, self.today) <= day {
            if self.open.0 != day {
                self.close();
                self.open.0 = day;
            }
            *self.open.1.entry(book).or_default() += copies;
        }
    }

    /// Puts the copies of the open day to those of its day.
    fn close(&mut self) {
        let (day, cells) = (self.open.0, mem::take(&mut self.open.1));
        if !cells.is_empty() {
            self.put(day, cells.into_iter().collect());
            self.coarsen();
        }
    }

    fn put(&mut self, day: i64, mut cells: Vec<(u32, i64)>) {
        let there = self.days.entry(day).or_default();
        self.cells -= there.books.len();
        cells.extend(there.iter());
        *there = Day::of(cells);
        self.cells += there.books.len();
    }

    /// Counts days together, two and two, until the limit is kept or one is left.
    fn coarsen(&mut self) {
        while self.cells > self.cells_max && self.days.len() > 1 {
            let days: Vec<i64> = self.days.keys().copied().collect();
            let old = days.partition_point(|day| *day <= self.today - RECENT_DAYS);
            let two = if old > 1 { &days[..old] } else { &days[..] };
            for two in two.chunks_exact(2) {
                self.count_together(two[0], two[1]);
            }
        }
    }

    /// Counts the sales of a day as those of a later one.
    fn count_together(&mut self, early: i64, late: i64) {
        let Some(day) = self.days.remove(&early) else { return };
        self.cells -= day.books.len();
        for period in Period::ALL {
            let first = first_day(period, self.today);
            if early < first && first <= late {
                for (book, copies) in day.iter() {
                    self.sold[book as usize][period as usize] += copies;
                }
            }
        }
        self.put(late, day.iter().collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, id::Seq, inline_list::InlineList, ledger::Details, money::Cents};
    use proptest::prelude::*;
    use uuid::Uuid;

    const BOOKS: u64 = 5;

    /// What happens next in a script.
    #[derive(Clone, Debug)]
    enum Step {
        /// Some copies of some books are bought.
        Sell(Vec<(u64, i64)>),
        /// They are held; see `After`.
        Hold(Vec<(u64, i64)>, After),
        /// The order that was placed so many orders ago is cancelled.
        Cancel(usize),
        /// One copy of it comes back.
        Return(usize),
        /// So many days pass, without or with the catalog's knowing it at once.
        Pass(i64, bool),
        /// The clock is wrong by so many days for the next entry.
        Stray(i64),
    }

    #[derive(Clone, Copy, Debug)]
    enum After {
        Confirm,
        Lapse,
        Cancel,
        Stay,
    }

    fn step() -> impl Strategy<Value = Step> {
        let lines = || prop::collection::vec((1..=BOOKS, 1..4_i64), 1..4);
        let after = prop::sample::select(vec![After::Confirm, After::Lapse, After::Cancel, After::Stay]);
        prop_oneof![
            4 => lines().prop_map(Step::Sell),
            2 => (lines(), after).prop_map(|(lines, after)| Step::Hold(lines, after)),
            1 => (0..4_usize).prop_map(Step::Cancel),
            1 => (0..4_usize).prop_map(Step::Return),
            3 => (0..40_i64, any::<bool>()).prop_map(|(days, seen)| Step::Pass(days, seen)),
            1 => (-400..400_i64).prop_map(Step::Stray),
        ]
    }

    /// The entries of a script, and a list of everything that was sold.
    struct Script {
        sales: Sales,
        today: i64,
        stray: i64,
        last: u64,
        placed: Vec<(OrderId, BTreeMap<u64, i64>)>,
        /// Day, book and copies.
        sold: Vec<(i64, u64, i64)>,
    }

    impl Script {
        fn append(&mut self, kind: Kind, key: OrderId, lines: &BTreeMap<u64, i64>, order: Option<OrderId>) {
            let sign = if matches!(kind, Kind::Sale | Kind::Hold) { -1 } else { 1 };
            let changes: InlineList<Change> = lines
                .iter()
                .map(|(book, copies)| Change {
                    book: BookId(*book),
                    delta: sign * copies,
                    price_cents: Cents::ZERO,
                    stock: 9,
                })
                .collect();
            self.last += 1;
            let at = Timestamp((self.today + self.stray) * 86_400_000 + 5);
            let details = Details { order, ..Details::default() }.boxed();
            let entry = Entry { seq: Seq(self.last), at, kind, key: Some(key), changes, text: None, details };
            self.sales.apply(&entry);
        }

        fn count(&mut self, lines: &BTreeMap<u64, i64>, sign: i64) {
            let day = self.today + self.stray;
            self.sold.extend(lines.iter().map(|(book, copies)| (day, *book, sign * copies)));
        }

        fn key(&self) -> OrderId {
            OrderId(Uuid::from_u128(u128::from(self.last) + 1))
        }

        fn hold(&mut self, lines: BTreeMap<u64, i64>, after: After) {
            let order = self.key();
            self.append(Kind::Hold, order, &lines, None);
            match after {
                After::Confirm => {
                    self.append(Kind::Confirm, order, &BTreeMap::new(), None);
                    self.count(&lines, 1);
                    self.placed.push((order, lines));
                }
                After::Lapse => self.append(Kind::Lapse, order, &lines, None),
                After::Cancel => self.append(Kind::Return, order, &lines, None),
                After::Stay => {}
            }
        }

        fn run(&mut self, step: Step) {
            match step {
                Step::Sell(lines) => {
                    let (order, lines) = (self.key(), lines.into_iter().collect());
                    self.append(Kind::Sale, order, &lines, None);
                    self.count(&lines, 1);
                    self.placed.push((order, lines));
                }
                Step::Hold(lines, after) => self.hold(lines.into_iter().collect(), after),
                Step::Cancel(ago) => {
                    let Some(at) = self.placed.len().checked_sub(ago + 1) else { return };
                    let (order, lines) = self.placed.remove(at);
                    self.append(Kind::Return, order, &lines, None);
                    self.count(&lines, -1);
                }
                Step::Return(ago) => {
                    let Some(at) = self.placed.len().checked_sub(ago + 1) else { return };
                    let (order, lines) = &mut self.placed[at];
                    let (order, Some(mut kept)) = (*order, lines.first_entry()) else { return };
                    let one = BTreeMap::from([(*kept.key(), 1)]);
                    *kept.get_mut() -= 1;
                    if *kept.get() == 0 {
                        kept.remove();
                    }
                    self.append(Kind::Return, self.key(), &one, Some(order));
                    self.count(&one, -1);
                }
                Step::Pass(days, seen) => {
                    self.today += days;
                    self.stray = 0;
                    if seen {
                        self.sales.begin(self.today);
                    }
                }
                Step::Stray(days) => self.stray = days,
            }
        }

        /// Everything that was sold, counted one by one.
        fn recount(&self, book: u64, period: Period) -> i64 {
            let first = period.days().map_or(i64::MIN, |days| self.today - i64::from(days) + 1);
            let sold = self.sold.iter().filter(|(day, other, _)| *other == book && *day >= first);
            sold.map(|(_, _, copies)| copies).sum::<i64>().max(0)
        }
    }

    fn script(cells_max: usize, steps: Vec<Step>) -> Script {
        let sales = Sales { cells_max, ..Sales::new(20_000) };
        let mut script = Script { sales, today: 20_000, stray: 0, last: 0, placed: Vec::new(), sold: Vec::new() };
        steps.into_iter().for_each(|step| script.run(step));
        script.sales.begin(script.today);
        script
    }

    proptest! {
        #[test]
        fn sales_are_those_of_a_recount(steps in prop::collection::vec(step(), 0..120)) {
            let script = script(CELLS_MAX, steps);
            for (book, period) in (0..=BOOKS).flat_map(|book| Period::ALL.map(|period| (book, period))) {
                prop_assert_eq!(script.sales.of(BookId(book), period), script.recount(book, period), "{} {:?}", book, period);
            }
        }

        /// However little memory there is: what was ever sold is counted, a sale stays in a period for as long as it should or longer,
        /// and once all is old nothing is left.
        #[test]
        fn days_are_counted_together_within_the_limit(
            cells_max in 0..20_usize,
            days in prop::collection::vec((0..5_i64, prop::collection::vec((1..=BOOKS, 1..4_i64), 1..4)), 1..100),
        ) {
            let steps = days.into_iter().flat_map(|(days, lines)| [Step::Pass(days, true), Step::Sell(lines)]);
            let mut script = script(cells_max, steps.collect());
            let books = usize::try_from(BOOKS).expect("few");
            prop_assert!(script.sales.cells <= cells_max.max(books), "{} of {}", script.sales.cells, cells_max);
            for book in 0..=BOOKS {
                for period in Period::ALL {
                    let (kept, exact) = (script.sales.of(BookId(book), period), script.recount(book, period));
                    prop_assert!(kept >= exact && kept <= script.recount(book, Period::Ever), "{kept} of {exact}");
                }
                prop_assert_eq!(script.sales.of(BookId(book), Period::Ever), script.recount(book, Period::Ever));
            }
            script.sales.begin(script.today + 365);
            for book in 0..=BOOKS {
                let gone = [Period::Week, Period::Month, Period::Year].map(|period| script.sales.of(BookId(book), period));
                prop_assert_eq!(gone, [0, 0, 0]);
            }
            prop_assert_eq!((script.sales.cells, script.sales.days.len()), (0, 0));
        }
    }
}

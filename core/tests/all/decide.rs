//! Every branch of the pure decision.

use bookstore_core::{
    Added, Amend, BookId, BookText, Cents, Change, Entry, Error, Kind, Line, Lines, NewBook, OrderAction, OrderId,
    Receipt, Seq, Status, Text, Timestamp,
    decide::{self, Batch, Command, Holds, Known, Level, Levels, Outcome, State},
    error::Shortage,
    fixtures::{cents, lines},
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn new_book(title: &str, stock: u32, price: u64) -> NewBook {
    let text = BookText { title: title.into(), topic: "t".into(), ..BookText::default() };
    NewBook { text, price_cents: cents(price), stock }
}

fn sell(key: u128, wanted: &[(u64, u32)]) -> Command {
    Command::Sell { order: order(key), lines: lines(wanted) }
}

fn change_order(key: u128, action: OrderAction) -> Command {
    Command::Order { order: order(key), action: Box::new(action), by: None }
}

fn release(key: u128) -> Command {
    Command::Release { order: order(key) }
}

fn delta(book: u64, delta: i64, key: Option<u128>) -> Command {
    Command::Amend { book: BookId(book), change: Amend::StockDelta { delta }.into(), key: key.map(order), by: None }
}

fn set(book: u64, price: Option<u64>, stock: Option<u32>, version: Option<u64>) -> Command {
    let change = Amend::Set { price_cents: price.map(cents), stock, version: version.map(Seq) };
    Command::Amend { book: BookId(book), change: change.into(), key: None, by: None }
}

fn out_of_stock(short: &[(u64, u32)]) -> Error {
    Error::out_of_stock(short.iter().map(|&(book, available)| Shortage { book: BookId(book), available }))
}

fn change(book: u64, delta: i64, price: u64, stock: u32) -> Change {
    Change { book: BookId(book), delta, price_cents: cents(price), stock }
}

/// A state with three books (ten copies at 1.00, five at 2.00, none at 3.00), and the batch of whatever comes after.
struct Shop {
    state: State,
    batch: Batch,
}

impl Shop {
    fn open() -> Self {
        let mut shop = Self { state: State::default(), batch: Batch::default() };
        for (title, stock, price) in [("one", 10, 100), ("two", 5, 200), ("three", 0, 300)] {
            shop.decide(&Command::AddBook { book: Box::new(new_book(title, stock, price)), by: None }).expect("listed");
        }
        shop.batch = Batch::default();
        shop
    }

    fn decide(&mut self, command: &Command) -> Result<Outcome, Error> {
        self.state.decide(command, NOW, &mut self.batch)
    }

    fn known(&self, id: u128) -> Known {
        self.state.known(order(id), &self.batch).expect("a key in use")
    }

    fn receipt(&mut self, command: &Command) -> Receipt {
        match self.decide(command) {
            Ok(Outcome::Receipt(receipt)) => receipt,
            other => panic!("expected a receipt, not {other:?}"),
        }
    }

    fn level(&self, book: u64) -> (u32, u64, u64) {
        let level = self.state.levels.get(BookId(book)).expect("a listed book");
        (level.stock, level.price_cents.get(), level.version.0)
    }

    /// Asserts that a command is refused and leaves no trace at all.
    #[track_caller]
    fn assert_refused(&mut self, command: &Command, error: &Error) {
        let before = format!("{:?} {:?}", self.state.levels, (self.state.head, self.state.last_book));
        let (known, identities, entries) =
            (self.state.known.clone(), self.state.identities.clone(), self.batch.entries.clone());
        assert_eq!(self.decide(command).as_ref(), Err(error), "{command:?}");
        assert_eq!(format!("{:?} {:?}", self.state.levels, (self.state.head, self.state.last_book)), before);
        assert_eq!((&self.state.known, &self.state.identities), (&known, &identities));
        assert_eq!(self.batch.entries, entries);
    }

    #[track_caller]
    fn assert_invalid(&mut self, command: &Command, field: &str) {
        let before = self.batch.entries.len();
        match self.decide(command) {
            Err(Error::Invalid { field: found, .. }) if found == field => {}
            other => panic!("expected {field} to be invalid, got {other:?}"),
        }
        assert_eq!(self.batch.entries.len(), before);
    }
}

#[test]
fn a_sale_takes_all_lines_and_makes_one_entry() {
    let mut shop = Shop::open();
    let receipt = shop.receipt(&sell(7, &[(2, 5), (1, 3)]));
    let changes = [change(1, -3, 100, 7), change(2, -5, 200, 0)];
    let entry = Entry {
        seq: Seq(4),
        at: NOW,
        kind: Kind::Sale,
        key: Some(order(7)),
        changes: changes.into_iter().collect(),
        text: None,
        details: None,
    };
    assert_eq!(shop.batch.entries, std::slice::from_ref(&entry));
    assert_eq!((shop.level(1), shop.level(2), shop.level(3)), ((7, 100, 4), (0, 200, 4), (0, 300, 3)));
    assert!(!receipt.replayed);
    assert_eq!(Some(&receipt.order), entry.order().as_ref());
    assert_eq!((receipt.order.total_cents, receipt.order.seq, receipt.order.placed_at), (cents(1300), Seq(4), NOW));
    assert_eq!((receipt.order.status, receipt.order.cancelled_at), (Status::Placed, None));
    assert_eq!(shop.known(7), Known::Order(receipt.order));
    assert_eq!(shop.state.head, Seq(4));
    assert!(shop.batch.repriced.is_empty());
}

#[test]
fn a_sale_that_fails_in_any_line_leaves_no_trace() {
    let mut shop = Shop::open();
    let short = |book, available| out_of_stock(&[(book, available)]);
    shop.assert_refused(&sell(7, &[(1, 11)]), &short(1, 10));
    shop.assert_refused(&sell(7, &[(1, 10), (2, 6)]), &short(2, 5));
    shop.assert_refused(&sell(7, &[(2, 6), (1, 11), (3, 1)]), &out_of_stock(&[(1, 10), (2, 5), (3, 0)]));
    shop.assert_refused(&sell(7, &[(1, 1), (3, 1)]), &short(3, 0));
    shop.assert_refused(&sell(7, &[(1, 1), (4, 1)]), &Error::BookNotFound { book: BookId(4) });
    shop.assert_refused(&sell(7, &[(0, 1)]), &Error::BookNotFound { book: BookId(0) });
    shop.assert_refused(&sell(7, &[(u64::MAX, 1)]), &Error::BookNotFound { book: BookId(u64::MAX) });
    // The key is as good as new.
    assert!(!shop.receipt(&sell(7, &[(1, 10)])).replayed);
    assert_eq!(shop.level(1), (0, 100, 4));
}

#[test]
fn lines_of_one_book_are_checked_in_sum() {
    let mut shop = Shop::open();
    shop.assert_refused(&sell(7, &[(2, 3), (2, 3)]), &out_of_stock(&[(2, 5)]));
    let receipt = shop.receipt(&sell(7, &[(2, 3), (2, 2)]));
    assert_eq!(receipt.order.lines.len(), 1);
    assert_eq!(shop.level(2), (0, 200, 4));
}

#[test]
fn a_sale_is_replayed_for_the_same_lines_and_refused_for_others() {
    let mut shop = Shop::open();
    let first = shop.receipt(&sell(7, &[(1, 2), (2, 1)]));
    let again = shop.receipt(&sell(7, &[(2, 1), (1, 2)]));
    assert_eq!(again, Receipt { replayed: true, ..first });
    assert_eq!(shop.batch.entries.len(), 1);
    let reused = Error::OrderIdReused { order: order(7) };
    for other in [&[(1, 2)][..], &[(1, 1), (2, 2)], &[(1, 2), (2, 1), (3, 1)], &[(9, 1)], &[(1, 1000)]] {
        shop.assert_refused(&sell(7, other), &reused);
    }
}

#[test]
fn the_price_that_was_seen_must_be_the_price() {
    let mut shop = Shop::open();
    let seen = |key, price| {
        let line = Line { price_cents: Some(cents(price)), ..Line::new(BookId(1), 1) };
        let lines = Lines::new([line, Line::new(BookId(2), 1)]).expect("good lines");
        Command::Sell { order: order(key), lines }
    };
    for price in [0, 99, 101] {
        shop.assert_refused(&seen(7, price), &Error::PriceChanged { book: BookId(1), price_cents: cents(100) });
    }
    let first = shop.receipt(&seen(7, 100));
    // A replay is the same purchase, whatever price it remembers.
    assert_eq!(shop.receipt(&seen(7, 99)), Receipt { replayed: true, ..first });
}

#[test]
fn a_shelf_that_is_too_empty_is_told_before_a_price_that_changed() {
    let mut shop = Shop::open();
    let line = Line { price_cents: Some(cents(1)), ..Line::new(BookId(3), 1) };
    let command = Command::Sell { order: order(7), lines: Lines::new([line]).expect("good lines") };
    shop.assert_refused(&command, &out_of_stock(&[(3, 0)]));
}

#[test]
fn a_total_never_overflows() {
    let mut shop = Shop::open();
    for price in [Cents::MAX.get(), Cents::MAX.get() / 2 + 1] {
        shop.decide(&set(1, Some(price), None, None)).expect("a price can be set");
        shop.assert_invalid(&sell(7, &[(1, 2)]), "quantity");
    }
    shop.decide(&set(1, Some(Cents::MAX.get() - 400), None, None)).expect("a price can be set");
    shop.assert_invalid(&sell(7, &[(1, 1), (2, 3)]), "quantity");
    let receipt = shop.receipt(&sell(7, &[(1, 1), (2, 2)]));
    assert_eq!(receipt.order.total_cents, Cents::MAX);
}

#[test]
fn a_return_mirrors_its_sale_at_its_price() {
    let mut shop = Shop::open();
    let sold = shop.receipt(&sell(7, &[(1, 3), (2, 5)])).order;
    shop.decide(&set(1, Some(50), None, None)).expect("a price can be set");
    let back = shop.receipt(&release(7));
    let entry = shop.batch.entries.last().expect("an entry");
    assert_eq!(back, Receipt { order: sold.after(entry), replayed: false });
    assert_eq!((back.order.status, back.order.cancelled_at), (Status::Cancelled, Some(NOW)));
    let entry = shop.batch.entries.last().expect("an entry");
    assert_eq!((entry.seq, entry.kind, entry.key), (Seq(6), Kind::Return, Some(order(7))));
    assert_eq!(entry.changes[..], [change(1, 3, 100, 10), change(2, 5, 200, 5)]);
    assert_eq!(entry.order(), None);
    assert_eq!((shop.level(1), shop.level(2)), ((10, 50, 6), (5, 200, 6)), "today's price stays in force");
    assert_eq!(shop.known(7), Known::Order(back.order.clone()));
    assert_eq!(shop.receipt(&release(7)), Receipt { replayed: true, ..back.clone() });
    let again = shop.decide(&sell(7, &[(1, 3), (2, 5)]));
    assert_eq!(again, Err(Error::OrderCancelled { order: Box::new(back.order) }));
    assert_eq!(shop.batch.entries.len(), 3);
}

#[test]
fn only_a_sale_can_be_returned() {
    let mut shop = Shop::open();
    shop.assert_refused(&release(7), &Error::OrderNotFound { order: order(7) });
    shop.decide(&delta(1, 1, Some(8))).expect("a restock");
    shop.assert_refused(&release(8), &Error::OrderNotFound { order: order(8) });
}

#[test]
fn what_was_bought_or_held_can_always_come_back() {
    let mut shop = Shop::open();
    shop.receipt(&sell(7, &[(1, 3)]));
    shop.receipt(&change_order(
        8,
        OrderAction::Hold { lines: lines(&[(1, 2)]), seconds: 60, reference: None, contact: None },
    ));
    let room = i64::from(NewBook::STOCK_MAX) - 7;
    shop.assert_invalid(&delta(1, room + 1, None), "stock");
    shop.decide(&delta(1, room, None)).expect("up to the limit, with what is held");
    assert!(!shop.receipt(&release(7)).replayed);
    shop.state.lapse(Timestamp(NOW.0 + 60_000), &mut shop.batch);
    assert_eq!(shop.level(1).0, NewBook::STOCK_MAX + 3);
}

#[test]
fn a_hold_lapses_when_its_time_is_up_and_not_before() {
    let mut shop = Shop::open();
    for (id, seconds) in [(7, 60), (8, 30), (9, 90)] {
        shop.receipt(&change_order(
            id,
            OrderAction::Hold { lines: lines(&[(1, 2)]), seconds, reference: None, contact: None },
        ));
    }
    let lapse = |shop: &mut Shop, seconds: i64| {
        let before = shop.batch.entries.len();
        shop.state.lapse(Timestamp(NOW.0 + seconds * 1000), &mut shop.batch);
        shop.batch.entries[before..].iter().map(|entry| entry.key.map(|key| key.0.as_u128())).collect::<Vec<_>>()
    };
    assert_eq!(lapse(&mut shop, 29), []);
    assert_eq!(lapse(&mut shop, 30), [Some(8)]);
    // A clock that goes back does not bring it back.
    assert_eq!(lapse(&mut shop, -1000), []);
    let Err(Error::OrderLapsed { order }) = shop.decide(&change_order(8, OrderAction::Confirm)) else { panic!() };
    assert_eq!((order.status, order.version), (Status::Lapsed, Seq(7)));
    assert_eq!(shop.receipt(&change_order(9, OrderAction::Confirm)).order.status, Status::Placed);
    assert_eq!(lapse(&mut shop, 1000), [Some(7)], "a confirmed one does not lapse");
    assert_eq!((shop.level(1).0, shop.state.holds.len()), (8, 0));
}

#[test]
fn many_holds_lapse_in_turn() {
    let mut shop = Shop::open();
    shop.decide(&delta(1, 100_000, None)).expect("a restock");
    let most = u128::try_from(Holds::LAPSES_MAX).expect("small");
    let hold = |seconds| OrderAction::Hold { lines: lines(&[(1, 1)]), seconds, reference: None, contact: None };
    for id in 0..=most {
        shop.receipt(&change_order(100 + id, hold(if id == 0 { 2 } else { 1 })));
    }
    let now = Timestamp(NOW.0 + 2000);
    assert!(shop.state.holds.is_more_due(Holds::LAPSES_MAX, now));
    shop.state.lapse(now, &mut shop.batch);
    assert_eq!((shop.state.holds.len(), shop.state.holds.copies(BookId(1))), (1, 1));
    assert_eq!(shop.known(100).order().map(|order| order.status), Some(Status::Held), "the last one that was due");
    shop.state.lapse(now, &mut shop.batch);
    assert!(shop.state.holds.is_empty());
}

/// A book as it was listed first, at this level.
fn level(stock: u32, price: u64, version: u64) -> Level {
    Level { stock, price_cents: cents(price), version: Seq(version), text_version: Seq(1), on_sale: true }
}

#[test]
fn a_delta_moves_the_stock_within_its_limits() {
    let mut shop = Shop::open();
    let amended = shop.decide(&delta(1, 5, None));
    let fifteen = level(15, 100, 4);
    assert_eq!(amended, Ok(Outcome::Amended(BookId(1), fifteen)));
    assert_eq!(shop.batch.entries[0].kind, Kind::Restock);
    assert_eq!(shop.batch.entries[0].changes[..], [change(1, 5, 100, 15)]);
    shop.decide(&delta(1, -15, None)).expect("down to zero");
    assert_eq!(shop.level(1), (0, 100, 5));
    let short = out_of_stock(&[(2, 5)]);
    for too_much in [-6, i64::from(i32::MIN), -5 - i64::from(u32::MAX), i64::MIN] {
        shop.assert_refused(&delta(2, too_much, None), &short);
    }
    for too_much in [i64::from(NewBook::STOCK_MAX) - 4, i64::from(u32::MAX), i64::MAX] {
        shop.assert_invalid(&delta(2, too_much, None), "stock_delta");
    }
    shop.assert_refused(&delta(4, 1, None), &Error::BookNotFound { book: BookId(4) });
    assert!(shop.batch.repriced.is_empty());
}

#[test]
fn a_keyed_amend_happens_once_and_only_there() {
    let mut shop = Shop::open();
    shop.decide(&delta(1, 5, Some(7))).expect("a restock");
    assert_eq!(shop.batch.entries[0].key, Some(order(7)));
    assert_eq!(shop.known(7), Known::Entry(Box::new(shop.batch.entries[0].clone())));
    let again = shop.decide(&delta(1, 5, Some(7)));
    let fifteen = level(15, 100, 4);
    assert_eq!(again, Ok(Outcome::Amended(BookId(1), fifteen)));
    shop.receipt(&sell(8, &[(1, 1)]));
    assert_eq!(
        shop.decide(&delta(1, 5, Some(7))),
        Ok(Outcome::Amended(BookId(1), Level { stock: 14, version: Seq(5), ..fifteen })),
        "the level as it is now"
    );
    assert_eq!(shop.batch.entries.len(), 2);
    let reused = |key| Error::OrderIdReused { order: order(key) };
    shop.assert_refused(&delta(2, 5, Some(7)), &reused(7));
    shop.assert_refused(&delta(1, 5, Some(8)), &reused(8));
    shop.assert_refused(&sell(7, &[(1, 1)]), &reused(7));
    // A refused one leaves its key free.
    shop.assert_refused(&delta(3, -1, Some(9)), &out_of_stock(&[(3, 0)]));
    shop.decide(&delta(3, 1, Some(9))).expect("a restock");
}

#[test]
fn absolute_values_need_the_version_that_was_seen() {
    let mut shop = Shop::open();
    shop.assert_refused(&set(1, None, Some(3), None), &Error::VersionRequired);
    shop.assert_refused(&set(1, Some(3), Some(3), None), &Error::VersionRequired);
    let mismatch = Error::VersionMismatch { book: BookId(1), version: Seq(1) };
    for version in [0, 2, u64::MAX] {
        shop.assert_refused(&set(1, None, Some(3), Some(version)), &mismatch);
        shop.assert_refused(&set(1, Some(3), None, Some(version)), &mismatch);
    }
    shop.assert_refused(&set(4, Some(3), None, None), &Error::BookNotFound { book: BookId(4) });
    shop.assert_invalid(&set(1, None, Some(NewBook::STOCK_MAX + 1), Some(1)), "stock");
    assert_eq!(shop.level(1), (10, 100, 1));
}

#[test]
fn absolute_values_are_set_and_recorded() {
    let mut shop = Shop::open();
    let cases = [
        (
            set(1, None, Some(NewBook::STOCK_MAX), Some(1)),
            Kind::Restock,
            change(1, 999_999_990, 100, NewBook::STOCK_MAX),
        ),
        (set(1, Some(0), None, None), Kind::Reprice, change(1, 0, 0, NewBook::STOCK_MAX)),
        (set(1, Some(70), None, Some(5)), Kind::Reprice, change(1, 0, 70, NewBook::STOCK_MAX)),
        (set(1, Some(80), Some(0), Some(6)), Kind::Reprice, change(1, -1_000_000_000, 80, 0)),
        (set(1, Some(80), None, None), Kind::Reprice, change(1, 0, 80, 0)),
    ];
    for (seq, (command, kind, change)) in (4..).zip(cases) {
        let level = level(change.stock, change.price_cents.get(), seq);
        assert_eq!(shop.decide(&command), Ok(Outcome::Amended(BookId(1), level)), "{command:?}");
        let entry = shop.batch.entries.last().expect("an entry");
        assert_eq!((entry.kind, &entry.changes[..]), (kind, &[change][..]));
        assert_eq!(shop.batch.repriced.contains(&BookId(1)), seq > 4, "only a new price is a new price");
        assert_eq!(shop.state.levels.get(BookId(1)), Some(level));
    }
}

#[test]
fn a_book_is_listed_once() {
    let mut shop = Shop::open();
    let four = new_book("four", 4, 400);
    let listed = |id, created| Ok(Outcome::Added(Added { id: BookId(id), created }));
    assert_eq!(shop.decide(&Command::AddBook { book: Box::new(four.clone()), by: None }), listed(4, true));
    let dearer = new_book("four", 9, 900);
    assert_eq!(shop.decide(&Command::AddBook { book: Box::new(dearer), by: None }), listed(4, false));
    assert_eq!(shop.decide(&Command::AddBook { book: Box::new(new_book("two", 1, 1)), by: None }), listed(2, false));
    let texts: Vec<_> = shop.batch.entries.iter().filter_map(|entry| entry.text.clone()).collect();
    assert_eq!(texts, [Text::from(four.text)]);
    assert_eq!(shop.batch.entries.len(), 1);
    let entry = &shop.batch.entries[0];
    assert_eq!((entry.seq, entry.kind, entry.key), (Seq(4), Kind::Listing, None));
    assert_eq!(entry.changes[..], [change(4, 4, 400, 4)]);
    assert_eq!((shop.level(4), shop.state.last_book), ((4, 400, 4), 4));
}

#[test]
fn a_book_can_be_bought_in_the_batch_that_lists_it() {
    let mut shop = Shop::open();
    shop.decide(&Command::AddBook { book: Box::new(new_book("four", 1, 400)), by: None }).expect("listed");
    assert_eq!(shop.receipt(&sell(7, &[(4, 1)])).order.total_cents, cents(400));
    shop.assert_refused(&sell(8, &[(4, 1)]), &out_of_stock(&[(4, 0)]));
}

#[test]
fn a_replay_of_the_entries_gives_the_same_levels() {
    let mut shop = Shop::open();
    let mut levels = shop.state.levels.clone();
    let commands = [
        sell(7, &[(1, 3), (2, 1)]),
        set(1, Some(1), None, None),
        release(7),
        delta(3, 9, None),
        set(2, Some(5), Some(6), Some(6)),
        Command::AddBook { book: Box::new(new_book("four", 1, 400)), by: None },
        sell(8, &[(1, 1), (4, 1)]),
    ];
    for command in &commands {
        shop.decide(command).expect("all good");
    }
    shop.batch.entries.iter().for_each(|entry| decide::apply(&mut levels, entry));
    assert_eq!(levels.iter().collect::<Vec<_>>(), shop.state.levels.iter().collect::<Vec<_>>());
    assert_eq!(levels.iter().count(), 4);
}

#[test]
fn levels_know_only_what_was_set() {
    let mut levels = Levels::default();
    let level = level(1, 1, 1);
    levels.set(BookId(5), level);
    for stranger in [0, 4, 6, u64::MAX] {
        assert_eq!(levels.get(BookId(stranger)), None);
    }
    assert_eq!(levels.get(BookId(5)), Some(level));
    assert_eq!(levels.iter().collect::<Vec<_>>(), [(BookId(5), level)]);
}

#[test]
fn a_command_names_the_key_that_must_be_known() {
    assert_eq!(sell(7, &[(1, 1)]).keys().collect::<Vec<_>>(), [order(7)]);
    assert_eq!(release(7).keys().collect::<Vec<_>>(), [order(7)]);
    assert_eq!(delta(1, 1, Some(7)).keys().collect::<Vec<_>>(), [order(7)]);
    assert_eq!(delta(1, 1, None).keys().count(), 0);
    assert_eq!(Command::AddBook { book: Box::new(new_book("a", 1, 1)), by: None }.keys().count(), 0);
}

fn revise(book: u64, title: &str, seen: u64, key: Option<u128>) -> Command {
    let text = Box::new(new_book(title, 1, 1).text);
    amend(book, Amend::Revise { text, text_version: Some(Seq(seen)) }, key)
}

fn amend(book: u64, change: Amend, key: Option<u128>) -> Command {
    Command::Amend { book: BookId(book), change: change.into(), key: key.map(order), by: None }
}

#[test]
fn a_revision_carries_the_text_and_moves_no_stock() {
    let mut shop = Shop::open();
    shop.receipt(&sell(7, &[(1, 1)]));
    let revised = shop.decide(&revise(1, "uno", 1, Some(8)));
    let level = Level { stock: 9, version: Seq(5), text_version: Seq(5), ..level(9, 100, 5) };
    assert_eq!(revised, Ok(Outcome::Amended(BookId(1), level)));
    let entry = &shop.batch.entries[1];
    assert_eq!(
        (entry.kind, entry.key, &entry.changes[..]),
        (Kind::Revise, Some(order(8)), &[change(1, 0, 100, 9)][..])
    );
    assert_eq!((entry.text.clone(), entry.details.clone()), (Some(Text::from(new_book("uno", 1, 1).text)), None));
    assert_eq!(shop.decide(&revise(1, "uno", 1, Some(8))), Ok(Outcome::Amended(BookId(1), level)), "it was done");
    shop.assert_refused(&revise(1, "eins", 5, Some(8)), &Error::OrderIdReused { order: order(8) });
    let mismatch = Error::TextVersionMismatch { book: BookId(1), text_version: Seq(5) };
    shop.assert_refused(&revise(1, "eins", 1, None), &mismatch);
    shop.assert_refused(&revise(2, "uno", 2, None), &Error::BookExists { book: BookId(1) });
    shop.decide(&revise(2, "dos", 2, None)).expect("what was refused left no trace");
    shop.assert_refused(&revise(3, "two", 3, None), &Error::BookExists { book: BookId(2) });
    let known = shop.decide(&Command::AddBook { book: Box::new(new_book("two", 9, 9)), by: None });
    assert_eq!(known, Ok(Outcome::Added(Added { id: BookId(2), created: false })), "what it was called before");
    shop.decide(&revise(2, "two", 6, None)).expect("its own name of before");
}

#[test]
fn a_withdrawn_book_says_so_in_its_entries() {
    let mut shop = Shop::open();
    let refused = Error::BookWithdrawn { book: BookId(1) };
    shop.decide(&amend(1, Amend::Relist, None)).expect("it is on sale");
    shop.decide(&amend(1, Amend::Withdraw, None)).expect("any book");
    shop.decide(&amend(1, Amend::Withdraw, None)).expect("it is off sale");
    shop.assert_refused(&sell(7, &[(1, 1), (2, 1)]), &refused);
    shop.assert_refused(&sell(7, &[(1, 1000)]), &refused);
    shop.decide(&delta(1, 1, None)).expect("a restock");
    shop.decide(&revise(1, "uno", 1, None)).expect("a good text");
    shop.decide(&amend(1, Amend::Relist, None)).expect("it is off sale");
    shop.receipt(&sell(7, &[(1, 1), (2, 1)]));
    let kinds: Vec<_> = shop.batch.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Withdraw, Kind::Restock, Kind::Revise, Kind::Relist, Kind::Sale]);
    let details = |at: usize| shop.batch.entries[at].details.clone().unwrap_or_default();
    assert!(details(2).withdrawn && !details(3).withdrawn);
    assert_eq!((details(3).text_version, details(2).text_version), (Some(Seq(6)), None));
}

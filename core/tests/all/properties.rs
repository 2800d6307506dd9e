//! Any sequence of commands, in any batches, on any store, through any restarts, equals the pure decision one by one.

use bookstore_core::{
    Amend, BookId, BookText, Cents, Clock, Contact, ContactFields, Entry, Error, LedgerIdentity, Line, Lines,
    ManualClock, NewBook, Order, OrderAction, OrderId, OrderScan, Seq, Status, Timestamp,
    audit::Audit,
    decide::{self, Batch, Command, Levels, Outcome, State},
    fixtures::isbn,
    history::Hash,
    recent_keys::RecentKeys,
    store::{LedgerReader, LedgerStore, Recovered, memory},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

use crate::fixture::at_once;

/// Few keys, so that they meet: some of version 7, as stores may treat those apart, and some not.
fn keys() -> impl Strategy<Value = OrderId> {
    let v7 = |n: u64| uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + n, &[7; 10]).into_uuid();
    let mut keys: Vec<Uuid> = (0..4).map(v7).collect();
    keys.extend([Uuid::nil(), Uuid::max(), Uuid::from_u128(7), Uuid::from_u128(u128::MAX << 1)]);
    select(keys).prop_map(OrderId)
}

/// Mostly books that get listed, and some that never are.
fn books() -> impl Strategy<Value = BookId> {
    prop_oneof![20 => 1..6_u64, 1 => Just(0), 1 => Just(6), 1 => Just(u64::MAX)].prop_map(BookId)
}

fn prices() -> impl Strategy<Value = Cents> {
    let price = prop_oneof![9 => 0..300_u64, 1 => Cents::MAX.get() - 300..=Cents::MAX.get()];
    price.prop_map(|cents| Cents::new(cents).expect("within the limit"))
}

fn reserves() -> impl Strategy<Value = Command> {
    let line = (books(), 1..6_u32).prop_map(|(book, quantity)| Line::new(book, quantity));
    let seen = option::weighted(0.1, prices());
    (keys(), vec(line, 1..4), seen).prop_map(|(order, mut lines, seen)| {
        lines[0].price_cents = seen;
        let first = lines[0];
        // Two lines of one book agree on the price.
        lines.iter_mut().filter(|line| line.book == first.book).for_each(|line| line.price_cents = first.price_cents);
        Command::Sell { order, lines: Lines::new(lines).expect("good lines") }
    })
}

fn amends() -> impl Strategy<Value = Command> {
    let delta = prop_oneof![9 => -12..30_i64, 1 => any::<i64>()].prop_map(|delta| Amend::StockDelta { delta });
    let stock = prop_oneof![9 => 0..20_u32, 1 => any::<u32>()];
    let version = (0..30_u64).prop_map(Seq);
    let set = (option::of(prices()), option::weighted(0.3, stock), option::weighted(0.5, version))
        .prop_map(|(price_cents, stock, version)| Amend::Set { price_cents, stock, version });
    let change = prop_oneof![2 => delta, 1 => set];
    (books(), change, option::of(keys())).prop_map(|(book, change, key)| Command::Amend {
        book,
        change: Box::new(change),
        key,
        by: None,
    })
}

/// Of few books, so that they meet. The first ones are mostly listed by the entries of their own numbers.
fn texts() -> impl Strategy<Value = Command> {
    let revise = (1..4_u64, titles(), option::weighted(0.9, 0..3_u64)).prop_map(|(book, text, later)| {
        let text_version = later.map(|later| Seq(book + later / 2));
        (BookId(book), Amend::Revise { text: Box::new(text), text_version })
    });
    let sale = select(&[Amend::Withdraw, Amend::Relist, Amend::Relist][..]);
    let sale = ((1..3_u64).prop_map(BookId), sale);
    let key = option::weighted(0.2, keys());
    (prop_oneof![2 => revise, 1 => sale], key).prop_map(|((book, change), key)| Command::Amend {
        book,
        change: change.into(),
        key,
        by: None,
    })
}

fn titles() -> impl Strategy<Value = BookText> {
    (0..7_u32).prop_map(|title| {
        let isbn = title.is_multiple_of(2).then(|| isbn(title.into()));
        BookText { title: format!("Title {title}"), topic: "t".into(), isbn, ..BookText::default() }
    })
}

fn listings() -> impl Strategy<Value = Command> {
    (titles(), prices(), 0..20_u32).prop_map(|(text, price_cents, stock)| Command::AddBook {
        book: Box::new(NewBook { text, price_cents, stock }),
        by: None,
    })
}

/// Short and long ones, so that they need other places in a file.
fn contacts() -> impl Strategy<Value = Box<Contact>> {
    let address = option::of((1..=Contact::ADDRESS_MAX).prop_map(|length| "a".repeat(length)));
    (select(&["Ada", "Bob"][..]), address).prop_map(|(name, address)| {
        let fields = ContactFields { name: Some(name.into()), address, ..ContactFields::default() };
        Box::new(Contact::new(fields).expect("good texts"))
    })
}

/// Holds of one to three seconds, and whatever may become of an order.
fn changes() -> impl Strategy<Value = Command> {
    let lines = || {
        vec((1..4_u64, 1..4_u32), 1..3).prop_map(|sold| {
            Lines::new(sold.into_iter().map(|(book, quantity)| Line::new(BookId(book), quantity))).expect("good lines")
        })
    };
    let reference = || option::weighted(0.2, select(&["a", "b"][..]).prop_map(|text| text.parse().expect("short")));
    let contact = || option::weighted(0.6, contacts());
    let times = || (0..40_usize).prop_map(at);
    let action = prop_oneof![
        2 => (lines(), reference(), contact())
            .prop_map(|(lines, reference, contact)| OrderAction::Purchase { lines, reference, contact }),
        6 => (lines(), 0..4_u32, reference(), contact())
            .prop_map(|(lines, seconds, reference, contact)| OrderAction::Hold { lines, seconds, reference, contact }),
        3 => Just(OrderAction::Confirm),
        2 => (times(), times()).prop_map(|(seen, expires_at)| OrderAction::Extend { seen, expires_at }),
        1 => Just(OrderAction::Cancel),
        2 => Just(OrderAction::Void),
        2 => Just(OrderAction::Fulfil),
        3 => (lines(), keys()).prop_map(|(lines, key)| OrderAction::Return { lines, key }),
        3 => contacts().prop_map(|contact| OrderAction::SetContact { contact }),
        4 => Just(OrderAction::EraseContact),
    ];
    let by = option::of(Just("office").prop_map(|name| name.parse().expect("a name")));
    (keys(), action, by).prop_map(|(order, action, by)| Command::Order { order, action: Box::new(action), by })
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let release = keys().prop_map(|order| Command::Release { order });
    let command =
        prop_oneof![3 => listings(), 6 => reserves(), 3 => release, 4 => amends(), 5 => texts(), 10 => changes()];
    // One in four is sent again later.
    let repeated = (command, option::weighted(0.25, any::<Index>()));
    // A shop that is empty for long would refuse nearly everything.
    (vec(listings(), 1..6), vec(repeated, 1..60)).prop_map(|(mut commands, rest)| {
        for (command, again) in rest {
            commands.push(command);
            if let Some(again) = again {
                commands.push(commands[again.index(commands.len())].clone());
            }
        }
        commands
    })
}

/// What happens to a store after so many commands of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Crash,
    Restart,
}

fn batches() -> impl Strategy<Value = Vec<(usize, Then)>> {
    let then = prop_oneof![6 => Just(Then::GoOn), 1 => Just(Then::Crash), 1 => Just(Then::Restart)];
    vec((1..9_usize, then), 1..20)
}

/// Everything that one run decided.
#[derive(Debug, Default, PartialEq)]
struct Run {
    outcomes: Vec<Result<Outcome, Error>>,
    entries: Vec<Entry>,
    levels: Vec<(BookId, decide::Level)>,
    /// None for one that was erased.
    contacts: BTreeMap<OrderId, Option<Box<Contact>>>,
}

fn at(n: usize) -> Timestamp {
    Timestamp(1_700_000_000_000 + 200 * i64::try_from(n).expect("few"))
}

fn all(levels: &Levels) -> Vec<(BookId, decide::Level)> {
    levels.iter().collect()
}

/// The reference: one command after another, everything remembered.
fn model(commands: &[Command]) -> Run {
    let (mut state, mut batch) = (State::default(), Batch::default());
    let mut decide = |(n, command)| {
        state.lapse(at(n), &mut batch);
        state.decide(command, at(n), &mut batch)
    };
    let outcomes = commands.iter().enumerate().map(&mut decide).collect();
    let contacts = state.contacts.into_iter().collect();
    Run { outcomes, entries: batch.entries, levels: all(&state.levels), contacts }
}

/// A store that can be closed, or dropped, and opened again.
trait Reopen {
    type Store: LedgerStore;
    fn open(&self) -> (Self::Store, Arc<dyn LedgerReader>);
    /// Runs what the store does, which does not wait unless it says otherwise here.
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        at_once(work)
    }
}

struct InMemory(Arc<memory::MemoryReader>);

impl InMemory {
    fn new() -> Self {
        Self(memory::open(&ManualClock::default()).1)
    }
}

impl Reopen for InMemory {
    type Store = memory::MemoryStore;
    fn open(&self) -> (Self::Store, Arc<dyn LedgerReader>) {
        (self.0.reopen(), self.0.clone())
    }
}

#[cfg(feature = "sqlite")]
struct InFile(tempfile::TempDir);

#[cfg(feature = "sqlite")]
impl Reopen for InFile {
    type Store = bookstore_core::store::sqlite::SqliteStore;
    fn open(&self) -> (Self::Store, Arc<dyn LedgerReader>) {
        use bookstore_core::{
            store::sqlite::{self, SqliteOptions},
            writer::Execution,
        };
        let options = SqliteOptions { execution: Execution::Task, readers: 1, ..SqliteOptions::default() };
        let opened = sqlite::open(&self.0.path().join("a.db"), &ManualClock::default(), options);
        let (store, reader) = opened.expect("the file can be opened");
        (store, reader)
    }
}

#[cfg(all(unix, feature = "postgres"))]
struct InDatabase {
    database: crate::postgres::server::Database,
    runtime: tokio::runtime::Runtime,
}

#[cfg(all(unix, feature = "postgres"))]
impl InDatabase {
    fn new() -> Option<Self> {
        let database = crate::postgres::server::database()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Some(Self { database, runtime: runtime.expect("a runtime") })
    }
}

#[cfg(all(unix, feature = "postgres"))]
impl Reopen for InDatabase {
    type Store = bookstore_core::store::postgres::PostgresStore;
    fn open(&self) -> (Self::Store, Arc<dyn LedgerReader>) {
        use bookstore_core::store::postgres::{self, PostgresOptions};
        let url = self.database.url().parse().expect("a URL");
        let opened = postgres::open(&url, Arc::new(ManualClock::default()), PostgresOptions::default());
        let (store, reader) = self.run(opened).expect("the database can be opened");
        (store, reader)
    }
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// The same commands through a store, batch by batch, with crashes and restarts in between.
/// Also returns the hash after each entry.
fn through(
    reopen: &impl Reopen,
    commands: &[Command],
    batches: &[(usize, Then)],
) -> (Run, Vec<Hash>, Arc<dyn LedgerReader>) {
    let (mut store, mut reader) = reopen.open();
    let Recovered { mut state, highest_keys, mut flush, .. } =
        reopen.run(store.recover()).expect("the store can be used");
    let mut recent = RecentKeys::of(&highest_keys, at(0));
    let (mut run, mut hashes) = (Run::default(), Vec::new());
    let mut rest: Vec<(usize, &Command)> = commands.iter().enumerate().collect();
    for (size, then) in batches.iter().cycle() {
        let chunk: Vec<_> = rest.drain(..rest.len().min(*size)).collect();
        if chunk.is_empty() {
            break;
        }
        let (mut batch, before) = (Batch::default(), state.hash);
        state.forget_batch();
        let keys: Vec<_> = chunk.iter().flat_map(|(_, command)| command.keys()).collect();
        let keys: Vec<_> = keys.into_iter().filter(|key| !recent.is_new(*key)).collect();
        let identities: Vec<_> = chunk.iter().filter_map(|(_, command)| command.identity()).collect();
        reopen.run(store.load(&keys, &identities, &mut state)).expect("loaded");
        let contacts: Vec<_> = chunk.iter().filter_map(|(_, command)| command.contact_of()).collect();
        reopen.run(store.load_contacts(&contacts, &mut state)).expect("loaded");
        run.outcomes.extend(chunk.iter().map(|(n, command)| {
            state.lapse(at(*n), &mut batch);
            state.decide(command, at(*n), &mut batch)
        }));
        state.finish(&batch);
        if !batch.is_empty() {
            hashes.extend((0..=batch.entries.len()).map(|n| before.after(&batch.entries[..n])).skip(1));
            reopen.run(store.append(&batch, &state)).expect("appended");
            reopen.run(flush.flush()).expect("flushed");
        }
        for entry in &batch.entries {
            entry.key.into_iter().for_each(|key| recent.insert(key, entry.at));
        }
        run.contacts.extend(batch.contacts.into_iter().map(|change| (change.order, change.contact)));
        run.entries.extend(batch.entries);
        if *then == Then::GoOn {
            continue;
        }
        if *then == Then::Restart {
            reopen.run(store.close(&state)).expect("closed");
        }
        drop((store, reader));
        (store, reader) = reopen.open();
        let again = reopen.run(store.recover()).expect("the store can be used again");
        let recovered = again.state;
        assert_eq!((recovered.head, recovered.last_book), (state.head, state.last_book));
        assert_eq!(recovered.hash, state.hash);
        assert_eq!(recovered.holds, state.holds);
        assert_eq!(recovered.contact_version, state.contact_version);
        assert_eq!(all(&recovered.levels), all(&state.levels));
        assert!(recovered.known.is_empty() && recovered.identities.is_empty());
        (state, flush, recent) = (recovered, again.flush, RecentKeys::of(&again.highest_keys, at(0)));
    }
    run.levels = all(&state.levels);
    (run, hashes, reader)
}

/// Asserts that the reader shows the ledger and the orders as the run decided them, also as of every moment before.
async fn assert_reads(reader: &dyn LedgerReader, run: &Run, hashes: &[Hash]) {
    let head = Seq(run.entries.len() as u64);
    let clock = ManualClock::default();
    assert_eq!(*reader.identity(), LedgerIdentity::new(clock.new_id(), clock.new_id()), "a ledger keeps its id");
    assert_eq!(reader.entries(Seq(0), head, usize::MAX >> 1).await.as_ref(), Ok(&run.entries));
    assert_eq!(reader.hash(Seq(0)).await, Ok(Hash::EMPTY));
    for (hash, seq) in hashes.iter().zip(1..) {
        assert_eq!(reader.hash(Seq(seq)).await.as_ref(), Ok(hash), "after entry {seq}");
    }
    let three: Vec<Entry> = run.entries.iter().skip(2).take(3).cloned().collect();
    assert_eq!(reader.entries(Seq(2), head, 3).await, Ok(three));
    for entry in run.entries.iter().filter(|entry| entry.text.is_some()) {
        let book = entry.changes[0].book;
        assert_eq!(reader.text(book, entry.seq).await, Ok(entry.text.clone()));
        assert_eq!(reader.text(BookId(book.0 + 1), entry.seq).await, Ok(None), "it is of another book");
    }
    let lists: Vec<Entry> = run.entries.iter().filter(|entry| entry.changes_lists()).cloned().collect();
    assert_eq!(reader.texts(Seq(0), head, 1000).await.as_ref(), Ok(&lists));
    for (order, contact) in &run.contacts {
        assert_eq!(reader.contact(*order).await, Ok(contact.clone().map(|contact| *contact)));
    }
    for moment in [head, Seq(head.0 / 2)] {
        let past = &run.entries[..usize::try_from(moment.0).expect("few")];
        let mut orders: Vec<Order> = Vec::new();
        for entry in past {
            match orders.iter_mut().find(|order| Some(order.id) == entry.order_id()) {
                Some(order) => *order = order.clone().after(entry),
                None => orders.extend(entry.order()),
            }
        }
        for order in &orders {
            assert_eq!(reader.order(order.id, moment).await, Ok(Some(order.clone())));
        }
        orders.retain(|order| order.status != Status::Voided);
        orders.reverse();
        assert_eq!(
            reader.find_orders(OrderScan::all(None, 1000), moment).await.map(|found| found.orders).as_ref(),
            Ok(&orders)
        );
        let before = orders.get(1).map(|order| order.seq);
        let older = before.map_or(&orders[..], |_| &orders[2..]);
        assert_eq!(
            reader.find_orders(OrderScan::all(before, 1000), moment).await.map(|found| found.orders),
            Ok(older.to_vec())
        );
    }
}

fn audit(run: &Run) {
    let mut audit = Audit::new();
    run.entries.iter().for_each(|entry| audit.take(entry).expect("a good entry"));
    assert_eq!(audit.finish(run.levels.clone()).1, []);
}

fn check(reopen: &impl Reopen, commands: &[Command], batches: &[(usize, Then)]) {
    let expected = model(commands);
    let (run, hashes, reader) = through(reopen, commands, batches);
    assert_eq!(run, expected);
    audit(&run);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(assert_reads(reader.as_ref(), &run, &hashes));
}

/// A property over commands that never meet proves nothing.
#[test]
fn the_commands_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeMap::<String, u32>::new();
    for _ in 0..200 {
        let commands = commands().new_tree(&mut runner).expect("commands").current();
        let run = model(&commands);
        for entry in &run.entries {
            *reached.entry(format!("{:?}", entry.kind)).or_default() += 1;
        }
        for outcome in run.outcomes {
            let name = match outcome {
                Ok(Outcome::Receipt(receipt)) => format!("{:?}, replayed {}", receipt.order.status, receipt.replayed),
                Ok(Outcome::Amended(..)) => "amended".into(),
                Ok(Outcome::Added(listed)) => format!("created {}", listed.created),
                Err(error) => error.code().into(),
            };
            *reached.entry(name).or_default() += 1;
        }
    }
    let wanted = [
        "Sale",
        "Return",
        "Restock",
        "Reprice",
        "Listing",
        "Revise",
        "Withdraw",
        "Relist",
        "Erase",
        "Placed, replayed false",
        "Placed, replayed true",
        "Cancelled, replayed false",
        "Cancelled, replayed true",
        "amended",
        "created true",
        "created false",
        "out-of-stock",
        "unknown-book",
        "unknown-order",
        "order-id-reused",
        "price-changed",
        "version-mismatch",
        "text-version-mismatch",
        "book-withdrawn",
        "book-exists",
        "version-required",
        "invalid",
    ];
    for name in wanted {
        assert!(reached.get(name).is_some_and(|count| *count >= 10), "{name} is too rare: {reached:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn memory_equals_the_model(commands in commands(), batches in batches()) {
        check(&InMemory::new(), &commands, &batches);
    }

    #[test]
    fn a_replayed_ledger_gives_the_levels_that_were_decided(commands in commands()) {
        let run = model(&commands);
        let mut levels = Levels::default();
        run.entries.iter().for_each(|entry| decide::apply(&mut levels, entry));
        prop_assert_eq!(all(&levels), run.levels);
    }

    #[test]
    fn sending_everything_twice_changes_nothing(commands in commands()) {
        // Keyed commands and listings only: the others may happen twice.
        let keyed = |command: &Command| command.keys().next().is_some() || matches!(command, Command::AddBook { .. });
        let (mut once, mut twice) = (State::default(), State::default());
        let (mut batch, mut doubled) = (Batch::default(), Batch::default());
        for (n, command) in commands.iter().enumerate().filter(|(_, command)| keyed(command)) {
            let first = once.decide(command, at(n), &mut batch);
            let also_first = twice.decide(command, at(n), &mut doubled);
            prop_assert_eq!(&first, &also_first);
            let again = twice.decide(command, at(n + 1000), &mut doubled);
            prop_assert_eq!(first.is_ok(), again.is_ok());
        }
        prop_assert_eq!(batch.entries, doubled.entries);
        prop_assert_eq!(batch.contacts, doubled.contacts);
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    // Each opens a file several times.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sqlite_equals_the_model(commands in commands(), batches in batches()) {
        check(&InFile(tempfile::tempdir().expect("a temporary directory")), &commands, &batches);
    }
}

#[cfg(all(unix, feature = "postgres"))]
proptest! {
    // Each makes a database.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn postgres_equals_the_model(commands in commands(), batches in batches()) {
        let Some(database) = InDatabase::new() else { return Ok(()) };
        check(&database, &commands, &batches);
    }
}

//! Contacts in files: kept across restarts, gone when they are erased, and what a shop asks for.

use bookstore_core::{
    Actor, BookId, Catalog, CatalogOptions, CatalogService as _, Clock as _, Contact, ContactFields, ContactRule,
    Error, Kind, Lines, ManualClock, Order, OrderAction, OrderId, OrderQuery, OrderReader, Result, Seq, SystemClock,
    Timestamp,
    decide::{Batch, Command, State},
    fixtures::{book, lines, order_id},
    service::{CONTACTS_MAX, ContactFeed as _},
    store::{
        LedgerStore as _, Projection as _, Recovered, memory,
        sqlite::{self, SqliteCopy, SqliteOptions},
    },
};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
};

use crate::{
    fixture::at_once,
    restore::{close, open},
};

fn contact(text: &str) -> Box<Contact> {
    let fields = ContactFields { name: Some(text.into()), ..ContactFields::default() };
    Box::new(Contact::new(fields).expect("a good name"))
}

fn address(text: String) -> Box<Contact> {
    let fields = ContactFields { address: Some(text), ..ContactFields::default() };
    Box::new(Contact::new(fields).expect("a good address"))
}

fn purchase(contact: Option<Box<Contact>>) -> OrderAction {
    OrderAction::Purchase { lines: Lines::one(BookId(1), 1).expect("a line"), reference: None, contact }
}

fn set(text: &str) -> OrderAction {
    OrderAction::SetContact { contact: contact(text) }
}

fn office() -> Option<Actor> {
    Some("office".parse().expect("a name"))
}

async fn buy(catalog: &Catalog, contact: Option<Box<Contact>>) -> Result<Order> {
    catalog.change_order(order_id(), purchase(contact), None).await.map(|receipt| receipt.order)
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_survive_a_restart_and_erased_ones_stay_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let catalog = open(&path).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let kept = buy(&catalog, Some(contact("Ada"))).await.expect("there are enough").id;
    let erased = buy(&catalog, Some(contact("Bob"))).await.expect("there are enough").id;
    catalog.change_order(kept, set("Ada Lovelace"), None).await.expect("it is open");
    catalog.change_order(erased, OrderAction::EraseContact, None).await.expect("it has one");
    for _ in 0..2 {
        assert_eq!(catalog.find_contact(kept).await, Ok(Some(*contact("Ada Lovelace"))));
        assert_eq!(catalog.find_contact(erased).await, Ok(None));
        let refused = catalog.change_order(erased, set("Bob"), office()).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "contact"), "{refused:?}");
    }
    close(catalog).await;
    let catalog = open(&path).expect("the same file");
    assert_eq!(catalog.find_contact(kept).await, Ok(Some(*contact("Ada Lovelace"))));
    assert_eq!(catalog.find_contact(erased).await, Ok(None));
    catalog.change_order(erased, set("Bob"), office()).await.expect_err("it was erased");
    catalog.change_order(kept, set("Augusta"), None).await.expect("it is open");
    assert_eq!(catalog.find_contact(kept).await, Ok(Some(*contact("Augusta"))));
    close(catalog).await;
}

/// Decides commands batch by batch over a file, and ends as a crash does not: with everything in the file itself.
fn write(path: &Path, commands: impl Iterator<Item = Vec<Command>>) {
    let (mut store, _) = sqlite::open(path, &SystemClock, SqliteOptions::default()).expect("a file");
    let Recovered { mut state, .. } = at_once(store.recover()).expect("the file can be used");
    for commands in commands {
        let mut batch = Batch::default();
        state.forget_batch();
        let keys: Vec<_> = commands.iter().flat_map(Command::keys).collect();
        let identities: Vec<_> = commands.iter().filter_map(Command::identity).collect();
        at_once(store.load(&keys, &identities, &mut state)).expect("loaded");
        let contacts: Vec<_> = commands.iter().filter_map(Command::contact_of).collect();
        at_once(store.load_contacts(&contacts, &mut state)).expect("loaded");
        for command in &commands {
            state.decide(command, Timestamp(5), &mut batch).expect("nothing is refused");
        }
        state.finish(&batch);
        if !batch.is_empty() {
            at_once(store.append(&batch, &state)).expect("appended");
        }
    }
    at_once(store.close(&state)).expect("closed");
}

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// What is replaced or erased is nowhere in the file any more, however often rows have grown, shrunk and moved.
#[test]
fn what_was_erased_is_not_in_the_file() {
    const ORDERS: usize = 1500;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let mut random = Random(7);
    let ids: Vec<OrderId> = (0..ORDERS).map(|_| order_id()).collect();
    let mut given = 0;
    let mut text = |random: &mut Random| {
        given += 1;
        // Found as a whole in the file, and long enough now and then to take pages of its own.
        format!("<{given:06}>{}", "x".repeat(random.below(if given % 7 == 0 { 980 } else { 200 })))
    };
    let (mut now, mut gone) = (BTreeMap::<OrderId, String>::new(), Vec::<String>::new());
    let change = |order, action| Command::Order { order, action: Box::new(action), by: None };
    let mut batches = vec![vec![Command::AddBook { book: Box::new(book("A book", 1_000_000)), by: None }]];
    for chunk in ids.chunks(50) {
        let buy = |id: &OrderId| {
            let given = text(&mut random);
            now.insert(*id, given.clone());
            change(*id, purchase(Some(address(given))))
        };
        batches.push(chunk.iter().map(buy).collect());
    }
    for _ in 0..60 {
        let mut batch = Vec::new();
        for _ in 0..50 {
            let id = ids[random.below(ORDERS)];
            let Some(before) = now.remove(&id) else { continue };
            gone.push(before);
            if random.below(4) == 0 {
                batch.push(change(id, OrderAction::EraseContact));
            } else {
                let given = text(&mut random);
                now.insert(id, given.clone());
                batch.push(change(id, OrderAction::SetContact { contact: address(given) }));
            }
        }
        batches.push(batch);
    }
    write(&path, batches.into_iter());

    let wal = path.with_extension("db-wal");
    assert!(fs::metadata(&wal).map_or(0, |wal| wal.len()) == 0, "all is in one file");
    let file = fs::read(&path).expect("read");
    let places = memchr::memchr_iter(b'<', &file).filter_map(|at| file.get(at..at + 8));
    let in_file: HashSet<&[u8]> = places.collect();
    let found = |text: &String| in_file.contains(&text.as_bytes()[..8]);
    assert!(now.len() > 500 && now.values().all(found), "what is kept can be found like this");
    assert!(gone.len() > 2000);
    let left: Vec<_> = gone.iter().filter(|text| found(text)).collect();
    assert!(left.is_empty(), "{} of {} are still in the file", left.len(), gone.len());
}

#[tokio::test]
async fn a_shop_may_keep_none_or_need_one() {
    let clock = Arc::new(ManualClock::default());
    let start = |contacts| {
        let (store, reader) = memory::open(&SystemClock);
        let options = CatalogOptions { contacts, ..CatalogOptions::default() };
        Catalog::start(store, reader.clone(), reader, clock.clone(), options).expect("memory")
    };
    let is_invalid =
        |refused: &Result<Order>| matches!(refused, Err(Error::Invalid { field, .. }) if field == "contact");

    let off = start(ContactRule::Off);
    off.add_books(vec![book("A book", 100)], None).await.expect("added");
    let refused = buy(&off, Some(contact("Ada"))).await;
    assert!(is_invalid(&refused), "{refused:?}");
    let plain = buy(&off, None).await.expect("there are enough").id;
    let refused = off.change_order(plain, set("Ada"), office()).await.map(|receipt| receipt.order);
    assert!(is_invalid(&refused), "{refused:?}");
    assert!(off.change_order(plain, OrderAction::EraseContact, None).await.expect("it is there").replayed);

    let required = start(ContactRule::Required);
    required.add_books(vec![book("A book", 100)], None).await.expect("added");
    let id = order_id();
    let sold = required.sell(id, lines(&[(1, 1)])).await.map(|receipt| receipt.order);
    let held = OrderAction::Hold { lines: lines(&[(1, 1)]), seconds: 60, reference: None, contact: None };
    let held = required.change_order(id, held, None).await.map(|receipt| receipt.order);
    for refused in [buy(&required, None).await, sold, held] {
        assert!(is_invalid(&refused), "{refused:?}");
    }
    required.change_order(id, purchase(Some(contact("Ada"))), None).await.expect("it has one");
    let again = required.sell(id, lines(&[(1, 1)])).await.expect("it is bought already");
    assert!(again.replayed);
    required.change_order(order_id(), purchase(None), office()).await.expect("the shop's own need none");
}

#[tokio::test]
async fn contacts_of_old_orders_are_erased() {
    let (store, reader) = memory::open(&SystemClock);
    let clock = Arc::new(ManualClock::default());
    let catalog = Catalog::start(store, reader.clone(), reader, clock.clone(), CatalogOptions::default());
    let catalog = catalog.expect("memory");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for orders in [&mut old, &mut new] {
        for _ in 0..5 {
            orders.push(buy(&catalog, Some(contact("Ada"))).await.expect("there are enough").id);
        }
        clock.set(Timestamp(clock.now().0 + 1000));
    }
    let cancelled = old[4];
    catalog.release(cancelled).await.expect("it is placed");
    let between = Timestamp(clock.now().0 - 1500);
    assert_eq!(catalog.erase_contacts(between, 3).await, Ok(3));
    assert_eq!(catalog.erase_contacts(between, 3).await, Ok(2));
    assert_eq!(catalog.erase_contacts(between, 3).await, Ok(0));
    for id in old {
        assert_eq!(catalog.find_contact(id).await, Ok(None));
    }
    for id in new {
        assert_eq!(catalog.find_contact(id).await, Ok(Some(*contact("Ada"))));
    }
    let entries = catalog.entries(Seq(0), 1000, std::time::Duration::ZERO).await.expect("read").entries;
    let erased: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::Erase).collect();
    assert_eq!(erased.len(), 5);
    assert!(erased.iter().all(|entry| entry.details.as_ref().is_some_and(|details| details.actor.is_none())));
}

/// Takes everything over that has changed.
async fn follow(catalog: &Catalog, copy: &SqliteCopy) {
    let after = copy.followed().await.expect("read").seq;
    let page = catalog.entries(after, 1000, std::time::Duration::ZERO).await.expect("read");
    copy.append(page).await.expect("it continues");
    let (source, after) = copy.contacts_followed().await.expect("read");
    let mut page = catalog.contacts(after, CONTACTS_MAX).await.expect("read");
    if page.source() != source {
        page = catalog.contacts(0, CONTACTS_MAX).await.expect("read");
    }
    copy.append_contacts(page).await.expect("it continues");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_found_by_name_and_e_mail_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder.path().join("shop.db")).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let fields = ContactFields { email: Some("ada@example.org".into()), ..ContactFields::default() };
    let by_mail = Box::new(Contact::new(fields).expect("an address"));
    let mail = buy(&catalog, Some(by_mail)).await.expect("there are enough").id;
    let name = buy(&catalog, Some(contact("Ada Lovelace"))).await.expect("there are enough").id;
    buy(&catalog, Some(address("Ada Street".into()))).await.expect("there are enough");
    buy(&catalog, None).await.expect("there are enough");
    let erased = buy(&catalog, Some(contact("Ada Erased"))).await.expect("there are enough").id;
    catalog.change_order(erased, OrderAction::EraseContact, None).await.expect("it has one");
    let copy = SqliteCopy::open(&folder.path().join("copy.db"), SqliteOptions::default()).expect("a new file");
    follow(&catalog, &copy).await;
    let readers: [&dyn OrderReader; 2] = [catalog.as_ref(), &copy];
    for reader in readers {
        for (words, expected) in [("ADA", vec![name, mail]), ("lovelace ada", vec![name]), ("example.org", vec![mail])]
        {
            let query = OrderQuery { contact: Some(words.into()), ..OrderQuery::default() };
            let found = reader.find_orders(query.check().expect("a good query")).await.expect("read").orders;
            assert_eq!(found.iter().map(|order| order.id).collect::<Vec<_>>(), expected, "{words}");
        }
    }
    for words in [String::new(), "x".repeat(201)] {
        assert!(OrderQuery { contact: Some(words), ..OrderQuery::default() }.check().is_err());
    }
    close(catalog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_copy_has_the_contacts_that_it_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copied) = (folder.path().join("shop.db"), folder.path().join("copy.db"));
    let mut catalog = open(&path).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let copy = SqliteCopy::open(&copied, SqliteOptions::default()).expect("a new file");
    let kept = buy(&catalog, Some(contact("Ada"))).await.expect("there are enough").id;
    let erased = buy(&catalog, Some(contact("Bob Geheim"))).await.expect("there are enough").id;
    let late = buy(&catalog, Some(contact("Eve Geheim"))).await.expect("there are enough").id;
    follow(&catalog, &copy).await;
    // After a restart the numbers begin anew with what was durable.
    close(catalog).await;
    catalog = open(&path).expect("the same file");
    catalog.change_order(kept, set("Ada Roe"), None).await.expect("it is open");
    catalog.change_order(erased, OrderAction::EraseContact, None).await.expect("it has one");
    let before = catalog.contacts(0, CONTACTS_MAX).await.expect("read");
    catalog.change_order(late, OrderAction::EraseContact, None).await.expect("it has one");
    follow(&catalog, &copy).await;
    // A page from before the erasure that comes after its entry.
    assert!(before.changes.iter().any(|change| change.order == late));
    copy.append_contacts(before).await.expect("it is of the same ledger");
    close(catalog).await;

    let promoted = folder.path().join("promoted.db");
    sqlite::promote(&copy, &promoted, &SystemClock, |_, _| {}).await.expect("a new file");
    drop(copy);
    let catalog = open(&promoted).expect("a ledger");
    assert_eq!(catalog.find_contact(kept).await, Ok(Some(*contact("Ada Roe"))));
    for id in [erased, late] {
        assert_eq!(catalog.find_contact(id).await, Ok(None));
        catalog.change_order(id, set("Bob"), office()).await.expect_err("it was erased");
    }
    catalog.change_order(kept, set("Ada Doe"), None).await.expect("it is open");
    let page = catalog.contacts(0, CONTACTS_MAX).await.expect("read");
    assert_eq!(page.changes.iter().map(|change| change.order).collect::<Vec<_>>(), [kept]);
    close(catalog).await;
    for file in [copied, promoted] {
        assert!(memchr::memmem::find(&fs::read(&file).expect("read"), b"Geheim").is_none(), "{}", file.display());
    }
}

/// A copy knows what was erased by the entry alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_copy_takes_no_contact_that_was_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder.path().join("shop.db")).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let order = buy(&catalog, Some(contact("Ada"))).await.expect("there are enough").id;
    catalog.change_order(order, OrderAction::EraseContact, None).await.expect("it has one");
    let copy = SqliteCopy::open(&folder.path().join("copy.db"), SqliteOptions::default()).expect("a new file");
    copy.append(catalog.entries(Seq(0), 1000, std::time::Duration::ZERO).await.expect("read")).await.expect("new");
    close(catalog).await;
    let promoted = folder.path().join("promoted.db");
    sqlite::promote(&copy, &promoted, &SystemClock, |_, _| {}).await.expect("a new file");
    let catalog = open(&promoted).expect("a ledger");
    let refused = catalog.change_order(order, set("Ada"), office()).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let other = buy(&catalog, Some(contact("Bob"))).await.expect("there are enough").id;
    assert_eq!(catalog.find_contact(other).await, Ok(Some(*contact("Bob"))));
    close(catalog).await;
}

/// Nothing has to be sold, and no server to be stopped, before an erased text is gone from the file itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_overwritten_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let is_in_file = || memchr::memmem::find(&fs::read(&path).expect("read"), b"Geheim").is_some();
    let catalog = open(&path).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let id = buy(&catalog, Some(contact("Bob Geheim"))).await.expect("there are enough").id;
    close(catalog).await;
    assert!(is_in_file());
    let catalog = open(&path).expect("the same file");
    catalog.change_order(id, OrderAction::EraseContact, None).await.expect("it has one");
    let gone = async {
        while is_in_file() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.expect("a thread overwrites it");
    close(catalog).await;
}

/// Going back to a backup does not bring back what was erased since.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_erases_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, backup) = (folder.path().join("shop.db"), folder.path().join("backup.db"));
    let catalog = open(&path).expect("a new file");
    catalog.add_books(vec![book("A book", 100)], None).await.expect("added");
    let kept = buy(&catalog, Some(contact("Ada"))).await.expect("there are enough").id;
    let erased = buy(&catalog, Some(contact("Bob Geheim"))).await.expect("there are enough").id;
    sqlite::backup(&path, &backup).expect("a backup");
    catalog.change_order(erased, OrderAction::EraseContact, office()).await.expect("it has one");
    let later = buy(&catalog, Some(contact("Eve"))).await.expect("there are enough").id;
    catalog.change_order(later, OrderAction::EraseContact, office()).await.expect("it has one");
    close(catalog).await;
    let restored = sqlite::restore_replacing(&backup, &path, &SystemClock).expect("a backup of this ledger");
    let catalog = open(&path).expect("a ledger");
    assert_eq!(catalog.head(), restored.head);
    assert_eq!(catalog.find_contact(kept).await, Ok(Some(*contact("Ada"))));
    assert_eq!(catalog.find_contact(erased).await, Ok(None));
    catalog.change_order(erased, set("Bob"), office()).await.expect_err("it was erased");
    let entries = catalog.entries(Seq(0), 1000, std::time::Duration::ZERO).await.expect("read").entries;
    let [.., timeline, again] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((timeline.kind, again.kind, again.order_id()), (Kind::Timeline, Kind::Erase, Some(erased)));
    assert_eq!(again.details.as_ref().and_then(|details| details.actor.clone()), office());
    assert_eq!(bookstore_core::audit::audit(catalog.as_ref()).await.expect("read").1, []);
    close(catalog).await;
    let file = fs::read(&path).expect("read");
    assert!(memchr::memmem::find(&file, b"Geheim").is_none());
}

/// A state without the contacts of a batch decides about others only.
#[test]
fn a_contact_in_the_same_batch_is_known() {
    let (mut state, mut batch) = (State::default(), Batch::default());
    let mut decide = |command: Command| state.decide(&command, Timestamp(0), &mut batch);
    decide(Command::AddBook { book: Box::new(book("A book", 10)), by: None }).expect("a new book");
    let id = order_id();
    let change = |action| Command::Order { order: id, action: Box::new(action), by: None };
    decide(change(purchase(Some(contact("Ada"))))).expect("there are enough");
    decide(change(set("Bob"))).expect("it is open");
    decide(change(OrderAction::EraseContact)).expect("it has one");
    decide(change(set("Ada"))).expect_err("it was erased");
    let versions: Vec<_> = batch.contacts.iter().map(|change| (change.version, change.contact.is_some())).collect();
    assert_eq!(versions, [(1, true), (2, true), (3, false)]);
    assert_eq!(batch.entries.len(), 3);
}

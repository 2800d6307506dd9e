//! The store in memory: the reference model, and the right store for tests. Plainly right, not fast, gone with the process.

use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    book::{BookId, Text, Topic},
    clock::Clock,
    decide::{self, Batch, Command, Known, Levels, State},
    error::{Error, Result},
    ledger::{Entry, Kind, LedgerId, Seq},
    order::{Order, OrderId},
    page::{CheckedQuery, Position, Sort, SortKey, terms},
    store::{Flush, Found, LedgerReader, LedgerStore, OrderCopy, StoreError},
};

/// A new, empty ledger in memory: its writing and its reading half.
#[must_use]
pub fn open(clock: &dyn Clock) -> (MemoryStore, Arc<MemoryReader>) {
    let ledger = Ledger {
        id: clock.new_id(),
        entries: Vec::new(),
        by_key: BTreeMap::new(),
        texts: BTreeMap::new(),
        identities: BTreeMap::new(),
        levels: Levels::default(),
    };
    let reader = MemoryReader { ledger: Arc::new(Mutex::new(ledger)) };
    (reader.reopen(), Arc::new(reader))
}

/// The writing half, see [`open`].
#[derive(Debug)]
pub struct MemoryStore {
    ledger: Arc<Mutex<Ledger>>,
}

/// The reading half, see [`open`].
#[derive(Debug)]
pub struct MemoryReader {
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug)]
struct Ledger {
    id: LedgerId,
    /// The entry with `seq` n is at n − 1.
    entries: Vec<Entry>,
    /// The entries of each key: a sale and perhaps its return, or a keyed amend.
    by_key: BTreeMap<OrderId, Vec<Seq>>,
    texts: BTreeMap<BookId, Text>,
    identities: BTreeMap<String, BookId>,
    levels: Levels,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nothing panics while it holds this lock")
}

impl Ledger {
    fn head(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |entry| entry.seq)
    }

    fn entry(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }

    /// The entries after `after` up to `head`.
    fn between(&self, after: Seq, head: Seq) -> &[Entry] {
        let index = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.get(index(after)..index(head)).unwrap_or_default()
    }

    /// The entries under a key up to `head`.
    fn under(&self, key: OrderId, head: Seq) -> impl Iterator<Item = &Entry> {
        let seqs = self.by_key.get(&key).into_iter().flatten();
        seqs.filter(move |seq| **seq <= head).filter_map(|seq| self.entry(*seq))
    }

    fn order(&self, id: OrderId, head: Seq) -> Option<Order> {
        let mut entries = self.under(id, head);
        let order = entries.next()?.order()?;
        Some(match entries.next() {
            Some(back) => order.cancelled(back.at),
            None => order,
        })
    }

    fn known(&self, key: OrderId) -> Option<Known> {
        let first = self.under(key, self.head()).next()?;
        match first.kind {
            Kind::Sale => self.order(key, self.head()).map(Known::Order),
            _ => Some(Known::Amend(first.kind, first.changes[0])),
        }
    }

    fn title(&self, book: BookId) -> SortKey {
        SortKey::Text(self.texts.get(&book).map(|text| text.title().to_ascii_lowercase()).unwrap_or_default())
    }

    fn position(&self, book: BookId, text: &Text, query: &CheckedQuery) -> Option<Position> {
        if query.topic.as_ref().is_some_and(|topic| !topic.eq_ignore_ascii_case(text.topic())) {
            return None;
        }
        let rank = query.words.as_ref().map_or(Some(0.0), |words| rank(words, text))?;
        let key = match query.sort {
            Sort::Relevance if query.words.is_some() => SortKey::Real(rank),
            Sort::Relevance => SortKey::Integer(0),
            Sort::Title => self.title(book),
            Sort::Price => {
                let price = self.levels.get(book)?.price_cents.get();
                SortKey::Integer(i64::try_from(price).unwrap_or(i64::MAX))
            }
            Sort::Newest => SortKey::Integer(text.year().map_or(i64::MAX, |year| -i64::from(year))),
        };
        Some(Position { key, id: book })
    }
}

/// How far from the title the words are found; `None` if one of them is not found, or if there are none.
fn rank(words: &[String], text: &Text) -> Option<f64> {
    let begins = |field: &str, word: &String| terms(field).iter().any(|term| term.starts_with(word.as_str()));
    let ranks = words.iter().map(|word| {
        if begins(text.title(), word) {
            Some(0.0)
        } else if begins(text.author(), word) {
            Some(1.0)
        } else {
            text.subjects().any(|subject| begins(subject, word)).then_some(2.0)
        }
    });
    ranks.sum::<Option<f64>>().filter(|_| !words.is_empty())
}

/// Sorted by key, then by id.
fn before(a: &Position, b: &Position) -> std::cmp::Ordering {
    a.key.partial_cmp(&b.key).unwrap_or(std::cmp::Ordering::Equal).then(a.id.cmp(&b.id))
}

impl LedgerStore for MemoryStore {
    fn recover(&mut self) -> Result<State, StoreError> {
        let ledger = lock(&self.ledger);
        let mut state = State { head: ledger.head(), ..State::default() };
        for entry in &ledger.entries {
            decide::apply(&mut state.levels, entry);
        }
        state.last_book = ledger.texts.last_key_value().map_or(0, |(book, _)| book.0);
        Ok(state)
    }

    fn load(&mut self, commands: &mut dyn Iterator<Item = &Command>, state: &mut State) -> Result<(), StoreError> {
        let ledger = lock(&self.ledger);
        for command in commands {
            if let Some((key, known)) = command.key().and_then(|key| Some((key, ledger.known(key)?))) {
                state.known.insert(key, known);
            }
            if let Command::AddBook { book } = command {
                let identity = book.text.identity();
                if let Some(id) = ledger.identities.get(&identity) {
                    state.identities.insert(identity, *id);
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, batch: &Batch, _state: &State) -> Result<(), StoreError> {
        let mut ledger = lock(&self.ledger);
        let follows = std::iter::successors(Some(ledger.head().next()), |seq| Some(seq.next()));
        if !batch.entries.iter().map(|entry| entry.seq).eq(follows.take(batch.entries.len())) {
            return Err(StoreError::Unusable(format!("the batch does not follow on entry {}", ledger.head())));
        }
        for entry in &batch.entries {
            if let Some(key) = entry.key {
                ledger.by_key.entry(key).or_default().push(entry.seq);
            }
            decide::apply(&mut ledger.levels, entry);
            ledger.entries.push(entry.clone());
        }
        for (id, book) in &batch.listed {
            ledger.identities.insert(book.text.identity(), *id);
            ledger.texts.insert(*id, Text::from(&book.text));
        }
        Ok(())
    }

    fn flusher(&self) -> Result<Box<dyn Flush>, StoreError> {
        Ok(Box::new(Durable))
    }
}

/// What is appended is as durable as memory gets.
struct Durable;

impl Flush for Durable {
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl MemoryReader {
    /// A writing half over the same ledger, for when the one before has been dropped: what a restart is for a file.
    #[must_use]
    pub fn reopen(&self) -> MemoryStore {
        MemoryStore { ledger: Arc::clone(&self.ledger) }
    }
}

#[async_trait]
impl LedgerReader for MemoryReader {
    fn id(&self) -> LedgerId {
        lock(&self.ledger).id
    }

    async fn find_books(&self, query: CheckedQuery) -> Result<Vec<Found>> {
        let ledger = lock(&self.ledger);
        let matches = ledger.texts.iter().filter_map(|(book, text)| {
            let position = ledger.position(*book, text, &query)?;
            Some(Found { position, text: text.clone() })
        });
        let after = query.after.as_ref().map(|after| match query.sort {
            Sort::Title => Position { key: ledger.title(after.id), id: after.id },
            _ => after.clone(),
        });
        let later = |found: &Found| after.as_ref().is_none_or(|after| before(after, &found.position).is_lt());
        let mut found: Vec<Found> = matches.filter(later).collect();
        found.sort_by(|a, b| before(&a.position, &b.position));
        found.truncate(query.size + 1);
        Ok(found)
    }

    async fn text(&self, book: BookId) -> Result<Option<Text>> {
        Ok(lock(&self.ledger).texts.get(&book).cloned())
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        let mut topics = BTreeMap::<String, Topic>::new();
        for text in lock(&self.ledger).texts.values() {
            let first = || Topic { topic: text.topic().into(), books: 0 };
            topics.entry(text.topic().to_ascii_lowercase()).or_insert_with(first).books += 1;
        }
        Ok(topics.into_values().collect())
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        Ok(lock(&self.ledger).between(after, head).iter().take(limit).cloned().collect())
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        Ok(lock(&self.ledger).order(id, head))
    }

    async fn orders(&self, before: Option<Seq>, head: Seq, limit: usize) -> Result<Vec<Order>> {
        let ledger = lock(&self.ledger);
        let sales = ledger.between(Seq(0), head).iter().rev().filter(|entry| entry.kind == Kind::Sale);
        let older = sales.filter(|sale| before.is_none_or(|before| sale.seq < before));
        Ok(older.filter_map(|sale| ledger.order(sale.key?, head)).take(limit).collect())
    }
}

/// An order server's copy in memory, which is rebuilt from the ledger after every restart.
#[derive(Debug, Default)]
pub struct MemoryCopy {
    copied: Mutex<Copied>,
}

#[derive(Debug, Default)]
struct Copied {
    ledger: Option<LedgerId>,
    followed: Seq,
    orders: BTreeMap<OrderId, Order>,
    by_sale: BTreeMap<Seq, OrderId>,
}

impl MemoryCopy {
    /// An empty copy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Copied {
    fn check(&self, ledger: LedgerId, entries: &[Entry]) -> Result<()> {
        if self.ledger.is_some_and(|own| own != ledger) {
            return Err(Error::unavailable("these entries are of another ledger than this copy's"));
        }
        let follows = std::iter::successors(Some(self.followed.next()), |seq| Some(seq.next()));
        if !entries.iter().map(|entry| entry.seq).eq(follows.take(entries.len())) {
            return Err(Error::unavailable(format!("these entries do not follow on entry {}", self.followed)));
        }
        Ok(())
    }

    fn take(&mut self, entry: &Entry) {
        if let Some(order) = entry.order() {
            self.by_sale.insert(entry.seq, order.id);
            self.orders.insert(order.id, order);
        }
        if let (Kind::Return, Some(key)) = (entry.kind, entry.key)
            && let Some(order) = self.orders.remove(&key)
        {
            self.orders.insert(key, order.cancelled(entry.at));
        }
        self.followed = entry.seq;
    }
}

#[async_trait]
impl OrderCopy for MemoryCopy {
    async fn followed(&self) -> Result<(Option<LedgerId>, Seq)> {
        let copied = lock(&self.copied);
        Ok((copied.ledger, copied.followed))
    }

    async fn append(&self, ledger: LedgerId, entries: Vec<Entry>) -> Result<()> {
        let mut copied = lock(&self.copied);
        copied.check(ledger, &entries)?;
        if !entries.is_empty() {
            copied.ledger = Some(ledger);
        }
        entries.iter().for_each(|entry| copied.take(entry));
        Ok(())
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(lock(&self.copied).orders.get(&id).cloned())
    }

    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        let copied = lock(&self.copied);
        let older = copied.by_sale.range(..before.unwrap_or(Seq(u64::MAX))).rev();
        Ok(older.filter_map(|(_, id)| copied.orders.get(id).cloned()).take(limit).collect())
    }
}

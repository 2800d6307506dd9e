//! The textbook design, with the bug that it is known for: look whether there is enough, then take it.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Change, Clock as _, Contact, Entries, Entry, Error,
    FoundOrders, Kind, LedgerId, Lines, NewBook, Order, OrderAction, OrderId, OrderReader, OrderScan, Query, Receipt,
    Result, Seq, SystemClock, Text, TopicPage, TopicQuery,
    decide::{self, Batch, Command, Known, Outcome, State},
    fixtures::page,
};
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Right for one buyer at a time: it sells from a ledger as it should, but checks the stock before it holds the lock.
#[derive(Default)]
pub(crate) struct Textbook(Mutex<Shop>);

#[derive(Default)]
struct Shop {
    state: State,
    entries: Vec<Entry>,
    texts: Vec<Text>,
}

impl Shop {
    fn decide(&mut self, command: &Command) -> Result<Outcome> {
        if let Command::AddBook { book, .. } = command {
            self.texts.push(Text::from(&book.text));
        }
        let mut batch = Batch::default();
        let outcome = self.state.decide(command, SystemClock.now(), &mut batch);
        for entry in &batch.entries {
            if let (Some(key), Some(order)) = (entry.key, entry.order()) {
                self.state.known.insert(key, Known::Order(order));
            }
        }
        self.entries.append(&mut batch.entries);
        outcome
    }

    fn book(&self, id: BookId) -> Result<Book> {
        let level = self.state.levels.get(id).ok_or(Error::BookNotFound { book: id })?;
        let text = self.texts[usize::try_from(id.0).expect("small") - 1].clone();
        let (text_version, on_sale) = (level.text_version, level.on_sale);
        Ok(Book {
            id,
            text,
            price_cents: level.price_cents,
            stock: level.stock,
            version: level.version,
            text_version,
            on_sale,
        })
    }

    /// Takes copies that were there a moment ago.
    fn oversell(&mut self, order: OrderId, lines: &Lines) -> Receipt {
        let take = |line: &bookstore_core::Line| {
            let level = self.state.levels.get(line.book).expect("it was looked at");
            let stock = level.stock.saturating_sub(line.quantity);
            Change { book: line.book, delta: -i64::from(line.quantity), price_cents: level.price_cents, stock }
        };
        let changes = lines.iter().map(take).collect();
        let seq = self.state.head.next();
        let entry = Entry {
            seq,
            at: SystemClock.now(),
            kind: Kind::Sale,
            key: Some(order),
            changes,
            text: None,
            details: None,
        };
        self.state.head = seq;
        decide::apply(&mut self.state.levels, &entry);
        let sold = entry.order().expect("a sale with a key is an order");
        self.state.known.insert(order, Known::Order(sold.clone()));
        self.entries.push(entry);
        Receipt { order: sold, replayed: false }
    }
}

impl Textbook {
    fn lock(&self) -> MutexGuard<'_, Shop> {
        self.0.lock().expect("no code panics while it is locked")
    }

    fn has_enough(&self, lines: &Lines) -> bool {
        let shop = self.lock();
        let enough = |book, quantity| shop.state.levels.get(book).is_some_and(|level| level.stock >= quantity);
        lines.iter().all(|line| enough(line.book, line.quantity))
    }
}

#[async_trait]
impl CatalogService for Textbook {
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let had_enough = self.has_enough(&lines);
        // Where the textbook asks another server.
        tokio::task::yield_now().await;
        let mut shop = self.lock();
        match shop.decide(&Command::Sell { order, lines: lines.clone() }) {
            Ok(Outcome::Receipt(receipt)) => Ok(receipt),
            Err(Error::OutOfStock { .. }) if had_enough => Ok(shop.oversell(order, &lines)),
            Err(error) => Err(error),
            Ok(other) => panic!("{other:?}"),
        }
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        let Outcome::Receipt(receipt) = self.lock().decide(&Command::Release { order })? else { panic!("a receipt") };
        Ok(receipt)
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let command = Command::Order { order, action: Box::new(action), by };
        let Outcome::Receipt(receipt) = self.lock().decide(&command)? else { panic!("a receipt") };
        Ok(receipt)
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let mut shop = self.lock();
        shop.decide(&Command::Amend { book, change: change.into(), key, by })?;
        shop.book(book)
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        let mut shop = self.lock();
        let list = |book: NewBook| match shop.decide(&Command::AddBook { book: book.into(), by: by.clone() })? {
            Outcome::Added(listed) => Ok(listed),
            other => panic!("{other:?}"),
        };
        books.into_iter().map(list).collect()
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.lock().book(book)
    }

    async fn entries(&self, after: Seq, limit: usize, _wait: Duration) -> Result<Entries> {
        let shop = self.lock();
        Ok(page(LedgerId::nil(), &shop.entries, after, limit))
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        match self.lock().state.known.get(&order) {
            Some(Known::Order(found)) => Ok(found.clone()),
            _ => Err(Error::OrderNotFound { order }),
        }
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        Ok(self.lock().state.contacts.get(&order).cloned().flatten().map(|contact| *contact))
    }

    async fn search(&self, _query: Query) -> Result<BookPage> {
        Err(Error::unavailable("this service has no search"))
    }

    async fn topics(&self, _: TopicQuery) -> Result<TopicPage> {
        Err(Error::unavailable("this service has no search"))
    }
}

#[async_trait]
impl OrderReader for Textbook {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        Ok(self.find_order(id).await.ok())
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        let shop = self.lock();
        let known = |known: &Known| if let Known::Order(order) = known { Some(order.clone()) } else { None };
        let mut orders: Vec<Order> = shop.state.known.values().filter_map(known).collect();
        orders.retain(|order| scan.before().is_none_or(|before| order.seq < before));
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.seq));
        let now = |id| Ok(orders.iter().find(|order| order.id == id).cloned());
        scan.run(orders.iter().cloned().map(Ok), now, |_| Ok(None))
    }
}

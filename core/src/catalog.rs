//! The catalogue: what there is to buy, and the ledger of everything that changed its stock.

use async_trait::async_trait;
use futures_util::TryFutureExt as _;
use std::{sync::Arc, time::Duration};

use crate::{
    batch::each,
    book::{Added, Amend, Book, BookId, NewBook, Topic},
    clock::Clock,
    decide::{Command, Outcome},
    error::{Error, Result},
    ledger::{Entries, Seq},
    order::{Lines, Order, OrderId, Receipt},
    orders::OrderReader,
    page::{BookPage, Query},
    store::{Found, LedgerReader, LedgerStore, StoreError},
    writer::{Closed, Execution, Writer, WriterLimits},
};

/// The catalogue and its ledger.
///
/// Every call ends in one of three ways, see [`Error`]. An implementation that cannot tell whether a call had an
/// effect MUST answer [`Error::OutcomeUnknown`], and MUST NOT answer so for a call that certainly had none.
#[async_trait]
pub trait CatalogService: Send + Sync {
    /// Finds books by topic, by words, or both; a page at a time.
    ///
    /// Pages MUST NOT repeat a book or leave one out while the catalogue stands still.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query outside the limits of [`Query`].
    async fn search(&self, query: Query) -> Result<BookPage>;

    /// Every topic with its number of books, sorted by name.
    ///
    /// # Errors
    /// Not executed only.
    async fn topics(&self) -> Result<Vec<Topic>>;

    /// One book as it stands.
    ///
    /// # Errors
    /// [`Error::BookNotFound`].
    async fn info(&self, book: BookId) -> Result<Book>;

    /// Sells all lines or none, once per order id, and makes it durable before it answers: the commit point of a purchase.
    ///
    /// The same id with the same lines MUST answer with the same order, `replayed`. A refusal MUST leave no trace:
    /// the same id may buy later.
    ///
    /// # Errors
    /// [`Error::OutOfStock`], [`Error::BookNotFound`], [`Error::PriceChanged`], [`Error::OrderIdReused`],
    /// [`Error::Invalid`] if the total is more than [`Cents::MAX`](crate::money::Cents::MAX).
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt>;

    /// Sells many times, each sale by itself as [`Self::reserve`] does, with the answers in the order of the questions.
    ///
    /// What comes as a batch should go on as one: a transport overrides this where that saves messages.
    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    /// Takes a sale back and puts its copies into stock again, once, durably.
    ///
    /// # Errors
    /// [`Error::OrderNotFound`] if there is no such sale; [`Error::Invalid`] while a book could not hold the copies, see
    /// [`NewBook::STOCK_MAX`].
    async fn release(&self, order: OrderId) -> Result<Receipt>;

    /// Changes a book's price or stock, durably, and answers with the book as it stands then.
    ///
    /// With a `key` it happens once, however often it is sent; without one an unknown outcome MUST NOT be retried.
    ///
    /// # Errors
    /// [`Error::BookNotFound`]; [`Error::VersionMismatch`], [`Error::VersionRequired`] for absolute values;
    /// [`Error::OutOfStock`] if a delta would take more than there is; [`Error::OrderIdReused`] for a key of something else,
    /// another change of the same book included; [`Error::Invalid`] for a change of nothing, and above
    /// [`NewBook::STOCK_MAX`] copies.
    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book>;

    /// Lists new books, at most [`ADD_BOOKS_MAX`], each durable when this answers, and says their numbers in the same order.
    ///
    /// A book that is listed already (see [`BookText::identity`](crate::book::BookText::identity)) is left as it is, so sending
    /// the same list again is harmless.
    ///
    /// # Errors
    /// [`Error::Invalid`] if any book is bad: then none is listed. After another error some may be listed.
    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>>;

    /// The entries after `after`, oldest first, at most `limit` (capped at [`ENTRIES_MAX`]); waits up to `wait`
    /// (capped at [`WAIT_MAX`]) for one if there is none yet.
    ///
    /// It MUST show durable entries only, and no gaps.
    ///
    /// # Errors
    /// Not executed only.
    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries>;

    /// The order with this id as the ledger knows it now.
    ///
    /// # Errors
    /// [`Error::OrderNotFound`].
    async fn find_order(&self, order: OrderId) -> Result<Order>;
}

/// The most books of one [`CatalogService::list`].
pub const ADD_BOOKS_MAX: usize = 1000;
/// The most entries of one [`CatalogService::entries`].
pub const ENTRIES_MAX: usize = 1000;
/// The longest wait of one [`CatalogService::entries`].
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// How a catalogue runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CatalogOptions {
    /// Limits of its writer.
    pub limits: WriterLimits,
    /// How its writer is executed.
    pub execution: Execution,
}

/// The catalogue over a store.
pub struct Catalog {
    writer: Writer,
    reader: Arc<dyn LedgerReader>,
}

impl Catalog {
    /// Recovers the store and starts to serve. Its writer stops when this is dropped.
    ///
    /// If it is called within a multi-threaded runtime, a task of that runtime gives the answers of large batches. So a
    /// worker of it MUST NOT be blocked by waiting for a purchase, as of any runtime.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn start(
        store: impl LedgerStore,
        reader: Arc<dyn LedgerReader>,
        clock: Arc<dyn Clock>,
        options: CatalogOptions,
    ) -> Result<Self, StoreError> {
        let writer = Writer::start(store, clock, options.limits, options.execution)?;
        Ok(Self { writer, reader })
    }

    /// The last durable entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.writer.published().head()
    }

    /// Tells when the store is closed, after this is dropped; a program that is about to end may wait for it. What was
    /// acknowledged is durable without.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.writer.closed()
    }

    /// A found book with its level; `None` if its listing is not durable yet.
    fn book(&self, found: Found) -> Option<Book> {
        let level = self.writer.published().level(found.position.id)?;
        Some(level.of(found.position.id, found.text))
    }

    // Not an `async fn`, which would keep another copy of the command while it waits; as in `Writer::execute`.
    fn receipt(&self, command: Command) -> impl Future<Output = Result<Receipt>> {
        self.writer.execute(command).map_ok(receipt)
    }
}

fn receipt(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Receipt(receipt) => receipt,
        other => unreachable!("a reserve or release answered with {other:?}"),
    }
}

#[async_trait]
impl CatalogService for Catalog {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let query = query.check()?;
        let mut found = self.reader.find_books(query.clone()).await?;
        let more = found.len() > query.size;
        found.truncate(query.size);
        let next_page_token = found.last().filter(|_| more).map(|last| query.token(&last.position));
        let books = found.into_iter().filter_map(|found| self.book(found)).collect();
        Ok(BookPage { books, next_page_token })
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.reader.topics().await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        let unknown = Error::BookNotFound { book };
        let level = self.writer.published().level(book).ok_or_else(|| unknown.clone())?;
        let text = self.reader.text(book).await?.ok_or(unknown)?;
        Ok(level.of(book, text))
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.receipt(Command::Sell { order, lines }).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        let commands = sales.into_iter().map(|(order, lines)| Command::Sell { order, lines });
        self.writer.execute_many(commands).await.into_iter().map(|outcome| outcome.map(receipt)).collect()
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.receipt(Command::Release { order }).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let Outcome::Amended(id, level) = self.writer.execute(Command::Amend { book, change, key }).await? else {
            unreachable!("an amend answers with the amended book");
        };
        let text = self.reader.text(id).await.ok().flatten();
        // The change is durable: whatever the reader says now must not look like a refusal.
        let text = text.ok_or_else(|| Error::unknown("the book was changed but could not be read"))?;
        Ok(level.of(id, text))
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        if books.len() > ADD_BOOKS_MAX {
            return Err(Error::invalid("books", format!("at most {ADD_BOOKS_MAX} at once")));
        }
        books.iter().try_for_each(NewBook::check)?;
        let commands = books.into_iter().map(|book| Command::AddBook { book: Box::new(book) });
        let outcomes = self.writer.execute_many(commands).await;
        outcomes
            .into_iter()
            .map(|outcome| match outcome? {
                Outcome::Added(listed) => Ok(listed),
                other => unreachable!("a listing answered with {other:?}"),
            })
            .collect()
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let published = self.writer.published();
        let mut head = published.watch();
        let grown = head.wait_for(|head| *head > after);
        // Out of time is an answer: there is nothing yet.
        let _ = tokio::time::timeout(wait.min(WAIT_MAX), grown).await;
        let head = published.head();
        let limit = limit.clamp(1, ENTRIES_MAX);
        // Whoever asks for the head alone asks for what comes after the last of all numbers.
        let entries = if head <= after {
            Vec::new()
        } else if let Some(entries) = published.recent(after, head, limit) {
            entries
        } else {
            self.reader.entries(after, head, limit).await?
        };
        Ok(Entries { ledger: self.reader.id(), head, entries })
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.order(order).await?.ok_or(Error::OrderNotFound { order })
    }
}

/// In one process the order side reads the very same ledger: no copy, no second commit.
#[async_trait]
impl OrderReader for Catalog {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.reader.order(id, self.head()).await
    }

    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        self.reader.orders(before, self.head(), limit).await
    }
}

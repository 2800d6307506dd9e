//! The catalog service over a store: sells through the writer, reads what is published.

use async_trait::async_trait;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    book::{Added, Amend, Book, NewBook},
    clock::{Clock, Timestamp},
    contact::{Contact, ContactPage, ContactRule},
    decide::{Command, Outcome},
    error::{Error, Result},
    execution::Execution,
    follow::Pin,
    history::{Entries, Hash, LedgerIdentity, Relation},
    id::{BookId, OrderId, Seq},
    ledger::Entry,
    money::Currency,
    order::{Actor, Order, Receipt},
    page::{BookPage, Facets, FoundOrders, OrderScan, Query, SuggestQuery, Suggestions, fitting, fitting_beside},
    request::{Lines, OrderAction},
    search::{BookSearch, Finder, FoundPage},
    service::{CONTACTS_MAX, ContactFeed, OrderReader},
    store::{LedgerReader, LedgerStore, StoreError},
    topics::{TopicPage, TopicQuery},
    writer::{Closed, Superseded, Writer, WriterLimits},
};

pub use crate::service::{ADD_BOOKS_MAX, CatalogService, ENTRIES_MAX, WAIT_MAX};

/// How a catalog runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CatalogOptions {
    /// The limits of its writer.
    pub limits: WriterLimits,
    /// Whether its writer has threads of its own.
    pub execution: Execution,
    /// Whether new orders carry contacts.
    pub contacts: ContactRule,
}

/// The catalog service over a store. It owns the ledger's one writer.
///
/// It is also the [`OrderReader`] of an order service in the same process, which then needs no copy.
pub struct Catalog {
    writer: Writer,
    reader: Arc<dyn LedgerReader>,
    finder: Finder,
    search: Arc<dyn BookSearch>,
    /// Drawn when it started, see [`Entries::incarnation`].
    incarnation: Uuid,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Recovers the store and starts to serve. The writer stops when the catalog is dropped.
    ///
    /// `reader` and `search` read the same ledger as `store` writes; the stores of this crate give one object for both. It blocks
    /// the calling thread until the store is recovered, see [`Writer::start`].
    ///
    /// # Errors
    /// - Those of [`Writer::start`]: the store cannot be used.
    pub fn start(
        store: impl LedgerStore,
        reader: Arc<dyn LedgerReader>,
        search: Arc<dyn BookSearch>,
        clock: Arc<dyn Clock>,
        options: CatalogOptions,
    ) -> Result<Self, StoreError> {
        let incarnation = clock.new_id();
        let writer = Writer::start(store, Arc::clone(&clock), options.limits, options.execution, options.contacts)?;
        let published = Arc::clone(writer.published());
        let finder = Finder::new(Arc::clone(&reader), Arc::clone(&search), published, clock, options.execution);
        Ok(Self { writer, reader, finder, search, incarnation })
    }

    /// The last durable entry.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.writer.published().head()
    }

    /// Drawn when the catalog started, see [`Entries::incarnation`].
    #[must_use]
    pub fn incarnation(&self) -> Uuid {
        self.incarnation
    }

    /// Checks that this is the catalog, with the history, that a seller has compared with its copy. A server MUST refuse the seller's
    /// batch otherwise.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not.
    pub fn check_pin(&self, pin: Pin) -> Result<()> {
        let published = self.writer.published();
        pin.check(self.incarnation, published.head(), published.hash(pin.seq))
    }

    /// A receiver that sees whether the ledger can be written: false from a failure of the store until it is open again.
    #[must_use]
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.writer.published().writable()
    }

    /// Checks the history that another server shows with a call. If it is a newer one of this ledger, the ledger goes on elsewhere, as
    /// after [`promote`](crate::store::sqlite::promote): then nothing is sold here any more, also after a restart, when this returns.
    ///
    /// A server MUST call it with what servers show, and only servers: whoever may call it can stop the shop.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the ledger goes on elsewhere. What the call asks for MUST NOT be done.
    pub async fn check_history(&self, shown: &LedgerIdentity) -> Result<()> {
        let published = self.writer.published();
        if matches!(self.reader.identity().relation(shown), Relation::Newer(_)) && published.superseded().is_none() {
            published.supersede(shown.clone());
            self.reopen().await;
        }
        match published.superseded() {
            Some(by) => Err(Error::unavailable(Superseded(by).to_string())),
            None => Ok(()),
        }
    }

    /// Whether the ledger goes on elsewhere, see [`Self::check_history`].
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.writer.published().superseded().is_some()
    }

    /// The ledger and its timelines.
    #[must_use]
    pub fn identity(&self) -> &LedgerIdentity {
        self.reader.identity()
    }

    /// Has the writer open a store that has failed again, if that is due; without a failure nothing happens. Any other call does
    /// the same, so only a server that gets no calls while it is not ready needs this, about once a second.
    pub async fn reopen(&self) {
        // Refused in any state, so it changes nothing.
        let refused = Command::Release { order: OrderId(Uuid::nil()) };
        let _ = self.writer.commands().call(refused).await;
    }

    /// Tells when the store is closed, after the catalog is dropped. A program that is about to end may wait for it, which makes the
    /// next start faster; what was acknowledged is durable without it.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.writer.closed()
    }

    /// Begins to read the books and the sales for searches, in the background: without it the first search that needs them does. It is called on a runtime, once,
    /// after the start.
    pub fn prepare_searches(&self) {
        self.search.texts_added(self.writer.published().texts());
        self.finder.begin_catching_up();
    }

    /// Erases the contacts of orders that were placed before this time, those of the oldest first, at most `limit` of them. Returns how many
    /// that were: if it is `limit`, there may be more.
    ///
    /// # Errors
    /// - As [`LedgerReader`] fails, and as the writer refuses. Some may have been erased.
    pub async fn erase_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<usize> {
        let orders = self.reader.orders_with_contacts(placed_before, limit).await?;
        let erase = |order| Command::Order { order, action: Box::new(OrderAction::EraseContact), by: None };
        let erased = self.writer.commands().call_many(orders.into_iter().map(erase)).await;
        let erased = erased.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(erased.len())
    }

    /// Up to `limit` entries after `after`, none after `head`, and which of them end a batch.
    async fn page(&self, after: Seq, head: Seq, limit: usize) -> Result<(Vec<Entry>, Vec<Seq>)> {
        if head <= after {
            // There are none yet, or the caller wants the head alone and asks for what follows the highest number.
            return Ok(Default::default());
        }
        let recent = self.writer.published().recent(after, head, limit);
        if let Some((mut entries, mut ends)) = recent {
            let last = cut(&mut entries);
            ends.truncate(ends.partition_point(|end| *end <= last));
            return Ok((entries, ends));
        }
        let mut entries = self.reader.entries(after, head, limit).await?;
        let last = cut(&mut entries);
        let ends = self.reader.batch_ends(after, last).await?;
        Ok((entries, ends))
    }

    /// The hash of the ledger up to an entry that is durable.
    async fn hash(&self, at: Seq) -> Result<Hash> {
        match self.writer.published().hash(at) {
            Some(hash) => Ok(hash),
            None => self.reader.hash(at).await,
        }
    }

    /// Takes in what books are called now, so that the next search need not wait. If the store cannot be read now, that search tries
    /// again.
    async fn follow_texts(&self) {
        self.search.texts_added(self.writer.published().texts());
        let _ = self.finder.catch_up().await;
    }
}

/// Leaves as many entries as a page has room for. Returns the last one's number.
fn cut(entries: &mut Vec<Entry>) -> Seq {
    entries.truncate(fitting(entries.iter().map(Entry::json_bytes)));
    entries.last().map_or(Seq(0), |last| last.seq)
}

/// What the writer's answer to a command about an order says.
fn receipt(order: OrderId, answer: Result<Outcome>) -> Result<Receipt> {
    match answer {
        Ok(Outcome::Receipt(receipt)) => Ok(receipt),
        Ok(other) => unreachable!("an order answered with {other:?}"),
        Err(error) => Err(error.for_order(order)),
    }
}

#[async_trait]
impl CatalogService for Catalog {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let query = query.check()?;
        let FoundPage { mut books, total, facets, did_you_mean } = self.finder.find(query.clone()).await?;
        let beside = facets.as_ref().map_or(0, Facets::json_bytes);
        let fits = fitting_beside(beside, books.iter().take(query.size).map(|(_, book)| book.text.json_bytes()));
        let more = books.len() > fits;
        books.truncate(fits);
        let next_page_token = books.last().filter(|_| more).map(|(last, _)| query.token(*last));
        let books = books.into_iter().map(|(_, book)| book).collect();
        Ok(BookPage { books, next_page_token, total, facets, did_you_mean })
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.finder.topics(&query.check()?).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        let limit = query.check()?;
        self.finder.suggest(&query.text, limit).await
    }

    async fn currency(&self) -> Result<Currency> {
        Ok(self.reader.identity().currency)
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        let unknown = Error::BookNotFound { book };
        let level = self.writer.published().level(book).ok_or_else(|| unknown.clone())?;
        let text = self.reader.text(book, level.text_version).await?.ok_or(unknown)?;
        Ok(level.of(book, text))
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        receipt(order, self.writer.commands().call(Command::Sell { order, lines }).await)
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        let orders: Vec<_> = sales.iter().map(|(order, _)| *order).collect();
        let commands = sales.into_iter().map(|(order, lines)| Command::Sell { order, lines });
        let answers = self.writer.commands().call_many(commands).await;
        orders.into_iter().zip(answers).map(|(order, answer)| receipt(order, answer)).collect()
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        receipt(order, self.writer.commands().call(Command::Release { order }).await)
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        receipt(order, self.writer.commands().call(Command::Order { order, action: Box::new(action), by }).await)
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let change = change.checked()?;
        let changes_lists = matches!(change, Amend::Revise { .. } | Amend::Withdraw | Amend::Relist);
        let command = Command::Amend { book, change: Box::new(change), key, by };
        let Outcome::Amended(id, level) = self.writer.commands().call(command).await? else {
            unreachable!("an amend answers with the amended book");
        };
        if changes_lists {
            self.follow_texts().await;
        }
        let text = self.reader.text(id, level.text_version).await.ok().flatten();
        // The change is durable, so a failure of the reader must not look like a refusal.
        let text = text.ok_or_else(|| Error::unknown("the book was changed but could not be read"))?;
        Ok(level.of(id, text))
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        if books.len() > ADD_BOOKS_MAX {
            return Err(Error::invalid("books", format!("at most {ADD_BOOKS_MAX} at once")));
        }
        let books = books.into_iter().map(NewBook::checked).collect::<Result<Vec<_>>>()?;
        let commands = books.into_iter().map(|book| Command::AddBook { book: Box::new(book), by: by.clone() });
        let outcomes = self.writer.commands().call_many(commands).await;
        self.follow_texts().await;
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
        // Whoever is beyond the end has followed another history, and learns it at once.
        let grown = head.wait_for(|head| *head != after);
        // Out of time: there is nothing yet, which is an answer.
        let _ = tokio::time::timeout(wait.min(WAIT_MAX), grown).await;
        let head = published.head();
        let (entries, batch_ends) = self.page(after, head, limit.clamp(1, ENTRIES_MAX)).await?;
        let before = if after <= head { Some(self.hash(after).await?) } else { None };
        let last = self.hash(entries.last().map_or(head, |last| last.seq)).await?;
        let identity = self.reader.identity().clone();
        Ok(Entries { identity, incarnation: self.incarnation, head, before, entries, batch_ends, after: last })
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.order(order).await?.ok_or(Error::OrderNotFound { order })
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        // A contact may be readable before its order is durable.
        self.find_order(order).await?;
        self.reader.contact(order).await
    }
}

#[async_trait]
impl ContactFeed for Catalog {
    async fn contacts(&self, after: u64, limit: usize) -> Result<ContactPage> {
        let limit = limit.clamp(1, CONTACTS_MAX);
        let changes = self.reader.contacts(after, self.writer.published().contacts(), limit).await?;
        Ok(ContactPage { identity: self.reader.identity().clone(), incarnation: self.incarnation, changes })
    }
}

/// In one process the order service reads the ledger itself: no copy, no second commit.
#[async_trait]
impl OrderReader for Catalog {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.reader.order(id, self.head()).await
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        self.reader.find_orders(scan, self.head()).await
    }
}

//! The two services of a bookstore, as traits: [`CatalogService`] owns the ledger, [`OrderService`] sells from it.
//!
//! [`Catalog`](crate::Catalog) and [`Orders`](crate::Orders) implement them over a store; transports implement them for
//! their clients, and decorators around another implementation. The conformance suite (feature `conformance`) runs over
//! all of them.
//!
//! # Rules for every implementation
//! - Every call ends in one of three outcomes, see [`Error`]. An implementation that cannot tell whether a call had an
//!   effect MUST answer [`Error::OutcomeUnknown`], and MUST NOT answer so for a call that certainly had none.
//! - Any call may also be refused as not executed: [`Error::Overloaded`], [`Error::Unavailable`],
//!   [`Error::DeadlineExpired`]. The `# Errors` below name what else can happen.
//! - What a call has acknowledged MUST be durable, and visible to every later call.
//! - A future that is dropped stops the waiting, not the call: it may have its effect all the same.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::time::Duration;

use crate::{
    batch::each,
    book::{Added, Amend, Book, NewBook},
    contact::{Contact, ContactPage},
    error::{Error, Result},
    history::Entries,
    id::{BookId, OrderId, Seq},
    money::Currency,
    order::{Actor, Order, Receipt},
    page::{BookPage, FoundOrders, OrderPage, OrderQuery, OrderScan, Query, SuggestQuery, Suggestions},
    request::{Lines, OrderAction},
    topics::{TopicPage, TopicQuery},
};

/// The most books of one [`CatalogService::add_books`].
pub const ADD_BOOKS_MAX: usize = 1000;
/// The most books of one [`CatalogService::books`].
pub const BOOKS_MAX: usize = Lines::MAX;
/// The most entries of one [`CatalogService::entries`].
pub const ENTRIES_MAX: usize = 1000;
/// The longest wait of one [`CatalogService::entries`].
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Checks the number of books of one [`CatalogService::books`].
///
/// # Errors
/// - [`Error::Invalid`] in `ids`.
pub fn at_most_books_max(ids: Vec<BookId>) -> Result<Vec<BookId>> {
    if ids.len() > BOOKS_MAX {
        return Err(Error::invalid("ids", format!("at most {BOOKS_MAX} at once")));
    }
    Ok(ids)
}

/// Answers [`CatalogService::books`] by one [`CatalogService::info`] for each, all at once.
///
/// # Errors
/// - [`Error::Invalid`] in `ids` for too many.
/// - Any error of `info` but [`Error::BookNotFound`].
pub async fn books_one_by_one<'a>(
    ids: Vec<BookId>,
    info: impl Fn(BookId) -> BoxFuture<'a, Result<Book>>,
) -> Result<Vec<Option<Book>>> {
    let books = each(at_most_books_max(ids)?, info).await.into_iter().map(|book| match book {
        Ok(book) => Ok(Some(book)),
        Err(Error::BookNotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    });
    books.collect()
}

/// The books of a shop, and the ledger of everything that changed their stock and price.
#[async_trait]
pub trait CatalogService: Send + Sync {
    /// Finds books by topic, by words, or both, a page at a time. A page's JSON is at most
    /// [`PAGE_BYTES_MAX`](crate::page::PAGE_BYTES_MAX) long, so a page may end early.
    ///
    /// Pages MUST NOT repeat a book or leave one out while the catalog stands still. What matches, and in which order, is in
    /// [`BookSearch`](crate::search::BookSearch).
    ///
    /// # Errors
    /// - [`Error::Invalid`] for a query outside the limits of [`Query`].
    async fn search(&self, query: Query) -> Result<BookPage>;

    /// The topics with their numbers of books, a page at a time. The length of a page is limited as for [`Self::search`].
    ///
    /// Pages by name MUST NOT repeat a topic or leave one out, other than those that are added meanwhile. Pages by the number of
    /// books MAY, while books are added.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for a query outside the limits of [`TopicQuery`].
    async fn topics(&self, query: TopicQuery) -> Result<TopicPage>;

    /// Titles, authors and topics that begin as what somebody has typed. An implementation that has none gives none; a decorator MUST
    /// pass the call on.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for a query outside the limits of [`SuggestQuery`].
    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        query.check().map(|_| Suggestions::default())
    }

    /// What all amounts are in. It is the ledger's, which [`Self::entries`] shows, too; a decorator MUST pass the call on.
    ///
    /// # Errors
    /// - None but those of every call.
    async fn currency(&self) -> Result<Currency> {
        let end = self.entries(Seq(u64::MAX), 1, Duration::ZERO).await?;
        Ok(end.identity.currency)
    }

    /// One book with its price and stock.
    ///
    /// # Errors
    /// - [`Error::BookNotFound`].
    async fn info(&self, book: BookId) -> Result<Book>;

    /// Several books, at most [`BOOKS_MAX`], in the order of their ids, each as [`Self::info`] has it; none stands for a book that there is
    /// not. They need not be of one moment. A transport overrides this where one message for all of them is cheaper.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `ids` for too many.
    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        books_one_by_one(ids, |id| self.info(id)).await
    }

    /// Sells all lines or none, once per order id, and answers when the sale is durable: the commit point of a purchase.
    ///
    /// The same id with the same lines MUST be answered with the same order, `replayed`. A refusal MUST leave no trace: the
    /// same id may buy later. An `Ok` means that the copies are the buyer's now: an order that is held is confirmed, and one that was
    /// cancelled, lapsed or voided is refused.
    ///
    /// # Errors
    /// - [`Error::OutOfStock`] if a book has too few copies.
    /// - [`Error::OrderCancelled`], [`Error::OrderLapsed`], [`Error::OrderVoided`] if the id's order is in that state.
    /// - [`Error::BookNotFound`] for a book that does not exist, [`Error::BookWithdrawn`] for one that is not on sale.
    /// - [`Error::PriceChanged`] if a line names another price than the book's.
    /// - [`Error::OrderIdReused`] if the id names an order with other lines, or another change.
    /// - [`Error::Invalid`] if the total is above [`Cents::MAX`](crate::Cents::MAX).
    /// - [`Error::OutcomeUnknown`], with the order's id where it is known: send the call again under the same id.
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt>;

    /// Sells many times, each sale by itself as [`Self::sell`] does. The answers are in the order of the sales.
    ///
    /// A transport overrides this where one message for all of them is cheaper.
    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    /// Cancels an order: puts its copies into stock again, once, and answers when that is durable.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`] if there is no such order.
    /// - [`Error::OrderFulfilled`] if it was handed over.
    /// - [`Error::OutcomeUnknown`], with the order's id where it is known: send the call again under the same id.
    async fn release(&self, order: OrderId) -> Result<Receipt>;

    /// Does something else with an order, durably: holds, confirms, extends, voids, fulfils it, takes some copies back. `by` says who of
    /// the shop asks for it, if it is not the buyer; whoever may say so can do all of it.
    ///
    /// Every action may be sent again. What becomes of an order in which state is the table in [`decide`](crate::decide).
    ///
    /// # Errors
    /// - [`Error::OrderCancelled`], [`Error::OrderLapsed`], [`Error::OrderVoided`], [`Error::OrderFulfilled`], [`Error::OrderHeld`] for an
    ///   order in a state that does not allow it, and [`Error::HoldChanged`] for a hold that was extended meanwhile.
    /// - [`Error::OrderNotFound`] if there is no such order, except to purchase, hold or void it.
    /// - [`Error::OrderIdReused`] if the id, or the key of a return, was used for something else.
    /// - [`Error::Invalid`] in `contact` where the shop keeps none or needs one, see [`ContactRule`](crate::ContactRule), and for an order
    ///   whose contact was erased.
    /// - [`Error::Forbidden`] without `by`, to place or extend an order that the shop holds.
    /// - [`Error::Overloaded`] if [`Holds::MAX`](crate::decide::Holds::MAX) orders are held.
    /// - [`Error::Invalid`] for times and lines outside their limits, see [`OrderAction`].
    /// - To purchase or hold, as [`Self::sell`].
    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt>;

    /// Changes a book's price or stock, its text, or whether it is on sale, durably, and answers with the book as it is after the change.
    /// `by` says who of the shop asks for it; the ledger keeps that.
    ///
    /// With a `key` it happens once, however often it is sent. Without one, a call of unknown outcome MUST NOT be sent again.
    ///
    /// A book that is revised may change its [identity](crate::BookText::identity): the old one MUST still lead to it. A withdrawn book MUST
    /// be in no list; its page, its orders and what is held of it stay.
    ///
    /// # Errors
    /// - [`Error::BookNotFound`].
    /// - [`Error::VersionMismatch`], [`Error::VersionRequired`] for absolute values.
    /// - [`Error::TextVersionMismatch`], [`Error::VersionRequired`] for a text, and [`Error::BookExists`] if it would make the book the same as
    ///   another one.
    /// - [`Error::OutOfStock`] if a delta would take more copies than there are.
    /// - [`Error::OrderIdReused`] for a key that was used for something else, another change of the same book included.
    /// - [`Error::Invalid`] for a change of nothing, above [`NewBook::STOCK_MAX`] copies, and for a text outside its limits.
    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book>;

    /// Adds new books, at most [`ADD_BOOKS_MAX`], durably, and answers with their numbers in the same order.
    ///
    /// A book that the catalog has already (see [`BookText::identity`](crate::BookText::identity)) is left as it is, on sale or not, so
    /// sending the same list again is harmless.
    ///
    /// # Errors
    /// - [`Error::Invalid`] if any book is outside its limits, or if there are too many: then none is added. After any other
    ///   error some may have been added.
    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>>;

    /// The entries after `after`, oldest first, at most `limit` (1 to [`ENTRIES_MAX`]). If there is none yet, it waits for one,
    /// for `wait` at most (up to [`WAIT_MAX`]), and then answers without entries; if `after` is beyond the ledger's end, it need not wait,
    /// as the caller has followed another history. Limits outside the range are brought into it.
    ///
    /// It MUST give durable entries only, without gaps. A page's JSON is at most [`PAGE_BYTES_MAX`](crate::page::PAGE_BYTES_MAX) long, so
    /// a page may end early, but it has one entry at least if there is one.
    ///
    /// # Errors
    /// - None but those of every call.
    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries>;

    /// The order with this id as the ledger knows it now.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    async fn find_order(&self, order: OrderId) -> Result<Order>;

    /// Who an order is for, if it has a contact. It MUST NOT be logged, cached or shown to anybody but the holder of the order's id and the
    /// shop.
    ///
    /// It MUST see every change that was acknowledged before the call, and MAY see one that is still to be.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>>;
}

/// Purchasing, cancelling and reading orders.
#[async_trait]
pub trait OrderService: Send + Sync {
    /// Buys all lines or none, once per id, and answers when the purchase is durable.
    ///
    /// The buyer makes the id once per purchase intent and keeps it until the outcome is known. The same id with the same
    /// lines MUST be answered with the same order, `replayed`, by every server.
    ///
    /// # Errors
    /// - As [`CatalogService::sell`].
    /// - [`Error::OutcomeUnknown`] also if the order was not copied in time, see [`Ack::Copied`].
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt>;

    /// Purchases many times, each purchase by itself as [`Self::purchase`] does. The answers are in the order of the purchases.
    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    /// Cancels an order and puts its copies back into stock, once, and answers when that is durable.
    ///
    /// # Errors
    /// - As [`CatalogService::release`].
    async fn cancel(&self, id: OrderId) -> Result<Receipt>;

    /// Does something else with an order, and answers when it is durable: as [`CatalogService::change_order`].
    ///
    /// # Errors
    /// - As [`CatalogService::change_order`].
    /// - [`Error::OutcomeUnknown`] also if it was not copied in time, see [`Ack::Copied`].
    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt>;

    /// Reads an order.
    ///
    /// It MUST find every order that was acknowledged before the call, by any server. A cancellation through another order
    /// server may show later: as soon as this one's copy has followed the ledger.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    async fn order(&self, id: OrderId) -> Result<Order>;

    /// The orders, newest first, a page at a time, as far as this server has followed the ledger.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for a query outside its limits.
    async fn orders(&self, query: OrderQuery) -> Result<OrderPage>;

    /// Who an order is for, as [`CatalogService::find_contact`]: it is read where the ledger is.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    async fn contact(&self, id: OrderId) -> Result<Option<Contact>>;
}

/// A ledger, or a copy of one, entry by entry.
#[async_trait]
pub trait LedgerFeed: Send + Sync {
    /// The entries after `after`, at most `limit` (1 to [`ENTRIES_MAX`]), as [`CatalogService::entries`] gives them without waiting. Of a
    /// copy, the head is the last entry that it has followed, and the incarnation is nil, since it is no opening of the ledger.
    ///
    /// # Errors
    /// - None but not executed.
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries>;
}

#[async_trait]
impl<C: CatalogService + ?Sized> LedgerFeed for C {
    async fn page(&self, after: Seq, limit: usize) -> Result<Entries> {
        self.entries(after, limit, Duration::ZERO).await
    }
}

/// The most contacts of one [`ContactFeed::contacts`]: about 1 MiB of JSON.
pub const CONTACTS_MAX: usize = 100;

/// The contacts of a ledger, or of a copy of one, for copies: personal data, so a server MUST give it to servers only.
#[async_trait]
pub trait ContactFeed: Send + Sync {
    /// The contacts whose last change has a number above `after`, lowest first, at most `limit` (1 to [`CONTACTS_MAX`]; a limit outside is
    /// brought into it). It MUST give durable changes only.
    ///
    /// # Errors
    /// - None but not executed.
    async fn contacts(&self, after: u64, limit: usize) -> Result<ContactPage>;
}

/// All that a copy has for whoever makes a ledger of it.
pub trait CopyFeed: LedgerFeed + ContactFeed {}

impl<T: LedgerFeed + ContactFeed + ?Sized> CopyFeed for T {}

/// Where an order service reads orders: the ledger itself, or a copy that follows it.
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// An order, if it is known here.
    ///
    /// # Errors
    /// - None but not executed: the store cannot be read now.
    async fn order(&self, id: OrderId) -> Result<Option<Order>>;

    /// Looks for orders, newest first, as [`OrderScan::run`] does.
    ///
    /// # Errors
    /// - None but not executed: the store cannot be read now.
    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders>;

    /// Up to `limit` orders that began before `before` (all, if it is `None`), newest first.
    ///
    /// # Errors
    /// - None but not executed: the store cannot be read now.
    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>> {
        Ok(self.find_orders(OrderScan::all(before, limit)).await?.orders)
    }
}

/// When an order server with a copy acknowledges a purchase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// When it is durable in the catalog's ledger.
    #[default]
    Ledger,
    /// When it is durable in the ledger and in this order server's copy: on two machines.
    Copied {
        /// How long to wait for the copy. After that the outcome is unknown: the ledger has the order, and the copy will.
        wait: Duration,
    },
}

//! What a recorded call asked for, and how it ended.

use serde::{Deserialize, Serialize};

use crate::{
    book::{Added, Amend, Book, BookId},
    decide::Level,
    error::{Error, Result},
    ledger::Seq,
    money::Cents,
    order::{Order, OrderId, Receipt},
    request::{Lines, OrderAction},
};

/// A book's stock and price as an answer showed them. A history does not keep a book's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookState {
    /// Which book.
    pub book: BookId,
    /// Copies in stock.
    pub stock: u32,
    /// The price of one copy, in cents.
    pub price_cents: Cents,
    /// The ledger entry that last changed anything of it.
    pub version: Seq,
    /// The ledger entry that its text is from.
    pub text_version: Seq,
    /// Whether it can be bought.
    pub on_sale: bool,
}

impl BookState {
    /// The state of `book` at `level`.
    #[must_use]
    pub fn new(book: BookId, level: Level) -> Self {
        let Level { stock, price_cents, version, text_version, on_sale } = level;
        Self { book, stock, price_cents, version, text_version, on_sale }
    }
}

impl From<&Book> for BookState {
    fn from(book: &Book) -> Self {
        Self::new(book.id, Level::shown(book))
    }
}

/// A new book's price and first stock: all that a history keeps of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListedBook {
    /// The price of one copy, in cents.
    pub price_cents: Cents,
    /// Copies in stock at first.
    pub stock: u32,
}

/// How a call ended, as far as its caller knows.
///
/// These are the three outcomes of [`Error`], with the refusals of the business apart from those of the machinery:
///
/// ```
/// use bookstore_core::{BookId, Error, check::Outcome};
///
/// let outcome = |error: Error| Outcome::of(&Err::<(), _>(error), |()| ());
/// let short = Error::BookNotFound { book: BookId(1) };
/// assert_eq!(outcome(short.clone()), Outcome::Refused(short));
/// assert_eq!(outcome(Error::overloaded("too many calls")), Outcome::NotExecuted);
/// assert!(outcome(Error::unknown("no answer in time")).is_unknown());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It executed, and this was the answer.
    Answered(T),
    /// The business refused it for this reason. It changed nothing, and the reason must have been true.
    Refused(Error),
    /// It was refused before any effect, for a reason that says nothing about books and orders.
    NotExecuted,
    /// It may have executed, or may execute later. A call that never returned counts as unknown too.
    Unknown,
}

impl<T> Outcome<T> {
    /// The outcome of a call with this `answer`; `shown` takes from it what a history keeps.
    pub fn of<R>(answer: &Result<R>, shown: impl FnOnce(&R) -> T) -> Self {
        match answer {
            Ok(answer) => Self::Answered(shown(answer)),
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::OutOfStock { .. }
            | Error::BookNotFound { .. }
            | Error::OrderNotFound { .. }
            | Error::OrderIdReused { .. }
            | Error::OrderCancelled { .. }
            | Error::OrderLapsed { .. }
            | Error::OrderVoided { .. }
            | Error::OrderFulfilled { .. }
            | Error::OrderHeld { .. }
            | Error::HoldChanged { .. }
            | Error::PriceChanged { .. }
            | Error::VersionMismatch { .. }
            | Error::TextVersionMismatch { .. }
            | Error::BookWithdrawn { .. }
            | Error::BookExists { .. }
            | Error::VersionRequired => Self::Refused(error.clone()),
            Error::Invalid { .. }
            | Error::Malformed { .. }
            | Error::Unauthorized { .. }
            | Error::Forbidden { .. }
            | Error::Overloaded { .. }
            | Error::Unavailable { .. }
            | Error::DeadlineExpired { .. } => Self::NotExecuted,
            Error::OutcomeUnknown { .. } => Self::Unknown,
        }
    }

    /// The answer, if there is one.
    pub fn answered(&self) -> Option<&T> {
        if let Self::Answered(answer) = self { Some(answer) } else { None }
    }

    /// Whether the caller does not know how it ended.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// The same outcome, without the answer itself.
    fn without_answer(&self) -> Outcome<()> {
        match self {
            Self::Answered(_) => Outcome::Answered(()),
            Self::Refused(error) => Outcome::Refused(error.clone()),
            Self::NotExecuted => Outcome::NotExecuted,
            Self::Unknown => Outcome::Unknown,
        }
    }
}

/// What a call asked for, and how it ended.
///
/// The variants carry what the checker compares and leave out the rest, such as a query's words. In a file each is an
/// object with the variant's name in snake case; [`Operation::AddBooks`] is `list` there.
///
/// A batch such as [`purchase_many`](crate::OrderService::purchase_many) is one operation per call in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A purchase through the order service, or a sale through the catalogue itself.
    Purchase {
        /// The buyer's key.
        order: OrderId,
        /// What to buy.
        lines: Lines,
        /// How it ended.
        outcome: Outcome<Receipt>,
    },
    /// A cancellation through the order service, or a release through the catalogue itself.
    Cancel {
        /// Which order.
        order: OrderId,
        /// How it ended.
        outcome: Outcome<Receipt>,
    },
    /// Anything else that changes an order.
    Change {
        /// Which order.
        order: OrderId,
        /// What to do with it.
        action: OrderAction,
        /// How it ended.
        outcome: Outcome<Receipt>,
    },
    /// A read of one order.
    ReadOrder {
        /// Which order.
        order: OrderId,
        /// How it ended.
        outcome: Outcome<Order>,
    },
    /// A read of a page of orders.
    ReadOrders {
        /// How it ended.
        outcome: Outcome<Vec<Order>>,
    },
    /// A read of one book.
    Info {
        /// Which book.
        book: BookId,
        /// How it ended.
        outcome: Outcome<BookState>,
    },
    /// A read of a page of books.
    Search {
        /// How it ended.
        outcome: Outcome<Vec<BookState>>,
    },
    /// A change of a book.
    Amend {
        /// Which book.
        book: BookId,
        /// What to change.
        change: Amend,
        /// The caller's key, if it gave one: then the change happens once, however often it is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<OrderId>,
        /// How it ended.
        outcome: Outcome<BookState>,
    },
    /// A listing of new books.
    #[serde(rename = "list")]
    AddBooks {
        /// The books.
        books: Vec<ListedBook>,
        /// How it ended.
        outcome: Outcome<Vec<Added>>,
    },
}

impl Operation {
    /// How it ended, without the answer itself.
    #[must_use]
    pub fn ending(&self) -> Outcome<()> {
        match self {
            Self::Purchase { outcome, .. } | Self::Cancel { outcome, .. } | Self::Change { outcome, .. } => {
                outcome.without_answer()
            }
            Self::ReadOrder { outcome, .. } => outcome.without_answer(),
            Self::ReadOrders { outcome } => outcome.without_answer(),
            Self::Info { outcome, .. } | Self::Amend { outcome, .. } => outcome.without_answer(),
            Self::Search { outcome } => outcome.without_answer(),
            Self::AddBooks { outcome, .. } => outcome.without_answer(),
        }
    }
}

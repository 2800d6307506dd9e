//! The one error of every service call, and which of three outcomes it stands for.

use serde::{Deserialize, Serialize};

use crate::{
    id::{BookId, OrderId, Seq},
    money::Cents,
    order::{Order, Status},
};

/// Why a call did not do what it was asked.
///
/// Every call ends in one of three outcomes, and [`Error::executed`] tells the last two apart:
///
/// 1. The domain's own answer: success, or a refusal such as [`Error::OutOfStock`]. A refusal has no effect.
/// 2. *Not executed*: refused before any effect, because a queue is full, a server cannot be reached, or a deadline has
///    passed ([`Error::Overloaded`], [`Error::Unavailable`], [`Error::DeadlineExpired`]). The call may be sent again.
/// 3. *Unknown*: it may have happened ([`Error::OutcomeUnknown`]). A call with an order id may be sent again under the same
///    id, which finds out or does it once. A call without one MUST NOT be sent again.
///
/// [`Error::may_retry`] is the one place that decides what may be sent again:
///
/// ```
/// use bookstore_core::{Error, Executed};
///
/// let full = Error::overloaded("the queue is full");
/// assert_eq!((full.executed(), full.may_retry(false)), (Executed::No, true));
/// let lost = Error::unknown("the connection broke");
/// assert_eq!((lost.executed(), lost.may_retry(true), lost.may_retry(false)), (Executed::Unknown, true, false));
/// ```
///
/// In JSON an error is an object with its `code` and its fields. Codes are stable; a reader MUST treat an error with an unknown
/// code as of unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
#[non_exhaustive]
pub enum Error {
    /// There are too few copies of a book; nothing was sold, or taken away.
    #[error("book {book} has {available} in stock, fewer than asked for{}", others(short))]
    OutOfStock {
        /// The first book (by id) that falls short.
        book: BookId,
        /// Copies in stock.
        available: u32,
        /// Every book that falls short, by id, if there are several.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        short: Vec<Shortage>,
    },
    /// There is no such book.
    #[error("there is no book {book}")]
    #[serde(rename = "unknown-book")]
    BookNotFound {
        /// The id asked for.
        book: BookId,
    },
    /// There is no such order.
    #[error("there is no order {order}")]
    #[serde(rename = "unknown-order")]
    OrderNotFound {
        /// The id asked for.
        order: OrderId,
    },
    /// The id was used before, for an order with other lines or for another change; nothing was done.
    #[error("the id {order} was already used for something else")]
    OrderIdReused {
        /// The id in question.
        order: OrderId,
    },
    /// The order was cancelled, so it is not placed; nothing was changed.
    #[error("the order {} was cancelled", order.id)]
    OrderCancelled {
        /// The order as it is.
        order: Box<Order>,
    },
    /// The order was held and its time was up, so it is not placed; nothing was changed.
    #[error("the time of order {} was up before it was confirmed", order.id)]
    OrderLapsed {
        /// The order as it is.
        order: Box<Order>,
    },
    /// The order's id was given up before it bought anything; nothing was changed.
    #[error("the order id {} was given up, and never buys anything", order.id)]
    OrderVoided {
        /// The order as it is, without lines.
        order: Box<Order>,
    },
    /// The order was handed over, so it is not cancelled; nothing was changed.
    #[error("the order {} was handed over already", order.id)]
    OrderFulfilled {
        /// The order as it is.
        order: Box<Order>,
    },
    /// The order is held and not placed yet; nothing was changed.
    #[error("the order {} is held, and not placed yet", order.id)]
    OrderHeld {
        /// The order as it is.
        order: Box<Order>,
    },
    /// The hold ends at another time than the caller saw; nothing was changed.
    #[error("the hold of order {} does not end when you saw", order.id)]
    HoldChanged {
        /// The order as it is.
        order: Box<Order>,
    },
    /// The book's price is not the one that the buyer saw; nothing was bought.
    #[error("book {book} costs {price_cents} now, not what was expected")]
    PriceChanged {
        /// The book in question.
        book: BookId,
        /// Its price now, in cents.
        price_cents: Cents,
    },
    /// The book has changed since the caller read it; nothing was changed.
    #[error("book {book} is at version {version} now")]
    VersionMismatch {
        /// The book in question.
        book: BookId,
        /// Its version now.
        version: Seq,
    },
    /// The book's text has changed since the caller read it; nothing was changed.
    #[error("the text of book {book} is at version {text_version} now")]
    TextVersionMismatch {
        /// The book in question.
        book: BookId,
        /// Its text's version now.
        text_version: Seq,
    },
    /// A stock or a text can be set only with the version of the book, or of the text, that the caller saw; nothing was changed.
    #[error("setting an absolute value needs the version of the book that you saw (If-Match), a text its text_version")]
    VersionRequired,
    /// The book is not on sale; nothing was bought or held.
    #[error("book {book} is not on sale")]
    BookWithdrawn {
        /// The book in question.
        book: BookId,
    },
    /// What a book is to be called is another book's name, or was once; nothing was changed.
    #[error("it would be the same book as book {book}")]
    BookExists {
        /// The other book.
        book: BookId,
    },
    /// A field's value is outside its limits.
    #[error("{field}: {message}")]
    Invalid {
        /// The field's name in JSON.
        field: String,
        /// The limit that it must keep.
        message: String,
    },
    /// The request cannot be read.
    #[error("{message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// The caller does not show who it is.
    #[error("{message}")]
    Unauthorized {
        /// The credentials that are missing.
        message: String,
    },
    /// The caller is known, and is not allowed to do this.
    #[error("{message}")]
    Forbidden {
        /// What it would take.
        message: String,
    },
    /// Refused before any effect: a queue is full.
    #[error("not executed, too much is waiting: {message}")]
    Overloaded {
        /// The queue, and its limit.
        message: String,
    },
    /// Refused before any effect: a server or a store cannot be reached or is not ready.
    #[error("not executed, not available: {message}")]
    Unavailable {
        /// The cause, for the caller.
        message: String,
    },
    /// Refused before any effect: the caller's deadline had passed.
    #[error("not executed, the deadline had passed: {message}")]
    DeadlineExpired {
        /// The place where it was noticed.
        message: String,
    },
    /// The call may have had its effect, or may have it later. With an order id it may be sent again under the same id.
    #[error("the outcome is unknown: {message}")]
    #[serde(rename = "unknown-outcome")]
    OutcomeUnknown {
        /// What is known.
        message: String,
        /// The order that may exist, where the service knows its id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderId>,
    },
}

/// A book of which there are fewer copies than an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shortage {
    /// Which book.
    pub book: BookId,
    /// Copies in stock.
    pub available: u32,
}

/// How the message goes on if several books fall short.
fn others(short: &[Shortage]) -> String {
    let Some([_, rest @ ..]) = Some(short).filter(|short| short.len() > 1) else { return String::new() };
    let rest: Vec<_> = rest.iter().map(|Shortage { book, available }| format!("book {book} has {available}")).collect();
    format!("; {}", rest.join("; "))
}

/// Whether a failed call had an effect, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executed {
    /// It certainly had none.
    No,
    /// It may have had one.
    Unknown,
}

impl Error {
    /// [`Error::Invalid`]: a value outside its limits in the field `field`.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// [`Error::OutOfStock`]: these books, by id, fall short.
    pub fn out_of_stock(short: impl IntoIterator<Item = Shortage>) -> Self {
        let short: Vec<_> = short.into_iter().collect();
        let Shortage { book, available } = short.first().copied().unwrap_or(Shortage { book: BookId(0), available: 0 });
        let short = if short.len() > 1 { short } else { Vec::new() };
        Self::OutOfStock { book, available, short }
    }

    /// [`Error::Malformed`]: a request that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed { message: message.into() }
    }

    /// [`Error::Overloaded`]: a queue is full.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::Overloaded { message: message.into() }
    }

    /// [`Error::Unavailable`]: a server or a store cannot serve now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into() }
    }

    /// [`Error::OutcomeUnknown`], of no order in particular. [`Error::for_order`] names the order.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::OutcomeUnknown { message: message.into(), order: None }
    }

    /// Names the order of an unknown outcome, unless it is named already. Any other error stays as it is.
    ///
    /// ```
    /// use bookstore_core::{Error, OrderId};
    ///
    /// # fn main() -> bookstore_core::Result<()> {
    /// let id = OrderId::from_key("basket 17")?;
    /// let error = Error::unknown("the connection broke").for_order(id);
    /// assert!(matches!(error, Error::OutcomeUnknown { order: Some(order), .. } if order == id));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_order(mut self, id: OrderId) -> Self {
        if let Self::OutcomeUnknown { order, .. } = &mut self {
            order.get_or_insert(id);
        }
        self
    }

    /// Whether the call had an effect.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self {
            Self::OutcomeUnknown { .. } => Executed::Unknown,
            _ => Executed::No,
        }
    }

    /// The refusal that an order's state stands for. A placed order refuses nothing that a fulfilled one would not refuse, too.
    #[must_use]
    pub fn of_state(order: Order) -> Self {
        let order = Box::new(order);
        match order.status {
            Status::Held => Self::OrderHeld { order },
            Status::Placed | Status::Fulfilled => Self::OrderFulfilled { order },
            Status::Cancelled => Self::OrderCancelled { order },
            Status::Lapsed => Self::OrderLapsed { order },
            Status::Voided => Self::OrderVoided { order },
        }
    }

    /// The order that a refusal shows, for its state.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::OrderCancelled { order }
            | Self::OrderLapsed { order }
            | Self::OrderVoided { order }
            | Self::OrderFulfilled { order }
            | Self::OrderHeld { order }
            | Self::HoldChanged { order } => Some(order),
            _ => None,
        }
    }

    /// Whether this refusal tells what became of the order, whatever earlier attempts of the same call did: it is in a state, or its
    /// id is in a use, that no later call changes back.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::OrderCancelled { .. }
                | Self::OrderLapsed { .. }
                | Self::OrderVoided { .. }
                | Self::OrderFulfilled { .. }
                | Self::OrderIdReused { .. }
        )
    }

    /// Whether the same call may be sent again, and sending it can help: after [`Error::Overloaded`] and [`Error::Unavailable`]
    /// always; after an unknown outcome if the call has an order id (or another key that makes it happen once).
    #[must_use]
    pub fn may_retry(&self, has_order_id: bool) -> bool {
        match self {
            Self::Overloaded { .. } | Self::Unavailable { .. } => true,
            Self::OutcomeUnknown { .. } => has_order_id,
            _ => false,
        }
    }

    /// The stable name of this error in JSON, in kebab-case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfStock { .. } => "out-of-stock",
            Self::BookNotFound { .. } => "unknown-book",
            Self::OrderNotFound { .. } => "unknown-order",
            Self::OrderIdReused { .. } => "order-id-reused",
            Self::OrderCancelled { .. } => "order-cancelled",
            Self::OrderLapsed { .. } => "order-lapsed",
            Self::OrderVoided { .. } => "order-voided",
            Self::OrderFulfilled { .. } => "order-fulfilled",
            Self::OrderHeld { .. } => "order-held",
            Self::HoldChanged { .. } => "hold-changed",
            Self::PriceChanged { .. } => "price-changed",
            Self::VersionMismatch { .. } => "version-mismatch",
            Self::TextVersionMismatch { .. } => "text-version-mismatch",
            Self::VersionRequired => "version-required",
            Self::BookWithdrawn { .. } => "book-withdrawn",
            Self::BookExists { .. } => "book-exists",
            Self::Invalid { .. } => "invalid",
            Self::Malformed { .. } => "malformed",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::DeadlineExpired { .. } => "deadline-expired",
            Self::OutcomeUnknown { .. } => "unknown-outcome",
        }
    }
}

/// The result of a service call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

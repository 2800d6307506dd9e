//! The one error of every service call, and which of three outcomes it stands for.

use serde::{Deserialize, Serialize};

use crate::{book::BookId, ledger::Seq, money::Cents, order::OrderId};

/// Why a call did not do what it was asked.
///
/// Every call ends in one of three ways: the domain's own answer (success, or one of the first variants here);
/// not executed (refused before any effect); or [`Error::OutcomeUnknown`], it may have happened.
/// [`Error::executed`] says which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
#[non_exhaustive]
pub enum Error {
    /// Too few copies; nothing was bought.
    #[error("book {book} has {available} in stock, fewer than asked for")]
    OutOfStock {
        /// The first book (by id) that falls short.
        book: BookId,
        /// Copies there are.
        available: u32,
    },
    /// No such book.
    #[error("there is no book {book}")]
    #[serde(rename = "unknown-book")]
    BookNotFound {
        /// The id asked for.
        book: BookId,
    },
    /// No such order.
    #[error("there is no order {order}")]
    #[serde(rename = "unknown-order")]
    OrderNotFound {
        /// The id asked for.
        order: OrderId,
    },
    /// The id already names an order with other lines, or a restock of another kind.
    #[error("the id {order} was already used for something else")]
    OrderIdReused {
        /// The id in question.
        order: OrderId,
    },
    /// The price is not the one the buyer saw; nothing was bought.
    #[error("book {book} costs {price_cents} now, not what was expected")]
    PriceChanged {
        /// The book in question.
        book: BookId,
        /// Its price now, in cents.
        price_cents: Cents,
    },
    /// The book changed since the caller read it; nothing was changed.
    #[error("book {book} is at version {version} now")]
    VersionMismatch {
        /// The book in question.
        book: BookId,
        /// Its version now.
        version: Seq,
    },
    /// An absolute value needs the version that the caller saw.
    #[error("setting an absolute value needs the version of the book that you saw (If-Match)")]
    VersionRequired,
    /// A field's value is outside its limits.
    #[error("{field}: {message}")]
    Invalid {
        /// The field's name on the wire.
        field: String,
        /// What it must be.
        message: String,
    },
    /// The request cannot be read at all.
    #[error("{message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// The caller may not do this.
    #[error("{message}")]
    Unauthorized {
        /// What is missing.
        message: String,
    },
    /// Refused before any effect: a queue is full.
    #[error("not executed, too much is waiting: {message}")]
    Overloaded {
        /// Which queue.
        message: String,
    },
    /// Refused before any effect: a server or a store cannot be reached or is not ready.
    #[error("not executed, not available: {message}")]
    Unavailable {
        /// What stands in the way.
        message: String,
    },
    /// Refused before any effect: the caller's deadline had passed.
    #[error("not executed, the deadline had passed: {message}")]
    DeadlineExpired {
        /// Where it was noticed.
        message: String,
    },
    /// It may have happened. A call with an order id may be sent again with the same id.
    #[error("the outcome is unknown: {message}")]
    #[serde(rename = "unknown-outcome")]
    OutcomeUnknown {
        /// What is known.
        message: String,
    },
}

/// Whether a failed call had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executed {
    /// Certainly not.
    No,
    /// It may have.
    Unknown,
}

impl Error {
    /// A bad value in a field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A request that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed { message: message.into() }
    }

    /// A full queue.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::Overloaded { message: message.into() }
    }

    /// A server or store that cannot serve now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into() }
    }

    /// An outcome that nobody knows yet.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::OutcomeUnknown { message: message.into() }
    }

    /// Whether the call had an effect.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self {
            Self::OutcomeUnknown { .. } => Executed::Unknown,
            _ => Executed::No,
        }
    }

    /// Whether sending the same call again can help: always for a refusal, and for an unknown outcome if the call has an order id.
    #[must_use]
    pub fn may_retry(&self, has_order_id: bool) -> bool {
        match self {
            Self::Overloaded { .. } | Self::Unavailable { .. } => true,
            Self::OutcomeUnknown { .. } => has_order_id,
            _ => false,
        }
    }

    /// The stable name of this error on the wire, in kebab-case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfStock { .. } => "out-of-stock",
            Self::BookNotFound { .. } => "unknown-book",
            Self::OrderNotFound { .. } => "unknown-order",
            Self::OrderIdReused { .. } => "order-id-reused",
            Self::PriceChanged { .. } => "price-changed",
            Self::VersionMismatch { .. } => "version-mismatch",
            Self::VersionRequired => "version-required",
            Self::Invalid { .. } => "invalid",
            Self::Malformed { .. } => "malformed",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::DeadlineExpired { .. } => "deadline-expired",
            Self::OutcomeUnknown { .. } => "unknown-outcome",
        }
    }
}

/// The result of every service call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! Why there is no result.

use bookstore_core::Error;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The load itself cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The shop refused something that the load begins with.
    #[error("the shop refused to {what}: {error}")]
    Refused {
        /// What it was asked.
        what: String,
        /// Its answer.
        error: Error,
    },
    /// The shop did not answer before the start.
    #[error("could not {what}: {error}")]
    NoAnswer {
        /// What it was asked.
        what: String,
        /// What happened instead.
        error: Error,
    },
    /// Whoever answered is no bookstore.
    #[error("could not {what}: what answered is not a bookstore's frontend ({why})")]
    NotAShop {
        /// What it was asked.
        what: String,
        /// What is strange about the answer.
        why: String,
    },
    /// There is nothing to buy.
    #[error("the shop has no books; list some first, for example with bookstore import")]
    NoBooks,
    /// It was stopped before it began.
    #[error("stopped before it began")]
    Stopped,
    /// This program itself cannot go on.
    #[error("{0}")]
    Broken(String),
}

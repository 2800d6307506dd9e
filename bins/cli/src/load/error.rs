//! Why a load has no result.

use bookstore_core::Error;

/// Why a load has no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The shop refused a request before the start.
    #[error("the shop refused to {what}: {error}")]
    Refused {
        /// What was requested.
        what: String,
        /// Its answer.
        error: Error,
    },
    /// The shop did not answer before the start.
    #[error("could not {what}: {error}")]
    NoAnswer {
        /// What was requested.
        what: String,
        /// Why not.
        error: Error,
    },
    /// The server is not a bookstore.
    #[error("could not {what}: what answered is not a bookstore's frontend ({why})")]
    NotAShop {
        /// What was requested.
        what: String,
        /// What is wrong with its answer.
        why: String,
    },
    /// There is nothing to buy.
    #[error("the shop has no books; list some first, for example with bookstore import")]
    NoBooks,
    /// It was stopped before the start.
    #[error("stopped before it began")]
    Stopped,
    /// An internal error of the load generator.
    #[error("{0}")]
    Broken(String),
}

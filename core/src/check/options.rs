//! What a deployment promises.
//!
//! [`check`](super::check) and [`search`](super::search) hold a history to no more than this. A monolith promises the
//! most; a deployment with caches and copies of the ledger promises less about reads, and just as much about purchases.

use super::operation::Outcome;

/// How often a call may arrive at the catalogue.
///
/// The more a network does, the more histories are right: an entry that only a duplicate can have made is a phantom
/// under [`Delivery::Once`]. So a test should name the least that its deployment needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// At most once: nothing between the recorder and the catalogue sends a call again.
    Once,
    /// At least once until it is answered, as clients with retries send it. The first answer may already say
    /// `replayed`.
    #[default]
    Retried,
    /// At least once, and also after it was answered. A call with a key may execute after its caller was refused.
    Duplicated,
}

impl Delivery {
    /// Whether a call that ended in this way may have changed something.
    pub(super) fn may_execute<T>(self, outcome: &Outcome<T>) -> bool {
        match outcome {
            Outcome::Answered(_) | Outcome::Unknown => true,
            // Its last message was refused, for what became of the order that an earlier one may have made.
            Outcome::Refused(error) if error.is_final() => self != Self::Once,
            Outcome::Refused(_) => self == Self::Duplicated,
            Outcome::NotExecuted => false,
        }
    }
}

/// Which cancellations a read of a single order must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cancellations {
    /// All that were acknowledged before the read: servers read orders from the ledger itself.
    Everywhere,
    /// Those that the same server acknowledged, as [`OrderService::order`](crate::OrderService::order) promises.
    #[default]
    SameServer,
    /// None: servers were restarted, and their copies may be behind the ledger.
    Eventually,
}

/// Which reads of books may be out of date.
///
/// A read that may be out of date must still show a state that once was, and must not show it before it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cached {
    /// None.
    #[default]
    Never,
    /// All.
    Always,
    /// Those through the servers with these names.
    Through(Vec<String>),
}

impl Cached {
    /// Whether reads through `server` may be out of date.
    pub(super) fn covers(&self, server: &str) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Through(servers) => servers.iter().any(|cached| cached == server),
        }
    }
}

/// What a deployment promises.
///
/// ```
/// use bookstore_core::check::{Cached, Cancellations, Delivery, Options};
///
/// // Frontends cache books, order servers read from copies, and the network may deliver a message twice.
/// let options = Options {
///     delivery: Delivery::Duplicated,
///     cancellations: Cancellations::SameServer,
///     cached: Cached::Through(vec!["frontend-1".into(), "frontend-2".into()]),
/// };
/// assert_ne!(options, Options::default());
/// ```
///
/// The default is what the services promise in this crate's documentation: clients retry, a cancellation shows on the
/// server that acknowledged it, and no read of a book is cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How often a call may arrive.
    pub delivery: Delivery,
    /// Which cancellations a read of an order must show.
    pub cancellations: Cancellations,
    /// Which reads of books may be out of date.
    pub cached: Cached,
}

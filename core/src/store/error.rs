//! A store's own failures.

use crate::error::Error;

/// A store's failure. Its text is for the operator's log; a caller sees only the outcome of its call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the database engine failed. It may work again later.
    #[error("{0}")]
    Failed(String),
    /// Another process writes to this store.
    #[error("{0} is in use by another process; stop it first, or use a command that only reads (audit, backup)")]
    InUse(String),
    /// Another writer has taken over the ledger from this one, which writes nothing any more until it is started again.
    #[error("{0}")]
    TakenOver(String),
    /// This is not a store of ours, or it is damaged.
    #[error("{0}")]
    Unusable(String),
    /// A newer version of this software wrote it.
    #[error("{path} has schema version {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// The store.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
}

impl From<StoreError> for Error {
    /// Not executed: for reads, and for refusals before any effect. The cause goes to the log, not to the caller.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Error::unavailable("the store failed; see the server's log")
    }
}

/// Why [`LedgerStore::append`](super::LedgerStore::append) failed, and whether the batch may be in the ledger.
///
/// There is no conversion from [`StoreError`]: each failure of an append has to be put into one of the two. When in doubt, it is
/// [`AppendError::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch certainly is not in the ledger and never will be. The writer answers its calls as *not executed*.
    #[error(transparent)]
    NotAppended(StoreError),
    /// The batch may be in the ledger. The writer answers *unknown* for what the batch decided.
    #[error(transparent)]
    Unknown(StoreError),
}

//! Mistakes that others have made, put into the simulated shop on purpose: each must be caught.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Stock is read in one step and taken in another: a decision rests on the stock before the last batch.
    CheckThenDecrement,
    /// A call that was seen before is executed again.
    NoDeduplication,
    /// The answer does not wait for the flush.
    AnswerBeforeFlush,
    /// The frontend's cache throws a book out before the write, not after it.
    InvalidateBeforeCommit,
    /// A buyer who hears nothing tries again with a new id.
    RetryWithNewId,
    /// Copies are added by reading the stock and writing the sum.
    RestockReadsThenWrites,
    /// A call that was sent and not answered is called "not executed".
    UnknownCalledNotExecuted,
    /// An order server leaves an entry out of its copy.
    CopySkipsAnEntry,
}

impl Bug {
    pub(crate) const ALL: [Self; 8] = [
        Self::CheckThenDecrement,
        Self::NoDeduplication,
        Self::AnswerBeforeFlush,
        Self::InvalidateBeforeCommit,
        Self::RetryWithNewId,
        Self::RestockReadsThenWrites,
        Self::UnknownCalledNotExecuted,
        Self::CopySkipsAnEntry,
    ];

    /// Seeds, from the first, within which it must be caught.
    pub(crate) fn seeds_max(self) -> u64 {
        match self {
            Self::CheckThenDecrement | Self::NoDeduplication | Self::RetryWithNewId | Self::CopySkipsAnEntry => 10,
            Self::InvalidateBeforeCommit | Self::RestockReadsThenWrites | Self::UnknownCalledNotExecuted => 20,
            Self::AnswerBeforeFlush => 30,
        }
    }
}

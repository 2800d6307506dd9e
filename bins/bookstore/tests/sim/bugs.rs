//! Mistakes that others have made, put into the simulated shop on purpose: each must be caught.

use super::accident::Accident;

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
    /// An order server follows the ledger without comparing it with its copy.
    FollowsWithoutComparing,
    /// An order server takes an order for copied once its copy has an entry with that number.
    AcknowledgesByNumber,
    /// The ledger is locked by its name.
    LockedByName,
    /// A catalog looks neither at what its sellers have seen nor at the newer history that servers show.
    OldCatalogSells,
    /// The end of a hold is judged by the clock of another machine, which is ahead.
    LapsesByAnotherClock,
    /// A hold that has lapsed is confirmed, since it is looked up where it is still open.
    ConfirmsAfterLapse,
    /// A hold that has lapsed is cancelled, and its copies come back again.
    GivesBackTwice,
    /// How far the search index is, is written before its texts are.
    IndexAheadOfTexts,
    /// The search index is not compared with the ledger's history.
    IndexNotCompared,
}

impl Bug {
    pub(crate) const ALL: [Self; 17] = [
        Self::CheckThenDecrement,
        Self::NoDeduplication,
        Self::AnswerBeforeFlush,
        Self::InvalidateBeforeCommit,
        Self::RetryWithNewId,
        Self::RestockReadsThenWrites,
        Self::UnknownCalledNotExecuted,
        Self::CopySkipsAnEntry,
        Self::FollowsWithoutComparing,
        Self::AcknowledgesByNumber,
        Self::LockedByName,
        Self::OldCatalogSells,
        Self::LapsesByAnotherClock,
        Self::ConfirmsAfterLapse,
        Self::GivesBackTwice,
        Self::IndexAheadOfTexts,
        Self::IndexNotCompared,
    ];

    /// The first seed that is looked at.
    pub(crate) fn first_seed(self) -> u64 {
        match self {
            // A copy must be behind, in a purchase that waits for it, when the shop goes back: rare, and rarest in the first seeds.
            Self::AcknowledgesByNumber => 36,
            _ => 1,
        }
    }

    /// Seeds, from that one, within which it must be caught.
    pub(crate) fn seeds_max(self) -> u64 {
        match self {
            Self::CheckThenDecrement | Self::NoDeduplication | Self::RetryWithNewId | Self::CopySkipsAnEntry => 10,
            Self::InvalidateBeforeCommit | Self::RestockReadsThenWrites | Self::UnknownCalledNotExecuted => 20,
            Self::FollowsWithoutComparing | Self::LockedByName | Self::OldCatalogSells => 20,
            Self::LapsesByAnotherClock | Self::ConfirmsAfterLapse => 20,
            Self::AnswerBeforeFlush | Self::AcknowledgesByNumber | Self::GivesBackTwice => 30,
            Self::IndexAheadOfTexts | Self::IndexNotCompared => 30,
        }
    }

    /// Whether there is an index in all seeds in which it is looked for.
    pub(crate) fn needs_index(self) -> bool {
        matches!(self, Self::IndexAheadOfTexts | Self::IndexNotCompared)
    }

    /// The rule that must find it, if others may find it for another reason.
    pub(crate) fn rule(self) -> Option<&'static str> {
        match self {
            Self::FollowsWithoutComparing => Some("copy-prefix"),
            Self::AcknowledgesByNumber => Some("copied"),
            Self::LockedByName => Some("no-loss"),
            Self::OldCatalogSells => Some("idle"),
            Self::LapsesByAnotherClock | Self::ConfirmsAfterLapse => Some("conservation"),
            Self::GivesBackTwice => Some("exactly-once"),
            Self::IndexAheadOfTexts | Self::IndexNotCompared => Some("search"),
            _ => None,
        }
    }

    /// The accident that shows it: it happens in all seeds in which this bug is looked for.
    pub(crate) fn accident(self) -> Option<Accident> {
        match self {
            Self::FollowsWithoutComparing | Self::IndexNotCompared => Some(Accident::StaleFile),
            Self::AcknowledgesByNumber => Some(Accident::Replaced),
            Self::OldCatalogSells => Some(Accident::Promoted),
            Self::LockedByName => Some(Accident::SecondName),
            _ => None,
        }
    }
}

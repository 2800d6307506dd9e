//! What the checker found: broken rules, what could not be decided, and what the history consists of.

use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    history::{Call, History},
    operation::{Operation, Outcome},
};

/// A promise that a history can break.
///
/// The names are stable: they stand in reports and in the result files of tests. Each rule below names a fault that
/// breaks it. One fault may break several rules; the checker reports all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The ledger has no gaps, its running stock is the sum of its changes and never negative, a return mirrors its
    /// sale, and every book is as the ledger says.
    ///
    /// Broken by overselling, and by a store whose stock table does not agree with its ledger. See
    /// [`audit`](crate::audit), which finds these.
    Conservation,
    /// What was acknowledged or shown is in the ledger.
    ///
    /// Broken by a server that answers before its disk has flushed, and then crashes.
    NoLoss,
    /// Every entry of the ledger was asked for, by a call that may have executed.
    ///
    /// Broken by a client that retries under a new id, and by a server that calls an unknown outcome "not executed".
    NoPhantom,
    /// A key did one thing, once.
    ///
    /// Broken by a server that does not recognise a retry, and sells again.
    ExactlyOnce,
    /// If a call was answered before another one was made, its entry comes first in the ledger.
    ///
    /// Broken by two writers, each with a ledger of its own that are merged later.
    RealTimeOrder,
    /// Every answer is the ledger's answer at some moment of the call, and answers do not go back in time.
    ///
    /// Broken by a read that shows half of an order, and by an absolute value that overwrites a sale.
    Linearizable,
    /// All answers about one order agree with each other and with the ledger, and at most one of them is not
    /// `replayed`.
    ///
    /// Broken by a retry that is answered with today's prices, or refused although the first attempt had executed.
    SameAnswer,
    /// A key that did one thing is not accepted for another.
    ///
    /// Broken by a server that answers a purchase with the order that another purchase has made under the same id.
    IdReuse,
    /// A purchase that names the price that the buyer saw is made at that price, or not at all.
    ///
    /// Broken by a server that compares the price before it decides, and is overtaken by a change.
    AgreedPrice,
    /// A call is refused as out of stock only if the stock was too low at some moment of the call, and was the number
    /// that the refusal names.
    ///
    /// Broken by a cache that is asked whether there is enough, and does not learn of a restock.
    OutOfStock,
    /// Any other refusal names a reason that was true at some moment of the call.
    ///
    /// Broken by an unknown book that is listed, a changed price that has not changed, a version that never was.
    TrueRefusal,
    /// Every read shows what was acknowledged to any caller before it.
    ///
    /// Broken by a cache that is emptied before the write commits instead of after it. [`Options`](super::Options) says
    /// which reads a deployment exempts.
    ReadYourWrites,
    /// An order server's copy is what the ledger holds up to some entry, without gaps or changes.
    ///
    /// Broken by a copy that skips an entry, or that follows another ledger.
    CopyPrefix,
}

impl Rule {
    /// The stable name, in kebab-case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Conservation => "conservation",
            Self::NoLoss => "no-loss",
            Self::NoPhantom => "no-phantom",
            Self::ExactlyOnce => "exactly-once",
            Self::RealTimeOrder => "real-time-order",
            Self::Linearizable => "linearizable",
            Self::SameAnswer => "same-answer",
            Self::IdReuse => "id-reuse",
            Self::AgreedPrice => "agreed-price",
            Self::OutOfStock => "out-of-stock",
            Self::TrueRefusal => "true-refusal",
            Self::ReadYourWrites => "read-your-writes",
            Self::CopyPrefix => "copy-prefix",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A rule that was broken once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// What was seen, and why it cannot be.
    pub message: String,
    /// The calls involved, by their index in [`History::calls`].
    pub calls: Vec<usize>,
}

/// What the history consists of.
///
/// A run without unknown outcomes, replays or concurrent calls proves little, so a test should ask for some of each:
///
/// ```
/// use bookstore_core::check::Report;
///
/// fn is_worth_something(report: &Report) -> bool {
///     let counts = report.counts;
///     counts.at_once >= 2 && counts.replayed > 20 && counts.refused > 20 && counts.unknown > 0
/// }
/// # assert!(!is_worth_something(&Report::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls.
    pub calls: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that the business refused.
    pub refused: u64,
    /// Calls that were refused before any effect.
    pub not_executed: u64,
    /// Calls of unknown outcome.
    pub unknown: u64,
    /// Purchases and cancellations that were answered as `replayed`.
    pub replayed: u64,
    /// Ledger entries after the head at which recording began.
    pub entries: u64,
    /// Entries among them that no answer acknowledged: calls that executed although their outcome was unknown.
    pub unacknowledged: u64,
    /// The most answered or refused calls that were under way at the same time.
    pub at_once: u64,
}

/// What [`check`](super::check) or [`search`](super::search) found.
///
/// Its `Display` is a text of several lines: the counts, each violation with the calls involved, what was undecided,
/// and whether every promise held. A test prints it when it fails:
///
/// ```
/// use bookstore_core::check::{FinalState, History, Options, check};
///
/// let report = check(&History::default(), &FinalState::default(), &Options::default());
/// assert!(report.holds(), "{report}");
/// assert!(report.to_string().ends_with("every promise held"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Broken rules, at most [`Report::VIOLATIONS_MAX`] of each rule.
    pub violations: Vec<Violation>,
    /// How often each rule was broken.
    pub broken: BTreeMap<Rule, u64>,
    /// What could not be decided, and why: times that contradict each other, calls that were not recorded, a search
    /// that used up its budget.
    pub undecided: Vec<String>,
    /// What the history consists of.
    pub counts: Counts,
}

impl Report {
    /// The most violations of one rule that are described; the others are counted.
    pub const VIOLATIONS_MAX: u64 = 100;

    /// A report before anything was checked, and whether the times of `history` can be compared: otherwise nothing can
    /// be checked.
    pub(super) fn begin(history: &History) -> (Self, bool) {
        let mut report = Self { counts: count(history), ..Self::default() };
        if history.unrecorded > 0 {
            let unrecorded = history.unrecorded;
            report.undecided.push(format!("{unrecorded} calls were not recorded: entries of the ledger may be theirs"));
        }
        let position = |is_bad: fn(&Call) -> bool| history.calls.iter().position(is_bad);
        let early = position(|call| call.completed.is_some_and(|time| time < call.invoked) || call.invoked == u64::MAX);
        if let Some(at) = early {
            report.undecided.push(format!("call {at} returned before it was made: its times are not on one clock"));
        }
        let unreturned = position(|call| call.completed.is_none() && !call.operation.ending().is_unknown());
        if let Some(at) = unreturned {
            report.undecided.push(format!("call {at} has an outcome but never returned"));
        }
        (report, early.or(unreturned).is_none())
    }

    /// Counts a violation, and describes it unless there are enough of its rule.
    pub(super) fn add(&mut self, rule: Rule, calls: &[usize], message: impl FnOnce() -> String) {
        let broken = self.broken.entry(rule).or_default();
        *broken += 1;
        if *broken <= Self::VIOLATIONS_MAX {
            self.violations.push(Violation { rule, message: message(), calls: calls.to_vec() });
        }
    }

    /// Whether every promise held and everything could be decided.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && self.undecided.is_empty()
    }

    /// The rules that were broken.
    #[must_use]
    pub fn rules(&self) -> BTreeSet<Rule> {
        self.broken.keys().copied().collect()
    }
}

fn count(history: &History) -> Counts {
    let mut counts = Counts { calls: history.calls.len() as u64, ..Counts::default() };
    for Call { operation, .. } in &history.calls {
        match operation.ending() {
            Outcome::Answered(()) => counts.answered += 1,
            Outcome::Refused(_) => counts.refused += 1,
            Outcome::NotExecuted => counts.not_executed += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
        if let Operation::Purchase { outcome: Outcome::Answered(receipt), .. }
        | Operation::Cancel { outcome: Outcome::Answered(receipt), .. } = operation
        {
            counts.replayed += u64::from(receipt.replayed);
        }
    }
    counts
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { calls, answered, refused, not_executed, unknown, replayed, .. } = self.counts;
        let Counts { entries, unacknowledged, at_once, .. } = self.counts;
        writeln!(
            f,
            "{calls} calls, up to {at_once} at once: {answered} answered ({replayed} replayed), {refused} refused, \
             {not_executed} not executed, {unknown} unknown; {entries} entries, {unacknowledged} of them unacknowledged"
        )?;
        for Violation { rule, message, calls } in &self.violations {
            writeln!(f, "{rule}: {message} (calls {calls:?})")?;
        }
        for (rule, broken) in self.broken.iter().filter(|(_, broken)| **broken > Self::VIOLATIONS_MAX) {
            writeln!(f, "{rule}: {} more", broken - Self::VIOLATIONS_MAX)?;
        }
        self.undecided.iter().try_for_each(|why| writeln!(f, "undecided: {why}"))?;
        f.write_str(if self.holds() { "every promise held" } else { "not every promise held" })
    }
}

//! What the checker found.

use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::history::{Call, History, Operation, Outcome};

/// What must hold. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The ledger is dense, its running stock is the sum of its changes and never negative, returns mirror their sales, and
    /// every book stands as the ledger says.
    Conservation,
    /// What was acknowledged, or shown, is in the ledger.
    NoLoss,
    /// What is in the ledger was asked for, by a call that may have had an effect.
    NoPhantom,
    /// A key did one thing, once.
    ExactlyOnce,
    /// A call that was answered before another one was made comes before it in the ledger.
    RealTimeOrder,
    /// Every answer is what the ledger would have given at some moment of the call, and answers do not go back in time.
    Linearizable,
    /// All answers about one order agree with each other and with the ledger; one of them at most says that it was the first.
    SameAnswer,
    /// An id or key that did one thing is not accepted for another.
    IdReuse,
    /// A purchase that names the price it saw is made at that price, or not at all.
    AgreedPrice,
    /// "Out of stock" is said only if at some moment of the call there were too few, and as many as it says.
    OutOfStock,
    /// Any other refusal has a reason that was true at some moment of the call.
    TrueRefusal,
    /// What was acknowledged to anyone is seen by every later read.
    ReadYourWrites,
    /// An order server's copy is what the ledger holds up to some entry, without gaps or changes.
    CopyPrefix,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 13] = [
        Self::Conservation,
        Self::NoLoss,
        Self::NoPhantom,
        Self::ExactlyOnce,
        Self::RealTimeOrder,
        Self::Linearizable,
        Self::SameAnswer,
        Self::IdReuse,
        Self::AgreedPrice,
        Self::OutOfStock,
        Self::TrueRefusal,
        Self::ReadYourWrites,
        Self::CopyPrefix,
    ];

    /// Its stable name, in kebab-case.
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

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// What was seen, and why it cannot be.
    pub message: String,
    /// The calls involved, by their index in the history.
    pub calls: Vec<usize>,
}

/// What the history consists of: a run without unknown outcomes, replays or calls at the same time has proven little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls.
    pub calls: u64,
    /// Calls that did what they were asked.
    pub answered: u64,
    /// Calls that the business refused.
    pub refused: u64,
    /// Calls that were refused before any effect.
    pub not_executed: u64,
    /// Calls whose outcome nobody was told.
    pub unknown: u64,
    /// Purchases and cancellations that said an earlier one had done it.
    pub replayed: u64,
    /// Entries of the ledger that the history accounts for.
    pub entries: u64,
    /// Entries among them that nobody was told of: calls that happened although their outcome was unknown.
    pub unacknowledged: u64,
    /// The most answered or refused calls that were under way at the same time.
    pub at_once: u64,
}

/// What [`check`](super::check) or [`search`](super::search) found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Broken rules, at most [`Report::VIOLATIONS_MAX`] of each rule.
    pub violations: Vec<Violation>,
    /// How often each rule was broken.
    pub broken: BTreeMap<Rule, u64>,
    /// What could not be decided, and why.
    pub undecided: Vec<String>,
    /// What the history consists of.
    pub counts: Counts,
}

impl Report {
    /// The most violations of one rule that are described; the rest are counted.
    pub const VIOLATIONS_MAX: u64 = 100;

    pub(super) fn new(history: &History) -> Self {
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
        Self { counts, ..Self::default() }
    }

    pub(super) fn add(&mut self, rule: Rule, calls: &[usize], message: impl FnOnce() -> String) {
        let broken = self.broken.entry(rule).or_default();
        *broken += 1;
        if *broken <= Self::VIOLATIONS_MAX {
            self.violations.push(Violation { rule, message: message(), calls: calls.to_vec() });
        }
    }

    /// Whether every promise held, and everything could be decided.
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

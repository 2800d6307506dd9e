//! Faults: which there are, when each is injected (drawn from a seed), and how often each had an effect.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use std::{collections::BTreeMap, time::Duration};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillCatalog,
    KillOrder,
    KillFrontend,
    Stop,
    FullDisk,
    Delay,
    Cut,
    LostAnswers,
    OneWay,
    Partition,
    Reset,
}

impl Kind {
    /// What happens to servers.
    pub(crate) const PROCESS: [Self; 5] =
        [Self::KillCatalog, Self::KillOrder, Self::KillFrontend, Self::Stop, Self::FullDisk];
    /// What happens between them.
    pub(crate) const NETWORK: [Self; 6] =
        [Self::Delay, Self::Cut, Self::LostAnswers, Self::OneWay, Self::Partition, Self::Reset];

    /// What it is called, and what its effects are.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::KillCatalog => ("kill -9 of the catalog", "servers killed"),
            Self::KillOrder => ("kill -9 of an order server", "servers killed"),
            Self::KillFrontend => ("kill -9 of a frontend", "servers killed"),
            Self::Stop => ("SIGSTOP … SIGCONT", "servers stopped"),
            Self::FullDisk => ("full disk", "failures of the store"),
            Self::Delay => ("delay", "pieces delayed"),
            Self::Cut => ("connections cut", "connections cut"),
            Self::LostAnswers => ("answers lost", "answers lost"),
            Self::OneWay => ("one-way partition", "packets dropped"),
            Self::Partition => ("partition", "packets dropped"),
            Self::Reset => ("TCP resets", "packets answered with a reset"),
        }
    }

    /// How long it lasts, in milliseconds.
    fn lasts(self) -> std::ops::Range<u64> {
        match self {
            Self::KillCatalog | Self::KillOrder | Self::KillFrontend => 50..600,
            Self::Stop => 300..1800,
            Self::FullDisk => 1500..3000,
            Self::Cut => 10..200,
            Self::Delay | Self::LostAnswers | Self::OneWay | Self::Partition | Self::Reset => 300..1500,
        }
    }
}

/// One fault to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// A random number, for which server or link it hits.
    pub(crate) chance: u64,
    pub(crate) lasts: Duration,
    /// The pause afterwards.
    pub(crate) pause: Duration,
}

/// Draws faults like cards: each kind once, in any order, then all again.
pub(crate) struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
    rng: StdRng,
}

impl Deck {
    pub(crate) fn new(kinds: Vec<Kind>, seed: u64) -> Self {
        Self { kinds, left: Vec::new(), rng: StdRng::seed_from_u64(seed) }
    }

    pub(crate) fn draw(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
            self.left.shuffle(&mut self.rng);
        }
        let kind = self.left.pop().expect("a deck has cards");
        let lasts = Duration::from_millis(self.rng.random_range(kind.lasts()));
        let pause = Duration::from_millis(self.rng.random_range(100..700));
        Fault { kind, chance: self.rng.random(), lasts, pause }
    }
}

/// How often a kind of fault has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Times that it was made.
    pub(crate) made: u64,
    /// Times that it had an effect.
    pub(crate) met: u64,
    /// All effects.
    pub(crate) effects: u64,
}

/// How often each kind has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies(pub(crate) BTreeMap<Kind, Tally>);

impl Tallies {
    pub(crate) fn count(&mut self, kind: Kind, effects: u64) {
        let tally = self.0.entry(kind).or_default();
        tally.made += 1;
        tally.met += u64::from(effects > 0);
        tally.effects += effects;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

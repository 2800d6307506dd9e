//! Accidents of the ledger's file and what becomes of its history: what may happen, and what is known of it.
//!
//! `operator.rs` makes them happen, `forks.rs` judges them.

use bookstore_core::Seq;
use rand::{RngExt as _, rngs::StdRng};
use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use uuid::Uuid;

use super::{hosts::Host, world::Shared};

/// What an operator does to the ledger, by mistake or because it must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accident {
    /// The catalog is started on an older file. When the order servers say so, the right file is put back, or the shop goes back to
    /// the older one.
    StaleFile,
    /// The catalog's machine goes back to a snapshot, with its memory. Then as above.
    RolledBack,
    /// The shop goes back to a backup.
    Replaced,
    /// The catalog's machine is lost, a copy is promoted, and later the old catalog comes back.
    Promoted,
    /// A second catalog server is started on the same file, under another name.
    SecondName,
}

impl Accident {
    pub(crate) const ALL: [Self; 5] =
        [Self::StaleFile, Self::RolledBack, Self::Replaced, Self::Promoted, Self::SecondName];

    /// The last one seldom: the real lock waits for two real seconds.
    pub(crate) fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..20) {
            0..5 => Self::StaleFile,
            5..9 => Self::RolledBack,
            9..14 => Self::Replaced,
            14..19 => Self::Promoted,
            _ => Self::SecondName,
        }
    }
}

/// What the rest of the simulation knows of the accident.
#[derive(Debug, Default)]
pub(crate) struct AccidentState {
    /// From its beginning until the shop goes on as it should.
    open: AtomicBool,
    /// Whether the ledger is on the spare machine.
    moved: AtomicBool,
    /// Whether the spare machine's catalog server may start.
    pub(crate) spare_starts: AtomicBool,
    /// Whether the catalog has stopped for good, since it was shown a newer history.
    pub(crate) superseded: AtomicBool,
    /// How the catalog was opened last.
    pub(crate) incarnation: Mutex<Option<Uuid>>,
    /// How a catalog that is rolled back with its memory thinks that it was opened.
    pub(crate) rolled_back_to: Mutex<Option<Uuid>>,
    sellers: [Seller; 2],
    record: Mutex<Record>,
}

/// What is known of an order server.
#[derive(Debug, Default)]
pub(crate) struct Seller {
    /// The last entry in its copy, and the timelines of the ledger that it follows.
    pub(crate) followed: AtomicU64,
    pub(crate) timelines: AtomicUsize,
    /// The last sale that it was told of.
    pub(crate) sold: AtomicU64,
    /// Whether it refuses the ledger.
    pub(crate) refuses: AtomicBool,
    /// Where its copy was before it was rewound, and the entries that were set aside then.
    pub(crate) rewound: Mutex<Vec<(Seq, u64)>>,
}

/// What has happened, for the verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// When it began and ended, by the recorder's clock.
    pub(crate) began: Option<u64>,
    pub(crate) ended: Option<u64>,
    /// The ledger as it was when it began, if the shop did not go on with it.
    pub(crate) destroyed: Option<PathBuf>,
    /// Where a restore has kept what it replaced.
    pub(crate) replaced: Option<PathBuf>,
}

impl AccidentState {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no code panics while it is locked")
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.record().began.is_some()
    }

    pub(crate) fn begin(&self, tick: u64) {
        self.record().began = Some(tick);
        self.open.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(&self, tick: u64) {
        self.record().ended = Some(tick);
        self.open.store(false, Ordering::SeqCst);
    }

    /// The ledger goes on on the spare machine.
    pub(crate) fn move_to_spare(&self) {
        self.moved.store(true, Ordering::SeqCst);
        self.spare_starts.store(true, Ordering::SeqCst);
    }

    /// Where the ledger is.
    pub(crate) fn ledger_host(&self) -> Host {
        if self.moved.load(Ordering::SeqCst) { Host::Spare } else { Host::Catalog }
    }

    /// Of an order server; of another host there is none.
    pub(crate) fn seller(&self, host: Host) -> Option<&Seller> {
        match host {
            Host::Order1 => Some(&self.sellers[0]),
            Host::Order2 => Some(&self.sellers[1]),
            _ => None,
        }
    }

    pub(crate) fn sellers(&self) -> &[Seller; 2] {
        &self.sellers
    }
}

impl Seller {
    pub(crate) fn note_followed(&self, seq: Seq, timelines: usize) {
        self.followed.store(seq.0, Ordering::SeqCst);
        self.timelines.store(timelines, Ordering::SeqCst);
    }

    pub(crate) fn followed(&self) -> Seq {
        Seq(self.followed.load(Ordering::SeqCst))
    }

    /// An order server refuses the ledger, or does not any more. It may only while there is a reason.
    pub(crate) fn note_refused(&self, world: &Shared, host: Host, why: Option<&str>) {
        self.refuses.store(why.is_some(), Ordering::SeqCst);
        let Some(why) = why else { return };
        world.note(format_args!("{host}: refuses the ledger: {why}"));
        if !world.accident.has_begun() {
            world.fail("refused", format!("{host} refuses the ledger, which is the right one: {why}"));
        }
    }
}

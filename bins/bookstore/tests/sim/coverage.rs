//! Counts the dangerous moments that a run has reached. A run that has reached too few of them proves nothing, and fails.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

/// Something that is counted, and how often it must happen.
pub(crate) struct Row {
    group: &'static str,
    text: &'static str,
    /// In a thousand seeds.
    least: u64,
}

macro_rules! counters {
    ($($name:ident, $group:literal, $text:literal, $least:literal;)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Seen { $($name),* }

        /// The counters, in the order of [`Seen`].
        pub(crate) const TABLE: &[Row] = &[$(Row { group: $group, text: $text, least: $least }),*];
    };
}

counters! {
    CrashBeforeAppend, "crash of the catalog", "while calls wait for their batch", 20;
    CrashAppended, "crash of the catalog", "between append and flush", 50;
    CrashPiledUp, "crash of the catalog", "between append and flush, with a second batch on top", 10;
    CrashFlushed, "crash of the catalog", "between flush and answers", 50;
    CrashRecovering, "crash of the catalog", "while it opens and recovers", 20;
    CrashCatalogOther, "crash of the catalog", "at any other time", 50;
    CrashCalling, "crash of an order server", "with calls under way", 50;
    CrashFetched, "crash of an order server", "with entries fetched, not yet copied", 20;
    CrashCopied, "crash of an order server", "with entries copied, not yet reported", 20;
    CrashOpening, "crash of an order server", "while it opens its copy", 10;
    CrashOrderOther, "crash of an order server", "at any other time", 50;
    CrashFrontendCalling, "crash of the frontend", "with calls under way", 50;
    CrashFrontendOther, "crash of the frontend", "at any other time", 15;
    Kill, "kind of crash", "kill -9: the kernel lives on", 200;
    Machine, "kind of crash", "the machine is gone: cut off first", 200;
    PowerSuspect, "power cut", "with bytes written and not flushed", 50;
    PowerLost, "power cut", "that lost unflushed entries", 20;
    PowerKept, "power cut", "that unflushed entries survived", 10;
    PowerTorn, "power cut", "that tore sectors", 20;
    Cut, "network", "links cut both ways", 200;
    CutOneWay, "network", "links cut one way", 200;
    Blip, "network", "a few messages lost", 200;
    Clog, "network", "links clogged one by one, freed in random order", 200;
    Latency, "network", "latency of a link changed", 200;
    RequestLost, "network", "calls between servers lost", 100;
    ReplyLost, "network", "answers between servers lost", 100;
    Duplicated, "network", "calls between servers delivered twice", 200;
    Delayed, "network", "calls between servers delayed", 200;
    Refused, "network", "calls refused at random", 100;
    AppendFailed, "disk", "an append failed", 50;
    FlushFailed, "disk", "a flush failed", 50;
    FlushFailedPiledUp, "disk", "a flush failed with a second batch on top", 10;
    RecoverFailed, "disk", "a recovery failed", 10;
    CopyFailed, "disk", "a copy's append failed, done or not", 50;
    SlowDisk, "disk", "a flush took longer than its callers wait", 50;
    Checkpoint, "disk", "the WAL was moved into the database under way", 50;
    ClockJump, "clock", "a server's clock jumped", 200;
    Overloaded, "load", "calls refused as overloaded", 100;
    AttemptNotSent, "failed attempt", "not sent: no connection", 100;
    AttemptLost, "failed attempt", "sent, then the connection was lost or the answer broke off", 50;
    AttemptTimeout, "failed attempt", "sent, and no answer in time", 100;
    UnknownStore, "unknown outcome", "the store failed while writing", 20;
    UnknownTimeout, "unknown outcome", "no answer in time", 50;
    UnknownEarlier, "unknown outcome", "a refusal after an unknown attempt", 50;
    UnknownNotCopied, "unknown outcome", "in the ledger, not yet in the copy", 10;
    UnknownInjected, "unknown outcome", "a message between servers lost", 50;
    UnknownOther, "unknown outcome", "for another reason", 0;
    WalRecovered, "recovery", "a ledger opened with entries in its WAL", 100;
    StoreReopened, "recovery", "a poisoned store opened again", 30;
    CaughtUp, "recovery", "a copy that had fallen behind caught up", 50;
    CopyRetried, "recovery", "a copy went on after a failed append", 20;
    Replayed, "recovery", "a retry answered with the order that exists", 200;
    ReadThrough, "recovery", "an order read from the ledger, since the copy lagged", 20;
    CacheHit, "recovery", "a book shown from the cache", 200;
    CacheStale, "recovery", "a book shown from the cache while the catalog was away", 20;
    Resolved, "recovery", "unknown calls resolved after the faults", 100;
    HappenedUnknown, "recovery", "calls of unknown outcome that executed", 10;
    Held, "order", "copies were held", 200;
    Lapsed, "order", "a hold lapsed before it was confirmed", 50;
    Voided, "order", "an id was given up before it bought anything", 20;
    Fulfilled, "order", "an order was handed over", 20;
    Revised, "book", "a text was corrected", 200;
    NameTaken, "book", "a correction refused: the name is another book's", 20;
    Withdrawn, "book", "a book was taken off sale", 200;
    Relisted, "book", "a withdrawn book was put on sale again", 200;
    SaleRefused, "book", "a purchase or hold of a withdrawn book refused", 50;
    LapseOverdue, "order", "a hold lapsed after the catalog had been away", 10;
    IndexOlder, "index", "restarted with an older copy", 3;
    IndexTorn, "index", "restarted with files cut off", 3;
    IndexLost, "index", "restarted without one", 30;
    IndexForeign, "index", "restarted with somebody else's file in its place", 0;
    IndexVanished, "index", "moved away under a running catalog", 5;
    IndexReadFailed, "index", "could not read the ledger", 8;
    SearchedIndex, "index", "searches answered by the index", 200;
    SearchedStore, "index", "searches answered by the store, the index being built or broken", 30;
    IndexCompared, "index", "searches at the end compared with the store", 60;
    StaleFile, "accident", "the catalog was started on an older file", 10;
    RolledBack, "accident", "the catalog's machine went back to a snapshot with its memory", 10;
    Restored, "accident", "the shop went back to a backup", 20;
    Promoted, "accident", "a copy was promoted", 10;
    OldReturned, "accident", "the old catalog came back, and stopped", 10;
    SecondName, "accident", "a second server on the same file was refused", 5;
    Told, "accident", "whoever had to know was told", 30;
    PinnedOpening, "accident", "a batch refused: the catalog was started again", 50;
    PinnedEntry, "accident", "a batch refused: the catalog lacks an entry that was seen", 20;
    Destroyed, "accident", "acknowledged orders that the shop went on without", 10;
    SetAside, "accident", "entries that a copy has set aside", 10;
    ColdReopen, "recovery", "the ledger as it is in the file, opened again at the end", 900;
}

const COUNTERS: usize = TABLE.len();

/// The counters of a run, or of many.
#[derive(Debug)]
pub(crate) struct Coverage([AtomicU64; COUNTERS]);

impl Default for Coverage {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Coverage {
    pub(crate) fn saw(&self, what: Seen) {
        self.add(what, 1);
    }

    pub(crate) fn add(&self, what: Seen, times: u64) {
        self.0[what as usize].fetch_add(times, Ordering::Relaxed);
    }

    pub(crate) fn merge(&self, counts: &[u64]) {
        for (total, count) in self.0.iter().zip(counts) {
            total.fetch_add(*count, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The table after this many seeds, and the rows with too few.
    pub(crate) fn table(&self, seeds: u64) -> (String, Vec<String>) {
        let (mut table, mut short, mut group) = (String::new(), Vec::new(), "");
        for (row, count) in TABLE.iter().zip(self.counts()) {
            if row.group != group {
                group = row.group;
                let _ = writeln!(table, "{group}");
            }
            let least = row.least * seeds / 1000;
            let mark = if count < least { "  TOO FEW" } else { "" };
            let _ = writeln!(table, "  {:<62}{count:>9}  (at least {least}){mark}", row.text);
            if count < least {
                short.push(format!("{group}: {}: {count} of at least {least}", row.text));
            }
        }
        (table, short)
    }
}

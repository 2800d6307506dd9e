//! Records counts and latencies, by operation and over time.

use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::mix::Operation;

/// The highest latency of a histogram, in microseconds: an hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
/// The most time slots of a run, for the charts over time.
const SLOTS: u32 = 150;
/// The same for a race, whose end is not known beforehand.
const RACE_SLOTS: u32 = 1000;
/// Widths of time slots, in milliseconds.
const SLOT_MS: [u64; 15] =
    [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];
/// Parts with a lock each, so that clients seldom wait for each other.
const SHARDS: usize = 4;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It succeeded.
    Succeeded,
    /// The shop refused it: sold out, for example.
    Refused(&'static str),
    /// There was no answer, or it said that the shop cannot serve now.
    Failed(&'static str),
}

/// An operation that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) operation: Operation,
    /// When it was due; its latency counts from here.
    pub(super) intended: Instant,
    /// When a client began it.
    pub(super) began: Instant,
    pub(super) ended_at: Instant,
    pub(super) attempts: u32,
    pub(super) ended: Ended,
}

/// Latencies in microseconds.
pub(super) type Latencies = Histogram<u32>;

/// A histogram of three digits.
pub(super) fn fine() -> Latencies {
    latencies(3)
}

fn latencies(digits: u8) -> Latencies {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, digits).expect("bounds and digits are within its limits")
}

/// The counts and latencies of one operation.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) succeeded: u64,
    pub(super) retries: u64,
    pub(super) refused: BTreeMap<&'static str, u64>,
    pub(super) failed: BTreeMap<&'static str, u64>,
    /// Of operations that were answered, refusals included.
    pub(super) latencies: Latencies,
}

impl Default for Tally {
    fn default() -> Self {
        Self { succeeded: 0, retries: 0, refused: BTreeMap::new(), failed: BTreeMap::new(), latencies: fine() }
    }
}

impl Tally {
    fn take(&mut self, event: &Event, latency_us: u64) {
        self.retries += u64::from(event.attempts.saturating_sub(1));
        match event.ended {
            Ended::Succeeded => self.succeeded += 1,
            Ended::Refused(kind) => *self.refused.entry(kind).or_default() += 1,
            Ended::Failed(kind) => *self.failed.entry(kind).or_default() += 1,
        }
        if !matches!(event.ended, Ended::Failed(_)) {
            self.latencies.saturating_record(latency_us);
        }
    }

    /// Takes in another one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.retries += other.retries;
        for (own, others) in [(&mut self.refused, &other.refused), (&mut self.failed, &other.failed)] {
            others.iter().for_each(|(kind, count)| *own.entry(kind).or_default() += count);
        }
        self.latencies.add(&other.latencies).expect("both have the same bounds");
    }
}

/// One time slot of a run.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) succeeded: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) latencies: Latencies,
}

impl Default for Slot {
    fn default() -> Self {
        Self { succeeded: 0, refused: 0, failed: 0, latencies: latencies(2) }
    }
}

impl Slot {
    fn take(&mut self, event: &Event, latency_us: u64) {
        match event.ended {
            Ended::Succeeded => self.succeeded += 1,
            Ended::Refused(_) => self.refused += 1,
            Ended::Failed(_) => self.failed += 1,
        }
        if !matches!(event.ended, Ended::Failed(_)) {
            self.latencies.saturating_record(latency_us);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.refused += other.refused;
        self.failed += other.failed;
        self.latencies.add(&other.latencies).expect("both have the same bounds");
    }
}

/// What was recorded of a run, or by some of its clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// By operation, without those that began during the warm-up.
    pub(super) operations: BTreeMap<Operation, Tally>,
    /// How long these waited for a free client.
    pub(super) waits: Option<Latencies>,
    /// By the slot in which operations ended, warm-up included.
    pub(super) slots: Vec<Option<Box<Slot>>>,
}

/// Counts so far, for progress.
#[derive(Debug, Default)]
pub(super) struct Counts {
    succeeded: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// The values of [`Counts`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) succeeded: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
}

impl Counted {
    pub(super) fn answered(self) -> u64 {
        self.succeeded + self.refused
    }
}

/// Takes events from concurrent clients.
#[derive(Debug)]
pub(super) struct Recorder {
    shards: [Mutex<Recorded>; SHARDS],
    counts: Counts,
    started: Instant,
    warmup: Duration,
    slot: Duration,
    slots_max: usize,
}

impl Recorder {
    /// For a run that starts at `started` and will take `warmup` and `duration`, or, if it is a race, less.
    pub(super) fn new(started: Instant, warmup: Duration, duration: Duration, race: bool) -> Self {
        let planned = warmup + duration;
        let slots = if race { RACE_SLOTS } else { SLOTS };
        let wide_enough = |ms: &u64| Duration::from_millis(*ms) * slots >= planned;
        let slot = Duration::from_millis(SLOT_MS.into_iter().find(wide_enough).unwrap_or(SLOT_MS[SLOT_MS.len() - 1]));
        let slots_max = usize::try_from(planned.as_nanos().div_ceil(slot.as_nanos())).unwrap_or(usize::MAX).max(1);
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, counts: Counts::default(), started, warmup, slot, slots_max }
    }

    /// Records an operation of client `client`.
    pub(super) fn record(&self, client: usize, event: &Event) {
        let count = match event.ended {
            Ended::Succeeded => &self.counts.succeeded,
            Ended::Refused(_) => &self.counts.refused,
            Ended::Failed(_) => &self.counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let latency_us = micros(event.ended_at.saturating_duration_since(event.intended));
        let at = event.ended_at.saturating_duration_since(self.started).as_nanos() / self.slot.as_nanos();
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.slots_max - 1);
        let mut shard = locked(&self.shards[client % SHARDS]);
        if shard.slots.len() <= at {
            shard.slots.resize_with(at + 1, || None);
        }
        shard.slots[at].get_or_insert_default().take(event, latency_us);
        if event.intended.saturating_duration_since(self.started) >= self.warmup {
            shard.operations.entry(event.operation).or_default().take(event, latency_us);
            let wait_us = micros(event.began.saturating_duration_since(event.intended));
            shard.waits.get_or_insert_with(fine).saturating_record(wait_us);
        }
    }

    /// The counts so far, warm-up included.
    pub(super) fn counts(&self) -> Counted {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { succeeded, refused, failed } = &self.counts;
        Counted { succeeded: read(succeeded), refused: read(refused), failed: read(failed) }
    }

    /// The latencies of the last complete time slot, or of the first one.
    pub(super) fn recent(&self) -> Option<Latencies> {
        let now = usize::try_from(self.started.elapsed().as_nanos() / self.slot.as_nanos()).unwrap_or(usize::MAX);
        let at = now.min(self.slots_max).saturating_sub(1);
        let mut merged: Option<Slot> = None;
        for shard in &self.shards {
            if let Some(Some(slot)) = locked(shard).slots.get(at) {
                merged.get_or_insert_default().merge(slot);
            }
        }
        merged.map(|slot| slot.latencies)
    }

    /// Everything, with time slots merged until there are few enough for a run that took `took`, and their width.
    pub(super) fn recorded_over(&self, took: Duration) -> (Recorded, Duration) {
        let mut recorded = self.recorded();
        let mut slot = self.slot;
        for ms in SLOT_MS.map(Duration::from_millis).into_iter().filter(|wider| *wider > self.slot) {
            let fits = ms.as_nanos().is_multiple_of(self.slot.as_nanos());
            if slot * SLOTS < took && fits {
                slot = ms;
            }
        }
        let wider = usize::try_from(slot.as_nanos() / self.slot.as_nanos()).unwrap_or(1);
        recorded.slots = recorded.slots.chunks(wider).map(merged).collect();
        (recorded, slot)
    }

    /// Everything.
    fn recorded(&self) -> Recorded {
        let mut all = Recorded::default();
        for shard in &self.shards {
            let shard = locked(shard);
            for (operation, tally) in &shard.operations {
                all.operations.entry(*operation).or_default().merge(tally);
            }
            if let Some(waits) = &shard.waits {
                all.waits.get_or_insert_with(fine).add(waits).expect("both have the same bounds");
            }
            if all.slots.len() < shard.slots.len() {
                all.slots.resize_with(shard.slots.len(), || None);
            }
            for (own, others) in all.slots.iter_mut().zip(&shard.slots) {
                if let Some(others) = others {
                    own.get_or_insert_default().merge(others);
                }
            }
        }
        all
    }
}

/// Several time slots as one.
fn merged(slots: &[Option<Box<Slot>>]) -> Option<Box<Slot>> {
    let mut slots = slots.iter().flatten();
    let mut first = slots.next()?.clone();
    slots.for_each(|slot| first.merge(slot));
    Some(first)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn locked(shard: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_intended_start_and_the_warm_up_does_not_count() {
        let started = Instant::now();
        let recorder = Recorder::new(started, Duration::from_secs(1), Duration::from_secs(2), false);
        let at = |ms| started + Duration::from_millis(ms);
        let event = |intended, began, ended_at, ended| Event {
            operation: Operation::Book,
            intended: at(intended),
            began: at(began),
            ended_at: at(ended_at),
            attempts: 2,
            ended,
        };
        recorder.record(0, &event(500, 500, 501, Ended::Succeeded));
        recorder.record(1, &event(1000, 1190, 1200, Ended::Succeeded));
        recorder.record(2, &event(2500, 2500, 2600, Ended::Failed("timed-out")));
        recorder.record(3, &event(2500, 2500, 99_000, Ended::Refused("out-of-stock")));
        let recorded = recorder.recorded();
        let book = &recorded.operations[&Operation::Book];
        assert_eq!(
            (book.succeeded, book.refused["out-of-stock"], book.failed["timed-out"], book.retries),
            (1, 1, 1, 3)
        );
        assert_eq!(book.latencies.len(), 2, "what was not answered has no latency");
        assert!(book.latencies.min().abs_diff(200_000) < 200, "{}", book.latencies.min());
        assert!(recorded.waits.unwrap().max().abs_diff(190_000) < 200);
        assert_eq!(recorded.slots.len(), 150, "what ends late belongs to the last slot");
        assert_eq!(recorder.counts().answered(), 3);
    }
}

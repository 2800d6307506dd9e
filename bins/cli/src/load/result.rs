//! The result of a run, for people and for programs.

use bookstore_core::{BookId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

use super::{
    Mix, Pace,
    check::Check,
    drive::{Completed, Reason, Run},
    mix::{Operation, Share},
    purchases::Outcome,
    record::{Latencies, Recorded, Slot, Tally},
};
use crate::text::shown_us;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadResult {
    /// The servers that were loaded.
    pub servers: Vec<String>,
    /// What clients did.
    pub mix: Mix,
    /// The share of each operation, in percent.
    pub shares: Vec<Share>,
    /// The loop, closed or open.
    pub pace: Pace,
    /// The seed of the clients' choices.
    pub seed: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// How long the shop was loaded before anything was measured.
    pub warmup_seconds: f64,
    /// How long was to be measured.
    pub planned_seconds: f64,
    /// How long was measured.
    pub measured_seconds: f64,
    /// Why it ended.
    pub ended: Reason,
    /// All operations together.
    pub total: Numbers,
    /// Each operation.
    pub operations: Vec<OperationNumbers>,
    /// Open loop: arrivals that no client was free to take. They are in none of the other numbers.
    pub not_started: u64,
    /// Open loop: how long arrivals waited for a free client. It is part of their latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Latency>,
    /// The run over time, warm-up included.
    pub timeline: Vec<Moment>,
    /// How the race went, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<RaceResult>,
    /// Whether the three promises were kept.
    pub check: Check,
}

/// Counts and latencies of operations that were due in the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Throughput: answers a second, refusals included.
    pub answered_per_second: f64,
    /// Goodput: operations a second that succeeded.
    pub succeeded_per_second: f64,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Operations that the shop refused, by the problem's code.
    pub refused: BTreeMap<String, u64>,
    /// Operations without an answer, or with the answer that the shop cannot serve now, by kind.
    pub failed: BTreeMap<String, u64>,
    /// Attempts after the first one.
    pub retries: u64,
    /// Latency of operations that were answered, from when each was due to the end of its last attempt.
    pub latency: Option<Latency>,
}

impl Numbers {
    /// How many were refused.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// How many failed.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Succeeded, refused, failed, and retries.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        [self.succeeded, self.refused_total(), self.failed_total(), self.retries]
    }

    /// A latency as people read it, or a dash if nothing was answered.
    #[must_use]
    pub fn shown(&self, pick: fn(&Latency) -> u64) -> String {
        self.latency.as_ref().map_or_else(|| "–".to_owned(), |latency| shown_us(pick(latency)))
    }

    fn of(tally: &Tally, seconds: f64) -> Self {
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
        };
        let mut numbers = Self {
            succeeded: tally.succeeded,
            refused: named(&tally.refused),
            failed: named(&tally.failed),
            retries: tally.retries,
            latency: Latency::of(&tally.latencies),
            ..Self::default()
        };
        numbers.answered_per_second = rate(numbers.succeeded + numbers.refused_total(), seconds);
        numbers.succeeded_per_second = rate(numbers.succeeded, seconds);
        numbers
    }
}

/// The numbers of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationNumbers {
    /// Which.
    pub operation: Operation,
    /// Its numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// Latencies in microseconds, to three digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The mean.
    #[serde(default)]
    pub mean_us: f64,
    /// The median.
    pub p50_us: u64,
    /// Nine in ten were at most this.
    pub p90_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// 999 in a thousand.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// Percentile and latency, up to the highest percentile that so many operations can show.
    pub curve: Vec<(f64, u64)>,
}

/// The percentiles of a curve.
const CURVE: [f64; 17] =
    [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999, 99.9999];

impl Latency {
    /// What tables show: p50, p90, p99, p99.9, and the longest.
    pub const SHOWN: [fn(&Self) -> u64; 5] = [
        |latency| latency.p50_us,
        |latency| latency.p90_us,
        |latency| latency.p99_us,
        |latency| latency.p999_us,
        |latency| latency.max_us,
    ];

    /// `None` if there is nothing.
    fn of(latencies: &Latencies) -> Option<Self> {
        if latencies.is_empty() {
            return None;
        }
        let at = |percent: f64| latencies.value_at_percentile(percent).min(latencies.max());
        // A higher percentile than the operations can show would be the maximum.
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 operations")]
        let carries = |percent: &f64| *percent == 0.0 || (100.0 - percent) * latencies.len() as f64 > 99.9;
        let curve = CURVE.into_iter().filter(carries).map(|percent| (percent, at(percent))).collect();
        let [p50_us, p90_us, p99_us, p999_us] = [50.0, 90.0, 99.0, 99.9].map(at);
        Some(Self { mean_us: latencies.mean(), p50_us, p90_us, p99_us, p999_us, max_us: latencies.max(), curve })
    }
}

/// A time slot of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When it began, in seconds since the start.
    pub at_seconds: f64,
    /// How long it was.
    pub seconds: f64,
    /// Operations that ended in it with success.
    pub succeeded: u64,
    /// Operations that ended in it, refused.
    pub refused: u64,
    /// Operations that failed in it.
    pub failed: u64,
    /// Median latency of those that were answered, in microseconds.
    pub p50_us: Option<u64>,
    /// Its 99th percentile.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// How a race went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RaceResult {
    /// The book.
    pub book: BookId,
    /// Copies before the start.
    pub copies: i64,
    /// Copies that were acknowledged to these buyers.
    pub sold: u64,
    /// Whether a buyer was refused because it was sold out.
    pub sold_out: bool,
    /// Seconds from the start to the last acknowledged purchase.
    pub seconds: f64,
    /// Copies sold a second until then.
    pub sold_per_second: f64,
    /// Buyers.
    pub buyers: u64,
    /// Buyers who got at least one copy.
    pub winners: u64,
    /// Jain's fairness index of the copies that each buyer got: 1 if all got the same, 1/n if one got them all.
    pub jain_index: f64,
    /// Copies that a buyer got: least, first decile, median, ninth decile, most.
    pub copies_per_buyer: [u64; 5],
}

/// Jain's fairness index: (Σx)² / (n·Σx²).
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 copies")]
fn jain(wins: &[u64]) -> f64 {
    let sum: f64 = wins.iter().map(|x| *x as f64).sum();
    let squares: f64 = wins.iter().map(|x| (*x as f64).powi(2)).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (wins.len() as f64 * squares) }
}

impl RaceResult {
    fn of(run: &Run, completed: &Completed) -> Option<Self> {
        let Mix::Race(_) = run.load.mix else { return None };
        let book = run.catalogue.books.first()?;
        let mut wins = vec![0u64; run.load.pace.clients()];
        for purchase in completed.purchases.iter().filter(|purchase| matches!(purchase.outcome, Outcome::Sold { .. })) {
            wins[purchase.client as usize] += 1;
        }
        wins.sort_unstable();
        let sold: u64 = wins.iter().sum();
        let seconds = completed.last_sale.unwrap_or_default().as_secs_f64();
        let last = wins.len() - 1;
        Some(Self {
            book: book.id,
            copies: book.stock,
            sold,
            sold_out: completed.reason == Reason::SoldOut,
            seconds,
            sold_per_second: rate(sold, seconds),
            buyers: wins.len() as u64,
            winners: wins.iter().filter(|won| **won > 0).count() as u64,
            jain_index: jain(&wins),
            copies_per_buyer: [0, last / 10, last / 2, last - last / 10, last].map(|at| wins[at]),
        })
    }
}

/// A count as a rate per second.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 operations")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 1e-6 { count as f64 / seconds } else { 0.0 }
}

impl LoadResult {
    /// Sums up what was recorded and checked.
    pub(super) fn of(run: &Run, completed: &Completed, started_at: Timestamp, check: Check) -> Self {
        let load = &run.load;
        let seconds = completed.took.saturating_sub(load.warmup).as_secs_f64();
        let (recorded, slot) =
            run.recorder.get().map(|recorder| recorder.recorded_over(completed.took)).unwrap_or_default();
        let mut all = Tally::default();
        recorded.operations.values().for_each(|tally| all.merge(tally));
        let open = matches!(load.pace, Pace::Open { .. });
        let operations = recorded
            .operations
            .iter()
            .map(|(operation, tally)| OperationNumbers { operation: *operation, numbers: Numbers::of(tally, seconds) });
        Self {
            servers: load.target.servers.clone(),
            mix: load.mix,
            shares: run.shares.clone(),
            pace: load.pace,
            seed: load.seed,
            started_at,
            warmup_seconds: load.warmup.as_secs_f64(),
            planned_seconds: load.duration.as_secs_f64(),
            measured_seconds: seconds,
            ended: completed.reason,
            total: Numbers::of(&all, seconds),
            operations: operations.collect(),
            not_started: completed.not_started,
            wait: recorded.waits.as_ref().filter(|_| open).and_then(Latency::of),
            timeline: timeline(&recorded, slot),
            race: RaceResult::of(run, completed),
            check,
        }
    }
}

fn timeline(recorded: &Recorded, slot: Duration) -> Vec<Moment> {
    let seconds = slot.as_secs_f64();
    let moment = |(at, slot): (u32, &Option<Box<Slot>>)| {
        let latencies = slot.as_ref().map(|slot| &slot.latencies).filter(|latencies| !latencies.is_empty());
        let percentile =
            |percent| latencies.map(|latencies| latencies.value_at_percentile(percent).min(latencies.max()));
        Moment {
            at_seconds: f64::from(at) * seconds,
            seconds,
            succeeded: slot.as_ref().map_or(0, |slot| slot.succeeded),
            refused: slot.as_ref().map_or(0, |slot| slot.refused),
            failed: slot.as_ref().map_or(0, |slot| slot.failed),
            p50_us: percentile(50.0),
            p99_us: percentile(99.0),
            max_us: percentile(100.0),
        }
    };
    (0..).zip(&recorded.slots).map(moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_jain_s() {
        assert!((jain(&[5, 5, 5, 5]) - 1.0).abs() < 1e-12);
        assert!((jain(&[20, 0, 0, 0]) - 0.25).abs() < 1e-12);
        assert!((jain(&[1, 2, 3]) - 36.0 / 42.0).abs() < 1e-12);
        assert!((jain(&[0, 0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_curve_goes_as_far_as_its_operations_carry() {
        let mut latencies = super::super::record::fine();
        (1..=1000).for_each(|us| latencies.record(us).unwrap());
        let latency = Latency::of(&latencies).unwrap();
        assert_eq!((latency.p50_us, latency.p90_us, latency.p99_us, latency.max_us), (500, 900, 990, 1000));
        assert_eq!(latency.curve.last().map(|point| point.0), Some(99.9));
        assert_eq!(Latency::of(&super::super::record::fine()), None);
    }
}

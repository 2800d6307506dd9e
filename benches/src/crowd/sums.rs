//! What a crowd was answered, and how fast.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::connection::Answer;

/// The longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50_us: u64,
    /// 99 % were at least as fast.
    pub p99_us: u64,
}

/// What a crowd came to.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers with a 2xx status.
    pub served: u64,
    /// Answers 503 with `Retry-After`.
    pub refused: u64,
    /// Any other answers.
    pub others: u64,
    /// Connections that broke.
    pub failed: u64,
    /// Requests that found every connection busy.
    pub not_sent: u64,
    /// How long was measured.
    pub seconds: f64,
    /// Of those served.
    pub served_latency: Latency,
    /// Of those refused.
    pub refused_latency: Latency,
}

impl Tally {
    /// Requests served a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.served as f64 / self.seconds
    }

    /// Requests answered a second, in whatever way.
    #[must_use]
    pub fn answered_rate(&self) -> f64 {
        (self.served + self.refused + self.others + self.failed) as f64 / self.seconds
    }

    /// The same tally, if every request was served.
    ///
    /// # Errors
    /// What else there was.
    pub fn all_served(self) -> Result<Self, String> {
        let Self { served, refused, others, failed, .. } = self;
        match served > 0 && refused + others + failed == 0 {
            true => Ok(self),
            false => Err(format!(
                "{served} requests served, {refused} refused, {others} answered otherwise, {failed} failed"
            )),
        }
    }
}

pub(super) struct Sums {
    served: Histogram<u64>,
    refused: Histogram<u64>,
    others: u64,
    failed: u64,
    pub(super) not_sent: u64,
}

impl Default for Sums {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("good bounds");
        Self { served: empty(), refused: empty(), others: 0, failed: 0, not_sent: 0 }
    }
}

impl Sums {
    pub(super) fn add(&mut self, answer: &io::Result<Answer>, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        match answer {
            Ok(Answer { status: 200..300, .. }) => self.served.saturating_record(took),
            Ok(Answer { status: 503, retry_after: true, .. }) => self.refused.saturating_record(took),
            Ok(_) => self.others += 1,
            Err(_) => self.failed += 1,
        }
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        self.served += other.served;
        self.refused += other.refused;
        self.others += other.others;
        self.failed += other.failed;
        self.not_sent += other.not_sent;
        self
    }

    pub(super) fn tally(&self, measured: Duration) -> Tally {
        Tally {
            served: self.served.len(),
            refused: self.refused.len(),
            others: self.others,
            failed: self.failed,
            not_sent: self.not_sent,
            seconds: measured.as_secs_f64(),
            served_latency: latency(&self.served),
            refused_latency: latency(&self.refused),
        }
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency { p50_us: histogram.value_at_quantile(0.5), p99_us: histogram.value_at_quantile(0.99) }
}

/// The sums when every task that had a share in them is done.
pub(super) fn taken(sums: Arc<Mutex<Sums>>) -> Sums {
    std::mem::take(&mut *sums.lock().expect("nobody panics with it"))
}

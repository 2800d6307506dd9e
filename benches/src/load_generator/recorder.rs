//! What a load generator was answered, and how fast.

use bookstore_cli::load::connection::Answer;
use hdrhistogram::Histogram;
use hyper::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::{io, time::Duration};

/// A longer latency counts as this, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50_us: u64,
    /// 99 % were at least as fast.
    pub p99_us: u64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers with a 2xx status.
    pub served: u64,
    /// Answers with status 503 and `Retry-After`.
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

    /// Requests answered a second, with any status, or failed.
    #[must_use]
    pub fn answered_rate(&self) -> f64 {
        (self.served + self.refused + self.others + self.failed) as f64 / self.seconds
    }

    /// The same tally, if every request was served.
    ///
    /// # Errors
    /// A request was refused, answered otherwise or failed, or there was none.
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

#[derive(Debug)]
pub(super) struct Recorder {
    served: Histogram<u64>,
    refused: Histogram<u64>,
    others: u64,
    failed: u64,
    pub(super) not_sent: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("good bounds");
        Self { served: empty(), refused: empty(), others: 0, failed: 0, not_sent: 0 }
    }
}

impl Recorder {
    pub(super) fn add(&mut self, answer: &io::Result<Answer>, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        match answer {
            Ok(answer) if answer.head.status.is_success() => self.served.saturating_record(took),
            Ok(answer) if is_refusal(answer) => self.refused.saturating_record(took),
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

fn is_refusal(Answer { head, .. }: &Answer) -> bool {
    head.status == StatusCode::SERVICE_UNAVAILABLE && head.headers.contains_key(header::RETRY_AFTER)
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency { p50_us: histogram.value_at_quantile(0.5), p99_us: histogram.value_at_quantile(0.99) }
}

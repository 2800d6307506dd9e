//! Samples, their statistics, the bounds that they are held to, and how they are printed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Measurements of one thing, one for each round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// A single measurement.
    #[must_use]
    pub fn one(value: f64) -> Self {
        Self(vec![value])
    }

    /// Adds a round's measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The median; NaN without samples.
    #[must_use]
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// The least sample; NaN without samples.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    /// The greatest sample; NaN without samples.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// An interval that contains the true median with a probability of at least 95 %, whatever the distribution: between two
    /// samples whose ranks come from the binomial distribution (Conover, *Practical Nonparametric Statistics*, 3.2). With
    /// fewer than six samples none is that certain; it is from the least to the greatest then.
    #[must_use]
    pub fn median_interval(&self) -> [f64; 2] {
        let (sorted, n) = (self.sorted(), self.0.len());
        // The probability that exactly `below` samples are below the median, and the sum of those before.
        let (mut below, mut probability, mut sum) = (0, 0.5f64.powf(n as f64), 0.0);
        while below < n && sum + probability <= 0.025 {
            sum += probability;
            below += 1;
            probability *= (n - below + 1) as f64 / below as f64;
        }
        let rank = below.saturating_sub(1);
        if sorted.is_empty() { [f64::NAN; 2] } else { [sorted[rank], sorted[n - 1 - rank]] }
    }

    /// The ratios to other samples, round by round.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

/// The median, and in brackets the least and the greatest sample.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median(), self.least(), self.most()].map(format_number);
        if self.0.len() < 2 { write!(f, "{median}") } else { write!(f, "{median} ({least}–{most})") }
    }
}

/// What a figure is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Bound {
    /// Whether a figure is within the bound.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {}", format_number(*bound)),
            Self::AtMost(bound) => write!(f, "≤ {}", format_number(*bound)),
        }
    }
}

/// Rounds to four significant digits, which are more than any measurement here deserves.
#[must_use]
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor().max(-6.0));
    (value * scale).round() / scale
}

/// Three digits, thousands as `k`, millions as `M`.
#[must_use]
pub fn format_number(value: f64) -> String {
    match value.abs() {
        big if big >= 9_999_500.0 => format!("{:.1}M", value / 1e6),
        big if big >= 999_500.0 => format!("{:.2}M", value / 1e6),
        big if big >= 9_995.0 => format!("{:.0}k", value / 1e3),
        big if big >= 999.5 => format!("{:.1}k", value / 1e3),
        big if big >= 99.95 => format!("{value:.0}"),
        big if big >= 9.995 => format!("{value:.1}"),
        big if big >= 0.0995 => format!("{value:.2}"),
        big if big > 0.0 => format!("{value:.4}"),
        _ => "0".into(),
    }
}

/// A whole number with commas between the thousands.
#[must_use]
pub fn format_count(n: u64) -> String {
    match n / 1000 {
        0 => n.to_string(),
        thousands => format!("{},{:03}", format_count(thousands), n % 1000),
    }
}

/// Microseconds, as µs or ms.
#[must_use]
pub fn format_us(us: f64) -> String {
    if us >= 9_995.0 {
        format!("{:.0} ms", us / 1e3)
    } else if us >= 999.5 {
        format!("{:.1} ms", us / 1e3)
    } else {
        format!("{us:.0} µs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_follows_the_binomial_distribution() {
        // Tables of the sign test: of 24 samples the 7th and the 18th (97.7 %), of 20 the 6th and the 15th (95.9 %).
        let up_to = |n: u32| Samples((1..=n).rev().map(f64::from).collect());
        assert_eq!(up_to(24).median_interval(), [7.0, 18.0]);
        assert_eq!(up_to(20).median_interval(), [6.0, 15.0]);
        assert_eq!(up_to(6).median_interval(), [1.0, 6.0]);
        assert_eq!(up_to(1).median_interval(), [1.0, 1.0]);
    }
}

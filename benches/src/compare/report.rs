//! What a comparison has found, as a table and as JSON.

use bookstore_benches::{
    Result,
    environment::Environment,
    samples::{Samples, format_number, round},
};
use serde::Serialize;
use std::{fmt, fmt::Write as _, fs, path::Path};

use super::build::Build;

/// What a row is held to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Budget {
    /// The median ratio is at least this.
    RatioAtLeast(f64),
    /// The new side's median is at most this.
    NewAtMost(f64),
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(least) => write!(f, "ratio ≥ {least}"),
            Self::NewAtMost(most) => write!(f, "new ≤ {most}"),
        }
    }
}

/// One thing that was measured on both sides, in alternating rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: String,
    old: Samples,
    new: Samples,
    /// The median of new / old within a round.
    ratio: f64,
    /// Its interval, see [`Samples::median_interval`].
    interval: [f64; 2],
    budget: Budget,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, [old, new]: [Samples; 2], budget: Budget) -> Self {
        let ratios = new.ratio_to(&old);
        let (ratio, interval) = (round(ratios.median()), ratios.median_interval().map(round));
        Self { what: what.into(), old, new, ratio, interval, budget }
    }

    /// Whether the budget is met.
    pub(crate) fn is_met(&self) -> bool {
        match self.budget {
            Budget::RatioAtLeast(least) => self.ratio >= least,
            Budget::NewAtMost(most) => self.new.median() <= most,
        }
    }
}

/// Rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| what | old | new | new / old (95 % interval) | budget | met |\n".to_owned();
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    for row in rows {
        let [old, new] = [&row.old, &row.new].map(|samples| format_number(samples.median()));
        let met = if row.is_met() { "yes" } else { "**no**" };
        let Row { what, ratio, interval: [low, high], budget, .. } = row;
        let _ = writeln!(text, "| {what} | {old} | {new} | {ratio:.3} ({low:.3}–{high:.3}) | {budget} | {met} |");
    }
    text
}

/// All rows so far.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    environment: Environment,
    old: String,
    new: String,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new([old, new]: &[Build; 2]) -> Self {
        let [old, new] = [&old.source, &new.source].map(Clone::clone);
        Self { environment: Environment::here(), old, new, rows: Vec::new() }
    }

    /// Writes `report.md` and `report.json` into a folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let Self { environment, old, new, rows } = self;
        let Environment { date, commit, .. } = environment;
        let head = format!("{date}. Old: {old}. New: {new}. This tree: {commit}. {}.", environment.machine());
        fs::write(folder.join("report.md"), format!("{head}\n\n{}", table(rows)))?;
        Ok(fs::write(folder.join("report.json"), serde_json::to_string(self)?)?)
    }
}

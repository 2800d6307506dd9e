//! The report: one HTML file with everything in it.

mod answers;
mod charts;
mod tables;

use askama::Template;
use std::time::Duration;

use super::{LabResult, Promises, Shape};
use crate::{
    load::Check,
    report::{Table, rendered},
    text::{counted, grouped},
};

pub use answers::Answer;

#[derive(Template)]
#[template(path = "lab.html")]
struct Page<'a> {
    title: &'static str,
    summary: String,
    warnings: Vec<String>,
    promises: &'a Promises,
    checked: String,
    sections: Vec<Section<'a>>,
    method: Vec<String>,
}

/// One question: the answer, its charts, and the numbers behind them.
struct Section<'a> {
    answer: Answer,
    note: String,
    /// Rendered charts.
    figures: Vec<String>,
    /// Each with its heading.
    tables: Vec<(&'static str, Table)>,
    check: Option<&'a Check>,
    /// Whether the numbers are shown at once.
    open: bool,
}

impl LabResult {
    /// This result as one self-contained HTML file.
    #[must_use]
    pub fn html(&self) -> String {
        rendered(&Page {
            title: "Bookstore lab",
            summary: self.summary(),
            warnings: self.warnings(),
            promises: &self.promises,
            checked: self.promises.checked(),
            sections: self.sections(),
            method: self.method(),
        })
    }

    /// What it was, in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let machine = &self.machine;
        let memory = machine.memory_mib.map(|mib| format!(", {} GiB of memory", (mib + 512) / 1024));
        let disk = machine.file_system.as_ref().map(|kind| format!(", stores on {kind}"));
        format!(
            "bookstore {}, {}, on {} with {}{}{} ({}); {} in {}",
            self.version,
            self.started_at,
            machine.cpu,
            counted(machine.cores as u64, "core", "cores"),
            memory.unwrap_or_default(),
            disk.unwrap_or_default(),
            machine.system,
            counted(self.promises.loads, "load", "loads"),
            shown_time(Duration::from_secs_f64(self.seconds.max(0.0))),
        )
    }

    /// What makes the numbers worth less than they look.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.optimised {
            warnings.push(
                "This executable was compiled without optimisation: its times say nothing. Use cargo build --release."
                    .to_owned(),
            );
        }
        if let Some(load) = self.machine.busy() {
            warnings.push(format!(
                "The machine was busy with other work when the lab began (load {load:.1} on {}): its times are too long, and \
                 vary by chance.",
                counted(self.machine.cores as u64, "core", "cores")
            ));
        }
        if self.machine.file_system.as_deref() == Some("tmpfs") {
            warnings.push(
                "The stores were in memory (tmpfs), where a flush costs nothing. Choose a disk with --directory."
                    .to_owned(),
            );
        }
        warnings
    }

    fn sections(&self) -> Vec<Section<'_>> {
        let [clients, tiers, mixes, caching, killing] = self.answers();
        let section = |answer, note, figures, tables| {
            let (check, open) = (None, false);
            Section { answer, note, figures, tables, check, open }
        };
        vec![
            section(clients, CLIENTS_NOTE.into(), self.client_charts(), vec![("Loads", self.clients_table())]),
            section(tiers, TIERS_NOTE.into(), self.tier_charts(), vec![("Mean times", self.tiers_table())]),
            section(mixes, MIXES_NOTE.into(), self.mix_charts(), vec![("Loads", self.mixes_table())]),
            section(caching, self.caching_note(), self.cache_charts(), self.caching_tables()),
            Section {
                check: self.killing.check.as_ref(),
                open: true,
                ..section(killing, self.killing_note(), self.killing_charts(), self.killing_tables())
            },
        ]
    }

    fn caching_note(&self) -> String {
        format!(
            "Five servers, both frontends first without and then with a cache of up to {} books. A cache follows the ledger: \
             nothing is removed from it before a write, and writers send it no messages. Staleness is measured to the end of the \
             first look that shows the purchase, so it includes that look’s own time. A cache waits for the ledger’s next entries, \
             and so learns of a purchase as soon as an order server’s copy does.",
            grouped(self.caching.books_max as u64)
        )
    }

    fn killing_note(&self) -> String {
        let width = self.killing.timeline.first().map_or(0.0, |moment| moment.seconds * 1000.0);
        format!(
            "Requests arrive at a steady rate (an open loop), and latency counts from when each was due, so a stall counts in \
             every request that it delayed. Each point is {width:.0} ms."
        )
    }

    fn method(&self) -> Vec<String> {
        let plan = &self.plan;
        let quick = "This was a quick run: its loads are too short for more than an impression.";
        let full = "The loads are short. Differences of less than a fifth between two of them are noise.";
        vec![
            format!(
                "The lab started every deployment itself, from one executable, with {} of the sample catalogue on SQLite; every \
                 purchase was flushed to disk before it was acknowledged. Each load ran for {} after {} of warm-up, in a closed \
                 loop (each client sends a request, waits for the answer and sends the next), some books more popular than others \
                 by Zipf’s law (0.99), with seed {}. Latency is the client’s, over open connections, of operations that were \
                 answered.",
                counted(plan.books as u64, "book", "books"),
                shown_time(plan.cell),
                shown_time(plan.warmup),
                self.seed
            ),
            "After each load every order was read back through the frontends and the whole ledger replayed; at the end of each \
             deployment the ledger and every order server’s copy were audited."
                .to_owned(),
            if plan.cell < Duration::from_secs(1) { quick } else { full }.to_owned(),
        ]
    }
}

const CLIENTS_NOTE: &str = "Every client searches a topic, looks at a book or buys one, each in a third of its requests. The \
                            frontends have no cache in this question and the next two.";
const TIERS_NOTE: &str = "Mean times, one bar for each deployment.";
const MIXES_NOTE: &str = "Every client looks at a book, buys it with this chance, and looks at the next one. If a part p of \
                          looks leads to a purchase, p / (1 + p) of all requests are purchases.";

impl Promises {
    /// What was checked, in a sentence.
    fn checked(&self) -> String {
        let found = match self.audits.iter().map(|audit| audit.findings_total).sum() {
            0 => "nothing wrong".to_owned(),
            findings => counted(findings, "fault", "faults"),
        };
        format!(
            "{} acknowledged in {}, {} of them read back as answered; {} of ledger and copies found {found}.",
            counted(self.acknowledged, "purchase", "purchases"),
            counted(self.loads, "load", "loads"),
            grouped(self.confirmed),
            counted(self.audits.len() as u64, "audit", "audits"),
        )
    }
}

/// `0.5 s`, `12 s`, `3 min 20 s`.
fn shown_time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60.. => format!("{} min {} s", seconds / 60, seconds % 60),
        10..60 => format!("{:.0} s", time.as_secs_f64()),
        _ => format!("{} s", (time.as_secs_f64() * 10.0).round() / 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_to_read() {
        let shown = [100, 500, 2000, 12_400, 200_000].map(Duration::from_millis).map(shown_time);
        assert_eq!(shown.join("|"), "0.1 s|0.5 s|2 s|12 s|3 min 20 s");
    }
}

//! The report: one HTML file with everything in it, to be read without a network and without scripts.

mod answers;
mod bars;
mod charts;
mod tables;

use std::{fmt::Write as _, time::Duration};

use super::{LabResult, Shape};
use crate::load::{
    plot::escaped,
    report::{STYLE as LOAD_STYLE, class},
    text::{grouped, many},
};

pub use answers::Answer;

const STYLE: &str = include_str!("report/lab.css");

impl LabResult {
    /// This result as one self-contained HTML file.
    #[must_use]
    pub fn html(&self) -> String {
        let mut html = String::with_capacity(256 << 10);
        let _ = write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Bookstore lab</title>\n\
             <style>\n{LOAD_STYLE}{STYLE}</style>\n</head>\n<body>\n<h1>Bookstore lab</h1>\n<p class=\"quiet\">{}</p>\n",
            escaped(&self.summary())
        );
        for warning in self.warnings() {
            let _ = writeln!(html, "<p class=\"verdict incomplete\">{}</p>", escaped(&warning));
        }
        self.write_verdict(&mut html);
        self.write_deployments(&mut html);
        for (number, answer) in (1..).zip(self.answers()) {
            let _ = writeln!(html, "<section id=\"q{number}\">\n<h2>{number}. {}</h2>", escaped(answer.question));
            for sentence in &answer.sentences {
                let _ = writeln!(html, "<p>{}</p>", escaped(sentence));
            }
            match number {
                1 => self.write_clients(&mut html),
                2 => self.write_tiers(&mut html),
                3 => self.write_mixes(&mut html),
                4 => self.write_caching(&mut html),
                _ => self.write_killing(&mut html),
            }
            html.push_str("</section>\n");
        }
        self.write_method(&mut html);
        html.push_str("</body>\n</html>\n");
        html
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
            many(machine.cores as u64, "core", "cores"),
            memory.unwrap_or_default(),
            disk.unwrap_or_default(),
            machine.system,
            many(self.promises.loads, "load", "loads"),
            shown_time(Duration::from_secs_f64(self.seconds.max(0.0))),
        )
    }

    /// What a reader must know before any number.
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
                 differ by chance.",
                many(self.machine.cores as u64, "core", "cores")
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

    fn write_verdict(&self, html: &mut String) {
        let promises = &self.promises;
        let _ = writeln!(
            html,
            "<div class=\"verdict {}\"><p><strong>{}</strong></p>\n<p>{} acknowledged in {}, {} of them read back as answered; \
             {} of ledger and copies found {}.</p>",
            class(promises.verdict),
            escaped(&promises.sentence()),
            many(promises.acknowledged, "purchase", "purchases"),
            many(promises.loads, "load", "loads"),
            grouped(promises.confirmed),
            many(promises.audits.len() as u64, "audit", "audits"),
            match promises.audits.iter().map(|audit| audit.findings_total).sum() {
                0 => "nothing wrong".to_owned(),
                findings => many(findings, "fault", "faults"),
            }
        );
        for what in promises.findings.iter().chain(&promises.not_checked) {
            let _ = writeln!(html, "<p>{}</p>", escaped(what));
        }
        html.push_str("</div>\n");
    }

    fn write_deployments(&self, html: &mut String) {
        html.push_str("<ul class=\"shapes\">\n");
        for shape in Shape::ALL {
            let _ = writeln!(html, "<li><b>{}</b>: {}</li>", shape.name(), shape.parts());
        }
        html.push_str(
            "</ul>\n<p class=\"quiet\">All servers and all clients share the cores of one machine, and speak over its loopback. So more \
             servers cost more here than they bring: what this shows is the cost of each hop, not what more machines would \
             reach.</p>\n",
        );
    }

    fn write_method(&self, html: &mut String) {
        let plan = &self.plan;
        let _ = writeln!(
            html,
            "<h2>How it was measured</h2>\n\
             <p>The lab started every deployment itself, from one executable, with {} of the sample catalogue on SQLite; every purchase \
             was flushed to disk before it was acknowledged. Each load ran for {} after {} of warm-up, in a closed loop (each \
             client asks, waits for the answer and asks again), some books more popular than others by Zipf’s law (0.99), with seed \
             {}. Latency is that of operations that were answered, from the client’s view, with connections kept open.</p>\n\
             <p>After each load every order was read back through the frontends and the whole ledger replayed; at the end of each \
             deployment the ledger and every order server’s copy were audited.</p>\n\
             <p>{}</p>",
            many(plan.books as u64, "book", "books"),
            shown_time(plan.cell),
            shown_time(plan.warmup),
            self.seed,
            if plan.cell < Duration::from_secs(1) {
                "This was a quick run: its loads are too short for more than an impression."
            } else {
                "The loads are short. Differences of less than a fifth between two of them are noise."
            }
        );
    }
}

/// `0.5 s`, `12 s`, `3 min 20 s`.
#[must_use]
pub(super) fn shown_time(time: Duration) -> String {
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

//! The report: one HTML file with everything in it, to be read without a network and without scripts.

use std::fmt::Write as _;

use super::{
    Check, Latency, LoadResult, Mix, Moment, Numbers, Pace, Reason, Verdict,
    plot::{Axis, Chart, Line, WIDE, escaped},
    text::{grouped, many, shown_rate, shown_us},
};

/// The style sheet.
pub(crate) const STYLE: &str = include_str!("report.css");

impl LoadResult {
    /// This result as one self-contained HTML file.
    #[must_use]
    pub fn html(&self) -> String {
        let mut html = String::with_capacity(64 << 10);
        let title = format!("Load on {}", self.servers.join(", "));
        let _ = write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n<p class=\"quiet\">{1}</p>\n",
            escaped(&title),
            escaped(&self.summary())
        );
        self.write_verdict(&mut html);
        self.write_numbers(&mut html);
        self.write_operations(&mut html);
        self.charts().iter().for_each(|chart| html.push_str(&chart.html()));
        self.write_race(&mut html);
        self.write_promises(&mut html);
        self.write_method(&mut html);
        html.push_str("</body>\n</html>\n");
        html
    }

    /// What was done, in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let clients = many(self.pace.clients() as u64, "client", "clients");
        let pace = match self.pace {
            Pace::Closed { .. } => format!("{clients} in a closed loop"),
            Pace::Open { rate, .. } => {
                format!("{} requests a second from up to {clients} (open loop)", shown_rate(rate))
            }
        };
        let ended = match self.ended {
            Reason::Time => String::new(),
            Reason::SoldOut => " (until the book was sold out)".to_owned(),
            Reason::Stopped => format!(" of {} (stopped)", shown_seconds(self.planned_seconds)),
            Reason::PurchasesMax => " (until no more purchases could be remembered)".to_owned(),
        };
        let warmup = if self.warmup_seconds > 0.0 {
            format!(" after {} s of warm-up", self.warmup_seconds)
        } else {
            String::new()
        };
        let measured = shown_seconds(self.measured_seconds);
        format!("Mix {}, {pace}, {measured}{ended}{warmup}, seed {}, {}", self.mix, self.seed, self.started_at)
    }

    fn write_verdict(&self, html: &mut String) {
        let verdict = self.check.verdict;
        let sentence = self.check.sentence();
        let _ =
            writeln!(html, "<div class=\"verdict {}\"><p><strong>{}</strong></p>", class(verdict), escaped(&sentence));
        for promise in &self.check.promises {
            let what = promise
                .not_checked
                .as_deref()
                .filter(|_| promise.verdict == Verdict::Incomplete)
                .unwrap_or(&promise.checked);
            let _ = writeln!(html, "<p>{}: {}</p>", promise.promise.name(), escaped(what));
        }
        html.push_str("</div>\n");
    }

    fn write_numbers(&self, html: &mut String) {
        let total = &self.total;
        let latency = |pick: fn(&Latency) -> u64| {
            total.latency.as_ref().map_or("–".to_owned(), |latency| shown_us(pick(latency)))
        };
        let mut numbers = vec![
            ("Throughput, answers/s", shown_rate(total.answered_per_second)),
            ("Goodput, successes/s", shown_rate(total.succeeded_per_second)),
            ("Median latency", latency(|latency| latency.p50_us)),
            ("99 % within", latency(|latency| latency.p99_us)),
            ("Longest", latency(|latency| latency.max_us)),
            ("Failed", grouped(total.failed_total())),
        ];
        if self.not_started > 0 {
            numbers.push(("Never started", grouped(self.not_started)));
        }
        html.push_str("<dl class=\"numbers\">\n");
        for (name, value) in numbers {
            let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        html.push_str("</dl>\n");
    }

    fn write_operations(&self, html: &mut String) {
        html.push_str("<h2>Operations</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Operation</th>");
        for name in ["Answers/s", "Succeeded", "Refused", "Failed", "Retries", "p50", "p90", "p99", "p99.9", "Max"] {
            let _ = write!(html, "<th class=\"n\">{name}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for operation in &self.operations {
            write_row(html, "", operation.operation.name(), &operation.numbers);
        }
        write_row(html, " class=\"all\"", "all", &self.total);
        html.push_str("</tbody>\n</table></div>\n");
        let kinds = self.kinds();
        if !kinds.is_empty() {
            html.push_str("<h2>Refused and failed, by kind</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Operation</th><th></th><th>Kind</th><th class=\"n\">Count</th></tr></thead>\n<tbody>\n");
            for (operation, how, kind, count) in kinds {
                let _ = writeln!(
                    html,
                    "<tr><td>{operation}</td><td>{how}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                    escaped(kind),
                    grouped(count)
                );
            }
            html.push_str("</tbody>\n</table></div>\n");
        }
    }

    /// What was refused and what failed: operation, which of both, kind, how often.
    #[must_use]
    pub fn kinds(&self) -> Vec<(&'static str, &'static str, &str, u64)> {
        let mut kinds = Vec::new();
        for operation in &self.operations {
            for (how, counts) in [("refused", &operation.numbers.refused), ("failed", &operation.numbers.failed)] {
                kinds.extend(
                    counts.iter().map(|(kind, count)| (operation.operation.name(), how, kind.as_str(), *count)),
                );
            }
        }
        kinds
    }

    fn charts(&self) -> Vec<Chart> {
        let mut charts = Vec::new();
        if self.operations.iter().any(|operation| operation.numbers.latency.is_some()) {
            charts.push(self.percentiles());
        }
        if !self.timeline.is_empty() {
            charts.push(self.throughput_over_time());
            charts.push(self.latency_over_time());
        }
        charts
    }

    fn percentiles(&self) -> Chart {
        let curves = self
            .operations
            .iter()
            .filter_map(|operation| Some((operation.operation, operation.numbers.latency.as_ref()?)));
        let lines: Vec<Line> = curves
            .map(|(operation, latency)| Line {
                name: format!("{} (longest {})", operation.name(), shown_us(latency.max_us)),
                colour: operation as usize,
                points: latency.curve.iter().map(|(percent, us)| (*percent, Some(float(*us)))).collect(),
            })
            .collect();
        let all = || lines.iter().flat_map(|line| &line.points);
        let values = || all().filter_map(|point| point.1);
        let y = Axis::log("latency", values().fold(f64::MAX, f64::min), values().fold(1.0, f64::max), shown_tick);
        let x = Axis::nines("percentile of the operations", all().map(|point| point.0).fold(50.0, f64::max));
        Chart { title: "Latency by percentile", x, y, lines, width: WIDE, shade: None, hints: Vec::new() }
    }

    fn throughput_over_time(&self) -> Chart {
        let rate = |count: u64, moment: &Moment| Some(float(count) / moment.seconds);
        let line = |name: &str, colour, count: fn(&Moment) -> u64| Line {
            name: name.to_owned(),
            colour,
            points: self.timeline.iter().map(|moment| (middle(moment), rate(count(moment), moment))).collect(),
        };
        let mut lines = vec![line("succeeded", 2, |moment| moment.succeeded)];
        if self.timeline.iter().any(|moment| moment.refused > 0) {
            lines.push(line("refused", 4, |moment| moment.refused));
        }
        if self.timeline.iter().any(|moment| moment.failed > 0) {
            lines.push(line("failed", 5, |moment| moment.failed));
        }
        let most = lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1).fold(1.0, f64::max);
        let y = Axis::linear("operations per second", most, |rate| grouped(whole(rate)));
        self.over_time("Throughput over time", y, lines)
    }

    fn latency_over_time(&self) -> Chart {
        let line = |name: &str, colour, pick: fn(&Moment) -> Option<u64>| Line {
            name: name.to_owned(),
            colour,
            points: self.timeline.iter().map(|moment| (middle(moment), pick(moment).map(float))).collect(),
        };
        let lines = vec![
            line("median", 0, |moment| moment.p50_us),
            line("99 % within", 1, |moment| moment.p99_us),
            line("longest", 5, |moment| moment.max_us),
        ];
        let values = || lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1);
        let y = Axis::log("latency", values().fold(f64::MAX, f64::min), values().fold(1.0, f64::max), shown_tick);
        self.over_time("Latency over time", y, lines)
    }

    fn over_time(&self, title: &'static str, y: Axis, lines: Vec<Line>) -> Chart {
        let end = self.timeline.last().map_or(1.0, |moment| moment.at_seconds + moment.seconds);
        let mut x = Axis::linear("seconds since the start", end, |at| format!("{at}"));
        x.high = end;
        x.ticks.retain(|tick| tick.0 <= end);
        let shade = (self.warmup_seconds > 0.0).then_some((0.0, self.warmup_seconds.min(end), "warm-up, not measured"));
        let hint = |moment: &Moment| {
            let us = |us: Option<u64>| us.map_or("–".to_owned(), shown_us);
            let text = format!(
                "{:.2} to {:.2} s: {} succeeded, {} refused, {} failed; median {}, 99 % within {}, longest {}",
                moment.at_seconds,
                moment.at_seconds + moment.seconds,
                grouped(moment.succeeded),
                grouped(moment.refused),
                grouped(moment.failed),
                us(moment.p50_us),
                us(moment.p99_us),
                us(moment.max_us)
            );
            (moment.at_seconds, moment.at_seconds + moment.seconds, text)
        };
        Chart { title, x, y, lines, width: WIDE, shade, hints: self.timeline.iter().map(hint).collect() }
    }

    fn write_race(&self, html: &mut String) {
        let Some(race) = &self.race else { return };
        let [least, low, median, high, most] = race.copies_per_buyer.map(grouped);
        let rows = [
            ("Book", race.book.to_string()),
            ("Copies before the start", grouped(race.copies.unsigned_abs())),
            ("Sold", grouped(race.sold)),
            ("Sold out", if race.sold_out { "yes".into() } else { "no".to_owned() }),
            ("Last copy after", shown_seconds(race.seconds)),
            ("Copies sold per second", shown_rate(race.sold_per_second)),
            ("Buyers who got a copy", format!("{} of {}", grouped(race.winners), grouped(race.buyers))),
            (
                "Copies per buyer",
                format!("{least} at least, {low} first decile, {median} median, {high} ninth decile, {most} at most"),
            ),
            (
                "Fairness (Jain's index)",
                format!(
                    "{:.3}: 1 if all buyers got the same, {:.3} if one got them all",
                    race.jain_index,
                    1.0 / float(race.buyers)
                ),
            ),
        ];
        html.push_str("<h2>Race</h2>\n<div class=\"scroll\"><table>\n<tbody>\n");
        for (name, value) in rows {
            let _ = writeln!(html, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&value));
        }
        html.push_str("</tbody>\n</table></div>\n");
    }

    fn write_promises(&self, html: &mut String) {
        html.push_str("<h2>The three promises</h2>\n<div class=\"scroll\"><table>\n<tbody>\n");
        for promise in &self.check.promises {
            let not = promise
                .not_checked
                .as_ref()
                .map(|not| format!("<br><span class=\"quiet\">Not checked: {}</span>", escaped(not)));
            let _ = writeln!(
                html,
                "<tr><th>{}</th><td class=\"{}\">{}</td><td>{}{}</td></tr>",
                promise.promise.name(),
                class(promise.verdict),
                promise.verdict.name(),
                escaped(&promise.checked),
                not.unwrap_or_default()
            );
        }
        html.push_str("</tbody>\n</table></div>\n");
        if self.check.findings_total > 0 {
            let _ = writeln!(
                html,
                "<p>{}:</p>\n<ul class=\"findings\">",
                many(self.check.findings_total, "finding", "findings")
            );
            for finding in &self.check.findings {
                let _ = writeln!(html, "<li><b>{}</b>: {}</li>", finding.promise.name(), escaped(&finding.what));
            }
            html.push_str("</ul>\n");
        }
    }

    fn write_method(&self, html: &mut String) {
        html.push_str("<h2>How it was measured</h2>\n");
        let shares = self.shares.iter().map(|share| format!("{} {:.2} %", share.operation.name(), share.percent));
        let chance = match self.mix {
            Mix::Chance(chance) => {
                format!(", followed by a purchase with a chance of {chance}, if the book is in stock")
            }
            _ => String::new(),
        };
        let _ = writeln!(html, "<p>Operations: {}{chance}.</p>", escaped(&shares.collect::<Vec<_>>().join(", ")));
        let from = match self.pace {
            Pace::Closed { .. } => "Latency counts from the moment when a request was sent",
            Pace::Open { .. } => {
                "Latency counts from the moment when a request was to be sent, so a stall counts in every request that it held up"
            }
        };
        let _ = writeln!(
            html,
            "<p>{from}, to the end of the last try, for all operations that were answered, with yes or no. Failed ones are \
             counted, but are not in the latencies.</p>"
        );
        if let Some(wait) = &self.wait {
            let _ = writeln!(
                html,
                "<p>Requests waited for a free client, as part of their latency: median {}, 99 % within {}, longest {}.</p>",
                shown_us(wait.p50_us),
                shown_us(wait.p99_us),
                shown_us(wait.max_us)
            );
        }
    }
}

impl Check {
    /// The verdict in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let in_part = self.promises.iter().any(|promise| promise.not_checked.is_some());
        match self.verdict {
            Verdict::Kept if in_part => "Every promise is kept, as far as it was checked.".to_owned(),
            Verdict::Kept => "Every promise is kept: nothing oversold, nothing lost, nothing doubled.".to_owned(),
            Verdict::Incomplete => "Nothing wrong was found, but not everything could be checked.".to_owned(),
            Verdict::Broken => format!("A promise is broken: {}.", many(self.findings_total, "finding", "findings")),
        }
    }
}

/// The style of a verdict.
pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "kept",
        Verdict::Incomplete => "incomplete",
        Verdict::Broken => "broken",
    }
}

fn write_row(html: &mut String, class: &str, name: &str, numbers: &Numbers) {
    let _ = write!(html, "<tr{class}><td>{name}</td>");
    let counts = [numbers.succeeded, numbers.refused_total(), numbers.failed_total(), numbers.retries].map(grouped);
    let latency = |pick: fn(&Latency) -> u64| {
        numbers.latency.as_ref().map_or("–".to_owned(), |latency| shown_us(pick(latency)))
    };
    let latencies = [
        latency(|latency| latency.p50_us),
        latency(|latency| latency.p90_us),
        latency(|latency| latency.p99_us),
        latency(|latency| latency.p999_us),
        latency(|latency| latency.max_us),
    ];
    for cell in [shown_rate(numbers.answered_per_second)].iter().chain(&counts).chain(&latencies) {
        let _ = write!(html, "<td class=\"n\">{cell}</td>");
    }
    html.push_str("</tr>\n");
}

fn middle(moment: &Moment) -> f64 {
    moment.at_seconds + moment.seconds / 2.0
}

fn shown_seconds(seconds: f64) -> String {
    match seconds {
        seconds if (seconds - seconds.round()).abs() < 0.005 && seconds >= 1.0 => format!("{seconds:.0} s"),
        seconds => shown_us(whole(seconds * 1e6)),
    }
}

/// A latency as it stands beside an axis.
pub(crate) fn shown_tick(us: f64) -> String {
    let us = whole(us);
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(crate) fn whole(number: f64) -> u64 {
    number.round() as u64
}

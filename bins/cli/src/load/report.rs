//! The report of a load: one HTML file.

use askama::Template;
use std::collections::BTreeMap;

use super::{Check, Latency, LoadResult, Mix, Moment, Numbers, Pace, PromiseCheck, Reason, Verdict};
use crate::{
    report::{Axis, Chart, Line, Shade, Table, Tooltip, float, rendered, whole},
    text::{counted, grouped, shown_rate, shown_us},
};

#[derive(Template)]
#[template(path = "load.html")]
struct Page<'a> {
    title: String,
    summary: String,
    check: &'a Check,
    numbers: Vec<(&'static str, String)>,
    operations: Table,
    kinds: Table,
    charts: Vec<Chart>,
    race: Vec<(&'static str, String)>,
    method: Vec<String>,
}

impl LoadResult {
    /// This result as one self-contained HTML file.
    #[must_use]
    pub fn html(&self) -> String {
        rendered(&Page {
            title: format!("Load on {}", self.servers.join(", ")),
            summary: self.summary(),
            check: &self.check,
            numbers: self.headline(),
            operations: operations_table(self.each_operation().chain([("all", &self.total)])),
            kinds: kinds_table(self.each_operation()),
            charts: self.charts(),
            race: self.race_rows(),
            method: self.method(),
        })
    }

    /// What was done, in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let clients = counted(self.pace.clients() as u64, "client", "clients");
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
        let warmup = match self.warmup_seconds {
            seconds if seconds > 0.0 => format!(" after {seconds} s of warm-up"),
            _ => String::new(),
        };
        let measured = shown_seconds(self.measured_seconds);
        format!("Mix {}, {pace}, {measured}{ended}{warmup}, seed {}, {}", self.mix, self.seed, self.started_at)
    }

    fn headline(&self) -> Vec<(&'static str, String)> {
        let total = &self.total;
        let mut numbers = vec![
            ("Throughput, answers/s", shown_rate(total.answered_per_second)),
            ("Goodput, successes/s", shown_rate(total.succeeded_per_second)),
            ("Median latency", total.shown(|latency| latency.p50_us)),
            ("99 % within", total.shown(|latency| latency.p99_us)),
            ("Longest", total.shown(|latency| latency.max_us)),
            ("Failed", grouped(total.failed_total())),
        ];
        if self.not_started > 0 {
            numbers.push(("Never started", grouped(self.not_started)));
        }
        numbers
    }

    fn each_operation(&self) -> impl Iterator<Item = (&'static str, &Numbers)> {
        self.operations.iter().map(|of| (of.operation.name(), &of.numbers))
    }

    /// What was refused and what failed: operation, `"refused"` or `"failed"`, kind, how often.
    #[must_use]
    pub fn kinds(&self) -> Vec<(&'static str, &'static str, &str, u64)> {
        kinds(self.each_operation()).collect()
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
        let curves = self.operations.iter().filter_map(|of| Some((of.operation, of.numbers.latency.as_ref()?)));
        let lines: Vec<Line> = curves
            .map(|(operation, latency)| Line {
                name: format!("{} (longest {})", operation.name(), shown_us(latency.max_us)),
                colour: operation as usize,
                points: latency.curve.iter().map(|(percent, us)| (*percent, Some(float(*us)))).collect(),
            })
            .collect();
        let all = || lines.iter().flat_map(|line| &line.points);
        let x = Axis::percentiles("percentile of the operations", all().map(|point| point.0).fold(50.0, f64::max));
        let y = Axis::latency(all().filter_map(|point| point.1));
        Chart { title: "Latency by percentile", x, y, lines, shade: None, tooltips: Vec::new() }
    }

    fn throughput_over_time(&self) -> Chart {
        let line = |name, colour, count: fn(&Moment) -> u64| {
            timeline(&self.timeline, name, colour, |moment| Some(float(count(moment)) / moment.seconds))
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
        over_time("Throughput over time", &self.timeline, y, lines, self.warmup())
    }

    fn latency_over_time(&self) -> Chart {
        let line = |name, colour, pick: fn(&Moment) -> Option<u64>| {
            timeline(&self.timeline, name, colour, |moment| pick(moment).map(float))
        };
        let lines = vec![
            line("median", 0, |moment| moment.p50_us),
            line("99 % within", 1, |moment| moment.p99_us),
            line("longest", 5, |moment| moment.max_us),
        ];
        let y = Axis::latency(lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1));
        over_time("Latency over time", &self.timeline, y, lines, self.warmup())
    }

    fn warmup(&self) -> Option<Shade> {
        let shade = Shade { from: 0.0, to: self.warmup_seconds, reason: "warm-up, not measured" };
        (self.warmup_seconds > 0.0).then_some(shade)
    }

    fn race_rows(&self) -> Vec<(&'static str, String)> {
        let Some(race) = &self.race else { return Vec::new() };
        let [least, low, median, high, most] = race.copies_per_buyer.map(grouped);
        let copies =
            format!("{least} at least, {low} first decile, {median} median, {high} ninth decile, {most} at most");
        let one = 1.0 / float(race.buyers);
        let fairness = format!("{:.3}: 1 if all buyers got the same, {one:.3} if one got them all", race.jain_index);
        vec![
            ("Book", race.book.to_string()),
            ("Copies before the start", grouped(race.copies.unsigned_abs())),
            ("Sold", grouped(race.sold)),
            ("Sold out", if race.sold_out { "yes" } else { "no" }.to_owned()),
            ("Last copy after", shown_seconds(race.seconds)),
            ("Copies sold per second", shown_rate(race.sold_per_second)),
            ("Buyers who got a copy", format!("{} of {}", grouped(race.winners), grouped(race.buyers))),
            ("Copies per buyer", copies),
            ("Fairness (Jain's index)", fairness),
        ]
    }

    fn method(&self) -> Vec<String> {
        let shares = self.shares.iter().map(|share| format!("{} {:.2} %", share.operation.name(), share.percent));
        let shares = shares.collect::<Vec<_>>().join(", ");
        let chance = match self.mix {
            Mix::Chance(chance) => {
                format!(", followed by a purchase with a chance of {chance}, if the book is in stock")
            }
            _ => String::new(),
        };
        let from = match self.pace {
            Pace::Closed { .. } => "when a request was sent",
            Pace::Open { .. } => "when a request was due, so a stall counts in every request that it delayed",
        };
        let mut method = vec![
            format!("Operations: {shares}{chance}."),
            format!(
                "Latency counts from {from}, to the end of the last try, for all operations that were answered, whether with \
                 success or a refusal. Failed ones are counted, but are not in the latencies."
            ),
        ];
        if let Some(wait) = &self.wait {
            let [median, most, longest] = [wait.p50_us, wait.p99_us, wait.max_us].map(shown_us);
            method.push(format!(
                "Requests waited for a free client, as part of their latency: median {median}, 99 % within {most}, longest \
                 {longest}."
            ));
        }
        method
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
            Verdict::Broken => format!("A promise is broken: {}.", counted(self.findings_total, "finding", "findings")),
        }
    }
}

impl PromiseCheck {
    /// What was checked; or, if that is why there is no verdict, what was not.
    fn summary(&self) -> &str {
        let not_checked = self.not_checked.as_ref().filter(|_| self.verdict == Verdict::Incomplete);
        not_checked.unwrap_or(&self.checked)
    }
}

impl Verdict {
    /// Its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Incomplete => "incomplete",
            Self::Broken => "broken",
        }
    }
}

/// Counts and latencies of each operation.
pub(crate) fn operations_table<'a>(operations: impl Iterator<Item = (&'static str, &'a Numbers)>) -> Table {
    let row = |(name, numbers): (&str, &Numbers)| {
        let mut row = vec![name.to_owned(), shown_rate(numbers.answered_per_second)];
        row.extend(numbers.counts().map(grouped));
        row.extend(Latency::SHOWN.map(|pick| numbers.shown(pick)));
        row
    };
    Table {
        text: &["Operation"],
        numbers: &["Answers/s", "Succeeded", "Refused", "Failed", "Retries", "p50", "p90", "p99", "p99.9", "Longest"],
        rows: operations.map(row).collect(),
    }
}

/// What was refused and what failed, by kind.
pub(crate) fn kinds_table<'a>(operations: impl Iterator<Item = (&'static str, &'a Numbers)>) -> Table {
    let row = |(operation, how, kind, count): (&str, &str, &str, u64)| {
        vec![operation.to_owned(), how.to_owned(), kind.to_owned(), grouped(count)]
    };
    Table { text: &["Operation", "", "Kind"], numbers: &["Count"], rows: kinds(operations).map(row).collect() }
}

fn kinds<'a>(
    operations: impl Iterator<Item = (&'static str, &'a Numbers)>,
) -> impl Iterator<Item = (&'static str, &'static str, &'a str, u64)> {
    operations.flat_map(|(operation, numbers)| {
        let counts = [("refused", &numbers.refused), ("failed", &numbers.failed)];
        let each = move |(how, counts): (&'static str, &'a BTreeMap<String, u64>)| {
            counts.iter().map(move |(kind, count)| (operation, how, kind.as_str(), *count))
        };
        counts.into_iter().flat_map(each)
    })
}

/// A line over the moments of a run.
pub(crate) fn timeline(moments: &[Moment], name: &str, colour: usize, value: impl Fn(&Moment) -> Option<f64>) -> Line {
    let points = moments.iter().map(|moment| (moment.at_seconds + moment.seconds / 2.0, value(moment)));
    Line { name: name.to_owned(), colour, points: points.collect() }
}

/// A chart over the moments of a run; the tooltips have all their numbers.
pub(crate) fn over_time(
    title: &'static str,
    moments: &[Moment],
    y: Axis,
    lines: Vec<Line>,
    shade: Option<Shade>,
) -> Chart {
    let end = moments.last().map_or(1.0, |moment| moment.at_seconds + moment.seconds);
    let x = Axis::linear("seconds since the start", end, |at| format!("{at}")).ending_at(end);
    let tooltip = |moment: &Moment| {
        let us = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), shown_us);
        let (from, to) = (moment.at_seconds, moment.at_seconds + moment.seconds);
        let [succeeded, refused, failed] = [moment.succeeded, moment.refused, moment.failed].map(grouped);
        let [median, most, longest] = [moment.p50_us, moment.p99_us, moment.max_us].map(us);
        let text = format!(
            "{from:.2} to {to:.2} s: {succeeded} succeeded, {refused} refused, {failed} failed; median {median}, 99 % within \
             {most}, longest {longest}"
        );
        Tooltip { from, to, text }
    };
    Chart { title, x, y, lines, shade, tooltips: moments.iter().map(tooltip).collect() }
}

fn shown_seconds(seconds: f64) -> String {
    match seconds {
        seconds if (seconds - seconds.round()).abs() < 0.005 && seconds >= 1.0 => format!("{seconds:.0} s"),
        seconds => shown_us(whole(seconds * 1e6)),
    }
}

//! The plots of each question.

use std::fmt::Write as _;

use super::bars::{Bars, Part};
use crate::{
    lab::{CacheCell, Cell, Hop, LabResult, Shape, Tier, TierCell},
    load::{
        Latency, Mix, Moment, Numbers, Operation,
        plot::{Axis, Chart, HALF, Line, Scale},
        report::{float, shown_tick, whole},
        shown_us,
        text::{grouped, shown_rate},
    },
};

/// What is plotted.
#[derive(Clone, Copy)]
enum Value {
    Latency,
    Rate,
}

impl Value {
    fn shown(self, value: f64) -> String {
        match self {
            Self::Latency => shown_us(whole(value)),
            Self::Rate => format!("{}/s", shown_rate(value)),
        }
    }

    fn axis(self, lines: &[Line]) -> Axis {
        let values = || lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1);
        let most = values().fold(1.0, f64::max);
        match self {
            Self::Latency => Axis::log("latency", values().fold(f64::MAX, f64::min).min(most), most, shown_tick),
            Self::Rate => Axis::linear("per second", most, |rate| grouped(whole(rate))),
        }
    }
}

/// Lines over a few places of the x axis, whose values are told when pointed at.
fn chart(title: &'static str, x: Axis, value: Value, places: &[(f64, String)], lines: Vec<Line>) -> Chart {
    let told = |at: usize| {
        let values = lines.iter().filter_map(|line| Some((line, line.points.get(at)?.1?)));
        values.map(|(line, y)| format!("; {} {}", line.name, value.shown(y))).collect::<String>()
    };
    let middle = |a: usize, b: usize| match x.scale {
        Scale::Log => (places[a].0 * places[b].0).sqrt(),
        _ => f64::midpoint(places[a].0, places[b].0),
    };
    let hints = (0..places.len()).map(|at| {
        let from = if at > 0 { middle(at - 1, at) } else { x.low };
        let to = if at + 1 < places.len() { middle(at, at + 1) } else { x.high };
        (from, to, format!("{}{}", places[at].1, told(at)))
    });
    let (hints, y) = (hints.collect(), value.axis(&lines));
    Chart { title, x, y, lines, width: HALF, shade: None, hints }
}

fn write(html: &mut String, charts: impl IntoIterator<Item = String>) {
    html.push_str("<div class=\"charts\">\n");
    charts.into_iter().for_each(|chart| html.push_str(&chart));
    html.push_str("</div>\n");
}

fn median(numbers: &Numbers) -> Option<f64> {
    pick(numbers, |latency| latency.p50_us)
}

fn most(numbers: &Numbers) -> Option<f64> {
    pick(numbers, |latency| latency.p99_us)
}

fn pick(numbers: &Numbers, pick: fn(&Latency) -> u64) -> Option<f64> {
    numbers.latency.as_ref().map(|latency| float(pick(latency)))
}

/// A line for each deployment.
fn by_shape(cells: &[Cell], x: impl Fn(&Cell) -> f64, y: impl Fn(&Cell) -> Option<f64>) -> Vec<Line> {
    let line = |(colour, shape): (usize, Shape)| Line {
        name: shape.name().to_owned(),
        colour,
        points: cells.iter().filter(|cell| cell.shape == shape).map(|cell| (x(cell), y(cell))).collect(),
    };
    (0..).zip(Shape::ALL).map(line).collect()
}

impl LabResult {
    pub(super) fn write_clients(&self, html: &mut String) {
        let places: Vec<(f64, String)> =
            self.plan.clients.iter().map(|clients| (count(*clients), format!("{clients} clients"))).collect();
        let axis = || Axis {
            label: "clients",
            scale: Scale::Log,
            low: places.first().map_or(1.0, |place| place.0),
            high: places.last().map_or(1.0, |place| place.0),
            ticks: self.plan.clients.iter().map(|clients| (count(*clients), clients.to_string())).collect(),
        };
        let mut charts = Vec::new();
        for (operation, titles) in [
            (Operation::SearchTopic, ["Search: median latency", "Search: 99 % within"]),
            (Operation::Book, ["Info: median latency", "Info: 99 % within"]),
            (Operation::Purchase, ["Purchase: median latency", "Purchase: 99 % within"]),
        ] {
            for (title, latency) in titles.into_iter().zip([median, most]) {
                let y = |cell: &Cell| cell.operation(operation).and_then(latency);
                let lines = by_shape(&self.clients, |cell| count(cell.clients), y);
                charts.push(chart(title, axis(), Value::Latency, &places, lines).html());
            }
        }
        let all = |cell: &Cell| Some(cell.total.answered_per_second);
        let lines = by_shape(&self.clients, |cell| count(cell.clients), all);
        charts.push(chart("Answers per second, all three together", axis(), Value::Rate, &places, lines).html());
        html.push_str(
            "<p class=\"quiet\">Every client searches a topic, looks at a book or buys one, each in a third of its requests. \
             The frontends have no cache in this question and the next two.</p>\n",
        );
        write(html, charts);
        self.write_clients_table(html);
    }

    pub(super) fn write_tiers(&self, html: &mut String) {
        let mut charts = Vec::new();
        for clients in &self.plan.tier_clients {
            for operation in [Operation::SearchTopic, Operation::Book, Operation::Purchase] {
                let alike = |cell: &&TierCell| cell.clients == *clients && cell.operation == operation;
                let cells: Vec<&TierCell> = self.tiers.iter().filter(alike).collect();
                charts.push(tier_bars(operation, *clients, &cells).html());
            }
        }
        html.push_str("<p class=\"quiet\">Mean times, one bar for each deployment.</p>\n");
        write(html, charts);
        self.write_tiers_table(html);
    }

    pub(super) fn write_mixes(&self, html: &mut String) {
        let places = chances(&self.plan.chances);
        let charts = [
            ("Answers per second", None),
            ("Info: median latency", Some((Operation::Book, median as fn(&Numbers) -> Option<f64>))),
            ("Purchase: median latency", Some((Operation::Purchase, median as _))),
            ("Purchase: 99 % within", Some((Operation::Purchase, most as _))),
        ];
        let charts = charts.map(|(title, what)| {
            let y = |cell: &Cell| match what {
                Some((operation, latency)) => cell.operation(operation).and_then(latency),
                None => Some(cell.total.answered_per_second),
            };
            let value = if what.is_some() { Value::Latency } else { Value::Rate };
            chart(title, chance_axis(&self.plan.chances), value, &places, by_shape(&self.mixes, chance, y)).html()
        });
        html.push_str(
            "<p class=\"quiet\">Every client looks at a book, buys it then with this chance, and looks at the next one. A part p of looks \
             that lead to a purchase makes p / (1 + p) of all requests purchases.</p>\n",
        );
        write(html, charts);
        self.write_mixes_table(html);
    }

    pub(super) fn write_caching(&self, html: &mut String) {
        let chances_of = &self.plan.cache_chances;
        let places = chances(chances_of);
        let lines = |y: &dyn Fn(&CacheCell) -> Option<f64>| {
            let line = |(name, cached, colour): (&str, bool, usize)| {
                let cells = self.caching.cells.iter().filter(|cell| cell.cached == cached);
                let points = cells.map(|cell| (chance(&cell.cell), y(cell))).collect();
                Line { name: name.to_owned(), colour, points }
            };
            [("without a cache", false, 1), ("with a cache", true, 0)].map(line).into()
        };
        let of = |operation, latency: fn(&Numbers) -> Option<f64>| {
            move |cell: &CacheCell| cell.cell.operation(operation).and_then(latency)
        };
        let draw = |title, value, y: &dyn Fn(&CacheCell) -> Option<f64>| {
            chart(title, chance_axis(chances_of), value, &places, lines(y)).html()
        };
        let rate = |cell: &CacheCell| Some(cell.cell.total.answered_per_second);
        let charts = [
            draw("Info: median latency", Value::Latency, &of(Operation::Book, median)),
            draw("Purchase: median latency", Value::Latency, &of(Operation::Purchase, median)),
            draw("Answers per second", Value::Rate, &rate),
            draw("Requests at the catalog server", Value::Rate, &|cell| Some(catalog_rate(cell))),
        ];
        let _ = writeln!(
            html,
            "<p class=\"quiet\">Five servers, both frontends without and then with a cache of up to {} books. The ledger brings a cache \
             forward: nothing is thrown out before a write, and there is no message from writers to caches.</p>",
            grouped(self.caching.books_max as u64)
        );
        write(html, charts);
        self.write_caching_tables(html);
    }

    pub(super) fn write_killing(&self, html: &mut String) {
        let killing = &self.killing;
        let per_second = |count: u64, moment: &Moment| Some(float(count) / moment.seconds);
        let line = |name: &str, colour, y: &dyn Fn(&Moment) -> Option<f64>| Line {
            name: name.to_owned(),
            colour,
            points: killing
                .timeline
                .iter()
                .map(|moment| (moment.at_seconds + moment.seconds / 2.0, y(moment)))
                .collect(),
        };
        let mut rates = vec![line("succeeded", 2, &|moment| per_second(moment.succeeded, moment))];
        if killing.timeline.iter().any(|moment| moment.failed + moment.refused > 0) {
            rates.push(line("failed or refused", 5, &|moment| per_second(moment.failed + moment.refused, moment)));
        }
        let mut latencies = vec![line("longest", 5, &|moment| moment.max_us.map(float))];
        let moments = killing.timeline.len().max(1) as u64;
        if killing.total.succeeded / moments >= 100 {
            // Of fewer requests it would be the longest once more.
            latencies.push(line("99 % within", 1, &|moment| moment.p99_us.map(float)));
        }
        latencies.push(line("median", 0, &|moment| moment.p50_us.map(float)));
        let width = killing.timeline.first().map_or(0.0, |moment| moment.seconds * 1000.0);
        let _ = writeln!(
            html,
            "<p class=\"quiet\">Requests arrive at a steady rate (an open loop), and latency counts from when each was to be sent, so a \
             stall would show in all that it held up. Each point is {width:.0} ms.</p>"
        );
        write(
            html,
            [
                self.over_time("Answers per second over time", Value::Rate, rates),
                self.over_time("Latency over time", Value::Latency, latencies),
            ],
        );
        self.write_killing_tables(html);
    }

    fn over_time(&self, title: &'static str, value: Value, lines: Vec<Line>) -> String {
        let killing = &self.killing;
        let end = killing.timeline.last().map_or(1.0, |moment| moment.at_seconds + moment.seconds);
        let mut x = Axis::linear("seconds since the start", end, |at| format!("{at}"));
        x.high = end;
        x.ticks.retain(|tick| tick.0 <= end);
        let hint = |moment: &Moment| {
            let us = |us: Option<u64>| us.map_or("–".to_owned(), shown_us);
            let text = format!(
                "{:.2} s: {} succeeded, {} refused, {} failed; median {}, 99 % within {}, longest {}",
                moment.at_seconds,
                moment.succeeded,
                moment.refused,
                moment.failed,
                us(moment.p50_us),
                us(moment.p99_us),
                us(moment.max_us)
            );
            (moment.at_seconds, moment.at_seconds + moment.seconds, text)
        };
        let shade = Some((killing.killed_at, killing.ready_at.min(end), "one order server is away"));
        let (y, hints) = (value.axis(&lines), killing.timeline.iter().map(hint).collect());
        Chart { title, x, y, lines, width: HALF, shade, hints }.html()
    }
}

/// All requests a second at the catalog server, as far as they are looks, purchases and polls.
fn catalog_rate(cell: &CacheCell) -> f64 {
    float(cell.catalog_looks + cell.catalog_calls + cell.catalog_polls) / cell.seconds.max(1e-9)
}

fn tier_bars(operation: Operation, clients: usize, cells: &[&TierCell]) -> Bars {
    let all = |cell: &TierCell| cell.hops.first().map_or(0.0, |hop| hop.mean_us);
    let part = |hop: &Hop| Part {
        name: hop.tier.name(),
        colour: match hop.tier {
            Tier::Client => 8,
            Tier::Whole => 3,
            Tier::Frontend => 0,
            Tier::Order => 1,
            Tier::Catalog => 2,
        },
        value: hop.own_us,
        hint: format!("{}: {}", hop.tier.name(), shown_us(whole(hop.own_us))),
    };
    let bar = |cell: &&TierCell| {
        let name = format!("{}: {}", cell.shape.name(), shown_us(whole(all(cell))));
        (name, cell.hops.iter().map(part).collect())
    };
    let most = cells.iter().map(|cell| all(cell)).fold(0.0, f64::max);
    let clients = if clients == 1 { "one client".to_owned() } else { format!("{clients} clients") };
    Bars {
        title: format!("{}, {clients}", super::tables::called(operation)),
        axis: Axis::linear("mean time, milliseconds", most, |us| format!("{}", (us / 10.0).round() / 100.0)),
        bars: cells.iter().map(bar).collect(),
    }
}

fn chance(cell: &Cell) -> f64 {
    match cell.mix {
        Mix::Chance(chance) => chance * 100.0,
        _ => 0.0,
    }
}

fn chances(chances: &[f64]) -> Vec<(f64, String)> {
    chances.iter().map(|chance| (chance * 100.0, format!("{:.0} %", chance * 100.0))).collect()
}

fn chance_axis(chances: &[f64]) -> Axis {
    let most = chances.iter().copied().fold(0.01, f64::max) * 100.0;
    let mut axis = Axis::linear("looks that lead to a purchase", most, |at| format!("{at} %"));
    axis.ticks.retain(|tick| tick.0 <= most);
    axis.high = most;
    axis
}

#[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
fn count(clients: usize) -> f64 {
    clients as f64
}

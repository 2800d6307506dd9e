//! The charts of each question.

use crate::{
    lab::{CacheCell, Cell, Hop, LabResult, Shape, Tier, TierCell},
    load::{
        Latency, Mix, Moment, Operation,
        report::{over_time, timeline},
        shown_us,
    },
    report::{Axis, Bars, Chart, Line, Part, Scale, Shade, Tooltip, float, whole},
    text::{counted, grouped, shown_rate},
};

/// What a chart shows.
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
        let values = lines.iter().flat_map(|line| &line.points).filter_map(|point| point.1);
        match self {
            Self::Latency => Axis::latency(values),
            Self::Rate => Axis::linear("per second", values.fold(1.0, f64::max), |rate| grouped(whole(rate))),
        }
    }
}

/// The positions on the x axis at which something was measured, and what each is called.
type Positions = [(f64, String)];

/// Lines over a few positions; the tooltip of each position has all its values.
fn chart(title: &'static str, x: Axis, value: Value, positions: &Positions, lines: Vec<Line>) -> String {
    let values = |at: usize| {
        let values = lines.iter().filter_map(|line| Some((line, line.points.get(at)?.1?)));
        values.map(|(line, y)| format!("; {} {}", line.name, value.shown(y))).collect::<String>()
    };
    let between = |a: usize, b: usize| match x.scale {
        Scale::Log => (positions[a].0 * positions[b].0).sqrt(),
        _ => f64::midpoint(positions[a].0, positions[b].0),
    };
    let tooltip = |at: usize| Tooltip {
        from: if at > 0 { between(at - 1, at) } else { x.low },
        to: if at + 1 < positions.len() { between(at, at + 1) } else { x.high },
        text: format!("{}{}", positions[at].1, values(at)),
    };
    let (tooltips, y) = ((0..positions.len()).map(tooltip).collect(), value.axis(&lines));
    Chart { title, x, y, lines, shade: None, tooltips }.to_string()
}

type Pick = fn(&Latency) -> u64;
const MEDIAN: Pick = |latency| latency.p50_us;
const MOST: Pick = |latency| latency.p99_us;

/// A latency of one operation of a cell.
fn latency(cell: &Cell, operation: Operation, pick: Pick) -> Option<f64> {
    cell.operation(operation).and_then(|numbers| numbers.latency.as_ref()).map(|latency| float(pick(latency)))
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
    pub(super) fn client_charts(&self) -> Vec<String> {
        let positions: Vec<(f64, String)> =
            self.plan.clients.iter().map(|clients| (count(*clients), clients_named(*clients))).collect();
        let draw = |title, value, y: &dyn Fn(&Cell) -> Option<f64>| {
            let x = clients_axis(&self.plan.clients);
            chart(title, x, value, &positions, by_shape(&self.clients, |cell| count(cell.clients), y))
        };
        let mut charts: Vec<String> = [
            ("Search: median latency", Operation::SearchTopic, MEDIAN),
            ("Search: 99 % within", Operation::SearchTopic, MOST),
            ("Info: median latency", Operation::Book, MEDIAN),
            ("Info: 99 % within", Operation::Book, MOST),
            ("Purchase: median latency", Operation::Purchase, MEDIAN),
            ("Purchase: 99 % within", Operation::Purchase, MOST),
        ]
        .map(|(title, operation, pick)| draw(title, Value::Latency, &|cell| latency(cell, operation, pick)))
        .into();
        charts.push(draw("Answers per second, all three together", Value::Rate, &answered));
        charts
    }

    pub(super) fn tier_charts(&self) -> Vec<String> {
        let operations = [Operation::SearchTopic, Operation::Book, Operation::Purchase];
        let each = self.plan.tier_clients.iter().flat_map(|clients| operations.map(|operation| (*clients, operation)));
        let bars = |(clients, operation)| {
            let alike = |cell: &&TierCell| cell.clients == clients && cell.operation == operation;
            tier_bars(operation, clients, &self.tiers.iter().filter(alike).collect::<Vec<_>>()).to_string()
        };
        each.map(bars).collect()
    }

    pub(super) fn mix_charts(&self) -> Vec<String> {
        let chances = &self.plan.chances;
        let draw = |title, value, y: &dyn Fn(&Cell) -> Option<f64>| {
            chart(title, chance_axis(chances), value, &chances_named(chances), by_shape(&self.mixes, chance, y))
        };
        vec![
            draw("Answers per second", Value::Rate, &answered),
            draw("Info: median latency", Value::Latency, &|cell| latency(cell, Operation::Book, MEDIAN)),
            draw("Purchase: median latency", Value::Latency, &|cell| latency(cell, Operation::Purchase, MEDIAN)),
            draw("Purchase: 99 % within", Value::Latency, &|cell| latency(cell, Operation::Purchase, MOST)),
        ]
    }

    pub(super) fn cache_charts(&self) -> Vec<String> {
        let chances = &self.plan.cache_chances;
        let draw = |title, value, y: &dyn Fn(&CacheCell) -> Option<f64>| {
            let line = |(name, cached, colour): (&str, bool, usize)| {
                let cells = self.caching.cells.iter().filter(|cell| cell.cached == cached);
                let points = cells.map(|cell| (chance(&cell.cell), y(cell))).collect();
                Line { name: name.to_owned(), colour, points }
            };
            let lines = [("without a cache", false, 1), ("with a cache", true, 0)].map(line).into();
            chart(title, chance_axis(chances), value, &chances_named(chances), lines)
        };
        let median = |operation| move |cell: &CacheCell| latency(&cell.cell, operation, MEDIAN);
        vec![
            draw("Info: median latency", Value::Latency, &median(Operation::Book)),
            draw("Purchase: median latency", Value::Latency, &median(Operation::Purchase)),
            draw("Answers per second", Value::Rate, &|cell| answered(&cell.cell)),
            draw("Requests at the catalog server", Value::Rate, &|cell| Some(cell.catalog_requests_per_second())),
        ]
    }

    pub(super) fn killing_charts(&self) -> Vec<String> {
        let killing = &self.killing;
        let line = |name, colour, y: &dyn Fn(&Moment) -> Option<f64>| timeline(&killing.timeline, name, colour, y);
        let per_second = |count: u64, moment: &Moment| Some(float(count) / moment.seconds);
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
        let away = Shade { from: killing.killed_at, to: killing.ready_at, reason: "one order server is away" };
        let draw = |title, value: Value, lines: Vec<Line>| {
            over_time(title, &killing.timeline, value.axis(&lines), lines, Some(away)).to_string()
        };
        vec![
            draw("Answers per second over time", Value::Rate, rates),
            draw("Latency over time", Value::Latency, latencies),
        ]
    }
}

fn answered(cell: &Cell) -> Option<f64> {
    Some(cell.total.answered_per_second)
}

/// One bar for each deployment, with the time in each tier.
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
        tooltip: format!("{}: {}", hop.tier.name(), shown_us(whole(hop.own_us))),
    };
    let bar = |cell: &&TierCell| {
        let name = format!("{}: {}", cell.shape.name(), shown_us(whole(all(cell))));
        (name, cell.hops.iter().map(part).collect())
    };
    let most = cells.iter().map(|cell| all(cell)).fold(0.0, f64::max);
    Bars {
        title: format!("{}, {}", super::tables::operation_name(operation), clients_named(clients)),
        axis: Axis::linear("mean time, milliseconds", most, |us| format!("{}", (us / 10.0).round() / 100.0)),
        bars: cells.iter().map(bar).collect(),
    }
}

fn clients_named(clients: usize) -> String {
    counted(clients as u64, "client", "clients")
}

fn clients_axis(clients: &[usize]) -> Axis {
    let end = |clients: Option<&usize>| clients.map_or(1.0, |clients| count(*clients));
    Axis {
        label: "clients",
        scale: Scale::Log,
        low: end(clients.first()),
        high: end(clients.last()),
        ticks: clients.iter().map(|clients| (count(*clients), clients.to_string())).collect(),
    }
}

fn chance(cell: &Cell) -> f64 {
    match cell.mix {
        Mix::Chance(chance) => chance * 100.0,
        _ => 0.0,
    }
}

fn chances_named(chances: &[f64]) -> Vec<(f64, String)> {
    chances.iter().map(|chance| (chance * 100.0, format!("{:.0} %", chance * 100.0))).collect()
}

fn chance_axis(chances: &[f64]) -> Axis {
    let most = chances.iter().copied().fold(0.01, f64::max) * 100.0;
    Axis::linear("looks that lead to a purchase", most, |at| format!("{at} %")).ending_at(most)
}

#[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
fn count(clients: usize) -> f64 {
    clients as f64
}

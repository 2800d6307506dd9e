//! Four times the load that one server can take: what it still sells, and how it refuses the rest.
//!
//! The server has one processor and the load generator another. Else the load would take processor time from the server.

use bookstore_benches::{
    Result,
    catalogue::{PLENTY, plain},
    load_generator::{Tally, Workload},
    race::{BookChoice, ZIPF_BOOKS},
    samples::{Bound, Samples, format_number, format_us},
    server_process::{Server, store_url},
    shop,
};
use std::{fs, path::Path, process::Command};

use super::{
    context::Context,
    generator_process::Load,
    http::CONNECTIONS,
    report::{Chart, Line, Section, Table},
};

const SERVER: usize = 0;
const GENERATOR: usize = 1;
/// Connections that the generator may open: fewer than the server takes, more than the requests that it works on at once.
const OPEN_CONNECTIONS: usize = 3_500;
/// Open files that a process needs beside them.
const OTHER_FILES: usize = 100;

pub(crate) fn measure(context: &Context) -> Result<Section> {
    let mut section = Section::new("overload");
    if section.environment.cores < 2 || Command::new("taskset").arg("--version").output().is_err() {
        return Err("overload needs two cores, and taskset (util-linux) to give the server one of them".into());
    }
    let folder = context.scratch()?;
    let server = start(context, &folder.path().join("shop.db"))?;
    let load = |per_second: Option<f64>| {
        let load = Load {
            server: server.address,
            connections: if per_second.is_some() { open_connections() } else { CONNECTIONS },
            workload: Workload::Purchase(BookChoice::Uniform(ZIPF_BOOKS)),
            per_second,
            warm_up: context.time(0.5),
            time: context.time(2.5),
        };
        load.on_processor(GENERATOR)
    };
    let closed = || -> Result<f64> { Ok(load(None)?.all_served()?.rate()) };
    let closed = Samples((0..3).map(|_| closed()).collect::<Result<_>>()?);
    let sustainable = sustainable(closed.median(), |rate| load(Some(rate)))?;
    eprintln!("  {} purchases a second can be sustained in an open loop", format_number(sustainable));
    let (before, _) = server.resident_mb()?;
    let overload = Overload::run(context.rounds().min(3), |times| load(Some(sustainable * times)))?;
    let (after, peak) = server.resident_mb()?;
    show(&mut section, sustainable, closed.median(), &overload.runs);
    let mut table = Table::new("The server's resident memory", &["before", "after", "at most"]);
    table.row([before, after, peak].map(|mb| format!("{mb:.0} MB")));
    section.tables.push(table);
    section.keep("256 connections in a closed loop", &closed);
    overload.judge(&mut section);
    Ok(section)
}

/// A server on a processor of its own, whose books do not sell out.
fn start(context: &Context, store: &Path) -> Result<Server> {
    context.runtime.block_on(shop::prepare(store, (1..=ZIPF_BOOKS).map(|n| plain(n, PLENTY))));
    let mut command = Command::new("taskset");
    command.args(["-c", &SERVER.to_string()]).arg(&context.bookstore);
    command.args(["monolith", "--no-sample", "--listen", "127.0.0.1:0", "--store", &store_url(store)]);
    Server::start(command)
}

/// Runs at multiples of the sustainable rate.
#[derive(Default)]
struct Overload {
    /// The multiple and what came of it.
    runs: Vec<(f64, Tally)>,
    /// Sold a second at four times the rate.
    goodput: Samples,
    /// The most that was sold a second just before, at one to two times the rate.
    most: Samples,
}

impl Overload {
    fn run(rounds: usize, load: impl Fn(f64) -> Result<Tally>) -> Result<Self> {
        let mut overload = Self { runs: vec![(0.5, load(0.5)?)], ..Self::default() };
        for round in 0..rounds {
            let before = [1.0, 1.5, 2.0].map(|times| Ok((times, load(times)?)));
            let before = before.into_iter().collect::<Result<Vec<_>>>()?;
            overload.most.push(before.iter().map(|(_, tally)| tally.rate()).fold(0.0, f64::max));
            if round == 0 {
                overload.runs.extend(before);
            }
            let tally = load(4.0)?;
            overload.goodput.push(tally.rate());
            overload.runs.push((4.0, tally));
        }
        Ok(overload)
    }

    fn judge(&self, section: &mut Section) {
        section.keep("goodput at four times the rate", &self.goodput);
        section.keep("the most just before, at once to twice the rate", &self.most);
        let ratio = self.goodput.ratio_to(&self.most);
        section.target("goodput at four times the sustainable rate / the most", Bound::AtLeast(0.9), &ratio);
        let strange: u64 = self.runs.iter().map(|(_, tally)| tally.others + tally.failed).sum();
        let what = "requests answered neither with an order nor with 503 and Retry-After";
        section.target(what, Bound::AtMost(0.0), &Samples::one(strange as f64));
    }
}

/// The highest of some rates at which everything is sold.
fn sustainable(closed: f64, run: impl Fn(f64) -> Result<Tally>) -> Result<f64> {
    const SHARES: [f64; 6] = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
    let mut sustained = None;
    for rate in SHARES.map(|share| closed * share) {
        if !is_sustained(rate, &run)? {
            break;
        }
        sustained = Some(rate);
    }
    sustained.ok_or_else(|| "half of what 256 connections get cannot be sustained in an open loop".into())
}

/// Whether everything is sold at this rate. A machine that stands still for a moment refuses at any rate, so it is tried again.
fn is_sustained(rate: f64, run: impl Fn(f64) -> Result<Tally>) -> Result<bool> {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        let tally = run(rate)?;
        if tally.refused == 0 && tally.rate() >= 0.97 * rate {
            return Ok(true);
        }
    }
    Ok(false)
}

fn show(section: &mut Section, sustainable: f64, closed: f64, runs: &[(f64, Tally)]) {
    let head = ["offered", "sent/s", "sold/s", "503 with Retry-After/s", "sold, p50", "p99", "503, p50", "p99"];
    let caption = format!(
        "Open loop; 1 × is {} purchases/s, the highest rate at which all were sold; 256 connections in a closed loop: {}",
        format_number(sustainable),
        format_number(closed)
    );
    let mut table = Table::new(caption, &head);
    for (times, tally) in runs {
        let refused = tally.refused as f64 / tally.seconds;
        let latencies = [tally.served_latency, tally.refused_latency].map(|of| [of.p50_us, of.p99_us]).concat();
        let latency = |(nth, us): (usize, u64)| match nth > 1 && tally.refused == 0 {
            true => "–".to_owned(),
            false => format_us(us as f64),
        };
        let rates = [
            format!("{times} ×"),
            format_number(tally.answered_rate()),
            format_number(tally.rate()),
            format_number(refused),
        ];
        table.row(rates.into_iter().chain(latencies.into_iter().enumerate().map(latency)));
    }
    section.tables.push(table);
    let line = |name: &str, rate: &dyn Fn(&Tally) -> f64| {
        let mut points: Vec<(f64, f64)> =
            runs.iter().map(|(times, tally)| (*times, rate(tally) / sustainable)).collect();
        points.dedup_by_key(|(times, _)| *times);
        Line::new(name, points)
    };
    section.charts.push(Chart {
        file: "overload".into(),
        title: "One server beyond what it can take".into(),
        x: "offered load, in sustainable rates".into(),
        y: "answers, in sustainable rates".into(),
        log_x: false,
        lines: vec![line("sold", &Tally::rate), line("503", &|tally| tally.refused as f64 / tally.seconds)],
    });
}

/// As many as this process may open.
fn open_connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files: Option<usize> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    files.map_or(OPEN_CONNECTIONS, |files| OPEN_CONNECTIONS.min(files.saturating_sub(OTHER_FILES)))
}

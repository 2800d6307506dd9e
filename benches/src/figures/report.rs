//! What was measured, as it is kept in `results.json`.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

use super::context::Outcome;
use bookstore_core::{Clock as _, SystemClock};

/// Every section's last results.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) sections: Vec<Section>,
}

const FILE: &str = "results.json";

impl Results {
    /// The results in a folder; none if there is no file.
    pub(crate) fn load(folder: &Path) -> Outcome<Self> {
        match fs::read(folder.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn save(&self, folder: &Path) -> Outcome<()> {
        // A line for each section.
        let lines = self.sections.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        Ok(fs::write(folder.join(FILE), format!("{{\"sections\":[\n{}\n]}}\n", lines.join(",\n")))?)
    }

    /// Takes the place of the section's last results.
    pub(crate) fn put(&mut self, section: Section) {
        self.sections.retain(|other| other.name != section.name);
        self.sections.push(section);
    }
}

/// One section's results.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) environment: Environment,
    /// How long measuring took.
    pub(crate) seconds: u64,
    pub(crate) targets: Vec<Target>,
    pub(crate) tables: Vec<Table>,
    pub(crate) charts: Vec<Chart>,
    /// Each measurement of each round, in order.
    pub(crate) samples: BTreeMap<String, Vec<f64>>,
}

impl Section {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            environment: Environment::here(),
            seconds: 0,
            targets: Vec::new(),
            tables: Vec::new(),
            charts: Vec::new(),
            samples: BTreeMap::new(),
        }
    }

    /// Keeps a measurement's samples.
    pub(crate) fn keep(&mut self, what: impl Into<String>, samples: &Samples) {
        self.samples.insert(what.into(), samples.0.iter().map(|value| round(*value)).collect());
    }

    pub(crate) fn target(&mut self, what: impl Into<String>, bound: Bound, measured: &Samples) {
        let what = what.into();
        self.keep(&what, measured);
        let spread = [round(measured.least()), round(measured.most())];
        self.targets.push(Target { what, bound, measured: round(measured.median()), spread });
    }
}

/// Four digits are more than enough.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor().max(-6.0));
    (value * scale).round() / scale
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure that is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// The median, …
    pub(crate) measured: f64,
    /// … the least and the most.
    pub(crate) spread: [f64; 2],
}

impl Target {
    pub(crate) fn is_reached(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.measured >= bound,
            Bound::AtMost(bound) => self.measured <= bound,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, head: &[&str]) -> Self {
        Self { caption: caption.into(), head: head.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// Lines over a shared axis.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chart {
    /// The file's name, without its ending.
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    /// Whether x is drawn by its logarithm.
    pub(crate) log_x: bool,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Line {
    pub(crate) fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().map(|(x, y)| (x, round(y))).collect() }
    }
}

/// Measurements of one thing in several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn one(value: f64) -> Self {
        Self(vec![value])
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn most(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// The quotients, round by round.
    pub(crate) fn per(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Median, and in brackets the least and the most.
    pub(crate) fn shown(&self) -> String {
        let [median, least, most] = [self.median(), self.least(), self.most()].map(shown);
        if self.0.len() < 2 { median } else { format!("{median} ({least}–{most})") }
    }
}

/// Three digits, thousands as `k`.
pub(crate) fn shown(value: f64) -> String {
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
pub(crate) fn grouped(n: u64) -> String {
    match n / 1000 {
        0 => n.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), n % 1000),
    }
}

/// Microseconds, in the unit that suits them.
pub(crate) fn shown_us(us: f64) -> String {
    if us >= 9_995.0 {
        format!("{:.0} ms", us / 1e3)
    } else if us >= 999.5 {
        format!("{:.1} ms", us / 1e3)
    } else {
        format!("{us:.0} µs")
    }
}

/// Where something was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) rustc: String,
    pub(crate) sqlite: String,
}

impl Environment {
    fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let dirty = if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() {
            ""
        } else {
            " and changes"
        };
        Self {
            date: SystemClock.now().to_string().chars().take(10).collect(),
            commit: said("git", &["rev-parse", "--short=10", "HEAD"]) + dirty,
            cpu: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            file_system: file_system().unwrap_or_else(|| "unknown".into()),
            rustc: said("rustc", &["--version"]),
            sqlite: rusqlite::version().to_owned(),
        }
    }

    /// Date and commit aside.
    pub(crate) fn machine(&self) -> String {
        let Self { cpu, cores, kernel, file_system, rustc, sqlite, .. } = self;
        format!("{cpu}, {cores} cores; Linux {kernel}; {file_system}; {rustc}; SQLite {sqlite}")
    }
}

fn said(program: &str, args: &[&str]) -> String {
    let said = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The file system that the measured files are on.
fn file_system() -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && own.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map(|fields| fields[2].to_owned())
}

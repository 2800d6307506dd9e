//! The results of all sections, as `results.json` keeps them.

use bookstore_benches::{
    Result,
    environment::Environment,
    samples::{Bound, Samples, round},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

/// Every section's last results.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) sections: Vec<Section>,
}

const FILE: &str = "results.json";

impl Results {
    /// The results in a folder; none if there is no file.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        match fs::read(folder.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the results, a line for each section.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let lines = self.sections.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        Ok(fs::write(folder.join(FILE), format!("{{\"sections\":[\n{}\n]}}\n", lines.join(",\n")))?)
    }

    /// Replaces the section's last results.
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

    /// Keeps a measurement's samples, and holds their median to a bound.
    pub(crate) fn target(&mut self, what: impl Into<String>, bound: Bound, measured: &Samples) {
        let what = what.into();
        self.keep(&what, measured);
        let spread = [round(measured.least()), round(measured.most())];
        self.targets.push(Target { what, bound, measured: round(measured.median()), spread });
    }
}

/// A measured figure and the bound that it is held to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// The median.
    pub(crate) measured: f64,
    /// The least and the most.
    pub(crate) spread: [f64; 2],
}

impl Target {
    pub(crate) fn is_reached(&self) -> bool {
        self.bound.is_met(self.measured)
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
    /// The file's name, without its extension.
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

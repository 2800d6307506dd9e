//! Where and on what something was measured.

use bookstore_core::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use std::{fs, process::Command};

/// The machine and the tools of a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The day, as `2026-11-29`.
    pub date: String,
    /// This tree's commit, with "and changes" if files differ from it.
    pub commit: String,
    /// The processor's model.
    pub cpu: String,
    /// Processors.
    pub cores: usize,
    /// The release of the Linux kernel.
    pub kernel: String,
    /// The file system of the measured files.
    pub file_system: String,
    /// The compiler's version.
    pub rustc: String,
    /// SQLite's version.
    pub sqlite: String,
}

impl Environment {
    /// This machine, now.
    #[must_use]
    pub fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let changed = !output_of("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        Self {
            date: SystemClock.now().to_string().chars().take(10).collect(),
            commit: output_of("git", &["rev-parse", "--short=10", "HEAD"]) + if changed { " and changes" } else { "" },
            cpu: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            file_system: file_system().unwrap_or_else(|| "unknown".into()),
            rustc: output_of("rustc", &["--version"]),
            sqlite: rusqlite::version().to_owned(),
        }
    }

    /// All but date and commit, in one line.
    #[must_use]
    pub fn machine(&self) -> String {
        let Self { cpu, cores, kernel, file_system, rustc, sqlite, .. } = self;
        format!("{cpu}, {cores} cores; Linux {kernel}; {file_system}; {rustc}; SQLite {sqlite}")
    }
}

fn output_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The file system of this executable: measured files are beside it.
fn file_system() -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && own.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map(|fields| fields[2].to_owned())
}

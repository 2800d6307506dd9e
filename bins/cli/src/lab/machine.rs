//! The machine that everything runs on.

use serde::{Deserialize, Serialize};
use std::{fs, path::Path, thread};

/// The machine of clients and servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, or else its architecture.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// Memory in MiB, if it is known.
    pub memory_mib: Option<u64>,
    /// The operating system and its version.
    pub system: String,
    /// The file system of the stores, if it is known.
    pub file_system: Option<String>,
    /// The load average of the minute before, if it is known.
    pub load_before: Option<f64>,
}

impl Machine {
    /// This machine, with its stores in `folder`.
    #[must_use]
    pub fn here(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            cpu: named(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_mib: named(&read("/proc/meminfo"), "MemTotal")
                .and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok())
                .map(|kib| kib / 1024),
            system: format!("{} {}", std::env::consts::OS, release.trim()).trim_end().to_owned(),
            file_system: file_system(&read("/proc/mounts"), folder),
            load_before: read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()),
        }
    }
}

/// The load average for each core above which the machine counts as busy.
const BUSY: f64 = 0.25;

impl Machine {
    /// The load average before the lab began, if the machine was busy.
    #[must_use]
    pub fn busy(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a handful of cores")]
        let cores = self.cores as f64;
        self.load_before.filter(|load| *load > cores * BUSY)
    }
}

/// The value after `name:` in the first line that has it.
fn named(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The type of the innermost mount that holds `folder`.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?, words.next()?))
    });
    let holding = mounts.filter(|(place, _)| folder.starts_with(place));
    holding.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tmpx tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/lab")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/home/lab")).as_deref(), Some("ext4"));
        assert_eq!(file_system("", Path::new("/home/lab")), None);
    }

    #[test]
    fn a_processor_has_a_name() {
        assert_eq!(named("a : 1\nmodel name\t: Fast: one\n", "model name").as_deref(), Some("Fast: one"));
        assert!(Machine::here(Path::new("/")).cores > 0);
    }

    #[test]
    fn other_programs_are_noticed() {
        let machine = |load| Machine { cores: 2, load_before: Some(load), ..Machine::default() };
        assert_eq!((machine(0.4).busy(), machine(1.5).busy()), (None, Some(1.5)));
        assert_eq!(Machine::default().busy(), None);
    }
}

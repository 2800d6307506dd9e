//! `bookstore lab`: measures the deployments on this machine and writes a report.

use bookstore_cli::{
    lab::{self, Cell, Lab, LabError, LabResult, Plan},
    load::{Numbers, Operation, Verdict},
};
use std::{path::Path, process::ExitCode, time::Duration};

use super::{
    Failure, REFUSED, UNKNOWN,
    output::{Columns, print, print_json, table, writable},
    progress::Progress,
    signals::stop_signal,
};
use crate::cli::LabArgs;

/// What shells report of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs the command.
pub(super) async fn run(args: &LabArgs) -> Result<ExitCode, Failure> {
    let report = Report::at(&args.report)?;
    let executable = std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("this program cannot find its own file: {error}")))?;
    let plan = if args.quick { Plan::quick() } else { Plan::full() };
    let lab = Lab { executable, plan, directory: args.directory.clone(), seed: args.seed };
    let stop = stop_signal().map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    let progress = Progress::start(LINE_EVERY);
    let show = |state: &lab::Progress| show(&progress, state);
    let result = tokio::select! {
        result = lab.run(&show) => Some(result),
        // Dropping the lab ends its servers and removes their folder.
        () = stop => None,
    };
    progress.clear();
    let Some(result) = result else {
        eprintln!("Stopped. The servers are ended and their stores removed; no report was written.");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let result = result.map_err(|error| failed(&error))?;
    if args.json {
        print_json(&result);
    } else {
        print(&shown(&result));
    }
    report.write(&result.html())?;
    Ok(match result.promises.verdict {
        Verdict::Broken => REFUSED,
        Verdict::Incomplete => ExitCode::from(UNKNOWN),
        Verdict::Kept => ExitCode::SUCCESS,
    })
}

/// The report's file: checked to be writable at the start, and removed if it is new and nothing was written to it.
struct Report<'a> {
    file: &'a Path,
    unused: bool,
}

impl<'a> Report<'a> {
    fn at(file: &'a Path) -> Result<Self, Failure> {
        let unused = !file.exists();
        writable("--report", file)?;
        Ok(Self { file, unused })
    }

    fn write(mut self, html: &str) -> Result<(), Failure> {
        let (file, shown) = (self.file, self.file.display());
        std::fs::write(file, html)
            .map_err(|error| Failure::Failed(format!("the report could not be written to {shown}: {error}")))?;
        self.unused = false;
        eprintln!("The report is in {shown}");
        Ok(())
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if self.unused {
            // The file is empty.
            let _ = std::fs::remove_file(self.file);
        }
    }
}

fn failed(error: &LabError) -> Failure {
    Failure::Failed(match error {
        LabError::Folder(_) => format!("{error}; choose another place with --directory"),
        error => error.to_string(),
    })
}

/// How often a line is written at most where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

fn show(shown: &Progress, lab: &lab::Progress) {
    let left = lab.left.as_secs();
    let left = if left >= 90 { format!("{} min", (left + 30) / 60) } else { format!("{left} s") };
    let done = permille(lab.done);
    shown.update(done, 1000, &format!("{:>3} %", done / 10), &format!("{} (about {left} left)", lab.doing));
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
fn permille(part: f64) -> u64 {
    (part.clamp(0.0, 1.0) * 1000.0) as u64
}

fn shown(result: &LabResult) -> String {
    let mut text = format!("{}\n", result.summary());
    for warning in result.warnings() {
        text.push_str(&format!("{warning}\n"));
    }
    for (number, answer) in (1..).zip(result.answers()) {
        text.push_str(&format!("\n{number}. {}\n", answer.question));
        for sentence in answer.sentences {
            text.push_str(&format!("   {sentence}\n"));
        }
        if number == 1 {
            text.push_str(&format!("\n{}\n", cells(&result.clients)));
        }
    }
    let promises = &result.promises;
    text.push_str(&format!("\n{}\n", promises.sentence()));
    for what in promises.findings.iter().chain(&promises.not_checked) {
        text.push_str(&format!("  {what}\n"));
    }
    text
}

fn cells(cells: &[Cell]) -> String {
    const COLUMNS: Columns = Columns {
        header: &["DEPLOYMENT", "CLIENTS", "PER SECOND", "SEARCH P50", "P99", "INFO P50", "P99", "PURCHASE P50", "P99"],
        right: &[1, 2, 3, 4, 5, 6, 7, 8],
        elastic: &[],
    };
    let rows = cells.iter().map(|cell| {
        let mut row = vec![
            cell.shape.name().to_owned(),
            cell.clients.to_string(),
            format!("{:.0}", cell.total.answered_per_second),
        ];
        let nothing = Numbers::default();
        for operation in [Operation::SearchTopic, Operation::Book, Operation::Purchase] {
            let numbers = cell.operation(operation).unwrap_or(&nothing);
            row.extend([numbers.shown(|latency| latency.p50_us), numbers.shown(|latency| latency.p99_us)]);
        }
        row
    });
    table(&COLUMNS, rows.collect())
}

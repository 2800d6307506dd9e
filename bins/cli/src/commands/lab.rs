//! `bookstore lab`: measures the deployments on this machine and writes a report.

use bookstore_cli::{
    lab::{Cell, Lab, LabError, LabResult, Plan, Progress},
    load::{Latency, Operation, Verdict, shown_us},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Failure, REFUSED, UNKNOWN,
    output::{Columns, print, print_json, table, writable},
    serve::stop_signal,
};
use crate::cli::LabArgs;

/// As a shell says it of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs it.
pub(super) async fn run(args: &LabArgs) -> Result<ExitCode, Failure> {
    let report = Report::at(&args.report)?;
    let executable = std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("this program cannot find its own file: {error}")))?;
    let plan = if args.quick { Plan::quick() } else { Plan::full() };
    let lab = Lab { executable, plan, directory: args.directory.clone(), seed: args.seed };
    let stop = stop_signal().map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    let teller = Teller::start();
    let tell = |progress: &Progress| teller.tell(progress);
    let result = tokio::select! {
        result = lab.run(&tell) => Some(result),
        // The servers and their folder go with the lab.
        () = stop => None,
    };
    teller.bar.finish_and_clear();
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

/// Where the report is to be: known to be writable, and gone again if nothing was written to a new file.
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
            // It is empty.
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

/// How far it is: one line that changes on a terminal, else a line for each step that is not too short for one.
struct Teller {
    bar: ProgressBar,
    told: Mutex<(String, Option<Instant>)>,
}

/// How often a line is written at most where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(2);

impl Teller {
    fn start() -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} % {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, told: Mutex::default() }
    }

    fn tell(&self, progress: &Progress) {
        let left = progress.left.as_secs();
        let left = if left >= 90 { format!("{} min", (left + 30) / 60) } else { format!("{left} s") };
        let message = format!("{} (about {left} left)", progress.doing);
        if !self.bar.is_hidden() {
            self.bar.set_message(message);
            self.bar.set_position(permille(progress.done));
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.1.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if due && told.0 != progress.doing {
            *told = (progress.doing.clone(), Some(Instant::now()));
            eprintln!("{:>3} % {message}", permille(progress.done) / 10);
        }
    }
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
        for operation in [Operation::SearchTopic, Operation::Book, Operation::Purchase] {
            let latency = cell.operation(operation).and_then(|numbers| numbers.latency.as_ref());
            let at =
                |pick: fn(&Latency) -> u64| latency.map_or_else(|| "–".to_owned(), |latency| shown_us(pick(latency)));
            row.extend([at(|latency| latency.p50_us), at(|latency| latency.p99_us)]);
        }
        row
    });
    table(&COLUMNS, rows.collect())
}

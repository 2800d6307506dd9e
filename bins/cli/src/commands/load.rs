//! `bookstore load`: loads a running shop, and checks the promises afterwards.

use bookstore_cli::load::{
    self, Latency, Limits, Load, LoadError, LoadResult, Mix, Numbers, Operation, Pace, Phase, Prize, RaceResult, Stop,
    Target, Verdict, counted, grouped, shown_us,
};
use std::{io, path::Path, process::ExitCode, sync::Arc, time::Duration};

use super::{
    Failure, NOT_EXECUTED, REFUSED, UNKNOWN,
    output::{Columns, print, print_json, table, writable},
    progress::Progress,
};
use crate::{cli::LoadArgs, config};

/// Runs the command.
pub(super) async fn run(args: &LoadArgs) -> Result<ExitCode, Failure> {
    let load = checked(args)?;
    if let Some(file) = &args.report {
        writable("--report", file)?;
    }
    let (stop, progress) = (Stop::new(), Arc::new(Progress::start(LINE_EVERY)));
    let signals = tokio::spawn(stop_at_signals(stop.clone(), Arc::clone(&progress)));
    let result = load.run(&|state| show(&progress, state), &stop).await;
    progress.clear();
    signals.abort();
    let result = result.map_err(|error| failed(error, &load))?;
    if args.json {
        print_json(&result);
    } else {
        print(&shown(&result));
    }
    if let Some(file) = &args.report {
        std::fs::write(file, result.html()).map_err(|error| not_written(file, &error))?;
        eprintln!("The report is in {}", file.display());
    }
    Ok(exit_code(&result))
}

fn exit_code(result: &LoadResult) -> ExitCode {
    match result.check.verdict {
        Verdict::Broken => REFUSED,
        Verdict::Incomplete => ExitCode::from(UNKNOWN),
        Verdict::Kept if result.total.succeeded == 0 && result.total.failed_total() > 0 => ExitCode::from(NOT_EXECUTED),
        Verdict::Kept => ExitCode::SUCCESS,
    }
}

fn checked(args: &LoadArgs) -> Result<Load, Failure> {
    let servers = config::servers("--server", &args.server)?;
    let file = args.admin_token_file.as_deref();
    let admin_token = file.map(|file| config::admin_token_for(Some(file), &servers, args.insecure)).transpose()?;
    let clients = args.clients;
    let load = Load {
        mix: mix(args)?,
        pace: args.rate.map_or(Pace::Closed { clients }, |rate| Pace::Open { rate, clients }),
        duration: Duration::from_secs(args.duration),
        warmup: Duration::from_secs(args.warmup),
        seed: args.seed,
        skew: args.skew,
        again: args.again,
        stock: args.stock,
        limits: Limits { timeout: config::seconds("--timeout", args.timeout)?, ..Limits::default() },
        ..Load::on(Target { servers, admin_token })
    };
    load.check().map_err(|error| failed(error, &load))?;
    Ok(load)
}

fn mix(args: &LoadArgs) -> Result<Mix, Failure> {
    match (args.mix, args.book, args.copies) {
        (mix, None, None) => Ok(mix),
        (Mix::Race(_), Some(book), None) => Ok(Mix::Race(Prize::Book(book))),
        (Mix::Race(_), None, Some(copies)) => Ok(Mix::Race(Prize::Copies(copies))),
        (Mix::Race(_), Some(_), Some(_)) => {
            Err(Failure::Usage("--copies is for a new book; a race for --book sells what that book has".into()))
        }
        _ => Err(Failure::Usage("--book and --copies are for a race; add --mix race".into())),
    }
}

fn not_written(file: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("the report could not be written to {}: {error}", file.display()))
}

fn failed(error: LoadError, load: &Load) -> Failure {
    let message = error.to_string();
    match error {
        LoadError::Invalid(why) => {
            let token = load.target.admin_token.is_none() && why.contains("admin token");
            let hint = if token { ": give --admin-token-file FILE, or --book ID for a race" } else { "" };
            Failure::Usage(format!("{why}{hint}"))
        }
        LoadError::Refused { error, what } => Failure::Answer {
            error,
            hint: Some(format!("This was the answer to the request to {what}. Nothing was loaded.")),
        },
        LoadError::NoAnswer { error, .. } => {
            let servers = load.target.servers.join(", ");
            let hint = format!("Is the shop running at {servers}? Give another address with --server URL.");
            Failure::Answer { error, hint: Some(hint) }
        }
        _ => Failure::Failed(message),
    }
}

/// The first signal ends the load, the next one the check, the third one everything.
async fn stop_at_signals(stop: Stop, progress: Arc<Progress>) {
    for what in [
        "Stopping; what was bought is checked now. Ctrl-C again ends that, too.",
        "Stopping the check. Ctrl-C again ends at once.",
    ] {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        progress.print(what);
        stop.stop();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

fn show(shown: &Progress, load: &load::Progress) {
    let (done, total) = match load.phase {
        Phase::Preparing | Phase::WarmUp | Phase::Load => (millis(load.elapsed), millis(load.planned)),
        _ => (load.done, load.total.unwrap_or(u64::MAX)),
    };
    shown.update(done, total, label(load.phase), &message(load));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "Preparing:",
        Phase::WarmUp => "Warm-up:",
        Phase::Load => "Load:",
        Phase::Orders | Phase::Ledger | Phase::Books => "Check:",
    }
}

fn message(progress: &load::Progress) -> String {
    let of = progress.total.map(|total| format!(" of {}", grouped(total))).unwrap_or_default();
    let done = grouped(progress.done);
    match progress.phase {
        Phase::Preparing => "reading the catalogue, connecting".to_owned(),
        Phase::WarmUp | Phase::Load => {
            let us = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), shown_us);
            let (seconds, planned) = (progress.elapsed.as_secs(), progress.planned.as_secs());
            let counts = format!("{} refused, {} failed", grouped(progress.refused), grouped(progress.failed));
            let (p50, p99) = (us(progress.p50_us), us(progress.p99_us));
            format!("{seconds} of {planned} s, {:.0}/s, p50 {p50}, p99 {p99}, {counts}", progress.per_second)
        }
        Phase::Orders => format!("{done}{of} orders read back"),
        Phase::Ledger => format!("{done}{of} entries of the ledger replayed"),
        Phase::Books => format!("{done}{of} books compared"),
    }
}

fn shown(result: &LoadResult) -> String {
    let mut text = format!("Load on {}\n{}\n\n", result.servers.join(", "), result.summary());
    text.push_str(&operations(result));
    text.push('\n');
    for (operation, how, kind, count) in result.kinds() {
        text.push_str(&format!("{how}: {operation} {kind} {}\n", grouped(count)));
    }
    if let Some(warning) = late(result) {
        text.push_str(&format!("{warning}\n"));
    }
    if let Some(hint) = sold_out(result) {
        text.push_str(&format!("{hint}\n"));
    }
    if let Some(race) = &result.race {
        text.push_str(&format!("\n{}", raced(race)));
    }
    text.push_str(&format!("\n{}", promises(result)));
    text
}

fn operations(result: &LoadResult) -> String {
    const COLUMNS: Columns = Columns {
        header: &[
            "OPERATION",
            "PER SECOND",
            "SUCCEEDED",
            "REFUSED",
            "FAILED",
            "RETRIES",
            "P50",
            "P90",
            "P99",
            "P99.9",
            "MAX",
        ],
        right: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        elastic: &[],
    };
    let mut rows: Vec<_> =
        result.operations.iter().map(|operation| row(operation.operation.name(), &operation.numbers)).collect();
    if rows.len() != 1 {
        rows.push(row("all", &result.total));
    }
    table(&COLUMNS, rows)
}

fn row(name: &str, numbers: &Numbers) -> Vec<String> {
    let rate = numbers.answered_per_second;
    let rate = if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    let counts = numbers.counts().map(grouped);
    let latencies = Latency::SHOWN.map(|pick| numbers.shown(pick));
    [name.to_owned(), rate].into_iter().chain(counts).chain(latencies).collect()
}

/// A warning if requests had to wait for a client: then this program, or the shop, did not keep up.
fn late(result: &LoadResult) -> Option<String> {
    if result.not_started > 0 {
        return Some(format!(
            "The rate was not reached: {} never started, because all clients were busy.",
            counted(result.not_started, "request", "requests")
        ));
    }
    let wait = result.wait.as_ref().filter(|wait| wait.p99_us > 5_000)?;
    Some(format!(
        "Requests waited for a free client, 99 % of them up to {}; that is part of their latency. If the shop keeps up, more \
         --clients help.",
        shown_us(wait.p99_us)
    ))
}

/// A hint if most purchases were refused.
fn sold_out(result: &LoadResult) -> Option<&'static str> {
    let purchases = &result.operations.iter().find(|of| of.operation == Operation::Purchase)?.numbers;
    let vain = purchases.refused.get("out-of-stock").is_some_and(|refused| *refused > purchases.succeeded);
    (vain && result.race.is_none()).then_some(
        "Most purchases came too late: their book was sold out. With the admin token, --stock N puts copies there first.",
    )
}

fn raced(race: &RaceResult) -> String {
    let [least, low, median, high, most] = race.copies_per_buyer.map(grouped);
    let end = if race.sold_out { "sold out" } else { "not sold out; last sale" };
    format!(
        "Race for book {}: {} of {} copies sold, {end} after {} ({:.0} copies a second)\n\
         {} of {} got one; copies per buyer: least {least}, decile {low}, median {median}, decile {high}, most {most}\n\
         Fairness (Jain's index, 1 is even): {:.3}\n",
        race.book,
        grouped(race.sold),
        grouped(race.copies.unsigned_abs()),
        shown_us(micros(race.seconds)),
        race.sold_per_second,
        grouped(race.winners),
        counted(race.buyers, "buyer", "buyers"),
        race.jain_index,
    )
}

fn micros(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// The indentation of further lines about a promise.
const UNDER: &str = "\n                            ";

fn promises(result: &LoadResult) -> String {
    let check = &result.check;
    let mut text = String::new();
    for promise in &check.promises {
        let (name, verdict) = (promise.promise.name(), promise.verdict.name());
        text.push_str(&format!("{name:<15} {verdict:<11} {}\n", promise.checked.replace("; ", UNDER)));
        if let Some(not_checked) = &promise.not_checked {
            text.push_str(&format!("{}not checked: {not_checked}\n", UNDER.trim_start_matches('\n')));
        }
    }
    text.push_str(&format!("\n{}\n", check.sentence()));
    for finding in &check.findings {
        text.push_str(&format!("  {}: {}\n", finding.promise.name(), finding.what));
    }
    let unnamed = check.findings_total - check.findings.len() as u64;
    if unnamed > 0 {
        text.push_str(&format!("  … and {} more\n", grouped(unnamed)));
    }
    text
}

//! Running seeds: in processes of their own, as many at once as there are cores.
//!
//! | variable | meaning |
//! |---|---|
//! | `BOOKSTORE_SIM_SEEDS` | how many seeds, 100 unless set; those in `seeds.txt` come first and are not counted |
//! | `BOOKSTORE_SIM_FIRST_SEED` | the first of them, 1 unless set |
//! | `BOOKSTORE_SIM_SEED` | only this seed, in this process, with its trace |
//! | `BOOKSTORE_SIM_BUG` | with this bug planted, see `bugs.rs` |
//! | `BOOKSTORE_SIM_ACCIDENT` | with this accident, see `accident.rs` |

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{accident::Accident, bugs::Bug, run};

/// The result of one seed, as its process has printed it.
#[derive(Clone, Debug)]
pub(crate) struct SeedResult {
    pub(crate) seed: u64,
    pub(crate) hash: String,
    pub(crate) calls: u64,
    pub(crate) coverage: Vec<u64>,
    /// What was broken, by rule.
    pub(crate) failures: Vec<(String, String)>,
}

const SEEDS: &str = "BOOKSTORE_SIM_CHILD_SEEDS";
const BUG: &str = "BOOKSTORE_SIM_BUG";
const ACCIDENT: &str = "BOOKSTORE_SIM_ACCIDENT";
/// Seeds that one process runs.
const CHUNK: usize = 10;
/// Seeds after which a long run says how far it is.
const PROGRESS: usize = 200;
/// A seed that takes more seconds is hanging. The seconds are counted one by one, so a suspended machine adds none.
const SEED_SECONDS_MAX: u32 = 240;

/// The tests of this binary take turns, since each uses all cores.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

pub(crate) fn bug() -> Option<Bug> {
    let name = std::env::var(BUG).ok()?;
    let found = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name);
    Some(found.unwrap_or_else(|| panic!("{BUG} must be one of {:?}", Bug::ALL)))
}

/// The accident that happens in every seed, if there is such.
pub(crate) fn accident() -> Option<Accident> {
    let name = std::env::var(ACCIDENT).ok()?;
    let found = Accident::ALL.into_iter().find(|accident| format!("{accident:?}") == name);
    Some(found.unwrap_or_else(|| panic!("{ACCIDENT} must be one of {:?}", Accident::ALL)))
}

/// The seeds that once failed, with what they found behind a `#`.
pub(crate) fn regressions() -> Vec<u64> {
    let lines = include_str!("seeds.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("seeds.txt has a seed a line")).collect()
}

/// What a child process does: it runs its seeds, and prints a line for each.
pub(crate) fn child() {
    let Ok(seeds) = std::env::var(SEEDS) else { return };
    run::count_panics();
    let bug = bug();
    for seed in seeds.split(',').map(|seed| seed.parse().expect("a seed")) {
        let done = watch(seed);
        let outcome = run::run(seed, bug, accident(), false);
        drop(done);
        for (rule, what) in &outcome.failures {
            println!("\nSIM-FAILED\t{seed}\t{rule}\t{}", what.replace(['\n', '\t'], " "));
        }
        let counts: Vec<String> = outcome.coverage.iter().map(u64::to_string).collect();
        println!("\nSIM-DONE\t{seed}\t{:016x}\t{}\t{}", outcome.hash, outcome.calls, counts.join(","));
    }
}

/// Ends the process if the seed does not end.
fn watch(seed: u64) -> mpsc::Sender<()> {
    let (done, wait) = mpsc::channel::<()>();
    thread::spawn(move || {
        for _ in 0..SEED_SECONDS_MAX {
            if wait.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
        println!("\nSIM-FAILED\t{seed}\thang\tthe seed did not end within {SEED_SECONDS_MAX} s");
        println!("\nSIM-DONE\t{seed}\t0\t0\t");
        std::process::exit(1);
    });
    done
}

fn spawn(seeds: &[u64], bug: Option<Bug>, accident: Option<Accident>) -> Child {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(SEEDS, list.join(","));
    match bug {
        Some(bug) => command.env(BUG, format!("{bug:?}")),
        None => command.env_remove(BUG),
    };
    match accident {
        Some(accident) => command.env(ACCIDENT, format!("{accident:?}")),
        None => command.env_remove(ACCIDENT),
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("this program can be run again")
}

/// Runs these seeds in one process. A seed without a result has ended its process.
pub(crate) fn run_in_child(seeds: &[u64], bug: Option<Bug>, accident: Option<Accident>) -> Vec<SeedResult> {
    let mut child = spawn(seeds, bug, accident);
    let errors = child.stderr.take().expect("piped");
    let errors = thread::spawn(move || {
        let lines: Vec<String> = BufReader::new(errors).lines().map_while(Result::ok).collect();
        lines.join("\n")
    });
    let (mut results, mut failures) = (Vec::new(), Vec::new());
    for line in BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok) {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["SIM-FAILED", _, rule, what] => failures.push(((*rule).to_owned(), (*what).to_owned())),
            ["SIM-DONE", seed, hash, calls, counts] => results.push(SeedResult {
                seed: seed.parse().expect("a seed"),
                hash: (*hash).to_owned(),
                calls: calls.parse().expect("a number"),
                coverage: counts.split(',').filter_map(|count| count.parse().ok()).collect(),
                failures: std::mem::take(&mut failures),
            }),
            _ => {}
        }
    }
    let status = child.wait().expect("it was started here");
    if results.len() < seeds.len() {
        let said = errors.join().unwrap_or_default();
        let what = format!("its process ended with {status}: {said}");
        let failures = vec![("crash".to_owned(), what)];
        results.push(SeedResult {
            seed: seeds[results.len()],
            hash: String::new(),
            calls: 0,
            coverage: Vec::new(),
            failures,
        });
    }
    results
}

/// Runs all these seeds, on all cores.
pub(crate) fn run_all(seeds: &[u64]) -> Vec<SeedResult> {
    let queue: Mutex<VecDeque<&[u64]>> = Mutex::new(seeds.chunks(CHUNK).collect());
    let results = Mutex::new(Vec::new());
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let Some(chunk) = queue.lock().expect("no code panics while it is locked").pop_front() else {
                        return;
                    };
                    let more = run_in_child(chunk, None, accident());
                    more.iter().filter(|result| !result.failures.is_empty()).for_each(print_failure);
                    let mut results = results.lock().expect("no code panics while it is locked");
                    results.extend(more);
                    if results.len() % PROGRESS < CHUNK && seeds.len() > PROGRESS {
                        println!(
                            "{} of {} seeds, {:.0} s",
                            results.len(),
                            seeds.len(),
                            started.elapsed().as_secs_f64()
                        );
                    }
                }
            });
        }
    });
    results.into_inner().expect("no code panics while it is locked")
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One line that says what failed, and how to run that seed alone.
fn print_failure(result: &SeedResult) {
    let SeedResult { seed, failures, .. } = result;
    let rules: Vec<&str> = failures.iter().map(|(rule, _)| rule.as_str()).collect();
    let first = failures.first().map(|(_, what)| what.chars().take(300).collect::<String>()).unwrap_or_default();
    println!(
        "seed {seed} failed ({}): {first}\n  BOOKSTORE_SIM_SEED={seed} cargo test -p bookstore --test sim seeds -- --nocapture\n  \
         keep it: add it to bins/bookstore/tests/sim/seeds.txt",
        rules.join(", ")
    );
}

/// One seed in this process, with its trace.
pub(crate) fn run_alone(seed: u64) {
    run::count_panics();
    let started = Instant::now();
    let forced = accident().or_else(|| bug().and_then(Bug::accident));
    let outcome = run::run(seed, bug(), forced, true);
    for (rule, what) in &outcome.failures {
        println!("{rule}: {what}");
    }
    println!("seed {seed}: trace {:016x}, {} calls, {:?}", outcome.hash, outcome.calls, started.elapsed());
    assert!(outcome.failures.is_empty(), "seed {seed} failed");
}

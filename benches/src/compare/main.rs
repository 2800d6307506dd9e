//! Compares the speed and the size of two builds, and holds this tree to its budget against a pinned commit.
//!
//! ```sh
//! cargo run --release -p bookstore-benches --bin compare                        # this tree against the pinned commit
//! cargo run --release -p bookstore-benches --bin compare -- http three          # only these sections
//! cargo run --release -p bookstore-benches --bin compare -- --commit HEAD~1     # against another commit
//! cargo run --release -p bookstore-benches --bin compare -- --old A --new B     # two folders with executables
//! ```
//!
//! Both sides are measured in turn, round by round, by the same load generator; what counts is the ratio within a round. The
//! exit code is 1 if a budget is missed.

mod build;
mod http;
mod in_process;
mod report;
mod resources;
mod rounds;
mod start;
mod worker;

use bookstore_benches::{
    Result,
    catalogue::{self, PLENTY, REAL_SIZE, plain, real},
};
use clap::{Parser, ValueEnum};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};
use tempfile::TempDir;

use build::Build;
use report::{Report, Row};

/// Compares two builds of the bookstore, by default this tree and a pinned commit
#[derive(Debug, Parser)]
struct Args {
    /// What to compare [default: everything]
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// The commit that this tree is compared with; built below target/compare
    #[arg(long, default_value = "87a9414", value_name = "COMMIT")]
    commit: String,
    /// A folder with the executables `bookstore` and `purchase_worker`, instead of the commit
    #[arg(long, value_name = "FOLDER")]
    old: Option<PathBuf>,
    /// A folder with such executables, instead of this tree
    #[arg(long, value_name = "FOLDER")]
    new: Option<PathBuf>,
    /// How often the two sides alternate
    #[arg(long, default_value_t = 24, value_name = "COUNT")]
    rounds: usize,
    /// Books for the real-sized catalogue (.csv, .jsonl, .jsonl.gz) instead of generated ones
    #[arg(long, value_name = "FILE")]
    books: Option<PathBuf>,
}

/// A section of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Purchases in the shop's own process
    InProcess,
    /// Purchases over HTTP, one server
    Http,
    /// GET /info/{id}
    Info,
    /// Purchases over HTTP, three servers
    Three,
    /// Bytes that a purchase takes in the file
    Bytes,
    /// Resident memory with the real-sized catalogue under load
    Memory,
    /// From exec to ready, after a clean stop and after kill -9
    Start,
    /// The executable's size
    Size,
}

impl Section {
    fn measure(self, context: &Context) -> Result<Vec<Row>> {
        match self {
            Self::InProcess => in_process::measure(context),
            Self::Http => http::purchases(context),
            Self::Info => http::info(context),
            Self::Three => http::three(context),
            Self::Bytes => resources::bytes(context),
            Self::Memory => resources::memory(context),
            Self::Start => start::measure(context),
            Self::Size => resources::size(context),
        }
    }
}

/// Books of the stores that races are run on.
const BOOKS: u64 = 10_000;

/// What every section needs.
struct Context {
    /// The old one and the new one.
    builds: [Build; 2],
    rounds: usize,
    folder: TempDir,
    /// A file with [`BOOKS`] books, for `bookstore import`.
    plain: PathBuf,
    /// A file with the real-sized catalogue, likewise.
    real: PathBuf,
    /// How many books that is.
    real_books: u64,
}

impl Context {
    /// Builds what is to be compared, and makes a folder for stores beside this executable: there, unlike in `/tmp`, files are
    /// on a disk for sure.
    fn new(args: &Args, output: &Path) -> Result<Self> {
        let old =
            args.old.as_ref().map_or_else(|| build::commit(&args.commit, output), |folder| Build::in_folder(folder))?;
        let new = args.new.as_ref().map_or_else(|| build::this_tree(), |folder| Build::in_folder(folder))?;
        let folder = tempfile::Builder::new().prefix("stores-").tempdir_in(output)?;
        let [plain_file, real_file] = ["plain.jsonl", "real.jsonl"].map(|name| folder.path().join(name));
        catalogue::write_json_lines(&plain_file, (1..=BOOKS).map(|n| plain(n, PLENTY)))?;
        let books = match &args.books {
            Some(file) => catalogue::read(file)?,
            None => (1..=REAL_SIZE).map(real).collect(),
        };
        let real_books = books.len() as u64;
        catalogue::write_json_lines(&real_file, books.into_iter())?;
        Ok(Self { builds: [old, new], rounds: args.rounds, folder, plain: plain_file, real: real_file, real_books })
    }

    /// A new folder for each side, with a store `name` in it that has these books. It is removed when dropped.
    fn stores(&self, name: &str, books: &Path) -> Result<[TempDir; 2]> {
        let store = |build: &Build| -> Result<TempDir> {
            let folder = tempfile::tempdir_in(self.folder.path())?;
            build.import(books, &folder.path().join(name))?;
            Ok(folder)
        };
        let [old, new] = &self.builds;
        Ok([store(old)?, store(new)?])
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every budget is met.
fn run(args: &Args) -> Result<bool> {
    let own = std::env::current_exe()?;
    let output = own.ancestors().nth(2).ok_or("the executable is nowhere")?.join("compare");
    fs::create_dir_all(&output)?;
    let context = Context::new(args, &output)?;
    let mut report = Report::new(&context.builds);
    let sections = if args.sections.is_empty() { Section::value_variants() } else { &args.sections };
    for section in sections {
        let started = Instant::now();
        eprintln!("{section:?} …");
        let rows = section.measure(&context)?;
        eprintln!("{section:?}: {} s", started.elapsed().as_secs());
        println!("{}", report::table(&rows));
        report.rows.extend(rows);
        // After each one: a later failure loses nothing.
        report.save(&output)?;
    }
    eprintln!("written to {}", output.display());
    Ok(report.rows.iter().all(Row::is_met))
}

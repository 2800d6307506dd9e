//! What every section needs: where to put files, how long to measure, the executables, a real-sized catalogue.

use bookstore_benches::{
    catalogue::{PLENTY, REAL_SIZE, real},
    shop,
};
use bookstore_core::NewBook;
use std::{
    cell::OnceCell,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// What measuring ends in.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) struct Context {
    pub(crate) quick: bool,
    /// Runs the shop where it is measured in this process.
    pub(crate) runtime: Runtime,
    /// The `bookstore` executable.
    pub(crate) bookstore: PathBuf,
    target: PathBuf,
    folder: TempDir,
    books: Vec<NewBook>,
    catalogue: OnceCell<PathBuf>,
}

/// Books of the real-sized catalogue in a short try.
const QUICK_SIZE: u64 = 5_000;

/// A worker for each processor but one, which is left to the ledger's writer, as README advises.
fn runtime() -> io::Result<Runtime> {
    let workers = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

impl Context {
    /// Builds the executable, and makes a folder beside it: there, and not in `/tmp`, files are on a disk for sure.
    pub(crate) fn new(quick: bool, books: Option<&Path>) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let target = own.parent().ok_or("the executable is nowhere")?.to_owned();
        build(&target)?;
        let folder = tempfile::Builder::new().prefix("figures-").tempdir_in(&target)?;
        let books = match books {
            Some(file) => imported(file)?,
            None => (1..=if quick { QUICK_SIZE } else { REAL_SIZE }).map(real).collect(),
        };
        let bookstore = target.join(format!("bookstore{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { quick, runtime: runtime()?, bookstore, target, folder, books, catalogue: OnceCell::new() })
    }

    /// Where a short try writes its page.
    pub(crate) fn quick_output(&self) -> Outcome<PathBuf> {
        let output = self.target.join("figures-quick");
        fs::create_dir_all(&output)?;
        Ok(output)
    }

    /// A new folder for one measurement, removed with what is in it.
    pub(crate) fn scratch(&self) -> Outcome<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    /// How often measurements alternate: rather often than long, since what disturbs them comes and goes within seconds.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 27 }
    }

    /// How often measurements alternate that take long by themselves.
    pub(crate) fn long_rounds(&self) -> usize {
        self.rounds().div_ceil(3)
    }

    /// So long, or a short time in a short try.
    pub(crate) fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds.min(0.3) } else { seconds })
    }

    /// So many, or a hundredth of it in a short try.
    pub(crate) fn count(&self, count: u64) -> u64 {
        if self.quick { count.div_ceil(100) } else { count }
    }

    /// The books of the real-sized catalogue; none of them sells out.
    pub(crate) fn books(&self) -> &[NewBook] {
        &self.books
    }

    /// A store file of its own with the real-sized catalogue.
    pub(crate) fn catalogue(&self, path: &Path) -> Outcome<()> {
        let made = match self.catalogue.get() {
            Some(made) => made,
            None => {
                let path = self.folder.path().join("catalogue.db");
                self.runtime.block_on(shop::prepare(&path, self.books.iter().cloned()));
                self.catalogue.get_or_init(|| path)
            }
        };
        fs::copy(made, path)?;
        Ok(())
    }
}

/// Builds the `bookstore` executable beside this one.
fn build(target: &Path) -> Outcome<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Both packages, so that the dependencies are built once, with the features that this program has them with.
    command.args([
        "build",
        "--locked",
        "--package",
        "bookstore",
        "--package",
        "bookstore-benches",
        "--bin",
        "bookstore",
    ]);
    if target.ends_with("release") {
        command.arg("--release");
    } else {
        eprintln!("figures: this is not a release build; its figures mean nothing");
    }
    match command.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        true => Ok(()),
        false => Err("the bookstore executable could not be built".into()),
    }
}

fn imported(file: &Path) -> Outcome<Vec<NewBook>> {
    let books = bookstore::import::open(file, |_| {})?;
    let plenty = |book: NewBook| NewBook { stock: PLENTY, ..book };
    Ok(books.map(|book| book.map(plenty)).collect::<Result<_, _>>()?)
}

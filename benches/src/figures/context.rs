//! What every section needs: where to put files, how long to measure, the executable, a real-sized catalogue.

use bookstore_benches::{
    Result, cargo,
    catalogue::{self, REAL_SIZE, real},
    shop,
};
use bookstore_core::NewBook;
use std::{
    cell::OnceCell,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

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

/// A worker thread for each processor but one, which is left to the ledger's writer, as README advises.
fn runtime() -> io::Result<Runtime> {
    let workers = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

impl Context {
    /// Builds the executable, and makes a folder beside it: there, unlike in `/tmp`, files are on a disk for sure.
    pub(crate) fn new(quick: bool, books: Option<&Path>) -> Result<Self> {
        let own = std::env::current_exe()?;
        let target = own.parent().ok_or("the executable is nowhere")?.to_owned();
        build(&target)?;
        let folder = tempfile::Builder::new().prefix("figures-").tempdir_in(&target)?;
        let books = match books {
            Some(file) => catalogue::read(file)?,
            None => (1..=if quick { QUICK_SIZE } else { REAL_SIZE }).map(real).collect(),
        };
        let bookstore = target.join(format!("bookstore{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { quick, runtime: runtime()?, bookstore, target, folder, books, catalogue: OnceCell::new() })
    }

    /// Where a short try writes its page.
    pub(crate) fn quick_output(&self) -> Result<PathBuf> {
        let output = self.target.join("figures-quick");
        fs::create_dir_all(&output)?;
        Ok(output)
    }

    /// A new folder for one measurement, removed with what is in it.
    pub(crate) fn scratch(&self) -> Result<TempDir> {
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

    /// These seconds, or at most 0.3 in a short try.
    pub(crate) fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds.min(0.3) } else { seconds })
    }

    /// This count, or a hundredth of it in a short try.
    pub(crate) fn count(&self, count: u64) -> u64 {
        if self.quick { count.div_ceil(100) } else { count }
    }

    /// The books of the real-sized catalogue; none of them sells out.
    pub(crate) fn books(&self) -> &[NewBook] {
        &self.books
    }

    /// Writes the real-sized catalogue into a new store file.
    pub(crate) fn catalogue(&self, path: &Path) -> Result<()> {
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

/// Builds the `bookstore` executable beside this one. Both packages are named, so that their dependencies are built once.
fn build(target: &Path) -> Result<()> {
    let mut args = vec!["--package", "bookstore-cli", "--package", "bookstore-benches", "--bin", "bookstore"];
    if target.ends_with("release") {
        args.push("--release");
    } else {
        eprintln!("figures: this is not a release build; its figures mean nothing");
    }
    cargo::build(Path::new(env!("CARGO_MANIFEST_DIR")), &args)
}

//! A `purchase_worker` process.

use bookstore_benches::{Result, server_process::store_url};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use super::build::Build;

/// A process with a shop of its own. It is killed when dropped.
pub(crate) struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Opens this store.
    pub(crate) fn open(build: &Build, store: &Path) -> Result<Self> {
        let mut command = Command::new(&build.worker);
        command.arg(store_url(store)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", build.worker.display()))?;
        let answers = BufReader::new(child.stdout.take().ok_or("a worker without output")?);
        Ok(Self { child, answers })
    }

    /// Buys for this time with `tasks` tasks, and returns the purchases a second.
    pub(crate) fn race_for(&mut self, tasks: u64, books: u64, time: Duration) -> Result<f64> {
        self.race(&format!("{tasks} {books} {} {}", u64::MAX / 2, time.as_millis()))
    }

    /// Buys this many copies.
    pub(crate) fn buy(&mut self, books: u64, purchases: u64) -> Result<()> {
        self.race(&format!("1024 {books} {purchases} {}", u32::MAX)).map(drop)
    }

    fn race(&mut self, race: &str) -> Result<f64> {
        writeln!(self.child.stdin.as_mut().ok_or("a worker without input")?, "{race}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(|_| format!("the worker answered {answer:?}").into())
    }

    /// Closes the store, and waits until it is.
    pub(crate) fn close(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        match self.child.wait()?.success() {
            true => Ok(()),
            false => Err("the worker failed".into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! Running the lab, and seeing what processes it leaves behind.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The longest that anything may take here, on a busy machine, too: only what hangs takes longer.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Labs disturb each other's measurements: one at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory for one lab.
pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        let dir = Self(TempDir::new().unwrap());
        fs::create_dir(dir.stores()).unwrap();
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where the lab puts its folder.
    pub(crate) fn stores(&self) -> PathBuf {
        self.path("stores")
    }

    pub(crate) fn stores_left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.stores()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// `bookstore lab` with these arguments, in this directory.
    pub(crate) fn lab(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bookstore"));
        // What it starts must not listen where these variables say.
        command.env("BOOKSTORE_LISTEN", "127.0.0.1:1").env("BOOKSTORE_STORE", "memory:").env("RUST_LOG", "trace");
        command.arg("lab").args(args).arg("--log").arg("warn").arg("--directory").arg(self.stores());
        command.current_dir(self.0.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The processes that work in this directory's stores; `None` where there is no `/proc`.
    pub(crate) fn processes(&self) -> Option<Vec<u32>> {
        let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok).filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let works_in = fs::read_link(entry.path().join("cwd")).ok()?;
            works_in.starts_with(self.stores()).then_some(pid)
        });
        Some(processes.collect())
    }

    /// Waits until there is none any more.
    #[track_caller]
    pub(crate) fn no_process_is_left(&self) {
        let until = Instant::now() + TIMEOUT;
        loop {
            match self.processes() {
                None => return skipped(),
                Some(left) if left.is_empty() => return,
                Some(left) => assert!(Instant::now() < until, "left behind: {left:?}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn skipped() {
    println!("skipped: without /proc there is no telling which processes are left");
    assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "/proc must be there for this test");
}

/// A running lab; killed at the latest when it is dropped.
pub(crate) struct Lab {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Lab {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Waits until its log has one of these.
    #[track_caller]
    pub(crate) fn until(&mut self, doing: &[&str]) {
        let mut said = String::new();
        while !doing.iter().any(|doing| said.contains(doing)) {
            let before = said.len();
            self.stderr.read_line(&mut said).unwrap();
            assert!(said.len() > before, "it ended without {doing:?}: {said}");
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: how, and what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (status, said)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An executable that says something and fails.
#[cfg(unix)]
pub(crate) fn failing(dir: &Dir) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let script = dir.path("failing");
    fs::write(&script, "#!/bin/sh\necho 'no luck today' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

pub(crate) fn is_empty_dir(path: &Path) -> bool {
    fs::read_dir(path).unwrap().next().is_none()
}

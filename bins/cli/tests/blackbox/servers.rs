//! The servers of a shop, one on each machine, as real processes.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
};

use crate::{
    hosts::{Host, Network},
    proxy::get,
};

pub(crate) const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef-admin";
const SERVER_TOKEN: &str = "0123456789abcdef0123456789abcdef-server";

/// The longest that a server may take to start, to be ready, or to stop, on a busy machine, too.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The last lines of a server's log, and how often its store failed.
#[derive(Debug, Default)]
struct Log {
    last: VecDeque<String>,
    failures: u64,
}

/// The most lines that are kept of a log.
const LOG_LINES: usize = 60;

/// A running server, killed at the latest when it is dropped.
pub(crate) struct Server {
    pub(crate) host: Host,
    pub(crate) address: SocketAddr,
    words: Vec<String>,
    dir: PathBuf,
    child: Child,
    log: Arc<Mutex<Log>>,
}

/// A command with nothing of ours in its environment, killed when it is dropped.
pub(crate) fn command(words: &[String], dir: &Path) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(dir).env_remove("RUST_LOG").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BOOKSTORE_")) {
        command.env_remove(name);
    }
    command
}

/// The tokens that the servers are told to use, in files.
pub(crate) fn write_tokens(dir: &Path) {
    for (name, token) in [("admin.token", ADMIN_TOKEN), ("server.token", SERVER_TOKEN)] {
        let path = dir.join(name);
        std::fs::write(&path, token).expect("the folder can be written to");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, private).expect("it is ours");
    }
}

impl Server {
    /// Starts a server on any free port of its machine.
    pub(crate) async fn start(network: &Network, host: Host, dir: &Path, args: &[&str]) -> Self {
        Self::start_at(network, host, dir, args, SocketAddr::new(network.address(host), 0)).await
    }

    /// Starts a server at an address of its machine.
    pub(crate) async fn start_at(network: &Network, host: Host, dir: &Path, args: &[&str], at: SocketAddr) -> Self {
        let mut words = network.on(host);
        words.push(env!("CARGO_BIN_EXE_bookstore").to_owned());
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        words.extend(["--insecure", "--server-token-file", "server.token", "--grace", "0"].map(str::to_owned));
        let log = Arc::default();
        let (child, address) = spawn(&words, dir, at, &log).await;
        Self { host, address, words, dir: dir.to_path_buf(), child, log }
    }

    /// `kill -9`, as a power cut would be for the process.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it is ours");
    }

    /// Starts it again at the same address over the same files.
    pub(crate) async fn restart(&mut self) {
        (self.child, _) = spawn(&self.words, &self.dir, self.address, &self.log).await;
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "{signal} to {pid}");
    }

    /// Stops it as an operator would.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM").await;
        let ended = tokio::time::timeout(TIMEOUT, self.child.wait()).await;
        let clean = matches!(&ended, Ok(Ok(status)) if status.success());
        assert!(clean, "{} did not stop cleanly: {ended:?}\n{}", self.host.name(), self.said());
    }

    /// Waits until its `/readyz` says yes.
    pub(crate) async fn ready(&self, network: &Network) {
        let until = Instant::now() + TIMEOUT;
        loop {
            let answer = get(network.tasks(Host::Client), self.address, "/readyz").await;
            if answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return;
            }
            assert!(Instant::now() < until, "{} is not ready: {answer:?}\n{}", self.host.name(), self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How often its store has failed.
    pub(crate) fn store_failures(&self) -> u64 {
        self.log.lock().expect("nobody panics with it").failures
    }

    /// What it has said last.
    pub(crate) fn said(&self) -> String {
        let log = self.log.lock().expect("nobody panics with it");
        log.last.iter().map(|line| format!("  {}: {line}\n", self.host.name())).collect()
    }
}

async fn spawn(words: &[String], dir: &Path, listen: SocketAddr, log: &Arc<Mutex<Log>>) -> (Child, SocketAddr) {
    let mut command = command(words, dir);
    // All buyers come from one address.
    command.args(["--listen", &listen.to_string()]).env("BOOKSTORE_RATE_LIMIT", "0");
    let mut child = command.spawn().expect("it can be started");
    tokio::spawn(collect(child.stderr.take().expect("piped"), Arc::clone(log)));
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await;
    let url = line.as_ref().ok().and_then(|line| line.as_ref().ok()?.as_deref()?.split_once(" listening on http://"));
    let address = url.and_then(|(_, address)| address.parse().ok());
    let Some(address) = address else { panic!("{words:?} did not start: {line:?} {log:?}") };
    (child, address)
}

async fn collect(stderr: impl AsyncRead + Unpin, log: Arc<Mutex<Log>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().expect("nobody panics with it");
        log.failures += u64::from(line.contains("the store failed to"));
        if log.last.len() == LOG_LINES {
            log.last.pop_front();
        }
        log.last.push_back(line);
    }
}

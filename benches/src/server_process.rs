//! Servers, each a process of its own.

use bookstore_cli::load::connection;
use hyper::StatusCode;
use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::runtime::Builder;

use crate::Result;

/// A server that is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start until `/readyz` answered with 200.
    pub ready_after: Duration,
}

/// How long a server may take to be ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether it is.
const READY_POLL: Duration = Duration::from_micros(200);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

impl Server {
    /// Starts a process whose first line of output ends with its URL, and waits until it is ready.
    ///
    /// # Errors
    /// - It does not start, or its first line is another.
    /// - It is not ready after a minute.
    pub fn start(mut command: Command) -> Result<Self> {
        remove_settings(&mut command);
        command.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("a server without output")?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok());
        let Some(address) = address else {
            drop(child.kill());
            return Err(format!("{command:?} did not print where it listens, but {line:?}").into());
        };
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        while !server.get("/readyz").is_ok_and(|(status, _)| status == StatusCode::OK) {
            if started.elapsed() > READY_MAX {
                return Err(format!("{command:?} did not become ready").into());
            }
            std::thread::sleep(READY_POLL);
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// Starts the `bookstore` executable in one of its roles, on any free port.
    ///
    /// # Errors
    /// As of [`Server::start`].
    pub fn bookstore(executable: &Path, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(executable);
        command.args(args).args(["--listen", "127.0.0.1:0"]);
        Self::start(command)
    }

    /// Starts the whole shop in one process over this file.
    ///
    /// # Errors
    /// As of [`Server::start`].
    pub fn monolith(executable: &Path, store: &Path) -> Result<Self> {
        Self::bookstore(executable, &["monolith", "--no-sample", "--store", &store_url(store)])
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body of `GET path`, on a connection of its own. Not to be called within a runtime.
    fn get(&self, path: &str) -> io::Result<(StatusCode, String)> {
        let address = self.address.to_string();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let answer = async { tokio::time::timeout(ANSWER_MAX, connection::get(&address, path)).await };
        let answer = runtime.block_on(answer)??;
        Ok((answer.head.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }

    /// A counter's value, summed over the series whose labels `matches` accepts.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn counter(&self, name: &str, matches: impl Fn(&str) -> bool) -> Result<f64> {
        let (_, text) = self.get("/metrics")?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let matching = lines.filter(|(labels, _)| (labels.is_empty() || labels.starts_with('{')) && matches(labels));
        Ok(matching.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
    }

    /// How many batches the ledger's writer has decided, and how many commands were in them.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn batches(&self) -> Result<(f64, f64)> {
        let sum = |name: &str| self.counter(name, |_| true);
        Ok((sum("bookstore_batch_commands_count")?, sum("bookstore_batch_commands_sum")?))
    }

    /// Resident memory in MB: now, and the most so far.
    ///
    /// # Errors
    /// The process has ended, or this is not Linux.
    pub fn resident_mb(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kib.map(|kib| kib * 1024.0 / 1e6).ok_or_else(|| format!("no {name} in /proc"))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time used so far, in seconds, in steps of 10 ms.
    ///
    /// # Errors
    /// The process has ended, or this is not Linux.
    pub fn processor_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').ok_or("a strange /proc")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // utime and stime are fields 14 and 15, counted from the process id; the name was the second.
        let ticks = fields.get(11..13).ok_or("a strange /proc")?.iter();
        Ok(ticks.map(|ticks| ticks.parse::<f64>().unwrap_or_default()).sum::<f64>() / 100.0)
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The shop as three servers. They are dropped from the frontend to the catalog.
#[derive(Debug)]
pub struct ThreeServers {
    /// What customers talk to.
    pub frontend: Server,
    /// The order server.
    pub order: Server,
    /// The catalog, with the ledger.
    pub catalog: Server,
}

impl ThreeServers {
    /// Starts them over `catalog.db`, which may have books already, and `orders.db` in this folder.
    ///
    /// # Errors
    /// As of [`Server::start`].
    pub fn start(executable: &Path, folder: &Path) -> Result<Self> {
        let (ledger, copy) = (store_url(&folder.join("catalog.db")), store_url(&folder.join("orders.db")));
        let catalog = Server::bookstore(executable, &["catalog", "--store", &ledger])?;
        let order = Server::bookstore(executable, &["order", "--store", &copy, "--catalog", &catalog.url()])?;
        // They share the processors, so the frontend leaves one in two to the others, as those do by themselves.
        let threads = std::thread::available_parallelism()?.get().div_ceil(2).to_string();
        let addresses = ["--catalog", &catalog.url(), "--order", &order.url()];
        let frontend = Server::bookstore(executable, &[&["frontend", "--threads", &threads], &addresses[..]].concat())?;
        Ok(Self { frontend, order, catalog })
    }
}

/// The URL of a store in this file.
#[must_use]
pub fn store_url(store: &Path) -> String {
    format!("sqlite:{}", store.display())
}

/// Removes the settings of `bookstore` from the environment of a command.
pub fn remove_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BOOKSTORE_")) {
        command.env_remove(name);
    }
}

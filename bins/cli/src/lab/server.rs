//! One server: a child process that does not outlive this process.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{LabError, http, metrics::Metrics};

/// How long a server may take to listen, and then to be ready.
const START_MAX: Duration = Duration::from_secs(30);
/// How long it may take to end.
const STOP_MAX: Duration = Duration::from_secs(15);
/// The pause between two checks of whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// The most lines of its log that are kept, and characters of each.
const LOG_LINES: usize = 12;
const LOG_CHARS: usize = 400;

type Log = Arc<Mutex<VecDeque<String>>>;

/// How a server is started.
#[derive(Clone, Debug)]
pub(super) struct Start<'a> {
    pub(super) executable: &'a Path,
    /// The folder of its files.
    pub(super) directory: PathBuf,
    /// Its name for people.
    pub(super) name: String,
    /// The command and its flags, without `--listen`.
    pub(super) args: Vec<String>,
}

impl Start<'_> {
    /// Starts it at `listen`, and waits until it listens.
    ///
    /// It is in a process group of its own, so that a Ctrl-C for this program does not reach it; and it ends when its
    /// stdin does, however this program ends.
    pub(super) async fn at(&self, listen: &str) -> Result<Server, LabError> {
        let mut command = Command::new(self.executable);
        command.args(&self.args).args(["--listen", listen, "--stop-with-stdin", "--log", "warn"]);
        // Variables for the user's own servers must not configure these.
        command.env_clear().current_dir(&self.directory).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| {
            self.failed(format!("{} cannot be started: {error}", self.executable.display()), String::new())
        })?;
        let log = Log::default();
        let reading = child.stderr.take().map(|stderr| tokio::spawn(collect(stderr, Arc::clone(&log))));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut server = Server {
            name: self.name.clone(),
            url: String::new(),
            child,
            log,
            reading,
            _stdin: stdin,
            stdout: stdout.map(BufReader::new),
        };
        server.url = server.listening().await?;
        Ok(server)
    }

    fn failed(&self, why: String, log: String) -> LabError {
        LabError::Server { server: self.name.clone(), why, log }
    }
}

/// A running server, killed at the latest when it is dropped.
pub(super) struct Server {
    name: String,
    pub(super) url: String,
    child: Child,
    log: Log,
    reading: Option<JoinHandle<()>>,
    /// The server stops when this is closed.
    _stdin: Option<ChildStdin>,
    /// Kept open: a server that cannot write to it would end.
    stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Waits for the line that says where it listens.
    async fn listening(&mut self) -> Result<String, LabError> {
        let mut line = String::new();
        let read = match &mut self.stdout {
            Some(stdout) => timeout(START_MAX, stdout.read_line(&mut line)).await,
            None => Ok(Ok(0)),
        };
        if let Some((_, url)) = line.trim().split_once(" listening on ") {
            return Ok(url.to_owned());
        }
        let why = match read {
            Err(_) => format!("does not listen after {} s", START_MAX.as_secs()),
            Ok(_) => match timeout(STOP_MAX, self.child.wait()).await {
                Ok(Ok(status)) => format!("did not start ({status})"),
                _ => format!("did not say where it listens, but {:?}", line.trim()),
            },
        };
        if let Some(reading) = self.reading.take() {
            let _ = timeout(STOP_MAX, reading).await;
        }
        Err(self.failed(why))
    }

    /// Waits until it says that it is ready.
    pub(super) async fn ready(&mut self) -> Result<(), LabError> {
        let until = Instant::now() + START_MAX;
        loop {
            let why = match http::get(&self.url, "/readyz").await {
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((_, body)) => body,
                Err(why) => why,
            };
            if let Some(status) = self.ended() {
                return Err(self.failed(format!("ended by itself ({status})")));
            }
            if Instant::now() > until {
                return Err(self.failed(format!("is not ready after {} s: {why}", START_MAX.as_secs())));
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Its metrics.
    pub(super) async fn metrics(&self) -> Result<Metrics, LabError> {
        match http::get(&self.url, "/metrics").await {
            Ok((status, text)) if status.is_success() => Ok(Metrics::parse(&text)),
            Ok((status, _)) => Err(self.failed(format!("/metrics was answered with {status}"))),
            Err(why) => Err(self.failed(why)),
        }
    }

    /// Its exit status, if it ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self) -> Result<(), LabError> {
        let killed = self.child.kill().await;
        killed.map_err(|error| self.failed(format!("cannot be killed: {error}")))
    }

    /// Closes its stdin, and waits until it has stopped cleanly.
    pub(super) async fn stop(mut self) -> Result<(), LabError> {
        self._stdin = None;
        match timeout(STOP_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failed(format!("ended with {status}"))),
            Ok(Err(error)) => Err(self.failed(format!("cannot be waited for: {error}"))),
            Err(_) => Err(self.failed(format!("did not stop in {} s", STOP_MAX.as_secs()))),
        }
    }

    /// The last lines of its log, indented under a heading; empty if there are none.
    pub(super) fn last_log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_empty() {
            return String::new();
        }
        let lines = log.iter().map(|line| format!("\n  {line}"));
        format!("\nThe last lines from {}:{}", self.name, lines.collect::<String>())
    }

    fn failed(&self, why: String) -> LabError {
        LabError::Server { server: self.name.clone(), why, log: self.last_log() }
    }
}

/// Keeps the last lines of stderr.
async fn collect(stderr: ChildStderr, log: Log) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line.chars().take(LOG_CHARS).collect());
    }
}

//! Real servers, each a process of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::context::{Context, Outcome};

/// A server that is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start until it said that it was ready.
    pub(crate) ready_after: Duration,
}

/// How long a server may take to be ready.
const READY_MAX: Duration = Duration::from_secs(60);

impl Server {
    /// Starts a process that says on its first line where it listens, and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BOOKSTORE_")) {
            command.env_remove(name);
        }
        command.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("a server without output")?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok());
        let Some(address) = address else {
            drop(child.kill());
            return Err(format!("{command:?} did not say where it listens, but {line:?}").into());
        };
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        while !matches!(get(address, "/readyz"), Ok((200, _))) {
            if started.elapsed() > READY_MAX {
                return Err(format!("{command:?} did not become ready").into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// The executable in one of its roles, on any free port.
    pub(crate) fn bookstore(context: &Context, args: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(&context.bookstore);
        command.args(args).args(["--listen", "127.0.0.1:0"]);
        Self::start(command)
    }

    /// The whole shop in one process over this file.
    pub(crate) fn monolith(context: &Context, store: &Path) -> Outcome<Self> {
        Self::bookstore(context, &["monolith", "--no-sample", "--store", &url(store)])
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A counter's value, summed over all its labels that `counts`.
    pub(crate) fn counter(&self, name: &str, counts: impl Fn(&str) -> bool) -> Outcome<f64> {
        let (_, text) = get(self.address, "/metrics")?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let matching = lines.filter(|(labels, _)| (labels.is_empty() || labels.starts_with('{')) && counts(labels));
        Ok(matching.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
    }

    /// Batches that the ledger's writer was handed, and the commands in them.
    pub(crate) fn batches(&self) -> Outcome<(f64, f64)> {
        let sum = |name: &str| self.counter(name, |_| true);
        Ok((sum("bookstore_batch_commands_count")?, sum("bookstore_batch_commands_sum")?))
    }

    /// Resident memory in MB: now, and the most so far.
    pub(crate) fn resident_mb(&self) -> Outcome<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kib.map(|kib| kib * 1024.0 / 1e6).ok_or_else(|| format!("no {name} in /proc"))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time used so far, in seconds, in steps of 10 ms.
    pub(crate) fn processor_seconds(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').ok_or("a strange /proc")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // utime and stime are fields 14 and 15, counted from the process id; the name was the second.
        let ticks =
            fields.get(11..13).ok_or("a strange /proc")?.iter().map(|ticks| ticks.parse::<f64>().unwrap_or_default());
        Ok(ticks.sum::<f64>() / 100.0)
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome<()> {
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

/// A store's URL.
pub(crate) fn url(store: &Path) -> String {
    format!("sqlite:{}", store.display())
}

/// The status and the body of one request on a connection of its own.
pub(crate) fn get(server: SocketAddr, path: &str) -> Outcome<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\nconnection: close\r\n\r\n");
    let answer = raw(server, &request)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).ok_or("not an answer")?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// All bytes of the answer to a request that closes its connection.
pub(crate) fn raw(server: SocketAddr, request: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

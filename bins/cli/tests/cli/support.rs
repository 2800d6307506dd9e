//! Running the executable.

use bookstore::{AccessToken, Bookstore};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef-admin";
pub(crate) const SERVER_TOKEN: &str = "0123456789abcdef0123456789abcdef-server";

/// The executable with nothing of ours in its environment.
pub(crate) fn bookstore(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bookstore"));
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("BOOKSTORE_"));
    for name in ours {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").args(args).stdin(Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the executable speaks UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in says {
            assert!(self.err.contains(part), "{part:?} is missing in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The longest that anything may take here, on a busy machine, too: only what hangs takes longer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs a command to its end, or kills it after [`TIMEOUT`].
pub(crate) fn finish(mut command: Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, (done, wait)) = (child.id(), mpsc::channel::<()>());
    let killer = thread::spawn(move || {
        if wait.recv_timeout(TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
            drop(Command::new("kill").args(["-9", &pid.to_string()]).status());
        }
    });
    let ended = child.wait_with_output().unwrap().into();
    drop(done);
    killer.join().unwrap();
    ended
}

/// A directory for one test, and commands that run in it.
pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        let dir = Self(TempDir::new().unwrap());
        dir.write_secret("admin.token", ADMIN_TOKEN);
        dir.write_secret("server.token", SERVER_TOKEN);
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        #[cfg(unix)]
        fs::set_permissions(self.path(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = bookstore(args);
        command.current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        finish(self.command(args))
    }

    /// Starts a server on any free port.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        let mut all = args.to_vec();
        all.extend(["--listen", "127.0.0.1:0"]);
        Server::start(self.0.path(), &all)
    }

    /// A shop in one process, with an admin.
    pub(crate) fn monolith(&self) -> Server {
        self.serve(&["monolith", "--admin-token-file", "admin.token"])
    }
}

/// A running server, killed at the latest when it is dropped.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    args: Vec<String>,
    pub(crate) url: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let kept = args.iter().map(|arg| (*arg).to_owned()).collect();
        // Nobody sends these servers anything once they are told to stop; a flag wins over this.
        Self::spawn(bookstore(args).env("BOOKSTORE_GRACE", "0").current_dir(dir), dir, kept)
    }

    /// Starts a server with a command of its own.
    pub(crate) fn spawn(command: &mut Command, dir: &Path, args: Vec<String>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let collected = Arc::clone(&log);
        let collector = thread::spawn(move || collect(stderr, &collected));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some((_, url)) = line.trim().split_once(" listening on ") else {
            let status = child.wait().unwrap();
            collector.join().unwrap();
            panic!("{args:?} did not start ({status}): {line:?} {}", log.lock().unwrap());
        };
        Self { dir: dir.to_path_buf(), args, url: url.to_owned(), child, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`, as a power cut would be for the process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended then.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it ends, and says how.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?} runs on: {}", self.args, self.log());
    }

    /// Starts again on the same port with the same store.
    pub(crate) fn restart(&mut self) {
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let at = args.iter().position(|arg| *arg == "--listen").unwrap() + 1;
        let address = self.address().to_owned();
        args[at] = &address;
        let again = Self::start(&self.dir, &args);
        *self = again;
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn ready(&self) {
        let until = Instant::now() + TIMEOUT;
        while !self.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(Instant::now() < until, "{:?} is not ready: {} {}", self.args, self.get("/readyz"), self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A request without any library of ours: the whole answer as text.
    pub(crate) fn get(&self, path: &str) -> String {
        use std::{io::Write as _, net::TcpStream};
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The shop behind it, for an admin. Needs a runtime.
    pub(crate) fn shop(&self) -> Bookstore {
        admin(&self.url)
    }
}

/// The shop behind these frontends, for an admin. Needs a runtime.
pub(crate) fn admin(urls: &str) -> Bookstore {
    Bookstore::connect_admin(urls, AccessToken::new(ADMIN_TOKEN).unwrap()).unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: ChildStderr, log: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}

//! A PostgreSQL server that a test starts for itself, in a temporary folder, and ends when nobody needs it any more.
//!
//! Needs the server's programs (Debian: `postgresql`). Without them a test says that it was skipped; with `BOOKSTORE_TEST_ALL=1` it fails.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// The longest that a server may take to start.
const START_MAX: Duration = Duration::from_secs(60);
/// The superuser, and its password over TCP.
const USER: &str = "postgres";
const PASSWORD: &str = "secret";
/// Waits for its standard input to end, also because the test has died, and then ends the server.
const WATCH: &str = r#""$@" >>log 2>&1 & pid=$!; echo $pid; read _; kill -INT $pid 2>/dev/null; wait $pid"#;

/// A running server.
pub(crate) struct Server {
    /// Its files, its log and its Unix socket.
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Process>>,
    databases: AtomicU32,
}

struct Process {
    watcher: Child,
    /// Ends the server when it is closed.
    alive: ChildStdin,
    id: u32,
}

/// A database that is dropped at the end.
pub(crate) struct Database {
    pub(crate) server: Arc<Server>,
    pub(crate) name: String,
}

impl Database {
    /// Over the Unix socket, without a password: in a test's build each password takes 30 ms.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://{USER}@/{}?host={}&port={}",
            self.name,
            self.server.folder.path().display(),
            self.server.port
        )
    }

    /// Over TCP, with the password.
    pub(crate) fn tcp_url(&self) -> String {
        self.server.url_at(self.server.port, &self.name)
    }

    /// What `psql` prints for a statement.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.server.psql(USER, &drop).output();
    }
}

/// The server that tests share which do not stop it; `None` if PostgreSQL is not installed.
pub(crate) fn shared() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    // Much faster, and nothing here cuts the power.
    let server = Server::start(&["fsync=off", "max_connections=300"])?;
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// A new database of the shared server.
pub(crate) fn database() -> Option<Database> {
    Some(shared()?.database())
}

impl Server {
    /// Starts a server with these settings; `None`, and a line that says so, if PostgreSQL is not installed.
    pub(crate) fn start(settings: &[&str]) -> Option<Arc<Self>> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "PostgreSQL must be installed for this test");
            println!("skipped: PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin or in PATH)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("bookstore-pg-").tempdir().expect("a temporary folder");
        give(folder.path());
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("written");
        give(&password);
        let mut initdb = plain_user(&programs.join("initdb"), folder.path());
        initdb.args(["-D", "data", "-U", USER, "--no-sync", "-E", "UTF8", "--locale=C", "--pwfile=password"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        let done = initdb.output().expect("initdb runs");
        assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let settings = settings.iter().map(ToString::to_string).collect();
        let (process, databases) = (Mutex::default(), AtomicU32::new(0));
        let server = Arc::new(Self { folder, programs, port, settings, process, databases });
        server.run();
        Some(server)
    }

    /// Starts it, or starts it again.
    pub(crate) fn run(&self) {
        let mut command = plain_user(Path::new("sh"), self.folder.path());
        command.args(["-c", WATCH, "sh"]).arg(self.programs.join("postgres"));
        command.args(["-D", "data", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-k", &self.folder.path().display().to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut watcher = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh runs");
        let alive = watcher.stdin.take().expect("piped");
        let mut id = String::new();
        BufReader::new(watcher.stdout.take().expect("piped")).read_line(&mut id).expect("a line");
        let id = id.trim().parse().expect("the id of a process");
        *self.process.lock().expect("nobody panics with it") = Some(Process { watcher, alive, id });
        let started = Instant::now();
        while !self.is_ready() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < START_MAX, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn is_ready(&self) -> bool {
        let psql = self.psql(USER, "SELECT 1").output().expect("psql runs");
        psql.status.success()
    }

    /// Ends it: at once, as if it had been killed, or after its connections were closed.
    pub(crate) fn stop(&self, at_once: bool) {
        let Some(mut process) = self.process.lock().expect("nobody panics with it").take() else { return };
        let signal = if at_once { "-QUIT" } else { "-INT" };
        let _ = Command::new("kill").args([signal, &process.id.to_string()]).status();
        let _ = process.alive.write_all(b"\n");
        drop(process.alive);
        let _ = process.watcher.wait();
    }

    pub(crate) fn database(self: &Arc<Self>) -> Database {
        let name = format!("shop_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(USER, &format!("CREATE DATABASE {name}"));
        Database { server: Arc::clone(self), name }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets the server read files of its folder.
    pub(crate) fn give_files(&self, names: &[&str]) {
        names.iter().for_each(|name| give(&self.folder.path().join(name)));
    }

    /// The URL of a database that is reached through another port.
    pub(crate) fn url_at(&self, port: u16, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let done = self.psql(database, sql).output().expect("psql runs");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database, "-c", sql]);
        psql.args(["-p", &self.port.to_string()]).arg("-h").arg(self.folder.path());
        psql
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(true);
    }
}

/// Where the server's programs are: those of the newest version.
fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    found.sort_by_key(|bin| bin.iter().rev().nth(1).and_then(|version| version.to_str()?.parse::<u32>().ok()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path);
    found.into_iter().rev().chain(path).find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// PostgreSQL refuses to run as root.
pub(crate) fn plain_user(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// Gives a file or a folder to the user that runs PostgreSQL.
fn give(path: &Path) {
    if is_root() {
        let done = Command::new("chown").arg(USER).arg(path).status().expect("chown runs");
        assert!(done.success(), "there is no user {USER}");
    }
}

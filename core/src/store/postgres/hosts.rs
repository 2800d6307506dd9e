//! The hosts of a database, and which of them is the one to write to.
//!
//! All are asked side by side. Of those that accept writes, the one whose ledger was claimed last wins, and of equals the one with more
//! entries: an old primary that was cut off also accepts writes, and says so.

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, time::Instant};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PostgresUrl, StoreError,
    outcome::describe,
    session::{Session, is_missing},
    tls,
    url::Target,
};

/// How long the other hosts are waited for once one has said that it accepts writes.
const OTHERS_WAIT: Duration = Duration::from_secs(1);

/// The hosts, and the one that was written to last.
pub(super) struct Hosts {
    targets: Vec<Target>,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    current: Mutex<Option<usize>>,
    /// Counts the changes of `current`.
    generation: AtomicU64,
    /// For messages.
    name: String,
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hosts").field(&self.name).finish()
    }
}

/// A host that accepts writes.
pub(super) struct Writable {
    pub(super) host: usize,
    pub(super) session: Session,
    /// How often its ledger was claimed, and its last entry; −1 if it has none.
    pub(super) place: (i64, i64),
}

impl Hosts {
    pub(super) fn of(url: &PostgresUrl) -> Result<Self, StoreError> {
        Ok(Self {
            targets: url.targets()?,
            tls: tls::connector(&url.tls)?,
            connect_timeout: url.connect_timeout,
            current: Mutex::new(None),
            generation: AtomicU64::new(0),
            name: url.to_string(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Readers go to this host from now on, over new connections.
    pub(super) fn set_current(&self, host: usize) {
        *self.current.lock().expect("nobody panics with it") = Some(host);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Another connection to the host that was written to last.
    pub(super) async fn connect_current(&self, runtime: &Handle) -> Result<Session, StoreError> {
        let current = *self.current.lock().expect("nobody panics with it");
        let target = &self.targets[current.unwrap_or_default()];
        let session = Session::connect(target, self.tls.clone(), self.connect_timeout, runtime).await;
        session.map_err(|why| StoreError::Failed(format!("{}: {why}", target.name)))
    }

    /// The hosts that accept writes and have the newest ledger; one at least, and nearly always that.
    ///
    /// # Errors
    /// None accepts writes. It says of each why not.
    pub(super) async fn newest_writable(&self, runtime: &Handle) -> Result<Vec<Writable>, StoreError> {
        let ask = |host| async move { (host, self.ask(host, runtime).await) };
        let mut asked: FuturesUnordered<_> = (0..self.targets.len()).map(ask).collect();
        let (mut found, mut refused) = (Vec::<Writable>::new(), Vec::new());
        let mut deadline = Instant::now() + 2 * self.connect_timeout;
        while let Ok(Some((host, answer))) = tokio::time::timeout_at(deadline, asked.next()).await {
            match answer {
                Ok(writable) => {
                    deadline = deadline.min(Instant::now() + OTHERS_WAIT);
                    found.push(writable);
                }
                Err(why) => refused.push(format!("{}: {why}", self.targets[host].name)),
            }
        }
        let Some(newest) = found.iter().map(|writable| writable.place).max() else {
            let why = if refused.is_empty() { "no host answered in time".into() } else { refused.join("; ") };
            return Err(StoreError::Failed(format!("no host can be written to: {why}")));
        };
        found.retain(|writable| writable.place == newest);
        Ok(found)
    }

    async fn ask(&self, host: usize, runtime: &Handle) -> Result<Writable, String> {
        let target = &self.targets[host];
        let mut session = Session::connect(target, self.tls.clone(), self.connect_timeout, runtime).await?;
        let state = session.query(STATE, &[]).await.map_err(|error| describe(&error))?;
        let [is_standby, is_read_only]: [bool; 2] = state.first().map_or([true; 2], |row| [row.get(0), row.get(1)]);
        if is_standby {
            return Err("it is a standby, which accepts no writes; give the primary, too".into());
        }
        if is_read_only {
            return Err("the database, or the user, is set to read only (default_transaction_read_only)".into());
        }
        let place = match session.query("SELECT epoch, seq FROM bookstore.ledger", &[]).await {
            Ok(rows) => rows.first().map_or((-1, -1), |row| (row.get(0), row.get(1))),
            // What is there instead is looked at later.
            Err(error) if is_missing(&error) => (-1, -1),
            Err(error) => return Err(describe(&error)),
        };
        Ok(Writable { host, session, place })
    }

    /// Refuses a pooler that gives each transaction another connection: what a session sets would be of another one.
    ///
    /// Both sessions set a variable of their own. A pooler lends the connection that is free to both, one after the other.
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub(super) async fn refuse_pooler(&self, session: &mut Session, runtime: &Handle) -> Result<(), StoreError> {
        let other = self.connect_current(runtime).await?;
        for (session, value) in [(&*session, "one"), (&other, "other")] {
            session.batch(&format!("SELECT set_config('bookstore.session', '{value}', false)")).await?;
        }
        let row = session.query_one("SELECT current_setting('bookstore.session', true)", &[]).await?;
        if row.get::<_, Option<&str>>(0) == Some("one") {
            return Ok(());
        }
        Err(StoreError::Unusable(format!(
            "{}: a pooler in transaction mode (such as pgbouncer) is in between; connect to PostgreSQL itself",
            self.name
        )))
    }
}

const STATE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean";

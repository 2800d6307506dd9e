//! One direct connection to a server.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, task::AbortHandle, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Error, Row, RowStream, Statement,
    error::{Severity, SqlState},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    StoreError,
    outcome::{WriteError, describe, describe_connect},
    url::Target,
};

/// The value of a parameter.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    /// How many warnings the server has sent.
    warnings: Arc<AtomicU64>,
    driver: AbortHandle,
    statements: HashMap<String, Statement>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// Settings that a role or a database may have otherwise, and that the store relies on:
/// - a commit waits for the disk, and for the standby that is waited for;
/// - a warning is sent, which a commit that was not replicated carries;
/// - no time limit of the server cuts a statement off, but a lock is waited for 2 seconds only: less than a write is;
/// - a statement sees what was committed when it began, and takes the newest row that it locks;
/// - plans do not depend on values, nor on how small a table was when they were made: there is an index for every statement.
const SETTINGS: &str = "
    SELECT set_config(name, value, false) FROM (VALUES
        ('client_min_messages', 'notice'),
        ('statement_timeout', '0'),
        ('transaction_timeout', '0'),
        ('idle_session_timeout', '0'),
        ('lock_timeout', '2000'),
        ('default_transaction_isolation', 'read committed'),
        ('search_path', 'pg_catalog'),
        ('enable_seqscan', 'off'),
        ('jit', 'off'),
        ('plan_cache_mode', 'force_generic_plan')) wanted (name, value)
    WHERE name IN (SELECT name FROM pg_catalog.pg_settings);
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');";

impl Session {
    /// Connects to one host, and sets what the store relies on. `runtime` drives the connection.
    ///
    /// # Errors
    /// In words, without the host's name.
    pub(super) async fn connect(
        target: &Target,
        tls: MakeRustlsConnect,
        within: Duration,
        runtime: &Handle,
    ) -> Result<Self, String> {
        let (config, on) = (target.config.clone(), runtime.clone());
        let connecting = async move {
            let (client, mut connection) = config.connect(tls).await?;
            let warnings = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&warnings);
            let driver = on.spawn(async move {
                // A notice is counted before the answer that follows it is handed out.
                while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                    if let AsyncMessage::Notice(notice) = message
                        && notice.parsed_severity() == Some(Severity::Warning)
                    {
                        tracing::warn!(code = notice.code().code(), "PostgreSQL warns: {}", notice.message());
                        seen.fetch_add(1, Ordering::Release);
                    }
                }
            });
            let session = Self { client, warnings, driver: driver.abort_handle(), statements: HashMap::new() };
            session.client.batch_execute(SETTINGS).await?;
            Ok::<_, Error>(session)
        };
        let user = target.config.get_user().unwrap_or_default();
        let database = target.config.get_dbname().unwrap_or(user);
        // On that runtime: a socket belongs to the runtime that it was made on.
        let connected = runtime.spawn(timeout(within, connecting)).await;
        match connected.map_err(|_| "connecting was given up".to_owned())? {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(describe_connect(&error, database, user)),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Closes the socket at once, whatever is on its way. The server goes on with what it has received.
    pub(super) fn cut(self) {
        self.driver.abort();
    }

    /// Several statements without parameters, in one transaction unless they say otherwise.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    async fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// All rows, when the transaction has ended.
    pub(super) async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, values).await
    }

    /// The one row, when the transaction has ended.
    pub(super) async fn query_one(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Row, StoreError> {
        let rows = self.query(sql, values).await?;
        rows.into_iter().next().ok_or_else(|| StoreError::Unusable("the ledger is damaged: a row is missing".into()))
    }

    /// The rows one after the other.
    pub(super) async fn stream(&mut self, sql: &str, values: &[Value<'_>]) -> Result<RowStream, Error> {
        let statement = self.statement(sql).await?;
        self.client.query_raw(&statement, values.iter().copied()).await
    }

    /// A statement that writes, in a transaction of its own. When this returns rows, it has been committed, and replicated if the server is
    /// set up so.
    ///
    /// The server is never asked to cancel it: a commit that waits for a standby would then be there, and not replicated.
    ///
    /// # Errors
    /// - [`WriteError::Unknown`] also after `within`, and if a warning came with the commit. Then the session MUST be [cut](Self::cut).
    pub(super) async fn write(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        within: Duration,
    ) -> Result<Vec<Row>, WriteError> {
        let unsent = |why: String| WriteError::NotWritten(StoreError::Failed(why));
        if self.is_closed() {
            return Err(unsent("the connection to PostgreSQL was lost".into()));
        }
        let deadline = tokio::time::Instant::now() + within;
        let prepared = tokio::time::timeout_at(deadline, self.statement(sql)).await;
        let statement = prepared.map_err(|_| unsent("PostgreSQL did not answer in time".into()))?;
        let statement = statement.map_err(|error| unsent(describe(&error)))?;
        let before = self.warnings.load(Ordering::Acquire);
        let unknown = |why: &str| WriteError::Unknown(StoreError::Failed(why.into()));
        let sent = tokio::time::timeout_at(deadline, self.client.query(&statement, values)).await;
        let rows = sent.map_err(|_| unknown("PostgreSQL did not answer in time"))?;
        let rows = rows.map_err(|error| WriteError::of(&error))?;
        if self.warnings.load(Ordering::Acquire) != before {
            return Err(unknown("PostgreSQL committed with a warning: it may not be replicated"));
        }
        Ok(rows)
    }
}

/// Whether it is the error of a table or schema that is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN | &SqlState::INVALID_SCHEMA_NAME)
    )
}

//! The ledger in a PostgreSQL database: for those who outgrow one machine, or have a highly available PostgreSQL already.
//!
//! One catalog writes. It *claims* the ledger when it starts, which raises the ledger's epoch; from then on no append of an earlier epoch
//! can succeed, so two catalogs never both sell. There is no lease, and no clock matters. An append is one statement, and what was only read
//! is told when a later write of the same epoch has been committed.
//!
//! What is acknowledged is as durable as the server makes it: with a standby that is waited for (`synchronous_standby_names`), on two
//! machines.
//!
//! | file | what it does |
//! |---|---|
//! | `url.rs`, `tls.rs`, `session.rs`, `hosts.rs` | URLs and passwords; TLS; one connection; which of several hosts is written to |
//! | `schema.rs` | the tables, and how they are brought up to date |
//! | `claim.rs` | who writes, and how that is confirmed |
//! | `ledger_store.rs`, `append.rs`, `outcome.rs` | the writing half; the statement; what an error means for it |
//! | `reader.rs`, `pool.rs`, `rows.rs`, `contacts.rs` | the reading half, its connections, rows as domain types |
//! | `view.rs` | a ledger as of one moment, for audits and exports |
//!
//! ```no_run
//! use bookstore_core::{Catalog, CatalogOptions, SystemClock, store::postgres::{self, PostgresOptions}};
//! use std::sync::Arc;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "postgres://shop@db1,db2/shop?sslmode=verify-full&sslrootcert=ca.pem&passfile=shop.pgpass".parse()?;
//! let clock = Arc::new(SystemClock);
//! let (store, reader) = postgres::open(&url, clock.clone(), PostgresOptions::default()).await?;
//! // It waits for the server, so not on a thread of the runtime.
//! let start = move || Catalog::start(store, reader.clone(), reader, clock, CatalogOptions::default());
//! let catalog = tokio::task::spawn_blocking(start).await??;
//! # drop(catalog);
//! # Ok(())
//! # }
//! ```

mod append;
mod claim;
mod contacts;
mod hosts;
mod ledger_store;
mod outcome;
mod pool;
mod reader;
mod rows;
mod schema;
mod session;
mod tls;
mod url;
mod view;

pub use ledger_store::PostgresStore;
pub use reader::PostgresReader;
pub use url::PostgresUrl;
pub use view::{View, is_in_use};

use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

use super::StoreError;
use crate::{clock::Clock, money::Currency};
use hosts::{Hosts, Writable};
use schema::NewIds;

/// How a PostgreSQL store runs, and its limits. It has one connection that writes, beside those that read.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// What the amounts of the ledger are in. With `None` a ledger keeps its currency, and a new one is in US dollars.
    pub currency: Option<Currency>,
    /// Connections that read at the same time; at least one. They are made when they are needed.
    pub readers: usize,
    /// Reads that run or wait for a connection; more are refused as overloaded.
    pub waiting_reads_max: usize,
    /// Books whose texts are kept in memory: about 300 bytes each, and at most 1,024 on average.
    pub cached_texts: usize,
    /// How long a write is waited for before its outcome counts as unknown.
    pub write_timeout: Duration,
    /// How long it is tried then to find out, before its callers learn that it is unknown.
    pub resolve_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            currency: None,
            readers: 4,
            waiting_reads_max: 1024,
            cached_texts: 65_536,
            write_timeout: Duration::from_secs(3),
            resolve_timeout: Duration::from_secs(3),
        }
    }
}

/// Opens the ledger in a database, or makes it with an id from `clock`: its writing half, and its reading half. An earlier format is brought up
/// to date. Nothing is claimed before [`LedgerStore::recover`](super::LedgerStore::recover).
///
/// It is called on a runtime with I/O and time, which drives the connections that read, and MUST go on as long as these are used.
///
/// # Errors
/// - [`StoreError::Failed`] if no host can be written to; it says of each why not.
/// - [`StoreError::Unusable`] if the password file, the CA's certificate, the schema or the currency is wrong, or a pooler is in between.
/// - [`StoreError::TooNew`] if a newer program made the tables.
pub async fn open(
    url: &PostgresUrl,
    clock: Arc<dyn Clock>,
    options: PostgresOptions,
) -> Result<(PostgresStore, Arc<PostgresReader>), StoreError> {
    let (hosts, runtime) = (Arc::new(Hosts::of(url)?), Handle::current());
    let mut session = connect(&hosts, &runtime).await?;
    let ids = NewIds::drawn(clock.as_ref(), options.currency.unwrap_or_default());
    schema::migrate(&mut session, hosts.name(), ids).await?;
    let (identity, ..) = schema::identity(&mut session, hosts.name()).await?;
    refuse_another_currency(hosts.name(), identity.currency, options.currency)?;
    warn_if_not_durable(&mut session).await?;
    let reader = PostgresReader::new((Arc::clone(&hosts), runtime), session, identity, &options);
    Ok((PostgresStore::new(hosts, clock, options), Arc::new(reader)))
}

/// What [`migrate`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The format before; 0 if there was no ledger.
    pub from: i32,
    /// The format now.
    pub to: i32,
}

/// Makes the tables if there are none, and brings them up to date, without claiming the ledger. A catalog does the same when it starts.
///
/// # Errors
/// As [`open`].
pub async fn migrate(url: &PostgresUrl, clock: &dyn Clock, currency: Option<Currency>) -> Result<Migrated, StoreError> {
    let (hosts, runtime) = (Hosts::of(url)?, Handle::current());
    let mut session = connect(&hosts, &runtime).await?;
    let ids = NewIds::drawn(clock, currency.unwrap_or_default());
    let from = schema::migrate(&mut session, hosts.name(), ids).await?;
    let (identity, ..) = schema::identity(&mut session, hosts.name()).await?;
    refuse_another_currency(hosts.name(), identity.currency, currency)?;
    Ok(Migrated { from, to: schema::VERSION })
}

/// A connection to the host that is written to, without a pooler in between.
async fn connect(hosts: &Hosts, runtime: &Handle) -> Result<session::Session, StoreError> {
    let mut writable = hosts.newest_writable(runtime).await?;
    let Some(Writable { host, mut session, .. }) = writable.pop() else {
        return Err(StoreError::Failed("no host can be written to".into()));
    };
    hosts.set_current(host);
    hosts.refuse_pooler(&mut session, runtime).await?;
    Ok(session)
}

fn refuse_another_currency(name: &str, currency: Currency, asked: Option<Currency>) -> Result<(), StoreError> {
    match asked.filter(|asked| *asked != currency) {
        Some(asked) => Err(StoreError::Unusable(format!(
            "{name}: its amounts are in {currency}, not in {asked}; a ledger keeps its currency, so leave that out, or give another database"
        ))),
        None => Ok(()),
    }
}

/// A server that does not wait for its disk loses what was acknowledged in a power cut.
async fn warn_if_not_durable(session: &mut session::Session) -> Result<(), StoreError> {
    let sql = "SELECT name::text FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'";
    for row in session.query(sql, &[]).await? {
        let setting: &str = row.get(0);
        tracing::warn!("{setting} is off in PostgreSQL: acknowledged orders are lost in a power cut");
    }
    Ok(())
}

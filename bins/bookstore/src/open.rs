//! Opening a shop in this process: store URLs, and the services over a ledger.

#[cfg(feature = "sqlite")]
use bookstore_core::store::sqlite::{self, SqliteOptions};
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, OrderService, Orders, SystemClock,
    store::{StoreError, memory},
    writer::Closed,
};
use bookstore_transport_inproc::InProcess;
use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use crate::OpenError;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file, made if there is none.
    Sqlite(PathBuf),
    /// `memory:`: gone when the process ends.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(url: &str) -> Result<Self, OpenError> {
        let bad = |why: String| Err(OpenError::Url(why));
        match url.split_once(':') {
            Some(("sqlite", "" | "//")) => bad("the path is missing; try sqlite:bookstore.db".into()),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into())),
            Some(("memory", "" | "//")) => Ok(Self::Memory),
            Some(("postgres" | "postgresql", _)) => {
                bad("PostgreSQL is not supported in this build; use sqlite:PATH".into())
            }
            _ => bad(format!(
                "{url:?} is not a store's URL; use sqlite:PATH, for example sqlite:bookstore.db, or memory:"
            )),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Both services of a shop.
pub(crate) type Services = (Arc<dyn CatalogService>, Arc<dyn OrderService>);

/// The services of a shop in this process.
pub(crate) async fn embedded(store: StoreUrl) -> Result<(Services, Closed), StoreError> {
    let ledger = ledger(store).await?;
    let closed = ledger.closed();
    Ok((in_process(ledger), closed))
}

/// Both services over a ledger of this process: the order side reads the ledger itself.
pub(crate) fn in_process(ledger: Arc<Catalog>) -> Services {
    let catalog: Arc<dyn CatalogService> = Arc::new(InProcess::new(Arc::clone(&ledger)));
    let orders = Orders::new(Arc::clone(&catalog), ledger);
    (catalog, Arc::new(orders))
}

/// Opens a ledger away from the tasks: it may wait for the disk, or for another process to end.
pub(crate) async fn ledger(store: StoreUrl) -> Result<Arc<Catalog>, StoreError> {
    let open = move || {
        let (clock, options) = (Arc::new(SystemClock), CatalogOptions::default());
        match store {
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(path) => {
                let (store, reader) = sqlite::open(&path, clock.as_ref(), SqliteOptions::default())?;
                Catalog::start(store, reader.clone(), reader, clock, options)
            }
            #[cfg(not(feature = "sqlite"))]
            StoreUrl::Sqlite(_) => Err(StoreError::Unusable("SQLite is not in this build (feature `sqlite`)".into())),
            StoreUrl::Memory => {
                let (store, reader) = memory::open(clock.as_ref());
                Catalog::start(store, reader.clone(), reader, clock, options)
            }
        }
    };
    Ok(Arc::new(blocking(open).await?))
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Failed("opening the store panicked".into())))
}

/// How long a store may take to close.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Waits for a store whose handles are gone.
pub(crate) async fn wait_until_closed(closed: Closed) {
    if tokio::time::timeout(CLOSING_MAX, closed.wait()).await.is_err() {
        tracing::warn!("the store is still being closed; nothing is lost, but the next start takes longer");
    }
}

//! A shop in this process: store URLs, and both services over one ledger.

#[cfg(feature = "search")]
use bookstore_core::search::IndexedSearch;
#[cfg(feature = "postgres")]
use bookstore_core::store::postgres::{self, PostgresOptions, PostgresUrl};
#[cfg(feature = "sqlite")]
use bookstore_core::store::sqlite::{self, SqliteOptions};
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, ContactRule, Currency, OrderService, Orders, SystemClock,
    search::BookSearch,
    store::{LedgerReader, StoreError, memory},
};
use bookstore_transport_inproc::InProcess;
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use crate::facade::Bookstore;

/// Why a shop cannot be opened or connected to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL of a store or a server is malformed; the message says how it should look.
    #[error("{0}")]
    Url(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a store is.
///
/// ```
/// use bookstore::StoreUrl;
///
/// let url: StoreUrl = "sqlite:shop.db".parse()?;
/// assert_eq!(url, StoreUrl::Sqlite("shop.db".into()));
/// assert_eq!("sqlite:///var/lib/shop.db".parse::<StoreUrl>()?.to_string(), "sqlite:/var/lib/shop.db");
/// # Ok::<(), bookstore::OpenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file, which is created if there is none. One process at a time can open it. Needs feature `sqlite`.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/DATABASE`: a database, in which the tables are made if there are none. Whoever opens it takes it over from
    /// whoever has it open. Shown as text it has no password. Needs feature `postgres`.
    #[cfg(feature = "postgres")]
    Postgres(PostgresUrl),
    /// `memory:`: a new, empty store, which is gone when the process ends.
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
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => match url.parse() {
                Ok(url) => Ok(Self::Postgres(url)),
                Err(error) => bad(error.to_string()),
            },
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => {
                bad("PostgreSQL is not in this build (feature `postgres`); use sqlite:PATH".into())
            }
            _ => bad(format!(
                "{url:?} is not a store's URL; use sqlite:PATH, for example sqlite:bookstore.db, postgres://USER@HOST/DATABASE, or memory:"
            )),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => url.fmt(f),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// How [`Bookstore::open_with`] opens a shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// What all amounts are in. A new shop without one is in US dollars. A shop keeps its currency: opening it with another one is
    /// refused.
    pub currency: Option<Currency>,
}

impl Bookstore {
    /// Opens a shop in this process, over the store at `url`: `sqlite:PATH`, a file that is created if there is none,
    /// `postgres://…`, a database, or `memory:`. See [`StoreUrl`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("shop.db");
    /// # let url = format!("sqlite:{}", path.display());
    /// use bookstore::{Bookstore, sample};
    ///
    /// let shop = Bookstore::open(&url).await?; // "sqlite:shop.db"
    /// shop.add_books(sample::books()).await?;
    /// shop.close().await;
    ///
    /// let reopened = Bookstore::open(&url).await?;
    /// assert_eq!(reopened.search("noobs").await?.books.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`OpenError::Url`]: `url` is not a store's URL.
    /// - [`OpenError::Store`] with [`StoreError::InUse`]: another process has the file open.
    /// - [`OpenError::Store`] with another error: the file is damaged, is not a bookstore's, was written by a newer version, or
    ///   cannot be read and written.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, OpenOptions::default()).await
    }

    /// Opens a shop as [`open`](Self::open) does, in a currency.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bookstore::{Bookstore, OpenOptions, core::Cents};
    ///
    /// let options = OpenOptions { currency: Some("JPY".parse()?) };
    /// let shop = Bookstore::open_with("memory:", options).await?;
    /// assert_eq!(shop.currency().await?.show(Cents::new(1999)?), "¥1,999");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open); [`OpenError::Store`] with [`StoreError::Unusable`] also if the shop is in another currency.
    pub async fn open_with(url: &str, options: OpenOptions) -> Result<Self, OpenError> {
        Self::open_store(url.parse()?, options).await
    }

    /// Opens a shop as [`open_with`](Self::open_with) does, over a store whose URL was read before.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with), but for [`OpenError::Url`].
    pub async fn open_store(store: StoreUrl, options: OpenOptions) -> Result<Self, OpenError> {
        let ledger = open_ledger(store, ContactRule::Optional, options.currency).await?;
        let closed = ledger.closed();
        let (catalog, orders) = in_process(ledger);
        Ok(Self::new(catalog, orders).with_closed(closed))
    }
}

/// Both services of a shop.
pub(crate) type Services = (Arc<dyn CatalogService>, Arc<dyn OrderService>);

/// Both services over a ledger in this process; orders are read from the ledger itself.
pub(crate) fn in_process(ledger: Arc<Catalog>) -> Services {
    let catalog: Arc<dyn CatalogService> = Arc::new(InProcess::new(Arc::clone(&ledger)));
    let orders = Orders::new(Arc::clone(&catalog), ledger);
    (catalog, Arc::new(orders))
}

/// Opens a ledger on a thread that may block: it may wait for the disk, or for another process to end.
pub(crate) async fn open_ledger(
    store: StoreUrl,
    contacts: ContactRule,
    currency: Option<Currency>,
) -> Result<Arc<Catalog>, StoreError> {
    let (clock, options) = (Arc::new(SystemClock), CatalogOptions { contacts, ..CatalogOptions::default() });
    let catalog = match store {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => {
            let open = move || {
                let (store, reader) =
                    sqlite::open(&path, clock.as_ref(), SqliteOptions { currency, ..SqliteOptions::default() })?;
                let search = search_of(Some(&path), reader.clone());
                Catalog::start(store, reader, search, clock, options)
            };
            blocking(open).await?
        }
        #[cfg(not(feature = "sqlite"))]
        StoreUrl::Sqlite(_) => return Err(without_sqlite()),
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(url) => {
            let postgres_options = PostgresOptions { currency, ..PostgresOptions::default() };
            let (store, reader) = postgres::open(&url, clock.clone(), postgres_options).await?;
            let search = search_of(None, reader.clone());
            blocking(move || Catalog::start(store, reader, search, clock, options)).await?
        }
        StoreUrl::Memory => {
            let (store, reader) = memory::open_in(currency.unwrap_or_default(), clock.as_ref());
            let search = search_of(None, reader.clone());
            blocking(move || Catalog::start(store, reader, search, clock, options)).await?
        }
    };
    // The shop sells while the books are read, and while an index that is not there yet is built.
    catalog.prepare_searches();
    Ok(Arc::new(catalog))
}

/// The search of a store: its index is in a folder beside the file, or in memory if there is no file.
#[cfg(feature = "search")]
fn search_of(file: Option<&Path>, reader: Arc<impl LedgerReader + 'static>) -> Arc<dyn BookSearch> {
    let folder = file.map(|file| {
        let mut folder = file.as_os_str().to_owned();
        folder.push(".search");
        PathBuf::from(folder)
    });
    Arc::new(IndexedSearch::open(folder.as_deref(), reader))
}

/// The search of a store: by reading its texts.
#[cfg(not(feature = "search"))]
fn search_of(_: Option<&Path>, reader: Arc<impl LedgerReader + 'static>) -> Arc<dyn BookSearch> {
    reader
}

/// Why there is no SQLite store.
#[cfg(not(feature = "sqlite"))]
pub(crate) fn without_sqlite() -> StoreError {
    StoreError::Unusable("SQLite is not in this build (feature `sqlite`)".into())
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Failed("opening the store panicked".into())))
}

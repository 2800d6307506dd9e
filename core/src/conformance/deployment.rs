//! What a case runs on.

use std::{any::Any, fmt, sync::Arc};

use super::retrying::Retrying;
use crate::{catalog::CatalogService, orders::OrderService};

/// Both services over an empty ledger, for one case. Clones share the ledger.
///
/// The order service must sell from the catalogue's ledger. Whatever the services need to stay alive goes into
/// [`Deployment::keep`]:
///
/// ```
/// use bookstore_core::{Catalog, CatalogOptions, Orders, SystemClock, conformance::Deployment, store::sqlite};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("shop.db");
/// let (store, reader) = sqlite::open(&path, &SystemClock, sqlite::SqliteOptions::default())?;
/// let catalog = Arc::new(Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())?);
/// let orders = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
/// let deployment = Deployment::new(catalog, orders).keep(dir).repeated();
/// assert!(deployment.repeats);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Deployment {
    /// The catalogue.
    pub catalog: Arc<dyn CatalogService>,
    /// The order service over that catalogue.
    pub orders: Arc<dyn OrderService>,
    /// Whether each call with a key is sent twice. Then every receipt is `replayed`, and no added book is `created`.
    pub repeats: bool,
    /// What the services need. It is dropped after them.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Deployment {
    /// A catalogue with an empty ledger, and an order service over it.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> Self {
        Self { catalog, orders, repeats: false, kept: Vec::new() }
    }

    /// Keeps something alive until the case is over: a server's handle, a temporary folder.
    #[must_use]
    pub fn keep(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(guard));
        self
    }

    /// The same deployment with every call that has a key [sent twice](Retrying).
    #[must_use]
    pub fn repeated(self) -> Self {
        let (catalog, orders) = (Arc::new(Retrying(self.catalog)), Arc::new(Retrying(self.orders)));
        Self { catalog, orders, repeats: true, kept: self.kept }
    }
}

impl fmt::Debug for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployment").field("repeats", &self.repeats).finish_non_exhaustive()
    }
}

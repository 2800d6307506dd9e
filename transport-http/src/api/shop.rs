//! The shop behind the public interface: what the handlers of the API and of the pages share.

use axum::extract::State;
use bookstore_core::{CatalogService, Clock, OrderService};
use std::{fmt, sync::Arc};

use super::events::feed::Feed;
use crate::token::AccessToken;

/// The services and settings behind a public interface.
pub struct Shop {
    /// What there is to buy.
    pub catalog: Arc<dyn CatalogService>,
    /// Sells and cancels.
    pub orders: Arc<dyn OrderService>,
    /// Makes the order ids of buyers that bring none.
    pub clock: Arc<dyn Clock>,
    /// What an admin request must show; without it admin is off.
    pub admin: Option<AccessToken>,
    /// Stock and price changes for `GET /events`.
    pub feed: Feed,
}

impl Shop {
    /// A shop over these services. Nothing runs until the first request.
    #[must_use]
    pub fn new(
        catalog: Arc<dyn CatalogService>,
        orders: Arc<dyn OrderService>,
        clock: Arc<dyn Clock>,
        admin: Option<AccessToken>,
    ) -> Self {
        let feed = Feed::new(Arc::clone(&catalog));
        Self { catalog, orders, clock, admin, feed }
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("admin", &self.admin).field("feed", &self.feed).finish_non_exhaustive()
    }
}

/// The shop as handlers get it.
pub(crate) type Shared = State<Arc<Shop>>;

//! The shop behind the public interface: what the handlers of the API and of the pages share.

use axum::extract::State;
use bookstore_core::{CatalogService, Clock, OrderService};
use std::{fmt, sync::Arc};

use super::events::feed::Feed;
use crate::token::Tokens;

/// The services and settings behind a public interface.
pub struct Shop {
    /// What there is to buy.
    pub catalog: Arc<dyn CatalogService>,
    /// Sells and cancels.
    pub orders: Arc<dyn OrderService>,
    /// Makes the order ids of buyers that bring none.
    pub clock: Arc<dyn Clock>,
    /// What an admin request must show one of; without any admin is off.
    pub tokens: Tokens,
    /// Whether buyers may hold copies without buying them.
    pub public_holds: bool,
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
        tokens: impl Into<Tokens>,
    ) -> Self {
        let feed = Feed::new(Arc::clone(&catalog));
        Self { catalog, orders, clock, tokens: tokens.into(), public_holds: false, feed }
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("tokens", &self.tokens).field("feed", &self.feed).finish_non_exhaustive()
    }
}

/// The shop as handlers get it.
pub(crate) type Shared = State<Arc<Shop>>;

//! The public interface: one URL space, two representations. HTML for browsers, JSON for everybody else.

mod admin;
mod books;
mod events;
pub(crate) mod extract;
mod messages;
mod openapi;
mod orders;
mod query;
mod rejection;
#[cfg(feature = "client")]
mod remote;
mod response_format;
mod security_headers;
mod site;

use axum::{Router, extract::State, response::Response};
use bookstore_core::{CatalogService, Clock, OrderService};
use std::sync::Arc;
use tower::layer::layer_fn;

use crate::{
    pages,
    server::{ServerLimits, guard},
    token::AccessToken,
};

pub use events::{Feed, SUBSCRIBERS_MAX};
pub use openapi::document;
pub use rejection::Rejection;
#[cfg(feature = "client")]
pub use remote::RemoteShop;
pub use response_format::ResponseFormat;
pub use site::Site;

/// What every request handler of the public interface shares.
pub struct Shop {
    /// What there is to buy.
    pub catalog: Arc<dyn CatalogService>,
    /// Who sells it.
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

/// The shop as handlers get it.
pub(crate) type Shared = State<Arc<Shop>>;

/// What a handler answers. A [`Rejection`] becomes an error page for browsers, a problem for others.
pub(crate) type Answer = Result<Response, Rejection>;

/// The limits of a server for this router: room in a URI for the longest page token, which holds a title.
#[must_use]
pub fn limits() -> ServerLimits {
    ServerLimits { uri_bytes_max: 8 << 10, ..ServerLimits::default() }
}

/// The public interface as a router, without the operator's `/livez`, `/readyz` and `/metrics`: to be put into another
/// program's routes. A server of its own is faster with a [`Site`].
pub fn router(shop: Shop) -> Router {
    routes(&Arc::new(shop)).layer(layer_fn(security_headers::around))
}

fn routes(shop: &Arc<Shop>) -> Router {
    let (documented, _) = openapi::routes().split_for_parts();
    let router = documented.merge(pages::routes()).with_state(Arc::clone(shop));
    guard::labelled(security_headers::with_fallbacks(router))
}

//! The public interface for programs: JSON over HTTP, server-sent events, and the client for both.
//!
//! The web pages are in `pages`, which builds on this module; nothing here knows of them.

mod admin;
mod books;
mod changes;
pub(crate) mod contacts;
#[cfg(feature = "pages")]
pub(crate) mod direct;
mod events;
pub(crate) mod extract;
mod json;
mod messages;
#[cfg(feature = "openapi")]
mod openapi;
pub(crate) mod order_id;
mod orders;
mod query;
mod rejection;
#[cfg(feature = "client")]
mod remote;
pub(crate) mod roles;
pub(crate) mod routes;
mod security_headers;
mod shop;

use axum::Router;
use std::sync::Arc;

use crate::server::ServerLimits;

pub use events::{Feed, SUBSCRIBERS_MAX};
#[cfg(feature = "openapi")]
pub use openapi::document;
pub use rejection::Rejection;
#[cfg(feature = "client")]
pub use remote::RemoteShop;
pub use roles::ROLES;
pub use shop::Shop;
#[cfg(feature = "pages")]
pub(crate) use {orders::READS_CONTACTS, rejection::Answer, shop::Shared};

/// The limits of a server for this router: room in a URI for the longest page token, which holds a title.
#[must_use]
pub fn limits() -> ServerLimits {
    ServerLimits { uri_bytes_max: 8 << 10, ..ServerLimits::default() }
}

/// The JSON API as a router, for [`serve`](crate::server::serve) or for another program's routes; `pages::service` is the same
/// with pages for browsers.
///
/// `operations` are further routes under the same protection, such as [`health_routes`](crate::server::health_routes);
/// `Router::new()` for none.
pub fn router(shop: Shop, operations: Router) -> Router {
    routes::public(routes::routes(), &Arc::new(shop), operations)
}

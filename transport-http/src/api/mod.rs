//! The public interface for programs: JSON over HTTP, server-sent events, and the client for both.
//!
//! The web pages are in `pages`, which builds on this module; nothing here knows of them.

mod admin;
mod books;
mod events;
pub(crate) mod extract;
#[cfg(feature = "openapi")]
mod openapi;
mod orders;
mod query;
pub(crate) mod rejection;
mod remote;
pub(crate) mod routes;
mod security_headers;
pub(crate) mod shop;
mod site;

use axum::Router;
use std::sync::Arc;

use crate::server::ServerLimits;

pub use events::{Feed, SUBSCRIBERS_MAX};
#[cfg(feature = "openapi")]
pub use openapi::document;
pub use rejection::Rejection;
pub use remote::RemoteShop;
pub use shop::Shop;
pub use site::Site;

/// The limits of a server for this router: room in a URI for the longest page token, which holds a title.
#[must_use]
pub fn limits() -> ServerLimits {
    ServerLimits { uri_bytes_max: 8 << 10, ..ServerLimits::default() }
}

/// The JSON API as a router, without the operator's `/livez`, `/readyz` and `/metrics`: to be put into another program's
/// routes, or under the pages of `pages::router`. A server of its own is faster with a [`Site`].
pub fn router(shop: impl Into<Arc<Shop>>) -> Router {
    routes::public(routes::routes(), &shop.into())
}

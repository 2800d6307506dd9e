//! The bookstore over HTTP: servers for the catalog, the orders and the public frontend, and clients that implement the same traits.

pub mod api;
pub mod cache;
pub mod client;
pub mod error_status;
pub mod internal;
#[cfg(feature = "pages")]
pub mod pages;
pub mod problem;
#[cfg(feature = "server")]
pub mod server;
pub mod token;

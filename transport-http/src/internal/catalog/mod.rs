//! The internal interface of the catalog.
//!
//! | request | call |
//! |---|---|
//! | `POST /v1/calls` | many `sell` and `release` at once, see [`CatalogCall`] |
//! | `POST /v1/search` | `search`: a POST, since a query may be longer than a URI; it changes nothing |
//! | `POST /v1/topics` | `topics`, as `search` |
//! | `GET /v1/books/{id}` | `info` |
//! | `PATCH /v1/books/{id}` | `amend` |
//! | `POST /v1/books` | `add_books` |
//! | `GET /v1/entries?after=&limit=&wait_ms=` | `entries`: a long poll |
//! | `GET /v1/contacts?after=&limit=` | the contacts for copies, see [`ContactFeed`](bookstore_core::service::ContactFeed) |
//! | `GET /v1/orders/{id}` | `find_order` |
//! | `POST /v1/orders/{id}` | `change_order` |
//! | `GET /v1/orders/{id}/contact` | `find_contact`: 204 if there is none |
//!
//! Each call of a batch is answered by itself, in its place, and the answers have the form of the request: JSON or the compact
//! form.

#[cfg(feature = "client")]
mod client;
mod messages;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use client::RemoteCatalog;
#[cfg(feature = "server")]
pub(in crate::internal) use messages::CONTACTS;
pub use messages::CatalogCall;
pub(in crate::internal) use messages::OrderChange;
#[cfg(feature = "server")]
pub use server::router;

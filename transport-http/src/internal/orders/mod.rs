//! The internal interface of an order server.
//!
//! | request | call |
//! |---|---|
//! | `POST /v1/calls` | many `purchase` and `cancel` at once, see [`OrderCall`] |
//! | `GET /v1/orders/{id}` | `order` |
//! | `POST /v1/orders/{id}` | `change` |
//! | `GET /v1/orders/{id}/contact` | `contact`: 204 if there is none |
//! | `GET /v1/orders?page_size=&page_token=` | `orders` |
//! | `GET /v1/contacts?after=&limit=` | the contacts of the server's copy, as the catalog's |
//! | `GET /v1/entries?after=&limit=` | the entries of the server's copy, if it has one: as the catalog's, without waiting |
//!
//! Each call of a batch is answered by itself, in its place, and the answers have the form of the request: JSON or the compact
//! form.

#[cfg(feature = "client")]
mod client;
mod messages;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use client::RemoteOrders;
pub use messages::OrderCall;
#[cfg(feature = "server")]
pub use server::router;

//! The bookstore over HTTP: servers for the catalog, the orders and the public interface, and clients that implement the same
//! traits.
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`client`], [`RemoteShop`](api::RemoteShop), `internal::catalog::RemoteCatalog`, `internal::orders::RemoteOrders` |
//! | `server` | `server`, `cache`, and the routers of `api` and [`internal`] |
//! | `pages` | HTML for browsers under the paths of the public interface (includes `server`) |
//! | `openapi` | `/openapi.json` (includes `server`) |

#[cfg(feature = "server")]
pub mod api;
/// The public interface: only its client, without feature `server`.
#[cfg(all(feature = "client", not(feature = "server")))]
pub mod api {
    mod messages;
    mod remote;
    pub use remote::RemoteShop;
}
mod book_ids;
#[cfg(feature = "server")]
pub mod cache;
#[cfg(feature = "client")]
pub mod client;
#[cfg_attr(
    not(all(feature = "client", feature = "server")),
    expect(dead_code, unused_imports, reason = "clients and servers each use half of this form")
)]
mod compact;
pub mod error_status;
pub mod internal;
#[cfg(feature = "pages")]
pub mod pages;
pub mod problem;
#[cfg(feature = "server")]
pub mod server;
pub mod token;

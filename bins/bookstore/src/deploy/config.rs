//! The configuration of each server.

use bookstore_core::{Currency, orders::Ack};
use bookstore_transport_http::{
    server::{MetricsText, ServerLimits},
    token::{AccessToken, Tokens},
};
use std::fmt;

use super::Contacts;
use crate::open::StoreUrl;

/// What the configurations of all servers have in common.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// Limits of connections, requests and time, and the number of serving threads.
    pub limits: ServerLimits,
    /// What `/metrics` answers; without it, there is no such page.
    pub metrics: Option<Metrics>,
}

/// Makes the text of `/metrics`, in Prometheus' format, for every request.
#[derive(Clone)]
pub struct Metrics(pub MetricsText);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

/// Configuration of [`monolith`](super::monolith): the whole shop in one process.
#[derive(Clone, Debug)]
pub struct Monolith {
    /// Where the ledger is.
    pub store: StoreUrl,
    /// What its amounts are in, if that is said; otherwise a new ledger is in US dollars, and any other keeps its currency.
    pub currency: Option<Currency>,
    /// Whether a store that never had a book gets the [sample catalogue](crate::sample).
    pub sample: bool,
    /// The tokens of which admin requests must show one; without any, administration is off.
    pub tokens: Tokens,
    /// Whether buyers may hold copies for up to 15 minutes without buying them.
    pub public_holds: bool,
    /// Whether orders carry contacts, and how long these are kept.
    pub contacts: Contacts,
    /// Limits and metrics.
    pub serving: Serving,
}

/// Configuration of [`catalog_server`](super::catalog_server): it owns the books and the ledger.
#[derive(Clone, Debug)]
pub struct CatalogServer {
    /// Where the ledger is.
    pub store: StoreUrl,
    /// What its amounts are in, if that is said; otherwise a new ledger is in US dollars, and any other keeps its currency.
    pub currency: Option<Currency>,
    /// Whether a store that never had a book gets the [sample catalogue](crate::sample).
    pub sample: bool,
    /// The token that the shop's other servers must show; without one, everybody who can connect may use it.
    pub server_token: Option<AccessToken>,
    /// Whether orders carry contacts, and how long these are kept.
    pub contacts: Contacts,
    /// Limits and metrics.
    pub serving: Serving,
}

/// Configuration of [`order_server`](super::order_server): it sells, and keeps a copy of the orders.
#[derive(Clone, Debug)]
pub struct OrderServer {
    /// Where its own copy of the orders is. It is not the ledger's file.
    pub store: StoreUrl,
    /// Addresses of the catalog server, `http://host:port`; several addresses of the same server are tried in turn.
    pub catalog: Vec<String>,
    /// When a purchase is acknowledged: once it is durable in the ledger, or in this server's copy, too.
    pub ack: Ack,
    /// The token that the shop's servers show each other.
    pub server_token: Option<AccessToken>,
    /// Limits and metrics.
    pub serving: Serving,
}

/// Configuration of [`frontend_server`](super::frontend_server): pages and the public interface.
#[derive(Clone, Debug)]
pub struct FrontendServer {
    /// Addresses of the catalog server, `http://host:port`; several addresses of the same server are tried in turn.
    pub catalog: Vec<String>,
    /// Addresses of the order servers, `http://host:port`.
    pub orders: Vec<String>,
    /// The most books that it keeps in memory; with 0 there is no cache. See [`bookstore_transport_http::cache`].
    pub cache_books_max: usize,
    /// The tokens of which admin requests must show one; without any, administration is off.
    pub tokens: Tokens,
    /// Whether buyers may hold copies for up to 15 minutes without buying them.
    pub public_holds: bool,
    /// The token that the shop's servers show each other.
    pub server_token: Option<AccessToken>,
    /// Limits and metrics.
    pub serving: Serving,
}

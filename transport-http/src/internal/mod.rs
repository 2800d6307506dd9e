//! What servers say to each other: the internal interfaces of the catalog and of the order servers.
//!
//! A client of an interface implements the same trait as the service behind it, so a caller does not see how many machines
//! lie between.
//!
//! | file | what it holds |
//! |---|---|
//! | `catalog/`, `orders/` | each interface: its messages, its server, its client |
//! | `batch.rs` | answering a batch |
//! | `routes.rs` | what the routers of both servers have in common |
//!
//! Batches and pages of the ledger travel in the form of `crate::compact`, everything else as JSON.

#[cfg(feature = "server")]
mod batch;
pub mod catalog;
pub mod orders;
#[cfg(feature = "server")]
mod routes;

pub use crate::compact::BATCH_MAX;
#[cfg(feature = "server")]
pub use routes::{ContactSource, HistoryCheck, InternalOptions, PinCheck};

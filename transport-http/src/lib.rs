//! The bookstore over HTTP: servers for the catalog, the orders and the public frontend, and clients that implement the same traits.

mod alarm;
mod balance;
pub mod cache;
pub mod catalog;
mod claim;
pub mod client;
mod coalesce;
mod compact;
pub mod frontend;
mod guard;
mod health;
pub mod internal;
mod linger;
pub mod orders;
mod per_runtime;
mod received;
mod retry;
pub mod server;
mod stall;
mod tcp;
pub mod token;
pub mod wire;
mod workers;

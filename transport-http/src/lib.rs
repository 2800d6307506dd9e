//! The bookstore over HTTP: servers for the catalog, the orders and the public frontend, and clients that implement the same traits.

pub mod wire;

//! All of this crate's integration tests, in one binary: it links once.

mod audit;
#[cfg(feature = "sqlite")]
mod best_sellers;
mod conformance;
#[cfg(all(unix, feature = "sqlite"))]
mod contacts;
mod decide;
mod failing;
mod failures;
#[cfg(all(unix, feature = "sqlite"))]
mod files;
mod fixture;
mod follow;
#[cfg(feature = "search")]
mod index;
#[cfg(all(feature = "search", feature = "sqlite"))]
mod indexed;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
#[cfg(all(unix, feature = "sqlite"))]
mod promote;
mod properties;
#[cfg(feature = "sqlite")]
mod questions;
mod races;
#[cfg(feature = "sqlite")]
mod reopen;
#[cfg(all(unix, feature = "sqlite"))]
mod restore;
#[cfg(all(feature = "search", feature = "sqlite"))]
mod search;
#[cfg(all(feature = "search", feature = "sqlite"))]
mod torn;
mod wire;

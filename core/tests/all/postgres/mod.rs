//! The ledger in PostgreSQL, with a server that the tests start themselves.

mod failures;
mod proxy;
mod refusals;
pub(crate) mod server;

use bookstore_core::{
    SystemClock,
    store::{
        StoreError,
        postgres::{self, PostgresOptions, PostgresReader, PostgresStore},
    },
};
use std::sync::Arc;

/// Opens a ledger with short limits, so that a test need not wait for long.
pub(crate) async fn open(url: &str) -> Result<(PostgresStore, Arc<PostgresReader>), StoreError> {
    postgres::open(&url.parse()?, Arc::new(SystemClock), PostgresOptions { readers: 2, ..PostgresOptions::default() })
        .await
}

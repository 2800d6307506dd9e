//! Ledgers and copies that a command reads entry by entry, in files or from servers.

use bookstore::AccessToken;
use bookstore_core::{
    service::{CopyFeed, LedgerFeed},
    store::{
        StoreError,
        sqlite::{Snapshot, SqliteCopy, SqliteOptions},
    },
};
use bookstore_transport_http::{
    client::{Client, ClientOptions},
    internal::catalog::RemoteCatalog,
};
use std::sync::Arc;

use super::Failure;
use crate::config::{FeedUrl, Misconfigured};

/// Opens a copy, or a server's ledger or copy: both answer alike. A file must not be in use.
pub(super) fn open(url: &FeedUrl, token: Option<&AccessToken>) -> Result<Arc<dyn CopyFeed>, Failure> {
    match url {
        FeedUrl::Server(url) => Ok(server(url, token)?),
        FeedUrl::File(path) => match SqliteCopy::open(path, SqliteOptions::default()) {
            Ok(copy) => Ok(Arc::new(copy)),
            Err(StoreError::InUse(path)) => Err(Failure::Failed(format!(
                "{path} is in use by its order server: give the server's address instead, or stop it"
            ))),
            Err(error) => Err(error.into()),
        },
    }
}

/// Opens a ledger or a copy of one; a file also beside its server.
pub(super) fn open_beside(url: &FeedUrl, token: Option<&AccessToken>) -> Result<Arc<dyn LedgerFeed>, Failure> {
    match url {
        FeedUrl::Server(url) => Ok(server(url, token)?),
        FeedUrl::File(path) => Ok(Arc::new(Snapshot::open(path)?)),
    }
}

fn server(url: &str, token: Option<&AccessToken>) -> Result<Arc<RemoteCatalog>, Failure> {
    let options = ClientOptions { token: token.cloned(), ..ClientOptions::default() };
    let client = Client::http(&[url], options).map_err(|error| Misconfigured(format!("{url}: {error}")))?;
    Ok(Arc::new(RemoteCatalog::new(client)))
}

//! Using a shop that runs elsewhere, over HTTP.

use bookstore_transport_http::{
    api::RemoteShop,
    client::{Client, ClientOptions},
    internal::{catalog::RemoteCatalog, orders::RemoteOrders},
    token::AccessToken,
};
use std::{sync::Arc, time::Duration};

use crate::{ConnectOptions, OpenError, open::Services};

/// How long one attempt at a public server may take: longer than that server itself waits for those behind it.
const PUBLIC_ATTEMPT: Duration = Duration::from_secs(6);

/// A shop behind its public interface.
pub(crate) fn remote_shop(urls: &str, options: ConnectOptions) -> Result<Services, OpenError> {
    let ConnectOptions { admin_token, timeout } = options;
    let options = ClientOptions { deadline: timeout, attempt_timeout: PUBLIC_ATTEMPT, ..ClientOptions::default() };
    let shop = Arc::new(RemoteShop::new(client(&split(urls), admin_token, options)?));
    Ok((shop.clone(), shop))
}

/// The services behind a shop.
pub(crate) fn remote_servers(catalog: &str, orders: &str, token: Option<AccessToken>) -> Result<Services, OpenError> {
    let catalog = client(&split(catalog), token.clone(), ClientOptions::default())?;
    let orders = client(&split(orders), token, ClientOptions::default())?;
    Ok((Arc::new(RemoteCatalog::new(catalog)), Arc::new(RemoteOrders::new(orders))))
}

fn split(urls: &str) -> Vec<String> {
    urls.split(',').map(|url| url.trim().to_owned()).collect()
}

pub(crate) fn client(urls: &[String], token: Option<AccessToken>, options: ClientOptions) -> Result<Client, OpenError> {
    Client::http(urls, ClientOptions { token, ..options }).map_err(|error| OpenError::Url(error.to_string()))
}

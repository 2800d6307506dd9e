//! A shop that runs elsewhere, over HTTP.

use bookstore_transport_http::{
    api::RemoteShop,
    client::{Client, ClientOptions},
    internal::{catalog::RemoteCatalog, orders::RemoteOrders},
    token::AccessToken,
};
use std::{sync::Arc, time::Duration};

use crate::{facade::Bookstore, open::OpenError};

/// How long one attempt at a frontend may take: longer than the frontend itself waits for the servers behind it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// How [`Bookstore::connect_with`] uses a shop.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The shop's admin token: what changes books, and the list of all orders, needs it.
    pub admin_token: Option<AccessToken>,
    /// How long a call is tried, retries included; [`Bookstore::TIMEOUT`] by default.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { admin_token: None, timeout: Bookstore::TIMEOUT }
    }
}

impl Bookstore {
    /// Connects to a shop that runs elsewhere: `http://host:port` of its frontend, or of several, separated by commas; an
    /// attempt that fails goes on to the next one.
    ///
    /// Nothing is sent before the first call.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bookstore::Bookstore;
    ///
    /// let shop = Bookstore::connect("http://10.0.0.1:8080,http://10.0.0.2:8080")?;
    /// for topic in shop.topics().await? {
    ///     println!("{}: {} books", topic.topic, topic.books);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`OpenError::Url`]: a URL is malformed.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(urls: &str) -> Result<Self, OpenError> {
        Self::connect_with(urls, ConnectOptions::default())
    }

    /// Connects as [`connect`](Self::connect) does, with the shop's admin token.
    ///
    /// The token is sent in plain text: only to this machine, through a tunnel, or over a network that is safe.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_admin(urls: &str, token: AccessToken) -> Result<Self, OpenError> {
        Self::connect_with(urls, ConnectOptions { admin_token: Some(token), ..ConnectOptions::default() })
    }

    /// Connects as [`connect`](Self::connect) does, with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_with(urls: &str, options: ConnectOptions) -> Result<Self, OpenError> {
        let ConnectOptions { admin_token, timeout } = options;
        let options = ClientOptions { deadline: timeout, attempt_timeout: ATTEMPT_TIMEOUT, ..ClientOptions::default() };
        let shop = Arc::new(RemoteShop::new(client(&split(urls), admin_token, options)?));
        Ok(Self::new(shop.clone(), shop).with_timeout(timeout))
    }

    /// Connects to the servers behind a shop, without a frontend in between: the URLs of the catalog server and of the order
    /// servers, each separated by commas, and the token that these servers show each other, if they have one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_servers(catalog: &str, orders: &str, token: Option<AccessToken>) -> Result<Self, OpenError> {
        let catalog = client(&split(catalog), token.clone(), ClientOptions::default())?;
        let orders = client(&split(orders), token, ClientOptions::default())?;
        Ok(Self::new(Arc::new(RemoteCatalog::new(catalog)), Arc::new(RemoteOrders::new(orders))))
    }
}

fn split(urls: &str) -> Vec<String> {
    urls.split(',').map(|url| url.trim().to_owned()).collect()
}

pub(crate) fn client(urls: &[String], token: Option<AccessToken>, options: ClientOptions) -> Result<Client, OpenError> {
    Client::http(urls, ClientOptions { token, ..options }).map_err(|error| OpenError::Url(error.to_string()))
}

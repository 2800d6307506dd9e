//! Connections to servers, which are kept open between requests (HTTP/1.1, one request at a time on each).

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use std::{error::Error as StdError, fmt, time::Duration};

use super::{claim::Payload, options::ClientOptions, per_runtime::PerRuntime};

/// How long a connection over plain TCP may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After this long in silence TCP asks whether the server is still there, …
const KEEPALIVE: Duration = Duration::from_secs(3);
/// … and then once in this interval, …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// … this many times, before the connection counts as lost.
const KEEPALIVE_RETRIES: u32 = 3;
/// Shorter than a server keeps an idle connection, so that a request seldom meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of one client. Each runtime has its own, since a connection is driven by the runtime that opened it.
pub(super) struct Pool<C> {
    connector: C,
    clients: PerRuntime<legacy::Client<C, Payload>>,
    idle_max: usize,
    response_bytes_max: usize,
}

impl<C: Connect + Clone + Send + Sync + 'static> Pool<C> {
    /// Connections of which as many stay open when idle, for each server and runtime, as requests may be in flight.
    pub(super) fn new(connector: C, options: &ClientOptions) -> Self {
        Self {
            connector,
            clients: PerRuntime::default(),
            idle_max: options.requests_in_flight_max,
            response_bytes_max: options.answer_bytes_max,
        }
    }

    /// Sends a request and reads the whole response. Dropping the future closes the connection that it uses.
    ///
    /// # Errors
    /// - [`TransportError::NoConnection`] if no connection could be made: nothing was sent.
    /// - [`TransportError::ConnectionLost`] if the connection ended before there was a response.
    /// - [`TransportError::BrokenResponse`] if the response broke off.
    /// - [`TransportError::TooLong`] if it is longer than the client accepts.
    pub(super) async fn exchange(&self, request: Request<Payload>) -> Result<(Parts, Bytes), TransportError> {
        let response = self.client().request(request).await.map_err(|error| {
            if error.is_connect() {
                TransportError::NoConnection(error.into())
            } else {
                TransportError::ConnectionLost(error.into())
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.response_bytes_max).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => TransportError::TooLong,
            false => TransportError::BrokenResponse(error),
        })?;
        Ok((head, body.to_bytes()))
    }

    /// The connections of the current runtime.
    fn client(&self) -> legacy::Client<C, Payload> {
        self.clients.get(|| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(self.idle_max)
                .build(self.connector.clone())
        })
    }
}

/// Makes plain TCP connections, and notices within a few seconds if the machine at the other end is gone.
pub(super) fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    // A long poll sends nothing: without keepalive, a server that lost its power would be noticed only when the poll is over.
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    connector
}

/// Why there is no response. Whether the request was executed depends on the claim of its body, not on this.
#[derive(Debug)]
pub(super) enum TransportError {
    NoConnection(Box<dyn StdError + Send + Sync>),
    ConnectionLost(Box<dyn StdError + Send + Sync>),
    BrokenResponse(Box<dyn StdError + Send + Sync>),
    /// The response is longer than this client accepts. The server has answered: nobody has failed.
    TooLong,
    /// The attempt's time was over.
    Timeout,
}

impl TransportError {
    /// What happened, without addresses and causes: this text may reach a buyer.
    pub(super) fn summary(&self) -> &'static str {
        match self {
            Self::NoConnection(_) => "a server cannot be reached",
            Self::ConnectionLost(_) => "the connection to a server was lost",
            Self::BrokenResponse(_) => "a server's answer broke off",
            Self::TooLong => "a server's answer is longer than this client accepts",
            Self::Timeout => "a server did not answer in time",
        }
    }
}

/// The summary and all causes, for the log.
impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())?;
        if let Self::NoConnection(error) | Self::ConnectionLost(error) | Self::BrokenResponse(error) = self {
            write!(f, ": {error}")?;
            let mut source = error.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
        }
        Ok(())
    }
}

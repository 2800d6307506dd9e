//! One keep-alive connection to one server: the HTTP client of the load generator, the lab and the benchmarks.
//!
//! It is hyper's own connection, which neither retries nor shares anything between clients, so that one request of a client
//! is one request at the server. hyper-util's pooled client is no replacement: with 256 connections beside the server on two
//! cores it took 3.5 to 4 µs more processor time a request, and the server sold 10 % less.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    header,
    http::response::Parts,
};
use hyper_util::rt::TokioIo;
use std::io;
use tokio::net::TcpStream;

/// The longest body of an answer, in bytes. A longer one counts as a lost connection.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The connection ended before the request was written: certainly not executed.
    #[error("the connection ended before the request was sent")]
    NotSent,
    /// The connection ended later: perhaps executed.
    #[error("the connection was lost before there was an answer")]
    Lost,
}

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Parts,
    /// At most 16 MiB.
    pub body: Bytes,
}

/// A connection to a server. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects to `host:port`. It waits as long as the operating system does.
    ///
    /// # Errors
    /// The server cannot be reached.
    ///
    /// # Panics
    /// Outside a tokio runtime: a task of the current one moves the bytes.
    pub async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends when `requests` is dropped or the server closes; an error shows in the answer that is missing.
        tokio::spawn(connection);
        Ok(Self { requests })
    }

    /// Whether the connection is not known to have ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Sends one request and reads its whole answer. The request needs a path for a URI, and a `Host`.
    ///
    /// A caller that drops this before the answer is there MUST drop the connection, too.
    ///
    /// # Errors
    /// See [`TransportError`]. There is no time limit.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        self.requests.ready().await.map_err(|_| TransportError::NotSent)?;
        let answer = self.requests.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(_) => TransportError::NotSent,
            None => TransportError::Lost,
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| TransportError::Lost)?;
        Ok(Answer { head, body: body.to_bytes() })
    }
}

/// The answer to `GET path`, on a connection of its own to `host:port`.
///
/// # Errors
/// - The path or the address is malformed.
/// - The server cannot be reached.
/// - The connection is lost. There is no time limit.
pub async fn get(address: &str, path: &str) -> io::Result<Answer> {
    let request = Request::get(path).header(header::HOST, address).body(Full::default()).map_err(io::Error::other)?;
    let mut connection = Connection::open(address).await?;
    connection.exchange(request).await.map_err(io::Error::other)
}

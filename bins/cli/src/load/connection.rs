//! One keep-alive connection, driven by the very task that uses it: no pool, no second task, no queue in between.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    http::response::Parts,
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why an exchange brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection had ended before the request was written: certainly not executed.
    NotSent,
    /// It ended later.
    Lost,
}

/// An answer with all of its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

/// A connection to a server.
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    open: bool,
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { requests, driver, open: true })
    }

    /// Whether it is not known to have ended.
    pub(crate) fn is_open(&self) -> bool {
        self.open && !self.requests.is_closed()
    }

    /// Sends one request and reads its whole answer. If this is dropped half-way, the connection must be dropped, too.
    pub(crate) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
        let Self { requests, driver, open } = self;
        let mut exchange = pin!(exchange(requests, request));
        poll_fn(|cx| {
            // Each side moves the other one on: two rounds save a trip through the scheduler.
            for _ in 0..2 {
                if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                drive(driver, open, cx);
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

fn drive(driver: &mut http1::Connection<TokioIo<TcpStream>, Full<Bytes>>, open: &mut bool, cx: &mut Context<'_>) {
    if *open && Pin::new(driver).poll(cx).is_ready() {
        *open = false;
    }
}

async fn exchange(requests: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Answer, Trouble> {
    if requests.ready().await.is_err() {
        return Err(Trouble::NotSent);
    }
    let response = requests.try_send_request(request).await.map_err(|mut error| match error.take_message() {
        Some(_) => Trouble::NotSent,
        None => Trouble::Lost,
    })?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| Trouble::Lost)?;
    Ok(Answer { head, body: body.to_bytes() })
}

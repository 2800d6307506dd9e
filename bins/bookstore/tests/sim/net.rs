//! The simulated network under the real HTTP servers and clients.

use axum::serve::Listener;
use hyper::{Uri, rt};
use hyper_util::{
    client::legacy::connect::{Connect, Connected, Connection},
    rt::TokioIo,
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use turmoil::net::{TcpListener, TcpStream};

use super::{hosts::Host, world::Shared};

/// Accepts connections from other simulated hosts.
pub(crate) struct SimListener(TcpListener);

impl SimListener {
    pub(crate) async fn bind() -> io::Result<Self> {
        Ok(Self(TcpListener::bind("0.0.0.0:80").await?))
    }
}

impl Listener for SimListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Ok(accepted) = self.0.accept().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection to another simulated host.
pub(crate) struct SimStream(TokioIo<TcpStream>);

impl Connection for SimStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl rt::Read for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: rt::ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl rt::Write for SimStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// As the production connector's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects from `from` to whatever host the URI names.
pub(crate) fn connector(world: &Shared, from: Host) -> impl Connect + Clone + Send + Sync + 'static {
    let world = world.clone();
    tower::service_fn(move |uri: Uri| {
        let world = world.clone();
        Box::pin(async move {
            let to = world.found_at(from, uri.host().unwrap_or_default()).to_owned();
            let connecting = async {
                match TcpStream::connect((to.as_str(), 80)).await {
                    // The simulated network refuses at once what a real one would leave unanswered.
                    Err(_) if world.cut_links.is_cut(from, &to) => std::future::pending().await,
                    connected => connected,
                }
            };
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
            let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            Ok::<_, io::Error>(SimStream(TokioIo::new(stream)))
        })
    })
}

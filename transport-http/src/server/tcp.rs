//! TCP connections that are registered with the runtime that serves them, not with the one that accepts them.

use axum::serve::Listener;
use std::{
    io, mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// A bound listener whose connections send small answers at once (`TCP_NODELAY`), and may be served by another runtime than the
/// one that accepts them.
pub fn tcp(listener: TcpListener) -> impl Listener<Io = Tcp, Addr = SocketAddr> {
    Accepting(listener)
}

struct Accepting(TcpListener);

impl Listener for Accepting {
    type Io = Tcp;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Tcp, SocketAddr) {
        loop {
            // axum's `accept`, not tokio's: it waits and tries again when there are too many open files.
            let (stream, peer) = Listener::accept(&mut self.0).await;
            // Slower, not wrong, without it.
            let _ = stream.set_nodelay(true);
            match stream.into_std() {
                Ok(stream) => return (Tcp(State::Accepted(stream)), peer),
                Err(error) => tracing::warn!(%error, "a connection was lost as it was accepted"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// An accepted connection. It is registered with the runtime that uses it first.
#[derive(Debug)]
pub struct Tcp(State);

#[derive(Debug)]
enum State {
    Accepted(std::net::TcpStream),
    Served(TcpStream),
    /// The runtime could not register it.
    Lost,
}

impl Tcp {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if !matches!(self.0, State::Served(_))
            && let State::Accepted(accepted) = mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Served(TcpStream::from_std(accepted)?);
        }
        match &mut self.0 {
            State::Served(stream) => Ok(Pin::new(stream)),
            State::Accepted(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

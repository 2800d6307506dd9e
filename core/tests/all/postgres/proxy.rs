//! What is between a writer and its server: it passes everything on, until it is told to fail.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What becomes of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    None = 0,
    /// The server gets it; the connection is cut before its answer.
    CutAnswer = 1,
    /// The connection is cut before the server gets it.
    CutRequest = 2,
    /// The server gets it, and its answer never comes.
    LoseAnswer = 3,
    /// It never gets there, nor does anything after it.
    LoseRequest = 4,
}

const FAULTS: [Fault; 5] = [Fault::None, Fault::CutAnswer, Fault::CutRequest, Fault::LoseAnswer, Fault::LoseRequest];

#[derive(Default)]
struct State {
    next: AtomicU8,
    /// Nobody is let in.
    closed: std::sync::atomic::AtomicBool,
    /// Cuts every connection.
    cut: Notify,
}

/// A proxy on loopback.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::<State>::default();
        let of = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !of.closed.load(Ordering::SeqCst) {
                    tokio::spawn(pass(client, server, Arc::clone(&of)));
                }
            }
        });
        Self { port, state }
    }

    /// Fails with the next request, once.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state.next.store(fault as u8, Ordering::SeqCst);
    }

    /// Whether a fault is still to come.
    pub(crate) fn is_armed(&self) -> bool {
        self.state.next.load(Ordering::SeqCst) != Fault::None as u8
    }

    /// Cuts every connection, and lets no new one in, or lets them in again.
    pub(crate) fn close(&self, closed: bool) {
        self.state.closed.store(closed, Ordering::SeqCst);
        self.state.cut.notify_waiters();
    }
}

async fn pass(client: TcpStream, server: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut loses_answers = false;
    let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            () = state.cut.notified() => return,
            read = from_client.read(&mut request) => {
                let Ok(read @ 1..) = read else { return };
                let fault = FAULTS[usize::from(state.next.swap(0, Ordering::SeqCst))];
                if fault == Fault::CutRequest {
                    return;
                }
                if fault == Fault::LoseRequest {
                    state.cut.notified().await;
                    return;
                }
                if to_server.write_all(&request[..read]).await.is_err() || fault == Fault::CutAnswer {
                    return;
                }
                loses_answers |= fault == Fault::LoseAnswer;
            }
            read = from_server.read(&mut answer) => {
                let Ok(read @ 1..) = read else { return };
                if !loses_answers && to_client.write_all(&answer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

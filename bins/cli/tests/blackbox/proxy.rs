//! A proxy beside every client of a server: it forwards bytes, and on demand delays them, cuts connections or loses answers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime::Handle,
    sync::watch,
};

/// One link from a client to a server.
pub(crate) struct Proxy {
    /// Where the client finds it.
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    delay_ms: AtomicU64,
    /// How many answers are still to be lost.
    lose: AtomicU64,
    /// Connections are cut when it changes.
    cuts: watch::Sender<u64>,
    delayed: AtomicU64,
    lost: AtomicU64,
    cut: AtomicU64,
}

impl Proxy {
    /// Starts one on the client's machine.
    pub(crate) async fn start(client: &Handle, target: SocketAddr) -> Self {
        let state = Arc::new(State {
            target,
            delay_ms: AtomicU64::new(0),
            lose: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
            delayed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        });
        let bound = client.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).await.expect("the task ends");
        let listener = bound.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        client.spawn(accept(listener, Arc::clone(&state)));
        Self { url, state }
    }

    /// Delays everything by this time, in both directions, until the next call.
    pub(crate) fn delay(&self, by: Duration) {
        self.state.delay_ms.store(u64::try_from(by.as_millis()).expect("a short time"), Ordering::Relaxed);
    }

    /// Resets every connection.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Loses the next answers: their requests have arrived.
    pub(crate) fn lose_answers(&self, number: u64) {
        self.state.lose.store(number, Ordering::Relaxed);
    }

    /// How often it has delayed something, cut a connection, or lost an answer.
    pub(crate) fn effects(&self) -> [u64; 3] {
        [&self.state.delayed, &self.state.cut, &self.state.lost].map(|count| count.load(Ordering::Relaxed))
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // It ends with its runtime. A connection that ended before it was accepted is no failure.
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, Arc::clone(&state)));
        }
    }
}

/// The connection is not to go on.
struct Broken;

async fn forward(mut client: TcpStream, state: Arc<State>) {
    let mut cuts = state.cuts.subscribe();
    let Ok(mut server) = TcpStream::connect(state.target).await else { return reset(&client) };
    // If it fails, small answers are slower.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let broken = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async {
            tokio::try_join!(pump(from_client, to_server, &state, false), pump(from_server, to_client, &state, true))
        };
        tokio::select! {
            _ = cuts.changed() => {
                state.cut.fetch_add(1, Ordering::Relaxed);
                true
            }
            ended = both => ended.is_err(),
        }
    };
    if broken {
        reset(&client);
        reset(&server);
    }
}

/// Forwards until the end, or until an answer is to be lost.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &State, answers: bool) -> Result<(), Broken> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await.map_err(|_| Broken)?;
        if read == 0 {
            return to.shutdown().await.map_err(|_| Broken);
        }
        let delay = state.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            state.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if answers && take_one(&state.lose) {
            state.lost.fetch_add(1, Ordering::Relaxed);
            return Err(Broken);
        }
        to.write_all(&buffer[..read]).await.map_err(|_| Broken)?;
    }
}

fn take_one(left: &AtomicU64) -> bool {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Makes a connection end with a reset when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// The whole answer to a plain request, by threads of the machine that asks.
pub(crate) async fn get(from: &Handle, address: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    let asked = from.spawn(async move {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    });
    tokio::time::timeout(Duration::from_secs(2), asked).await.map_err(io::Error::other)?.map_err(io::Error::other)?
}

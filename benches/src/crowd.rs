//! Buyers over HTTP: keep-alive connections with prepared requests, cheap enough not to be what is measured.

mod connection;
mod sums;

use serde::{Deserialize, Serialize};
use std::{
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

pub use sums::{Latency, Tally};

use crate::race::{Wanted, fresh_id};
use connection::Connection;
use sums::Sums;

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// One copy of book 1 for each purchase, under a fresh version 7 key.
    PurchaseHot,
    /// One copy of one of so many books, likewise.
    PurchaseUniform(u64),
    /// One copy of a book drawn by Zipf's law, likewise.
    PurchaseZipf,
    /// `GET /info/1`.
    InfoHot,
    /// `GET /info/{id}` of one of so many books.
    InfoUniform(u64),
    /// These paths in turn.
    Paths(Arc<Vec<String>>),
}

impl Ask {
    /// Purchases of these books.
    #[must_use]
    pub fn purchase(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Hot => Self::PurchaseHot,
            Wanted::Uniform(books) => Self::PurchaseUniform(books),
            Wanted::Zipf => Self::PurchaseZipf,
        }
    }

    /// Writes the `n`th request.
    fn write(&self, n: u64, request: &mut String) {
        request.clear();
        let written = match self {
            Self::PurchaseHot => purchase(Wanted::Hot, n, request),
            Self::PurchaseUniform(books) => purchase(Wanted::Uniform(*books), n, request),
            Self::PurchaseZipf => purchase(Wanted::Zipf, n, request),
            Self::InfoHot => get(&"/info/1", request),
            Self::InfoUniform(books) => get(&format_args!("/info/{}", Wanted::Uniform(*books).book(n)), request),
            Self::Paths(paths) => get(&paths[usize::try_from(n).expect("an index") % paths.len()], request),
        };
        written.expect("a String takes all");
    }
}

fn purchase(wanted: Wanted, n: u64, request: &mut String) -> std::fmt::Result {
    write!(
        request,
        "POST /purchase/{} HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\ncontent-type: application/json\r\n\
         idempotency-key: {}\r\ncontent-length: 14\r\n\r\n{{\"quantity\":1}}",
        wanted.book(n),
        fresh_id()
    )
}

fn get(path: &dyn std::fmt::Display, request: &mut String) -> std::fmt::Result {
    write!(request, "GET {path} HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\n\r\n")
}

/// When requests are measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    to: Instant,
    /// No request after so many.
    most: u64,
}

impl Window {
    fn after(warm_up: Duration, time: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self { from, to: from + time, most: u64::MAX }
    }

    fn contains(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// Connections on threads of their own.
pub struct Crowd {
    workers: Vec<Worker>,
    ask: Arc<Ask>,
    /// The number of the next request, over all runs.
    next: Arc<AtomicU64>,
}

struct Worker {
    runtime: Runtime,
    connections: Vec<Connection>,
}

impl Crowd {
    /// Connects to a server from `threads` threads.
    ///
    /// # Errors
    /// A connection is refused.
    pub fn connect(server: SocketAddr, connections: usize, threads: usize, ask: Ask) -> io::Result<Self> {
        let threads = threads.min(connections);
        let worker = |nth: usize| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let own = connections / threads + usize::from(nth < connections % threads);
            let connections = runtime.block_on(connected(server, own));
            io::Result::Ok(Worker { runtime, connections: connections? })
        };
        let workers = (0..threads).map(worker).collect::<io::Result<_>>()?;
        Ok(Self { workers, ask: Arc::new(ask), next: Arc::default() })
    }

    /// Every connection asks, waits for the answer, and asks again: unmeasured for `warm_up`, then for `time`.
    pub fn run_for(&mut self, warm_up: Duration, time: Duration) -> Tally {
        let sums = self.run(Window::after(warm_up, time));
        sums.tally(time)
    }

    /// Likewise, until `requests` have been answered.
    pub fn run_requests(&mut self, requests: u64) -> Tally {
        let day = Duration::from_secs(86_400);
        let most = self.next.load(Ordering::Relaxed) + requests;
        let window = Window { most, ..Window::after(Duration::ZERO, day) };
        let sums = self.run(window);
        self.next.store(most, Ordering::Relaxed);
        sums.tally(window.from.elapsed())
    }

    fn run(&mut self, window: Window) -> Sums {
        let (ask, next) = (&self.ask, &self.next);
        let sums = std::thread::scope(|scope| {
            let started: Vec<_> =
                self.workers.iter_mut().map(|worker| scope.spawn(|| worker.run(window, ask, next))).collect();
            started.into_iter().map(|thread| thread.join().expect("a worker panicked")).collect::<Vec<_>>()
        });
        sums.into_iter().fold(Sums::default(), Sums::plus)
    }

    /// Requests come at a rate, whether or not the server keeps up. A request that finds every connection busy is
    /// not sent. Latencies count from the moment when a request was due.
    pub fn run_at(&mut self, per_second: f64, warm_up: Duration, time: Duration) -> Tally {
        let window = Window::after(warm_up, time);
        let (ask, next) = (&self.ask, &self.next);
        let share = per_second / self.workers.len() as f64;
        let sums = std::thread::scope(|scope| {
            let started: Vec<_> =
                self.workers.iter_mut().map(|worker| scope.spawn(|| worker.run_at(share, window, ask, next))).collect();
            started.into_iter().map(|thread| thread.join().expect("a worker panicked")).collect::<Vec<_>>()
        });
        sums.into_iter().fold(Sums::default(), Sums::plus).tally(time)
    }
}

/// Connections that may wait to be accepted: one more than the server's backlog holds would be tried again after a second.
const CONNECTING_MAX: usize = 64;

async fn connected(server: SocketAddr, connections: usize) -> io::Result<Vec<Connection>> {
    let mut connected = Vec::with_capacity(connections);
    while connected.len() < connections {
        let some = CONNECTING_MAX.min(connections - connected.len());
        let connecting: Vec<_> = (0..some).map(|_| tokio::spawn(Connection::open(server))).collect();
        for connection in connecting {
            connected.push(connection.await.expect("connecting does not panic")?);
        }
        // They are accepted in turn, so all of them are when the last one has an answer, whatever it says.
        if let Some(last) = connected.last_mut() {
            last.exchange(b"GET /livez HTTP/1.1\r\nhost: shop\r\n\r\n").await?;
        }
    }
    Ok(connected)
}

impl Worker {
    fn run(&mut self, window: Window, ask: &Arc<Ask>, next: &Arc<AtomicU64>) -> Sums {
        let sums = Arc::new(Mutex::new(Sums::default()));
        self.runtime.block_on(async {
            let all = std::mem::take(&mut self.connections).into_iter();
            let ask_all = |connection| {
                let (ask, next, sums) = (Arc::clone(ask), Arc::clone(next), Arc::clone(&sums));
                tokio::spawn(keep_asking(connection, window, ask, next, sums))
            };
            let tasks: Vec<_> = all.map(ask_all).collect();
            for task in tasks {
                self.connections.push(task.await.expect("a client panicked"));
            }
        });
        sums::taken(sums)
    }

    fn run_at(&mut self, per_second: f64, window: Window, ask: &Arc<Ask>, next: &Arc<AtomicU64>) -> Sums {
        let sums = Arc::new(Mutex::new(Sums::default()));
        let free = Arc::new(Mutex::new(std::mem::take(&mut self.connections)));
        let all = free.lock().expect("nobody panics with it").len();
        self.runtime.block_on(async {
            let started = Instant::now();
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            let mut sent: f64 = 0.0;
            while Instant::now() < window.to {
                tick.tick().await;
                while sent < started.elapsed().as_secs_f64() * per_second {
                    let due = started + Duration::from_secs_f64(sent / per_second);
                    sent += 1.0;
                    let Some(connection) = free.lock().expect("nobody panics with it").pop() else {
                        sums.lock().expect("nobody panics with it").not_sent += u64::from(window.contains(due));
                        continue;
                    };
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let (ask, free, sums) = (Arc::clone(ask), Arc::clone(&free), Arc::clone(&sums));
                    tokio::spawn(ask_once(connection, n, due, window, ask, free, sums));
                }
            }
            while free.lock().expect("nobody panics with it").len() < all {
                tick.tick().await;
            }
        });
        self.connections = std::mem::take(&mut free.lock().expect("nobody panics with it"));
        sums::taken(sums)
    }
}

async fn keep_asking(
    mut connection: Connection,
    window: Window,
    ask: Arc<Ask>,
    next: Arc<AtomicU64>,
    sums: Arc<Mutex<Sums>>,
) -> Connection {
    let mut request = String::new();
    loop {
        let (n, asked) = (next.fetch_add(1, Ordering::Relaxed), Instant::now());
        if asked >= window.to || n >= window.most {
            return connection;
        }
        ask.write(n, &mut request);
        let answer = connection.exchange(request.as_bytes()).await;
        let answered = Instant::now();
        if window.contains(answered) {
            sums.lock().expect("nobody panics with it").add(&answer, answered - asked);
        }
        if answer.is_err() && connection.reopen().await.is_err() {
            return connection;
        }
    }
}

async fn ask_once(
    mut connection: Connection,
    n: u64,
    due: Instant,
    window: Window,
    ask: Arc<Ask>,
    free: Arc<Mutex<Vec<Connection>>>,
    sums: Arc<Mutex<Sums>>,
) {
    let mut request = String::new();
    ask.write(n, &mut request);
    let answer = connection.exchange(request.as_bytes()).await;
    let answered = Instant::now();
    if window.contains(answered) {
        sums.lock().expect("nobody panics with it").add(&answer, answered - due);
    }
    if answer.is_err() {
        // The next request on it fails again if the server is gone.
        drop(connection.reopen().await);
    }
    free.lock().expect("nobody panics with it").push(connection);
}

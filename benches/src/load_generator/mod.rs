//! Load over HTTP: keep-alive connections, each with one request at a time.

mod recorder;
pub mod workload;

use bookstore_cli::load::connection::{Answer, Connection};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header::HeaderValue};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

pub use recorder::{Latency, Tally};
pub use workload::Workload;

use recorder::Recorder;

/// Connections to one server, on threads of their own.
///
/// Everything is as before in the next run: the connections stay, and the requests go on with the next number.
#[derive(Debug)]
pub struct LoadGenerator {
    workers: Vec<Worker>,
    load: Load,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Load {
    workload: Arc<Workload>,
    /// The number of the next request, over all runs.
    next: Arc<AtomicU64>,
}

/// A thread's connections.
#[derive(Debug)]
struct Worker {
    runtime: Runtime,
    clients: Vec<Client>,
}

impl LoadGenerator {
    /// Connects to a server from `threads` threads.
    ///
    /// # Errors
    /// A connection is refused.
    pub fn connect(server: SocketAddr, connections: usize, threads: usize, workload: Workload) -> io::Result<Self> {
        let threads = threads.min(connections);
        let worker = |nth: usize| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let own = connections / threads + usize::from(nth < connections % threads);
            let clients = runtime.block_on(clients(server, own))?;
            io::Result::Ok(Worker { runtime, clients })
        };
        let workers = (0..threads).map(worker).collect::<io::Result<_>>()?;
        Ok(Self { workers, load: Load { workload: Arc::new(workload), next: Arc::default() } })
    }

    /// A closed loop: every connection sends a request, waits for the answer, and sends the next one. Answers count for `time`
    /// after a `warm_up`.
    pub fn run_for(&mut self, warm_up: Duration, time: Duration) -> Tally {
        self.run(Window::after(warm_up, time)).tally(time)
    }

    /// A closed loop until `requests` have been answered.
    pub fn run_requests(&mut self, requests: u64) -> Tally {
        let day = Duration::from_secs(86_400);
        let end = self.load.next.load(Ordering::Relaxed) + requests;
        let window = Window { end, ..Window::after(Duration::ZERO, day) };
        let recorder = self.run(window);
        self.load.next.store(end, Ordering::Relaxed);
        recorder.tally(window.from.elapsed())
    }

    /// An open loop: requests come at a rate, whether or not the server keeps up. A request that finds every connection busy
    /// is not sent. Latencies count from the moment when a request was due.
    pub fn run_at(&mut self, per_second: f64, warm_up: Duration, time: Duration) -> Tally {
        let window = Window::after(warm_up, time);
        let share = per_second / self.workers.len() as f64;
        self.on_all(|worker, load| worker.open_loop(share, window, load)).tally(time)
    }

    fn run(&mut self, window: Window) -> Recorder {
        self.on_all(|worker, load| worker.closed_loop(window, load))
    }

    /// Runs all workers, each on a thread, and adds up what they recorded.
    fn on_all(&mut self, run: impl Fn(&mut Worker, &Load) -> Recorder + Sync) -> Recorder {
        let (load, run) = (&self.load, &run);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                self.workers.iter_mut().map(|worker| scope.spawn(move || run(worker, load))).collect();
            let recorders = threads.into_iter().map(|thread| thread.join().expect("a worker panicked"));
            recorders.fold(Recorder::default(), Recorder::plus)
        })
    }
}

/// When requests are measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    to: Instant,
    /// The number of the first request that is not sent any more.
    end: u64,
}

impl Window {
    fn after(warm_up: Duration, time: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self { from, to: from + time, end: u64::MAX }
    }

    fn contains(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// A connection that is opened again when it has ended.
#[derive(Debug)]
struct Client {
    address: Arc<str>,
    host: HeaderValue,
    connection: Connection,
}

impl Client {
    async fn open(address: Arc<str>) -> io::Result<Self> {
        let host = HeaderValue::from_str(&address).map_err(io::Error::other)?;
        let connection = Connection::open(&address).await?;
        Ok(Self { address, host, connection })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> io::Result<Answer> {
        if !self.connection.is_open() {
            self.connection = Connection::open(&self.address).await?;
        }
        self.connection.exchange(request).await.map_err(io::Error::other)
    }
}

/// Connections that may wait to be accepted. If the server's backlog were full, another one would be tried again after a second.
const CONNECTING_MAX: usize = 64;

async fn clients(server: SocketAddr, count: usize) -> io::Result<Vec<Client>> {
    let address: Arc<str> = server.to_string().into();
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let some = CONNECTING_MAX.min(count - clients.len());
        let opening: Vec<_> = (0..some).map(|_| tokio::spawn(Client::open(Arc::clone(&address)))).collect();
        for client in opening {
            clients.push(client.await.expect("connecting does not panic")?);
        }
        // They are accepted in turn, so all of them are when the last one has an answer, whatever it says.
        if let Some(last) = clients.last_mut() {
            last.send(workload::get("/livez", &last.host)).await?;
        }
    }
    Ok(clients)
}

impl Worker {
    fn closed_loop(&mut self, window: Window, load: &Load) -> Recorder {
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        self.runtime.block_on(async {
            let run = |client| tokio::spawn(send_until_over(client, window, load.clone(), Arc::clone(&recorder)));
            let tasks: Vec<_> = std::mem::take(&mut self.clients).into_iter().map(run).collect();
            for task in tasks {
                self.clients.push(task.await.expect("a client panicked"));
            }
        });
        take(&recorder)
    }

    fn open_loop(&mut self, per_second: f64, window: Window, load: &Load) -> Recorder {
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let idle = Arc::new(Mutex::new(std::mem::take(&mut self.clients)));
        let all = idle.lock().expect("not poisoned").len();
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
                    let Some(client) = idle.lock().expect("not poisoned").pop() else {
                        recorder.lock().expect("not poisoned").not_sent += u64::from(window.contains(due));
                        continue;
                    };
                    tokio::spawn(send_once(
                        client,
                        due,
                        window,
                        load.clone(),
                        Arc::clone(&idle),
                        Arc::clone(&recorder),
                    ));
                }
            }
            while idle.lock().expect("not poisoned").len() < all {
                tick.tick().await;
            }
        });
        self.clients = take(&idle);
        take(&recorder)
    }
}

/// What is left in it when all tasks with a share in it have ended.
fn take<T: Default>(shared: &Mutex<T>) -> T {
    std::mem::take(&mut *shared.lock().expect("not poisoned"))
}

async fn send_until_over(mut client: Client, window: Window, load: Load, recorder: Arc<Mutex<Recorder>>) -> Client {
    loop {
        let (n, sent) = (load.next.fetch_add(1, Ordering::Relaxed), Instant::now());
        if sent >= window.to || n >= window.end {
            return client;
        }
        let answer = client.send(load.workload.request(n, &client.host)).await;
        let answered = Instant::now();
        if window.contains(answered) {
            recorder.lock().expect("not poisoned").add(&answer, answered - sent);
        }
    }
}

async fn send_once(
    mut client: Client,
    due: Instant,
    window: Window,
    load: Load,
    idle: Arc<Mutex<Vec<Client>>>,
    recorder: Arc<Mutex<Recorder>>,
) {
    let n = load.next.fetch_add(1, Ordering::Relaxed);
    let answer = client.send(load.workload.request(n, &client.host)).await;
    let answered = Instant::now();
    if window.contains(answered) {
        recorder.lock().expect("not poisoned").add(&answer, answered - due);
    }
    idle.lock().expect("not poisoned").push(client);
}

//! Runs a server until it is stopped.

use bookstore::{
    Tokens,
    deploy::{self, Server, Serving},
};
use bookstore_transport_http::server::Grace;
use std::{future::Future, io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
};

use super::{
    Failure, metrics,
    output::print,
    signals::{Signals, Stop},
};
use crate::{
    cli::{CatalogArgs, FrontendArgs, MonolithArgs, OrderArgs, PublicArgs, ServeArgs},
    config,
};

/// `bookstore monolith`
pub(super) async fn monolith(args: &MonolithArgs, inherited: Inherited) -> Result<ExitCode, Failure> {
    let config::Checked { listen, grace, mut server } = config::monolith(args)?;
    measure(&mut server.serving)?;
    let running = Running { grace, args: &args.serve, reload: Reload::of(&args.public, &server.tokens) };
    run("bookstore", (listen, inherited), running, async { Ok(deploy::monolith(server).await?) }).await
}

/// `bookstore catalog`
pub(super) async fn catalog(args: &CatalogArgs, inherited: Inherited) -> Result<ExitCode, Failure> {
    let config::Checked { listen, grace, mut server } = config::catalog(args)?;
    measure(&mut server.serving)?;
    let running = Running { grace, args: &args.serve, reload: None };
    run("catalog", (listen, inherited), running, async { Ok(deploy::catalog_server(server).await?) }).await
}

/// `bookstore order --catalog …`
pub(super) async fn order(args: &OrderArgs, inherited: Inherited) -> Result<ExitCode, Failure> {
    let config::Checked { listen, grace, mut server } = config::order(args)?;
    measure(&mut server.serving)?;
    let running = Running { grace, args: &args.serve, reload: None };
    run("order", (listen, inherited), running, async { Ok(deploy::order_server(server).await?) }).await
}

/// `bookstore frontend`
pub(super) async fn frontend(args: &FrontendArgs, inherited: Inherited) -> Result<ExitCode, Failure> {
    let config::Checked { listen, grace, mut server } = config::frontend(args)?;
    measure(&mut server.serving)?;
    let running = Running { grace, args: &args.serve, reload: Reload::of(&args.public, &server.tokens) };
    run("frontend", (listen, inherited), running, async { Ok(deploy::frontend_server(server)?) }).await
}

/// A socket that already listens, from the program that started this one.
type Inherited = Option<std::net::TcpListener>;

/// What a server does between its start and its end.
struct Running<'a> {
    grace: Duration,
    args: &'a ServeArgs,
    /// What SIGHUP does, unless it stops the server.
    reload: Option<Reload>,
}

/// Reads the files of the tokens again.
struct Reload {
    args: PublicArgs,
    tokens: Tokens,
}

impl Reload {
    fn of(args: &PublicArgs, tokens: &Tokens) -> Option<Self> {
        args.tokens_file.is_some().then(|| Self { args: args.clone(), tokens: tokens.clone() })
    }

    fn reload(&self) {
        let read = config::tokens(&self.args);
        ::metrics::gauge!("bookstore_tokens_file_broken").set(if read.is_err() { 1.0 } else { 0.0 });
        match read {
            Ok(tokens) => {
                tracing::info!(tokens = tokens.len(), "read the tokens again");
                self.tokens.replace(tokens);
            }
            Err(wrong) => tracing::error!("the tokens of before stay in force, and none is revoked: {wrong}"),
        }
    }
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Binds the port, opens the store, and only then accepts connections.
async fn run(
    role: &str,
    (listen, inherited): (SocketAddr, Inherited),
    Running { grace, args, reload }: Running<'_>,
    ready: impl Future<Output = Result<Server, Failure>>,
) -> Result<ExitCode, Failure> {
    let taken = |error: io::Error| Failure::Failed(port_trouble(listen, &error));
    let socket = Socket::new(listen, inherited).map_err(taken)?;
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    if let Some(reload) = reload {
        signals.at_hang_up(move || reload.reload());
    }
    let mut stop = Box::pin(stopping(signals, stdin_ended(args.stop_with_stdin), grace));
    let server = tokio::select! {
        server = ready => server?,
        _ = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let listener = socket.listen().map_err(taken)?;
    print(&format!("{role} listening on http://{}", bound(&listener, listen)));
    server.run(listener, stop).await;
    Ok(ExitCode::SUCCESS)
}

/// Waits until the server is to stop, and says how long it goes on then: for the grace, or until the second signal. One more signal
/// ends the process at once.
async fn stopping(mut signals: Signals, stdin: impl Future<Output = ()>, grace: Duration) -> Grace {
    let stop = tokio::select! {
        stop = signals.next() => stop,
        () = stdin => Stop::AtOnce,
    };
    let grace = if stop == Stop::InGrace { grace } else { Duration::ZERO };
    if !grace.is_zero() {
        tracing::info!(seconds = grace.as_secs(), "stopping: not ready any more, but still serving");
    }
    Grace::until(async move {
        if !grace.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                _ = signals.next() => {}
            }
        }
        tracing::info!("stopping: letting running requests end");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(1);
        });
    })
}

/// Where a server is going to listen.
enum Socket {
    /// Nobody can connect yet.
    Bound(TcpSocket),
    /// Connections wait already.
    Inherited(std::net::TcpListener),
}

impl Socket {
    fn new(listen: SocketAddr, inherited: Inherited) -> io::Result<Self> {
        inherited.map_or_else(|| bind(listen).map(Self::Bound), |listener| Ok(Self::Inherited(listener)))
    }

    fn listen(self) -> io::Result<TcpListener> {
        match self {
            Self::Bound(socket) => socket.listen(BACKLOG),
            Self::Inherited(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }
        }
    }
}

fn bind(listen: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise a restart would fail while old connections are in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    Ok(socket)
}

fn bound(listener: &TcpListener, requested: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(requested)
}

fn port_trouble(listen: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{listen} is in use by another program; stop that one, or listen elsewhere, for example --listen {}:0 for \
             any free port",
            shown_ip(listen)
        ),
        io::ErrorKind::PermissionDenied => {
            format!(
                "not allowed to listen on {listen}: ports below 1024 need privileges; choose a higher one with --listen"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine; choose another with --listen", listen.ip())
        }
        _ => format!("cannot listen on {listen}: {error}"),
    }
}

fn shown_ip(listen: SocketAddr) -> String {
    if listen.is_ipv6() { format!("[{}]", listen.ip()) } else { listen.ip().to_string() }
}

/// Completes when stdin ends, if `counts`: it ends with the process at its other end, however that process ends.
async fn stdin_ended(counts: bool) {
    let (send, ended) = oneshot::channel();
    let read = move || {
        // The bytes do not matter, and an error is an end, too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = send.send(());
    };
    if !counts {
        return std::future::pending().await;
    }
    // A thread of its own: the runtime would wait for its own threads, and this read may never return.
    match std::thread::Builder::new().name("stdin".into()).spawn(read) {
        Ok(_) => drop(ended.await),
        Err(error) => {
            tracing::error!(%error, "stdin cannot be watched: stopping");
        }
    }
}

/// Collects this process's metrics from now on.
fn measure(serving: &mut Serving) -> Result<(), Failure> {
    let collected = metrics::collect();
    serving.metrics = Some(collected.map_err(|error| Failure::Failed(format!("cannot collect metrics: {error}")))?);
    Ok(())
}

//! Runs a server until it is stopped.

use bookstore::deploy::{self, Server, Serving};
use std::{future::Future, io, net::SocketAddr, process::ExitCode};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
};

use super::{Failure, metrics, output::print};
use crate::{
    cli::{CatalogArgs, FrontendArgs, MonolithArgs, OrderArgs, ServeArgs},
    config,
};

/// `bookstore monolith`
pub(super) async fn monolith(args: &MonolithArgs) -> Result<ExitCode, Failure> {
    let config::Checked { listen, mut server } = config::monolith(args)?;
    measure(&mut server.serving)?;
    run("bookstore", listen, &args.serve, async { Ok(deploy::monolith(server).await?) }).await
}

/// `bookstore catalog`
pub(super) async fn catalog(args: &CatalogArgs) -> Result<ExitCode, Failure> {
    let config::Checked { listen, mut server } = config::catalog(args)?;
    measure(&mut server.serving)?;
    run("catalog", listen, &args.serve, async { Ok(deploy::catalog_server(server).await?) }).await
}

/// `bookstore order --catalog …`
pub(super) async fn order(args: &OrderArgs) -> Result<ExitCode, Failure> {
    let config::Checked { listen, mut server } = config::order(args)?;
    measure(&mut server.serving)?;
    run("order", listen, &args.serve, async { Ok(deploy::order_server(server).await?) }).await
}

/// `bookstore frontend`
pub(super) async fn frontend(args: &FrontendArgs) -> Result<ExitCode, Failure> {
    let config::Checked { listen, mut server } = config::frontend(args)?;
    measure(&mut server.serving)?;
    run("frontend", listen, &args.serve, async { Ok(deploy::frontend_server(server)?) }).await
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Binds the port, opens the store, and only then accepts connections.
async fn run(
    role: &str,
    listen: SocketAddr,
    args: &ServeArgs,
    ready: impl Future<Output = Result<Server, Failure>>,
) -> Result<ExitCode, Failure> {
    let taken = |error: io::Error| Failure::Failed(port_trouble(listen, &error));
    let socket = bind(listen).map_err(taken)?;
    let stop = stop_signal().map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    let stdin = stdin_ended(args.stop_with_stdin);
    let mut stop = Box::pin(async {
        tokio::select! {
            () = stop => {}
            () = stdin => {}
        }
    });
    let server = tokio::select! {
        server = ready => server?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    let listener = socket.listen(BACKLOG).map_err(taken)?;
    print(&format!("{role} listening on http://{}", bound(&listener, listen)));
    let stop = async {
        stop.await;
        tracing::info!("stopping: letting running requests end");
        tokio::spawn(exit_at_second_signal());
    };
    server.run(listener, stop).await;
    Ok(ExitCode::SUCCESS)
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

/// Completes at SIGTERM or SIGINT, which are caught from this call on.
#[cfg(unix)]
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
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

/// A second signal ends the process at once.
async fn exit_at_second_signal() {
    if let Ok(stop) = stop_signal() {
        stop.await;
        std::process::exit(1);
    }
}

/// Collects this process's metrics from now on.
fn measure(serving: &mut Serving) -> Result<(), Failure> {
    let collected = metrics::collect();
    serving.metrics = Some(collected.map_err(|error| Failure::Failed(format!("cannot collect metrics: {error}")))?);
    Ok(())
}

//! From what was typed to a checked configuration: wrong values end here, before anything is started.
//!
//! The only place that reads the environment. Every flag of every command is also a variable: `--admin-token-file` is
//! `BOOKSTORE_ADMIN_TOKEN_FILE`.

use bookstore::deploy::{CatalogServer, FrontendServer, Monolith, OrderServer, Serving, StoreUrl};
use bookstore_core::orders::Ack;
use bookstore_transport_http::{api, server::ServerLimits, token::AccessToken};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, builder::BoolishValueParser};
use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use tracing_subscriber::EnvFilter;

use crate::cli::{AckArg, AdminArgs, CatalogArgs, Cli, Command, FrontendArgs, MonolithArgs, OrderArgs, ServeArgs};

/// A configuration that cannot work, and what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) String);

type Result<T, E = Misconfigured> = std::result::Result<T, E>;

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Misconfigured(message.into()))
}

/// Reads flags and environment. No command at all is `monolith`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let mut matches = command().try_get_matches_from(&args)?;
    if matches.subcommand().is_none() {
        args.push("monolith".into());
        matches = command().try_get_matches_from(&args)?;
    }
    Cli::from_arg_matches_mut(&mut matches)
}

/// The command line with a variable for every flag.
pub(crate) fn command() -> clap::Command {
    // None at all is the monolith, see `parse`.
    with_variables(Cli::command().subcommand_required(false).arg_required_else_help(false))
}

fn with_variables(command: clap::Command) -> clap::Command {
    command.mut_args(with_variable).mut_subcommands(with_variables)
}

fn with_variable(arg: clap::Arg) -> clap::Arg {
    let Some(flag) = arg.get_long() else { return arg };
    let variable = format!("BOOKSTORE_{}", flag.to_uppercase().replace('-', "_"));
    let arg = arg.env(variable).hide_env(true);
    // As a variable, a switch may also say 1, yes or on.
    if matches!(arg.get_action(), ArgAction::SetTrue) { arg.value_parser(BoolishValueParser::new()) } else { arg }
}

/// What is logged: what was asked for, or else `RUST_LOG`, or else what suits the command.
pub(crate) fn log_filter(cli: &Cli) -> Result<EnvFilter> {
    let default = match &cli.command {
        Command::Monolith(_) | Command::Catalog(_) | Command::Frontend(_) => SERVER_LOG,
        Command::Order(args) if args.id.is_none() => SERVER_LOG,
        _ => COMMAND_LOG,
    };
    let asked = cli.log.clone().or_else(|| std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty()));
    let filter = asked.as_deref().unwrap_or(default);
    EnvFilter::try_new(filter).map_err(|error| {
        Misconfigured(format!(
            "the log filter {filter:?} is not one ({error}); try --log info, or --log bookstore_core=debug"
        ))
    })
}

/// What became of an answer is said anyway: the client's own complaints would only repeat it.
const COMMAND_LOG: &str = "warn,bookstore_transport_http=error,bookstore_core=error";
const SERVER_LOG: &str = "warn,bookstore=info,bookstore_core=info,bookstore_transport_http=info";

/// A server that can be started: where it listens, and what runs there.
#[derive(Debug)]
pub(crate) struct Checked<S> {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// What to run.
    pub(crate) server: S,
}

/// Checks `bookstore monolith`.
pub(crate) fn monolith(args: &MonolithArgs) -> Result<Checked<Monolith>> {
    Ok(Checked {
        listen: listen(&args.listen, args.serve.insecure)?,
        server: Monolith {
            store: store("--store", &args.store)?,
            sample: !args.no_sample,
            serving: serving(&args.serve, processors())?,
        },
    })
}

/// Checks `bookstore catalog`.
pub(crate) fn catalog(args: &CatalogArgs) -> Result<Checked<CatalogServer>> {
    Ok(Checked {
        listen: listen(&args.listen, args.serve.insecure)?,
        server: CatalogServer {
            store: store("--store", &args.store)?,
            sample: args.sample,
            server_token: token("--server-token-file", args.internal.server_token_file.as_deref())?,
            serving: serving(&args.serve, inner_threads())?,
        },
    })
}

/// How long a purchase may wait for the copy before its outcome is unknown: less than a frontend waits for an answer.
const COPIED_WAIT: Duration = Duration::from_millis(1500);

/// Checks `bookstore order` as a server.
pub(crate) fn order(args: &OrderArgs) -> Result<Checked<OrderServer>> {
    if args.catalog.is_empty() {
        return wrong(
            "give an order id to read an order, or --catalog URL to run an order server, for example\n  \
             bookstore order --catalog http://127.0.0.1:8081",
        );
    }
    let listen = listen(&args.listen, args.serve.insecure)?;
    Ok(Checked {
        listen,
        server: OrderServer {
            store: store("--store", &args.store)?,
            catalog: inner_servers("--catalog", &args.catalog, listen, args.serve.insecure)?,
            ack: match args.ack {
                AckArg::Ledger => Ack::Ledger,
                AckArg::Copied => Ack::Copied { wait: COPIED_WAIT },
            },
            server_token: token("--server-token-file", args.internal.server_token_file.as_deref())?,
            serving: serving(&args.serve, inner_threads())?,
        },
    })
}

/// Checks `bookstore frontend`.
pub(crate) fn frontend(args: &FrontendArgs) -> Result<Checked<FrontendServer>> {
    let listen = listen(&args.listen, args.serve.insecure)?;
    let servers = |flag, urls| inner_servers(flag, urls, listen, args.serve.insecure);
    let (catalog, orders) = (servers("--catalog", &args.catalog)?, servers("--order", &args.order)?);
    if let Some(both) = catalog.iter().find(|url| orders.contains(url)) {
        return wrong(format!(
            "--catalog and --order both name {both}; they are different servers, on different ports"
        ));
    }
    Ok(Checked {
        listen,
        server: FrontendServer {
            catalog,
            orders,
            cache_books_max: args.cache_books,
            server_token: token("--server-token-file", args.internal.server_token_file.as_deref())?,
            serving: serving(&args.serve, processors())?,
        },
    })
}

/// The longest `--drain` and `--timeout`.
const SECONDS_MAX: u64 = 3600;

fn serving(args: &ServeArgs, threads: usize) -> Result<Serving> {
    let drain_timeout = seconds("--drain", args.drain)?;
    let worker_threads = args.threads.map_or(threads, usize::from);
    Ok(Serving {
        admin_token: token("--admin-token-file", args.admin_token_file.as_deref())?,
        limits: ServerLimits { drain_timeout, worker_threads, ..api::limits() },
        metrics: None,
    })
}

/// The connections of a server behind it are few, and what comes over each wakes its thread: half as many threads do, and the
/// other processors are left to those that write the store.
fn inner_threads() -> usize {
    processors().div_ceil(2)
}

/// The public interface has many connections: each processor has a thread for its share of them.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A flag's number of seconds.
pub(crate) fn seconds(flag: &str, seconds: u64) -> Result<Duration> {
    if seconds > SECONDS_MAX {
        return wrong(format!("{flag} is at most {SECONDS_MAX} seconds, not {seconds}"));
    }
    Ok(Duration::from_secs(seconds))
}

fn listen(text: &str, insecure: bool) -> Result<SocketAddr> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(addr) = numeric.as_deref().unwrap_or(text).parse::<SocketAddr>() else {
        return wrong(format!("--listen {text:?} is not ADDRESS:PORT; try 127.0.0.1:8080, or [::1]:8080 for IPv6"));
    };
    if !addr.ip().is_loopback() && !insecure {
        return wrong(format!(
            "--listen {addr} is open to other machines, and this server speaks plain text: listen on 127.0.0.1:{} behind \
             a proxy that speaks TLS, or add --insecure if the network itself is safe",
            addr.port()
        ));
    }
    Ok(addr)
}

/// A flag's store.
pub(crate) fn store(flag: &str, url: &str) -> Result<StoreUrl> {
    url.parse().map_err(|error| Misconfigured(format!("{flag} {url:?}: {error}")))
}

/// The addresses of another server of the same shop.
fn inner_servers(flag: &str, urls: &[String], own: SocketAddr, insecure: bool) -> Result<Vec<String>> {
    let urls = servers(flag, urls)?;
    for url in &urls {
        let host = host(url);
        if !is_loopback(host) && !insecure {
            return wrong(format!(
                "{flag} {url} is on another machine, and servers speak plain text: reach it through a tunnel on this \
                 machine, or add --insecure if the network itself is safe"
            ));
        }
        if own.port() != 0 && url.strip_prefix("http://") == Some(own.to_string().as_str()) {
            return wrong(format!("{flag} {url} is this server's own --listen address; give the other server's"));
        }
    }
    Ok(urls)
}

/// A flag's servers: `http://HOST[:PORT]`, without anything after it.
pub(crate) fn servers(flag: &str, urls: &[String]) -> Result<Vec<String>> {
    let checked = urls.iter().map(|url| server(flag, url)).collect::<Result<Vec<_>>>()?;
    for (i, url) in checked.iter().enumerate() {
        if checked[..i].contains(url) {
            return wrong(format!("{flag} names {url} twice"));
        }
    }
    Ok(checked)
}

fn server(flag: &str, url: &str) -> Result<String> {
    let trimmed = url.trim().trim_end_matches('/');
    if trimmed.starts_with("https://") {
        return wrong(format!(
            "{flag} {url}: this program speaks no TLS itself; give an http:// address, of a tunnel for example"
        ));
    }
    let example = format!("{flag} {url:?} is not a server's address; try http://127.0.0.1:8080");
    let Some(authority) = trimmed.strip_prefix("http://") else { return wrong(example) };
    let parsed = authority.parse::<hyper::http::uri::Authority>();
    match parsed {
        Ok(parsed) if !parsed.host().is_empty() && !authority.contains(['/', '@', '?', '#']) => Ok(trimmed.to_owned()),
        _ => wrong(example),
    }
}

fn host(url: &str) -> &str {
    let authority = url.strip_prefix("http://").unwrap_or(url);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The token for admin commands, and that it is not sent in plain text over a network by mistake.
pub(crate) fn admin_token(args: &AdminArgs) -> Result<AccessToken> {
    admin_token_for(args.admin_token_file.as_deref(), &args.shop.server, args.insecure)
}

/// As [`admin_token`], for commands that may also do without a server.
pub(crate) fn admin_token_for(file: Option<&Path>, servers: &[String], insecure: bool) -> Result<AccessToken> {
    if let Some(far) = servers.iter().find(|url| !is_loopback(host(url)))
        && !insecure
    {
        return wrong(format!(
            "the admin token would travel to {far} in plain text: reach the shop through a tunnel on this machine, or add \
             --insecure if the network itself is safe"
        ));
    }
    token("--admin-token-file", file)?.ok_or_else(|| {
        Misconfigured(
            "this needs the shop's admin token: give --admin-token-file FILE, the same file as the server's".into(),
        )
    })
}

fn token(flag: &str, file: Option<&Path>) -> Result<Option<AccessToken>> {
    let Some(file) = file else { return Ok(None) };
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Misconfigured(format!(
            "{flag} {name}: {error}; make one with\n  (umask 077; head -c 32 /dev/urandom | base64 > {name})"
        ))
    })?;
    let token = AccessToken::new(&text).map_err(|error| {
        Misconfigured(format!(
            "{flag} {name}: {error}; make one with\n  (umask 077; head -c 32 /dev/urandom | base64 > {name})"
        ))
    })?;
    warn_if_others_can_read(file);
    Ok(Some(token))
}

#[cfg(unix)]
fn warn_if_others_can_read(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        tracing::warn!("{0} can be read by other users of this machine; run: chmod 600 {0}", file.display());
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_file: &Path) {}

/// The stores of an audit: the ledger, and copies that are other files.
pub(crate) fn audited(store_url: &str, copies: &[String]) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = |flag, url: &str| match store(flag, url)? {
        StoreUrl::Sqlite(path) => Ok(path),
        StoreUrl::Memory => wrong(format!("{flag} memory: is gone when its server stops; there is nothing to read")),
    };
    let ledger = path("--store", store_url)?;
    let copies = copies.iter().map(|url| path("--copy", url)).collect::<Result<Vec<_>>>()?;
    let mut seen = vec![real(&ledger)];
    for copy in &copies {
        if seen.contains(&real(copy)) {
            return wrong(format!("--copy sqlite:{} was given already, as --store or --copy", copy.display()));
        }
        seen.push(real(copy));
    }
    Ok((ledger, copies))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

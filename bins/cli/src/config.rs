//! From arguments to a checked configuration: wrong values are refused here, before anything is started.
//!
//! This is the only place that reads the environment. Every flag of every command is also a variable: `--admin-token-file` is
//! `BOOKSTORE_ADMIN_TOKEN_FILE`.

mod address;
mod relay;
mod stores;
mod token;

use bookstore::{
    StoreUrl, Tokens,
    deploy::{CatalogServer, Contacts, FrontendServer, Monolith, OrderServer, Serving},
};
use bookstore_core::{ContactRule, orders::Ack};
use bookstore_transport_http::{
    api,
    server::{RateLimit, ServerLimits},
};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, builder::BoolishValueParser};
use listenfd::ListenFd;
use std::{
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};
use tracing_subscriber::EnvFilter;

use crate::cli::{
    AckArg, CatalogArgs, Cli, Command, ContactArg, ContactsArgs, FrontendArgs, MonolithArgs, OrderArgs, PublicArgs,
    ServeArgs,
};
use address::{hosts, listen, servers_behind};
use token::{inner_token, token};

pub(crate) use address::servers;
pub(crate) use relay::{Relay, Source, relay};
pub(crate) use stores::{StoreToRead, audited, store, store_file};
pub(crate) use token::{admin_token, admin_token_for, tokens};

/// A configuration that cannot work, and what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) String);

type Result<T, E = Misconfigured> = std::result::Result<T, E>;

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Misconfigured(message.into()))
}

/// Reads flags and environment. Without a command it is `monolith`.
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
    // Without one it is the monolith, see `parse`.
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

/// The socket that systemd, or another program, listens on for this server (`LISTEN_FDS`). `--listen` becomes its address.
pub(crate) fn inherited(cli: &mut Cli) -> Result<Option<TcpListener>> {
    let listen = match &mut cli.command {
        Command::Monolith(args) => &mut args.listen,
        Command::Catalog(args) => &mut args.listen,
        Command::Order(args) if args.id.is_none() => &mut args.listen,
        Command::Frontend(args) => &mut args.listen,
        _ => return Ok(None),
    };
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        return wrong(format!("LISTEN_FDS gives {} sockets; a server listens on one", sockets.len()));
    }
    let bad = |error: std::io::Error| Misconfigured(format!("the socket of LISTEN_FDS cannot be used: {error}"));
    let Some(listener) = sockets.take_tcp_listener(0).map_err(bad)? else { return Ok(None) };
    *listen = listener.local_addr().map_err(bad)?.to_string();
    Ok(Some(listener))
}

/// PostgreSQL's own variable for a password file.
fn passfile() -> Option<PathBuf> {
    std::env::var_os("PGPASSFILE").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The log filter: `--log`, or else `RUST_LOG`, or else the command's default.
pub(crate) fn log_filter(cli: &Cli) -> Result<EnvFilter> {
    let default = match &cli.command {
        Command::Monolith(_) | Command::Catalog(_) | Command::Frontend(_) | Command::Relay(_) => SERVER_LOG,
        Command::Order(args) if args.id.is_none() => SERVER_LOG,
        _ => COMMAND_LOG,
    };
    let given = cli.log.clone().or_else(|| std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty()));
    let filter = given.as_deref().unwrap_or(default);
    EnvFilter::try_new(filter).map_err(|error| {
        Misconfigured(format!(
            "the log filter {filter:?} is not one ({error}); try --log info, or --log bookstore_core=debug"
        ))
    })
}

/// A command prints its own error: the client's warnings would only repeat it.
const COMMAND_LOG: &str = "warn,bookstore_transport_http=error,bookstore_core=error";
const SERVER_LOG: &str = "warn,bookstore=info,bookstore_core=info,bookstore_transport_http=info";

/// A server that can be started.
#[derive(Debug)]
pub(crate) struct Checked<S> {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How long the server goes on after it was asked to stop.
    pub(crate) grace: Duration,
    /// What to run.
    pub(crate) server: S,
}

/// Checks `bookstore monolith`.
pub(crate) fn monolith(args: &MonolithArgs) -> Result<Checked<Monolith>> {
    let listen = listen(&args.listen, args.serve.insecure)?;
    Ok(Checked {
        listen,
        grace: seconds("--grace", args.serve.grace)?,
        server: Monolith {
            store: store("--store", &args.store)?,
            currency: args.currency,
            sample: !args.no_sample,
            tokens: Tokens::new(tokens(&args.public)?),
            public_holds: args.public.public_holds,
            contacts: contacts(&args.contacts),
            serving: public(&args.public, serving(&args.serve, listen, processors())?),
        },
    })
}

/// Checks `bookstore catalog`.
pub(crate) fn catalog(args: &CatalogArgs) -> Result<Checked<CatalogServer>> {
    let listen = listen(&args.listen, args.serve.insecure)?;
    Ok(Checked {
        listen,
        grace: seconds("--grace", args.serve.grace)?,
        server: CatalogServer {
            store: store("--store", &args.store)?,
            currency: args.currency,
            sample: args.sample,
            server_token: inner_token(&args.internal, listen)?,
            contacts: contacts(&args.contacts),
            serving: serving(&args.serve, listen, inner_threads())?,
        },
    })
}

fn contacts(args: &ContactsArgs) -> Contacts {
    const DAY: u64 = 86_400;
    let rule = match args.contact {
        ContactArg::Off => ContactRule::Off,
        ContactArg::Optional => ContactRule::Optional,
        ContactArg::Required => ContactRule::Required,
    };
    Contacts { rule, keep: args.contacts_keep.map(|days| Duration::from_secs(DAY * u64::from(days))) }
}

/// How long a purchase waits for the copy before its outcome is unknown: less than a frontend waits for the order server.
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
        grace: seconds("--grace", args.serve.grace)?,
        server: OrderServer {
            store: store("--store", &args.store)?,
            catalog: servers_behind("--catalog", &args.catalog, listen, args.serve.insecure)?,
            ack: match args.ack {
                AckArg::Ledger => Ack::Ledger,
                AckArg::Copied => Ack::Copied { wait: COPIED_WAIT },
            },
            server_token: inner_token(&args.internal, listen)?,
            serving: serving(&args.serve, listen, inner_threads())?,
        },
    })
}

/// Checks `bookstore frontend`.
pub(crate) fn frontend(args: &FrontendArgs) -> Result<Checked<FrontendServer>> {
    let listen = listen(&args.listen, args.serve.insecure)?;
    let servers = |flag, urls| servers_behind(flag, urls, listen, args.serve.insecure);
    let (catalog, orders) = (servers("--catalog", &args.catalog)?, servers("--order", &args.order)?);
    if let Some(both) = catalog.iter().find(|url| orders.contains(url)) {
        return wrong(format!(
            "--catalog and --order both name {both}; they are different servers, on different ports"
        ));
    }
    Ok(Checked {
        listen,
        grace: seconds("--grace", args.serve.grace)?,
        server: FrontendServer {
            catalog,
            orders,
            cache_books_max: args.cache_books,
            tokens: Tokens::new(tokens(&args.public)?),
            public_holds: args.public.public_holds,
            server_token: token("--server-token-file", args.internal.server_token_file.as_deref())?,
            serving: public(&args.public, serving(&args.serve, listen, processors())?),
        },
    })
}

/// The longest `--drain`, `--grace` and `--timeout`.
const SECONDS_MAX: u64 = 3600;

fn serving(args: &ServeArgs, listen: SocketAddr, threads: usize) -> Result<Serving> {
    let limits = ServerLimits {
        drain_timeout: seconds("--drain", args.drain)?,
        worker_threads: args.threads.map_or(threads, usize::from),
        hosts: hosts(&args.host, listen.ip())?,
        shared_peers: args.trusted_proxy.clone(),
        ..api::limits()
    };
    Ok(Serving { limits, metrics: None })
}

fn public(args: &PublicArgs, mut serving: Serving) -> Serving {
    serving.limits.changes_per_peer = (args.rate_limit > 0).then(|| RateLimit::per_minute(args.rate_limit));
    serving
}

/// Serving threads of a catalog or order server. It has few connections, and every request on one wakes its thread: half as many
/// threads as processors suffice, and the others are left to the threads that write the store.
fn inner_threads() -> usize {
    processors().div_ceil(2)
}

/// Serving threads of a server with the public interface, which has many connections: one for each processor.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Checks a flag's number of seconds.
pub(crate) fn seconds(flag: &str, seconds: u64) -> Result<Duration> {
    if seconds > SECONDS_MAX {
        return wrong(format!("{flag} is at most {SECONDS_MAX} seconds, not {seconds}"));
    }
    Ok(Duration::from_secs(seconds))
}

/// Checks an address or a store that a ledger's entries are read from.
pub(crate) fn feed(flag: &str, url: &str) -> Result<FeedUrl> {
    if url.starts_with("http://") {
        return Ok(FeedUrl::Server(url.to_owned()));
    }
    match store(flag, url)? {
        StoreUrl::Sqlite(path) if !path.exists() => wrong(format!("{flag} {url}: there is no such file")),
        StoreUrl::Sqlite(path) => Ok(FeedUrl::File(path)),
        StoreUrl::Postgres(url) => wrong(format!(
            "{flag} {url}: entries are not read from a database here; give its catalog's address, http://…"
        )),
        StoreUrl::Memory => wrong(format!("{flag} memory: is gone when its server stops; give that server's address")),
    }
}

/// The token that servers show each other, for a command that reads from them.
pub(crate) fn server_token(file: Option<&Path>) -> Result<Option<bookstore::AccessToken>> {
    token("--server-token-file", file)
}

/// Where a ledger's entries are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeedUrl {
    /// A catalog or order server.
    Server(String),
    /// A file that no server has open.
    File(PathBuf),
}

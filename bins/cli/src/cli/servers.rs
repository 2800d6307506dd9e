//! The arguments of the servers.

use bookstore_core::{Currency, OrderId};
use clap::{Args, ValueEnum};
use std::{net::IpAddr, path::PathBuf};

use super::ShopArgs;

/// The flags of every server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct ServeArgs {
    /// Allow plain text beyond this machine: to listen there, and to reach other servers
    #[arg(long)]
    pub(crate) insecure: bool,
    /// A name of this server, if clients use others than localhost and its address: that of a proxy in front, say. Without it, a
    /// server beyond loopback answers to any name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) host: Vec<String>,
    /// The address of a proxy, which brings many clients: no limits for what comes from one address
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<IpAddr>,
    /// Seconds after SIGTERM (or SIGHUP, without --tokens-file) in which /readyz says 503 and the server still serves, before it stops
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) grace: u64,
    /// Seconds that running requests get to finish when the server stops
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) drain: u64,
    /// Threads that serve connections, 1 to 1024 [default: one for each processor, half as many in a catalog or order
    /// server]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Stop when stdin ends, as after SIGTERM: for programs that start servers and must not leave any behind
    #[arg(long)]
    pub(crate) stop_with_stdin: bool,
}

/// The flags of servers with the public interface.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct PublicArgs {
    /// Purchases and other changes a minute from one address; 0 for no limit. This machine has none
    #[arg(long, value_name = "N", default_value_t = 600)]
    pub(crate) rate_limit: u32,
    /// Let buyers hold copies for up to 15 minutes without buying them
    #[arg(long)]
    pub(crate) public_holds: bool,
    /// File with the token named admin, which may do everything; without this and --tokens-file, admin is off
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// File with named tokens, made by `bookstore token new`; with it, SIGHUP reads both files again
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens_file: Option<PathBuf>,
}

/// The flags of servers that hold the ledger.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct ContactsArgs {
    /// Whether orders carry a name, an e-mail address, an address and a note
    #[arg(long, value_enum, default_value_t = ContactArg::Off)]
    pub(crate) contact: ContactArg,
    /// Erase the contact of an order so many days after it was placed, 1 to 36500 [default: keep it]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) contacts_keep: Option<u32>,
}

/// `--contact`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ContactArg {
    /// An order with a contact is refused
    Off,
    /// A contact is kept if one is given
    Optional,
    /// A buyer's order without a contact is refused
    Required,
}

/// The flags of servers that talk to each other.
#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct InternalArgs {
    /// File with the token that the servers of one shop show each other; the same for all of them
    #[arg(long, value_name = "FILE")]
    pub(crate) server_token_file: Option<PathBuf>,
}

/// `bookstore monolith`
#[derive(Debug, Args)]
pub(crate) struct MonolithArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// Where the data is: sqlite:PATH, postgres://USER@HOST/DATABASE or memory:
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// What all amounts are in, a code of ISO 4217; a store that is there keeps its own [default: USD]
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Option<Currency>,
    /// Do not add the sample catalogue to an empty store
    #[arg(long)]
    pub(crate) no_sample: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) public: PublicArgs,
    #[command(flatten)]
    pub(crate) contacts: ContactsArgs,
}

/// `bookstore catalog`
#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub(crate) listen: String,
    /// Where the data is: sqlite:PATH, postgres://USER@HOST/DATABASE or memory:
    #[arg(long, value_name = "URL", default_value = "sqlite:catalog.db")]
    pub(crate) store: String,
    /// What all amounts are in, a code of ISO 4217; a store that is there keeps its own [default: USD]
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Option<Currency>,
    /// Add the sample catalogue if the store has never had a book
    #[arg(long)]
    pub(crate) sample: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) contacts: ContactsArgs,
    #[command(flatten)]
    pub(crate) internal: InternalArgs,
}

/// `bookstore order`: a reading client, or a server.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// Read this order
    #[arg(value_name = "ORDER_ID", help_heading = "Read an order")]
    pub(crate) id: Option<OrderId>,
    #[command(flatten, next_help_heading = "Read an order")]
    pub(crate) shop: ShopArgs,
    /// File with the shop's admin token: needed for an order whose id is no UUID of version 4 or 7
    #[arg(long, value_name = "FILE", help_heading = "Read an order")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Serve orders of this catalog server; several addresses of the same one are tried in turn
    #[arg(long, value_name = "URL", value_delimiter = ',', help_heading = "Run an order server")]
    pub(crate) catalog: Vec<String>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082", help_heading = "Run an order server")]
    pub(crate) listen: String,
    /// Where this server's own copy of the orders is: sqlite:PATH, or memory:
    #[arg(long, value_name = "URL", default_value = "sqlite:orders.db", help_heading = "Run an order server")]
    pub(crate) store: String,
    /// When a purchase is acknowledged
    #[arg(long, value_enum, default_value_t = AckArg::Ledger, help_heading = "Run an order server")]
    pub(crate) ack: AckArg,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) internal: InternalArgs,
}

/// `--ack`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AckArg {
    /// When it is durable in the catalog's ledger
    Ledger,
    /// When it is also durable in this server's own copy: on two machines
    Copied,
}

/// `bookstore frontend`
#[derive(Debug, Args)]
pub(crate) struct FrontendArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// The catalog server; several addresses of the same one are tried in turn
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) catalog: Vec<String>,
    /// The order servers
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub(crate) order: Vec<String>,
    /// Books cached in memory, kept current from the ledger; 0 for no cache
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = books_max)]
    pub(crate) cache_books: usize,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) public: PublicArgs,
    #[command(flatten)]
    pub(crate) internal: InternalArgs,
}

/// The most that `--cache-books` takes.
const CACHE_BOOKS_MAX: usize = 10_000_000;

fn books_max(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(books) if books <= CACHE_BOOKS_MAX => Ok(books),
        _ => Err(format!("a number of books from 0, no cache, to {CACHE_BOOKS_MAX}")),
    }
}

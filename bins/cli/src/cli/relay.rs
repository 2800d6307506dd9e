//! The arguments of `bookstore relay`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `bookstore relay`
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// The receiver: http://HOST[:PORT]/PATH
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// File with the secret that the receiver checks signatures with: whsec_… on a line; two lines while it is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: PathBuf,
    /// The shop: a monolith or frontends, which are tried in turn
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:8080")]
    pub(crate) from: Vec<String>,
    /// File with a token of the shop; one with the role read is enough
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// The catalog server, instead of --from
    #[arg(long, value_name = "URL", value_delimiter = ',', conflicts_with = "from")]
    pub(crate) catalog: Vec<String>,
    /// File with the token that the servers show each other, for --catalog
    #[arg(long, value_name = "FILE")]
    pub(crate) server_token_file: Option<PathBuf>,
    /// File in which the relay keeps its place in the ledger
    #[arg(long, value_name = "FILE", default_value = "relay.json")]
    pub(crate) state: PathBuf,
    /// Where a relay without a --state file begins
    #[arg(long, value_enum, default_value_t = BeginArg::Start)]
    pub(crate) begin: BeginArg,
    /// Send only events of these types, separated by commas; ledger.rewound is sent always
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Serve /metrics, /livez and /readyz here
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics_listen: Option<String>,
    /// Allow plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// `--begin`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BeginArg {
    /// With the ledger's first entry: everything that ever happened
    Start,
    /// With what happens from now on
    Now,
}

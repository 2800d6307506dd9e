//! The arguments of commands that work on files.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `bookstore import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The books: .csv, .jsonl or .jsonl.gz
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Add them to this store, which no server may have open [default: sqlite:bookstore.db]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Add them to this running shop (admin)
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) server: Vec<String>,
    /// File with the running shop's admin token
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Allow sending the admin token in plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
    /// What to do with broken lines
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    pub(crate) on_error: OnError,
    /// Print the counts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `--on-error`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Check the whole file first; if any line is broken, add nothing
    Stop,
    /// Add the good lines, name and count the broken ones, and exit with 1 if there were any
    Skip,
}

/// `bookstore audit`
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The store with the ledger, or the address of its catalog server
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// An order server's copy of it, or the order server's address; may be given several times
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) copy: Vec<String>,
    /// File with the token of the servers, if addresses are given
    #[arg(long, value_name = "FILE")]
    pub(crate) server_token_file: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bookstore backup`
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to create
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The store to copy
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
}

/// `bookstore restore`
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// The store to make
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// Go back to the backup: it takes the place of the store, under a new timeline
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `bookstore promote`
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The copies that are left: each the store of an order server that is stopped, or the address of one that runs
    #[arg(long, value_name = "URL", value_delimiter = ',', num_args = 1.., required = true)]
    pub(crate) copy: Vec<String>,
    /// The store to make
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// File with the token of the servers, if addresses are given
    #[arg(long, value_name = "FILE")]
    pub(crate) server_token_file: Option<PathBuf>,
}

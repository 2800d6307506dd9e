//! The arguments of `bookstore token`.

use bookstore::Role;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `bookstore token`
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print its secret, which is shown this once
    New {
        /// Whose it is: 1 to 64 of the characters a to z, 0 to 9, '.', '_' and '-'
        #[arg(value_name = "NAME")]
        name: String,
        /// What it opens
        #[arg(long, value_enum)]
        role: RoleArg,
        #[command(flatten)]
        file: TokensFileArgs,
    },
    /// List the tokens, without their secrets
    List {
        #[command(flatten)]
        file: TokensFileArgs,
    },
    /// Take a token out of the file
    Revoke {
        /// Whose it is
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        file: TokensFileArgs,
    },
}

/// The file of tokens.
#[derive(Debug, Args)]
pub(crate) struct TokensFileArgs {
    /// The file with the tokens' hashes, the same as the servers'
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens_file: PathBuf,
}

/// `--role`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Everything, cancelling any order too
    Admin,
    /// What read does; also prices, stock and new books
    Stock,
    /// Lists of orders, and the ledger's entries
    Read,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Stock => Self::Stock,
            RoleArg::Read => Self::Read,
        }
    }
}

//! The arguments of commands that work on files.

use bookstore::import::{Field, ImportOptions};
use bookstore_core::{Currency, OrderId};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

use super::shop::ShopArgs;

/// `bookstore import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The books: .csv, .tsv, .txt, .jsonl or .jsonl.gz
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Say what a file would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Set text, price and stock of books that are in the catalog to those in the file
    #[arg(long)]
    pub(crate) update: bool,
    /// The column of a field: title, author, topic, isbn, year, subjects, price, price_cents, stock, subtitle, sku, condition, publisher,
    /// language, format, description or on_sale; may be given several times
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = column)]
    pub(crate) map: Vec<(Field, String)>,
    /// Leave columns out that are not used
    #[arg(long)]
    pub(crate) ignore_columns: bool,
    /// The topic of lines that have none
    #[arg(long, value_name = "TOPIC")]
    pub(crate) default_topic: Option<String>,
    /// The stock of lines that have none
    #[arg(long, value_name = "COPIES")]
    pub(crate) default_stock: Option<u32>,
    /// Make up prices and stocks that the file does not have, for samples
    #[arg(long)]
    pub(crate) fill_in: bool,
    /// Prices have a comma before the cents
    #[arg(long)]
    pub(crate) decimal_comma: bool,
    /// The currency of a store that is not there yet, a code of ISO 4217; any other keeps its own [default: USD]
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Option<Currency>,
    /// Take prices of 0, and with --update those that change by more than a factor of 5
    #[arg(long)]
    pub(crate) yes: bool,
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

impl ImportArgs {
    /// How the file is read into a shop with this currency.
    pub(crate) fn options(&self, currency: Currency) -> ImportOptions {
        ImportOptions {
            currency,
            fill_in: self.fill_in,
            default_stock: self.default_stock,
            default_topic: self.default_topic.clone(),
            ignore_columns: self.ignore_columns,
            columns: self.map.clone(),
            decimal_comma: self.decimal_comma,
        }
    }
}

/// The value of `--map`.
fn column(pair: &str) -> Result<(Field, String), String> {
    let (field, column) = pair.split_once('=').ok_or("write FIELD=COLUMN, for example price=Cost")?;
    Ok((field.trim().parse()?, column.trim().to_owned()))
}

/// `--on-error`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Check the whole file first; if any line is broken, add nothing
    Stop,
    /// Add the good lines, name and count the broken ones, and exit with 1 if there were any
    Skip,
}

/// `bookstore export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// What to write
    #[arg(value_enum)]
    pub(crate) what: Exported,
    /// Write CSV [default, unless the name of --output ends in .jsonl]
    #[arg(long, conflicts_with = "jsonl")]
    pub(crate) csv: bool,
    /// Write JSON lines
    #[arg(long)]
    pub(crate) jsonl: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write also who orders are for
    #[arg(long)]
    pub(crate) contacts: bool,
    /// Read this store, also beside its server [default: sqlite:bookstore.db]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Read from this running shop (orders: admin)
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) server: Vec<String>,
    /// File with the running shop's admin token
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Allow sending the admin token in plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// What `bookstore export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exported {
    /// Texts, prices and stocks of all books
    Books,
    /// All orders and their lines
    Orders,
}

/// `bookstore migrate`
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The store
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// What all amounts are in, a code of ISO 4217; a store that is there keeps its own [default: USD]
    #[arg(long, value_name = "CODE")]
    pub(crate) currency: Option<Currency>,
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

/// `bookstore head`
#[derive(Debug, Args)]
pub(crate) struct HeadArgs {
    /// The store with the ledger, or the address of its catalog server
    #[arg(long, value_name = "URL", default_value = "sqlite:bookstore.db")]
    pub(crate) store: String,
    /// Up to this entry instead of the last one
    #[arg(long, value_name = "SEQ", conflicts_with = "verify")]
    pub(crate) at: Option<u64>,
    /// Sign it with this Ed25519 private key (PEM), and print it as JSON
    #[arg(long, value_name = "KEY", conflicts_with = "verify")]
    pub(crate) sign: Option<PathBuf>,
    /// Check a signed head, and the ledger against it
    #[arg(long, value_name = "FILE")]
    pub(crate) verify: Option<PathBuf>,
    /// The public key (PEM) to check with
    #[arg(long, value_name = "KEY", requires = "verify")]
    pub(crate) key: Option<PathBuf>,
    /// Check also that this order was in the ledger when the head was signed
    #[arg(long, value_name = "ORDER_ID", requires = "verify")]
    pub(crate) order: Option<OrderId>,
    /// File with the token of the servers, if an address is given
    #[arg(long, value_name = "FILE")]
    pub(crate) server_token_file: Option<PathBuf>,
    /// Print it as JSON
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

/// `bookstore take-over`
#[derive(Debug, Args)]
pub(crate) struct TakeOverArgs {
    /// The order server's copy that has set orders aside
    #[arg(long, value_name = "URL")]
    pub(crate) copy: String,
    /// Only say which orders these are
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

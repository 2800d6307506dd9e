//! `bookstore migrate`: brings a store up to date, or makes the tables of a database, before a server opens it.

use bookstore::StoreUrl;
use bookstore_core::{
    SystemClock,
    store::{
        postgres::{self, Migrated},
        sqlite::{self, SqliteOptions},
    },
};
use std::process::ExitCode;

use super::{Failure, output::print};
use crate::{cli::MigrateArgs, config};

/// Runs the command.
pub(super) async fn run(args: &MigrateArgs) -> Result<ExitCode, Failure> {
    let currency = args.currency;
    match config::store("--store", &args.store)? {
        StoreUrl::Postgres(url) => {
            let Migrated { from, to } = postgres::migrate(&url, &SystemClock, currency).await?;
            print(&match from {
                0 => format!("Made a ledger in {url}, of format {to}."),
                from if from == to => format!("{url} has format {to} already: nothing was to be done."),
                from => format!("{url} had format {from} and has format {to} now."),
            });
        }
        StoreUrl::Sqlite(path) if !path.exists() => {
            let why = format!("{}: there is no such file; a server makes it", path.display());
            return Err(Failure::Failed(why));
        }
        StoreUrl::Sqlite(path) => {
            sqlite::open(&path, &SystemClock, SqliteOptions { currency, ..SqliteOptions::default() })?;
            print(&format!("{} is up to date.", path.display()));
        }
        StoreUrl::Memory => return Err(Failure::Usage("--store memory: is new at each start".into())),
    }
    Ok(ExitCode::SUCCESS)
}

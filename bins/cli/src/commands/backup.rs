//! `bookstore backup`: a consistent copy of a store in a new file, beside a running server.

use bookstore_cli::load::grouped;
use bookstore_core::store::{StoreError, sqlite};
use std::process::ExitCode;

use super::{Failure, output::print};
use crate::{cli::BackupArgs, config};

/// Runs the command.
pub(super) fn run(args: &BackupArgs) -> Result<ExitCode, Failure> {
    let store = config::store_file("--store", &args.store, "back a database up with pg_dump or pg_basebackup")?;
    sqlite::backup(&store, &args.file)?;
    let file = args.file.display();
    let size = std::fs::metadata(&args.file).map_err(|error| StoreError::Failed(format!("{file}: {error}")))?.len();
    print(&format!("Wrote {file}, {} bytes. Check it with: bookstore audit --store sqlite:{file}", grouped(size)));
    Ok(ExitCode::SUCCESS)
}

//! `bookstore restore`: goes back to a backup, or makes another ledger of it.

use bookstore_cli::load::grouped;
use bookstore_core::{
    SystemClock,
    store::sqlite::{Restored, restore_copy, restore_replacing},
};
use std::process::ExitCode;

use super::{Failure, output::print};
use crate::{cli::RestoreArgs, config};

/// Runs the command.
pub(super) fn run(args: &RestoreArgs) -> Result<ExitCode, Failure> {
    let store = config::store_file("--store", &args.store, "a backup is a file and becomes one")?;
    let Restored { identity, head, replaced } = if args.replace {
        restore_replacing(&args.backup, &store, &SystemClock)?
    } else {
        restore_copy(&args.backup, &store, &SystemClock)?
    };
    print(&format!("Restored {} entries to {} as ledger {}.", grouped(head.0), args.store, identity.ledger));
    if !args.replace {
        print("It is another ledger than the one of the backup: no server takes it for that one.");
        return Ok(ExitCode::SUCCESS);
    }
    let timeline = identity.timelines.last().map(|timeline| timeline.id.to_string()).unwrap_or_default();
    print(&format!("Timeline {timeline} begins. Order servers follow it and set aside what it does not have."));
    if let Some(replaced) = replaced {
        print(&format!(
            "What was there is kept in {}: orders after the backup are in that file only.",
            replaced.display()
        ));
    }
    print(
        "Start the catalog, then audit: bookstore audit --store URL --copy URL lists the orders that copies set aside.",
    );
    Ok(ExitCode::SUCCESS)
}

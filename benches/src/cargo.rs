//! Builds the executables that a benchmark starts.

use std::{path::Path, process::Command};

use crate::Result;

/// Runs `cargo build --locked` with these arguments in a tree of sources.
///
/// # Errors
/// The build fails.
pub fn build(tree: &Path, args: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(tree).args(["build", "--locked"]).args(args);
    run(&mut command)
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed").into()),
    }
}

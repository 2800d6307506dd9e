//! The executable `bookstore`: servers, the command line, a load generator and a lab.

mod cli;
mod commands;
mod config;
mod locked_file;
mod relay;

use std::{io::IsTerminal as _, process::ExitCode};

/// Requests make many short-lived allocations: with the C library's allocator the servers are about a tenth slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut cli = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match config::log_filter(&cli) {
        Ok(filter) => {
            let to_terminal = std::io::stderr().is_terminal();
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .with_ansi(to_terminal)
                .init();
        }
        Err(wrong) => return commands::Failure::from(wrong).report(),
    }
    // Before there are threads: it takes the variables out of the environment.
    let inherited = match config::inherited(&mut cli) {
        Ok(inherited) => inherited,
        Err(wrong) => return commands::Failure::from(wrong).report(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return commands::Failure::Failed(format!("cannot start: {error}")).report(),
    };
    let ended = runtime.block_on(commands::run(cli.command, inherited));
    ended.unwrap_or_else(commands::Failure::report)
}

//! What each command does, and the exit codes.

mod admin;
mod audit;
mod backup;
mod best_sellers;
mod export;
mod feeds;
mod head;
mod import;
mod lab;
mod load;
mod metrics;
mod migrate;
mod orders;
mod output;
mod progress;
mod promote;
mod relay;
mod restore;
mod serve;
mod shop;
mod signals;
mod take_over;
mod texts;
mod token;

use bookstore::OpenError;
use bookstore_core::{Error, store::StoreError};
use std::{net::TcpListener, process::ExitCode};

use crate::{cli::Command, config::Misconfigured};

/// Refused, or a check failed.
pub(crate) const REFUSED: ExitCode = ExitCode::FAILURE;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The outcome is unknown.
const UNKNOWN: u8 = 3;
/// Not executed: the shop cannot be reached, or is too busy.
const NOT_EXECUTED: u8 = 4;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments or the configuration are wrong.
    Usage(String),
    /// A call to a shop failed.
    Answer {
        /// Its error.
        error: Error,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Anything else.
    Failed(String),
}

impl From<Misconfigured> for Failure {
    fn from(wrong: Misconfigured) -> Self {
        Self::Usage(wrong.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Answer { error, hint: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Url(why) => Self::Usage(why),
            OpenError::Store(error) => error.into(),
        }
    }
}

impl Failure {
    /// Prints it to stderr and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(message) => {
                eprintln!("error: {message}");
                ExitCode::from(USAGE)
            }
            Self::Failed(message) => {
                eprintln!("error: {message}");
                REFUSED
            }
            Self::Answer { error, hint } => {
                eprintln!("error: {error}");
                if let Some(hint) = hint {
                    eprintln!("{hint}");
                }
                exit_code(&error)
            }
        }
    }
}

fn exit_code(error: &Error) -> ExitCode {
    match error {
        Error::OutcomeUnknown { .. } => ExitCode::from(UNKNOWN),
        Error::Overloaded { .. } | Error::Unavailable { .. } | Error::DeadlineExpired { .. } => {
            ExitCode::from(NOT_EXECUTED)
        }
        _ => REFUSED,
    }
}

/// Refuses a store and a running shop at once.
fn one_place(store: Option<&str>, servers: &[String]) -> Result<(), Failure> {
    if store.is_none() || servers.is_empty() {
        return Ok(());
    }
    let both = "give --store for a file of your own or --server for a running shop, not both (they may also come from \
                BOOKSTORE_STORE and BOOKSTORE_SERVER)";
    Err(Failure::Usage(both.into()))
}

/// Runs a command; a server accepts connections of the `inherited` socket, if there is one.
pub(crate) async fn run(command: Command, inherited: Option<TcpListener>) -> Result<ExitCode, Failure> {
    match command {
        Command::Monolith(args) => serve::monolith(&args, inherited).await,
        Command::Catalog(args) => serve::catalog(&args, inherited).await,
        Command::Order(args) => match args.id {
            Some(id) => shop::order(id, &args).await,
            None => serve::order(&args, inherited).await,
        },
        Command::Frontend(args) => serve::frontend(&args, inherited).await,
        Command::Import(args) => import::run(args).await,
        Command::Export(args) => export::run(&args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Search(args) => shop::search(&args).await,
        Command::BestSellers(args) => best_sellers::best_sellers(&args).await,
        Command::Topics(args) => shop::topics(&args).await,
        Command::Info(args) => shop::info(&args).await,
        Command::Buy(args) => shop::buy(&args).await,
        Command::Hold(args) => orders::hold(&args).await,
        Command::Confirm(args) => orders::confirm(&args).await,
        Command::Fulfil(args) => orders::fulfil(&args).await,
        Command::Return(args) => orders::take_back(&args).await,
        Command::Contact(args) => orders::contact(&args).await,
        Command::EraseContact(args) => orders::erase_contact(&args).await,
        Command::Cancel(args) => shop::cancel(&args).await,
        Command::Orders(args) => admin::orders(&args).await,
        Command::Restock(args) => admin::restock(&args).await,
        Command::Price(args) => admin::price(&args).await,
        Command::Edit(args) => texts::edit(args).await,
        Command::Withdraw(args) => texts::withdraw(&args).await,
        Command::Relist(args) => texts::relist(&args).await,
        Command::Add(args) => admin::add(args).await,
        Command::Load(args) => load::run(&args).await,
        Command::Lab(args) => lab::run(&args).await,
        Command::Audit(args) => audit::run(&args).await,
        Command::Head(args) => head::run(&args).await,
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Promote(args) => promote::run(&args).await,
        Command::TakeOver(args) => take_over::run(&args).await,
        Command::Relay(args) => relay::run(&args).await,
        Command::Token(args) => token::run(&args.command),
    }
}

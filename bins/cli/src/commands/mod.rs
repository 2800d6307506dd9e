//! What each command does, and how the process ends.

mod admin;
mod audit;
mod backup;
mod import;
mod lab;
mod load;
mod metrics;
mod output;
mod progress;
mod serve;
mod shop;

use bookstore::OpenError;
use bookstore_core::{Error, store::StoreError};
use std::process::ExitCode;

use crate::{cli::Command, config::Misconfigured};

/// Refused, or a check failed.
pub(crate) const REFUSED: ExitCode = ExitCode::FAILURE;
/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// It may have happened.
const UNKNOWN: u8 = 3;
/// Not executed: nobody there, or too busy.
const NOT_EXECUTED: u8 = 4;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The flags do not fit together.
    Usage(String),
    /// A shop's answer, and what can be done about it.
    Answer {
        /// The answer.
        error: Error,
        /// What to do, in a line or more.
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
    /// Tells it on stderr, and says how the process ends.
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

/// Does what was asked.
pub(crate) async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Monolith(args) => serve::monolith(&args).await,
        Command::Catalog(args) => serve::catalog(&args).await,
        Command::Order(args) => match args.id {
            Some(id) => shop::order(id, &args.shop).await,
            None => serve::order(&args).await,
        },
        Command::Frontend(args) => serve::frontend(&args).await,
        Command::Import(args) => import::run(args).await,
        Command::Search(args) => shop::search(&args).await,
        Command::Topics(args) => shop::topics(&args).await,
        Command::Info(args) => shop::info(&args).await,
        Command::Buy(args) => shop::buy(&args).await,
        Command::Cancel(args) => shop::cancel(&args).await,
        Command::Orders(args) => admin::orders(&args).await,
        Command::Restock(args) => admin::restock(&args).await,
        Command::Price(args) => admin::price(&args).await,
        Command::Add(args) => admin::add(args).await,
        Command::Load(args) => load::run(&args).await,
        Command::Lab(args) => lab::run(&args).await,
        Command::Audit(args) => audit::run(&args),
        Command::Backup(args) => backup::run(&args),
    }
}

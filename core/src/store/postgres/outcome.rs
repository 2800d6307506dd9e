//! What an error of the server, or of the way to it, says about a statement that was sent.

use std::error::Error as _;
use tokio_postgres::{
    Error,
    error::{DbError, Severity, SqlState},
};

use super::StoreError;

/// How a statement failed that would have written something.
#[derive(Debug)]
pub(super) enum WriteError {
    /// It certainly wrote nothing and never will, and may be sent again as it is.
    TryAgain(StoreError),
    /// It certainly wrote nothing and never will.
    NotWritten(StoreError),
    /// It may have been committed, or be committed later.
    Unknown(StoreError),
}

impl WriteError {
    pub(super) fn of(error: &Error) -> Self {
        let told = StoreError::Failed(describe(error));
        let Some(db) = error.as_db_error() else { return Self::Unknown(told) };
        if may_have_committed(db) {
            return Self::Unknown(told);
        }
        match db.code() {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::LOCK_NOT_AVAILABLE => {
                Self::TryAgain(told)
            }
            _ => Self::NotWritten(told),
        }
    }

    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::TryAgain(error) | Self::NotWritten(error) | Self::Unknown(error) => error,
        }
    }
}

/// An error ends the statement's transaction, and nothing of it is there. But if the session ends with it, it may have come after the commit.
fn may_have_committed(error: &DbError) -> bool {
    let ends_statement_only = error.parsed_severity() == Some(Severity::Error);
    let in_doubt = [
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
    ];
    !ends_statement_only || in_doubt.contains(error.code())
}

/// An error in words, with its cause.
pub(super) fn describe(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let hint = db.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("PostgreSQL says: {} ({}){hint}", db.message(), db.code().code())
        }
        None => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                if !text.contains(&error.to_string()) {
                    text = format!("{text}: {error}");
                }
                cause = error.source();
            }
            text
        }
    }
}

/// Why a host cannot be used, and what to do.
pub(super) fn describe_connect(error: &Error, database: &str, user: &str) -> String {
    let Some(db) = error.as_db_error() else { return describe(error) };
    let told = db.message();
    match *db.code() {
        SqlState::INVALID_PASSWORD => {
            format!("it refuses the password of {user:?}; give the right one, in the URL or in a passfile")
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => format!("it does not let {user:?} in: {told}"),
        SqlState::INVALID_CATALOG_NAME => {
            format!("there is no database {database:?}; create it (createdb {database}), or give another name")
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            format!("it has no connection left ({told}); stop something else, or raise max_connections")
        }
        SqlState::CANNOT_CONNECT_NOW => format!("it is not ready: {told}"),
        _ => describe(error),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Self::Unusable(format!(
                "{}; the user needs to own the schema \"bookstore\", or may create it: GRANT CREATE ON DATABASE … TO …",
                describe(&error)
            )),
            _ => Self::Failed(describe(&error)),
        }
    }
}

//! Why there is no result.

use bookstore_core::Error;
use std::io;

use crate::load::LoadError;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The folder of the stores cannot be made or written.
    #[error("the folder for the servers' stores: {0}")]
    Folder(#[source] io::Error),
    /// A server did not start, ended by itself, or cannot be asked.
    #[error("{server}: {why}{log}")]
    Server {
        /// Which.
        server: String,
        /// What is wrong.
        why: String,
        /// The last lines that it wrote to stderr, if any, each on a line of its own.
        log: String,
    },
    /// A load could not be run.
    #[error("{doing}: {error}{log}")]
    Load {
        /// What was being measured.
        doing: String,
        /// Why.
        error: Box<LoadError>,
        /// What the servers wrote to stderr.
        log: String,
    },
    /// A shop did not do what the lab itself asked for.
    #[error("could not {what}: {error}")]
    Asked {
        /// What.
        what: &'static str,
        /// Its answer.
        error: Box<Error>,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl LabError {
    /// What becomes of a shop's answer to something that the lab itself asked for.
    pub(super) fn asked(what: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Asked { what, error: Box::new(error) }
    }
}

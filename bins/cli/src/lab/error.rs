//! Why the lab has no result.

use bookstore_core::Error;
use std::io;

use crate::load::LoadError;

/// Why the lab has no result.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The folder of the stores cannot be created or written.
    #[error("the folder for the servers' stores: {0}")]
    Folder(#[source] io::Error),
    /// A server did not start, ended by itself, or does not answer.
    #[error("{server}: {why}{log}")]
    Server {
        /// Which.
        server: String,
        /// What is wrong.
        why: String,
        /// The last lines of its log.
        log: String,
    },
    /// A load could not be run.
    #[error("{doing}: {error}{log}")]
    Load {
        /// What was being measured.
        doing: String,
        /// Why.
        error: Box<LoadError>,
        /// The last lines of the servers' logs.
        log: String,
    },
    /// A request of the lab itself failed.
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
    /// Makes an error of the answer to a request of the lab itself.
    pub(super) fn asked(what: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Asked { what, error: Box::new(error) }
    }
}

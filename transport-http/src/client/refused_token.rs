//! A token that servers of one deployment refuse each other: the operator's mistake, of which a buyer must not hear as a 401.

use bookstore_core::Error;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How often the log says so, whatever the traffic.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// When the log said last that a token was refused.
#[derive(Debug, Default)]
pub(super) struct RefusedTokens(Mutex<Option<Instant>>);

impl RefusedTokens {
    /// What a caller learns of a token that `server` has refused; the operator learns the rest.
    pub(super) fn hide(&self, server: &str, message: &str) -> Error {
        if self.is_due() {
            tracing::error!(
                server,
                message,
                "a server refuses this server's token; give both the same --server-token-file and restart them"
            );
        }
        Error::unavailable("the servers of this shop do not accept each other's token")
    }

    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= LOG_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

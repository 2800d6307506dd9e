//! How long a page waits for the services.

use bookstore_core::{Error, Result};
use std::{future::Future, time::Duration};
use tokio::time::timeout;

/// How long a person waits before the page says that the outcome is not known yet. Together with the reads of the page that says
/// so, it is less than the server gives a request.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long to wait for something that the page can do without.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// A call that changes something and may be repeated; without an answer in time its outcome is unknown.
pub(super) async fn write_in_time<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::unknown("there was no answer in time"));
    timeout(WRITE_TIMEOUT, call).await.unwrap_or_else(late)
}

/// A call that only reads.
pub(super) async fn read_in_time<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::unavailable("there was no answer in time"));
    timeout(READ_TIMEOUT, call).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_not_waited_for_any_longer() {
        let silent = write_in_time(std::future::pending::<Result<()>>()).await;
        assert!(matches!(silent, Err(Error::OutcomeUnknown { .. })));
        let unread = read_in_time(std::future::pending::<Result<()>>()).await;
        assert!(matches!(unread, Err(Error::Unavailable { .. })));
        assert_eq!(write_in_time(async { Ok(1) }).await, Ok(1));
        let refused = Error::overloaded("full");
        let unread = read_in_time(std::future::pending::<Result<()>>()).await;
        assert!(matches!(unread, Err(Error::Unavailable { .. })));
        assert_eq!(write_in_time(async { Err::<(), _>(refused.clone()) }).await, Err(refused));
    }
}

//! The limits of a client.

use std::time::Duration;

use crate::token::AccessToken;

/// How a client calls its servers.
///
/// ```
/// use bookstore_transport_http::client::{Client, ClientOptions};
/// use std::time::Duration;
///
/// let options = ClientOptions { deadline: Duration::from_secs(2), retries_max: 3, ..ClientOptions::default() };
/// let client = Client::http(&["http://10.0.0.1:7001", "http://10.0.0.2:7001"], options)?;
/// # Ok::<(), bookstore_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long a call may take in all, with its retries. A call that waits by design, such as a long poll, gets that time on top.
    pub deadline: Duration,
    /// How long one attempt may take; a call that waits by design gets that time on top.
    pub attempt_timeout: Duration,
    /// The most attempts of one call after the first one. The retry budget may allow fewer.
    pub retries_max: u32,
    /// The most calls that may wait to be sent, for each runtime that calls; any more are refused as [`Overloaded`].
    ///
    /// [`Overloaded`]: bookstore_core::Error::Overloaded
    pub waiting_max: usize,
    /// The most requests of one call each that may be in flight, long polls included.
    pub requests_in_flight_max: usize,
    /// The most batches that may be in flight, for each server of the group and each runtime that calls.
    pub batches_in_flight_max: usize,
    /// The longest response, in bytes.
    pub answer_bytes_max: usize,
    /// The bearer token that is sent with every request, if the servers require one.
    pub token: Option<AccessToken>,
    /// Whether the caller is not to blame for a token that the servers refuse, as in a client inside a server. Then such a call ends
    /// as [`Unavailable`], the refusing server counts as failed, and the log says at most every 10 seconds that the token is wrong.
    ///
    /// [`Unavailable`]: bookstore_core::Error::Unavailable
    pub hides_unauthorized: bool,
    /// The seed of all random choices: the pauses between attempts and the choice of a server.
    pub seed: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(2),
            retries_max: 10,
            waiting_max: 16_384,
            requests_in_flight_max: 256,
            batches_in_flight_max: 2,
            answer_bytes_max: 8 << 20,
            token: None,
            hides_unauthorized: false,
            seed: rand::random(),
        }
    }
}

impl ClientOptions {
    /// Options for a client inside a server. It gives up before a caller with the [`Default`] options gives that server up, so
    /// what is *not executed* behind the server does not become *unknown* in front of it.
    #[must_use]
    pub fn inner() -> Self {
        Self { deadline: Duration::from_millis(1500), attempt_timeout: Duration::from_secs(1), ..Self::default() }
    }
}

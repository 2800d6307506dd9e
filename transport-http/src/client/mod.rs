//! Calling a group of servers that all answer the same: connections, batches, retries and balancing.
//!
//! Every call ends in one of three outcomes. It is *not executed* if its body was never handed to a connection; it is *unknown*
//! if the body was sent and no readable answer came (a reset, a timeout, a response cut short); otherwise the server's answer
//! says what happened. Calls that only read are never unknown.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | [`Client`]: one call, with or without retries |
//! | `request.rs`, `response.rs` | what is sent, what is read |
//! | `pool.rs`, `per_runtime.rs` | connections, one set for each runtime |
//! | `claim.rs` | decides between *not executed* and *unknown* when a caller gives up |
//! | `balance.rs` | chooses a server; ejects servers that fail |
//! | `refused_token.rs` | a token that servers of one deployment refuse each other |
//! | `retry.rs` | attempts until the deadline, within a retry budget |
//! | `batching.rs`, `adaptive_delay.rs` | sends waiting calls together |
//! | `add_books.rs` | sends long lists of books in several requests |

mod adaptive_delay;
pub(crate) mod add_books;
mod balance;
pub(crate) mod batching;
mod claim;
mod options;
mod per_runtime;
mod pool;
mod refused_token;
pub(crate) mod request;
pub(crate) mod response;
mod retry;

use bookstore_core::{Error, Result, follow::Pinned, retry::Effect};
use http::HeaderValue;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{compact::PIN, token::AccessToken};
use balance::{Outcome, Servers};
use claim::Claim;
use pool::{Pool, TransportError};
use refused_token::RefusedTokens;
use request::{Compared, OutboundRequest};
use response::FromResponse;
use retry::{Failure, Retries, RetryOutcome};

pub use options::ClientOptions;

/// A client of one group of servers. Clones share connections, retry budget and balance.
///
/// A client may be made anywhere and used from any number of tokio runtimes; each gets connections of its own.
pub struct Client<C = HttpConnector> {
    shared: Arc<Shared<C>>,
}

/// What the clones of a client share.
struct Shared<C> {
    pool: Pool<C>,
    servers: Servers,
    retries: Retries,
    /// Permits for calls that are sent by themselves, waiting ones included.
    admitted: Semaphore,
    /// Permits for their requests.
    in_flight: Semaphore,
    /// The token, as it is sent with every request.
    authorization: Option<HeaderValue>,
    /// What the servers are shown with every request.
    shown: OnceLock<Pinned>,
    refused_tokens: RefusedTokens,
    options: ClientOptions,
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("servers", &self.shared.servers).finish_non_exhaustive()
    }
}

impl Client<HttpConnector> {
    /// A client over plain TCP of the servers at `urls`, each of the form `http://host:port`.
    ///
    /// Nothing is sent before the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no URL, or one is not of this form.
    pub fn http(urls: &[impl AsRef<str>], options: ClientOptions) -> Result<Self> {
        Self::new(pool::tcp(), urls, options)
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Client<C> {
    /// A client whose connections are made by `connector`, which MUST limit the time that this takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no URL, or one is not of the form `http://host:port`.
    pub fn new(connector: C, urls: &[impl AsRef<str>], options: ClientOptions) -> Result<Self> {
        let bases = urls.iter().map(|url| request::base(url.as_ref())).collect::<Result<Vec<_>>>()?;
        if bases.is_empty() {
            return Err(Error::invalid("url", "at least one server is needed"));
        }
        let shared = Shared {
            pool: Pool::new(connector, &options),
            servers: Servers::new(bases),
            retries: Retries::new(options.seed, options.retries_max),
            admitted: Semaphore::new(options.waiting_max.saturating_add(options.requests_in_flight_max)),
            in_flight: Semaphore::new(options.requests_in_flight_max),
            authorization: options.token.as_ref().map(AccessToken::header),
            shown: OnceLock::new(),
            refused_tokens: RefusedTokens::default(),
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Shows the servers, with every request, the newest history of the ledger that was followed. A server of an older one refuses the
    /// request, and a superseded catalog stops selling. The first call counts, for all clones.
    #[must_use]
    pub fn showing(self, followed: Pinned) -> Self {
        // Twice makes no difference: it follows the same ledger.
        let _ = self.shared.shown.set(followed);
        self
    }

    /// Calls with retries.
    ///
    /// # Errors
    /// - The server's own answer, if it refuses the call.
    /// - [`Error::Overloaded`] if too many calls wait: not executed.
    /// - [`Error::Unavailable`] if no server could be reached, or is ready: not executed.
    /// - [`Error::OutcomeUnknown`] if an attempt may have been executed; never for requests that only read.
    pub(crate) async fn call<T: FromResponse>(&self, request: OutboundRequest) -> Result<T> {
        self.call_with_retries(request).await.map(|outcome| outcome.answer)
    }

    /// Calls with retries, and says whether an earlier attempt may have been executed: for responses that hold refusals.
    async fn call_with_retries<T: FromResponse>(&self, request: OutboundRequest) -> Result<RetryOutcome<T>> {
        let full = || Error::overloaded("too many calls wait for a group of servers");
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| full())?;
        let deadline = Instant::now() + self.shared.options.deadline + request.extra_time;
        let (request, last) = (&request, &AtomicUsize::new(usize::MAX));
        let attempt = || async move {
            let permit = timeout_at(deadline, self.shared.in_flight.acquire()).await;
            let _permit = permit.map_err(|_| Failure::Local(full()))?;
            self.attempt(request, deadline, last).await
        };
        self.shared.retries.run(request.effect, deadline, attempt).await
    }

    /// Calls once, for at most one attempt's timeout, without a place among `requests_in_flight_max`.
    async fn call_once<T: FromResponse>(&self, request: &OutboundRequest) -> Result<T, Failure> {
        let deadline = Instant::now() + self.shared.options.attempt_timeout + request.extra_time;
        self.attempt(request, deadline, &AtomicUsize::new(usize::MAX)).await
    }

    /// One attempt, at another server than the `last` one if possible. Its timeout ends it before `deadline` if it comes first.
    ///
    /// If the ledger had to be compared first, the attempt is made once more as soon as it was: that costs neither a pause nor the
    /// retry budget.
    async fn attempt<T: FromResponse>(
        &self,
        request: &OutboundRequest,
        deadline: Instant,
        last: &AtomicUsize,
    ) -> Result<T, Failure> {
        match self.attempt_once(request, deadline, last).await {
            (Err(_), Compared::Again) => {
                // Where it was compared.
                last.store(usize::MAX, Ordering::Relaxed);
                self.attempt_once(request, deadline, last).await.0
            }
            (answer, _) => answer,
        }
    }

    async fn attempt_once<T: FromResponse>(
        &self,
        request: &OutboundRequest,
        deadline: Instant,
        last: &AtomicUsize,
    ) -> (Result<T, Failure>, Compared) {
        let attempt_ends = Instant::now() + self.shared.options.attempt_timeout + request.extra_time;
        let avoid = Some(last.load(Ordering::Relaxed)).filter(|&at| at != usize::MAX);
        let server = self.shared.servers.pick(avoid, |bound| self.shared.retries.draw(bound));
        last.store(server.at(), Ordering::Relaxed);
        let claim = Claim::default();
        let history = self.shared.shown.get().and_then(Pinned::history);
        let pinned = request.pin();
        let outbound = request.to_server(server.base(), self.shared.authorization.as_ref(), history.as_deref(), &claim);
        let outbound = match outbound {
            Ok(outbound) => outbound,
            Err(error) => {
                request.refresh_pin();
                return (Err(error.into()), Compared::No);
            }
        };
        // After a timeout the exchange is dropped, and its connection with it, before the claim is asked.
        let exchanged = timeout_at(deadline.min(attempt_ends), self.shared.pool.exchange(outbound)).await;
        let error = match exchanged {
            Ok(Ok((head, body))) => {
                let answer = self.without_token_errors(server.base(), response::read(server.base(), &head, &body));
                // A server that cannot serve answers fastest of all: it must not draw all the requests.
                let unavailable =
                    matches!(answer, Err(Failure::Attempt(Error::Unavailable { .. }) | Failure::Local(_)));
                if unavailable {
                    // It may have been started again.
                    request.refresh_pin();
                }
                let compared = match head.headers.contains_key(PIN) {
                    true => request.compared_again(pinned, deadline).await,
                    false => Compared::No,
                };
                let failed = unavailable && compared == Compared::No;
                server.note(if failed { Outcome::Failed } else { Outcome::Answered });
                return (answer, compared);
            }
            Ok(Err(error)) => error,
            Err(_) => TransportError::Timeout,
        };
        let sent = !claim.revoke();
        server.note(match error {
            TransportError::NoConnection(_) => Outcome::NoConnection,
            TransportError::TooLong => Outcome::Answered,
            _ => Outcome::Failed,
        });
        tracing::debug!(server = server.base(), path = request.path, %error, sent, "an attempt failed");
        let message = error.summary();
        if matches!(error, TransportError::TooLong) && request.effect == Effect::ReadOnly {
            // Another attempt would bring the same answer, from any server.
            return (Err(Error::invalid("page_size", format!("{message}; ask for less")).into()), Compared::No);
        }
        let error = if sent { Error::unknown(message) } else { Error::unavailable(message) };
        (Err(error.into()), Compared::No)
    }

    /// The answer of the server at `base`. If its caller is not to blame for a refused token, that is *not available*; another
    /// server may accept the token, the same one will not.
    fn without_token_errors<T>(&self, base: &str, answer: Result<T>) -> Result<T, Failure> {
        match answer {
            Err(Error::Unauthorized { message }) if self.shared.options.hides_unauthorized => {
                let unavailable = self.shared.refused_tokens.hide(base, &message);
                let others = self.shared.servers.len() > 1;
                Err(if others { Failure::Attempt(unavailable) } else { Failure::Local(unavailable) })
            }
            answer => Ok(answer?),
        }
    }
}

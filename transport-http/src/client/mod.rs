//! Calling a group of servers: one pool of connections, one retry layer, three outcomes.
//!
//! A call that failed is *not executed* if its body was never handed to a connection, and *unknown* otherwise
//! (a reset, a timeout, an answer cut short), unless the server said what it was. Calls that only read are never unknown.

pub(crate) mod balance;
pub(crate) mod batching;
pub(crate) mod claim;
mod per_runtime;
pub(crate) mod retry;

use axum::http::{HeaderName, HeaderValue, Method, Request, Uri, header, response::Parts};
use bookstore_core::{Error, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    client::balance::{Fate, Picked, Servers},
    client::claim::{Claim, Payload},
    client::per_runtime::PerRuntime,
    client::retry::{Effect, Failure, Retries, Tried},
    internal::compact::{self, FromCompact},
    problem,
    token::AccessToken,
};

/// How a client calls its servers.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long a call may take in all, with its retries; a call that waits by design gets that time on top.
    pub deadline: Duration,
    /// How long one attempt may take, likewise.
    pub attempt_timeout: Duration,
    /// Attempts of one call after the first one.
    pub retries_max: u32,
    /// Calls that may wait to be sent, for each runtime that calls; more are refused as overloaded.
    pub waiting_max: usize,
    /// Requests of one call each that may be on their way at once, long polls included.
    pub requests_in_flight_max: usize,
    /// Requests full of waiting calls that may be on their way at once, for each server of the group and each runtime that calls.
    pub batches_in_flight_max: usize,
    /// Waiting calls that are worth a request of their own beside those: one more may be on its way, counted as above.
    pub overlap_min: usize,
    /// The longest answer, in bytes.
    pub answer_bytes_max: usize,
    /// What the servers ask for, if they do.
    pub token: Option<AccessToken>,
    /// Where the randomness of pauses and of the balance comes from.
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
            overlap_min: 96,
            answer_bytes_max: 8 << 20,
            token: None,
            seed: rand::random(),
        }
    }
}

impl ClientOptions {
    /// For a client that works inside a server: it answers, in one way or the other, before a caller with the
    /// [`Default`] options gives that server's attempt up. So "not executed" at the far end is not "unknown" at the near one.
    #[must_use]
    pub fn inner() -> Self {
        Self { deadline: Duration::from_millis(1500), attempt_timeout: Duration::from_secs(1), ..Self::default() }
    }
}

/// How long [`Client::http`] lets a connection take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// After so long in silence TCP asks whether the server is still there, …
const KEEPALIVE: Duration = Duration::from_secs(3);
/// … and three times in this distance, before it counts as gone.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Shorter than a server keeps an idle connection, so that a request seldom meets its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one group of servers that all answer the same. Clones share connections, retry budget and balance.
pub struct Client<C = HttpConnector> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    connector: C,
    pools: PerRuntime<legacy::Client<C, Payload>>,
    servers: Servers,
    retries: Arc<Retries>,
    /// Places for calls that are sent by themselves, waiting ones included.
    admitted: Semaphore,
    /// Places for their requests.
    in_flight: Semaphore,
    authorization: Option<HeaderValue>,
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
    /// Plain HTTP over TCP to servers at `http://host:port`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no URL, or one is not of this form.
    pub fn http(urls: &[impl AsRef<str>], options: ClientOptions) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // A long poll sends nothing: without this, the end of a server that lost its power would show only when the poll is over.
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        connector.set_keepalive_retries(Some(3));
        Self::new(connector, urls, options)
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> Client<C> {
    /// A client that makes its connections through `connector`, which limits the time that takes.
    ///
    /// # Errors
    /// As [`Client::http`].
    pub fn new(connector: C, urls: &[impl AsRef<str>], options: ClientOptions) -> Result<Self> {
        let bases = urls.iter().map(|url| base(url.as_ref())).collect::<Result<Vec<_>>>()?;
        if bases.is_empty() {
            return Err(Error::invalid("url", "at least one server is needed"));
        }
        let shared = Shared {
            connector,
            pools: PerRuntime::default(),
            servers: Servers::new(bases),
            retries: Arc::new(Retries::new(options.seed, options.retries_max)),
            admitted: Semaphore::new(options.waiting_max.saturating_add(options.requests_in_flight_max)),
            in_flight: Semaphore::new(options.requests_in_flight_max),
            authorization: options.token.as_ref().map(AccessToken::header),
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Calls with retries.
    pub(crate) async fn call<T: FromAnswer>(&self, ask: Ask) -> Result<T> {
        self.tried(ask).await.map(|tried| tried.answer)
    }

    /// Calls with retries, for answers that hold refusals.
    pub(crate) async fn tried<T: FromAnswer>(&self, ask: Ask) -> Result<Tried<T>> {
        let full = || Error::overloaded("too many calls wait for a group of servers");
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| full())?;
        let deadline = Instant::now() + self.shared.options.deadline + ask.patience;
        let (ask, last) = (&ask, &AtomicUsize::new(usize::MAX));
        let attempt = || async move {
            let place = timeout_at(deadline, self.shared.in_flight.acquire()).await;
            let _place = place.map_err(|_| Failure::Here(full()))?;
            Ok(self.attempt(ask, deadline, last).await?)
        };
        self.shared.retries.run(ask.effect, deadline, attempt).await
    }

    /// Calls once. Never longer than one attempt may take; the caller's own deadline may be earlier.
    pub(crate) async fn call_once<T: FromAnswer>(&self, ask: &Ask) -> Result<T> {
        let deadline = Instant::now() + self.shared.options.attempt_timeout + ask.patience;
        self.attempt(ask, deadline, &AtomicUsize::new(usize::MAX)).await
    }

    pub(crate) fn retries(&self) -> &Arc<Retries> {
        &self.shared.retries
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    pub(crate) fn servers(&self) -> usize {
        self.shared.servers.len()
    }

    /// One attempt, at another server than the `last` one if possible.
    async fn attempt<T: FromAnswer>(&self, ask: &Ask, deadline: Instant, last: &AtomicUsize) -> Result<T> {
        let attempt_ends = Instant::now() + self.shared.options.attempt_timeout + ask.patience;
        let avoid = Some(last.load(Ordering::Relaxed)).filter(|&at| at != usize::MAX);
        let server = self.shared.servers.pick(avoid, |bound| self.shared.retries.draw(bound));
        last.store(server.at(), Ordering::Relaxed);
        let claim = Claim::default();
        let request = self.request(ask, server.base(), &claim)?;
        // On a timeout the exchange is dropped, and its connection with it, before the claim is asked.
        let outcome = timeout_at(deadline.min(attempt_ends), self.exchange(request)).await;
        let trouble = match outcome {
            Ok(Ok((head, body))) => return read(&server, &head, &body),
            Ok(Err(trouble)) => trouble,
            Err(_) => Trouble::Timeout,
        };
        let sent = !claim.revoke();
        let fate = if matches!(trouble, Trouble::NoConnection(_)) { Fate::NoConnection } else { Fate::Failed };
        server.note(fate);
        tracing::debug!(server = server.base(), path = ask.path, %trouble, sent, "an attempt failed");
        // Addresses and causes are for the log: this text may reach a buyer.
        let message = trouble.summary();
        Err(if sent { Error::unknown(message) } else { Error::unavailable(message) })
    }

    fn request(&self, ask: &Ask, base: &str, claim: &Claim) -> Result<Request<Payload>> {
        let mut request = Request::builder().method(ask.method.clone()).uri(format!("{base}{}", ask.path));
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, &ask.content_type);
        }
        if let Some(authorization) = &self.shared.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        request
            .body(Payload::new(ask.body.clone(), claim.clone()))
            .map_err(|error| Error::malformed(format!("this cannot be sent: {error}")))
    }

    /// The connections that this runtime drives.
    fn pool(&self) -> legacy::Client<C, Payload> {
        self.shared.pools.get(|| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(self.shared.options.requests_in_flight_max)
                .build(self.shared.connector.clone())
        })
    }

    async fn exchange(&self, request: Request<Payload>) -> Result<(Parts, Bytes), Trouble> {
        let response = self.pool().request(request).await.map_err(|error| {
            if error.is_connect() { Trouble::NoConnection(error.into()) } else { Trouble::NoAnswer(error.into()) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.shared.options.answer_bytes_max).collect().await;
        Ok((head, body.map_err(Trouble::HalfAnswer)?.to_bytes()))
    }
}

/// What the answer to a call is read into.
pub(crate) trait FromAnswer: Sized {
    /// Reads an answer whose status says success.
    fn from_answer(head: &Parts, body: &[u8]) -> Result<Self, Unreadable>;
}

/// Why an answer cannot be read.
pub(crate) type Unreadable = Box<dyn std::error::Error>;

impl<T: DeserializeOwned> FromAnswer for T {
    fn from_answer(_head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        Ok(serde_json::from_slice(body)?)
    }
}

/// An answer in the compact form.
pub(crate) struct Compact<T>(pub(crate) T);

impl<T: FromCompact> FromAnswer for Compact<T> {
    fn from_answer(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        // Nearly any bytes are something in this form.
        if !compact::is_content(&head.headers) {
            return Err("its content type is another one than was asked for".into());
        }
        Ok(Self(compact::read(body)?))
    }
}

/// What a whole answer says.
fn read<T: FromAnswer>(server: &Picked<'_>, head: &Parts, body: &[u8]) -> Result<T> {
    if !head.status.is_success() {
        let error = problem::read_problem(head.status, body);
        // A server that cannot serve answers fastest of all: it must not draw all the requests.
        server.note(if matches!(error, Error::Unavailable { .. }) { Fate::Failed } else { Fate::Answered });
        return Err(error);
    }
    server.note(Fate::Answered);
    T::from_answer(head, body).map_err(|error| {
        tracing::warn!(server = server.base(), %error, "an answer cannot be read");
        Error::unknown("the server's answer cannot be read")
    })
}

/// `http://host:port` of a server's URL.
fn base(url: &str) -> Result<String> {
    let bad = || Error::invalid("url", format!("{url:?} is not of the form http://host:port"));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(bad)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
    let bare = uri.path_and_query().is_none_or(|path| path == "/");
    if bare { Ok(format!("{scheme}://{authority}")) } else { Err(bad()) }
}

/// A request, but for the server that it goes to.
#[derive(Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    body: Bytes,
    content_type: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    effect: Effect,
    patience: Duration,
}

impl Ask {
    /// Reads what is at a path.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Bytes::new(), Effect::None)
    }

    /// Sends a body. Whatever has an effect has one: that the body was sent is how its outcome is known.
    pub(crate) fn send(method: Method, path: impl Into<String>, body: Bytes, effect: Effect) -> Self {
        debug_assert!(!body.is_empty(), "what has an effect has a body");
        Self::new(method, path, body, effect)
    }

    fn new(method: Method, path: impl Into<String>, body: Bytes, effect: Effect) -> Self {
        let content_type = HeaderValue::from_static("application/json");
        Self { method, path: path.into(), body, content_type, headers: Vec::new(), effect, patience: Duration::ZERO }
    }

    /// What its body is, if not JSON.
    pub(crate) fn content_type(self, content_type: HeaderValue) -> Self {
        Self { content_type, ..self }
    }

    /// A header of its own.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Time on top of the usual limits.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// Why there is no answer.
enum Trouble {
    NoConnection(Box<dyn std::error::Error + Send + Sync>),
    NoAnswer(Box<dyn std::error::Error + Send + Sync>),
    HalfAnswer(Box<dyn std::error::Error + Send + Sync>),
    Timeout,
}

impl Trouble {
    fn summary(&self) -> &'static str {
        match self {
            Self::NoConnection(_) => "a server cannot be reached",
            Self::NoAnswer(_) => "the connection to a server was lost",
            Self::HalfAnswer(_) => "a server's answer broke off or was too long",
            Self::Timeout => "a server did not answer in time",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary())?;
        if let Self::NoConnection(error) | Self::NoAnswer(error) | Self::HalfAnswer(error) = self {
            write!(f, ": {error}")?;
            let mut source = error.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
        }
        Ok(())
    }
}

/// JSON for a body. The domain's types all have a JSON form.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Bytes> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::malformed(format!("this cannot be sent: {error}")))?;
    Ok(bytes.into())
}

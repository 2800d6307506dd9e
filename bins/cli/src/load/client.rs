//! A client: one connection at a time, one request at a time, with a time limit for each and with retries.

use bookstore_core::{Error, Executed, OrderId};
use bookstore_transport_http::problem;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{self, HeaderName, HeaderValue},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Limits, LoadError, Target,
    connection::{Answer, Connection, TransportError},
    stop::Ending,
};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first and the longest pause before another try; each is drawn between none and twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The shop's servers, and what all clients send them alike.
#[derive(Debug)]
pub(super) struct Servers {
    list: Vec<Server>,
    authorization: Option<HeaderValue>,
    limits: Limits,
}

#[derive(Debug)]
struct Server {
    address: String,
    host: HeaderValue,
}

impl Servers {
    /// The servers at `http://host[:port]`.
    pub(super) fn new(target: &Target, limits: &Limits) -> Result<Self, LoadError> {
        let list = target.servers.iter().map(|url| server(url)).collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() {
            return Err(LoadError::Invalid("at least one server is needed".into()));
        }
        let authorization = target.admin_token.as_ref().map(bookstore::AccessToken::header);
        Ok(Self { list, authorization, limits: *limits })
    }

    /// Whether admin requests can be sent.
    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }
}

fn server(url: &str) -> Result<Server, LoadError> {
    let bad = || LoadError::Invalid(format!("{url:?} is not a server's address; try http://127.0.0.1:8080"));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let authority =
        uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/").ok_or_else(bad)?;
    let address = match authority.port_u16() {
        Some(_) => authority.as_str().to_owned(),
        None => format!("{}:80", authority.host()),
    };
    Ok(Server { address, host: HeaderValue::from_str(authority.as_str()).map_err(|_| bad())? })
}

/// A request without the server that it goes to.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: Method,
    path: Uri,
    body: Bytes,
    key: Option<HeaderValue>,
    admin: bool,
}

impl Ask {
    /// Reads what is at `path`.
    pub(super) fn get(path: Uri) -> Self {
        Self { method: Method::GET, path, body: Bytes::new(), key: None, admin: false }
    }

    /// Sends JSON.
    pub(super) fn send(method: Method, path: Uri, body: Bytes) -> Self {
        Self { method, path, body, key: None, admin: false }
    }

    /// Adds an idempotency key: the request is executed once, however often it is sent.
    pub(super) fn once(mut self, key: OrderId) -> Self {
        self.key = HeaderValue::try_from(key.to_string()).ok();
        self
    }

    /// Shows the admin token.
    pub(super) fn admin(mut self) -> Self {
        self.admin = true;
        self
    }
}

/// What a failed call has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The shop's own answer is no: nothing happened, and asking again does not help.
    Refused,
    /// Nothing happened; a retry may help.
    NotExecuted,
    /// It may have happened.
    Unknown,
}

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The `code` of the server's problem, or of what happened in transit.
    pub(super) kind: &'static str,
    pub(super) effect: Effect,
    pub(super) error: Error,
    /// The server's `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    fn in_transit(kind: &'static str, error: Error) -> Self {
        let effect = match error.executed() {
            Executed::Unknown => Effect::Unknown,
            Executed::No => Effect::NotExecuted,
        };
        Self { kind, effect, error, retry_after: None }
    }

    /// What happened, without what that means for a purchase.
    pub(super) fn why(&self) -> String {
        match &self.error {
            Error::Unavailable { message } | Error::Overloaded { message } | Error::OutcomeUnknown { message, .. } => {
                message.clone()
            }
            error => error.to_string(),
        }
    }

    fn from_answer(answer: &Answer) -> Self {
        let error = problem::read_problem(answer.head.status, &answer.body);
        let effect = match &error {
            Error::OutcomeUnknown { .. } => Effect::Unknown,
            Error::Overloaded { .. } | Error::Unavailable { .. } | Error::DeadlineExpired { .. } => Effect::NotExecuted,
            _ => Effect::Refused,
        };
        Self { kind: error.code(), effect, error, retry_after: retry_after(&answer.head.headers) }
    }
}

/// The seconds of a `Retry-After`; its other form, a date, counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// How a call ended, and how many requests it took.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) result: Result<Answer, Failure>,
    pub(super) attempts: u32,
}

/// One client.
pub(super) struct Client {
    servers: Arc<Servers>,
    at: usize,
    connection: Option<Connection>,
    rng: SmallRng,
}

impl Client {
    /// A client whose first server is number `number` in turn.
    pub(super) fn new(servers: Arc<Servers>, number: usize, seed: u64) -> Self {
        let at = number % servers.list.len();
        Self { servers, at, connection: None, rng: SmallRng::seed_from_u64(seed) }
    }

    /// Connects ahead of the first request. If that fails, the first request tries again.
    pub(super) async fn connect(&mut self) {
        self.connection = self.open().await.ok();
    }

    /// Sends the request once.
    pub(super) async fn call_once(&mut self, ask: &Ask) -> Called {
        Called { result: self.attempt(ask).await, attempts: 1 }
    }

    /// Sends the request until there is an answer, the retries are used up or `timeout` is over; so it MUST be harmless to
    /// repeat.
    ///
    /// Once an attempt may have been executed, the refusal of a later one says nothing about it: the outcome is unknown.
    pub(super) async fn call(&mut self, ask: &Ask, timeout: Duration, ending: &Ending) -> Called {
        let (started, retries_max) = (Instant::now(), self.servers.limits.retries_max);
        let (mut attempts, mut pause, mut unknown) = (0, PAUSE.0, false);
        loop {
            attempts += 1;
            let mut failure = match self.attempt(ask).await {
                Ok(answer) => return Called { result: Ok(answer), attempts },
                Err(failure) => failure,
            };
            unknown |= failure.effect == Effect::Unknown;
            let wait = failure.retry_after.unwrap_or_default() + self.jitter(pause);
            let spent = attempts > retries_max || started.elapsed() + wait > timeout;
            if failure.effect == Effect::Refused || spent || !ending.sleep(wait).await {
                if unknown {
                    failure.effect = Effect::Unknown;
                }
                return Called { result: Err(failure), attempts };
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// A random part of `pause`.
    pub(super) fn jitter(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(self.rng.random())
    }

    async fn attempt(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        // A server may end an idle connection at any time. That is no failure: the request goes out on a fresh one.
        if let Some(kept) = self.connection.take().filter(Connection::is_open)
            && let Some(result) = self.exchange(kept, ask).await
        {
            return result;
        }
        let fresh = self.open().await.inspect_err(|_| self.move_on())?;
        self.exchange(fresh, ask).await.unwrap_or_else(|| {
            self.move_on();
            Err(Failure::in_transit("no-connection", Error::unavailable("the connection ended at once")))
        })
    }

    /// Sends the request; `None` if the connection ended before that.
    async fn exchange(&mut self, mut connection: Connection, ask: &Ask) -> Option<Result<Answer, Failure>> {
        let exchange = connection.exchange(self.request(ask));
        let (kind, message) = match tokio::time::timeout(self.servers.limits.attempt_timeout, exchange).await {
            Ok(Ok(answer)) => {
                self.connection = Some(connection);
                let good = answer.head.status.is_success();
                return Some(if good { Ok(answer) } else { Err(Failure::from_answer(&answer)) });
            }
            Ok(Err(TransportError::NotSent)) => return None,
            Ok(Err(TransportError::Lost)) => ("connection-lost", "the connection was lost before there was an answer"),
            Err(_) => ("timed-out", "there was no answer in time"),
        };
        self.move_on();
        Some(Err(Failure::in_transit(kind, Error::unknown(message))))
    }

    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.servers.list[self.at].host.clone());
        if !ask.body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = &ask.key {
            headers.insert(IDEMPOTENCY_KEY, key.clone());
        }
        if let Some(authorization) = self.servers.authorization.as_ref().filter(|_| ask.admin) {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let address = &self.servers.list[self.at].address;
        let why = match tokio::time::timeout(CONNECT_TIMEOUT, Connection::open(address)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        Err(Failure::in_transit("no-connection", Error::unavailable(format!("cannot connect to {address}: {why}"))))
    }

    /// Moves on to the next server, if there are several.
    fn move_on(&mut self) {
        self.at = (self.at + 1) % self.servers.list.len();
    }
}

//! What a client sends: a request before a server is chosen, and the body that belongs to it.

use bookstore_core::{
    Error, LedgerIdentity, Result,
    follow::{Pin, Pinned},
    retry::Effect,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

use super::claim::{Claim, Payload};
use crate::compact::{HISTORY, PIN};

/// The longest that an attempt waits until a catalog that was started again is compared: two round trips, usually.
const COMPARE_MAX: Duration = Duration::from_millis(500);

/// Whether the ledger was compared since an attempt was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// It was not, or need not be.
    No,
    /// It was: the attempt can be made again.
    Again,
}

/// A request before its server is chosen. It can be sent to several servers, one after the other.
#[derive(Debug)]
pub(crate) struct OutboundRequest {
    method: Method,
    pub(super) path: String,
    body: Bytes,
    content_type: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Decides whether the request is sent again, and what a lost answer means.
    pub(super) effect: Effect,
    /// Time on top of the client's deadline and attempt timeout.
    pub(super) extra_time: Duration,
    /// What is sent with each attempt to a catalog, the newest each time.
    pub(super) pinned: Option<Pinned>,
    /// The client's token is left out.
    anonymous: bool,
}

impl OutboundRequest {
    /// Reads what is at a path, which includes the query.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Bytes::new(), Effect::ReadOnly)
    }

    /// Sends a body, JSON unless [`content_type`](Self::content_type) says otherwise.
    ///
    /// Every request with an effect MUST have a body: whether the body was handed to a connection decides between *not executed*
    /// and *unknown*.
    pub(crate) fn send(method: Method, path: impl Into<String>, body: Bytes, effect: Effect) -> Self {
        debug_assert!(!body.is_empty(), "a request with an effect has a body");
        Self::new(method, path, body, effect)
    }

    fn new(method: Method, path: impl Into<String>, body: Bytes, effect: Effect) -> Self {
        let content_type = HeaderValue::from_static("application/json");
        Self {
            method,
            path: path.into(),
            body,
            content_type,
            headers: Vec::new(),
            effect,
            extra_time: Duration::ZERO,
            pinned: None,
            anonymous: false,
        }
    }

    /// Leaves the client's token out, if this is a buyer's own request.
    pub(crate) fn anonymous(self, anonymous: bool) -> Self {
        Self { anonymous, ..self }
    }

    /// Sets the media type of the body.
    pub(crate) fn content_type(self, content_type: HeaderValue) -> Self {
        Self { content_type, ..self }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds time to the client's usual deadline and attempt timeout, for a request that waits by design.
    pub(crate) fn extra_time(self, extra_time: Duration) -> Self {
        Self { extra_time, ..self }
    }

    /// Has the ledger compared again, if this request depends on that.
    pub(super) fn refresh_pin(&self) {
        if let Some(pinned) = &self.pinned {
            pinned.refresh();
        }
    }

    /// The pin that an attempt sends now.
    pub(super) fn pin(&self) -> Option<Pin> {
        self.pinned.as_ref().and_then(|pinned| pinned.current().ok())
    }

    /// Waits for at most [`COMPARE_MAX`] until the ledger was compared in another opening than in the one of this pin.
    pub(super) async fn compared_again(&self, sent: Option<Pin>, deadline: Instant) -> Compared {
        let (Some(pinned), Some(sent)) = (&self.pinned, sent) else { return Compared::No };
        let until = deadline.min(Instant::now() + COMPARE_MAX);
        match timeout_at(until, pinned.compared_since(sent)).await {
            Ok(true) => Compared::Again,
            Ok(false) | Err(_) => Compared::No,
        }
    }

    /// Sends this pin with each attempt.
    pub(crate) fn pinned(self, pinned: Option<Pinned>) -> Self {
        Self { pinned, ..self }
    }

    /// The request to the server at `base`; its body is sent only if `claim` can be taken then.
    ///
    /// # Errors
    /// - [`Error::Malformed`] if the path is not one of a URI.
    /// - [`Error::Unavailable`] if nothing may be sold, see [`Pinned::current`].
    pub(super) fn to_server(
        &self,
        base: &str,
        authorization: Option<&HeaderValue>,
        history: Option<&LedgerIdentity>,
        claim: &Claim,
    ) -> Result<Request<Payload>> {
        let mut request = Request::builder().method(self.method.clone()).uri(format!("{base}{}", self.path));
        if !self.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, &self.content_type);
        }
        if let Some(authorization) = authorization.filter(|_| !self.anonymous) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(pinned) = &self.pinned {
            request = request.header(PIN, pinned.current()?.to_string());
        }
        if let Some(history) = history {
            request = request.header(HISTORY, history.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Payload::new(self.body.clone(), claim.clone())).map_err(unsendable)
    }
}

/// The JSON of a value, for a body.
///
/// # Errors
/// [`Error::Malformed`] if the value has no JSON form; all domain types have one.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(unsendable)
}

fn unsendable(error: impl std::fmt::Display) -> Error {
    Error::malformed(format!("this cannot be sent: {error}"))
}

/// Checks a server's URL and brings it into the form `http://host:port`, without a path.
///
/// # Errors
/// [`Error::Invalid`] if it has another scheme than `http` or `https`, a user, a path or a query.
pub(super) fn base(url: &str) -> Result<String> {
    let bad = || Error::invalid("url", format!("{url:?} is not of the form http://host:port"));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(bad)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
    let bare = uri.path_and_query().is_none_or(|path| path == "/");
    if bare { Ok(format!("{scheme}://{authority}")) } else { Err(bad()) }
}

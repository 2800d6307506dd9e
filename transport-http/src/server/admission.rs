//! Admission control: how many requests a server works on at once, how many bodies it waits for, and what it refuses before any
//! work. [`Connections`](super::connections::Connections) decides about connections.

use axum::response::{IntoResponse, Response};
use bookstore_core::{Error, Executed};
use hyper::{
    Request, StatusCode, Version,
    header::{self, HeaderValue},
};
use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    connection_state::ConnectionState,
    connections::peer_key,
    error_response::{ErrorResponse, transport_problem},
    health::OPERATIONAL_PATHS,
    hosts::{Hosts, host_of},
    limits::ServerLimits,
    rate_limit::{RateLimiter, TooManyChanges},
    request_context::RequestContext,
};

/// How long a caller waits for the 503 that says that too many requests are worked on.
///
/// A refusal costs the server nearly as much as an answer. If it came at once, callers that retry without a pause would leave
/// no time for the requests that were admitted. Shorter than the `Retry-After` that the refusal carries.
const REFUSAL_PAUSE: Duration = Duration::from_millis(200);

/// Decides what a server takes on; shared by all its connections.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Requests that are worked on.
    in_flight: Count,
    /// Bodies that are waited for.
    bodies: Count,
    bodies_per_peer_max: usize,
    uri_bytes_max: usize,
    changes: Option<RateLimiter>,
    pub(super) shared_peers: Vec<IpAddr>,
    hosts: Option<Hosts>,
    pub(crate) body_grace: Duration,
    pub(crate) body_bytes_per_second_min: u32,
    /// The shutdown is announced: every answer says that it is its connection's last.
    pub(crate) stopping: AtomicBool,
}

impl Admission {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        Self {
            in_flight: Count::new(limits.in_flight_max),
            bodies: Count::new(limits.bodies_incomplete_max),
            bodies_per_peer_max: limits.bodies_incomplete_per_peer_max,
            uri_bytes_max: limits.uri_bytes_max,
            shared_peers: limits.shared_peers.iter().map(|peer| peer_key(*peer)).collect(),
            changes: limits.changes_per_peer.map(RateLimiter::new),
            hosts: limits.hosts.clone(),
            body_grace: limits.body_grace,
            body_bytes_per_second_min: limits.body_bytes_per_second_min.max(1),
            stopping: AtomicBool::new(false),
        }
    }

    /// Admits a request by its headers. It has a place among those that are worked on until its [`Place`] is dropped. The
    /// operator's requests need no place.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(crate) fn admit_request<B>(
        &self,
        request: &Request<B>,
        spare_connection: bool,
        context: &Arc<RequestContext>,
    ) -> Result<Option<Place>, NotAdmitted> {
        check_head(request, self.hosts.as_ref(), &context.connection.host)?;
        let uri_bytes = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if uri_bytes > self.uri_bytes_max {
            return Err(NotAdmitted::UriTooLong { bytes_max: self.uri_bytes_max });
        }
        if OPERATIONAL_PATHS.contains(&request.uri().path()) {
            return Ok(None);
        }
        if spare_connection {
            return Err(NotAdmitted::TooManyConnections);
        }
        if let Some(limiter) = &self.changes
            && !request.method().is_safe()
        {
            limiter.admit(&context.connection.peer, request.headers(), &self.shared_peers, context.started())?;
        }
        if context.take_place() { Ok(Some(Place(Arc::clone(context)))) } else { Err(NotAdmitted::TooManyRequests) }
    }

    /// Takes one of [`ServerLimits::in_flight_max`] places, if one is free.
    pub(super) fn take_place(&self) -> bool {
        self.in_flight.take()
    }

    pub(super) fn free_place(&self) {
        self.in_flight.free();
    }
}

/// A request's place among those that are worked on. Dropped, it is free for another one.
#[derive(Debug)]
pub(crate) struct Place(Arc<RequestContext>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free_place();
    }
}

/// A place among the bodies that are waited for, those of one peer and those of all. Dropped, it is free for another one.
#[derive(Debug)]
pub(crate) struct BodyPlace(Arc<ConnectionState>);

impl BodyPlace {
    /// Takes a place, if one is free.
    pub(crate) fn take(connection: &Arc<ConnectionState>) -> Option<Self> {
        let admission = &connection.admission;
        if !admission.bodies.take() {
            return None;
        }
        let of_peer = connection.peer.bodies.fetch_add(1, Ordering::Relaxed);
        if of_peer >= admission.bodies_per_peer_max && !connection.peer.is_shared {
            connection.peer.bodies.fetch_sub(1, Ordering::Relaxed);
            admission.bodies.free();
            return None;
        }
        Some(Self(Arc::clone(connection)))
    }
}

impl Drop for BodyPlace {
    fn drop(&mut self) {
        self.0.peer.bodies.fetch_sub(1, Ordering::Relaxed);
        self.0.admission.bodies.free();
    }
}

/// How many there are of something, and how many there may be.
#[derive(Debug)]
struct Count {
    taken: AtomicUsize,
    max: usize,
}

impl Count {
    fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    fn take(&self) -> bool {
        let room = self.taken.fetch_add(1, Ordering::Relaxed) < self.max;
        if !room {
            self.free();
        }
        room
    }

    fn free(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a request is refused before any work.
#[derive(Clone, Debug)]
pub(crate) enum NotAdmitted {
    BadHead(BadHead),
    UriTooLong { bytes_max: usize },
    TooManyConnections,
    TooManyRequests,
    TooManyBodies,
    TooManyChanges(TooManyChanges),
    BodyTooSlow { bytes_per_second_min: u32 },
}

impl From<BadHead> for NotAdmitted {
    fn from(bad: BadHead) -> Self {
        Self::BadHead(bad)
    }
}

impl From<TooManyChanges> for NotAdmitted {
    fn from(too_many: TooManyChanges) -> Self {
        Self::TooManyChanges(too_many)
    }
}

impl NotAdmitted {
    /// The refusal, after a pause if the server is busy.
    pub(crate) async fn respond(self) -> Response {
        match self {
            Self::BadHead(bad) => bad.respond(),
            Self::UriTooLong { bytes_max } => {
                let detail = format!("path and query must be at most {bytes_max} bytes");
                transport_problem(StatusCode::URI_TOO_LONG, &detail, Executed::No)
            }
            Self::TooManyConnections => {
                ErrorResponse(Error::overloaded("this server has too many connections")).into_response()
            }
            Self::TooManyRequests => overloaded("this server works on too many requests").await,
            Self::TooManyBodies => {
                overloaded("this server waits for too many bodies; send each at once, with its headers").await
            }
            Self::TooManyChanges(too_many) => too_many.respond(),
            Self::BodyTooSlow { bytes_per_second_min } => {
                let detail = format!("the body must arrive at {bytes_per_second_min} bytes a second or faster");
                let response = transport_problem(StatusCode::REQUEST_TIMEOUT, &detail, Executed::No);
                ([(header::CONNECTION, "close")], response).into_response()
            }
        }
    }
}

async fn overloaded(why: &'static str) -> Response {
    // Boxed: the future of an admitted request should not be as large as a timer.
    Box::pin(tokio::time::sleep(REFUSAL_PAUSE)).await;
    ErrorResponse(Error::overloaded(why)).into_response()
}

/// Why a request is refused for its headers.
#[derive(Clone, Debug)]
pub(crate) enum BadHead {
    /// No host, several, or none that is one.
    Host(&'static str),
    /// A host that this server does not answer to.
    OtherHost(Hosts),
    /// A compressed body.
    ContentEncoding,
}

impl BadHead {
    fn respond(self) -> Response {
        match self {
            Self::Host(why) => ErrorResponse(Error::malformed(why)).into_response(),
            Self::OtherHost(hosts) => {
                let detail = format!("this server answers to {hosts}; --host adds a name");
                transport_problem(StatusCode::MISDIRECTED_REQUEST, &detail, Executed::No)
            }
            Self::ContentEncoding => {
                let detail = "send the body as it is, without Content-Encoding";
                transport_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, Executed::No)
            }
        }
    }
}

/// Checks what no interface may ignore. A compressed body would be read as it is, a second `Host` would be seen by one part of a
/// deployment and not by the other, and the name of another site is how a page of that site reaches a server on loopback.
///
/// `passed` is a `Host` that needs no more checks, since an earlier request of the connection passed them with it.
fn check_head<B>(request: &Request<B>, hosts: Option<&Hosts>, passed: &OnceLock<Box<[u8]>>) -> Result<(), BadHead> {
    let mut host: Option<&HeaderValue> = None;
    for (name, value) in request.headers() {
        if name == header::HOST {
            if host.replace(value).is_some() {
                return Err(BadHead::Host("Host: give this header once"));
            }
        } else if name == header::CONTENT_ENCODING && !value.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(BadHead::ContentEncoding);
        }
    }
    let authority = request.uri().authority();
    let given = host.map(HeaderValue::as_bytes);
    if authority.is_none() && given.is_some() && given == passed.get().map(|host| &**host) {
        return Ok(());
    }
    let host = match host {
        Some(host) => Some(host_of(host.as_bytes()).ok_or(BadHead::Host("Host: not a name or address with a port"))?),
        // Health checks of some load balancers speak HTTP/1.0; no browser does.
        None if request.version() < Version::HTTP_11 => None,
        None => return Err(BadHead::Host("Host: this header is missing")),
    };
    // In absolute form the target's authority counts, and Host does not.
    let host = match authority {
        Some(authority) => {
            Some(host_of(authority.as_str().as_bytes()).ok_or(BadHead::Host("the target's host is not one"))?)
        }
        None => host,
    };
    match (hosts, host) {
        (Some(hosts), Some(host)) if !hosts.contain(host) => return Err(BadHead::OtherHost(hosts.clone())),
        _ => {}
    }
    if let (None, Some(given)) = (authority, given) {
        passed.get_or_init(|| given.into());
    }
    Ok(())
}

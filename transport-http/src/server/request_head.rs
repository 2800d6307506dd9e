//! What the headers of every request must be, whatever interface it is for.

use axum::response::IntoResponse as _;
use axum::response::Response;
use bookstore_core::{Error, Executed};
use hyper::{
    Request, StatusCode, Version,
    header::{self, HeaderValue},
};

use super::{
    error_response::{ErrorResponse, transport_problem},
    hosts::{Hosts, host_of},
};

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
    pub(crate) fn respond(self) -> Response {
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
pub(crate) fn check_head<B>(request: &Request<B>, hosts: Option<&Hosts>) -> Result<(), BadHead> {
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
    let host = match host {
        Some(host) => Some(host_of(host.as_bytes()).ok_or(BadHead::Host("Host: not a name or address with a port"))?),
        // Health checks of some load balancers speak HTTP/1.0; no browser does.
        None if request.version() < Version::HTTP_11 => None,
        None => return Err(BadHead::Host("Host: this header is missing")),
    };
    // In absolute form the target's authority counts, and Host does not.
    let host = match request.uri().authority() {
        Some(authority) => {
            Some(host_of(authority.as_str().as_bytes()).ok_or(BadHead::Host("the target's host is not one"))?)
        }
        None => host,
    };
    match (hosts, host) {
        (Some(hosts), Some(host)) if !hosts.contain(host) => Err(BadHead::OtherHost(hosts.clone())),
        _ => Ok(()),
    }
}

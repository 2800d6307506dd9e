//! What the load generator asks for.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{self, HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::race::{BookChoice, fresh_id};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What each request of a load generator asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Workload {
    /// A purchase of one copy, under a fresh version 7 key.
    Purchase(BookChoice),
    /// `GET /info/{id}`.
    Info(BookChoice),
    /// `GET` of these paths in turn.
    Paths(Arc<Vec<String>>),
}

impl Workload {
    /// The `n`th request to the server with this `Host`.
    pub(super) fn request(&self, n: u64, host: &HeaderValue) -> Request<Full<Bytes>> {
        match self {
            Self::Purchase(choice) => purchase(&format!("/purchase/{}", choice.book(n)), host),
            Self::Info(choice) => get(&format!("/info/{}", choice.book(n)), host),
            Self::Paths(paths) => get(&paths[usize::try_from(n).expect("an index") % paths.len()], host),
        }
    }
}

/// A `GET` that accepts JSON.
///
/// # Panics
/// If the path is malformed.
#[must_use]
pub fn get(path: &str, host: &HeaderValue) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::try_from(path).expect("a good path");
    request.headers_mut().insert(header::HOST, host.clone());
    request.headers_mut().insert(header::ACCEPT, JSON);
    request
}

/// The purchase of one copy, under a fresh key, at `/purchase/{id}`.
///
/// # Panics
/// If the path is malformed.
#[must_use]
pub fn purchase(path: &str, host: &HeaderValue) -> Request<Full<Bytes>> {
    let mut request = get(path, host).map(|_| Full::new(Bytes::from_static(br#"{"quantity":1}"#)));
    *request.method_mut() = Method::POST;
    let key = HeaderValue::try_from(fresh_id().to_string()).expect("hexadecimal digits and hyphens");
    request.headers_mut().insert(header::CONTENT_TYPE, JSON);
    request.headers_mut().insert(IDEMPOTENCY_KEY, key);
    request
}

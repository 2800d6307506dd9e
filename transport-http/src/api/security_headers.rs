//! What every request passes and every response carries.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tower::{Layer as _, Service};
use tower_http::csrf::{Csrf, CsrfLayer, ProtectionError};
use tracing::Instrument;

use super::rejection::Rejection;

/// For all but pages, which have a policy of their own: nothing at all.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What is answered where there is no route.
pub(super) fn with_fallbacks(router: Router) -> Router {
    router
        .fallback(|| async { Rejection::NoSuchPath })
        .method_not_allowed_fallback(|| async { Rejection::MethodNotAllowed(None) })
}

/// Adds what is the same for every path: the check against forged requests, security headers.
pub(super) fn around<S>(service: S) -> Around<S> {
    const FORGED: &str = "this request comes from a page of another site";
    let forged: Forged = |_| Rejection::Forbidden(FORGED).into_response();
    Edge(CsrfLayer::new().with_rejection_response(forged).layer(service))
}

/// A service with an [`Edge`] around it.
pub(super) type Around<S> = Edge<Csrf<S, Forged>>;

/// The answer to a forged request.
type Forged = fn(ProtectionError) -> Response;

/// By hand, since the usual middleware function costs every request two more boxes and a clone of what is inside.
#[derive(Clone)]
pub(super) struct Edge<S>(S);

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let secret = is_secret(request.uri().path());
        let span = traced(&request);
        let answer = self.0.call(request);
        let finished = async move { Ok(finish(answer.await?, secret)) };
        match span {
            Some(span) => Box::pin(finished.instrument(span)),
            None => Box::pin(finished),
        }
    }
}

fn finish(mut response: Response, secret: bool) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    protect(response.headers_mut(), page, secret);
    response
}

/// Whether [`around`] does nothing for a request with this header but to [`protect`] its answer: it asks for no page, is of no
/// browser, and has no id to be logged.
pub(super) fn is_plain(name: &HeaderName, value: &HeaderValue) -> bool {
    static UNUSUAL: [HeaderName; 4] = [header::ORIGIN, SEC_FETCH_SITE, TRACEPARENT, REQUEST_ID];
    if name == header::ACCEPT { value == "application/json" || value == "*/*" } else { !UNUSUAL.contains(name) }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A span for a request that brings an id, so that what is logged about it can be found again.
fn traced(request: &Request) -> Option<tracing::Span> {
    let text = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let id = text(&TRACEPARENT).or_else(|| text(&REQUEST_ID))?;
    let id = id.get(..REQUEST_ID_MAX).unwrap_or(id);
    Some(tracing::info_span!("request", id, method = %request.method()))
}

/// Bytes of a caller's request id that are worth logging.
const REQUEST_ID_MAX: usize = 128;

/// Whether the path itself opens an order, or what is under it is the shop's own business.
fn is_secret(path: &str) -> bool {
    ["/orders", "/entries", "/books", "/admin"].iter().any(|secret| path.starts_with(secret))
}

/// The headers of an answer of JSON that is no secret, with a place for one of its own: a map that grows takes longer than a copy
/// of this one.
pub(super) fn json_headers(own: HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(own, HeaderValue::from_static(""));
    protect(&mut headers, false, false);
    headers
}

/// Gives an answer the headers that all have. To a secret, only a page may have its own; a page brings its content policy.
pub(super) fn protect(headers: &mut HeaderMap, page: bool, secret: bool) {
    let (referrer, cache) = if secret { ("no-referrer", "no-store") } else { ("same-origin", "no-cache") };
    if secret && !page {
        headers.remove(header::REFERRER_POLICY);
        headers.remove(header::CACHE_CONTROL);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA_POLICY);
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static(referrer));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(cache));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("accept"));
}

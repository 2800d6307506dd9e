//! The middleware around every route of the public interface: security headers, the check against cross-site requests, and a
//! tracing span for requests with an id.

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

/// For all but pages, which have a policy of their own: nothing.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What is answered where there is no route.
pub(super) fn with_fallbacks(router: Router) -> Router {
    router
        .fallback(|| async { Rejection::NoSuchPath })
        .method_not_allowed_fallback(|| async { Rejection::MethodNotAllowed(None) })
}

/// Puts the middleware around a service, for [`layer_fn`](tower::layer::layer_fn).
pub(super) fn around<S>(service: S) -> SecurityHeaders<Csrf<S, CrossSite>> {
    const CROSS_SITE: &str = "this request comes from a page of another site";
    let cross_site: CrossSite = |_| Rejection::Forbidden(CROSS_SITE).into_response();
    SecurityHeaders(CsrfLayer::new().with_rejection_response(cross_site).layer(service))
}

/// The answer to a cross-site request.
type CrossSite = fn(ProtectionError) -> Response;

/// Gives every answer of a service its security headers.
#[derive(Clone)]
pub(super) struct SecurityHeaders<S>(S);

impl<S> Service<Request> for SecurityHeaders<S>
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

pub(super) fn finish(mut response: Response, secret: bool) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    protect(response.headers_mut(), page, secret);
    response
}

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A span for a request that brings an id, so that what is logged about it can be found again.
fn traced(request: &Request) -> Option<tracing::Span> {
    let text = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let id = text(&TRACEPARENT).or_else(|| text(&REQUEST_ID))?;
    let id = id.get(..REQUEST_ID_MAX).unwrap_or(id);
    Some(tracing::info_span!("request", id, method = %request.method()))
}

/// Bytes of a caller's request id that are worth logging.
const REQUEST_ID_MAX: usize = 128;

/// Whether an answer under this path is confidential: the path itself opens an order, or needs a token.
fn is_secret(path: &str) -> bool {
    ["/orders", "/entries", "/books", "/admin"].iter().any(|secret| path.starts_with(secret))
}

/// Gives an answer the security headers, and where it has none of its own a caching policy. Of the secret answers, only a page
/// may have its own; a page brings its content policy.
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

//! The middleware around every route of the public interface: security headers, the check against cross-site requests, a
//! tracing span for requests with an id, and refusals as pages for browsers.

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

use super::{Rejection, ResponseFormat};
use crate::pages;

/// For pages: nothing from elsewhere, no inline code, no frames.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// For everything else: nothing.
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
        let wants = ResponseFormat::of(request.headers());
        let secret = is_secret(request.uri().path());
        let span = traced(&request);
        let answer = self.0.call(request);
        let finished = async move { Ok(finish(answer.await?, wants, secret)) };
        match span {
            Some(span) => Box::pin(finished.instrument(span)),
            None => Box::pin(finished),
        }
    }
}

fn finish(mut response: Response, wants: ResponseFormat, secret: bool) -> Response {
    if wants == ResponseFormat::Html
        && let Some(rejection) = response.extensions_mut().remove::<Rejection>()
    {
        response = as_page(&rejection, response);
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    protect(response.headers_mut(), page, secret);
    response
}

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

/// Whether an answer under this path is confidential: the path itself opens an order, or needs a token.
fn is_secret(path: &str) -> bool {
    ["/orders", "/entries", "/books", "/admin"].iter().any(|secret| path.starts_with(secret))
}

/// The same refusal as a page; status and headers stay.
fn as_page(rejection: &Rejection, problem: Response) -> Response {
    let page = pages::refused(rejection).into_response();
    let (mut parts, _) = problem.into_parts();
    let (page, body) = page.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page.headers);
    Response::from_parts(parts, body)
}

/// Gives an answer the security headers, and where it has none of its own a caching policy. Of the secret answers, only a page
/// may have its own.
fn protect(headers: &mut HeaderMap, page: bool, secret: bool) {
    let (referrer, cache) = if secret { ("no-referrer", "no-store") } else { ("same-origin", "no-cache") };
    if secret && !page {
        headers.remove(header::REFERRER_POLICY);
        headers.remove(header::CACHE_CONTROL);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, if page { PAGE_POLICY } else { DATA_POLICY });
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static(referrer));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(cache));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("accept"));
}

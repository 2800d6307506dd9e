//! The two requests that a busy shop gets nearly all the time, past the router: `GET /info/{id}` and `POST /purchase/{id}` of
//! programs.
//!
//! The handlers are those of the routes. A request that is unusual in any way takes the router.
//! The boxes of the router, and of the layers around its routes, cost as much as the rest of such a request: without this file a server
//! showed 0.75 and sold 0.82 to 0.90 of what it does with it. See `docs/decisions/0037`.

use axum::{
    extract::{FromRequest as _, FromRequestParts as _, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    response::{IntoResponse as _, Response},
};
use bookstore_core::BookId;
use futures_util::future::BoxFuture;
use std::{convert::Infallible, sync::Arc};

use super::{
    admin::Caller,
    books,
    extract::{InPath, Payload},
    order_id::NewOrderKey,
    orders,
    rejection::Answer,
    security_headers,
    shop::Shop,
};
use crate::server::{request_context::RequestContext, route_label::RouteLabel};

/// A request that needs no router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direct {
    Info(BookId),
    Purchase(BookId),
}

impl Direct {
    /// What a request asks for, if it is one of the two and plain.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let path = request.uri().path();
        let direct = match *request.method() {
            Method::GET => Self::Info(number(path.strip_prefix("/info/")?)?),
            Method::POST => Self::Purchase(number(path.strip_prefix("/purchase/")?)?),
            _ => return None,
        };
        let plain = request.uri().query().is_none() && request.headers().iter().all(is_plain);
        plain.then_some(direct)
    }

    /// Answers it as its route would.
    pub(crate) fn answer(self, shop: Arc<Shop>, request: Request) -> BoxFuture<'static, Result<Response, Infallible>> {
        if let Some(context) = request.extensions().get::<Arc<RequestContext>>() {
            context.set_route(RouteLabel::Template(self.template()));
        }
        // One future for each, so that the request is not copied into the one that does not need it.
        match self {
            Self::Info(book) => Box::pin(async move {
                Ok(protected(books::info(State(shop), InPath(book), books::IfNoneMatch::default()).await))
            }),
            Self::Purchase(book) => Box::pin(async move { Ok(protected(purchase(shop, book, request).await)) }),
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Info(_) => "/info/{id}",
            Self::Purchase(_) => "/purchase/{id}",
        }
    }
}

/// An answer with its security headers: books and orders are made with theirs.
fn protected(answer: Answer) -> Response {
    answer.unwrap_or_else(|refusal| security_headers::finish(refusal.into_response(), false))
}

async fn purchase(shop: Arc<Shop>, book: BookId, request: Request) -> Answer {
    let (mut head, body) = request.into_parts();
    let key = NewOrderKey::from_request_parts(&mut head, &()).await?;
    let Ok(caller) = Caller::from_request_parts(&mut head, &shop).await;
    let payload = Payload::from_request(Request::from_parts(head, body), &()).await?;
    orders::purchase(State(shop), InPath(book), key, caller, payload).await
}

/// Whether the layers around the routes do nothing for a request with this header, and the routes read nothing from it but a
/// purchase's key: it accepts JSON, is of no browser, has no id to log, and no condition.
fn is_plain((name, value): (&HeaderName, &HeaderValue)) -> bool {
    static UNUSUAL: [HeaderName; 5] = [
        header::ORIGIN,
        header::IF_NONE_MATCH,
        HeaderName::from_static("sec-fetch-site"),
        security_headers::TRACEPARENT,
        security_headers::REQUEST_ID,
    ];
    if name == header::ACCEPT { value == "application/json" || value == "*/*" } else { !UNUSUAL.contains(name) }
}

/// Plain digits; the router explains everything else.
fn number(text: &str) -> Option<BookId> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Direct> {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Direct::of(&request.body(()).unwrap())
    }

    #[test]
    fn only_plain_requests_need_no_router() {
        let key = ("idempotency-key", "7");
        let usual = [("accept", "*/*"), ("host", "shop"), ("content-type", "application/json"), key];
        assert_eq!(direct("GET", "/info/7", &usual), Some(Direct::Info(BookId(7))));
        assert_eq!(direct("POST", "/purchase/7", &usual), Some(Direct::Purchase(BookId(7))));
        for (method, path) in [
            ("HEAD", "/info/7"),
            ("GET", "/info/7/"),
            ("GET", "/info/7?x=1"),
            ("GET", "/info/"),
            ("GET", "/info/+7"),
            ("GET", "/info/99999999999999999999"),
            ("GET", "/purchase/7"),
            ("POST", "/info/7"),
        ] {
            assert_eq!(direct(method, path, &usual), None, "{method} {path}");
        }
        for header in [
            ("accept", "text/html"),
            ("origin", "http://shop"),
            ("sec-fetch-site", "same-origin"),
            ("if-none-match", "\"7\""),
            ("traceparent", "00-1-1-00"),
            ("x-request-id", "7"),
        ] {
            assert_eq!(direct("GET", "/info/7", &[header]), None, "{header:?}");
        }
    }
}

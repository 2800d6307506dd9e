//! The public interface as a server's: what a busy shop is asked most goes straight to its handler, the rest through the
//! router.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use bookstore_core::BookId;
use futures_util::{FutureExt as _, future::BoxFuture};
use std::{fmt, sync::Arc};

use super::{
    books,
    extract::{Key, Unread},
    orders,
    rejection::Answer,
    security_headers,
    shop::Shop,
};
use crate::server::{Respond, guard::Route, request_body::RequestBody};

/// The shop's whole public interface, for [`serve`](crate::server::serve).
///
/// `GET /info/{id}` and `POST /purchase/{id}` of programs skip the router, whose boxes cost more than the rest of such a
/// request. They have the same handlers as the routes, and a request that is unusual in any way takes the router.
pub struct Site {
    /// Counted for each connection apart: one count would travel between the processors with every request.
    #[expect(clippy::redundant_allocation, reason = "the outer one is that count")]
    shop: Arc<Arc<Shop>>,
    router: Router,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl Site {
    /// The shop's interface, and the operator's routes beside it.
    #[must_use]
    pub fn new(shop: Shop, operations: Router) -> Self {
        let shop = Arc::new(shop);
        #[cfg(feature = "pages")]
        let router = crate::pages::router(Arc::clone(&shop), operations);
        #[cfg(not(feature = "pages"))]
        let router = super::router(Arc::clone(&shop), operations);
        Self { shop: Arc::new(shop), router }
    }
}

/// Once for each connection.
impl Clone for Site {
    fn clone(&self) -> Self {
        Self { shop: Arc::new(Arc::clone(&self.shop)), router: self.router.clone() }
    }
}

impl Respond for Site {
    fn respond(&mut self, request: hyper::Request<RequestBody>) -> BoxFuture<'static, Response> {
        let Some(direct) = Direct::of(&request) else { return RequestBody::through(request, &mut self.router) };
        request.body().took(direct.route());
        let shop = Arc::clone(&self.shop);
        match direct {
            Direct::Info(book) => {
                let info = async move { Ok(books::with_etag(&shop.catalog.info(book).await?)) };
                info.map(answered).boxed()
            }
            Direct::Purchase(book) => {
                // Before anything waits, so that only what is needed does.
                let (key, payload) = (Key::of(request.headers()), Unread::of(request));
                let purchase = async move { orders::buy(&shop, book, key?, &payload.read().await?).await };
                purchase.map(answered).boxed()
            }
        }
    }
}

/// An answer that is made with all its headers, or a refusal.
fn answered(answer: Answer) -> Response {
    answer.unwrap_or_else(|refusal| {
        let mut response = refusal.into_response();
        security_headers::protect(response.headers_mut(), false, false);
        response
    })
}

/// A request that needs no router.
enum Direct {
    Info(BookId),
    Purchase(BookId),
}

impl Direct {
    fn of(request: &hyper::Request<RequestBody>) -> Option<Self> {
        let uri = request.uri();
        let direct = match *request.method() {
            Method::GET => Self::Info(number(uri.path().strip_prefix("/info/")?)?),
            Method::POST => Self::Purchase(number(uri.path().strip_prefix("/purchase/")?)?),
            _ => return None,
        };
        // Once over all of them is quicker than to look for each that matters.
        let plain = |(name, value): (&HeaderName, &HeaderValue)| {
            security_headers::is_plain(name, value) && *name != header::IF_NONE_MATCH
        };
        (uri.query().is_none() && request.headers().iter().all(plain)).then_some(direct)
    }

    fn route(&self) -> Route {
        Route::Named(match self {
            Self::Info(_) => "/info/{id}",
            Self::Purchase(_) => "/purchase/{id}",
        })
    }
}

/// Plain digits; the router explains all else.
fn number(text: &str) -> Option<BookId> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

//! The public interface as one service: what a busy shop is asked most goes straight to its handler, the rest through the
//! router.

use axum::{
    Router,
    extract::Request,
    http::Method,
    response::{IntoResponse, Response},
};
use bookstore_core::BookId;
use futures_util::{FutureExt as _, future::BoxFuture};
use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

use super::{
    Shop, Wants,
    books::{self, IfNoneMatch},
    edge::{self, Around},
    extract::{Key, Unread},
    orders, routes,
};
use crate::guard::{self, Route};

/// The shop's whole public interface, for [`serve`](crate::server::serve).
///
/// `GET /info/{id}` and `POST /purchase/{id}` of programs skip the router, whose boxes cost more than the rest of such a
/// request. They have the same handlers as the routes, and a request that is unusual in any way takes the router.
#[derive(Clone)]
pub struct Site(Around<Dispatch>);

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
        let router = routes(&shop).merge(operations);
        Self(edge::around(Dispatch { shop: Arc::new(shop), router }))
    }
}

impl Service<Request> for Site {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

struct Dispatch {
    /// Counted for each connection apart: one count would travel between the processors with every request.
    #[expect(clippy::redundant_allocation, reason = "the outer one is that count")]
    shop: Arc<Arc<Shop>>,
    router: Router,
}

/// Once for each connection.
impl Clone for Dispatch {
    fn clone(&self) -> Self {
        Self { shop: Arc::new(Arc::clone(&self.shop)), router: self.router.clone() }
    }
}

/// A request that needs no router.
enum Direct {
    Info(BookId),
    Purchase(BookId),
}

impl Direct {
    fn of(request: &Request) -> Option<Self> {
        let uri = request.uri();
        if uri.query().is_some() {
            return None;
        }
        let direct = match *request.method() {
            Method::GET => Self::Info(number(uri.path().strip_prefix("/info/")?)?),
            Method::POST => Self::Purchase(number(uri.path().strip_prefix("/purchase/")?)?),
            _ => return None,
        };
        (Wants::of(request.headers()) == Wants::Json).then_some(direct)
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

impl Service<Request> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As a router is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(direct) = Direct::of(&request) else { return self.router.call(request).boxed() };
        guard::took(direct.route(), &request);
        let shop = Arc::clone(&self.shop);
        match direct {
            Direct::Info(book) => {
                let condition = IfNoneMatch::of(request.headers());
                let answer = async move { books::book(&shop, book, &condition).await };
                answer.map(|answer| Ok(answer.into_response())).boxed()
            }
            Direct::Purchase(book) => {
                // Before anything waits, so that only what is needed does.
                let (key, payload) = (Key::of(request.headers()), Unread::of(request));
                let purchase = async move { orders::buy(&shop, book, key?, &payload.read().await?).await };
                purchase.map(|answer| Ok(answer.into_response())).boxed()
            }
        }
    }
}

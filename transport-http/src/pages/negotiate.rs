//! Which requests are answered with a page, and which with what programs get.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, header},
    response::Response,
    routing::future::RouteFuture,
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either},
};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

use super::{refusal::as_page, response_format::ResponseFormat};
use crate::api::{Shop, direct::Direct};

/// The whole public interface, a service for [`serve`](crate::server::serve): sends each request to one of three routers, by
/// what it accepts and what it brings; the two commonest of programs need none.
///
/// Another program has it among its own routes with `Router::fallback_service`.
#[derive(Clone, Debug)]
pub struct PublicInterface {
    pub(super) shop: Arc<Shop>,
    /// For browsers that look at something.
    pub(super) pages: Router,
    /// For browsers that send a form.
    pub(super) forms: Router,
    /// For all other requests; also what the other two fall back to.
    pub(super) everyone: Router,
}

impl Service<Request> for PublicInterface {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response, Infallible>>>;

    /// A router is always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(direct) = Direct::of(&request) {
            return Either::Right(direct.answer(Arc::clone(&self.shop), request));
        }
        if ResponseFormat::of(request.headers()) == ResponseFormat::Json {
            return Either::Left(self.everyone.call(request));
        }
        let router = match *request.method() {
            Method::GET | Method::HEAD => &mut self.pages,
            Method::POST if is_form(request.headers()) => &mut self.forms,
            _ => &mut self.everyone,
        };
        let answer = router.call(request);
        Either::Right(async { Ok(as_page(answer.await?)) }.boxed())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let media = value.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

//! The web pages: rendered on the server, complete without JavaScript.
//!
//! Pages are laid over an API: [`router`] answers browsers with pages and everybody else with what the API answers. So `pages`
//! uses `api` (the shop, extractors, refusals), and `api` does not know of `pages`. A request is a browser's if it prefers
//! `text/html` to JSON; a `POST` must bring a form, too.
//!
//! Pages read their own parameters from the URI, and ignore those that they do not know.

mod admin;
mod assets;
mod book;
mod form;
mod home;
mod negotiate;
mod notice;
mod order;
mod purchase;
mod refusal;
mod render;
mod response_format;
mod search;
mod text;
mod timeouts;

use axum::{
    Router,
    routing::{get, post},
};
use std::sync::Arc;

use crate::api::{Shop, routes::public};
use negotiate::Negotiated;

/// The whole public interface: `api` (usually [`api::router`](crate::api::router) of the same shop), with pages for browsers.
///
/// A refusal by `api` becomes a page, too, if a browser asked. `api` MUST have none of the paths that have nothing but a page:
/// `/`, `/assets/…`, `/admin…`.
pub fn router(shop: &Arc<Shop>, api: Router) -> Router {
    let everyone = api.merge(public(pages_only(), shop).reset_fallback());
    let pages = public(pages_beside_the_api(), shop).fallback_service(everyone.clone());
    let forms = public(forms_beside_the_api(), shop).fallback_service(everyone.clone());
    Router::new().fallback_service(Negotiated { pages, forms, everyone })
}

/// Paths that have nothing but a page, whatever a request accepts.
fn pages_only() -> Router<Arc<Shop>> {
    Router::new().route("/", get(home::home)).route("/assets/{name}", get(assets::get)).merge(admin::routes())
}

/// Pages under paths of the API.
fn pages_beside_the_api() -> Router<Arc<Shop>> {
    Router::new()
        .route("/search", get(search::search))
        .route("/search/{topic}", get(search::search_topic))
        .route("/topics", get(home::topics))
        .route("/info/{id}", get(book::info))
        .route("/purchase/{id}", get(purchase::show))
        .route("/orders/{id}", get(order::show))
}

/// What the forms of these pages are sent to.
fn forms_beside_the_api() -> Router<Arc<Shop>> {
    Router::new().route("/purchase/{id}", post(purchase::buy)).route("/orders/{id}/cancel", post(order::cancel))
}

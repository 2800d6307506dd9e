//! The web pages: rendered on the server, complete without JavaScript.
//!
//! Pages lie over the API: [`service`] answers browsers with pages and all others as the API does. So `pages` uses `api` (the
//! shop, routes, extractors, refusals), and `api` does not know of `pages`. A request is a browser's if it prefers
//! `text/html` to JSON; a `POST` must bring a form, too.
//!
//! Pages read their own parameters from the URI, and ignore those that they do not know.

mod admin;
mod assets;
mod book;
mod contact;
mod filters;
mod form;
mod home;
mod money;
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

use crate::api::{
    Shop,
    routes::{self, public},
};
pub use negotiate::PublicInterface;

/// The whole public interface: the API, as [`api::router`](crate::api::router) has it, and pages for browsers, who also get the
/// API's refusals as pages.
///
/// `operations` are further routes under the same protection, such as [`health_routes`](crate::server::health_routes);
/// `Router::new()` for none.
pub fn service(shop: Shop, operations: Router) -> PublicInterface {
    let shop = Arc::new(shop);
    let everyone = public(routes::routes().merge(pages_only()), &shop, operations);
    let pages = public(pages_beside_the_api(), &shop, Router::new()).fallback_service(everyone.clone());
    let forms = public(forms_beside_the_api(), &shop, Router::new()).fallback_service(everyone.clone());
    PublicInterface { shop, pages, forms, everyone }
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
        .route("/authors/{name}", get(search::author))
        .route("/bestsellers", get(search::best_sellers))
        .route("/topics", get(home::topics))
        .route("/info/{id}", get(book::info))
        .route("/purchase/{id}", get(purchase::show))
        .route("/orders/{id}", get(order::show))
}

/// What the forms of these pages are sent to.
fn forms_beside_the_api() -> Router<Arc<Shop>> {
    Router::new()
        .route("/purchase/{id}", post(purchase::buy))
        .route("/orders/{id}/cancel", post(order::cancel))
        .route("/orders/{id}/confirm", post(order::confirm))
        .route("/orders/{id}/contact", post(contact::change))
}

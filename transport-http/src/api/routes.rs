//! The paths of the JSON API, and what they have in common with all of the public interface.
//!
//! The `openapi` module documents the same paths; a test compares the two lists.

use axum::{
    Router,
    routing::{get, patch, post},
};
use std::sync::Arc;
use tower::{layer::layer_fn, util::MapRequestLayer};

use super::{admin, books, changes, contacts, events, orders, security_headers, shop::Shop};
use crate::server::route_label::record_route;

/// Every path, to be passed to [`public`].
pub(crate) fn routes() -> Router<Arc<Shop>> {
    let routes = Router::new()
        .route("/search", get(books::search))
        .route("/search/{topic}", get(books::search_topic))
        .route("/authors/{name}", get(books::author))
        .route("/new", get(books::new))
        .route("/bestsellers", get(books::best_sellers))
        .route("/suggest", get(books::suggest))
        .route("/topics", get(books::topics))
        .route("/shop", get(books::shop_info))
        .route("/info/{id}", get(books::info))
        .route("/purchase/{id}", get(books::purchase_page).post(orders::purchase))
        .route("/orders", get(orders::orders))
        .route("/orders/{id}", get(orders::order).put(orders::place_order))
        .route("/orders/{id}/cancel", post(orders::cancel))
        .route("/orders/{id}/confirm", post(changes::confirm))
        .route("/orders/{id}/extend", post(changes::extend))
        .route("/orders/{id}/fulfil", post(changes::fulfil))
        .route("/orders/{id}/return", post(changes::take_back))
        .route("/orders/{id}/contact", get(contacts::contact).put(contacts::set).delete(contacts::erase))
        .route("/events", get(events::events))
        .route("/books", get(books::books).post(admin::add_books))
        .route("/quote", post(books::quote))
        .route("/books/{id}", patch(admin::amend))
        .route("/entries", get(admin::entries));
    #[cfg(feature = "openapi")]
    let routes = routes.route("/openapi.json", get(super::openapi::openapi));
    routes
}

/// Gives routes what all of the public interface have: the shop, refusals where there is no such path or method, a label for the
/// metrics (a server sees only the outer router, and the routes may be behind pages), the check against cross-site requests, and
/// security headers. `operations` are further routes under the same protection.
pub(crate) fn public(routes: Router<Arc<Shop>>, shop: &Arc<Shop>, operations: Router) -> Router {
    let routes = security_headers::with_fallbacks(routes.with_state(Arc::clone(shop)));
    routes.merge(operations).layer((layer_fn(security_headers::around), MapRequestLayer::new(record_route)))
}

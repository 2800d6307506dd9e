//! The admin pages, behind the admin token.

mod book;
mod frame;
mod lists;
mod login;
mod new;
mod order;
mod session;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use std::sync::Arc;

use crate::api::Shop;
use session::Sessions;

/// `/admin…`. The sessions are this process's: another server asks for the token again.
pub(super) fn routes() -> Router<Arc<Shop>> {
    Router::new()
        .route("/admin", get(lists::books))
        .route("/admin/login", get(login::form).post(login::login))
        .route("/admin/logout", post(login::logout))
        .route("/admin/new", get(new::form))
        .route("/admin/books", post(new::add))
        .route("/admin/books/{id}", get(book::edit))
        .route("/admin/books/{id}/restock", post(book::restock))
        .route("/admin/books/{id}/price", post(book::reprice))
        .route("/admin/orders", get(lists::orders))
        .route("/admin/orders/{id}", get(order::show))
        .route("/admin/orders/{id}/cancel", post(order::cancel))
        .layer(Extension(Arc::new(Sessions::default())))
}

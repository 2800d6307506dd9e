//! The shop's own pages, behind the admin token.

mod book;
mod lists;
mod login;
mod new;
mod session;

use askama::Template;
use axum::{
    Extension, Router,
    http::{HeaderValue, StatusCode, header},
    routing::{get, post},
};
use std::sync::Arc;

use crate::api::{Answer, Shop};
use session::{Sessions, SignedIn};

/// `/admin…`, with sessions of its own: who is logged in here is logged in to this process.
pub(crate) fn routes() -> Router<Arc<Shop>> {
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
        .layer(Extension(Arc::new(Sessions::default())))
}

/// Which of the admin pages this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Books,
    New,
    Orders,
}

/// A rendered page that no cache keeps.
fn page(status: StatusCode, template: &impl Template) -> Answer {
    let mut response = super::page(status, template)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

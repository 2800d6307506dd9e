//! The web pages: rendered on the server, complete without JavaScript.
//!
//! The router decides between HTML and JSON, reads ids and bodies, and calls these for HTML. Pages read their own
//! parameters from the URI, and forgive those that they do not know.

mod admin;
mod assets;
mod book;
mod form;
mod home;
mod notice;
mod order;
mod purchase;
mod refused;
mod search;
mod text;

use askama::Template;
use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use std::sync::Arc;

use super::{Answer, Shop};

pub(super) use book::info;
pub(super) use home::topics;
pub(super) use order::{cancel, order};
pub(super) use purchase::{buy, purchase};
pub(super) use refused::refused;
pub(super) use search::search;

/// The paths that have pages only.
pub(super) fn routes() -> Router<Arc<Shop>> {
    Router::new().route("/", get(home::home)).route("/assets/{name}", get(assets::get)).merge(admin::routes())
}

fn page(status: StatusCode, template: &impl Template) -> Answer {
    Ok((status, Html(rendered(template))).into_response())
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("a template writes into a String, which takes everything")
}

/// Sends the browser on with a GET, so that a reload does not post again.
fn see_other(url: &str) -> Response {
    Redirect::to(url).into_response()
}

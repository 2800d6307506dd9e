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
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use bookstore_core::{Error, Result};
use std::{future::Future, sync::Arc, time::Duration};

use crate::api::{Answer, Shop};

pub(crate) use book::info;
pub(crate) use home::topics;
pub(crate) use order::{cancel, order};
pub(crate) use purchase::{buy, purchase};
pub(crate) use refused::refused;
pub(crate) use search::search;

/// The paths that have pages only.
pub(crate) fn routes() -> Router<Arc<Shop>> {
    Router::new().route("/", get(home::home)).route("/assets/{name}", get(assets::get)).merge(admin::routes())
}

/// How long a person waits before the page says that nobody knows yet. With the glances that the page then takes, it is
/// less than the server gives a request.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long to wait for something that the page can do without.
const GLANCE: Duration = Duration::from_secs(1);

fn page(status: StatusCode, template: &impl Template) -> Answer {
    let mut response = (status, Html(rendered(template))).into_response();
    // Other sites learn nothing, and forms posted from here say where they come from.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("a template writes into a String, which takes everything")
}

/// What a call with a key answers in time; after that its outcome is unknown.
async fn patiently<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::unknown("there was no answer in time"));
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(late)
}

/// What a call that only reads answers at once.
async fn at_a_glance<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::unavailable("there was no answer in time"));
    tokio::time::timeout(GLANCE, call).await.unwrap_or_else(late)
}

/// Sends the browser on with a GET, so that a reload does not post again.
fn see_other(url: &str) -> Response {
    Redirect::to(url).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_not_waited_for_any_longer() {
        let silent = patiently(std::future::pending::<Result<()>>()).await;
        assert!(matches!(silent, Err(Error::OutcomeUnknown { .. })));
        let unread = at_a_glance(std::future::pending::<Result<()>>()).await;
        assert!(matches!(unread, Err(Error::Unavailable { .. })));
        assert_eq!(patiently(async { Ok(1) }).await, Ok(1));
        let refused = Error::overloaded("full");
        let unread = at_a_glance(std::future::pending::<Result<()>>()).await;
        assert!(matches!(unread, Err(Error::Unavailable { .. })));
        assert_eq!(patiently(async { Err::<(), _>(refused.clone()) }).await, Err(refused));
    }
}

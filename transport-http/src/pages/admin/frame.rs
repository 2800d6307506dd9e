//! What every admin page has.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

use crate::{api::Answer, pages::render};

/// Which of the admin pages this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Books,
    New,
    Orders,
}

/// A rendered page that no cache keeps.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Answer {
    let mut response = render::page(status, template)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

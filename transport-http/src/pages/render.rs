//! Rendered templates as answers.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};

use crate::api::Answer;

/// Nothing from elsewhere, no inline code, no frames.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// A whole page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Answer {
    let mut response = html(template);
    *response.status_mut() = status;
    // Other sites learn nothing, and forms posted from here say where they come from.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// A page with the headers that every one has. The other security headers are the same for the whole public interface.
pub(super) fn html(template: &impl Template) -> Response {
    let html = Html(template.render().expect("writing to a String cannot fail"));
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], html).into_response()
}

/// Sends the browser on with a GET, so that a reload does not post again.
pub(super) fn see_other(url: &str) -> Response {
    Redirect::to(url).into_response()
}

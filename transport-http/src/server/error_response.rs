//! Errors as responses: a service's own, those that only HTTP knows, and those that a router makes.

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use serde_json::json;
use std::mem;

use crate::{
    error_status::{self, RETRY_AFTER_S},
    problem::{PROBLEM_JSON, Problem},
};

/// The longest text of a router's or an extractor's refusal that is kept, in bytes.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// The response to a request that ended in an [`Error`]; handlers return `Result<T, ErrorResponse>`.
#[derive(Debug)]
pub(crate) struct ErrorResponse(pub(crate) Error);

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let (status, _) = error_status::status(&self.0);
        let unauthorized = matches!(self.0, Error::Unauthorized { .. });
        let mut response = problem_response(status, Problem::from(self.0));
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A problem that is no service's: only HTTP knows such paths, methods and sizes.
pub(crate) fn transport_problem(status: StatusCode, detail: &str, executed: Executed) -> Response {
    let (code, title) = match status {
        StatusCode::FORBIDDEN => ("forbidden", "Forbidden"),
        StatusCode::NOT_FOUND => ("not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "Method not allowed"),
        StatusCode::REQUEST_TIMEOUT => ("body-too-slow", "Body too slow"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Body too large"),
        StatusCode::URI_TOO_LONG => ("uri-too-long", "URI too long"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "Unsupported content type"),
        StatusCode::TOO_MANY_REQUESTS => ("too-many-requests", "Too many requests"),
        StatusCode::MISDIRECTED_REQUEST => ("other-host", "Not this server's name"),
        _ => ("internal", "Internal error"),
    };
    let problem = json!({
        "type": format!("/problems/{code}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "executed": executed,
        "code": code,
    });
    problem_response(status, problem)
}

fn problem_response(status: StatusCode, problem: impl serde::Serialize) -> Response {
    let mut response = (status, Json(problem)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

/// Turns an error that a router or an extractor made, bare or in plain text, into a problem document.
///
/// Its headers (`Allow`, …) stay. No handler has run for such an answer, so nothing was executed, unless the status is that of
/// a server's failure.
pub(crate) async fn normalise(response: &mut Response) {
    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && is_bare(response) {
        let bare = mem::take(response);
        // Boxed, so that the future of a good answer stays small.
        *response = Box::pin(into_problem(status, bare)).await;
    }
}

async fn into_problem(status: StatusCode, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let text = match (String::from_utf8_lossy(&text), status) {
        (text, _) if !text.is_empty() => text.into_owned(),
        (_, StatusCode::NOT_FOUND) => "there is nothing under this path".into(),
        (_, StatusCode::METHOD_NOT_ALLOWED) => "the Allow header lists this path's methods".into(),
        _ => status.to_string(),
    };
    let executed = if status.is_client_error() { Executed::No } else { Executed::Unknown };
    let problem = match status {
        StatusCode::BAD_REQUEST => ErrorResponse(Error::malformed(text)).into_response(),
        StatusCode::UNPROCESSABLE_ENTITY => ErrorResponse(Error::invalid("body", text)).into_response(),
        _ => transport_problem(status, &text, executed),
    };
    let (problem, body) = problem.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

/// Whether an error has no body yet but plain text.
fn is_bare(response: &Response<Body>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::read_problem;

    async fn read(response: Response) -> Error {
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        read_problem(status, &body)
    }

    #[tokio::test]
    async fn a_client_knows_what_a_transport_s_problem_means() {
        let not_found = transport_problem(StatusCode::NOT_FOUND, "no such path", Executed::No);
        assert_eq!(read(not_found).await, Error::malformed("no such path"));
        let too_many = transport_problem(StatusCode::TOO_MANY_REQUESTS, "slower", Executed::No);
        assert_eq!(read(too_many).await, Error::overloaded("slower"));
        let too_slow = transport_problem(StatusCode::REQUEST_TIMEOUT, "faster", Executed::No);
        assert_eq!(read(too_slow).await, Error::unavailable("faster"));
        let read_panicked = transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the log", Executed::No);
        assert_eq!(read(read_panicked).await, Error::unavailable("see the log"));
        let panicked = transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the log", Executed::Unknown);
        assert_eq!(read(panicked).await, Error::unknown("see the log"));
    }

    #[tokio::test]
    async fn only_bare_errors_are_given_a_shape() {
        let mut bare = (StatusCode::BAD_REQUEST, "no good").into_response();
        normalise(&mut bare).await;
        assert_eq!(read(bare).await, Error::malformed("no good"));
        for mut kept in [
            (StatusCode::OK, "fine").into_response(),
            (StatusCode::NOT_FOUND, axum::response::Html("<p>no")).into_response(),
        ] {
            let before = kept.headers().clone();
            normalise(&mut kept).await;
            assert_eq!(kept.headers(), &before);
        }
    }
}

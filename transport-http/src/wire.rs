//! How a service's answer travels: the one map between [`Error`] and HTTP, as RFC 9457 problems.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use serde::{Deserialize, Serialize};

/// The media type of an error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which a refused caller may try again, on every 503.
pub const RETRY_AFTER_S: u32 = 1;

/// An error as it stands in a body: the [`Error`] itself, and around it what RFC 9457 asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A relative reference that names the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    pub detail: String,
    /// Whether the call had an effect.
    pub executed: Executed,
    /// The stable `code`, and the fields of that error.
    #[serde(flatten)]
    pub error: Error,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = status(&error);
        Self {
            kind: format!("/problems/{}", error.code()),
            title: title.into(),
            status: status.as_u16(),
            detail: error.to_string(),
            executed: error.executed(),
            error,
        }
    }
}

/// The status and the title of an error: the only place that names them.
#[must_use]
pub fn status(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::OutOfStock { .. } => (StatusCode::CONFLICT, "Out of stock"),
        Error::UnknownBook { .. } => (StatusCode::NOT_FOUND, "Unknown book"),
        Error::UnknownOrder { .. } => (StatusCode::NOT_FOUND, "Unknown order"),
        Error::OrderIdReused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Order id reused"),
        Error::PriceChanged { .. } => (StatusCode::CONFLICT, "Price changed"),
        Error::VersionMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        Error::VersionRequired => (StatusCode::PRECONDITION_REQUIRED, "Precondition required"),
        Error::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid value"),
        Error::Malformed { .. } => (StatusCode::BAD_REQUEST, "Malformed request"),
        Error::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Overloaded"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available"),
        Error::DeadlineExpired { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Deadline expired"),
        Error::Unknown { .. } => (StatusCode::GATEWAY_TIMEOUT, "Outcome unknown"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Error"),
    }
}

/// An [`Error`] on its way out; handlers return `Result<T, Refused>`.
#[derive(Debug)]
pub struct Refused(pub Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, _) = status(&self.0);
        let unauthorized = matches!(self.0, Error::Unauthorized { .. });
        let mut response = (status, Json(Problem::from(self.0))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The error in a body that is a problem, or else what a stranger's answer with this status means for the caller.
#[must_use]
pub fn read_problem(status: StatusCode, body: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem.error;
    }
    let message = format!("the server answered {status} without saying why");
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Error::unavailable(message),
        _ if status.is_client_error() => Error::malformed(message),
        _ => Error::unknown(message),
    }
}

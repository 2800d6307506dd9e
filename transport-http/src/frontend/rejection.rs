//! Why a request was refused: a service's own error, or one that only HTTP knows.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use serde::Serialize;
use std::borrow::Cow;

use crate::wire::{self, PROBLEM_JSON, Refused};

/// A refusal on its way out. It is sent as `application/problem+json`, and as a page to browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A service's error, or bad input that reads like one.
    Service(Error),
    /// There is nothing under this path.
    NoSuchPath,
    /// The path exists, this method on it does not; the allowed ones if they are known here.
    MethodNotAllowed(Option<&'static str>),
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body's content type is not one of these.
    UnsupportedMediaType(&'static str),
    /// Not for this caller, whatever token it shows.
    Forbidden(&'static str),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl Rejection {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Service(error) => wire::status(error).0,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The kind of refusal in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::Service(error) => wire::status(error).1,
            Self::NoSuchPath => "Not found",
            Self::MethodNotAllowed(_) => "Method not allowed",
            Self::TooLarge(_) => "Body too large",
            Self::UnsupportedMediaType(_) => "Unsupported content type",
            Self::Forbidden(_) => "Forbidden",
        }
    }

    /// The stable name of this refusal, in kebab-case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Service(error) => error.code(),
            Self::NoSuchPath => "not-found",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::TooLarge(_) => "too-large",
            Self::UnsupportedMediaType(_) => "unsupported-media-type",
            Self::Forbidden(_) => "forbidden",
        }
    }

    /// This occurrence in words.
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::Service(error) => error.to_string().into(),
            Self::NoSuchPath => "there is nothing under this path; /openapi.json lists what there is".into(),
            Self::MethodNotAllowed(Some(allowed)) => format!("this path allows {allowed}").into(),
            Self::MethodNotAllowed(None) => "this path does not allow this method; the Allow header lists those it does".into(),
            Self::TooLarge(limit) => format!("the body must be at most {limit} bytes").into(),
            Self::UnsupportedMediaType(wanted) => format!("the body's Content-Type must be {wanted}").into(),
            Self::Forbidden(message) => (*message).into(),
        }
    }

    fn problem(&self) -> Response {
        if let Self::Service(error) = self {
            return Refused(error.clone()).into_response();
        }
        let problem = HttpProblem {
            kind: format!("/problems/{}", self.code()),
            title: self.title(),
            status: self.status().as_u16(),
            detail: self.detail(),
            executed: Executed::No,
            code: self.code(),
        };
        let mut response = (self.status(), Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Self::MethodNotAllowed(Some(allowed)) = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

/// A problem that is not an [`Error`]; the fields are those of [`wire::Problem`].
#[derive(Serialize)]
struct HttpProblem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: Cow<'static, str>,
    executed: Executed,
    code: &'static str,
}

impl IntoResponse for Rejection {
    /// The problem, with the rejection itself beside it for those who would rather show a page.
    fn into_response(self) -> Response {
        let mut response = self.problem();
        response.extensions_mut().insert(self);
        response
    }
}

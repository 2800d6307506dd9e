//! What a handler answers, and why a request is refused: a service's own error, or one that only HTTP knows.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Error, Executed};
use std::borrow::Cow;

use crate::{
    error_status,
    server::error_response::{ErrorResponse, transport_problem},
};

/// What a handler answers. A [`Rejection`] becomes a problem, and for browsers a page if there are pages.
pub(crate) type Answer = Result<Response, Rejection>;

/// A refusal on its way out.
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
    /// The body's content type is not this one.
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
            Self::Service(error) => error_status::status(error).0,
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
            Self::Service(error) => error_status::status(error).1,
            _ => self.status().canonical_reason().unwrap_or("Error"),
        }
    }

    /// This occurrence in words.
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::Service(error) => error.to_string().into(),
            Self::NoSuchPath => "there is nothing under this path; /openapi.json lists what there is".into(),
            Self::MethodNotAllowed(Some(allowed)) => format!("this path allows {allowed}").into(),
            Self::MethodNotAllowed(None) => "the Allow header lists the methods of this path".into(),
            Self::TooLarge(limit) => format!("the body must be at most {limit} bytes").into(),
            Self::UnsupportedMediaType(wanted) => format!("the body's Content-Type must be {wanted}").into(),
            Self::Forbidden(message) => (*message).into(),
        }
    }

    fn problem(&self) -> Response {
        if let Self::Service(error) = self {
            return ErrorResponse(error.clone()).into_response();
        }
        let mut response = transport_problem(self.status(), &self.detail(), Executed::No);
        if let Self::MethodNotAllowed(Some(allowed)) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }
}

impl IntoResponse for Rejection {
    /// The problem. The rejection itself is in the response's extensions, so that a page can be made of it.
    fn into_response(self) -> Response {
        let mut response = self.problem();
        response.extensions_mut().insert(self);
        response
    }
}

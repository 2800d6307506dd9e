//! The body of an error: a problem document (RFC 9457), as servers write it and clients read it.

use bookstore_core::{Error, Executed};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error_status::status;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document: the [`Error`] itself, and around it the members that RFC 9457 asks for.
///
/// ```
/// use bookstore_core::{BookId, Error};
/// use bookstore_transport_http::problem::Problem;
///
/// let problem = Problem::from(Error::BookNotFound { book: BookId(7) });
/// assert_eq!((problem.status, problem.kind.as_str()), (404, "/problems/unknown-book"));
/// ```
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

/// A problem whose `code` this program does not know: one that only HTTP knows, or a newer server's.
#[derive(Deserialize)]
struct ForeignProblem {
    executed: Executed,
    #[serde(default)]
    detail: String,
}

/// The error in an answer with this status and body.
///
/// If the body is no problem document, or one with an unknown code, the error says what the caller can rely on: that the
/// request was not executed, or that the outcome is unknown.
#[must_use]
pub fn read_problem(status: StatusCode, body: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem.error;
    }
    if let Ok(ForeignProblem { executed, detail }) = serde_json::from_slice(body) {
        return match executed {
            Executed::No if status == StatusCode::TOO_MANY_REQUESTS => Error::overloaded(detail),
            Executed::No if status == StatusCode::REQUEST_TIMEOUT => Error::unavailable(detail),
            Executed::No if status.is_client_error() => Error::malformed(detail),
            Executed::No => Error::unavailable(detail),
            Executed::Unknown => Error::unknown(detail),
        };
    }
    let message = format!("the server answered {status} without saying why");
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Error::unavailable(message),
        _ if status.is_client_error() => Error::malformed(message),
        _ => Error::unknown(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_s_answer_is_unknown_unless_it_is_a_refusal() {
        for (status, executed) in
            [(400, Executed::No), (429, Executed::No), (503, Executed::No), (500, Executed::Unknown)]
        {
            let error = read_problem(StatusCode::from_u16(status).unwrap(), b"<html>");
            assert_eq!(error.executed(), executed, "{status}");
        }
    }
}

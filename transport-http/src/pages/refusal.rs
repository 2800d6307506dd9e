//! Refusals as pages.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::Response,
};
use bookstore_core::Error;

use super::{assets, notice::sentence, render::html};
use crate::{api::Rejection, error_status};

#[derive(Template)]
#[template(path = "error.html")]
struct Refused {
    code: u16,
    title: &'static str,
    message: String,
    /// Whether trying again soon can help.
    retry: bool,
}

/// The answer itself, or, if it is a refusal, a page that says the same; status and headers stay.
pub(super) fn as_page(mut answer: Response) -> Response {
    let Some(rejection) = answer.extensions_mut().remove::<Rejection>() else { return answer };
    let (mut parts, _) = answer.into_parts();
    let (page, body) = html(&Refused::new(&rejection)).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page.headers);
    Response::from_parts(parts, body)
}

impl Refused {
    fn new(rejection: &Rejection) -> Self {
        let status = rejection.status();
        let (title, message) = explain(rejection);
        let retry = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
        Self { code: status.as_u16(), title, message, retry }
    }
}

/// A title, and what happened and what to do now.
fn explain(rejection: &Rejection) -> (&'static str, String) {
    match rejection {
        Rejection::Service(error) => explain_error(error),
        Rejection::NoSuchPath => (
            "There is no such page",
            "The address may be mistyped, or the page has moved. The search above finds every book.".into(),
        ),
        other => (other.title(), sentence(&other.detail())),
    }
}

fn explain_error(error: &Error) -> (&'static str, String) {
    match error {
        Error::BookNotFound { book } => {
            ("There is no such book", format!("No book has the number {book}. The search above finds every book."))
        }
        Error::BookWithdrawn { .. } => ("This book is not on sale", "Nothing was bought.".into()),
        Error::OrderNotFound { .. } => (
            "There is no such order",
            "No order has this number. If you have just pressed “Buy”, go back and press it again: it buys only once."
                .into(),
        ),
        Error::Overloaded { .. } => ("The shop is very busy", "Nothing was done. Please try again in a moment.".into()),
        Error::Unavailable { .. } | Error::DeadlineExpired { .. } => (
            "The shop is not available",
            "Nothing was done. It may be restarting: please try again in a moment.".into(),
        ),
        Error::OutcomeUnknown { .. } => (
            "We do not know yet",
            "The shop did not answer in time, so this may or may not have happened. Go back and send the form again: \
             it happens only once."
                .into(),
        ),
        Error::Malformed { .. } => ("This address is not right", sentence(&error.to_string())),
        other => (error_status::status(other).1, sentence(&other.to_string())),
    }
}

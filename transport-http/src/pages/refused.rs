//! Refusals as pages.

use askama::Template;
use axum::{http::StatusCode, response::Html};
use bookstore_core::Error;

use super::{assets, notice::sentence, rendered};
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

/// A refusal as browsers see it. Status and headers are the caller's.
pub(crate) fn refused(rejection: &Rejection) -> Html<String> {
    let status = rejection.status();
    let (title, message) = say(rejection);
    let retry = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
    Html(rendered(&Refused { code: status.as_u16(), title, message, retry }))
}

/// For people: what happened, and what to do now.
fn say(rejection: &Rejection) -> (&'static str, String) {
    match rejection {
        Rejection::Service(error) => say_error(error),
        Rejection::NoSuchPath => (
            "There is no such page",
            "The address may be mistyped, or the page has moved. The search above finds every book.".into(),
        ),
        other => (other.title(), sentence(&other.detail())),
    }
}

fn say_error(error: &Error) -> (&'static str, String) {
    match error {
        Error::BookNotFound { book } => {
            ("There is no such book", format!("No book has the number {book}. The search above finds every book."))
        }
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

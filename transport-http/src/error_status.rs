//! The one map between a service's [`Error`] and HTTP: its status, its title, and when a caller may try again.
//!
//! [`problem`](crate::problem) has the document that an error becomes.

use bookstore_core::Error;
use hyper::StatusCode;

/// Seconds after which a refused caller may try again: the `Retry-After` of every 503.
pub const RETRY_AFTER_S: u32 = 1;

/// The status and the title of an error: the only place that names them.
///
/// ```
/// use bookstore_core::{BookId, Error};
/// use bookstore_transport_http::error_status;
///
/// let (status, title) = error_status::status(&Error::BookNotFound { book: BookId(7) });
/// assert_eq!((status.as_u16(), title), (404, "Unknown book"));
/// ```
#[must_use]
pub fn status(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::OutOfStock { .. } => (StatusCode::CONFLICT, "Out of stock"),
        Error::BookNotFound { .. } => (StatusCode::NOT_FOUND, "Unknown book"),
        Error::OrderNotFound { .. } => (StatusCode::NOT_FOUND, "Unknown order"),
        Error::OrderIdReused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Order id reused"),
        Error::OrderCancelled { .. } => (StatusCode::CONFLICT, "Order cancelled"),
        Error::OrderLapsed { .. } => (StatusCode::CONFLICT, "Order lapsed"),
        Error::OrderVoided { .. } => (StatusCode::CONFLICT, "Order voided"),
        Error::OrderFulfilled { .. } => (StatusCode::CONFLICT, "Order fulfilled"),
        Error::OrderHeld { .. } => (StatusCode::CONFLICT, "Order held"),
        Error::HoldChanged { .. } => (StatusCode::CONFLICT, "Hold changed"),
        Error::PriceChanged { .. } => (StatusCode::CONFLICT, "Price changed"),
        Error::VersionMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        Error::TextVersionMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        Error::BookWithdrawn { .. } => (StatusCode::CONFLICT, "Not on sale"),
        Error::BookExists { .. } => (StatusCode::CONFLICT, "Book exists"),
        Error::VersionRequired => (StatusCode::PRECONDITION_REQUIRED, "Precondition required"),
        Error::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid value"),
        Error::Malformed { .. } => (StatusCode::BAD_REQUEST, "Malformed request"),
        Error::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Forbidden { .. } => (StatusCode::FORBIDDEN, "Forbidden"),
        Error::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Overloaded"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available"),
        Error::DeadlineExpired { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Deadline expired"),
        Error::OutcomeUnknown { .. } => (StatusCode::GATEWAY_TIMEOUT, "Outcome unknown"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Error"),
    }
}

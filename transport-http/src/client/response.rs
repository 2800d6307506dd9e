//! What a client reads from a server's response.

use bookstore_core::{Contact, Error, Result, contact::ContactPage};
use http::{StatusCode, response::Parts};
use serde::de::DeserializeOwned;

use crate::{
    compact::{self, FromCompact},
    problem,
};

/// Something that can be read from a response: every type that JSON can be read into, and a few with another form.
pub(crate) trait FromResponse: Sized {
    /// Reads a response whose status says success. What it cannot read becomes [`Error::OutcomeUnknown`].
    fn from_response(head: &Parts, body: &[u8]) -> Result<Self, Unreadable>;
}

/// Why a response cannot be read.
pub(crate) type Unreadable = Box<dyn std::error::Error>;

impl<T: DeserializeOwned> FromResponse for T {
    fn from_response(_head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        Ok(serde_json::from_slice(body)?)
    }
}

/// A response in the compact form of `crate::compact`, whose content type MUST say so.
pub(crate) struct Compact<T>(pub(crate) T);

impl<T: FromCompact> FromResponse for Compact<T> {
    fn from_response(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        // The form has no checksum: nearly any bytes can be read as something.
        if !compact::is_content(&head.headers) {
            return Err("its content type is another one than was asked for".into());
        }
        Ok(Self(compact::read(body)?))
    }
}

/// The contact of an order, if it has one. If it cannot be read, nothing of it is told: the reason goes into the log.
pub(crate) struct Contacted(pub(crate) Option<Contact>);

impl FromResponse for Contacted {
    fn from_response(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        if head.status == StatusCode::NO_CONTENT {
            return Ok(Self(None));
        }
        let contact = serde_json::from_slice(body).map_err(|_| "it is no contact")?;
        Ok(Self(Some(contact)))
    }
}

/// A page of contacts; as little is told of one that cannot be read.
pub(crate) struct Contacts(pub(crate) ContactPage);

impl FromResponse for Contacts {
    fn from_response(_head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        Ok(Self(serde_json::from_slice(body).map_err(|_| "it is no page of contacts")?))
    }
}

/// What the whole response of the server at `base` says.
///
/// # Errors
/// - The error in the response, if its status says failure.
/// - [`Error::OutcomeUnknown`] if its status says success and it cannot be read.
pub(super) fn read<T: FromResponse>(base: &str, head: &Parts, body: &[u8]) -> Result<T> {
    if !head.status.is_success() {
        return Err(problem::read_problem(head.status, body));
    }
    T::from_response(head, body).map_err(|error| {
        tracing::warn!(server = base, %error, "an answer cannot be read");
        Error::unknown("the server's answer cannot be read")
    })
}

//! Adding long lists of books, which go as several requests: 1000 books can have more bytes than a server accepts at once.

use bookstore_core::{Added, Error, NewBook, Result, catalog::ADD_BOOKS_MAX, retry::Effect};
use bytes::Bytes;
use http::Method;
use hyper_util::client::legacy::connect::Connect;
use serde::de::DeserializeOwned;
use std::time::Duration;

use super::{
    Client,
    request::{OutboundRequest, json},
};

/// The longest body of one request, in bytes: well below the 4 MiB that servers accept.
const BODY_MAX: usize = 3 << 20;
/// Extra time for each request, since every book may be new to the store.
const EXTRA_TIME: Duration = Duration::from_secs(5);

impl<C: Connect + Clone + Send + Sync + 'static> Client<C> {
    /// Posts the books as JSON arrays to `path`, whose responses are read as `R`. Adding is idempotent, so it is retried.
    ///
    /// # Errors
    /// - [`Error::Invalid`] if there are more than [`ADD_BOOKS_MAX`] books or one of them is bad: then nothing is sent.
    /// - The error of the first request.
    /// - [`Error::OutcomeUnknown`] if a later request failed: some of the books were added.
    pub(crate) async fn add_books<R>(&self, path: &str, books: &[NewBook]) -> Result<Vec<Added>>
    where
        R: DeserializeOwned + Into<Vec<Added>>,
    {
        if books.len() > ADD_BOOKS_MAX {
            return Err(Error::invalid("books", format!("at most {ADD_BOOKS_MAX} at once")));
        }
        let books = books.iter().cloned().map(NewBook::checked).collect::<Result<Vec<_>>>()?;
        let mut added: Vec<Added> = Vec::with_capacity(books.len());
        for body in bodies(&books)? {
            let request =
                OutboundRequest::send(Method::POST, path.to_owned(), body, Effect::Keyed).extra_time(EXTRA_TIME);
            match self.call::<R>(request).await {
                Ok(more) => added.extend(more.into()),
                Err(error) if added.is_empty() => return Err(error),
                Err(error) => return Err(Error::unknown(format!("only some of the books were listed: {error}"))),
            }
        }
        Ok(added)
    }
}

/// The books as JSON arrays of at most [`BODY_MAX`] bytes each, as few as possible.
fn bodies(books: &[NewBook]) -> Result<Vec<Bytes>> {
    let mut bodies = Vec::new();
    let mut body = Vec::new();
    for book in books {
        let book = json(book)?;
        if !body.is_empty() && body.len() + book.len() + 2 > BODY_MAX {
            body.push(b']');
            bodies.push(std::mem::take(&mut body).into());
        }
        body.push(if body.is_empty() { b'[' } else { b',' });
        body.extend_from_slice(&book);
    }
    if !body.is_empty() {
        body.push(b']');
        bodies.push(body.into());
    }
    Ok(bodies)
}

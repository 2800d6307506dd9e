//! The admin requests of the API: changing and adding books, and reading the ledger. All need a token, see [`super::roles`].

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::IntoResponse,
};
use bookstore_core::{Amend, BookId, BookText, Cents, Error, Isbn, NewBook, Result, Seq};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};

use super::{
    books::with_etag,
    extract::{BOOKS_MAX, InPath, Key, Object, Payload, only},
    messages::{AddedBooks, AmendRequest},
    query,
    rejection::{Answer, Rejection},
    roles,
    shop::{Shared, Shop},
};
use crate::{
    server::{Deadline, Draining},
    token::Actor,
};

/// Whose token the request showed. Its role suffices for the route.
pub(super) struct Admin(pub(super) Actor);

impl FromRequestParts<Arc<Shop>> for Admin {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Rejection> {
        const OFF: &str = "admin is off on this server; to turn it on, start it with --admin-token-file FILE \
                           (or BOOKSTORE_ADMIN_TOKEN_FILE), or with --tokens-file FILE";
        if shop.tokens.is_empty() {
            return Err(Rejection::Forbidden(OFF));
        }
        let actor = shop.tokens.authorise(&parts.headers)?;
        actor.allow(roles::needed(parts))?;
        Ok(Self(actor))
    }
}

/// Whose token the request showed, if it showed one, for routes that need none. Whatever else it shows says nothing: a proxy may have
/// credentials of its own.
pub(super) struct Caller(pub(super) Option<Actor>);

impl FromRequestParts<Arc<Shop>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Infallible> {
        let shown = parts.headers.contains_key(header::AUTHORIZATION);
        Ok(Self(shown.then(|| shop.tokens.authorise(&parts.headers).ok()).flatten()))
    }
}

impl AmendRequest {
    /// The change itself.
    fn amend(self, condition: IfMatch) -> Result<Amend> {
        let Self { stock_delta, stock, price_cents } = self;
        match (stock_delta, stock, price_cents, condition) {
            (None, None, None, _) => {
                Err(Error::invalid("body", "must have stock_delta, or stock, price_cents or both of these"))
            }
            (Some(delta), None, None, IfMatch::Missing | IfMatch::Any) => Ok(Amend::StockDelta { delta }),
            (Some(_), None, None, IfMatch::Version(_)) => Err(Error::invalid(
                "stock_delta",
                "is safe without a version; leave If-Match out, or set stock instead",
            )),
            (Some(_), ..) => Err(Error::invalid("stock_delta", "goes without stock and price_cents")),
            (None, _, _, IfMatch::Missing) => Err(Error::VersionRequired),
            (None, stock, price_cents, IfMatch::Any) => Ok(Amend::Set { price_cents, stock, version: None }),
            (None, stock, price_cents, IfMatch::Version(seen)) => {
                Ok(Amend::Set { price_cents, stock, version: Some(seen) })
            }
        }
    }
}

/// The version that an absolute value goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    Missing,
    Any,
    Version(Seq),
}

impl IfMatch {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let Some(value) = only(headers, &header::IF_MATCH)? else { return Ok(Self::Missing) };
        if value.trim() == "*" {
            return Ok(Self::Any);
        }
        let version = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let version = version.and_then(|digits| digits.parse().ok());
        let bad = || Error::malformed("If-Match: give one version in quotes, as the book's ETag does, or *");
        version.map(Seq).map(Self::Version).ok_or_else(bad)
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        Ok(Self::of(&parts.headers)?)
    }
}

/// `PATCH /books/{id}`
pub(super) async fn amend(
    State(shop): Shared,
    Admin(actor): Admin,
    InPath(book): InPath<BookId>,
    condition: IfMatch,
    Key(key): Key,
    payload: Payload,
) -> Answer {
    let change = payload.json::<AmendRequest>()?.amend(condition)?;
    let amended = shop.catalog.amend(book, change, key, Some(actor.for_ledger()?)).await?;
    actor.changed(format_args!("book {book}: {change:?}"));
    Ok(with_etag(amended))
}

/// A book to be added; unknown fields are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRequest {
    title: String,
    #[serde(default)]
    author: String,
    topic: String,
    #[serde(default)]
    isbn: Option<String>,
    #[serde(default)]
    year: Option<i32>,
    #[serde(default)]
    subjects: Vec<String>,
    price_cents: Cents,
    stock: u32,
}

impl TryFrom<ListRequest> for NewBook {
    type Error = Error;

    fn try_from(request: ListRequest) -> Result<Self> {
        let ListRequest { title, author, topic, isbn, year, subjects, price_cents, stock } = request;
        let isbn = isbn.as_deref().map_or(Ok(None), Isbn::read)?;
        Ok(Self { text: BookText { title, author, topic, isbn, year, subjects }, price_cents, stock })
    }
}

/// `POST /books`, with one book or a list of books.
pub(super) async fn add_books(State(shop): Shared, Admin(actor): Admin, payload: Payload<BOOKS_MAX>) -> Answer {
    let many = payload.is_array();
    let books = if many { payload.array::<ListRequest>()? } else { vec![Object(payload.json()?)] };
    let books = books.into_iter().map(|Object(book)| NewBook::try_from(book)).collect::<Result<_>>()?;
    let listed = shop.catalog.add_books(books, Some(actor.for_ledger()?)).await?;
    let added = listed.iter().filter(|listed| listed.created).count();
    actor.changed(format_args!("{added} books added"));
    let created = added > 0;
    let location = listed.first().filter(|_| !many).map(|one| format!("/info/{}", one.id));
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(AddedBooks { listed })).into_response();
    if let Some(location) = location {
        let location = HeaderValue::try_from(location).expect("a path of digits");
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `GET /entries`. A request that waits for an entry is answered at once when the server begins to shut down.
pub(super) async fn entries(State(shop): Shared, _: Admin, uri: Uri, deadline: Deadline, draining: Draining) -> Answer {
    let (after, limit, wait) = query::entries(&uri)?;
    deadline.extend(wait);
    let page = tokio::select! {
        biased;
        page = shop.catalog.entries(after, limit, wait) => page?,
        () = draining.started() => shop.catalog.entries(after, limit, Duration::ZERO).await?,
    };
    Ok(Json(page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amend(body: &str, if_match: Option<&str>) -> Result<Amend> {
        let mut headers = HeaderMap::new();
        if let Some(value) = if_match {
            headers.insert(header::IF_MATCH, value.parse().unwrap());
        }
        serde_json::from_str::<AmendRequest>(body).unwrap().amend(IfMatch::of(&headers)?)
    }

    #[test]
    fn an_amend_is_a_delta_or_absolute_values_under_a_version() {
        assert_eq!(amend(r#"{"stock_delta":-5}"#, None), Ok(Amend::StockDelta { delta: -5 }));
        let price_cents = Some(Cents::new(999).unwrap());
        let set = |stock, version| Ok(Amend::Set { price_cents, stock, version });
        assert_eq!(amend(r#"{"price_cents":999}"#, Some("*")), set(None, None));
        assert_eq!(amend(r#"{"price_cents":999,"stock":1}"#, Some("\"7\"")), set(Some(1), Some(Seq(7))));
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for (body, if_match, code) in [
            ("{}", None, "invalid"),
            (r#"{"stock_delta":1,"stock":1}"#, Some("\"7\""), "invalid"),
            (r#"{"stock_delta":1}"#, Some("\"7\""), "invalid"),
            (r#"{"stock":1}"#, None, "version-required"),
            (r#"{"price_cents":1}"#, None, "version-required"),
            (r#"{"stock":1}"#, Some("7"), "malformed"),
            (r#"{"stock":1}"#, Some("W/\"7\""), "malformed"),
            (r#"{"stock":1}"#, Some("\"7\", \"8\""), "malformed"),
        ] {
            assert_eq!(amend(body, if_match).unwrap_err().code(), code, "{body} {if_match:?}");
        }
    }
}

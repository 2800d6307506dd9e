//! What only the shop's own people may do.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::IntoResponse,
};
use bookstore_core::{Amend, Book, BookId, BookText, Cents, Entries, Error, NewBook, Result, Seq};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

use super::{
    Answer, Rejection, Shared, Shop,
    books::with_etag,
    extract::{BOOKS_MAX, InPath, Key, Object, Payload, only},
    messages::{AddedBooks, AmendRequest},
    query,
};
use crate::{
    internal::catalog::shorten,
    server::{Deadline, Draining},
};

/// The request showed the admin token.
pub(super) struct Admin;

impl FromRequestParts<Arc<Shop>> for Admin {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Rejection> {
        const OFF: &str = "admin is off on this server; to turn it on, start it with --admin-token-file FILE \
                           (or BOOKSTORE_ADMIN_TOKEN_FILE)";
        let token = shop.admin.as_ref().ok_or(Rejection::Forbidden(OFF))?;
        token.authorise(&parts.headers)?;
        Ok(Self)
    }
}

/// A change to one book: copies added, or absolute values.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = AmendRequest)]
#[expect(dead_code, reason = "documents which fields of `AmendRequest` go together")]
pub(super) enum AmendBody {
    /// Copies added, or taken away. Needs no `If-Match`.
    Delta(StockDelta),
    /// A price, and possibly a stock. Needs `If-Match`; `*` will do for a price alone.
    Price(SetPrice),
    /// A stock alone. Needs `If-Match` with the version that the caller saw.
    Stock(SetStock),
}

/// Copies added, or taken away.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents a body")]
pub(super) struct StockDelta {
    /// Copies to add; negative to take away; not 0.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    stock_delta: i64,
}

/// A price, and possibly a stock.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents a body")]
pub(super) struct SetPrice {
    /// The new price.
    price_cents: Cents,
    /// The new stock.
    #[schema(maximum = 1_000_000_000)]
    stock: Option<u32>,
}

/// A stock alone.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents a body")]
pub(super) struct SetStock {
    /// The new stock.
    #[schema(maximum = 1_000_000_000)]
    stock: u32,
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

/// Changes a book's price or stock.
#[utoipa::path(patch, path = "/books/{id}", tag = "admin", security(("token" = [])),
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|"[0-9]{1,18}")$"#, description = "The `ETag` that the caller saw; `*` is enough for a price alone"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, pattern = r#"^([!#-~]([ -~]*[!-~])?|"([ !#-\[\]-~])+")$"#,
            description = "Makes the change happen once, however often it is sent"),
    ),
    request_body = AmendBody,
    responses(
        (status = 200, description = "The book as it stands now", body = Book,
            headers(("ETag" = String, description = "Its version, in quotes")))))]
pub(super) async fn amend(
    State(shop): Shared,
    _: Admin,
    InPath(book): InPath<BookId>,
    condition: IfMatch,
    Key(key): Key,
    payload: Payload,
) -> Answer {
    let change = payload.json::<AmendRequest>()?.amend(condition)?;
    Ok(with_etag(&shop.catalog.amend(book, change, key).await?))
}

/// A book to be listed; unknown fields are refused. No text has control characters.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBook)]
pub(super) struct ListRequest {
    /// Its title.
    #[schema(min_length = 1, max_length = 1000, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    title: String,
    /// Who wrote it; may be empty.
    #[serde(default)]
    #[schema(max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    author: String,
    /// The topic under which it is listed.
    #[schema(min_length = 1, max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    topic: String,
    /// Ten or thirteen digits (`X` may end the short form), if it has one.
    #[serde(default)]
    #[schema(pattern = "^([0-9]{13}|[0-9]{9}[0-9X])$")]
    isbn: Option<String>,
    /// Year of publication.
    #[serde(default)]
    #[schema(minimum = -3000, maximum = 9999)]
    year: Option<i32>,
    /// At most 32 of 1 to 500 characters each, searched with title and author.
    #[serde(default)]
    #[schema(max_items = 32, value_type = Vec<Subject>)]
    subjects: Vec<String>,
    /// What one copy costs.
    price_cents: Cents,
    /// Copies to begin with.
    #[schema(maximum = 1_000_000_000)]
    stock: u32,
}

/// What a book is about.
#[derive(utoipa::ToSchema)]
#[schema(min_length = 1, max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
#[expect(dead_code, reason = "documents the limits of one subject")]
pub(super) struct Subject(String);

impl From<ListRequest> for NewBook {
    fn from(ListRequest { title, author, topic, isbn, year, subjects, price_cents, stock }: ListRequest) -> Self {
        Self { text: BookText { title, author, topic, isbn, year, subjects }, price_cents, stock }
    }
}

/// One book, or a list of books.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents the body; which of the two it is decides how it is read")]
pub(super) enum NewBooks {
    /// One book.
    One(ListRequest),
    /// At most 1000 books.
    Many(Vec<ListRequest>),
}

/// Lists new books; one that is listed already is left as it is, so sending the same list again is harmless.
#[utoipa::path(post, path = "/books", tag = "admin", security(("token" = [])),
    request_body(content = NewBooks, description = "At most 4 MiB"),
    responses(
        (status = 201, description = "Added; `Location` if it is one book", body = AddedBooks),
        (status = 200, description = "All of them were listed before", body = AddedBooks)))]
pub(super) async fn add_books(State(shop): Shared, _: Admin, payload: Payload<BOOKS_MAX>) -> Answer {
    let many = payload.is_array();
    let books = if many { payload.array::<ListRequest>()? } else { vec![Object(payload.json()?)] };
    let books = books.into_iter().map(|Object(book)| NewBook::from(book)).collect();
    let listed = shop.catalog.add_books(books).await?;
    let created = listed.iter().any(|listed| listed.created);
    let location = listed.first().filter(|_| !many).map(|one| format!("/info/{}", one.id));
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(AddedBooks { listed })).into_response();
    if let Some(location) = location {
        let location = HeaderValue::try_from(location).expect("a path of digits");
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The ledger itself, for audits and for those who follow it.
#[utoipa::path(get, path = "/entries", tag = "admin", security(("token" = [])),
    params(
        ("after" = Option<Seq>, Query, description = "The last entry that the caller has; 0 is before the first"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Entries a page, 100 unless asked otherwise"),
        ("wait_ms" = Option<u64>, Query, maximum = 30000, description = "How long to wait for an entry if there is none yet, in milliseconds"),
    ),
    responses((status = 200, description = "Consecutive entries, oldest first", body = Entries)))]
pub(super) async fn entries(State(shop): Shared, _: Admin, uri: Uri, deadline: Deadline, draining: Draining) -> Answer {
    let (after, limit, wait) = query::entries(&uri)?;
    deadline.extend(wait);
    let page = tokio::select! {
        biased;
        page = shop.catalog.entries(after, limit, wait) => page?,
        () = draining.started() => shop.catalog.entries(after, limit, Duration::ZERO).await?,
    };
    Ok(Json(shorten(page)).into_response())
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

//! The admin requests of the API: changing and adding books, and reading the ledger. All need a token, see [`super::roles`].

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::IntoResponse,
};
use bookstore_core::{Amend, BookId, BookText, Cents, Condition, Entry, Error, Isbn, NewBook, Result, Seq};
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc, time::Duration};

use super::{
    extract::{BOOKS_MAX, InPath, Key, Object, Payload, TEXT_MAX, only},
    json,
    messages::{self, AddedBooks, AmendRequest},
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

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All that is needed is in the body.
    Whole(Amend),
    /// Fields of the text, to be put over the one that the caller saw.
    Text(Box<AmendRequest>, Seq),
}

impl AmendRequest {
    /// What it asks for.
    fn asked(self, condition: IfMatch) -> Result<Asked> {
        let amounts = self.stock_delta.is_some() || self.stock.is_some() || self.price_cents.is_some();
        if [amounts, self.on_sale.is_some(), self.has_text()].into_iter().filter(|given| *given).count() > 1 {
            return Err(Error::invalid(
                "body",
                "changes the text, whether it is on sale, or stock and price: one at a time",
            ));
        }
        if amounts || !(self.on_sale.is_some() || self.has_text()) {
            return self.amend(condition).map(Asked::Whole);
        }
        if condition != IfMatch::Missing {
            return Err(Error::invalid(
                "If-Match",
                "is for stock and price; a text goes with text_version in the body",
            ));
        }
        if let Some(on_sale) = self.on_sale {
            return Ok(Asked::Whole(if on_sale { Amend::Relist } else { Amend::Withdraw }));
        }
        let seen = self.text_version.ok_or(Error::VersionRequired)?;
        if (Self { text_version: Some(seen), ..Self::default() }) == self {
            return Err(Error::invalid("text_version", "goes with the fields of the text that are to change"));
        }
        if self.is_whole_text() {
            let text = Box::new(self.text_over(BookText::default())?);
            return Ok(Asked::Whole(Amend::Revise { text, text_version: Some(seen) }));
        }
        Ok(Asked::Text(Box::new(self), seen))
    }

    /// A change of stock or price.
    fn amend(self, condition: IfMatch) -> Result<Amend> {
        let Self { stock_delta, stock, price_cents, .. } = self;
        match (stock_delta, stock, price_cents, condition) {
            (None, None, None, _) => Err(Error::invalid(
                "body",
                "must have stock_delta, or stock, price_cents or both of these, or on_sale, or text_version and fields of the text",
            )),
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

/// The text that a book had from the entry `version` on. The ledger has it for ever, so a request that is sent again means the same.
/// If there is none, the book's text of now: the version will not fit.
async fn text_at(shop: &Shop, book: BookId, version: Seq) -> Result<BookText> {
    let page = shop.catalog.entries(Seq(version.0.saturating_sub(1)), 1, Duration::ZERO).await?;
    let entry = page.entries.into_iter().find(|entry| entry.seq == version);
    match entry.as_ref().and_then(Entry::book_text).filter(|(of, _)| *of == book) {
        Some((_, text)) => Ok(text.into()),
        None => Ok(BookText::from(&shop.catalog.info(book).await?.text)),
    }
}

/// `PATCH /books/{id}`
pub(super) async fn amend(
    State(shop): Shared,
    Admin(actor): Admin,
    InPath(book): InPath<BookId>,
    condition: IfMatch,
    Key(key): Key,
    payload: Payload<TEXT_MAX>,
) -> Answer {
    let change = match payload.json::<AmendRequest>()?.asked(condition)? {
        Asked::Whole(change) => change,
        Asked::Text(fields, seen) => {
            let text = Box::new(fields.text_over(text_at(&shop, book, seen).await?)?);
            Amend::Revise { text, text_version: Some(seen) }
        }
    };
    let what = format!("book {book}: {change:?}");
    let amended = shop.catalog.amend(book, change, key, Some(actor.for_ledger()?)).await?;
    actor.changed(format_args!("{what}"));
    Ok(json::book(&amended))
}

/// A book to be added; unknown fields are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRequest {
    title: String,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    authors: Option<Vec<String>>,
    topic: String,
    #[serde(default)]
    isbn: Option<String>,
    #[serde(default)]
    year: Option<i32>,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    subtitle: String,
    #[serde(default)]
    sku: String,
    #[serde(default)]
    condition: Condition,
    #[serde(default)]
    publisher: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    description: String,
    price_cents: Cents,
    stock: u32,
}

impl TryFrom<ListRequest> for NewBook {
    type Error = Error;

    fn try_from(request: ListRequest) -> Result<Self> {
        let ListRequest { title, author, authors, topic, isbn, year, subjects, price_cents, stock, .. } = request;
        let ListRequest { subtitle, sku, condition, publisher, language, format, description, .. } = request;
        let authors = messages::authors(author, authors)?.unwrap_or_default();
        let isbn = isbn.as_deref().map_or(Ok(None), Isbn::read)?;
        let text = BookText {
            title,
            authors,
            topic,
            isbn,
            year,
            subjects,
            subtitle,
            sku,
            condition,
            publisher,
            language,
            format,
            description,
        };
        Ok(Self { text, price_cents, stock })
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
        match serde_json::from_str::<AmendRequest>(body).unwrap().asked(IfMatch::of(&headers)?)? {
            Asked::Whole(change) => Ok(change),
            Asked::Text(fields, seen) => {
                let before = BookText { title: "Old".into(), year: Some(1999), ..BookText::default() };
                Ok(Amend::Revise { text: Box::new(fields.text_over(before)?), text_version: Some(seen) })
            }
        }
    }

    #[test]
    fn a_text_keeps_what_is_not_given() {
        let revised = |text| Ok(Amend::Revise { text: Box::new(text), text_version: Some(Seq(7)) });
        let old = || BookText { title: "Old".into(), year: Some(1999), ..BookText::default() };
        assert_eq!(
            amend(r#"{"text_version":7,"title":"New"}"#, None),
            revised(BookText { title: "New".into(), ..old() })
        );
        assert_eq!(amend(r#"{"text_version":7,"year":null}"#, None), revised(BookText { year: None, ..old() }));
        let isbn = Some("9780306406157".parse().unwrap());
        assert_eq!(amend(r#"{"text_version":7,"isbn":"0-306-40615-2"}"#, None), revised(BookText { isbn, ..old() }));
        let whole =
            r#"{"text_version":7,"title":"A","author":"","topic":"t","isbn":null,"year":null,"subjects":["s"]}"#;
        let text = BookText { title: "A".into(), topic: "t".into(), subjects: vec!["s".into()], ..BookText::default() };
        assert_eq!(amend(whole, None), revised(text));
        assert_eq!(amend(r#"{"on_sale":false}"#, None), Ok(Amend::Withdraw));
        assert_eq!(amend(r#"{"on_sale":true}"#, None), Ok(Amend::Relist));
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
            (r#"{"title":"A"}"#, None, "version-required"),
            (r#"{"text_version":7}"#, None, "invalid"),
            (r#"{"text_version":7,"title":"A","stock":1}"#, None, "invalid"),
            (r#"{"text_version":7,"title":"A","on_sale":true}"#, None, "invalid"),
            (r#"{"text_version":7,"title":"A"}"#, Some("\"7\""), "invalid"),
            (r#"{"text_version":7,"isbn":"0306406153"}"#, None, "invalid"),
            (r#"{"on_sale":true,"stock_delta":1}"#, None, "invalid"),
            (r#"{"on_sale":true}"#, Some("*"), "invalid"),
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

//! Reading the catalogue: searches, topics, one book.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Book, BookId, BookPage, Seq, Sort};
use std::sync::LazyLock;

use super::{
    Answer, Rejection, ResponseFormat, Shared,
    extract::{InPath, TextInPath},
    messages::Topics,
    query, security_headers,
};
use crate::{error_status::book_json, pages};

/// Finds books by words, by topic, or both.
#[utoipa::path(get, path = "/search", tag = "books",
    params(
        ("q" = Option<String>, Query, max_length = 200, description = "Words that must all begin some word of title, author or subjects; at most 200 characters"),
        ("topic" = Option<String>, Query, max_length = 200, description = "The topic, case aside"),
        ("sort" = Option<Sort>, Query, description = "The order of the books"),
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Books a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) async fn search(State(shop): Shared, wants: ResponseFormat, uri: Uri) -> Answer {
    match wants {
        ResponseFormat::Html => pages::search(&shop, None, &uri).await,
        ResponseFormat::Json => Ok(Json(shop.catalog.search(query::search(&uri, None)?).await?).into_response()),
    }
}

/// The books of one topic.
#[utoipa::path(get, path = "/search/{topic}", tag = "books",
    params(
        ("topic" = String, Path, min_length = 1, max_length = 200, description = "The topic, case aside"),
        ("q" = Option<String>, Query, max_length = 200, description = "As in /search"),
        ("sort" = Option<Sort>, Query, description = "The order of the books"),
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Books a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) async fn search_topic(
    State(shop): Shared,
    wants: ResponseFormat,
    TextInPath(topic): TextInPath,
    uri: Uri,
) -> Answer {
    match wants {
        ResponseFormat::Html => pages::search(&shop, Some(topic), &uri).await,
        ResponseFormat::Json => Ok(Json(shop.catalog.search(query::search(&uri, Some(topic))?).await?).into_response()),
    }
}

/// Every topic with its number of books.
#[utoipa::path(get, path = "/topics", tag = "books",
    responses((status = 200, description = "The topics, sorted by name", content((Topics = "application/json"), (String = "text/html")))))]
pub(super) async fn topics(State(shop): Shared, wants: ResponseFormat, uri: Uri) -> Answer {
    if wants == ResponseFormat::Html {
        return pages::topics(&shop).await;
    }
    query::none(&uri)?;
    Ok(Json(Topics { topics: shop.catalog.topics().await? }).into_response())
}

/// One book as it stands.
#[utoipa::path(get, path = "/info/{id}", tag = "books",
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the copy at hand"),
    ),
    responses(
        (status = 200, description = "The book", content((Book = "application/json"), (String = "text/html")),
            headers(("ETag" = String, description = "Its version, in quotes; not for the page"))),
        (status = 304, description = "The copy at hand is still good")))]
pub(super) async fn info(
    State(shop): Shared,
    wants: ResponseFormat,
    InPath(book): InPath<BookId>,
    condition: IfNoneMatch,
) -> Answer {
    if wants == ResponseFormat::Html {
        return pages::info(&shop, book).await;
    }
    let book = shop.catalog.info(book).await?;
    if condition.has(book.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(book.version))]).into_response());
    }
    Ok(with_etag(&book))
}

/// The page with the buy button, for browsers only; a GET never buys.
#[utoipa::path(get, path = "/purchase/{id}", tag = "orders",
    params(("id" = BookId, Path, description = "The book's number")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub(super) async fn purchase_page(
    State(shop): Shared,
    wants: ResponseFormat,
    InPath(book): InPath<BookId>,
    uri: Uri,
) -> Answer {
    match wants {
        ResponseFormat::Html => pages::purchase(&shop, book, &uri).await,
        ResponseFormat::Json => Err(Rejection::MethodNotAllowed(Some("POST"))),
    }
}

/// A book with its version as `ETag`.
pub(super) fn with_etag(book: &Book) -> Response {
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| security_headers::json_headers(header::ETAG));
    let mut headers = HEADERS.clone();
    headers.insert(header::ETAG, etag(book.version));
    let mut response = Response::new(book_json(book).into());
    *response.headers_mut() = headers;
    response
}

fn etag(version: Seq) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    HeaderValue::try_from(["\"", digits.format(version.0), "\""].concat()).expect("digits in quotes")
}

/// The versions of the copies at hand, as the header gives them.
pub(super) struct IfNoneMatch(Vec<HeaderValue>);

impl<S: Sync> axum::extract::FromRequestParts<S> for IfNoneMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

impl IfNoneMatch {
    fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect())
    }

    /// Compared weakly, as RFC 9110 wants it for this header.
    fn has(&self, version: Seq) -> bool {
        let same = |tag: &str| {
            let tag = tag.trim();
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let digits = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            tag == "*" || digits.is_some_and(|digits| digits.parse() == Ok(version.0))
        };
        self.0.iter().filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_at_hand_is_recognised() {
        let has = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            IfNoneMatch::of(&headers).has(Seq(7))
        };
        assert!(has("\"7\"") && has("W/\"7\"") && has("*") && has("\"6\", \"7\""));
        assert!(!has("7") && !has("\"17\"") && !has("\"x\"") && !has("") && !has("\""));
        assert!(!IfNoneMatch::of(&HeaderMap::new()).has(Seq(7)));
    }
}

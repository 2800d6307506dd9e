//! Reading the catalogue: searches, topics, one book.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::IntoResponse,
};
use bookstore_core::{BookId, Line, Lines, Quote, Seq};
use serde::{Deserialize, Serialize};

use super::{
    extract::{InPath, Payload, TextInPath},
    json,
    messages::{FoundBooks, ShopInfo},
    orders::{LineRequest, objects},
    query,
    rejection::{Answer, Rejection},
    shop::Shared,
};

/// What would cost how much.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteRequest {
    /// 1 to 100 lines; those of one book are summed. A `price_cents` does not count.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<LineRequest>, min_items = 1, max_items = 100))]
    #[serde(deserialize_with = "objects")]
    lines: Vec<LineRequest>,
}

/// `GET /search`
pub(super) async fn search(State(shop): Shared, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.search(query::search(&uri, None, None)?).await?).into_response())
}

/// `GET /search/{topic}`
pub(super) async fn search_topic(State(shop): Shared, TextInPath(topic): TextInPath, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.search(query::search(&uri, Some(topic), None)?).await?).into_response())
}

/// `GET /authors/{name}`
pub(super) async fn author(State(shop): Shared, TextInPath(author): TextInPath, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.search(query::search(&uri, None, Some(author))?).await?).into_response())
}

/// `GET /new`
pub(super) async fn new(State(shop): Shared, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.search(query::new(&uri)?).await?).into_response())
}

/// `GET /bestsellers`
pub(super) async fn best_sellers(State(shop): Shared, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.search(query::best_sellers(&uri)?).await?).into_response())
}

/// `GET /suggest`
pub(super) async fn suggest(State(shop): Shared, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.suggest(query::suggest(&uri)?).await?).into_response())
}

/// `GET /topics`
pub(super) async fn topics(State(shop): Shared, uri: Uri) -> Answer {
    Ok(Json(shop.catalog.topics(query::topics(&uri)?).await?).into_response())
}

/// `GET /shop`
pub(super) async fn shop_info(State(shop): Shared, uri: Uri) -> Answer {
    query::none(&uri)?;
    let currency = shop.catalog.currency().await?;
    Ok(Json(ShopInfo { currency, decimals: currency.decimals() }).into_response())
}

/// `GET /info/{id}`
pub(super) async fn info(State(shop): Shared, InPath(book): InPath<BookId>, condition: IfNoneMatch) -> Answer {
    let book = shop.catalog.info(book).await?;
    if condition.has(book.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, json::etag(book.version))]).into_response());
    }
    Ok(json::book(&book))
}

/// `GET /books`: several by their numbers.
pub(super) async fn books(State(shop): Shared, uri: Uri) -> Answer {
    let books = shop.catalog.books(query::books(&uri)?).await?.into_iter().flatten().collect();
    Ok(Json(FoundBooks { books }).into_response())
}

/// `POST /quote`
pub(super) async fn quote(State(shop): Shared, payload: Payload) -> Answer {
    let QuoteRequest { lines } = payload.json()?;
    let lines = Lines::new(lines.into_iter().map(Line::from))?;
    Ok(Json(Quote::ask(shop.catalog.as_ref(), &lines).await?).into_response())
}

/// `GET /purchase/{id}`: there is a page for browsers only.
pub(super) async fn purchase_page(_: InPath<BookId>) -> Rejection {
    Rejection::MethodNotAllowed(Some("POST"))
}

/// The versions of the copies at hand, as the header gives them.
#[derive(Default)]
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

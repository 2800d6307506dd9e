//! What handlers take out of a request. Every refusal is a [`Rejection`], so axum's own plain texts never show.

use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, FromRequestParts, Path, RawPathParams, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use bookstore_core::{Error, OrderId};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::error::Category;
use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use super::rejection::Rejection;

/// The longest JSON or form body, in bytes.
pub(crate) const BODY_MAX: usize = 64 * 1024;
/// The longest change of a book, which may hold its whole text, in bytes.
pub(crate) const TEXT_MAX: usize = 256 * 1024;
/// The longest list of new books, in bytes.
pub(crate) const BOOKS_MAX: usize = 4 * 1024 * 1024;

/// The one parameter of a path: an id.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for InPath<T>
where
    S: Send + Sync,
    T: DeserializeOwned + FromStr<Err = Error> + Send,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            // The second look is for its message.
            Err(_) => Ok(Self(raw_parameter(parts, state).await?.parse()?)),
        }
    }
}

/// The one parameter of a path: any text.
pub(crate) struct TextInPath(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for TextInPath {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Ok(Self(raw_parameter(parts, state).await?))
    }
}

async fn raw_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Error> {
    let unreadable = || Error::malformed("the path is not UTF-8 once it is percent-decoded");
    let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    parameters.iter().next().map(|(_, value)| value.to_owned()).ok_or_else(unreadable)
}

/// The `Idempotency-Key` header as an order id.
pub(crate) struct Key(pub(crate) Option<OrderId>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        const NAME: HeaderName = HeaderName::from_static("idempotency-key");
        let Some(value) = only(&parts.headers, &NAME)? else { return Ok(Self(None)) };
        let key = unquote(value).ok_or_else(|| Error::malformed("Idempotency-Key: the quoted string does not end"))?;
        Ok(Self(Some(OrderId::from_key(&key)?)))
    }
}

/// A header that may stand there once, as text.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::malformed(format!("{name}: give this header once")));
    }
    value.to_str().map(Some).map_err(|_| Error::malformed(format!("{name}: only ASCII characters")))
}

/// A structured field's string without its quotes, or a bare value as it is.
fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.into()) };
    if let Some(plain) = quoted.strip_suffix('"').filter(|text| !text.contains(['"', '\\'])) {
        return Some(plain.into());
    }
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(text.into()),
            '\\' => text.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => text.push(other),
        }
    }
}

/// A body of at most `MAX` bytes, and what its `Content-Type` says it is.
pub(crate) struct Payload<const MAX: usize = BODY_MAX> {
    content: Content,
    pub(crate) bytes: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Json,
    Other,
}

impl Content {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Self::Other };
        if value == "application/json" {
            // What nearly every program sends needs no parsing.
            return Self::Json;
        }
        let Ok(value) = value.to_str() else { return Self::Other };
        let media = value.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") { Self::Json } else { Self::Other }
    }
}

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for Payload<MAX> {
    type Rejection = Rejection;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Rejection> {
        let content = Content::of(request.headers());
        Ok(Self { content, bytes: read(request.into_body(), MAX).await? })
    }
}

/// Reads a body of at most `limit` bytes. One that announces more is not read at all.
async fn read(body: Body, limit: usize) -> Result<Bytes, Rejection> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Rejection::TooLarge(limit));
    }
    let mut body = Limited::new(body, limit);
    // Copied, since frames may be tiny, and each would keep the buffer that it was read into.
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(error) if error.is::<LengthLimitError>() => return Err(Rejection::TooLarge(limit)),
            Err(_) => return Err(Error::malformed("the body broke off").into()),
        }
    }
    Ok(whole.freeze())
}

impl<const MAX: usize> Payload<MAX> {
    /// The JSON object in it; `None` if there is no body at all.
    pub(crate) fn optional_json<T: DeserializeOwned>(&self) -> Result<Option<T>, Rejection> {
        if self.bytes.is_empty() { Ok(None) } else { self.json().map(Some) }
    }

    /// The JSON object in it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        self.any_json().map(|Object(fields)| fields)
    }

    /// The JSON array of objects in it.
    pub(crate) fn array<T: DeserializeOwned>(&self) -> Result<Vec<Object<T>>, Rejection> {
        self.any_json()
    }

    fn any_json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        if self.content != Content::Json && !self.bytes.is_empty() {
            return Err(Rejection::UnsupportedMediaType("application/json"));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| explain::<T>(&self.bytes, &error).into())
    }

    /// Whether the first character says that this is a JSON array.
    pub(crate) fn is_array(&self) -> bool {
        self.bytes.trim_ascii_start().first() == Some(&b'[')
    }
}

/// A struct read from a JSON object only: by itself serde takes an array, too, as a list of the fields' values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

/// Not JSON at all is malformed; JSON of another shape is an invalid value, and a second look finds where.
fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Error {
    if error.classify() != Category::Data {
        return Error::malformed(format!("the body is not JSON: {error}"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(found) if found.path().iter().len() > 0 => {
            Error::invalid(found.path().to_string(), found.inner().to_string())
        }
        _ => Error::invalid("body", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_quoted_or_bare() {
        assert_eq!(unquote("abc").as_deref(), Some("abc"));
        assert_eq!(unquote(r#""abc""#).as_deref(), Some("abc"));
        assert_eq!(unquote(r#""a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(unquote(r#""""#).as_deref(), Some(""));
        for bad in [r#"""#, r#""abc"#, r#""abc"x"#, r#""a\bc""#, r#""a\"#] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}

//! A book or an order as an answer: what a shop answers most, so its body and headers are made with few allocations.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use bookstore_core::{Book, Order, Seq};
use std::sync::LazyLock;

use super::security_headers::protect;

/// Bytes that hold most books, and most orders.
const USUAL_BYTES: usize = 512;

/// Headers to be copied, which is faster than putting them together.
static BOOK_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| headers(header::ETAG));
static ORDER_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| headers(header::LOCATION));

/// The headers of an answer that is no secret, with a place for one `more`.
fn headers(more: HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(more, HeaderValue::from_static(""));
    protect(&mut headers, false, false);
    headers
}

fn response(headers: &HeaderMap, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.headers_mut() = headers.clone();
    response
}

/// A book with its version as `ETag`.
pub(super) fn book(book: &Book) -> Response {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    book.write_json(&mut body);
    let mut response = response(&BOOK_HEADERS, body);
    response.headers_mut().insert(header::ETAG, etag(book.version));
    response
}

/// The entity tag of a book.
pub(super) fn etag(version: Seq) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(version.0).as_bytes();
    let mut tag = [b'"'; 22];
    tag[1..=digits.len()].copy_from_slice(digits);
    HeaderValue::from_bytes(&tag[..digits.len() + 2]).expect("digits in quotes")
}

/// An order with its path as `Location`.
pub(super) fn order(order: &Order) -> Response {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    order.write_json(&mut body);
    let mut response = response(&ORDER_HEADERS, body);
    let location = format!("/orders/{}", order.id);
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).expect("a UUID is visible ASCII"));
    response
}

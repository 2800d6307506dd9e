//! What is answered most often, as JSON: a book, rendered once for each of its versions, and an order.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bookstore_core::{Book, BookId, Order, OrderLine};
use bytes::Bytes;
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // All at once: a map grows by hashing everything in it again.
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Headers of an answer, those that every one gets included.
const HEADERS: usize = 8;

/// Books whose JSON is kept.
const BOOKS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");
/// Longer ones are rendered every time, so that the memory is bounded in bytes too: 4 MiB.
const BYTES_MAX: usize = 1024;

/// The JSON of the books that were asked for last.
pub(super) struct Rendered(Mutex<LruCache<BookId, (Book, Bytes)>>);

impl Default for Rendered {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(BOOKS_MAX)))
    }
}

impl Rendered {
    /// The book as JSON. Kept as long as all of the book is the same: its texts are shared, so that is quick to see.
    pub(super) fn json(&self, book: &Book) -> Bytes {
        if let Some((kept, json)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&book.id)
            && kept == book
        {
            return json.clone();
        }
        let json = Bytes::from(serde_json::to_vec(book).expect("a book is JSON"));
        if json.len() <= BYTES_MAX {
            let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            books.put(book.id, (book.clone(), json.clone()));
        }
        json
    }
}

/// An order as JSON: the bytes that serde makes of it, in a fraction of the time, since nothing in it needs to be escaped.
/// Every purchase answers with one.
pub(super) fn order_json(order: &Order) -> Vec<u8> {
    let Order { id, status, lines, total_cents, placed_at, seq, cancelled_at } = order;
    let mut json = Vec::with_capacity(ORDER_BYTES + LINE_BYTES * lines.len());
    let put = |json: &mut Vec<u8>, name: &str, value: &str| {
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(value.as_bytes());
    };
    let (mut uuid, mut digits) = (uuid::Uuid::encode_buffer(), itoa::Buffer::new());
    put(&mut json, r#"{"id":""#, id.0.hyphenated().encode_lower(&mut uuid));
    put(&mut json, r#"","status":""#, status.as_str());
    let mut before = r#"","lines":[{"book":"#;
    for OrderLine { book, quantity, unit_price_cents } in lines {
        put(&mut json, before, digits.format(book.0));
        put(&mut json, r#","quantity":"#, digits.format(*quantity));
        put(&mut json, r#","unit_price_cents":"#, digits.format(unit_price_cents.get()));
        before = r#"},{"book":"#;
    }
    put(&mut json, r#"}],"total_cents":"#, digits.format(total_cents.get()));
    put(&mut json, r#","placed_at":""#, &placed_at.to_string());
    put(&mut json, r#"","seq":"#, digits.format(seq.0));
    if let Some(at) = cancelled_at {
        put(&mut json, r#","cancelled_at":""#, &at.to_string());
        json.push(b'"');
    }
    json.push(b'}');
    json
}

/// Bytes that hold an order without its lines.
const ORDER_BYTES: usize = 256;
/// Bytes that hold a line.
const LINE_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookText, Cents, OrderId, Seq, Status, Timestamp};
    use proptest::{collection::vec, option, prelude::*};
    use std::sync::Arc;

    fn book(title: String, stock: u32) -> Book {
        let text = BookText { title, topic: "t".into(), ..BookText::default() };
        Book { id: BookId(1), text: Arc::new(text), price_cents: Cents::ZERO, stock, version: Seq(4) }
    }

    #[test]
    fn what_is_kept_is_shown_only_for_the_very_same_book() {
        let rendered = Rendered::default();
        // The same id and version, as after a restored backup.
        for shown in [book("One".into(), 3), book("One".into(), 2), book("Two".into(), 2), book("Two".into(), 2)] {
            let json = rendered.json(&shown);
            assert_eq!(serde_json::from_slice::<Book>(&json).unwrap(), shown);
        }
    }

    #[test]
    fn a_book_is_rendered_once_per_version_unless_it_is_long() {
        let rendered = Rendered::default();
        let (short, long) = (book("One".into(), 3), book("x".repeat(BYTES_MAX), 3));
        assert_eq!(rendered.json(&short).as_ptr(), rendered.json(&short.clone()).as_ptr());
        assert_ne!(rendered.json(&long).as_ptr(), rendered.json(&short).as_ptr());
        assert!(!rendered.0.lock().unwrap().iter().any(|(_, (book, _))| *book == long));
    }

    proptest! {
        #[test]
        fn an_order_is_the_json_that_serde_makes(order in orders()) {
            prop_assert_eq!(String::from_utf8(order_json(&order)).unwrap(), serde_json::to_string(&order).unwrap());
        }
    }

    fn orders() -> impl Strategy<Value = Order> {
        let cents = || (0..=Cents::MAX.get()).prop_map(|cents| Cents::new(cents).unwrap());
        let line = (any::<u64>(), any::<u32>(), cents());
        let line = line.prop_map(|(book, quantity, unit_price_cents)| OrderLine {
            book: BookId(book),
            quantity,
            unit_price_cents,
        });
        let times = (any::<i64>(), option::of(-1_000_000_000_000..4_000_000_000_000_i64));
        (any::<u128>(), vec(line, 1..5), cents(), times, any::<u64>()).prop_map(
            |(id, lines, total_cents, (placed_at, cancelled_at), seq)| Order {
                id: OrderId(uuid::Uuid::from_u128(id)),
                status: if cancelled_at.is_some() { Status::Cancelled } else { Status::Placed },
                lines: lines.into(),
                total_cents,
                placed_at: Timestamp(placed_at),
                seq: Seq(seq),
                cancelled_at: cancelled_at.map(Timestamp),
            },
        )
    }
}

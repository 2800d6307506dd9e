//! How a service's answer travels: the one map between [`Error`] and HTTP, as RFC 9457 problems.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Book, Error, Executed, Order, OrderLine};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The media type of an error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which a refused caller may try again, on every 503.
pub const RETRY_AFTER_S: u32 = 1;

/// An error as it stands in a body: the [`Error`] itself, and around it what RFC 9457 asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A relative reference that names the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    pub detail: String,
    /// Whether the call had an effect.
    pub executed: Executed,
    /// The stable `code`, and the fields of that error.
    #[serde(flatten)]
    pub error: Error,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = status(&error);
        Self {
            kind: format!("/problems/{}", error.code()),
            title: title.into(),
            status: status.as_u16(),
            detail: error.to_string(),
            executed: error.executed(),
            error,
        }
    }
}

/// The status and the title of an error: the only place that names them.
#[must_use]
pub fn status(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::OutOfStock { .. } => (StatusCode::CONFLICT, "Out of stock"),
        Error::BookNotFound { .. } => (StatusCode::NOT_FOUND, "Unknown book"),
        Error::OrderNotFound { .. } => (StatusCode::NOT_FOUND, "Unknown order"),
        Error::OrderIdReused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Order id reused"),
        Error::PriceChanged { .. } => (StatusCode::CONFLICT, "Price changed"),
        Error::VersionMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        Error::VersionRequired => (StatusCode::PRECONDITION_REQUIRED, "Precondition required"),
        Error::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid value"),
        Error::Malformed { .. } => (StatusCode::BAD_REQUEST, "Malformed request"),
        Error::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Overloaded"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not available"),
        Error::DeadlineExpired { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Deadline expired"),
        Error::OutcomeUnknown { .. } => (StatusCode::GATEWAY_TIMEOUT, "Outcome unknown"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Error"),
    }
}

/// An [`Error`] on its way out; handlers return `Result<T, Refused>`.
#[derive(Debug)]
pub struct Refused(pub Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, _) = status(&self.0);
        let unauthorized = matches!(self.0, Error::Unauthorized { .. });
        let mut response = (status, Json(Problem::from(self.0))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A problem that is not a service's: only HTTP knows such paths, methods and sizes.
#[must_use]
pub fn transport_problem(status: StatusCode, detail: &str, executed: Executed) -> Response {
    let (code, title) = match status {
        StatusCode::FORBIDDEN => ("forbidden", "Forbidden"),
        StatusCode::NOT_FOUND => ("not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "Method not allowed"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Body too large"),
        StatusCode::URI_TOO_LONG => ("uri-too-long", "URI too long"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "Unsupported content type"),
        _ => ("internal", "Internal error"),
    };
    let problem = json!({
        "type": format!("/problems/{code}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "executed": executed,
        "code": code,
    });
    let mut response = (status, Json(problem)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

/// The longest text of a router's or an extractor's refusal that is shown, in bytes.
const REFUSAL_MAX: usize = 4 << 10;

/// Gives an error that a router or an extractor made, bare or in plain text, the shape of all others.
///
/// Its headers (`Allow`, …) stay. No handler has run for such an answer, so nothing was executed, unless the
/// status is a server's failure.
pub(crate) async fn normalise(response: Response) -> Response {
    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && is_bare(&response) {
        // Boxed: good answers should not carry the room for it.
        Box::pin(shaped(status, response)).await
    } else {
        response
    }
}

async fn shaped(status: StatusCode, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REFUSAL_MAX).await.unwrap_or_default();
    let text = match (String::from_utf8_lossy(&text), status) {
        (text, _) if !text.is_empty() => text.into_owned(),
        (_, StatusCode::NOT_FOUND) => "there is nothing under this path".into(),
        (_, StatusCode::METHOD_NOT_ALLOWED) => "the Allow header lists this path's methods".into(),
        _ => status.to_string(),
    };
    let executed = if status.is_client_error() { Executed::No } else { Executed::Unknown };
    let shaped = match status {
        StatusCode::BAD_REQUEST => Refused(Error::malformed(text)).into_response(),
        StatusCode::UNPROCESSABLE_ENTITY => Refused(Error::invalid("body", text)).into_response(),
        _ => transport_problem(status, &text, executed),
    };
    let (shaped, body) = shaped.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(shaped.headers);
    Response::from_parts(parts, body)
}

/// Whether nobody has given this answer a shape yet.
fn is_bare(response: &Response<Body>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// A problem whose `code` this program does not know: a transport's, or a newer server's.
#[derive(Deserialize)]
struct ForeignProblem {
    executed: Executed,
    #[serde(default)]
    detail: String,
}

/// An order as JSON: the bytes that serde makes of it, in a fraction of the time, since nothing in it needs to be escaped.
/// Every purchase answers with one.
pub(crate) fn order_json(order: &Order) -> Vec<u8> {
    let mut json = Vec::with_capacity(ORDER_BYTES + LINE_BYTES * order.lines.len());
    let Order { id, status, lines, total_cents, placed_at, seq, cancelled_at } = order;
    let (mut uuid, mut digits) = (uuid::Uuid::encode_buffer(), itoa::Buffer::new());
    put(&mut json, r#"{"id":""#, id.0.hyphenated().encode_lower(&mut uuid));
    put(&mut json, r#"","status":""#, status.as_str());
    json.extend_from_slice(br#"","lines":["#);
    let mut before = r#"{"book":"#;
    for OrderLine { book, quantity, unit_price_cents } in lines {
        put(&mut json, before, digits.format(book.0));
        put(&mut json, r#","quantity":"#, digits.format(*quantity));
        put(&mut json, r#","unit_price_cents":"#, digits.format(unit_price_cents.get()));
        json.push(b'}');
        before = r#",{"book":"#;
    }
    put(&mut json, r#"],"total_cents":"#, digits.format(total_cents.get()));
    put(&mut json, r#","placed_at":""#, &placed_at.rfc3339());
    put(&mut json, r#"","seq":"#, digits.format(seq.0));
    if let Some(at) = cancelled_at {
        put(&mut json, r#","cancelled_at":""#, &at.rfc3339());
        json.push(b'"');
    }
    json.push(b'}');
    json
}

/// Bytes that hold an order without its lines.
const ORDER_BYTES: usize = 256;
/// Bytes that hold a line.
const LINE_BYTES: usize = 96;

/// A book as JSON: the bytes that serde makes of it, in memory of the right size. Every `GET /info/{id}` answers with one.
pub(crate) fn book_json(book: &Book) -> Vec<u8> {
    let Book { id, text, price_cents, stock, version } = book;
    let mut json = Vec::with_capacity(BOOK_BYTES + text.size());
    let mut digits = itoa::Buffer::new();
    put(&mut json, r#"{"id":"#, digits.format(id.0));
    json.push(b',');
    text.write_json(&mut json);
    put(&mut json, r#","price_cents":"#, digits.format(price_cents.get()));
    put(&mut json, r#","stock":"#, digits.format(*stock));
    put(&mut json, r#","version":"#, digits.format(version.0));
    json.push(b'}');
    json
}

/// Bytes that hold a book with a few subjects, without the letters of its text.
const BOOK_BYTES: usize = 224;

fn put(json: &mut Vec<u8>, name: &str, value: &str) {
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(value.as_bytes());
}

/// The error in a body that is a problem, or else what a stranger's answer with this status means for the caller.
#[must_use]
pub fn read_problem(status: StatusCode, body: &[u8]) -> Error {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem.error;
    }
    if let Ok(ForeignProblem { executed, detail }) = serde_json::from_slice(body) {
        return match executed {
            Executed::No if status.is_client_error() => Error::malformed(detail),
            Executed::No => Error::unavailable(detail),
            Executed::Unknown => Error::unknown(detail),
        };
    }
    let message = format!("the server answered {status} without saying why");
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Error::unavailable(message),
        _ if status.is_client_error() => Error::malformed(message),
        _ => Error::unknown(message),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bookstore_core::{BookId, BookText, Cents, OrderId, Seq, Status, Timestamp};
    use proptest::{collection::vec, option, prelude::*};

    async fn told(response: Response) -> Error {
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        read_problem(status, &body)
    }

    #[tokio::test]
    async fn a_client_knows_what_a_transport_s_problem_means() {
        let not_found = transport_problem(StatusCode::NOT_FOUND, "no such path", Executed::No);
        assert_eq!(told(not_found).await, Error::malformed("no such path"));
        let read_panicked = transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the log", Executed::No);
        assert_eq!(told(read_panicked).await, Error::unavailable("see the log"));
        let panicked = transport_problem(StatusCode::INTERNAL_SERVER_ERROR, "see the log", Executed::Unknown);
        assert_eq!(told(panicked).await, Error::unknown("see the log"));
    }

    #[test]
    fn a_stranger_s_answer_is_unknown_unless_it_is_a_refusal() {
        for (status, executed) in
            [(400, Executed::No), (429, Executed::No), (503, Executed::No), (500, Executed::Unknown)]
        {
            let error = read_problem(StatusCode::from_u16(status).unwrap(), b"<html>");
            assert_eq!(error.executed(), executed, "{status}");
        }
    }

    #[tokio::test]
    async fn only_bare_errors_are_given_a_shape() {
        let bare = normalise((StatusCode::BAD_REQUEST, "no good").into_response()).await;
        assert_eq!(told(bare).await, Error::malformed("no good"));
        for kept in [
            (StatusCode::OK, "fine").into_response(),
            (StatusCode::NOT_FOUND, axum::response::Html("<p>no")).into_response(),
        ] {
            let before = kept.headers().clone();
            assert_eq!(normalise(kept).await.headers(), &before);
        }
    }

    proptest! {
        #[test]
        fn an_order_is_the_json_that_serde_makes(order in orders()) {
            prop_assert_eq!(String::from_utf8(order_json(&order)).unwrap(), serde_json::to_string(&order).unwrap());
        }

        #[test]
        fn a_book_is_the_json_that_serde_makes(book in books()) {
            prop_assert_eq!(String::from_utf8(book_json(&book)).unwrap(), serde_json::to_string(&book).unwrap());
        }
    }

    pub(crate) fn cents() -> impl Strategy<Value = Cents> {
        (0..=Cents::MAX.get()).prop_map(|cents| Cents::new(cents).unwrap())
    }

    fn books() -> impl Strategy<Value = Book> {
        // Any characters, and often those that are escaped.
        let letters = || prop_oneof![any::<String>(), "[\"\\\\/\u{0}-\u{1f}\u{7f}\u{2028}a-cé書]{0,20}"];
        let text =
            (letters(), letters(), letters(), option::of(letters()), option::of(any::<i32>()), vec(letters(), 0..4));
        (any::<u64>(), text, cents(), any::<u32>(), any::<u64>()).prop_map(|(id, text, price_cents, stock, version)| {
            let (title, author, topic, isbn, year, subjects) = text;
            let text = BookText { title, author, topic, isbn, year, subjects }.into();
            Book { id: BookId(id), text, price_cents, stock, version: Seq(version) }
        })
    }

    pub(crate) fn orders() -> impl Strategy<Value = Order> {
        let line = (any::<u64>(), any::<u32>(), cents());
        let line = line.prop_map(|(book, quantity, unit_price_cents)| OrderLine {
            book: BookId(book),
            quantity,
            unit_price_cents,
        });
        let times = (any::<i64>(), option::of(-1_000_000_000_000..4_000_000_000_000_i64));
        (any::<u128>(), vec(line, 0..5), cents(), times, any::<u64>()).prop_map(
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

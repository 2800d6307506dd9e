//! The refusals of every operation, each with an example made by the code that answers with it.

use axum::{
    body::to_bytes,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bookstore_core::{
    BookId, Cents, Error, Executed, Order, OrderDetails, OrderId, OrderLine, Seq, Status, Timestamp, error::Shortage,
};
use futures_util::FutureExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::{Content, Ref, ResponseBuilder, example::ExampleBuilder, path::Operation};
use uuid::Uuid;

use crate::{
    api::{extract, rejection::Rejection},
    problem::PROBLEM_JSON,
    server::error_response::transport_problem,
    token::Role,
};

/// Puts every refusal of an operation, with an example, under its status.
///
/// `role` is the one that the operation always needs.
pub(super) fn add_refusals(path: &str, operation: &mut Operation, safe: bool, role: Option<Role>) {
    let errors = of_the_service(operation.operation_id.as_deref().unwrap_or_default());
    let rejections = errors.into_iter().map(Rejection::from).chain(of_the_interface(path, operation, safe, role));
    let responses = rejections.map(Rejection::into_response).chain(of_the_server(operation, safe));
    let mut by_status: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
    for response in responses {
        by_status.entry(response.status().as_u16()).or_default().push(body(response));
    }
    for (status, problems) in by_status {
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        let mut titles = Vec::new();
        for problem in problems {
            let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
            let (title, code) = (text("title"), text("code"));
            if !titles.contains(&title) {
                titles.push(title);
            }
            content.examples.insert(code, ExampleBuilder::new().value(Some(problem)).build().into());
        }
        let response = ResponseBuilder::new().description(titles.join("; ")).content(PROBLEM_JSON, content).build();
        operation.responses.responses.insert(status.to_string(), response.into());
    }
}

/// The errors that the services answer this operation with, beside those of every operation.
fn of_the_service(operation: &str) -> Vec<Error> {
    let (book, order) = (BookId(3), OrderId(Uuid::from_u128(0x0192_8f3a_7c41_7d2e_9b1f_3c5d_7e9f_1a2b)));
    let price_cents = Cents::new(1999).unwrap_or_default();
    let no_such_book = Error::BookNotFound { book };
    let no_such_order = Error::OrderNotFound { order };
    let invalid = Error::invalid("quantity", "must be from 1 to 1000, not 0");
    let out_of_stock = Error::out_of_stock([Shortage { book, available: 2 }]);
    let reused = Error::OrderIdReused { order };
    let guessable = "is no UUID of version 4 or 7, and may be guessed: this order needs a token";
    let guessable = Error::invalid("order_id", guessable);
    let unauthorized = Error::Unauthorized { message: "the bearer token is not the right one".into() };
    let forbidden = Error::Forbidden { message: "holds are for the shop's own people here".into() };
    match operation {
        "purchase" | "place_order" => {
            let refused = [Error::PriceChanged { book, price_cents }, reused, invalid, forbidden, unauthorized];
            let closed = [Status::Cancelled, Status::Lapsed, Status::Voided].map(an_order).map(Error::of_state);
            [no_such_book, out_of_stock, Error::BookWithdrawn { book }]
                .into_iter()
                .chain(refused)
                .chain(closed)
                .collect()
        }
        "info" | "purchase_page" => vec![no_such_book],
        "quote" => vec![no_such_book, Error::BookWithdrawn { book }, invalid],
        "books" => vec![Error::invalid("ids", "at most 100 at once")],
        "order" => vec![no_such_order, guessable, unauthorized],
        "contact" => vec![no_such_order, guessable, unauthorized],
        "set_contact" | "erase_contact" => {
            let closed = [Status::Fulfilled, Status::Cancelled, Status::Lapsed, Status::Voided];
            let closed = closed.map(an_order).map(Error::of_state);
            let invalid = Error::invalid("email", "must be one address, such as name@example.org");
            let invalid = (operation == "set_contact").then_some(invalid);
            [no_such_order, guessable, unauthorized, reused].into_iter().chain(closed).chain(invalid).collect()
        }
        "cancel" => vec![no_such_order, guessable, unauthorized, reused, Error::of_state(an_order(Status::Fulfilled))],
        "confirm" | "extend" | "fulfil" | "take_back" => {
            let closed = [Status::Cancelled, Status::Lapsed, Status::Voided].map(an_order).map(Error::of_state);
            let own = match operation {
                "confirm" => Vec::new(),
                "extend" => vec![Error::HoldChanged { order: Box::new(an_order(Status::Held)) }, reused],
                _ => vec![Error::of_state(an_order(Status::Held)), reused],
            };
            [no_such_order, guessable, unauthorized].into_iter().chain(closed).chain(own).collect()
        }
        "amend" => {
            let mismatch = Error::VersionMismatch { book, version: Seq(7) };
            let text = Error::TextVersionMismatch { book, text_version: Seq(7) };
            let exists = Error::BookExists { book: BookId(5) };
            vec![no_such_book, out_of_stock, reused, mismatch, text, exists, Error::VersionRequired, invalid]
        }
        "list" => vec![Error::invalid("title", "must have 1 to 1000 characters, not 0")],
        "search" | "search_topic" | "topics" | "orders" | "entries" | "author" | "new" | "best_sellers" | "suggest" => {
            vec![Error::invalid("page_size", "must be from 1 to 100")]
        }
        _ => Vec::new(),
    }
}

/// An order for an example.
fn an_order(status: Status) -> Order {
    let at = Timestamp(1_760_000_000_000);
    let details = OrderDetails { expires_at: Some(Timestamp(at.0 + 600_000)), ..OrderDetails::default() };
    Order {
        id: OrderId(Uuid::from_u128(0x0192_8f3a_7c41_7d2e_9b1f_3c5d_7e9f_1a2b)),
        status,
        lines: [OrderLine { book: BookId(3), quantity: 1, unit_price_cents: Cents::new(1999).unwrap_or_default() }]
            .into(),
        total_cents: Cents::new(1999).unwrap_or_default(),
        placed_at: at,
        seq: Seq(41),
        version: Seq(42),
        cancelled_at: (status == Status::Cancelled).then_some(at),
        details: (status == Status::Held).then(|| Box::new(details)),
    }
}

/// What the interface itself refuses, and the failures that every operation shares.
fn of_the_interface(path: &str, operation: &Operation, safe: bool, role: Option<Role>) -> Vec<Rejection> {
    let mut all: Vec<Rejection> = Vec::new();
    if operation.operation_id.as_deref() == Some("purchase_page") {
        all.push(Rejection::MethodNotAllowed(Some("POST")));
    }
    if matches!(operation.operation_id.as_deref(), Some("order" | "contact")) {
        all.push(Rejection::Forbidden("admin is off on this server"));
    }
    if let Some(role) = role {
        all.push(Error::Unauthorized { message: "the bearer token is not the right one".into() }.into());
        all.push(Rejection::Forbidden("admin is off on this server"));
        let message = format!("this needs a token with the role {role}; the token till-2 has a weaker one");
        all.extend((role > Role::Read).then(|| Error::Forbidden { message }.into()));
    }
    if operation.parameters.is_some() || operation.request_body.is_some() {
        all.push(Error::malformed("the query parameter q is given twice").into());
    }
    if operation.request_body.is_some() {
        let limit = match path {
            "/books" => extract::BOOKS_MAX,
            "/books/{id}" => extract::TEXT_MAX,
            _ => extract::BODY_MAX,
        };
        all.extend([Rejection::TooLarge(limit), Rejection::UnsupportedMediaType("application/json")]);
    }
    if !safe {
        all.push(Rejection::Forbidden("this request comes from a page of another site"));
        all.push(Error::unknown("the store failed while writing").into());
    }
    all.push(Error::overloaded("the queue of waiting calls is full").into());
    all.push(Error::unavailable("shutting down").into());
    all
}

/// What the server refuses before any handler sees it.
fn of_the_server(operation: &Operation, safe: bool) -> Vec<Response> {
    let refuse = |status, detail| transport_problem(status, detail, Executed::No);
    let mut all =
        vec![refuse(StatusCode::MISDIRECTED_REQUEST, "this server answers to shop.example; --host adds a name")];
    if operation.parameters.is_some() {
        all.push(refuse(StatusCode::URI_TOO_LONG, "path and query must be at most 8192 bytes"));
    }
    if !safe {
        all.push(refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "more than 600 changes a minute, 120 at once, from your address",
        ));
        all.push(refuse(StatusCode::REQUEST_TIMEOUT, "the body must arrive at 256 bytes a second or faster"));
    }
    all
}

/// The JSON of an answer, all of which is there already.
fn body(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), extract::BODY_MAX).now_or_never();
    bytes.and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

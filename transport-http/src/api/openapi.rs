//! `/openapi.json`, made from the handlers themselves.

use axum::{
    body::to_bytes,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{BookId, Cents, Error, OrderId, Seq, Sort};
use bytes::Bytes;
use futures_util::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use utoipa::{
    OpenApi as _, ToSchema,
    openapi::{
        Content, OpenApi, Ref, RefOr, ResponseBuilder,
        example::ExampleBuilder,
        path::{Operation, Parameter},
        schema::{Schema, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{Answer, Rejection, Shop, admin, books, events, extract, orders, query};
use crate::problem::PROBLEM_JSON;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Bookstore", description = "Sells books from finite stock: never oversold, never lost, never bought twice. \
        Browsers (`Accept: text/html`) get pages under the same paths. Unknown fields and query parameters are refused. \
        Every refusal is an RFC 9457 problem with a stable `code`; `executed` says whether the request may have had an effect."),
    paths(livez, readyz, metrics),
    components(schemas(Problem, BookId, OrderId, Seq, Sort)),
    tags(
        (name = "books", description = "Looking for books"),
        (name = "orders", description = "Buying them"),
        (name = "admin", description = "For the shop's own people, with a bearer token"),
        (name = "operations", description = "For the operator"),
    )
)]
struct Document;

/// Every documented route. What is here is in the document, and the other way round.
pub(super) fn routes() -> OpenApiRouter<Arc<Shop>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(books::search))
        .routes(routes!(books::search_topic))
        .routes(routes!(books::topics))
        .routes(routes!(books::info))
        .routes(routes!(books::purchase_page, orders::purchase))
        .routes(routes!(orders::order, orders::place_order))
        .routes(routes!(orders::cancel))
        .routes(routes!(events::events))
        .routes(routes!(orders::orders))
        .routes(routes!(admin::amend))
        .routes(routes!(admin::add_books))
        .routes(routes!(admin::entries))
        .routes(routes!(openapi))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "An OpenAPI document", body = Object)))]
async fn openapi(uri: Uri) -> Answer {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    query::none(&uri)?;
    let text = TEXT.get_or_init(|| serde_json::to_vec_pretty(&document()).expect("a document is JSON").into());
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response())
}

/// The whole document, with the server's own health checks.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = routes().split_for_parts();
    for (path, item) in &mut document.paths.paths {
        let safe = item.get.iter_mut().map(|operation| (operation, true));
        let unsafe_ = [&mut item.put, &mut item.post, &mut item.patch].into_iter().flatten().map(|one| (one, false));
        for (operation, safe) in safe.chain(unsafe_) {
            add_refusals(path, operation, safe);
            operation.parameters.iter_mut().flatten().for_each(leave_out_null);
        }
    }
    let components = document.components.get_or_insert_default();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("token".into(), token.into());
    document
}

/// A parameter that is not required may be missing; a header or a query cannot say `null`.
fn leave_out_null(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else { return };
    let is_null = |schema: &RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
    match &mut parameter.schema {
        Some(RefOr::T(Schema::Object(object))) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = &types[..] {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        Some(RefOr::T(Schema::OneOf(one_of))) => one_of.items.retain(|schema| !is_null(schema)),
        _ => {}
    }
}

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "It does")))]
#[expect(dead_code, reason = "documents a route of every server")]
fn livez() {}

/// The server can do its work.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "It can")))]
#[expect(dead_code, reason = "documents a route of every server")]
fn readyz() {}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")))]
#[expect(dead_code, reason = "documents a route of every server")]
fn metrics() {}

/// Why a request was refused (RFC 9457); which of the last fields there are depends on the `code`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the fields of `problem::Problem`; a test holds the two together")]
struct Problem {
    /// `/problems/` and the code.
    r#type: String,
    /// The kind in a few words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This occurrence in words.
    detail: String,
    /// Whether the request had an effect: `no`, or `unknown` if it may have. With an order id or a key it may be sent again.
    #[schema(pattern = "^(no|unknown)$")]
    executed: String,
    /// The stable name of this kind of problem, in kebab-case.
    code: String,
    /// The book in question, even if there is no such book.
    #[schema(value_type = Option<u64>)]
    book: Option<BookId>,
    /// Copies that there are: fewer than asked for.
    available: Option<u32>,
    /// The book's price now.
    price_cents: Option<Cents>,
    /// The book's version now.
    version: Option<Seq>,
    /// The order or the key in question.
    order: Option<OrderId>,
    /// The field whose value is not allowed.
    field: Option<String>,
    /// What is wrong.
    message: Option<String>,
}

/// One of each refusal that an operation can answer with.
fn refusals(path: &str, operation: &Operation, safe: bool) -> Vec<Rejection> {
    let (book, order) = (BookId(3), OrderId(Uuid::from_u128(0x0192_8f3a_7c41_7d2e_9b1f_3c5d_7e9f_1a2b)));
    let price_cents = Cents::new(1999).unwrap_or_default();
    let unknown_book = Error::BookNotFound { book };
    let invalid = Error::invalid("quantity", "must be from 1 to 1000, not 0");
    let mut all: Vec<Rejection> = Vec::new();
    let mut service = |errors: &[Error]| all.extend(errors.iter().cloned().map(Rejection::from));
    let sells = [
        unknown_book.clone(),
        Error::OutOfStock { book, available: 2 },
        Error::PriceChanged { book, price_cents },
        Error::OrderIdReused { order },
        invalid.clone(),
    ];
    match operation.operation_id.as_deref().unwrap_or_default() {
        "purchase" | "place_order" => service(&sells),
        "info" => service(&[unknown_book]),
        "purchase_page" => all.extend([unknown_book.into(), Rejection::MethodNotAllowed(Some("POST"))]),
        "order" => service(&[Error::OrderNotFound { order }]),
        "cancel" => service(&[
            Error::OrderNotFound { order },
            Error::invalid("stock", "book 3 would have more than 1000000000 copies if these were put back"),
        ]),
        "amend" => service(&[
            unknown_book,
            Error::OutOfStock { book, available: 2 },
            Error::OrderIdReused { order },
            Error::VersionMismatch { book, version: Seq(7) },
            Error::VersionRequired,
            invalid,
        ]),
        "list" => service(&[Error::invalid("title", "must have 1 to 1000 characters, not 0")]),
        "search" | "search_topic" | "orders" | "entries" => {
            service(&[Error::invalid("page_size", "must be from 1 to 100")]);
        }
        _ => {}
    }
    if operation.security.is_some() {
        all.push(Error::Unauthorized { message: "the bearer token is not the right one".into() }.into());
        all.push(Rejection::Forbidden("admin is off on this server"));
    }
    if operation.parameters.is_some() || operation.request_body.is_some() {
        all.push(Error::malformed("the query parameter q is given twice").into());
    }
    if operation.request_body.is_some() {
        let limit = if path == "/books" { extract::BOOKS_MAX } else { extract::BODY_MAX };
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

/// Puts every refusal, with an example, under its status.
fn add_refusals(path: &str, operation: &mut Operation, safe: bool) {
    let mut by_status: BTreeMap<u16, Vec<Rejection>> = BTreeMap::new();
    for rejection in refusals(path, operation, safe) {
        by_status.entry(rejection.status().as_u16()).or_default().push(rejection);
    }
    for (status, rejections) in by_status {
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        let mut titles = Vec::new();
        for rejection in rejections {
            if !titles.contains(&rejection.title()) {
                titles.push(rejection.title());
            }
            let problem = body(rejection.into_response());
            let name = problem["code"].as_str().unwrap_or_default().to_owned();
            content.examples.insert(name, ExampleBuilder::new().value(Some(problem)).build().into());
        }
        let response = ResponseBuilder::new().description(titles.join("; ")).content(PROBLEM_JSON, content).build();
        operation.responses.responses.insert(status.to_string(), response.into());
    }
}

/// The JSON of an answer that is all there already.
fn body(response: Response) -> serde_json::Value {
    let bytes = to_bytes(response.into_body(), extract::BODY_MAX).now_or_never();
    bytes.and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every problem that is documented has documented fields only.
    #[test]
    fn the_schema_of_a_problem_is_complete() {
        let document = serde_json::to_value(document()).unwrap();
        let fields = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
        let mut seen = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for response in operation["responses"].as_object().unwrap().values() {
                    let examples =
                        response["content"][PROBLEM_JSON]["examples"].as_object().cloned().unwrap_or_default();
                    for example in examples.values() {
                        seen.extend(example["value"].as_object().expect("an object").keys().cloned());
                    }
                }
            }
        }
        assert_eq!(seen, fields.keys().cloned().collect());
    }
}

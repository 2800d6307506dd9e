//! `/openapi.json`: the document of the API. Without the feature `openapi` neither it nor utoipa is compiled.
//!
//! - `paths` describes every operation; it MUST have the routes of [`super::routes`], which a test compares;
//! - `schemas` describes the bodies whose Rust types say too little;
//! - `refusals` adds what every operation can be refused with.

mod paths;
mod refusals;
mod schemas;

use axum::{
    http::{HeaderValue, Uri, header},
    response::IntoResponse,
};
use bookstore_core::{BookId, OrderId, Period, Seq, Sort, TopicSort};
use bytes::Bytes;
use std::sync::OnceLock;
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi, RefOr,
        schema::{Schema, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{query, rejection::Answer, roles};
use refusals::add_refusals;
use schemas::Problem;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Bookstore", description = "Sells books from finite stock: never oversold, never lost, never bought twice. \
        Browsers (`Accept: text/html`) get pages under the same paths. Unknown fields and query parameters are refused. \
        Every refusal is an RFC 9457 problem with a stable `code`; `executed` says whether the request may have had an effect."),
    paths(
        paths::search, paths::search_topic, paths::author, paths::new, paths::best_sellers, paths::suggest, paths::topics, paths::shop_info, paths::info, paths::books, paths::quote, paths::events,
        paths::purchase_page, paths::purchase, paths::order, paths::place_order, paths::cancel,
        paths::confirm, paths::extend, paths::fulfil, paths::take_back,
        paths::contact, paths::set_contact, paths::erase_contact,
        paths::orders, paths::amend, paths::add_books, paths::entries,
        paths::livez, paths::readyz, paths::metrics, paths::openapi,
    ),
    components(schemas(Problem, BookId, OrderId, Period, Seq, Sort, TopicSort)),
    tags(
        (name = "books", description = "Looking for books"),
        (name = "orders", description = "Buying them"),
        (name = "admin", description = "For the shop's own people, with a bearer token"),
        (name = "operations", description = "For the operator"),
    )
)]
struct Document;

/// `GET /openapi.json`
pub(super) async fn openapi(uri: Uri) -> Answer {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    query::none(&uri)?;
    let text = TEXT.get_or_init(|| serde_json::to_vec_pretty(&document()).expect("a document is JSON").into());
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response())
}

/// The whole document, with the server's own health checks.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = Document::openapi();
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("GET", &mut item.get),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in methods.into_iter().filter_map(|(method, one)| Some((method, one.as_mut()?))) {
            let role = operation.security.is_some().then(|| roles::of_route(method, path));
            if let Some(role) = role {
                let text = operation.description.take().map(|text| text + "\n\n").unwrap_or_default();
                operation.description =
                    Some(format!("{text}Needs a token with the role `{role}`, or one that may do more."));
            }
            add_refusals(path, operation, method == "GET", role);
            for parameter in operation.parameters.iter_mut().flatten() {
                let RefOr::T(parameter) = parameter else { continue };
                leave_out_null(&mut parameter.schema);
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                for content in body.content.values_mut() {
                    let RefOr::T(content) = content else { continue };
                    leave_out_null(&mut content.schema);
                }
            }
        }
    }
    let components = document.components.get_or_insert_default();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("token".into(), token.into());
    document
}

/// A parameter or a body that is not required may be missing; none can be `null`.
fn leave_out_null(schema: &mut Option<RefOr<Schema>>) {
    let is_null = |schema: &RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
    match schema {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{admin::ListRequest, messages::AmendRequest, routes::routes},
        problem::PROBLEM_JSON,
    };
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn schema_fields(document: &Value, schema: &str) -> BTreeSet<String> {
        document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// Every problem that is documented has documented fields only.
    #[test]
    fn the_schema_of_a_problem_is_complete() {
        let document = serde_json::to_value(document()).unwrap();
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
        assert_eq!(seen, schema_fields(&document, "Problem"));
    }

    /// The fields that a type of `api` reads: serde lists them when it meets another one.
    fn fields_read<T: DeserializeOwned>() -> BTreeSet<String> {
        let error = serde_json::from_str::<T>(r#"{"?":0}"#).map(drop).unwrap_err().to_string();
        let (_, expected) = error.split_once("expected ").expect("serde names the fields");
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_bodies_are_documented_as_they_are_read() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(fields_read::<ListRequest>(), schema_fields(&document, "NewBook"));
        let amend =
            ["StockDelta", "SetPrice", "SetStock", "SetText", "SetSale"].map(|schema| schema_fields(&document, schema));
        assert_eq!(fields_read::<AmendRequest>(), amend.into_iter().flatten().collect());
    }

    /// A router shows its paths in its debug text only. The operator's routes are every server's, not the API's own.
    #[test]
    fn every_route_is_documented_and_the_other_way_round() {
        let debug = format!("{:?}", routes());
        let debug = debug.split("fallback_router").next().unwrap();
        let routed: BTreeSet<_> = debug.split('"').filter(|text| text.starts_with('/')).collect();
        let document = document();
        let documented = document.paths.paths.keys().map(String::as_str);
        let own = documented.filter(|path| !["/livez", "/readyz", "/metrics"].contains(path));
        assert_eq!(own.collect::<BTreeSet<_>>(), routed);
    }
}

//! The document and the routes are the same thing.

use crate::support::{ID, shop};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Every documented operation: method, path template, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

fn filled(path: &str) -> String {
    let id = if path.starts_with("/orders") { ID } else { "1" };
    path.replace("{id}", id).replace("{topic}", "testing").replace("{name}", "nobody")
}

#[tokio::test]
async fn the_interface_is_the_documented_one() {
    let document = shop().await.get("/openapi.json").await.json();
    let found: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let expected = [
        "GET /search/{topic}",
        "GET /search",
        "GET /authors/{name}",
        "GET /new",
        "GET /bestsellers",
        "GET /suggest",
        "GET /topics",
        "GET /shop",
        "GET /info/{id}",
        "GET /purchase/{id}",
        "POST /purchase/{id}",
        "PUT /orders/{id}",
        "GET /orders/{id}",
        "POST /orders/{id}/cancel",
        "POST /orders/{id}/confirm",
        "POST /orders/{id}/extend",
        "POST /orders/{id}/fulfil",
        "POST /orders/{id}/return",
        "GET /orders/{id}/contact",
        "PUT /orders/{id}/contact",
        "DELETE /orders/{id}/contact",
        "GET /events",
        "GET /orders",
        "GET /books",
        "POST /quote",
        "PATCH /books/{id}",
        "POST /books",
        "GET /entries",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
    ];
    assert_eq!(found, expected.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn every_documented_route_exists_and_answers_as_documented() {
    let shop = shop().await;
    let document = shop.get("/openapi.json").await.json();
    for (method, path, operation) in operations(&document) {
        if path == "/events" || path == "/metrics" {
            // A stream without end; and there is no exporter here.
            continue;
        }
        let answer = shop.send(&method, &filled(&path), &[], "").await;
        let documented = operation["responses"].as_object().unwrap();
        let status = answer.status.as_str();
        assert!(
            documented.contains_key(status),
            "{method} {path} answered {status}, not one of {:?}",
            documented.keys()
        );
        let code = serde_json::from_slice::<Value>(&answer.body).ok().map(|body| body["code"].clone());
        assert_ne!(code, Some("not-found".into()), "{method} {path}");
    }
}

#[tokio::test]
async fn every_refusal_is_documented_with_its_code() {
    let shop = shop().await;
    let document = shop.get("/openapi.json").await.json();
    let documented = |method: &str, path: &str, status: &str, code: &str| {
        let operation = &document["paths"][path][method];
        let problem = &operation["responses"][status]["content"]["application/problem+json"];
        assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path} {status}");
        assert_eq!(problem["examples"][code]["value"]["code"], code, "{method} {path} {status} {code}");
    };
    documented("post", "/purchase/{id}", "409", "out-of-stock");
    documented("post", "/purchase/{id}", "409", "price-changed");
    documented("post", "/purchase/{id}", "422", "order-id-reused");
    documented("post", "/purchase/{id}", "504", "unknown-outcome");
    documented("post", "/purchase/{id}", "413", "too-large");
    documented("get", "/info/{id}", "404", "unknown-book");
    documented("get", "/info/{id}", "400", "malformed");
    documented("get", "/purchase/{id}", "405", "method-not-allowed");
    documented("patch", "/books/{id}", "428", "version-required");
    documented("patch", "/books/{id}", "412", "version-mismatch");
    documented("get", "/orders", "401", "unauthorized");
    documented("get", "/orders", "403", "forbidden");
    documented("get", "/topics", "503", "overloaded");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = shop().await.get("/openapi.json").await.json();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value["$ref"].as_str() {
            references += 1;
            let target = document.pointer(reference.strip_prefix('#').expect("a local reference"));
            assert!(target.is_some(), "{reference}");
        }
        match value {
            Value::Object(map) => open.extend(map.values()),
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(references > 20, "{references}");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

//! Arbitrary requests, many of them good ones.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use crate::support::{ID, TOKEN};

/// A request as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    target: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Sent {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Text that may stand in a path or a query: readable, or any bytes, encoded.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec!["1", "2", "3"]).prop_map(str::to_owned),
        3 => select(vec!["0", "-1", "18446744073709551616", "x", "", ID, "testing", "price", "null", "%00", "%2F"])
            .prop_map(str::to_owned),
        1 => "[a-zA-Z0-9._~!$'()*+,;=:@-]{1,40}",
        1 => vec(any::<u8>(), 1..40).prop_map(|bytes| percent(&bytes)),
        1 => "\\PC{1,20}".prop_map(|text| percent(text.as_bytes())),
    ]
}

/// Methods and paths, mostly as they belong together.
fn routes() -> impl Strategy<Value = (&'static str, &'static str)> {
    let good = [
        ("GET", "/info/{}"),
        ("POST", "/purchase/{}"),
        ("POST", "/purchase/{}"),
        ("GET", "/purchase/{}"),
        ("PUT", "/orders/{id}"),
        ("PUT", "/orders/{}"),
        ("GET", "/orders/{}"),
        ("POST", "/orders/{}/cancel"),
        ("POST", "/orders/{id}/cancel"),
        ("GET", "/search/{}"),
        ("GET", "/search"),
        ("GET", "/topics"),
        ("GET", "/orders"),
        ("PATCH", "/books/{}"),
        ("POST", "/books"),
        ("GET", "/entries"),
        ("GET", "/openapi.json"),
        ("GET", "/livez"),
    ];
    let method = select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]);
    let path =
        select(vec!["/info/{}", "/purchase/{}", "/orders/{}", "/books", "/search", "/{}", "/", "/admin", "//{}"]);
    prop_oneof![6 => select(good.to_vec()), 1 => (method, path)]
}

fn targets() -> impl Strategy<Value = (&'static str, String)> {
    let random = any::<[u8; 16]>().prop_map(|bytes| uuid::Builder::from_random_bytes(bytes).into_uuid().to_string());
    let any = any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
    let id = prop_oneof![2 => random, 1 => any];
    let route = (routes(), texts(), id)
        .prop_map(|((method, path), text, id)| (method, path.replace("{id}", &id).replace("{}", &text)));
    let name = select(vec!["q", "topic", "sort", "page_size", "page_token", "after", "limit", "x"]);
    let query = vec((name, texts()), 1..4).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    });
    let query = prop_oneof![3 => query, 1 => texts()];
    (route, option::weighted(0.3, query)).prop_map(|((method, path), query)| match query {
        Some(query) => (method, format!("{path}?{query}")),
        None => (method, path),
    })
}

/// JSON that looks like what is asked for, more or less.
fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (0..4_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let text = prop_oneof![Just(String::new()), Just("9780000000002".to_owned()), any::<String>()];
    let leaf = prop_oneof![
        6 => number,
        2 => text.prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let names = [
        "quantity",
        "price_cents",
        "lines",
        "book",
        "stock_delta",
        "stock",
        "title",
        "topic",
        "author",
        "isbn",
        "year",
        "subjects",
        "x",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let object = vec((select(names.to_vec()), inner.clone()), 0..6);
        prop_oneof![
            1 => vec(inner, 0..5).prop_map(Value::from),
            4 => object.prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let good = select(vec![
        json!({"quantity": 1}),
        json!({"lines": [{"book": 1, "quantity": 1}]}),
        json!({"stock_delta": 1}),
        json!({}),
        json!({"price_cents": 1999}),
        json!({"title": "t", "topic": "t", "price_cents": 1, "stock": 1}),
        json!([[1, 2]]),
        json!({"lines": [[1, 2]]}),
        json!([["t", "", "t", null, null, [], 1, 1]]),
    ]);
    let json = prop_oneof![2 => good, 1 => values()].prop_map(|value| value.to_string().into_bytes());
    // One byte of it is another one.
    let spoiled = (json, option::weighted(0.3, (any::<Index>(), any::<u8>()))).prop_map(|(mut json, spoil)| {
        if let Some((at, byte)) = spoil {
            let at = at.index(json.len());
            json[at] = byte;
        }
        json
    });
    prop_oneof![6 => spoiled, 1 => vec(any::<u8>(), 0..200), 1 => Just(Vec::new())]
}

/// A body that belongs there.
fn fit(method: &str, target: &str) -> Vec<u8> {
    let body = match method {
        "PUT" => json!({"lines": [{"book": 1, "quantity": 2}, {"book": 2, "quantity": 1}]}),
        "PATCH" => json!({"stock_delta": 5}),
        _ if target.starts_with("/purchase") => json!({"quantity": 3}),
        _ => json!({}),
    };
    body.to_string().into_bytes()
}

pub(crate) fn requests() -> impl Strategy<Value = Sent> {
    // What HTTP allows in a header; anything else never gets past its parser.
    let header = prop_oneof![
        2 => "[!-~]([ -~]{0,40}[!-~])?".prop_map(String::into_bytes),
        1 => vec(0x80_u8.., 1..20),
        1 => select(vec!["*", "\"1\"", "\"\"", "\"abc", ID, "0", "-1"]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    let name = select(vec!["idempotency-key", "if-match", "if-none-match", "accept", "traceparent", "x-anything"]);
    let content_type = prop_oneof![8 => Just("application/json"), 1 => select(vec!["application/json; charset=utf-8", "text/plain", "?"])];
    let admin = select(vec![
        None,
        Some(format!("Bearer {TOKEN}")),
        Some(format!("Bearer {TOKEN}")),
        Some("Bearer x".to_owned()),
        Some("Basic eDp4".to_owned()),
    ]);
    let headers = option::weighted(0.4, vec((name, header), 1..3)).prop_map(Option::unwrap_or_default);
    let body = (prop::bool::weighted(0.3), bodies());
    let parts = (targets(), headers, option::weighted(0.9, content_type), admin, body);
    parts.prop_map(|((method, target), mut headers, content_type, admin, (fitting, body))| {
        let body = if fitting { fit(method, &target) } else { body };
        headers.extend(content_type.map(|text| ("content-type", text.as_bytes().to_vec())));
        headers.extend(admin.map(|text| ("authorization", text.into_bytes())));
        Sent { method, target, headers, body }
    })
}

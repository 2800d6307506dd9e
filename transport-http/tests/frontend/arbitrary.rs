//! Whatever is sent, the answer is one of those that are documented: no server error, always a problem with a known code,
//! and nothing is sold or changed by a request that was refused.

use bookstore_core::{BookId, CatalogService as _, Kind, Seq};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use std::{cell::Cell, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};

use crate::support::{ID, PATIENCE, Running, TOKEN, book, start};

/// Every code that a request may be answered with; `internal` is not among them.
const CODES: [&str; 19] = [
    "out-of-stock",
    "unknown-book",
    "unknown-order",
    "order-id-reused",
    "price-changed",
    "version-mismatch",
    "version-required",
    "invalid",
    "malformed",
    "unauthorized",
    "overloaded",
    "unavailable",
    "deadline-expired",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "too-large",
    "uri-too-long",
    "unsupported-media-type",
];

/// A request as bytes.
#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
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
    let id = any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string());
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

fn requests() -> impl Strategy<Value = Sent> {
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

/// An answer, taken apart.
#[derive(Debug)]
struct Heard {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn is_html(&self) -> bool {
        self.head.contains("content-type: text/html")
    }
}

/// Sends bytes, and hears what comes back until the end; `ends` if nothing more is to be waited for.
async fn exchange(shop: &Running, request: &[u8], ends: bool) -> Option<Heard> {
    let mut stream = TcpStream::connect(shop.addr).await.expect("the shop is there");
    // It may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    if ends {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Some(Heard { status, head, body: answer[end + 4..].to_vec() })
}

async fn shop() -> Running {
    let running = start(Some(TOKEN)).await;
    let books = (1..=3).map(|n| book(&format!("Book {n}"), "testing", 1_000_000)).collect();
    running.catalog.add_books(books).await.expect("good books");
    running
}

fn is_documented(heard: &Heard) -> Result<(), TestCaseError> {
    let status = heard.status;
    prop_assert!(status < 500 || status == 503, "{heard:?}");
    if status < 400 || heard.is_html() {
        return Ok(());
    }
    prop_assert!(heard.head.contains("content-type: application/problem+json"), "{heard:?}");
    let problem: Value = serde_json::from_slice(&heard.body).expect("a problem is JSON");
    let code = problem["code"].as_str().expect("a problem has a code");
    prop_assert!(CODES.contains(&code), "{problem}");
    prop_assert_eq!(&problem["status"], status, "{}", problem);
    prop_assert_eq!(&problem["executed"], "no", "{}", problem);
    Ok(())
}

#[test]
fn every_request_gets_a_documented_answer_and_a_refused_one_changes_nothing() {
    let runtime = Runtime::new().expect("threads can be started");
    let shop = runtime.block_on(shop());
    let (accepted, refused, changed) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |cell: &Cell<u32>| cell.set(cell.get() + 1);
    let ran = TestRunner::new(config(1200)).run(&requests(), |sent| {
        let before = shop.catalog.head();
        let heard = runtime.block_on(exchange(&shop, &sent.bytes(), false)).expect("an answer");
        is_documented(&heard)?;
        let grown = shop.catalog.head() > before;
        if heard.status >= 400 {
            count(&refused);
            prop_assert!(!grown, "{heard:?} was refused, but changed the ledger");
        } else {
            count(&accepted);
            prop_assert!(!grown || sent.method != "GET", "a GET has changed the ledger: {heard:?}");
        }
        if grown {
            count(&changed);
        }
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
    let (accepted, refused, changed) = (accepted.get(), refused.get(), changed.get());
    println!("{accepted} accepted, {changed} of them with an effect; {refused} refused");
    assert!(accepted > 100 && refused > 400 && changed > 10, "nothing was tried: {accepted}, {refused}, {changed}");
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::with_source_file(file!()) }
}

#[test]
fn bytes_that_are_no_request_at_all_break_nothing() {
    let runtime = Runtime::new().expect("threads can be started");
    let shop = runtime.block_on(shop());
    let spoiled = (requests(), vec((any::<Index>(), any::<u8>()), 1..6)).prop_map(|(sent, spoils)| {
        let mut bytes = sent.bytes();
        for (at, byte) in spoils {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    let noise = prop_oneof![3 => spoiled, 1 => vec(any::<u8>(), 0..300)];
    let ran = TestRunner::new(config(300)).run(&noise, |bytes| {
        let before = shop.catalog.head();
        let heard = runtime.block_on(exchange(&shop, &bytes, true));
        if let Some(heard) = &heard {
            prop_assert!(heard.status < 500 || [501, 503, 505].contains(&heard.status), "{heard:?}");
        }
        match heard {
            Some(heard) if heard.status < 400 => {}
            Some(_) => prop_assert_eq!(shop.catalog.head(), before, "refused, but it changed the ledger"),
            // Whoever closes before the answer learns nothing, and a purchase may be on its way:
            // when a later one is done, it is.
            None => {
                let settled = runtime.block_on(shop.json("POST", "/purchase/1", &[], "{}"));
                prop_assert!(settled.status.is_success(), "{settled:?}");
            }
        }
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn a_page_token_leads_on_or_is_refused() {
    let runtime = Runtime::new().expect("threads can be started");
    let shop = runtime.block_on(shop());
    let lists =
        ["/search?page_size=1", "/search?q=book&page_size=1", "/search?sort=title&page_size=1", "/orders?page_size=1"];
    let token = |list: &str| {
        runtime.block_on(async {
            let page = shop.admin("GET", list, &[], "").await.json();
            page["next_page_token"].as_str().expect("there is more").to_owned()
        })
    };
    for key in ["a", "b"] {
        runtime.block_on(shop.json("POST", "/purchase/1", &[("idempotency-key", key)], "{}"));
    }
    let tokens: Vec<String> = lists.map(token).into();
    let spoil = (0..lists.len(), 0..lists.len(), vec((any::<Index>(), "[A-Za-z0-9_-]"), 0..3));
    let ran = TestRunner::new(config(300)).run(&spoil, |(list, of, spoils)| {
        let mut token = tokens[of].clone();
        for (at, letter) in &spoils {
            let at = at.index(token.len());
            token.replace_range(at..=at, letter);
        }
        let target = format!("{}&page_token={token}", lists[list]);
        let answer = runtime.block_on(shop.admin("GET", &target, &[], ""));
        prop_assert!(matches!(answer.status.as_u16(), 200 | 422), "{answer:?}");
        if list == of && token == tokens[of] {
            prop_assert_eq!(answer.status.as_u16(), 200, "{:?}", answer);
        } else if list != of && spoils.is_empty() {
            prop_assert_eq!(answer.status.as_u16(), 422, "a token of another list: {:?}", answer);
        }
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn a_key_quoted_or_bare_is_one_order() {
    let runtime = Runtime::new().expect("threads can be started");
    let shop = runtime.block_on(shop());
    // Bare, a key does not begin with a quote; and the space around a header is not part of it.
    let keys = "[!#-~]([ -~]{0,60}[!-~])?";
    let ran = TestRunner::new(config(200)).run(&keys, |key| {
        let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        let buy = async |key: &str| shop.json("POST", "/purchase/2", &[("idempotency-key", key)], "{}").await;
        let (first, again) = runtime.block_on(async { (buy(&key).await, buy(&quoted).await) });
        // Cases may draw one key twice.
        prop_assert!(matches!(first.status.as_u16(), 200 | 201), "{first:?}");
        prop_assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"));
        prop_assert_eq!(first.body, again.body);
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
    let entries = runtime.block_on(shop.catalog.entries(Seq(3), 1000, Duration::ZERO)).expect("it can be read").entries;
    let sold = entries.iter().filter(|entry| entry.kind == Kind::Sale).count();
    let left = runtime.block_on(shop.catalog.info(BookId(2))).expect("listed").stock;
    assert_eq!(sold, 1_000_000 - left as usize, "as many sales as keys");
}

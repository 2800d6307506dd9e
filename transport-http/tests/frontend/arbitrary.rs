//! To any request, the answer is one of those that are documented: no server error, always a problem with a known code,
//! and nothing is sold or changed by a request that was refused.

use bookstore_core::{BookId, CatalogService as _, Seq};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::Value;
use std::{cell::Cell, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};

use crate::{
    requests::requests,
    support::{Running, TEST_TIMEOUT, TOKEN, book, start},
};

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

/// An answer, taken apart.
#[derive(Debug)]
struct RawAnswer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl RawAnswer {
    fn is_html(&self) -> bool {
        self.head.contains("content-type: text/html")
    }
}

/// Sends bytes, and reads what comes back until the end; `ends` if nothing more is to be waited for.
async fn exchange(shop: &Running, request: &[u8], ends: bool) -> Option<RawAnswer> {
    let mut stream = TcpStream::connect(shop.addr).await.expect("the shop is there");
    // It may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    if ends {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Some(RawAnswer { status, head, body: answer[end + 4..].to_vec() })
}

async fn shop() -> Running {
    let running = start(Some(TOKEN)).await;
    let books = (1..=3).map(|n| book(&format!("Book {n}"), "testing", 1_000_000)).collect();
    running.catalog.add_books(books, None).await.expect("good books");
    running
}

fn is_documented(answer: &RawAnswer) -> Result<(), TestCaseError> {
    let status = answer.status;
    prop_assert!(status < 500 || status == 503, "{answer:?}");
    if status < 400 || answer.is_html() {
        return Ok(());
    }
    prop_assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
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
        let answer = runtime.block_on(exchange(&shop, &sent.bytes(), false)).expect("an answer");
        is_documented(&answer)?;
        let grown = shop.catalog.head() > before;
        if answer.status >= 400 {
            count(&refused);
            prop_assert!(!grown, "{answer:?} was refused, but changed the ledger");
        } else {
            count(&accepted);
            prop_assert!(!grown || sent.method != "GET", "a GET has changed the ledger: {answer:?}");
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
        let answer = runtime.block_on(exchange(&shop, &bytes, true));
        if let Some(answer) = &answer {
            prop_assert!(answer.status < 500 || [501, 503, 505].contains(&answer.status), "{answer:?}");
        }
        match answer {
            Some(answer) if answer.status < 400 => {}
            Some(_) => prop_assert_eq!(shop.catalog.head(), before, "refused, but it changed the ledger"),
            // A client that closes before the answer learns nothing, and its purchase may be on its way:
            // it is done once a later one is.
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
    for _ in 0..2 {
        runtime.block_on(shop.json("POST", "/purchase/1", &[], "{}"));
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
fn a_key_quoted_or_bare_is_one_restock() {
    let runtime = Runtime::new().expect("threads can be started");
    let shop = runtime.block_on(shop());
    // Bare, a key does not begin with a quote; and the space around a header is not part of it.
    let keys = "[!#-~]([ -~]{0,60}[!-~])?";
    let ran = TestRunner::new(config(200)).run(&keys, |key| {
        let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        let restock = async |key: &str| {
            shop.admin("PATCH", "/books/2", &[("idempotency-key", key)], r#"{"stock_delta":1}"#).await
        };
        let (first, again) = runtime.block_on(async { (restock(&key).await, restock(&quoted).await) });
        prop_assert_eq!((first.status.as_u16(), again.status.as_u16()), (200, 200));
        prop_assert_eq!(first.body, again.body);
        let bought = runtime.block_on(shop.json("POST", "/purchase/2", &[("idempotency-key", &key)], "{}"));
        prop_assert_eq!(bought.status.as_u16(), 422, "{:?}", bought);
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
    let entries = runtime.block_on(shop.catalog.entries(Seq(3), 1000, Duration::ZERO)).expect("it can be read").entries;
    let left = runtime.block_on(shop.catalog.info(BookId(2))).expect("listed").stock;
    assert_eq!(entries.len(), left as usize - 1_000_000, "as many restocks as keys");
}

//! The command itself: exit codes, JSON, the report.

use bookstore_cli::load::{LoadResult, Mix, Verdict};
use std::{process::Stdio, sync::Arc};
use tokio::process::Command;

use crate::support::{Answer, Asked, Meddler, Shop, TOKEN, meddle};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn bookstore(args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bookstore"));
    command.env_clear().arg("load").args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const SHORT: [&str; 6] = ["--duration", "1", "--warmup", "0", "--clients", "4"];

#[tokio::test(flavor = "multi_thread")]
async fn a_good_shop_ends_with_0_a_table_and_a_report() {
    let shop = Shop::full().await;
    let dir = tempfile::tempdir().unwrap();
    let (token, report) = (dir.path().join("admin.token"), dir.path().join("load.html"));
    std::fs::write(&token, TOKEN).unwrap();
    let (token, report) = (token.to_str().unwrap(), report.to_str().unwrap());
    let args = ["--server", &shop.url, "--mix", "ordering", "--admin-token-file", token, "--report", report];
    let ended = bookstore(&[&args[..], &SHORT].concat()).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for word in ["OPERATION", "P99.9", "purchase", "never oversold  kept", "Every promise is kept"] {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    assert!(std::fs::read_to_string(report).unwrap().contains("</html>"));
    assert!(!ended.out.contains(TOKEN) && !ended.err.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_the_whole_result_and_nothing_else() {
    let shop = Shop::full().await;
    let args = ["--server", &shop.url, "--mix", "p=0.5", "--rate", "200", "--json"];
    let ended = bookstore(&[&args[..], &SHORT].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let result: LoadResult = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((result.mix, result.check.verdict), (Mix::Chance(0.5), Verdict::Kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_is_told_as_one() {
    let shop = Shop::with_books(&[("Prize", 50)]).await;
    let args = ["--server", &shop.url, "--mix", "race", "--book", "1"];
    let ended = bookstore(&[&args[..], &SHORT].concat()).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("Race for book 1: 50 of 50 copies sold, sold out after"), "{}", ended.out);
    assert!(ended.out.contains("not checked: the ledger"), "{}", ended.out);
    assert!(ended.out.contains("Every promise is kept, as far as it was checked."), "{}", ended.out);
}

/// Loses every order.
struct Loser;

impl Meddler for Loser {
    fn after(&self, asked: &Asked, mut answer: Answer) -> Option<Answer> {
        if asked.uri.path().starts_with("/orders/") {
            answer = answer.edit(|order| order["seq"] = serde_json::json!(1));
        }
        Some(answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_ends_with_1() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Loser)).await;
    let ended = bookstore(&[&["--server", &url, "--mix", "p=1"][..], &SHORT].concat()).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("never lost      BROKEN"), "{}", ended.out);
    assert!(ended.out.contains("A promise is broken") && ended.out.contains("but reads"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_ends_with_4_and_wrong_usage_with_2() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    let ended = bookstore(&["--server", &nobody, "--timeout", "0"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert!(ended.err.contains("Is the shop running at"), "{}", ended.err);
    for (args, word) in [
        (&["--mix", "banana"][..], "not a mix"),
        (&["--clients", "0"], "clients"),
        (&["--rate", "0"], "rate"),
        (&["--mix", "race"], "--admin-token-file"),
        (&["--book", "1"], "--mix race"),
        (&["--mix", "race", "--book", "1", "--copies", "5"], "--copies"),
        (&["--stock", "5"], "admin token"),
        (&["--duration", "0"], "100 ms"),
        (&["--again", "2"], "again"),
        (&["--report", "/no/such/directory/x.html"], "--report"),
        (&["--server", "https://127.0.0.1:1"], "TLS"),
    ] {
        let ended = bookstore(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(word), "{args:?}: {}", ended.err);
    }
}

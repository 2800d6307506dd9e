use crate::support::{Dir, TIMEOUT};
use bookstore::core::BookId;
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

#[test]
fn it_says_where_it_listens_serves_and_stops_in_good_order() {
    let dir = Dir::new();
    let server = dir.monolith();
    server.ready();
    assert!(server.url.starts_with("http://127.0.0.1:"));
    assert!(server.get("/search/distributed%20systems").contains("RPCs for Noobs"));
    assert!(server.get("/livez").starts_with("HTTP/1.1 200"));
    let metrics = server.get("/metrics");
    assert!(metrics.contains("bookstore_http_request_duration_seconds_bucket"), "{metrics}");
    assert!(metrics.contains("bookstore_batch_commands_bucket{le=\"1024\"}"), "{metrics}");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_says_what_its_metrics_are() {
    let dir = Dir::new();
    let catalog = dir.serve(&["catalog", "--sample"]);
    let order = dir.serve(&["order", "--catalog", &catalog.url]);
    let frontend = dir.serve(&["frontend", "--catalog", &catalog.url, "--order", &order.url]);
    frontend.ready();
    let shop = frontend.shop();
    for _ in 0..2 {
        shop.info(BookId(1)).await.unwrap();
        shop.purchase_new(BookId(1), 1).await.unwrap();
    }
    for (server, one_of_them) in [
        (&catalog, "bookstore_ledger_writable 1"),
        (&order, "bookstore_copy_lag_entries"),
        (&frontend, "bookstore_cache_hits_total"),
    ] {
        let metrics = server.get("/metrics");
        assert!(metrics.contains(one_of_them), "{metrics}");
        let names = |what: &str| -> BTreeSet<&str> {
            let lines = metrics.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' '));
            lines.map(|(name, _)| name).collect()
        };
        assert_eq!(names("# TYPE "), names("# HELP "));
    }
}

#[test]
fn the_sample_catalogue_is_listed_once_and_only_if_wanted() {
    let dir = Dir::new();
    let books = |dir: &Dir, args: &[&str]| {
        let server = dir.serve(args);
        let topics = dir.run(&["topics", "--json", "--server", &server.url]).ok().json();
        let count: u64 =
            topics["topics"].as_array().unwrap().iter().map(|topic| topic["books"].as_u64().unwrap()).sum();
        assert_eq!(server.stop(), Some(0));
        count
    };
    let first = books(&dir, &["monolith"]);
    assert!(first > 300);
    assert_eq!(books(&dir, &["monolith"]), first);
    assert_eq!(books(&Dir::new(), &["monolith", "--no-sample"]), 0);
    assert_eq!(books(&Dir::new(), &["monolith", "--store", "memory:"]), first);
}

#[test]
fn a_second_process_on_the_same_file_is_refused() {
    let dir = Dir::new();
    let _server = dir.monolith();
    dir.run(&["monolith", "--listen", "127.0.0.1:0"]).failed(1, &["bookstore.db", "in use by another process"]);
    dir.write("books.jsonl", r#"{"title":"a","topic":"b","price":"1.00","stock":1}"#);
    dir.run(&["import", "books.jsonl"]).failed(1, &["in use", "--server URL"]);
}

#[test]
fn strange_files_are_refused_and_left_alone() {
    let dir = Dir::new();
    let serve = |store: &str| dir.run(&["catalog", "--listen", "127.0.0.1:0", "--store", store]);
    let text = "Dear diary, ".repeat(1000);
    dir.write("diary.db", &text);
    serve("sqlite:diary.db").failed(1, &["diary.db", "not a bookstore"]);
    assert_eq!(fs::read_to_string(dir.path("diary.db")).unwrap(), text);
    serve("sqlite:no/such/directory/shop.db").failed(1, &["no/such/directory/shop.db"]);
    fs::create_dir(dir.path("directory.db")).unwrap();
    serve("sqlite:directory.db").failed(1, &["directory.db"]);
}

#[test]
fn a_damaged_file_is_refused() {
    let dir = Dir::new();
    assert_eq!(dir.serve(&["catalog", "--sample"]).stop(), Some(0));
    let mut bytes = fs::read(dir.path("catalog.db")).unwrap();
    bytes[100..3000].fill(0x5a);
    dir.write("catalog.db", bytes);
    dir.run(&["catalog", "--listen", "127.0.0.1:0"]).failed(1, &["catalog.db"]);
    dir.run(&["audit", "--store", "sqlite:catalog.db"]).failed(1, &["catalog.db"]);
}

#[test]
fn a_newer_file_is_refused() {
    let dir = Dir::new();
    assert_eq!(dir.serve(&["catalog"]).stop(), Some(0));
    // The user version of a SQLite file: four bytes at offset 60 of its header.
    let mut bytes = fs::read(dir.path("catalog.db")).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    dir.write("catalog.db", bytes);
    let says = ["catalog.db", "schema version 99", "use the newer program"];
    dir.run(&["catalog", "--listen", "127.0.0.1:0"]).failed(1, &says);
    dir.run(&["backup", "copy.db", "--store", "sqlite:catalog.db"]).failed(1, &says);
}

#[test]
fn a_ledger_is_no_copy_and_a_copy_no_ledger() {
    let dir = Dir::new();
    let catalog = dir.serve(&["catalog"]);
    dir.run(&["order", "--listen", "127.0.0.1:0", "--catalog", &catalog.url, "--store", "sqlite:catalog.db"])
        .failed(1, &["catalog.db", "in use"]);
    let order = dir.serve(&["order", "--catalog", &catalog.url]);
    order.ready();
    let url = catalog.url.clone();
    assert_eq!((order.stop(), catalog.stop()), (Some(0), Some(0)));
    dir.run(&["order", "--listen", "127.0.0.1:0", "--catalog", &url, "--store", "sqlite:catalog.db"])
        .failed(1, &["it holds a ledger, not a copy"]);
    dir.run(&["catalog", "--listen", "127.0.0.1:0", "--store", "sqlite:orders.db"])
        .failed(1, &["it holds a copy, not a ledger"]);
}

#[test]
fn readiness_follows_the_servers_behind() {
    let dir = Dir::new();
    let mut catalog = dir.serve(&["catalog"]);
    let order = dir.serve(&["order", "--catalog", &catalog.url]);
    let frontend = dir.serve(&["frontend", "--catalog", &catalog.url, "--order", &order.url]);
    frontend.ready();
    order.ready();
    catalog.kill();
    let until = Instant::now() + TIMEOUT;
    while frontend.get("/readyz").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < until, "a frontend without a catalog is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(order.get("/readyz").starts_with("HTTP/1.1 200"), "an order server reads on from its copy");
    catalog.restart();
    frontend.ready();
    let late = dir.serve(&["order", "--catalog", "http://127.0.0.1:1", "--store", "memory:"]);
    assert!(late.get("/readyz").contains("caught up"));
}

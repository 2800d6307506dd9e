//! Who an order is for, on the command line, in logs and in files.

use crate::support::{Dir, SERVER_TOKEN, Server, TIMEOUT};
use std::time::{Duration, Instant};

const ADMIN: [&str; 2] = ["--admin-token-file", "admin.token"];
/// In every text that is given, and nowhere else.
const SECRET: &str = "Qwertz";

/// The servers of a shop with one order server, each with its log as loud as it gets.
fn spread(dir: &Dir) -> [Server; 3] {
    let loud = ["--log", "trace", "--server-token-file", "server.token"];
    let catalog = dir.serve(&[&["catalog", "--sample", "--contact", "optional"], &loud[..]].concat());
    let order = dir.serve(&[&["order", "--catalog", &catalog.url], &loud[..]].concat());
    let frontend = ["frontend", "--catalog", &catalog.url, "--order", &order.url];
    let frontend = dir.serve(&[&frontend[..], &loud[..], &ADMIN[..]].concat());
    order.ready();
    frontend.ready();
    [catalog, order, frontend]
}

fn texts() -> [String; 8] {
    let of = |text: &str| format!("{SECRET} {text}");
    [
        "--contact-name".into(),
        of("Roe"),
        "--contact-email".into(),
        format!("{SECRET}@example.org"),
        "--contact-address".into(),
        of("12 Main St"),
        "--contact-note".into(),
        of("gift"),
    ]
}

#[test]
fn a_contact_is_given_shown_changed_and_erased_through_every_server_and_never_logged() {
    let dir = Dir::new();
    let servers = spread(&dir);
    let url = servers[2].url.clone();
    let run = |args: &[&str]| dir.run(&[args, &["--server", &url]].concat());
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bought = run(&[&["buy", "3", "--json"], &texts[..]].concat()).ok();
    assert!(!bought.out.contains(SECRET), "an order does not show it: {bought:?}");
    let id = bought.json()["id"].as_str().unwrap().to_owned();
    let shown = run(&["contact", &id]).ok().out;
    assert!(shown.matches(SECRET).count() == 4 && shown.contains("12 Main St"), "{shown}");
    assert_eq!(run(&["contact", &id, "--json"]).ok().json()["name"], format!("{SECRET} Roe"));

    let changed = format!("{SECRET} Doe");
    run(&["contact", &id, "--contact-name", &changed]).ok();
    // The order server's copy takes contacts over by and by.
    let asked = Instant::now();
    while !run(&[&["orders", "--contact", &changed.to_lowercase()][..], &ADMIN].concat()).ok().out.contains(&id) {
        assert!(asked.elapsed() < TIMEOUT, "the order is not found by its name");
    }
    let none = run(&[&["orders", "--contact", "Nobody"][..], &ADMIN].concat()).ok();
    assert!(none.out.contains("No such orders"), "{none:?}");
    let shown = run(&["contact", &id]).ok().out;
    assert!(shown.contains(&changed) && !shown.contains("12 Main St"), "the whole contact: {shown}");
    run(&["contact", &id, "--contact-email", SECRET]).failed(1, &["email"]);
    let page = servers[2].get(&format!("/orders/{id}"));
    assert!(!page.contains(SECRET), "JSON does not show it: {page}");

    let held = run(&[&["hold", "3", "--json"], &texts[..], &ADMIN].concat()).ok().json();
    let held = held["id"].as_str().unwrap().to_owned();
    run(&[&["fulfil", &id][..], &ADMIN].concat()).ok();
    run(&["erase-contact", &id]).failed(1, &["handed over"]);
    for id in [&id, &held] {
        run(&[&["erase-contact", id][..], &ADMIN].concat()).ok();
        assert!(run(&["contact", id]).ok().out.contains("no contact"));
        assert!(run(&[&["erase-contact", id][..], &ADMIN].concat()).ok().out.contains("no contact before"));
    }
    run(&[&["contact", &id, "--contact-name", &changed][..], &ADMIN].concat()).failed(1, &["erased"]);

    let [catalog, order, frontend] = &servers;
    for server in [catalog, order, frontend] {
        let log = server.log();
        assert!(!log.is_empty() && !log.contains(SECRET), "the log of {}: {log}", server.url);
    }
    for server in servers {
        assert_eq!(server.stop(), Some(0));
    }
    for name in ["catalog.db", "orders.db"] {
        let file = std::fs::read(dir.path(name)).unwrap();
        let found = file.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!found, "{name} still has it");
    }
    let audit = ["audit", "--store", "sqlite:catalog.db", "--copy", "sqlite:orders.db"];
    dir.run(&audit).ok();
}

#[test]
fn a_shop_keeps_contacts_only_if_it_is_told_to() {
    let dir = Dir::new();
    let shop = dir.monolith();
    let buy = |args: &[&str], url: &str| dir.run(&[&["buy", "3"], args, &["--server", url]].concat());
    buy(&["--contact-name", "Ada"], &shop.url).failed(1, &["contact", "keeps no contacts"]);
    buy(&[], &shop.url).ok();
    drop(shop);
    let shop = dir.serve(&["monolith", "--contact", "required", "--contacts-keep", "90"]);
    buy(&[], &shop.url).failed(1, &["contact", "needs a name"]);
    buy(&["--contact-name", "Ada"], &shop.url).ok();
    dir.run(&["monolith", "--contacts-keep", "0"]).failed(2, &["--contacts-keep"]);
}

#[test]
fn a_contact_survives_a_kill() {
    let dir = Dir::new();
    let mut shop = dir.serve(&["monolith", "--contact", "optional"]);
    let bought = dir.run(&["buy", "3", "--contact-name", "Ada Roe", "--json", "--server", &shop.url]).ok().json();
    let id = bought["id"].as_str().unwrap();
    dir.run(&["contact", id, "--contact-name", "Ada Lovelace", "--server", &shop.url]).ok();
    shop.kill();
    shop.restart();
    let shown = dir.run(&["contact", id, "--server", &shop.url]).ok().out;
    assert!(shown.contains("Ada Lovelace"), "{shown}");
}

/// What a server answers to another one.
fn as_server(server: &Server, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SERVER_TOKEN}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_promoted_copy_has_contacts_and_only_servers_get_them() {
    let dir = Dir::new();
    let [catalog, order, frontend] = spread(&dir);
    let name = format!("{SECRET} Roe");
    let bought = ["buy", "3", "--contact-name", &name, "--json", "--server", &frontend.url];
    let id = dir.run(&bought).ok().json()["id"].as_str().unwrap().to_owned();
    let until = Instant::now() + TIMEOUT;
    while !as_server(&order, "/v1/contacts?after=0&limit=10").contains(&name) {
        assert!(Instant::now() < until, "the copy has no contact: {}", order.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for server in [&catalog, &order] {
        let stranger = server.get("/v1/contacts?after=0&limit=10");
        assert!(stranger.starts_with("HTTP/1.1 401") && !stranger.contains(SECRET), "{stranger}");
        assert!(!server.log().contains(SECRET), "the log of {}", server.url);
    }
    drop(catalog);
    let promote = ["promote", "--copy", &order.url, "--server-token-file", "server.token", "--store", "sqlite:new.db"];
    dir.run(&promote).ok();
    drop([order, frontend]);
    let shop = dir.serve(&["monolith", "--store", "sqlite:new.db"]);
    let shown = dir.run(&["contact", &id, "--server", &shop.url]).ok().out;
    assert!(shown.contains(&name), "{shown}");
}

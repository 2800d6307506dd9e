//! The catalog's disk is lost: an order server's copy becomes the ledger, and the old catalog comes back beside it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::support::{Dir, Ended, Server, TIMEOUT};

const TOKEN: [&str; 2] = ["--server-token-file", "server.token"];

/// A catalog at two possible addresses, two order servers, of which one stops to follow, and a frontend.
struct Shop {
    dir: Dir,
    catalog: Server,
    orders: [Server; 2],
    frontend: Server,
    /// Where the promoted catalog is going to listen.
    spare: String,
}

impl Shop {
    fn new() -> Self {
        let dir = Dir::new();
        let catalog = dir.serve(&[&["catalog", "--sample"], &TOKEN[..]].concat());
        // An address that nothing listens on yet.
        let spare = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let spare = format!("http://{spare}");
        let catalogs = format!("{},{spare}", catalog.url);
        let order = |store: &str| {
            dir.serve(&[&["order", "--catalog", &catalogs, "--ack", "copied", "--store", store], &TOKEN[..]].concat())
        };
        let orders = [order("sqlite:orders-1.db"), order("sqlite:orders-2.db")];
        let both = format!("{},{}", orders[0].url, orders[1].url);
        let frontend = ["frontend", "--catalog", &catalogs, "--order", &both, "--admin-token-file", "admin.token"];
        let frontend = dir.serve(&[&frontend[..], &TOKEN[..]].concat());
        frontend.ready();
        // Enough for every purchase until something happens.
        dir.run(&["restock", "3", "10000", "--server", &frontend.url, "--admin-token-file", "admin.token"]).ok();
        Self { dir, catalog, orders, frontend, spare }
    }

    fn buy(&self) -> Ended {
        self.dir.run(&["buy", "3", "--timeout", "5", "--server", &self.frontend.url])
    }

    fn copies(&self) -> [&str; 2] {
        [&self.orders[0].url, &self.orders[1].url]
    }

    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let until = Instant::now() + TIMEOUT;
        while !is(self) {
            assert!(Instant::now() < until, "{what}: {} {}", self.orders[0].log(), self.orders[1].log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn promote(&self, more: &[&str]) -> Ended {
        let copies = self.copies();
        self.dir
            .run(&[&["promote", "--copy", copies[0], copies[1], "--store", "sqlite:new.db"], &TOKEN[..], more].concat())
    }
}

#[test]
fn a_copy_takes_over_and_the_old_catalog_stops_when_it_comes_back() {
    let mut shop = Shop::new();
    for _ in 0..4 {
        shop.buy().ok();
    }
    let [first, second] = shop.copies();
    let audit = ["audit", "--store", &shop.catalog.url, "--copy", first, "--copy", second];
    let audit = shop.dir.run(&[&audit[..], &TOKEN[..]].concat());
    let out = audit.ok().out;
    assert!(out.contains("Orders") && out.contains("Every promise is kept"), "{out}");

    shop.catalog.kill();
    let out = shop.promote(&[]).ok().out;
    assert!(out.contains("Timeline") && out.contains("entries"), "{out}");
    shop.promote(&[]).failed(1, &["exists already"]);
    let listen = shop.spare.strip_prefix("http://").unwrap();
    let new = &[&["catalog", "--store", "sqlite:new.db", "--listen", listen], &TOKEN[..]].concat();
    let new = Server::start(&shop.dir.path(""), new);
    shop.until("the shop sells again", |shop| shop.buy().code == Some(0));

    // The old catalog comes back, at its old address, while the shop sells.
    let head = |dir: &Dir| {
        let report = dir.run(&["audit", "--store", "sqlite:catalog.db", "--json"]).ok().json();
        report["entries"].as_u64().unwrap()
    };
    let before = head(&shop.dir);
    shop.catalog.restart();
    shop.until("the old catalog hears of it", |shop| {
        shop.buy().ok();
        shop.catalog.get("/readyz").contains("newer timeline")
    });
    for _ in 0..4 {
        shop.buy().ok();
    }
    assert!(shop.catalog.log().contains("nothing is sold any more"), "{}", shop.catalog.log());
    shop.catalog.kill();
    // Also when it is started again.
    shop.catalog.restart();
    assert!(shop.catalog.get("/readyz").contains("newer timeline"));
    assert_eq!(head(&shop.dir), before, "it sold nothing");

    let [first, second] = shop.copies();
    let audit = [&["audit", "--store", &new.url, "--copy", first, "--copy", second], &TOKEN[..]].concat();
    let out = shop.dir.run(&audit).ok().out;
    assert!(out.contains("Every promise is kept"), "{out}");
    let audit = [&["audit", "--store", &shop.catalog.url, "--copy", first], &TOKEN[..]].concat();
    let report = shop.dir.run(&audit);
    assert!(report.code == Some(1) && report.out.contains("goes on after the ledger's end"), "{report:?}");
}

#[test]
fn what_cannot_be_promoted_is_refused_in_words() {
    let mut shop = Shop::new();
    shop.buy().ok();
    shop.orders[1].kill();
    let lost = shop.orders[1].url.clone();
    shop.promote(&[]).failed(4, &["Nothing was done", &lost, "leave it out"]);
    // The catalog lives: a copy that follows it is no place to go on from.
    let buyers: Vec<_> = (0..2)
        .map(|_| {
            let mut command = shop.dir.command(&[
                "load",
                "--mix",
                "ordering",
                "--duration",
                "6",
                "--clients",
                "2",
                "--server",
                &shop.frontend.url,
            ]);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    shop.until("there are purchases", |shop| {
        let metrics = shop.orders[0].get("/metrics");
        metrics.contains("bookstore_copy_differs 0") && shop.buy().code == Some(0)
    });
    let first = shop.orders[0].url.clone();
    let promote = [&["promote", "--copy", &first, "--store", "sqlite:new.db"], &TOKEN[..]].concat();
    shop.dir.run(&promote).failed(1, &["still follows a catalog"]);
    for mut buyer in buyers {
        buyer.wait().unwrap();
    }
    shop.dir.run(&["promote", "--store", "sqlite:new.db"]).failed(2, &["--copy"]);
    let in_use = ["promote", "--copy", "sqlite:orders-1.db", "--store", "sqlite:new.db"];
    shop.dir.run(&in_use).failed(1, &["in use", "address"]);
    shop.dir.run(&["promote", "--copy", "sqlite:nothing.db", "--store", "sqlite:new.db"]).failed(2, &["no such file"]);
    shop.dir.run(&["promote", "--copy", &first, "--store", "sqlite:new.db"]).failed(1, &["token"]);
    assert!(!fs::exists(shop.dir.path("new.db")).unwrap());
}

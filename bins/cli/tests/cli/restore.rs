//! Operators' ways back to a backup, right and wrong, with the servers of a shop around it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::support::{Dir, Ended, Server, TIMEOUT};

/// A catalog, an order server and a frontend.
struct Shop {
    dir: Dir,
    catalog: Server,
    order: Server,
    frontend: Server,
}

impl Shop {
    fn new() -> Self {
        let dir = Dir::new();
        let catalog = dir.serve(&["catalog", "--sample"]);
        let order = dir.serve(&["order", "--catalog", &catalog.url]);
        let frontend = dir.serve(&["frontend", "--catalog", &catalog.url, "--order", &order.url]);
        frontend.ready();
        Self { dir, catalog, order, frontend }
    }

    fn buy(&self) -> Ended {
        self.dir.run(&["buy", "3", "--timeout", "2", "--server", &self.frontend.url])
    }

    /// Stops the catalog as it is killed, and starts it again after something was done to its files.
    fn restart_catalog_after(&mut self, work: impl FnOnce(&Dir)) {
        self.catalog.signal("TERM");
        assert_eq!(self.catalog.wait(), Some(0));
        work(&self.dir);
        self.catalog.restart();
    }

    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let until = Instant::now() + TIMEOUT;
        while !is(self) {
            assert!(Instant::now() < until, "{what}: {}", self.order.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_backup_in_the_catalog_s_place_sells_nothing_until_it_is_restored() {
    let mut shop = Shop::new();
    shop.buy().ok();
    shop.dir.run(&["backup", "saved.db", "--store", "sqlite:catalog.db"]).ok();
    for _ in 0..2 {
        shop.buy().ok();
    }
    let metric = |shop: &Shop| shop.order.get("/metrics").contains("bookstore_copy_lag_entries 0");
    shop.until("the copy follows", metric);

    shop.restart_catalog_after(|dir| fs::copy(dir.path("saved.db"), dir.path("catalog.db")).map(drop).unwrap());
    // A buyer who stops waiting while the frontend still tries does not learn that nothing happened.
    assert!(matches!(shop.buy().code, Some(3 | 4)), "nothing may be sold");
    shop.until("the order server says why", |shop| {
        let answer = shop.order.get("/readyz");
        answer.starts_with("HTTP/1.1 503") && answer.contains("bookstore restore --replace")
    });
    assert!(matches!(shop.buy().code, Some(3 | 4)), "nothing may be sold");
    assert!(shop.order.log().contains("nothing is sold"), "{}", shop.order.log());

    shop.restart_catalog_after(|dir| {
        let report = dir.run(&["audit", "--store", "sqlite:catalog.db", "--json"]).ok().json();
        assert_eq!(report["orders"], 1, "nothing was sold: {report}");
        dir.run(&["restore", "saved.db", "--store", "sqlite:catalog.db"]).failed(1, &["exists already", "--replace"]);
        let out = dir.run(&["restore", "saved.db", "--store", "sqlite:catalog.db", "--replace"]).ok().out;
        assert!(out.contains("Timeline") && out.contains("catalog.db.replaced-1"), "{out}");
    });
    shop.until("the shop sells again", |shop| shop.buy().code == Some(0));
    shop.until("the copy follows", metric);
    shop.dir
        .run(&["restore", "saved.db", "--store", "sqlite:catalog.db", "--replace"])
        .failed(1, &["in use by another process"]);
    let audit = ["audit", "--store", "sqlite:catalog.db", "--copy", "sqlite:orders.db"];
    let out = shop.dir.run(&audit).ok().out;
    assert!(out.contains("2 entries that the ledger does not have any more; orders: "), "{out}");
    let report = shop.dir.run(&[&audit[..], &["--json"]].concat()).ok().json();
    assert_eq!(report["copies"][0]["set_aside"], 2, "{report}");
    assert_eq!(report["copies"][0]["orders_set_aside"].as_array().map(Vec::len), Some(2), "{report}");
    takes_over(&shop);
}

/// The two orders that the copy has set aside are bought again, once, and are in the shop then.
fn takes_over(shop: &Shop) {
    let take_over = |more: &[&str]| {
        shop.dir.run(&[&["take-over", "--copy", "sqlite:orders.db", "--server", &shop.frontend.url], more].concat())
    };
    let out = take_over(&["--dry-run"]).ok().out;
    assert!(out.contains("2 orders are set aside; nothing was bought"), "{out}");
    for counts in ["2 bought again, 0 were in the ledger already, 0 refused", "0 bought again, 2 were in the ledger"] {
        let out = take_over(&[]).ok().out;
        assert!(out.contains(counts), "{out}");
    }
    let report = shop.dir.run(&["audit", "--store", "sqlite:catalog.db", "--json"]).ok().json();
    let orders = report["orders"].as_u64().unwrap();
    assert!(orders >= 4, "one of the backup, at least one since, and two that were taken over: {report}");
    take_over(&["--copy", "sqlite:catalog.db"]).failed(2, &["--copy"]);
}

#[test]
fn a_drill_disturbs_nobody() {
    let dir = Dir::new();
    let server = dir.monolith();
    dir.run(&["buy", "3", "--server", &server.url]).ok();
    dir.run(&["backup", "saved.db"]).ok();
    let out = dir.run(&["restore", "saved.db", "--store", "sqlite:drill.db"]).ok().out;
    assert!(out.contains("another ledger"), "{out}");
    let out = dir.run(&["audit", "--store", "sqlite:drill.db"]).ok().out;
    assert!(out.contains("Every promise is kept"), "{out}");
    dir.run(&["restore", "nothing.db", "--store", "sqlite:other.db"]).failed(1, &["nothing.db", "no such file"]);
    dir.run(&["restore", "saved.db", "--store", "memory:"]).failed(2, &["memory:"]);
    assert_eq!(server.stop(), Some(0));
}

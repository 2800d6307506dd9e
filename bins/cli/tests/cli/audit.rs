use crate::support::Dir;
use std::fs;

#[test]
fn an_audit_and_a_backup_run_beside_the_server() {
    let dir = Dir::new();
    let catalog = dir.serve(&["catalog", "--sample"]);
    let order = dir.serve(&["order", "--catalog", &catalog.url]);
    let frontend = dir.serve(&["frontend", "--catalog", &catalog.url, "--order", &order.url]);
    frontend.ready();
    let bought = dir.run(&["buy", "1", "-n", "2", "--json", "--server", &frontend.url]).ok().json();
    dir.run(&["buy", "2", "--server", &frontend.url]).ok();
    dir.run(&["cancel", bought["id"].as_str().unwrap(), "--server", &frontend.url]).ok();

    let stores = ["--store", "sqlite:catalog.db", "--copy", "sqlite:orders.db"];
    let shown = dir.run(&[&["audit"], &stores[..]].concat()).ok().out;
    assert!(shown.contains("2, of which 1 cancelled") && shown.contains("Every promise is kept"), "{shown}");
    let report = dir.run(&[&["audit", "--json"], &stores[..]].concat()).ok().json();
    assert_eq!((&report["ok"], &report["orders"], &report["copies_sold"]), (&true.into(), &2.into(), &1.into()));
    assert_eq!(report["copies"][0]["store"], "sqlite:orders.db");

    let out = dir.run(&["backup", "saved.db", "--store", "sqlite:catalog.db"]).ok().out;
    assert!(out.contains("saved.db") && out.contains("bookstore audit --store sqlite:saved.db"), "{out}");
    let before = fs::read(dir.path("saved.db")).unwrap();
    dir.run(&["backup", "saved.db", "--store", "sqlite:catalog.db"]).failed(1, &["saved.db", "exists already"]);
    assert_eq!(fs::read(dir.path("saved.db")).unwrap(), before);
    let saved = dir.run(&["audit", "--json", "--store", "sqlite:saved.db"]).ok().json();
    assert_eq!(saved["entries"], report["entries"]);
}

#[test]
fn what_is_broken_is_named_and_exits_with_1() {
    let dir = Dir::new();
    let server = dir.monolith();
    dir.run(&["buy", "1", "-n", "2", "--server", &server.url]).ok();
    assert_eq!(server.stop(), Some(0));
    dir.run(&["audit"]).ok();
    // The ledger keeps changes as text: sell three copies in the same number of digits.
    let mut bytes = fs::read(dir.path("bookstore.db")).unwrap();
    let sale = b"[[1,-2,3999,18]]";
    let at = bytes.windows(sale.len()).position(|part| part == sale).expect("the sale stands in the file");
    bytes[at + 5] = b'3';
    dir.write("bookstore.db", bytes);
    let ended = dir.run(&["audit"]).failed(1, &[]);
    assert!(ended.out.contains("broken") && ended.out.contains("book 1"), "{ended:#?}");
    let report = dir.run(&["audit", "--json"]).failed(1, &[]).json();
    assert_eq!((&report["ok"], &report["findings_total"]), (&false.into(), &1.into()));
}

#[test]
fn a_copy_of_another_ledger_is_found_out() {
    let dir = Dir::new();
    for (store, copy) in [("sqlite:one.db", "sqlite:copy-one.db"), ("sqlite:two.db", "sqlite:copy-two.db")] {
        let catalog = dir.serve(&["catalog", "--sample", "--store", store]);
        let order = dir.serve(&["order", "--catalog", &catalog.url, "--store", copy]);
        order.ready();
    }
    dir.run(&["audit", "--store", "sqlite:one.db", "--copy", "sqlite:copy-one.db"]).ok();
    let mixed = dir.run(&["audit", "--store", "sqlite:one.db", "--copy", "sqlite:copy-two.db"]).failed(1, &[]);
    assert!(mixed.out.contains("a copy of another ledger"), "{mixed:#?}");
}

#[test]
fn wrong_stores_are_told_apart() {
    let dir = Dir::new();
    dir.run(&["audit"]).failed(1, &["bookstore.db", "no such file"]);
    dir.run(&["audit", "--store", "memory:"]).failed(2, &["memory:"]);
    let catalog = dir.serve(&["catalog"]);
    let order = dir.serve(&["order", "--catalog", &catalog.url]);
    order.ready();
    dir.run(&["audit", "--store", "sqlite:catalog.db", "--copy", "sqlite:./catalog.db"]).failed(2, &["given already"]);
    dir.run(&["audit", "--store", "sqlite:orders.db"]).failed(1, &["give it as --copy"]);
    dir.write("notes.txt", "not a database, but long enough to look like one".repeat(20));
    dir.run(&["audit", "--store", "sqlite:notes.txt"]).failed(1, &["notes.txt", "not a bookstore"]);
}

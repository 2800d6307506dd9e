//! Exports, and that an import of them makes an equal shop.

use crate::support::{Dir, Ended};
use bookstore_core::fixtures::isbn;
use std::fs;

const ADMIN: [&str; 2] = ["--admin-token-file", "admin.token"];
const BOOKS: usize = 3_000;

/// Books of all kinds, as an export has them, so that they are taken in as they are.
fn odd_books() -> String {
    let book = |n: usize| {
        let title = ["Ledgers : a start /", "1984", "=1+1", "A \"quoted\" one", "Café, 書店"][n % 5];
        let mut book = serde_json::json!({
            "title": format!("{title} {n}"),
            "topic": format!("Topic {}", n % 20),
            "price_cents": n * 7,
            "stock": n % 50,
            "on_sale": n % 10 != 3,
        });
        if !n.is_multiple_of(3) {
            book["isbn"] = isbn(n as u64).digits().into();
            book["authors"] = ["Roe, Ada", "Krasno, Jonathan S."].as_slice().into();
            book["author"] = "Roe, Ada; Krasno, Jonathan S.".into();
        }
        if n.is_multiple_of(4) {
            book["subjects"] = ["Science, Medieval", "one; two", "+logs"].as_slice().into();
            book["description"] = format!("-1 first\n\n\"second\" {n}").into();
            book["subtitle"] = "or, the : whale".into();
            book["publisher"] = "@Press; Sons".into();
        }
        if n.is_multiple_of(5) {
            book["sku"] = format!("{n:06}").into();
            book["condition"] = "used-very-good".into();
            book["year"] = 0.into();
        }
        format!("{book}\n")
    };
    (1..=BOOKS).map(book).collect()
}

fn counts(ended: Ended) -> [u64; 5] {
    let result = ended.json();
    ["added", "updated", "unchanged", "conflicting", "broken"].map(|name| result[name].as_u64().unwrap())
}

fn import(dir: &Dir, file: &str, store: &str) -> Ended {
    dir.run(&["import", file, "--json", "--store", store])
}

#[test]
fn what_is_exported_makes_an_equal_shop() {
    let dir = Dir::new();
    dir.write("books.jsonl", odd_books());
    let all = BOOKS as u64;
    assert_eq!(counts(import(&dir, "books.jsonl", "sqlite:first.db").ok()), [all, 0, 0, 0, 0]);
    let export = |store: &str, file: &str| {
        let said = dir.run(&["export", "books", "--output", file, "--store", store]).ok();
        assert!(said.err.ends_with(&format!("{file}: 3,000 books, 300 of them off sale\n")), "{said:?}");
        assert!(said.out.is_empty(), "{said:?}");
        fs::read_to_string(dir.path(file)).unwrap()
    };
    for name in ["csv", "jsonl"] {
        let (file, store) = (format!("first.{name}"), format!("sqlite:{name}.db"));
        let first = export("sqlite:first.db", &file);
        assert_eq!(counts(import(&dir, &file, "sqlite:first.db").ok()), [0, 0, all, 0, 0]);
        assert_eq!(counts(import(&dir, &file, &store).ok()), [all, 0, 0, 0, 0]);
        assert_eq!(counts(import(&dir, &file, &store).ok()), [0, 0, all, 0, 0]);
        if name == "csv" {
            assert!(
                first.contains("2,=1+1 2,") && first.contains(",\"Science, Medieval; one;; two; +logs\","),
                "{first}"
            );
            assert_eq!(export(&store, "again.csv"), first);
        }
    }
    let left = fs::read_dir(dir.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.ends_with(".part")).count(), 0);
}

/// An export of a shop, changed, is what the shop becomes.
#[test]
fn an_update_makes_the_shop_as_the_file_has_it() {
    let dir = Dir::new();
    let table = "title,subtitle,authors,topic,price_cents,stock,on_sale\n\
                 One,first,\"Roe, Ada\",t,100,1,yes\nTwo,,,t,200,2,no\nThree,,,t,300,3,yes\n";
    dir.write("books.csv", table);
    dir.run(&["import", "books.csv"]).ok();
    dir.write(
        "books.csv",
        table.replace("first", "").replace("200,2,no", "200,2,yes").replace("300,3,yes", "300,4,no"),
    );
    let says = ["subtitle \"\" (here \"first\")", "on sale (here not)", "stock 4 (here 3), off sale (here on sale)"];
    dir.run(&["import", "books.csv"]).failed(1, &says);
    assert_eq!(counts(dir.run(&["import", "books.csv", "--update", "--json"]).ok()), [0, 3, 0, 0, 0]);
    assert_eq!(counts(dir.run(&["import", "books.csv", "--json"]).ok()), [0, 0, 3, 0, 0]);
    let exported = dir.run(&["export", "books"]).ok().out;
    assert!(exported.contains("\n3,Three,,,t,,,,,new,,,,,300,4,no\n"), "{exported}");
}

#[test]
fn a_running_shop_is_exported_as_its_store() {
    let dir = Dir::new();
    let shop = dir.serve(&["monolith", "--admin-token-file", "admin.token", "--contact", "optional"]);
    let run = |args: &[&str]| dir.run(&[args, &["--server", &shop.url]].concat());
    run(&[&["withdraw", "5"][..], &ADMIN].concat()).ok();
    run(&["buy", "3", "-n", "2", "--reference", "=HYPERLINK(1)", "--contact-name", "+Ada"]).ok();
    let held = run(&[&["hold", "4", "--json", "--seconds", "600"][..], &ADMIN].concat()).ok().json();
    let books = run(&["export", "books"]).ok();
    assert!(books.err.contains("322 books, 1 of them off sale"), "{}", books.err);
    assert_eq!(dir.run(&["export", "books"]).ok().out, books.out, "beside the server");
    let orders = ["export", "orders", "--contacts"];
    run(&orders).failed(2, &["--admin-token-file"]);
    let orders = [&orders[..], &ADMIN].concat();
    let exported = run(&orders).ok();
    assert!(exported.err.contains("2 orders, 2 lines"), "{}", exported.err);
    let rows: Vec<&str> = exported.out.lines().collect();
    assert!(
        rows[0].starts_with("order,status,placed_at,reference,book,title,")
            && rows[0].ends_with(",name,email,address,note")
    );
    assert!(rows[1].starts_with(held["id"].as_str().unwrap()) && rows[1].contains(",held,"), "newest first: {rows:?}");
    assert!(
        rows[2].contains(",'=HYPERLINK(1),3,Xen and the Art of Surviving Undergraduate School,2,0,")
            && rows[2].ends_with(",'+Ada,,,"),
        "{rows:?}"
    );
    assert_eq!(dir.run(&["export", "orders", "--contacts"]).ok().out, exported.out, "beside the server");
    let plain = run(&[&["export", "orders", "--jsonl"][..], &ADMIN].concat()).ok().out;
    assert!(
        plain.contains("\"title\":\"Xen and the Art of Surviving Undergraduate School\"") && !plain.contains("Ada"),
        "{plain}"
    );
}

#[test]
fn an_export_is_whole_or_not_there() {
    let dir = Dir::new();
    dir.write("books.csv", "kept");
    dir.run(&["export", "books", "--output", "books.csv"]).failed(1, &["there is no such file"]);
    dir.run(&["export", "books", "--output", "books.csv", "--server", "http://127.0.0.1:1", "--store", "sqlite:x.db"])
        .failed(2, &["not both"]);
    dir.run(&["export", "books", "--contacts"]).failed(2, &["for orders"]);
    dir.run(&["export", "books", "--output", "books.csv.gz"]).failed(2, &["gzip"]);
    dir.write("one.csv", "title,topic,price,stock\na,t,1,1\n");
    dir.run(&["import", "one.csv"]).ok();
    dir.run(&["export", "books", "--output", "."]).failed(2, &["is no file"]);
    dir.run(&["export", "books", "--output", "nowhere/books.csv"]).failed(2, &["nowhere"]);
    assert_eq!(fs::read_to_string(dir.path("books.csv")).unwrap(), "kept");
    // It is damaged.
    let store = rusqlite::Connection::open(dir.path("bookstore.db")).unwrap();
    store.execute("UPDATE entry_text SET text = '{}'", ()).unwrap();
    let damaged = ["export", "books", "--output", "books.csv"];
    dir.run(&damaged).failed(1, &["cut off after 0 books", "as it was"]);
    assert_eq!(fs::read_to_string(dir.path("books.csv")).unwrap(), "kept");
    let parts = fs::read_dir(dir.path("")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(parts.count(), 0);
}

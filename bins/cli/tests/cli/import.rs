use crate::support::{Dir, TIMEOUT};
use bookstore_core::fixtures::isbn;
use flate2::{Compression, write::GzEncoder};
use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

fn lines(count: usize) -> String {
    let line = |n: usize| {
        format!(
            "{{\"title\":\"Book {n}\",\"author\":\"Roe, Ada\",\"topic\":\"Topic {}\",\"isbn13\":\"{}\",\"price_cents\":1999,\"stock\":5}}\n",
            n % 20,
            isbn(n as u64).digits()
        )
    };
    (0..count).map(line).collect()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn twice_is_once() {
    let dir = Dir::new();
    dir.write("books.jsonl.gz", gzipped(&lines(2500)));
    let first = dir.run(&["import", "books.jsonl.gz", "--json"]).ok().json();
    assert_eq!((&first["added"], &first["unchanged"], &first["broken"]), (&2500.into(), &0.into(), &0.into()));
    let again = dir.run(&["import", "books.jsonl.gz"]).ok().out;
    assert!(again.starts_with("0 added, 0 updated, 2,500 unchanged, 0 conflicting, 0 broken in "), "{again}");
    let audit = dir.run(&["audit", "--json"]).ok().json();
    assert_eq!((&audit["books"], &audit["entries"]), (&2500.into(), &2500.into()));
}

#[test]
fn cut_off_by_kill_9_it_is_run_again() {
    cut_off_when_it_has_a_megabyte(30_000, "bookstore.db-wal");
}

#[test]
fn cut_off_while_the_wal_is_moved_into_the_database_it_is_run_again() {
    cut_off_when_it_has_a_megabyte(80_000, "bookstore.db");
}

/// Kills an import once one of its files has a megabyte; on a busy machine it may have ended by then, and a longer one is killed.
fn cut_off_when_it_has_a_megabyte(books: usize, file: &str) {
    let was_cut_off = (0..4).any(|nth| is_cut_off(books << nth, file));
    assert!(was_cut_off, "every import ended before it was killed");
}

/// Whether it was killed in time; if so, running it again completes it.
fn is_cut_off(books: usize, file: &str) -> bool {
    let dir = Dir::new();
    dir.write("books.jsonl", lines(books));
    let mut child = dir.command(&["import", "books.jsonl"]).spawn().unwrap();
    let until = Instant::now() + TIMEOUT;
    while fs::metadata(dir.path(file)).map_or(0, |meta| meta.len()) < 1_000_000 {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < until, "the import ended without a megabyte");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    if child.wait().unwrap().success() {
        return false;
    }
    let again = dir.run(&["import", "books.jsonl", "--json"]).ok().json();
    let (listed, known) = (again["added"].as_u64().unwrap(), again["unchanged"].as_u64().unwrap());
    if listed == 0 {
        return false;
    }
    assert!(known > 0, "it was cut off half-way: {again}");
    assert_eq!(listed + known, books as u64);
    assert_eq!(dir.run(&["audit", "--json"]).ok().json()["books"], books);
    true
}

#[test]
fn a_broken_line_stops_everything_unless_it_may_be_skipped() {
    let dir = Dir::new();
    let mut text = lines(1500);
    text.push_str("{\"title\":\"no topic\"}\nnonsense\n");
    text.push_str(&lines(1600));
    dir.write("books.jsonl", text);
    let says =
        ["line 1501: topic is missing", "line 1502: ", "2 lines are broken", "nothing was imported", "--on-error skip"];
    dir.run(&["import", "books.jsonl"]).failed(1, &says);
    assert!(!dir.path("bookstore.db").exists(), "not even a store is made");
    let skipped = dir.run(&["import", "books.jsonl", "--on-error", "skip", "--json"]);
    let skipped = skipped.failed(1, &["line 1501", "line 1502"]).json();
    assert_eq!(
        (&skipped["added"], &skipped["conflicting"], &skipped["broken"]),
        (&1600.into(), &1500.into(), &2.into())
    );
}

#[test]
fn a_table_becomes_books() {
    let dir = Dir::new();
    let table = "title,author,topic,isbn,year,subjects,price_cents,stock\n\
                 Ledgers,\"Roe, Ada\",Accounting,978-0-00-000000-2,1999,Books; Keeping,1234,7\n\
                 \"A \"\"quoted\"\" one\",,Accounting,,,,,\n";
    dir.write("books.csv", table);
    dir.run(&["import", "books.csv"]).failed(1, &["line 3: price is missing", "nothing was imported"]);
    let out = dir.run(&["import", "books.csv", "--store", "sqlite:shop.db", "--fill-in"]).ok().out;
    assert!(out.starts_with("2 added, 0 updated, 0 unchanged, 0 conflicting, 0 broken in "), "{out}");
    let server = dir.serve(&["monolith", "--store", "sqlite:shop.db"]);
    let book = dir.run(&["info", "1", "--json", "--server", &server.url]).ok().json();
    assert_eq!(
        (&book["isbn"], &book["price_cents"], &book["stock"]),
        (&"9780000000002".into(), &1234.into(), &7.into())
    );
    let found = dir.run(&["search", "keeping", "--server", &server.url]).ok().out;
    assert!(found.contains("Ledgers"), "{found}");
    let derived = dir.run(&["info", "2", "--json", "--server", &server.url]).ok().json();
    assert!(derived["price_cents"].as_u64() >= Some(499) && derived["stock"].as_u64() >= Some(1), "{derived}");
}

#[test]
fn a_running_shop_is_filled_through_its_admin() {
    let dir = Dir::new();
    let server = dir.serve(&["monolith", "--no-sample", "--admin-token-file", "admin.token"]);
    dir.write("books.jsonl", lines(2100));
    let import = ["import", "books.jsonl", "--server", &server.url];
    dir.run(&import).failed(2, &["--admin-token-file FILE"]);
    let admin = [&import[..], &["--admin-token-file", "admin.token"]].concat();
    assert!(dir.run(&admin).ok().out.starts_with("2,100 added"));
    assert!(dir.run(&admin).ok().out.contains("2,100 unchanged"));
    let both = [&admin[..], &["--store", "sqlite:x.db"]].concat();
    dir.run(&both).failed(2, &["not both"]);
    let off = dir.serve(&["monolith", "--store", "memory:"]);
    let closed = ["import", "books.jsonl", "--server", &off.url, "--admin-token-file", "admin.token"];
    dir.run(&closed).failed(1, &["admin is off"]);
}

#[test]
fn wrong_files_are_refused_and_make_no_store() {
    let dir = Dir::new();
    dir.run(&["import", "nowhere.csv"]).failed(2, &["nowhere.csv", "No such file"]);
    dir.write("books.xlsx", "x");
    dir.run(&["import", "books.xlsx", "--on-error", "skip"])
        .failed(2, &["must end in .csv, .tsv, .txt, .jsonl or .jsonl.gz"]);
    assert!(!dir.path("bookstore.db").exists());
    dir.write("cut.jsonl.gz", &gzipped(&lines(3000))[..2000]);
    dir.run(&["import", "cut.jsonl.gz"]).failed(1, &["cannot be read on", "nothing was imported"]);
}

fn counts(result: &serde_json::Value) -> [u64; 5] {
    ["added", "updated", "unchanged", "conflicting", "broken"].map(|name| result[name].as_u64().unwrap())
}

const SHOP: &str = "title,author,topic,isbn,year,price,stock\n\
                    Ledgers,Ada Roe,Accounting,9780306406157,1999,19.99,5\n\
                    Queues,Bob Doe,Traffic,,2004,7.50,3\n";

#[test]
fn nothing_vanishes() {
    let dir = Dir::new();
    dir.write("shop.csv", SHOP);
    assert_eq!(counts(&dir.run(&["import", "shop.csv", "--json"]).ok().json()), [2, 0, 0, 0, 0]);
    // Another spelling, another price; another text; a new book, and it again.
    let other = "title,author,topic,isbn,year,price,stock\n\
                 Ledgers,\"Roe, Ada\",Accounting,0-306-40615-2,1999,24.99,5\n\
                 Queues,Bob Doe,Waiting,,2004,7.50,3\n\
                 Used,Eve Poe,Misc,978-0-13-110362-7,,1,1\n\
                 Used,Eve Poe,Misc,0131103628,,2,1\n";
    dir.write("other.csv", other);
    let named = [
        "line 2: book 1 is kept as it is: price $24.99 (here $19.99); --update takes it over",
        "line 3: book 2 is kept as it is: topic \"Waiting\" (here \"Traffic\"); --update takes it over\n",
        "line 5: ISBN 978-0-13-110362-7 is in line 4, too; that one counts",
    ];
    let dry = dir.run(&["import", "other.csv", "--json", "--dry-run"]).failed(1, &named).json();
    assert_eq!(counts(&dry), [1, 0, 0, 3, 0]);
    let kept = dir.run(&["import", "other.csv", "--json"]).failed(1, &named).json();
    assert_eq!(counts(&kept), [1, 0, 0, 3, 0], "as the dry run has said");
    let dry = dir.run(&["import", "other.csv", "--update", "--dry-run", "--json"]).failed(1, &named[2..]).json();
    assert_eq!(counts(&dry), [0, 2, 1, 1, 0]);
    let updated = dir.run(&["import", "other.csv", "--update", "--json"]).failed(1, &named[2..]).json();
    assert_eq!(counts(&updated), [0, 2, 1, 1, 0]);
    let back = dir.run(&["import", "shop.csv", "--update"]).ok().out;
    assert!(back.starts_with("0 added, 2 updated, 0 unchanged, 0 conflicting"), "{back}");
    assert_eq!(dir.run(&["audit", "--json"]).ok().json()["books"], 3);
}

/// A line as it was before a correction finds the corrected book, and so it does when that is off sale.
#[test]
fn what_a_book_was_called_before_is_known() {
    let dir = Dir::new();
    dir.write("shop.csv", SHOP);
    dir.run(&["import", "shop.csv"]).ok();
    let server = dir.serve(&["monolith", "--store", "sqlite:bookstore.db", "--admin-token-file", "admin.token"]);
    let shop = ["--server", &server.url, "--admin-token-file", "admin.token"];
    dir.run(&[&["edit", "2", "--title", "The Queue"][..], &shop].concat()).ok();
    dir.run(&[&["withdraw", "2"][..], &shop].concat()).ok();
    let named = ["book 2 is kept as it is: title \"Queues\" (here \"The Queue\"); --update takes it over"];
    for dry_run in [&["--dry-run"][..], &[]] {
        let import = [&["import", "shop.csv", "--json"][..], &shop, dry_run].concat();
        assert_eq!(counts(&dir.run(&import).failed(1, &named).json()), [0, 0, 1, 1, 0]);
    }
    let updated = dir.run(&[&["import", "shop.csv", "--json", "--update"][..], &shop].concat()).ok().json();
    assert_eq!(counts(&updated), [0, 1, 1, 0, 0]);
    let book = dir.run(&["info", "2", "--json", "--server", &server.url]).ok().json();
    assert_eq!((&book["title"], &book["on_sale"]), (&"Queues".into(), &false.into()));
}

#[test]
fn a_stock_is_set_under_the_version_that_was_read() {
    let dir = Dir::new();
    let server = dir.serve(&["monolith", "--no-sample", "--admin-token-file", "admin.token"]);
    dir.write("shop.csv", SHOP);
    let import =
        ["import", "shop.csv", "--update", "--json", "--server", &server.url, "--admin-token-file", "admin.token"];
    assert_eq!(counts(&dir.run(&import).ok().json()), [2, 0, 0, 0, 0]);
    dir.run(&["buy", "1", "--server", &server.url]).ok();
    assert_eq!(counts(&dir.run(&import).ok().json()), [0, 1, 1, 0, 0]);
    let book = dir.run(&["info", "1", "--json", "--server", &server.url]).ok().json();
    assert_eq!((&book["stock"], &book["price_cents"], &book["version"]), (&5.into(), &1999.into(), &4.into()));
    let shown = dir.run(&["info", "1", "--server", &server.url]).ok().out;
    assert!(shown.contains("978-0-306-40615-7"), "{shown}");
}

#[test]
fn a_dry_run_makes_no_store() {
    let dir = Dir::new();
    dir.write("shop.csv", SHOP);
    let out = dir.run(&["import", "shop.csv", "--dry-run"]).ok().out;
    assert!(out.starts_with("Nothing was changed. The import would come to: 2 added"), "{out}");
    assert!(!dir.path("bookstore.db").exists());
}

#[test]
fn columns_are_named_or_left_out() {
    let dir = Dir::new();
    dir.write("shop.csv", "Title;Shelf;Cost;Notes\nLedgers;A1;29,99 €;x\n");
    dir.run(&["import", "shop.csv"])
        .failed(1, &["the header line has no topic", "--map topic=COLUMN", "it has: Title, Shelf"]);
    let mapped = ["import", "shop.csv", "--map", "topic=Shelf", "--map", "price=Cost", "--default-stock", "2"];
    let mapped = [&mapped[..], &["--currency", "EUR"]].concat();
    dir.run(&mapped).failed(1, &["line 1: not used: Notes", "--ignore-columns", "nothing was imported"]);
    dir.run(&[&mapped[..], &["--on-error", "skip"]].concat()).failed(1, &["not used: Notes", "nothing was imported"]);
    assert!(!dir.path("bookstore.db").exists());
    let out = dir.run(&[&mapped[..], &["--ignore-columns"]].concat()).ok().out;
    assert!(out.starts_with("1 added"), "{out}");
    dir.run(&["import", "shop.csv", "--map", "colour=Cost"]).failed(2, &["\"colour\" is no field of a book"]);
    dir.run(&["import", "shop.csv", "--map", "price"]).failed(2, &["FIELD=COLUMN"]);
}

#[test]
fn a_price_that_may_be_a_slip_is_taken_with_yes_only() {
    let dir = Dir::new();
    dir.write("shop.csv", SHOP);
    dir.run(&["import", "shop.csv"]).ok();
    dir.write("slips.csv", SHOP.replace("19.99", "1999").replace("7.50", "0") + "Free,Eve Poe,Misc,,,0.00,1\n");
    let named = [
        "line 2: book 1 is kept as it is: price $1,999.00 (here $19.99), a price that changes by more than a factor of 5",
        "line 3: \"Queues\" of this author, year and condition has a price of 0, and is left out; --yes takes it",
        "line 4: \"Free\" of this author",
    ];
    for dry_run in [&["--dry-run"][..], &[]] {
        let import = [&["import", "slips.csv", "--update", "--json"][..], dry_run].concat();
        assert_eq!(counts(&dir.run(&import).failed(1, &named).json()), [0, 0, 0, 3, 0]);
    }
    let taken = dir.run(&["import", "slips.csv", "--update", "--yes", "--json"]).ok().json();
    assert_eq!(counts(&taken), [1, 2, 0, 0, 0]);
    dir.write("back.csv", SHOP);
    let back = dir.run(&["import", "back.csv", "--update", "--yes"]).ok().out;
    assert!(back.starts_with("0 added, 2 updated"), "{back}");
}

#[test]
fn a_new_store_gets_the_currency_that_is_given() {
    let dir = Dir::new();
    dir.write("shop.csv", "title,topic,price,stock\nLedgers,t,1.500,1\n");
    dir.run(&["import", "shop.csv", "--dry-run", "--currency", "USD"]).failed(1, &["can be read in two ways"]);
    dir.run(&["import", "shop.csv", "--currency", "KWD"]).ok();
    let server = dir.serve(&["monolith", "--store", "sqlite:bookstore.db", "--admin-token-file", "admin.token"]);
    let card = dir.run(&["info", "1", "--server", &server.url]).ok().out;
    assert!(card.contains("KWD 1.500"), "{card}");
    // A running shop says its currency.
    dir.write("more.csv", "title,topic,price,stock\nQueues,t,KWD 2.250,1\n");
    let import = ["import", "more.csv", "--server", &server.url, "--admin-token-file", "admin.token"];
    dir.run(&[&import[..], &["--currency", "USD"]].concat()).failed(1, &["KWD", "USD"]);
    dir.run(&import).ok();
    let book = dir.run(&["info", "2", "--json", "--server", &server.url]).ok().json();
    assert_eq!(book["price_cents"], 2250);
}

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
            "{{\"title\":\"Book {n}\",\"author\":\"Roe, Ada\",\"topic\":\"Topic {}\",\"isbn13\":\"{}\"}}\n",
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
    assert_eq!((&first["listed"], &first["known"], &first["broken"]), (&2500.into(), &0.into(), &0.into()));
    let again = dir.run(&["import", "books.jsonl.gz"]).ok().out;
    assert!(again.contains("0 books listed") && again.contains("2,500 listed before"), "{again}");
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
    let (listed, known) = (again["listed"].as_u64().unwrap(), again["known"].as_u64().unwrap());
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
    assert_eq!((&skipped["listed"], &skipped["known"], &skipped["broken"]), (&1600.into(), &1500.into(), &2.into()));
}

#[test]
fn a_table_becomes_books() {
    let dir = Dir::new();
    let table = "title,author,topic,isbn,year,subjects,price_cents,stock\n\
                 Ledgers,\"Roe, Ada\",Accounting,978-0-00-000000-2,1999,Books; Keeping,1234,7\n\
                 \"A \"\"quoted\"\" one\",,Accounting,,,,,\n";
    dir.write("books.csv", table);
    let out = dir.run(&["import", "books.csv", "--store", "sqlite:shop.db"]).ok().out;
    assert!(out.starts_with("2 books listed in "), "{out}");
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
    assert!(dir.run(&admin).ok().out.contains("2,100 books listed"));
    assert!(dir.run(&admin).ok().out.contains("2,100 listed before"));
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
    dir.run(&["import", "books.xlsx", "--on-error", "skip"]).failed(2, &["must end in .csv, .jsonl or .jsonl.gz"]);
    assert!(!dir.path("bookstore.db").exists());
    dir.write("cut.jsonl.gz", &gzipped(&lines(3000))[..2000]);
    dir.run(&["import", "cut.jsonl.gz"]).failed(1, &["cannot be read on", "nothing was imported"]);
}

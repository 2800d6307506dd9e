//! A shop whose ledger is in PostgreSQL: servers, commands, and what becomes of a catalog that is replaced.

use bookstore::core::{BookId, Executed, Lines};

use crate::{
    postgres_server::{Database, database},
    support::{Dir, finish},
};

/// A folder, and a database whose password is in a file there.
fn shop() -> Option<(Dir, Database, String)> {
    let (dir, database) = (Dir::new(), database()?);
    dir.write_secret("pgpass", "*:*:*:postgres:secret\n");
    let url = database.tcp_url().replace(":secret", "") + "&passfile=pgpass";
    Some((dir, database, url))
}

#[test]
fn a_monolith_sells_from_a_database_and_the_commands_read_it() {
    let Some((dir, database, url)) = shop() else { return };
    let made = dir.run(&["migrate", "--store", &url]).ok();
    assert!(made.out.contains("Made a ledger in postgres://postgres@127.0.0.1"), "{}", made.out);
    assert!(dir.run(&["migrate", "--store", &url]).ok().out.contains("nothing was to be done"));
    let server = dir.serve(&["monolith", "--store", &url, "--admin-token-file", "admin.token"]);
    server.ready();
    for _ in 0..3 {
        dir.run(&["buy", "3", "--server", &server.url]).ok();
    }
    dir.write("books.jsonl", r#"{"title":"Ledgers","topic":"t","price":"1.00","stock":1}"#);
    dir.run(&["import", "books.jsonl", "--store", &url]).failed(1, &["a catalog has", "--server URL"]);
    let audited = dir.run(&["audit", "--store", &url]).ok();
    assert!(audited.out.contains("Every promise is kept"), "{}", audited.out);
    let books = dir.run(&["export", "books", "--store", &url]).ok().out;
    let from_server = dir.run(&["export", "books", "--server", &server.url]).ok().out;
    assert_eq!(books, from_server);
    let orders = dir.run(&["export", "orders", "--jsonl", "--store", &url]).ok().out;
    assert_eq!(orders.lines().count(), 3, "{orders}");
    assert_eq!(server.stop(), Some(0));

    dir.run(&["import", "books.jsonl", "--store", &url]).ok();
    let again = dir.serve(&["monolith", "--store", &url]);
    again.ready();
    let found = dir.run(&["search", "ledgers", "--json", "--server", &again.url]).ok().json();
    assert_eq!(found["books"][0]["title"], "Ledgers");
    let entries = database.sql("SELECT count(*) FROM bookstore.entry WHERE kind = 1");
    assert_eq!(entries, "3", "the orders that were acknowledged");
}

/// Three servers, and a second catalog over the same database: the first one refuses everything from then on, as not executed.
#[test]
fn the_catalog_that_was_started_last_sells() {
    let Some((dir, _database, url)) = shop() else { return };
    let first = dir.serve(&["catalog", "--sample", "--store", &url]);
    let order = dir.serve(&["order", "--catalog", &first.url]);
    let frontend = dir.serve(&["frontend", "--catalog", &first.url, "--order", &order.url]);
    frontend.ready();
    let buy = || dir.run(&["buy", "3", "--timeout", "2", "--server", &frontend.url]);
    buy().ok();
    let second = dir.serve(&["catalog", "--store", &url]);
    // 4: not executed; 3: unknown, as the servers in between still tried when the time was up.
    for _ in 0..2 {
        assert!(matches!(buy().code, Some(3 | 4)), "the first one sells nothing");
    }
    let log = first.log();
    assert!(log.contains("another catalog has taken over"), "{log}");
    drop(first);
    let order = dir.serve(&["order", "--catalog", &second.url, "--store", "sqlite:second.db"]);
    let frontend = dir.serve(&["frontend", "--catalog", &second.url, "--order", &order.url]);
    frontend.ready();
    dir.run(&["buy", "3", "--server", &frontend.url]).ok();
    let audited =
        dir.run(&["audit", "--json", "--store", &url, "--copy", "sqlite:orders.db", "--copy", "sqlite:second.db"]);
    assert_eq!(audited.ok().json()["orders"], 2, "what was refused is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monolith_that_was_replaced_says_so_and_executes_nothing() {
    let Some((dir, database, url)) = shop() else { return };
    let first = dir.serve(&["monolith", "--store", &url]);
    first.ready();
    let second = dir.serve(&["monolith", "--store", &url]);
    second.ready();
    let (first, second) = (first.shop(), second.shop());
    for _ in 0..2 {
        let one = Lines::one(BookId(3), 1).unwrap();
        let refused = first.order_service().purchase(first.new_order_id(), one).await.unwrap_err();
        assert_eq!(refused.executed(), Executed::No);
        assert!(refused.to_string().contains("another catalog has taken over"), "{refused}");
    }
    second.purchase_new(BookId(3), 1).await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM bookstore.entry WHERE kind = 1"), "1");
}

#[test]
fn what_makes_no_sense_with_a_database_is_refused() {
    let Some((dir, _database, url)) = shop() else { return };
    for (args, says) in [
        (&["backup", "saved.db"][..], "pg_dump"),
        (&["restore", "saved.db"], "sqlite:PATH"),
        (&["promote", "--copy", "sqlite:orders.db"], "sqlite:PATH"),
        (&["head"], "catalog's address"),
        (&["order", "--catalog", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"], "copy is a file of its own"),
        (&["audit"], "has no ledger"),
        (&["export", "books"], "has no ledger"),
    ] {
        let ended = dir.run(&[args, &["--store", &url]].concat());
        assert_ne!(ended.code, Some(0), "{args:?}");
        assert!(ended.err.contains(says), "{args:?}: {ended:#?}");
    }
}

#[test]
fn no_message_shows_the_password() {
    let Some((dir, database, _)) = shop() else { return };
    let with = database.tcp_url().replace("secret", "not-it");
    let refused = dir.run(&["monolith", "--listen", "127.0.0.1:0", "--store", &with]);
    assert!(!refused.err.contains("not-it"), "{refused:#?}");
    refused.failed(1, &["refuses the password"]);
    let refused = dir.run(&["catalog", "--store", &format!("{with}&nonsense=1")]);
    assert!(!refused.err.contains("not-it"), "{refused:#?}");
    refused.failed(2, &["nonsense"]);
    // The variable that PostgreSQL's own programs know.
    let without = database.tcp_url().replace(":secret", "");
    let mut migrate = dir.command(&["migrate", "--store", &without]);
    migrate.env("PGPASSFILE", dir.path("pgpass"));
    finish(migrate).ok();
}

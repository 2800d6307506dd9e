use crate::support::{Dir, bookstore};

const COMMANDS: [&str; 30] = [
    "monolith",
    "catalog",
    "order",
    "frontend",
    "import",
    "export",
    "search",
    "bestsellers",
    "topics",
    "info",
    "buy",
    "contact",
    "erase-contact",
    "cancel",
    "orders",
    "restock",
    "price",
    "edit",
    "withdraw",
    "relist",
    "add",
    "load",
    "lab",
    "audit",
    "backup",
    "restore",
    "promote",
    "take-over",
    "token",
    "relay",
];

#[test]
fn every_command_has_help_with_an_example() {
    let dir = Dir::new();
    let all = dir.run(&["--help"]).ok().out;
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command}")), "{command} is missing in: {all}");
        let help = dir.run(&[command, "--help"]).ok().out;
        assert!(help.contains("Example"), "{help}");
        assert!(help.contains(&format!("bookstore {command}")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
    }
    for code in ["0  done", "2  wrong usage", "3  outcome unknown", "4  not executed", "BOOKSTORE_ADMIN_TOKEN_FILE"] {
        assert!(all.contains(code), "{code} is missing in: {all}");
    }
    assert!(dir.run(&["--version"]).ok().out.starts_with("bookstore 0."));
}

#[test]
fn the_two_faces_of_order_are_told_apart() {
    let dir = Dir::new();
    let help = dir.run(&["order", "--help"]).ok().out;
    for part in ["Read an order", "Run an order server", "bookstore order ORDER_ID", "bookstore order --catalog URL"] {
        assert!(help.contains(part), "{part:?} is missing in: {help}");
    }
    dir.run(&["order"]).failed(2, &["an order id", "--catalog"]);
}

#[test]
fn wrong_flags_are_refused_with_a_suggestion() {
    let dir = Dir::new();
    dir.run(&["monolit"]).failed(2, &["monolith"]);
    dir.run(&["monolith", "--listne", "x"]).failed(2, &["--listen"]);
    dir.run(&["buy", "one"]).failed(2, &["a book id is a whole number, not \"one\""]);
    dir.run(&["buy", "1", "--order-id", "mine"]).failed(2, &["an order id is a UUID"]);
    dir.run(&["frontend", "--catalog", "http://127.0.0.1:1"]).failed(2, &["--order"]);
    dir.run(&["search", "--sort", "colour"]).failed(2, &["relevance"]);
    dir.run(&["info", "1", "--timeout", "forever"]).failed(2, &["--timeout"]);
}

/// Anything printed to somebody who stops reading must not be a panic.
#[test]
fn a_closed_pipe_is_no_failure() {
    use std::process::Stdio;
    let dir = Dir::new();
    let server = dir.monolith();
    for args in [&["--help"][..], &["search", "--server", &server.url], &["topics", "--json", "--server", &server.url]]
    {
        let mut child = bookstore(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert!(ended.stderr.is_empty(), "{ended:?}");
    }
}

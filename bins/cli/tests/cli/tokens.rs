//! Named tokens: made, used, revoked while a server runs.

use crate::support::{Dir, Ended, Server, TIMEOUT};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

fn token(dir: &Dir, args: &[&str]) -> Ended {
    dir.run(&[&["token"], args, &["--tokens-file", "tokens"]].concat())
}

/// Makes a token and a file with its secret.
fn make(dir: &Dir, name: &str, role: &str) -> String {
    let made = token(dir, &["new", name, "--role", role]).ok();
    assert!(made.err.contains("shown once"), "{made:?}");
    let secret = made.out.trim().to_owned();
    assert!(secret.starts_with("bks_") && secret.len() == 47, "{secret}");
    dir.write_secret(&format!("{name}.token"), &secret);
    secret
}

/// Sends SIGHUP and waits until the log says this once more.
fn reload(server: &Server, says: &str) {
    let count = || server.log().matches(says).count();
    let (before, until) = (count(), Instant::now() + TIMEOUT);
    server.signal("HUP");
    while count() == before {
        assert!(Instant::now() < until, "{says}: {}", server.log());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let dir = Dir::new();
    let (till, web) = (make(&dir, "till-2", "stock"), make(&dir, "web", "read"));
    assert_ne!(till, web);
    let file = fs::read_to_string(dir.path("tokens")).unwrap();
    assert!(!file.contains(&till) && file.contains("till-2 stock ") && file.contains("blake3:"), "{file}");
    #[cfg(unix)]
    for made in ["tokens", "tokens.lock"] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(dir.path(made)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{made}");
    }
    let listed = token(&dir, &["list"]).ok().out;
    assert!(listed.contains("till-2") && listed.contains("read") && !listed.contains("bks_"), "{listed}");
    token(&dir, &["new", "web", "--role", "admin"]).failed(1, &["a token named web already"]);
    token(&dir, &["new", "admin", "--role", "admin"]).failed(1, &["the name admin belongs to"]);
    token(&dir, &["new", "Jo Doe", "--role", "read"]).failed(1, &["a to z"]);
    token(&dir, &["new", "jo", "--role", "owner"]).failed(2, &["admin", "stock", "read"]);
    token(&dir, &["revoke", "nobody"]).failed(1, &["no token named nobody"]);
    assert_eq!(fs::read_to_string(dir.path("tokens")).unwrap(), file, "what is refused changes nothing");
    token(&dir, &["revoke", "web"]).ok();
    token(&dir, &["revoke", "till-2"]).ok();
    assert!(token(&dir, &["list"]).ok().out.contains("No tokens"));
    dir.write("tokens", "till-2 stock");
    token(&dir, &["list"]).failed(1, &["--tokens-file tokens", "line 1", "four words"]);
}

#[test]
fn many_may_be_made_at_once() {
    let dir = Dir::new();
    thread::scope(|scope| {
        for n in 0..8 {
            let dir = &dir;
            scope.spawn(move || make(dir, &format!("t{n}"), "read"));
        }
    });
    assert_eq!(token(&dir, &["list"]).ok().out.matches("read").count(), 8);
}

#[test]
fn a_server_reads_its_tokens_again() {
    let dir = Dir::new();
    let monolith = || dir.command(&["monolith", "--listen", "127.0.0.1:0", "--tokens-file", "tokens"]);
    crate::support::finish(monolith()).failed(2, &["--tokens-file tokens", "bookstore token new"]);
    make(&dir, "till-2", "stock");
    let server = dir.serve(&["monolith", "--admin-token-file", "admin.token", "--tokens-file", "tokens"]);
    let as_ = |who: &str, args: &[&str]| {
        let file = format!("{who}.token");
        dir.run(&[args, &["--server", &server.url, "--admin-token-file", &file]].concat())
    };
    as_("till-2", &["restock", "1", "5"]).ok();
    assert!(server.log().contains("actor=\"till-2\""), "{}", server.log());

    let web = make(&dir, "web", "read");
    as_("web", &["orders"]).failed(1, &["not the right one"]);
    reload(&server, "read the tokens again");
    as_("web", &["orders"]).ok();
    as_("web", &["restock", "1", "5"]).failed(1, &["the role stock; the token web has the role read"]);

    // A broken file revokes nothing and adds nothing, loudly.
    let good = fs::read_to_string(dir.path("tokens")).unwrap();
    dir.write("tokens", "web read");
    reload(&server, "the tokens of before stay in force");
    assert!(server.log().contains("line 1"), "{}", server.log());
    assert!(server.get("/metrics").contains("bookstore_tokens_file_broken 1"));
    as_("web", &["orders"]).ok();

    dir.write("tokens", good);
    token(&dir, &["revoke", "till-2"]).ok();
    reload(&server, "read the tokens again");
    as_("till-2", &["restock", "1", "5"]).failed(1, &["not the right one"]);
    as_("admin", &["restock", "1", "5"]).ok();
    assert!(!server.log().contains(&web), "a secret is in no log");
    assert_eq!(server.stop(), Some(0));
}

use crate::support::{Dir, SERVER_TOKEN, TIMEOUT, finish};
use std::{
    fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

#[test]
fn bad_addresses_fail_before_anything_is_made() {
    let dir = Dir::new();
    for listen in ["8080", ":8080", "127.0.0.1", "example.com:80", "127.0.0.1:99999"] {
        dir.run(&["monolith", "--listen", listen]).failed(2, &["--listen", "ADDRESS:PORT", "127.0.0.1:8080"]);
    }
    dir.run(&["monolith", "--listen", "0.0.0.0:0"]).failed(2, &["other machines", "plain text", "--insecure"]);
    dir.run(&["monolith", "--listen", "[::]:0"]).failed(2, &["--insecure"]);
    assert!(!dir.path("bookstore.db").exists(), "nothing may be made by a wrong command");
}

#[test]
fn bad_stores_fail_with_what_to_do() {
    let dir = Dir::new();
    let fails = |url: &str, says: &str| {
        dir.run(&["catalog", "--listen", "127.0.0.1:0", "--store", url]).failed(2, &["--store", says]);
    };
    fails("bookstore.db", "sqlite:bookstore.db");
    fails("sqlite:", "the path is missing");
    fails("postgres://shop:secret@localhost:port/shop", "not a PostgreSQL URL");
    fails("postgres://shop@localhost/shop?sslmode=verify-full", "sslrootcert=FILE");
    fails("mysql://localhost/shop", "not a store's URL");
}

#[test]
fn threads_are_counted() {
    let dir = Dir::new();
    for wrong in ["0", "1025", "-1", "two"] {
        dir.run(&["monolith", "--listen", "127.0.0.1:0", &format!("--threads={wrong}")])
            .failed(2, &["--threads", wrong]);
    }
    let server = dir.serve(&["monolith", "--no-sample", "--threads", "3"]);
    server.ready();
    if cfg!(target_os = "linux") {
        let serving = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
            let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
            names.filter(|name| name.starts_with("http-")).count()
        };
        // A thread gives itself its name once it runs, which may be after the server is ready.
        let started = Instant::now();
        while serving() < 3 && started.elapsed() < TIMEOUT {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(serving(), 3);
    }
}

#[test]
fn bad_servers_fail_with_what_to_do() {
    let dir = Dir::new();
    let order = |catalog: &str| dir.run(&["order", "--listen", "127.0.0.1:8082", "--catalog", catalog]);
    order("127.0.0.1:8081").failed(2, &["--catalog", "not a server's address", "http://"]);
    order("http://").failed(2, &["not a server's address"]);
    order("http://127.0.0.1:8081/v1").failed(2, &["not a server's address"]);
    order("http://user@127.0.0.1:8081").failed(2, &["not a server's address"]);
    order("https://127.0.0.1:8081").failed(2, &["TLS"]);
    order("http://catalog.example:8081").failed(2, &["another machine", "--insecure"]);
    order("http://127.0.0.1:8082").failed(2, &["own --listen address"]);
    order("http://127.0.0.1:1,http://127.0.0.1:1/").failed(2, &["twice"]);
    dir.run(&["frontend", "--catalog", "http://127.0.0.1:1", "--order", "http://127.0.0.1:1"])
        .failed(2, &["--catalog and --order both name"]);
    dir.run(&["search", "--server", "shop"]).failed(2, &["--server", "http://127.0.0.1:8080"]);
}

#[test]
fn tokens_are_checked_at_the_start() {
    let dir = Dir::new();
    let serve = |file: &str| dir.run(&["monolith", "--listen", "127.0.0.1:0", "--admin-token-file", file]);
    serve("nowhere").failed(2, &["--admin-token-file nowhere", "No such file", "/dev/urandom"]);
    dir.write_secret("short", "secret");
    serve("short").failed(2, &["--admin-token-file short", "must have 32 to", "/dev/urandom"]);
    dir.write("binary", b"\xff\xfe");
    serve("binary").failed(2, &["--admin-token-file binary"]);
    dir.run(&["orders", "--server", "http://127.0.0.1:1"]).failed(2, &["--admin-token-file FILE"]);
    dir.run(&["orders", "--server", "http://shop.example", "--admin-token-file", "admin.token"])
        .failed(2, &["plain text", "--insecure"]);
}

#[cfg(unix)]
#[test]
fn a_token_that_others_can_read_is_warned_of() {
    let dir = Dir::new();
    let file = dir.path("admin.token");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let server = dir.monolith();
    server.ready();
    assert!(server.log().contains("chmod 600 admin.token"), "{}", server.log());
}

#[test]
fn every_flag_is_a_variable_and_flags_win() {
    let dir = Dir::new();
    let run = |name: &str, value: &str, args: &[&str]| {
        let mut command = dir.command(args);
        command.env(name, value);
        finish(command)
    };
    run("BOOKSTORE_LISTEN", "nonsense", &[]).failed(2, &["--listen \"nonsense\""]);
    run("BOOKSTORE_STORE", "postgres://x:port", &["catalog"]).failed(2, &["PostgreSQL"]);
    run("BOOKSTORE_ADMIN_TOKEN_FILE", "nowhere", &["monolith"]).failed(2, &["nowhere"]);
    run("BOOKSTORE_STORE", "postgres://x:port", &["audit", "--store", "sqlite:none.db"]).failed(1, &["none.db"]);
    run("BOOKSTORE_INSECURE", "maybe", &["monolith"]).failed(2, &["--insecure"]);
    run("BOOKSTORE_LOG", "bookstore=loud", &["topics"]).failed(2, &["log filter"]);
    run("RUST_LOG", "bookstore=loud", &["topics"]).failed(2, &["log filter"]);
}

#[test]
fn a_port_in_use_is_said_and_nothing_is_made() {
    let dir = Dir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    dir.run(&["monolith", "--listen", &address]).failed(1, &[&address, "in use", "--listen 127.0.0.1:0"]);
    assert!(!dir.path("bookstore.db").exists());
}

#[test]
fn servers_of_one_shop_show_each_other_their_token() {
    let dir = Dir::new();
    let catalog = dir.serve(&["catalog", "--server-token-file", "server.token"]);
    let stranger = dir.serve(&["order", "--store", "memory:", "--catalog", &catalog.url]);
    assert!(catalog.get("/v1/topics").starts_with("HTTP/1.1 401"));
    assert!(stranger.get("/readyz").starts_with("HTTP/1.1 503"));
    let friend =
        dir.serve(&["order", "--store", "memory:", "--catalog", &catalog.url, "--server-token-file", "server.token"]);
    friend.ready();
    let frontend = dir.serve(&["frontend", "--catalog", &catalog.url, "--order", &friend.url]);
    let buy = ["buy", "2", "--timeout", "20", "--server", &frontend.url];
    dir.run(&buy).failed(4, &["not executed", "token"]);
    assert!(frontend.get("/info/2").starts_with("HTTP/1.1 503"));
    assert!(frontend.log().contains("--server-token-file"), "{}", frontend.log());
    assert!(!catalog.log().contains(SERVER_TOKEN) && !friend.log().contains(SERVER_TOKEN));
}

//! Webhooks: nothing missing, nothing out of order, however the relay, its receiver and the shop end.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    receiver::{Answer, Received, Receiver, without_repetitions},
    support::{Dir, Ended, Server, TIMEOUT},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A folder with the secret and a shop's token.
fn folder() -> Dir {
    let dir = Dir::new();
    dir.write_secret("webhook.secret", SECRET);
    let made = dir.run(&["token", "new", "relay", "--role", "read", "--tokens-file", "tokens"]).ok();
    dir.write_secret("relay.token", &made.out);
    dir
}

fn monolith(dir: &Dir, more: &[&str]) -> Server {
    dir.serve(&[&["monolith", "--admin-token-file", "admin.token", "--tokens-file", "tokens"], more].concat())
}

fn command(dir: &Dir, from: &str, to: &str, more: &[&str]) -> Command {
    let args = ["relay", "--from", from, "--to", to, "--secret-file", "webhook.secret"];
    dir.command(&[&args[..], &["--admin-token-file", "relay.token"], more].concat())
}

/// A relay that is killed at the latest when it is dropped.
struct Relay(Child);

impl Relay {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, and how it ended then.
    fn stop(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(dir: &Dir, to: &str, more: &[&str]) -> Ended {
    crate::support::finish(command(dir, "http://127.0.0.1:1", to, more))
}

fn seqs(received: &[Received]) -> Vec<u64> {
    received.iter().map(Received::seq).collect()
}

/// The end of the ledger, as its audit sees it.
fn head(dir: &Dir) -> u64 {
    let report = dir.run(&["audit", "--store", "sqlite:bookstore.db", "--json"]).ok().json();
    report["entries"].as_u64().unwrap()
}

/// It refuses all at the beginning, as if it were just starting. Then of every 100 requests one is refused, and one is taken and its
/// answer lost.
fn troubled(request: usize) -> Answer {
    match request {
        1..=3 => Answer::Refuses(503),
        4 => Answer::Refuses(410),
        n if n % 100 == 7 => Answer::TakesAndHangsUp,
        n if n % 100 == 53 => Answer::Refuses(500),
        _ => Answer::Takes,
    }
}

#[test]
fn twenty_kills_lose_nothing_and_change_no_order() {
    let dir = folder();
    let shop = monolith(&dir, &[]);
    shop.ready();
    let receiver = Receiver::start(SECRET, troubled);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let (dir, url, enough) = (&dir, &shop.url, &enough);
        scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let shop = bookstore::Bookstore::connect(url).unwrap();
                for n in 0.. {
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                    // Some are sold out in time; that makes no entry.
                    drop(shop.purchase_new(bookstore_core::BookId(n % 200 + 1), 1).await);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        });
        for kill in 0..20 {
            let before = receiver.count();
            let relay = Relay::start(command(dir, url, &receiver.url, &[]));
            receiver.wait_until("some more", |received| received.len() > before + 3 * kill);
            relay.kill();
        }
        enough.store(true, Ordering::Relaxed);
    });
    let head = head(&dir);
    let relay = Relay::start(command(&dir, &shop.url, &receiver.url, &[]));
    let received = receiver.wait_until("all", |received| received.iter().any(|one| one.seq() == head));
    assert_eq!(relay.stop(), Some(0));
    let once = without_repetitions(&received);
    assert_eq!(seqs(&once), (1..=head).collect::<Vec<_>>(), "nothing is missing or out of order");
    assert!(received.len() > once.len(), "kills and lost answers repeat something");
    assert!(
        once.iter().any(|one| one.kind() == "order.placed" && one.body["data"]["order"]["lines"][0]["quantity"] == 1)
    );
    assert_eq!(once[0].kind(), "book.added");

    // It was stopped in order, so nothing comes again.
    let relay = Relay::start(command(&dir, &shop.url, &receiver.url, &[]));
    dir.run(&["buy", "201", "--server", &shop.url]).ok();
    let after = receiver
        .wait_until("the next", |received| received.len() > once.len() && received.last().unwrap().seq() > head);
    assert_eq!(without_repetitions(&after).len(), once.len() + 1);
    drop(relay);
}

#[test]
fn a_restore_is_announced_with_its_place() {
    let dir = folder();
    let mut shop = monolith(&dir, &[]);
    let receiver = Receiver::start(SECRET, |_| Answer::Takes);
    let relay = Relay::start(command(
        &dir,
        &shop.url,
        &receiver.url,
        &["--begin", "now", "--types", "order.placed,order.cancelled,stock.changed"],
    ));
    let wait = |count: usize| receiver.wait_until("the next", |received| received.len() >= count);
    let buy = |shop: &Server| dir.run(&["buy", "3", "--json", "--server", &shop.url]).ok().json();
    // Until the relay has found its beginning, what happens is before it.
    while receiver.count() == 0 {
        dir.run(&["restock", "3", "1", "--admin-token-file", "admin.token", "--server", &shop.url]).ok();
    }
    let order = buy(&shop);
    let before =
        receiver.wait_until("the order", |received| received.last().is_some_and(|one| one.kind() == "order.placed"));
    let (base, saved) = (before.len(), before[before.len() - 1].clone());
    assert_eq!((&saved.body["data"]["order"]["id"], saved.seq()), (&order["id"], order["seq"].as_u64().unwrap()));
    dir.run(&["backup", "saved.db", "--store", "sqlite:bookstore.db"]).ok();
    for _ in 0..2 {
        buy(&shop);
    }
    wait(base + 2);

    shop.signal("TERM");
    assert_eq!(shop.wait(), Some(0));
    dir.run(&["restore", "saved.db", "--store", "sqlite:bookstore.db", "--replace"]).ok();
    shop.restart();
    let new = buy(&shop);
    let received = wait(base + 4);
    let rewound = &received[base + 2];
    assert_eq!(rewound.kind(), "ledger.rewound");
    assert_eq!(rewound.body["data"]["fork"].as_u64(), Some(saved.seq() + 1));
    assert_eq!(rewound.body["data"]["followed"].as_u64(), Some(saved.seq() + 2));
    // The entry of the new timeline itself was not asked for.
    assert_eq!(
        (&received[base + 3].body["data"]["order"]["id"], received[base + 3].seq()),
        (&new["id"], saved.seq() + 2)
    );
    assert_eq!(received[base + 3].body["data"]["timeline"], rewound.body["data"]["timeline"]);
    assert_ne!(received[base + 3].id, received[base + 1].id, "another timeline, another id");
    assert_eq!(relay.stop(), Some(0));
    assert_eq!(receiver.count(), base + 4);
}

#[test]
fn a_relay_says_how_it_is() {
    let dir = folder();
    dir.write_secret("webhook.secret", &format!("{OTHER_SECRET}\n{SECRET}\n"));
    let catalog = dir.serve(&["catalog", "--sample", "--server-token-file", "server.token"]);
    let receiver = Receiver::start(SECRET, |request| if request < 4 { Answer::Refuses(302) } else { Answer::Takes });
    let args = ["relay", "--catalog", &catalog.url, "--server-token-file", "server.token", "--to", &receiver.url];
    let args = [&args[..], &["--secret-file", "webhook.secret", "--metrics-listen", "127.0.0.1:0"]].concat();
    let relay = Server::start(&dir.path("."), &args);
    receiver.wait_for_requests(2);
    let not_ready = relay.get("/readyz");
    assert!(not_ready.starts_with("HTTP/1.1 503") || receiver.count() > 0, "{not_ready}");
    receiver.wait_until("all", |received| received.last().is_some_and(|one| one.seq() == 322));
    relay.ready();
    let until = Instant::now() + TIMEOUT;
    while !relay.get("/metrics").contains("bookstore_relay_lag_entries 0") {
        assert!(Instant::now() < until, "{}", relay.get("/metrics"));
        thread::sleep(Duration::from_millis(50));
    }
    let metrics = relay.get("/metrics");
    assert!(metrics.contains("bookstore_relay_events_total{type=\"book.added\"} 322"), "{metrics}");
    assert!(metrics.contains("bookstore_relay_failed_tries_total 3"), "{metrics}");
    assert!(relay.log().contains("302 Found: redirects are not followed"), "{}", relay.log());
    assert!(!relay.log().contains(&SECRET[6..]), "a secret is in no log");
    run(&dir, &receiver.url, &[]).failed(1, &["--state relay.json", "another relay"]);
    assert_eq!(relay.stop(), Some(0));
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let dir = folder();
    let good = "http://127.0.0.1:9/hooks";
    run(&dir, "https://shop.example/hooks", &[]).failed(2, &["--to", "no TLS"]);
    run(&dir, "http://shop.example/hooks", &[]).failed(2, &["--to", "--insecure"]);
    run(&dir, "shop.example", &[]).failed(2, &["--to", "not a receiver's URL"]);
    run(&dir, good, &["--types", "order.placd"]).failed(2, &["--types order.placd", "order.placed"]);
    run(&dir, good, &["--begin", "now"]).failed(4, &["the shop must be running"]);
    dir.write_secret("webhook.secret", "secret");
    run(&dir, good, &[]).failed(2, &["--secret-file webhook.secret", "whsec_", "umask 077"]);
    dir.write_secret("webhook.secret", SECRET);
    dir.write("relay.json", "{");
    run(&dir, good, &[]).failed(1, &["--state relay.json"]);
    dir.write("relay.json", "{\"version\":2,\"place\":{}}");
    run(&dir, good, &[]).failed(1, &["--state relay.json", "version 2"]);

    std::fs::remove_file(dir.path("relay.json")).unwrap();
    let shop = monolith(&dir, &[]);
    dir.write_secret("relay.token", OTHER_SECRET);
    crate::support::finish(command(&dir, &shop.url, good, &[])).failed(1, &["not the right one", "the role read"]);
}

#[test]
fn another_shop_s_ledger_is_not_sent() {
    let dir = folder();
    let (shop, receiver) = (monolith(&dir, &[]), Receiver::start(SECRET, |_| Answer::Takes));
    let relay = Relay::start(command(&dir, &shop.url, &receiver.url, &[]));
    receiver.wait_until("all", |received| received.last().is_some_and(|one| one.seq() == 322));
    assert_eq!(relay.stop(), Some(0));
    let other = monolith(&dir, &["--store", "sqlite:other.db"]);
    let mut again = command(&dir, &other.url, &receiver.url, &["--metrics-listen", "127.0.0.1:0"]);
    let relay = Server::spawn(again.stdin(Stdio::null()), &dir.path("."), Vec::new());
    let until = Instant::now() + TIMEOUT;
    let refused = || relay.get("/readyz").contains("not the one that this server followed");
    while !refused() || !relay.log().contains("nothing is sent") {
        assert!(Instant::now() < until, "{} {}", relay.get("/readyz"), relay.log());
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((relay.stop(), receiver.count()), (Some(0), 322));
}

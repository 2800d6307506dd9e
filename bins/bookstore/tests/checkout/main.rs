//! The example `checkout`, killed again and again, with a provider that loses, delays and doubles: nothing is charged without books, and no
//! books go without charge. Judged by the provider's log against the shop's ledger.
//!
//! `CHECKOUT_SEEDS` says how many seeds are run: 10 unless it says otherwise.

use bookstore::core::{OrderId, Status, audit::Audit, store::sqlite::Snapshot};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A running example, killed when it is dropped.
struct Example {
    child: Child,
    address: String,
}

impl Example {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut path = env::current_exe().expect("this test has a path");
        // From `deps/checkout-…` to `examples/…`.
        path.pop();
        path.pop();
        let path = path.join("examples").join(name);
        assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
        let mut child = Command::new(path)
            .args(args)
            // One second: some authorisations take longer.
            .env("HOLD_SECONDS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Self { child, address }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        let length = body.len();
        let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 2").then(|| serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Some checkouts, with the app killed at random moments; then all of them are brought to an end, and judged.
fn run(seed: u64) -> BTreeMap<String, usize> {
    let dir = tempfile::tempdir().expect("a directory");
    let directory = dir.path().to_str().expect("UTF-8");
    let mut rng = StdRng::seed_from_u64(seed);
    let provider = Example::start("payments", &[directory, &seed.to_string()]);
    let start = || Example::start("checkout", &[directory, &provider.address]);
    let mut app = start();
    let mut begun = Vec::new();
    for _ in 0..6 {
        let order = OrderId(Uuid::from_u128(rng.random::<u128>() & !(0xf << 76) & !(3 << 62) | 4 << 76 | 2 << 62));
        let (book, quantity) = (rng.random_range(1..=3_u64), rng.random_range(1..=6_u32));
        let checkout = json!({ "order": order, "book": book, "quantity": quantity });
        if app.request("POST", "/checkouts", &checkout.to_string()).is_some() {
            begun.push(order);
        }
        thread::sleep(Duration::from_millis(rng.random_range(0..40)));
        if rng.random_bool(0.5) {
            drop(app);
            app = start();
        }
    }
    let until = Instant::now() + Duration::from_secs(120);
    let mut ends = BTreeMap::new();
    for order in &begun {
        let ended = loop {
            match app.request("GET", &format!("/checkouts/{order}"), "") {
                Some(Value::String(ended)) => break ended,
                _ => assert!(Instant::now() < until, "seed {seed}: checkout {order} does not end"),
            }
            thread::sleep(Duration::from_millis(20));
        };
        *ends.entry(ended).or_default() += 1;
    }
    drop(app);
    drop(provider);
    judge(seed, dir.path());
    ends
}

/// Who was charged has books, and who has books was charged.
fn judge(seed: u64, directory: &Path) {
    let log = fs::read_to_string(directory.join("payments.jsonl")).unwrap_or_default();
    let payments: HashMap<OrderId, String> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line of the log")).collect();
    let orders = orders(&directory.join("shop.db"));
    for (id, payment) in &payments {
        let status = orders.get(id).map(|order| order.status);
        let placed = status == Some(Status::Placed);
        assert_eq!(payment == "captured", placed, "seed {seed}: payment {id} is {payment}, the order {status:?}");
        assert_ne!(payment, "authorised", "seed {seed}: payment {id} stays open");
    }
    for order in orders.values().filter(|order| order.status == Status::Placed) {
        assert!(payments.contains_key(&order.id), "seed {seed}: nobody paid for {}", order.id);
        assert_eq!(order.reference().map(ToString::to_string), Some(format!("payment {}", order.id)));
    }
}

fn orders(store: &Path) -> HashMap<OrderId, bookstore::core::Order> {
    let (mut audit, mut orders) = (Audit::new(), HashMap::new());
    let read = Snapshot::open(store).expect("a store").read(|_, entry| {
        audit.take(&entry).expect("a sound ledger");
        if let Some(id) = entry.order_id() {
            let order = match orders.remove(&id) {
                None => entry.order().expect("it begins with this"),
                Some(order) => bookstore::core::Order::after(order, &entry),
            };
            orders.insert(id, order);
        }
        Ok::<_, bookstore::core::store::StoreError>(())
    });
    read.expect("it can be read");
    orders
}

#[test]
fn nothing_is_charged_without_books_and_no_books_go_without_charge() {
    let seeds = env::var("CHECKOUT_SEEDS").map_or(10, |seeds| seeds.parse().expect("a number of seeds"));
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..seeds {
        for (end, count) in run(seed) {
            *ends.entry(end).or_default() += count;
        }
    }
    println!("{seeds} seeds: {ends:?}");
    assert!(ends.get("paid").is_some_and(|paid| *paid > 0), "{ends:?}");
    assert!(ends.len() > 1, "nothing went wrong: {ends:?}");
}

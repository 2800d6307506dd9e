//! The catalog's disk is lost under load. The copy that is furthest is promoted, and the old catalog comes back while the shop sells.
//!
//! Both order servers acknowledge by their copies, so nothing that was acknowledged may be missing in the end. Buyers only buy: what a
//! reader was shown of the catalog's last moments may be in no copy.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    buyers::{Market, on},
    hosts::{Host, Network},
    machine,
    proxy::get,
    seed,
    servers::{Server, command, write_tokens},
    verdict,
};

/// How long buyers buy before the disk is lost, between the promotion and the old catalog's return, and after that.
const SELL: Duration = Duration::from_secs(4);
/// How far the one copy is behind the other.
const LAG: Duration = Duration::from_secs(1);
/// The longest that anything may take, on a busy machine, too.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A shop whose servers know a second address of the catalog.
struct Shop<'n> {
    network: &'n Network,
    dir: TempDir,
    catalog: Server,
    orders: [Server; 2],
    frontends: [Server; 2],
    spare: SocketAddr,
}

impl<'n> Shop<'n> {
    async fn open(network: &'n Network) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        write_tokens(dir.path());
        let path = dir.path();
        let spare = spare(network);
        let catalog = Server::start(network, Host::Catalog, path, &["catalog", "--store", "sqlite:catalog.db"]).await;
        let catalogs = format!("http://{},http://{spare}", catalog.address);
        let order = async |host: Host| {
            let store = format!("sqlite:{}.db", host.name());
            let args = ["order", "--store", &store, "--catalog", &catalogs, "--ack", "copied"];
            Server::start(network, host, path, &args).await
        };
        let orders = [order(Host::Order1).await, order(Host::Order2).await];
        let both = format!("http://{},http://{}", orders[0].address, orders[1].address);
        let frontend = async |host: Host| {
            let args = ["frontend", "--catalog", &catalogs, "--order", &both, "--admin-token-file", "admin.token"];
            Server::start(network, host, path, &args).await
        };
        let frontends = [frontend(Host::Frontend1).await, frontend(Host::Frontend2).await];
        for server in [&catalog].into_iter().chain(&orders).chain(&frontends) {
            server.ready(network).await;
        }
        Self { network, catalog, orders, frontends, spare, dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the executable on the spare machine.
    async fn run(&self, args: &[&str]) -> Output {
        let mut words = self.network.on(Host::Spare);
        words.push(env!("CARGO_BIN_EXE_bookstore").to_owned());
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let ran = tokio::time::timeout(TIMEOUT, command(&words, self.dir.path()).output()).await;
        ran.expect("it ends").expect("it can be run")
    }

    async fn promote(&self) {
        let copies = self.orders.each_ref().map(|order| format!("http://{}", order.address));
        let args = ["promote", "--copy", &copies[0], &copies[1], "--server-token-file", "server.token"];
        let ran = self.run(&[&args[..], &["--store", "sqlite:promoted.db"]].concat()).await;
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        println!("{said}");
    }

    /// Waits until the old catalog says why it sells nothing.
    async fn until_stopped(&self) {
        let until = Instant::now() + TIMEOUT;
        loop {
            let answer = get(self.network.tasks(Host::Client), self.catalog.address, "/readyz").await;
            if answer.as_ref().is_ok_and(|answer| answer.contains("newer timeline")) {
                return;
            }
            assert!(Instant::now() < until, "the old catalog sells on: {answer:?}\n{}", self.catalog.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An address on the spare machine that nothing listens on.
fn spare(network: &Network) -> SocketAddr {
    if network.has_filters() {
        return SocketAddr::new(network.address(Host::Spare), 7001);
    }
    let free = TcpListener::bind(SocketAddr::new(network.address(Host::Spare), 0)).and_then(|free| free.local_addr());
    free.expect("a port is free")
}

/// The database and its WAL, moved.
fn move_ledger(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::rename(name(from), name(to)).expect("a killed server leaves both");
    }
    let shared = format!("{}-shm", from.display());
    // SQLite makes it again.
    let _ = std::fs::remove_file(shared);
}

async fn lose_and_promote(mut shop: Shop<'_>) {
    let client = shop.network.tasks(Host::Client);
    let urls = shop.frontends.each_ref().map(|frontend| format!("http://{}", frontend.address));
    let (seed, enough) = (seed(), Arc::new(AtomicBool::new(false)));
    let market = on(client, async move { Market::new(&urls, None, seed, 100_000) }).await;
    let staff = Arc::clone(&market);
    on(client, async move { staff.add_books(1_000_000).await }).await;
    let buyers = client.spawn(Arc::clone(&market).sell(Arc::clone(&enough)));
    tokio::time::sleep(SELL).await;

    // One copy falls behind, and then the disk is lost.
    shop.orders[0].signal("STOP").await;
    tokio::time::sleep(LAG).await;
    let (catalog, kept) = (shop.file("catalog.db"), shop.file("kept.db"));
    shop.catalog.kill().await;
    let lost = Instant::now();
    move_ledger(&catalog, &kept);
    shop.orders[0].signal("CONT").await;
    shop.promote().await;
    let promoted = lost.elapsed();
    let args = ["catalog", "--store", "sqlite:promoted.db"];
    let new = Server::start_at(shop.network, Host::Spare, shop.dir.path(), &args, shop.spare).await;
    let first = Arc::clone(&market);
    let sold = async move {
        let mut n = 1_000_000;
        while !Arc::clone(&first).buy_only(n).await {
            n += 1;
        }
    };
    on(client, sold).await;
    println!("promoted after {promoted:.1?}, sold again after {:.1?}", lost.elapsed());

    // The old catalog comes back, with its disk, among buyers.
    tokio::time::sleep(SELL).await;
    move_ledger(&kept, &catalog);
    let sold_by_old = verdict::sales(&catalog);
    let back = Instant::now();
    shop.catalog.restart().await;
    shop.until_stopped().await;
    println!("the old catalog stopped {:.1?} after it was started", back.elapsed());
    tokio::time::sleep(SELL).await;
    enough.store(true, Ordering::Relaxed);
    buyers.await.expect("no buyer panics");

    for server in shop.frontends.iter_mut().chain(&mut shop.orders) {
        server.stop().await;
    }
    for mut server in [new, shop.catalog] {
        server.stop().await;
    }
    assert_eq!(verdict::sales(&catalog), sold_by_old, "the old catalog sold nothing");
    let (history, ledger) = (market.recorder.history(), shop.dir.path().join("promoted.db"));
    let copies = [Host::Order1, Host::Order2].map(|host| (host, shop.dir.path().join(format!("{}.db", host.name()))));
    let report = verdict::check_files(&history, &ledger, copies);
    println!("{report}");
    assert!(report.holds(), "BOOKSTORE_BLACKBOX_SEED={seed}");
    assert!(verdict::sales(&ledger) > 200, "there was no trade to speak of");
}

#[test]
fn a_copy_is_promoted_under_load_and_the_old_catalog_comes_back() {
    let _alone = machine();
    let network = Network::new();
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let shop = Shop::open(&network).await;
        tokio::time::timeout(Duration::from_secs(600), lose_and_promote(shop)).await.expect("it comes to its end");
    });
}

//! A whole shop on machines of its own: a catalog, two order servers, two frontends, and the links between them.

use std::{net::SocketAddr, path::PathBuf, process::Output, time::Duration};
use tempfile::TempDir;

use crate::{
    disk::Disk,
    hosts::{Host, Network},
    proxy::Proxy,
    servers::{Server, command, write_tokens},
};

/// A link from a client to a server: through a proxy on the client's machine, or straight.
pub(crate) struct Link {
    pub(crate) from: Host,
    pub(crate) to: Host,
    pub(crate) proxy: Option<Proxy>,
}

/// A shop that runs.
pub(crate) struct Shop<'n> {
    pub(crate) network: &'n Network,
    /// In the order of the hosts.
    pub(crate) servers: Vec<tokio::sync::Mutex<Server>>,
    pub(crate) links: Vec<Link>,
    /// Where the client finds the frontends.
    pub(crate) frontends: [String; 2],
    /// Unmounted before its folder goes.
    pub(crate) disk: Disk,
    dir: TempDir,
}

/// Makes links: half of the shop is reached through proxies, the other half is not.
struct Wires<'n> {
    network: &'n Network,
    links: Vec<Link>,
}

impl Wires<'_> {
    async fn link(&mut self, from: Host, to: &Server, proxied: bool) -> String {
        let (target, tasks): (SocketAddr, _) = (to.address, self.network.tasks(from));
        let proxy = if proxied { Some(Proxy::start(tasks, target).await) } else { None };
        let url = proxy.as_ref().map_or_else(|| format!("http://{target}"), |proxy| proxy.url.clone());
        self.links.push(Link { from, to: to.host, proxy });
        url
    }
}

impl<'n> Shop<'n> {
    /// Starts everything, and waits until it is ready.
    pub(crate) async fn open(network: &'n Network, seconds: u64) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        write_tokens(dir.path());
        let disk = Disk::mount(dir.path().join("disk"), seconds);
        let mut wires = Wires { network, links: Vec::new() };
        let store = |path: PathBuf| format!("sqlite:{}", path.display());
        let ledger = store(disk.path().join("catalog.db"));
        let catalog = Server::start(network, Host::Catalog, dir.path(), &["catalog", "--store", &ledger]).await;
        let mut orders = Vec::new();
        for (host, ack, proxied) in [(Host::Order1, "ledger", true), (Host::Order2, "copied", false)] {
            let url = wires.link(host, &catalog, proxied).await;
            let copy = store(dir.path().join(format!("{}.db", host.name())));
            let args = ["order", "--store", &copy, "--catalog", &url, "--ack", ack];
            orders.push(Server::start(network, host, dir.path(), &args).await);
        }
        let mut frontends = Vec::new();
        for (host, cached, proxied) in [(Host::Frontend1, "1000", true), (Host::Frontend2, "0", false)] {
            let from = wires.link(host, &catalog, proxied).await;
            let [one, two] = [wires.link(host, &orders[0], proxied).await, wires.link(host, &orders[1], proxied).await];
            let args = ["frontend", "--catalog", &from, "--order", &one, "--order", &two, "--cache-books", cached];
            let args = [&args[..], &["--admin-token-file", "admin.token"]].concat();
            frontends.push(Server::start(network, host, dir.path(), &args).await);
        }
        let urls =
            [wires.link(Host::Client, &frontends[0], true).await, wires.link(Host::Client, &frontends[1], false).await];
        let servers = [catalog].into_iter().chain(orders).chain(frontends).map(tokio::sync::Mutex::new).collect();
        let shop = Self { network, servers, links: wires.links, frontends: urls, disk, dir };
        shop.ready().await;
        shop
    }

    /// Waits until every server is.
    pub(crate) async fn ready(&self) {
        for server in &self.servers {
            server.lock().await.ready(self.network).await;
        }
    }

    /// Stops it as an operator would, the frontends first, and lets the copies catch up before the order servers go.
    pub(crate) async fn close(&self) {
        for host in [Host::Frontend1, Host::Frontend2] {
            self.servers[host as usize].lock().await.stop().await;
        }
        self.follow().await;
        for host in [Host::Order1, Host::Order2, Host::Catalog] {
            self.servers[host as usize].lock().await.stop().await;
        }
    }

    async fn follow(&self) {
        let caught_up = async {
            loop {
                let report = self.audit().await;
                let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("the audit speaks JSON");
                let copies = report["copies"].as_array().expect("there are copies");
                if copies.iter().all(|copy| copy["behind"] == 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), caught_up).await.expect("copies catch up when all is well");
    }

    /// `bookstore audit` of the ledger and both copies, as JSON.
    pub(crate) async fn audit(&self) -> Output {
        let ledger = format!("sqlite:{}", self.ledger().display());
        let copies = [Host::Order1, Host::Order2].map(|host| format!("sqlite:{}", self.copy(host).display()));
        let args = ["audit", "--json", "--store", &ledger, "--copy", &copies[0], "--copy", &copies[1]];
        let words: Vec<String> =
            [env!("CARGO_BIN_EXE_bookstore")].iter().chain(&args).map(|word| (*word).to_owned()).collect();
        command(&words, self.dir.path()).output().await.expect("the audit can be run")
    }

    /// The catalog's file.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.disk.path().join("catalog.db")
    }

    /// An order server's file.
    pub(crate) fn copy(&self, host: Host) -> PathBuf {
        self.dir.path().join(format!("{}.db", host.name()))
    }

    /// What every server has said last.
    pub(crate) async fn said(&self) -> String {
        let mut all = String::new();
        for server in &self.servers {
            all += &server.lock().await.said();
        }
        all
    }
}

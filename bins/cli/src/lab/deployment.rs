//! The deployments: which servers there are, and how they are started, asked, audited and stopped.

use bookstore_core::{BookId, Error, NewBook};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Audit, CopyAudit, Lab, LabError, Tier,
    metrics::Metrics,
    server::{Server, Start},
};
use bookstore::{AccessToken, Bookstore, sample};

use crate::load::Target;

/// A way to deploy the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Everything in one process.
    Monolith,
    /// A frontend, an order server and a catalog server.
    ThreeServers,
    /// Two frontends and two order servers over one catalog server.
    Replicated,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Monolith, Self::ThreeServers, Self::Replicated];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monolith => "one process",
            Self::ThreeServers => "three servers",
            Self::Replicated => "five servers",
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(self) -> &'static str {
        match self {
            Self::Monolith => "the whole shop",
            Self::ThreeServers => "frontend, order server, catalog server",
            Self::Replicated => "two frontends, two order servers, one catalog server",
        }
    }

    /// Frontends or order servers, for a shop that has them apart.
    fn each(self) -> usize {
        match self {
            Self::Monolith => 0,
            Self::ThreeServers => 1,
            Self::Replicated => 2,
        }
    }
}

/// Copies of each book: more than all loads of a deployment can sell.
const COPIES: u32 = 5_000_000;
/// Books that are looked at at once.
const BOOKS_AT_ONCE: usize = 16;
/// How long copies may take to catch up before a deployment's audit.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// Between two looks at them.
const CATCH_UP_EVERY: Duration = Duration::from_millis(100);
/// An audit's findings that are named.
const FINDINGS_MAX: usize = 20;

const LEDGER: &str = "sqlite:catalog.db";

/// Where the deployments are made. Its folder is removed with it.
pub(super) struct Site {
    executable: PathBuf,
    books: usize,
    folder: TempDir,
    token: AccessToken,
    secrets: [String; 2],
}

impl Site {
    pub(super) fn new(lab: &Lab) -> Result<Self, LabError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("bookstore-lab-");
        let folder = match &lab.directory {
            Some(directory) => builder.tempdir_in(directory),
            None => builder.tempdir(),
        };
        let secret = || rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let secrets = [secret(), secret()];
        let token = AccessToken::new(&secrets[0]).map_err(|error| LabError::Failed(error.to_string()))?;
        let (executable, books) = (lab.executable.clone(), lab.plan.books.clamp(1, sample::books().len()));
        Ok(Self { executable, books, folder: folder.map_err(LabError::Folder)?, token, secrets })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder for one deployment, with the files that hold its tokens.
    fn room(&self, number: usize) -> Result<PathBuf, LabError> {
        let room = self.folder().join(format!("shop-{number}"));
        fs::create_dir(&room).map_err(LabError::Folder)?;
        for (name, secret) in ["admin.token", "server.token"].into_iter().zip(&self.secrets) {
            let file = room.join(name);
            fs::write(&file, secret).map_err(LabError::Folder)?;
            #[cfg(unix)]
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .map_err(LabError::Folder)?;
        }
        Ok(room)
    }
}

/// What all servers' metrics say, those of one tier summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot(BTreeMap<Tier, Metrics>);

impl Snapshot {
    /// One tier's.
    pub(super) fn of(&self, tier: Tier) -> Metrics {
        self.0.get(&tier).cloned().unwrap_or_default()
    }

    /// What has been added since.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(tier, metrics)| (*tier, metrics.since(&before.of(*tier)))).collect())
    }
}

/// A running deployment.
pub(super) struct Deployment<'a> {
    pub(super) shape: Shape,
    site: &'a Site,
    room: PathBuf,
    /// The catalog server, or the only one.
    first: Server,
    orders: Vec<Server>,
    frontends: Vec<Server>,
}

impl<'a> Deployment<'a> {
    /// Starts it with books of the sample catalogue, and plenty of each.
    pub(super) async fn start(
        site: &'a Site,
        shape: Shape,
        number: usize,
        cache_books: usize,
    ) -> Result<Self, LabError> {
        let room = site.room(number)?;
        let at = "127.0.0.1:0";
        let mut shop = if shape == Shape::Monolith {
            let first = start(site, &room, "the shop", &["monolith", "--store", LEDGER, "--no-sample"]).at(at).await?;
            Self { shape, site, room, first, orders: Vec::new(), frontends: Vec::new() }
        } else {
            let args = ["catalog", "--store", LEDGER];
            let first = start(site, &room, "the catalog server", &args).at(at).await?;
            Self { shape, site, room, first, orders: Vec::new(), frontends: Vec::new() }
        };
        for number in 0..shape.each() {
            let server = shop.order_server(number).at(at).await?;
            shop.orders.push(server);
        }
        for number in 0..shape.each() {
            let server = shop.frontend(number, cache_books).at(at).await?;
            shop.frontends.push(server);
        }
        for server in shop.servers_mut() {
            server.ready().await?;
        }
        shop.stock().await?;
        Ok(shop)
    }

    fn order_server(&self, number: usize) -> Start<'a> {
        let store = copy(number);
        let args = ["order", "--catalog", &self.first.url, "--store", &store];
        start(self.site, &self.room, &format!("order server {}", number + 1), &args)
    }

    fn frontend(&self, number: usize, cache_books: usize) -> Start<'a> {
        let (orders, books) = (self.orders.iter().map(|server| server.url.as_str()), cache_books.to_string());
        let orders = orders.collect::<Vec<_>>().join(",");
        let args = ["frontend", "--catalog", &self.first.url, "--order", &orders, "--cache-books", &books];
        start(self.site, &self.room, &format!("frontend {}", number + 1), &args)
    }

    fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        [&mut self.first].into_iter().chain(&mut self.orders).chain(&mut self.frontends)
    }

    fn servers(&self) -> impl Iterator<Item = (Tier, &Server)> {
        let first = if self.shape == Shape::Monolith { Tier::Whole } else { Tier::Catalog };
        let orders = self.orders.iter().map(|server| (Tier::Order, server));
        let frontends = self.frontends.iter().map(|server| (Tier::Frontend, server));
        [(first, &self.first)].into_iter().chain(orders).chain(frontends)
    }

    /// Where clients ask.
    pub(super) fn urls(&self) -> Vec<String> {
        match self.shape {
            Shape::Monolith => vec![self.first.url.clone()],
            _ => self.frontends.iter().map(|server| server.url.clone()).collect(),
        }
    }

    /// All frontends, for an admin.
    pub(super) fn target(&self) -> Target {
        Target { servers: self.urls(), admin_token: Some(self.site.token.clone()) }
    }

    /// Lists the books, with plenty of each.
    async fn stock(&self) -> Result<(), LabError> {
        let books = sample::books().into_iter().take(self.site.books);
        let books = books.map(|book| NewBook { stock: COPIES, ..book }).collect();
        let listed = self.shop_at(&self.urls()[0])?.add_books(books).await;
        listed.map(drop).map_err(LabError::asked("list the books"))
    }

    /// The books that it has, by their numbers.
    pub(super) fn books(&self) -> impl Iterator<Item = BookId> + Clone + use<> {
        (1..=self.site.books as u64).map(BookId)
    }

    /// Looks at every book through every frontend.
    pub(super) async fn warm_up(&self) -> Result<(), LabError> {
        for url in self.urls() {
            let (shop, books) = (self.shop_at(&url)?, self.books().collect::<Vec<_>>());
            look_at(&shop, &books).await.map_err(LabError::asked("look at the books"))?;
        }
        Ok(())
    }

    fn shop_at(&self, url: &str) -> Result<Bookstore, LabError> {
        Bookstore::connect_admin(url, self.site.token.clone()).map_err(|error| LabError::Failed(error.to_string()))
    }

    /// What the servers count, now.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, LabError> {
        let mut snapshot = Snapshot::default();
        for (tier, server) in self.servers() {
            snapshot.0.entry(tier).or_default().add(&server.metrics().await?);
        }
        Ok(snapshot)
    }

    /// What the servers wrote to stderr last.
    pub(super) fn said(&self) -> String {
        self.servers().map(|(_, server)| server.said()).collect()
    }

    /// Takes an order server out, to kill it and to start it again beside a load.
    pub(super) fn take_order_server(&mut self) -> Option<(Server, Start<'a>)> {
        let number = self.orders.len().checked_sub(1)?;
        let server = self.orders.pop()?;
        Some((server, self.order_server(number)))
    }

    /// Gives it back.
    pub(super) fn give_order_server(&mut self, server: Server) {
        self.orders.push(server);
    }

    /// Waits until every copy has all of the ledger, and audits both.
    pub(super) async fn audit(&self) -> Result<Audit, LabError> {
        let until = Instant::now() + CATCH_UP_MAX;
        loop {
            let audit = self.audit_once().await?;
            if audit.copies.iter().all(|copy| copy.behind == 0) || Instant::now() > until {
                return Ok(audit);
            }
            sleep(CATCH_UP_EVERY).await;
        }
    }

    async fn audit_once(&self) -> Result<Audit, LabError> {
        let mut command = Command::new(&self.site.executable);
        command.args(["audit", "--json", "--store", LEDGER]).env_clear().current_dir(&self.room).kill_on_drop(true);
        for number in 0..self.orders.len() {
            command.args(["--copy", &copy(number)]);
        }
        let ended = command.output().await.map_err(|error| LabError::Failed(format!("the audit: {error}")))?;
        let said = || LabError::Failed(format!("the audit: {}", String::from_utf8_lossy(&ended.stderr).trim()));
        let told: Told = serde_json::from_slice(&ended.stdout).map_err(|_| said())?;
        Ok(told.shown(self.shape))
    }

    /// Stops it, from the frontends to the catalog.
    pub(super) async fn stop(self) -> Result<(), LabError> {
        for server in self.frontends.into_iter().chain(self.orders).chain([self.first]) {
            server.stop().await?;
        }
        Ok(())
    }
}

/// Looks at these books, a few at once.
async fn look_at(shop: &Bookstore, books: &[BookId]) -> Result<(), Error> {
    for some in books.chunks(BOOKS_AT_ONCE) {
        let mut tasks = JoinSet::new();
        for book in some {
            let (shop, book) = (shop.clone(), *book);
            tasks.spawn(async move { shop.info(book).await });
        }
        for looked in tasks.join_all().await {
            looked?;
        }
    }
    Ok(())
}

/// A server of this site; `args` without what all servers take.
fn start<'a>(site: &'a Site, room: &Path, name: &str, args: &[&str]) -> Start<'a> {
    let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(["--admin-token-file", "admin.token"].map(str::to_owned));
    if args[0] != "monolith" {
        args.extend(["--server-token-file", "server.token"].map(str::to_owned));
    }
    Start { executable: &site.executable, directory: room.to_path_buf(), name: name.to_owned(), args }
}

/// The store of an order server's copy.
fn copy(number: usize) -> String {
    format!("sqlite:orders-{}.db", number + 1)
}

/// What `bookstore audit --json` prints, as far as it is needed.
#[derive(Deserialize)]
struct Told {
    entries: u64,
    orders: u64,
    copies_sold: u64,
    copies: Vec<ToldCopy>,
    findings_total: u64,
    findings: Vec<String>,
}

#[derive(Deserialize)]
struct ToldCopy {
    orders: u64,
    behind: u64,
}

impl Told {
    fn shown(self, shape: Shape) -> Audit {
        let copies = self.copies.into_iter().map(|copy| CopyAudit { orders: copy.orders, behind: copy.behind });
        let findings = self.findings.into_iter().take(FINDINGS_MAX).collect();
        Audit {
            shape,
            entries: self.entries,
            orders: self.orders,
            copies_sold: self.copies_sold,
            copies: copies.collect(),
            findings_total: self.findings_total,
            findings,
        }
    }
}

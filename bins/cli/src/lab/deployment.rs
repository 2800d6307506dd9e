//! Starts, stocks and stops the servers of a deployment.

use bookstore::{AccessToken, Bookstore, sample};
use bookstore_core::{BookId, Error, NewBook};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    Lab, LabError, Shape, Tier,
    metrics::Metrics,
    server::{Server, Start},
};
use crate::load::Target;

/// Copies of each book: more than all loads of a deployment sell.
const COPIES: u32 = 5_000_000;
/// Books that are read concurrently.
const BOOKS_AT_ONCE: usize = 16;

/// The store of the ledger.
pub(super) const LEDGER: &str = "sqlite:catalog.db";

/// The folder of all deployments, removed when this is dropped, and what they share.
pub(super) struct Site {
    pub(super) executable: PathBuf,
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

    /// A new folder for one deployment, with the files of its tokens.
    fn new_folder(&self, number: usize) -> Result<PathBuf, LabError> {
        let folder = self.folder().join(format!("shop-{number}"));
        fs::create_dir(&folder).map_err(LabError::Folder)?;
        for (name, secret) in ["admin.token", "server.token"].into_iter().zip(&self.secrets) {
            let file = folder.join(name);
            fs::write(&file, secret).map_err(LabError::Folder)?;
            #[cfg(unix)]
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .map_err(LabError::Folder)?;
        }
        Ok(folder)
    }
}

/// The metrics of all servers, summed up by tier.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot(BTreeMap<Tier, Metrics>);

impl Snapshot {
    /// The metrics of one tier.
    pub(super) fn of(&self, tier: Tier) -> Metrics {
        self.0.get(&tier).cloned().unwrap_or_default()
    }

    /// The increase since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(tier, metrics)| (*tier, metrics.since(&before.of(*tier)))).collect())
    }
}

/// A running deployment.
pub(super) struct Deployment<'a> {
    pub(super) shape: Shape,
    pub(super) site: &'a Site,
    pub(super) folder: PathBuf,
    /// The catalog server, or the only server.
    first: Server,
    pub(super) orders: Vec<Server>,
    frontends: Vec<Server>,
}

impl<'a> Deployment<'a> {
    /// Starts it with books of the sample catalogue, and many copies of each.
    pub(super) async fn start(
        site: &'a Site,
        shape: Shape,
        number: usize,
        cache_books: usize,
    ) -> Result<Self, LabError> {
        let folder = site.new_folder(number)?;
        let at = "127.0.0.1:0";
        let mut shop = if shape == Shape::Monolith {
            let first =
                start(site, &folder, "the shop", &["monolith", "--store", LEDGER, "--no-sample"]).at(at).await?;
            Self { shape, site, folder, first, orders: Vec::new(), frontends: Vec::new() }
        } else {
            let args = ["catalog", "--store", LEDGER];
            let first = start(site, &folder, "the catalog server", &args).at(at).await?;
            Self { shape, site, folder, first, orders: Vec::new(), frontends: Vec::new() }
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
        start(self.site, &self.folder, &format!("order server {}", number + 1), &args)
    }

    fn frontend(&self, number: usize, cache_books: usize) -> Start<'a> {
        let (orders, books) = (self.orders.iter().map(|server| server.url.as_str()), cache_books.to_string());
        let orders = orders.collect::<Vec<_>>().join(",");
        let args = ["frontend", "--catalog", &self.first.url, "--order", &orders, "--cache-books", &books];
        start(self.site, &self.folder, &format!("frontend {}", number + 1), &args)
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

    /// The addresses for clients.
    pub(super) fn urls(&self) -> Vec<String> {
        match self.shape {
            Shape::Monolith => vec![self.first.url.clone()],
            _ => self.frontends.iter().map(|server| server.url.clone()).collect(),
        }
    }

    /// The same with the admin token.
    pub(super) fn target(&self) -> Target {
        Target { servers: self.urls(), admin_token: Some(self.site.token.clone()) }
    }

    /// Adds the books.
    async fn stock(&self) -> Result<(), LabError> {
        let books = sample::books().into_iter().take(self.site.books);
        let books = books.map(|book| NewBook { stock: COPIES, ..book }).collect();
        let listed = self.shop_at(&self.urls()[0])?.add_books(books).await;
        listed.map(drop).map_err(LabError::asked("list the books"))
    }

    /// Its books.
    pub(super) fn books(&self) -> impl Iterator<Item = BookId> + Clone + use<> {
        (1..=self.site.books as u64).map(BookId)
    }

    /// Reads every book through every frontend, which fills the caches.
    pub(super) async fn warm_up(&self) -> Result<(), LabError> {
        for url in self.urls() {
            let (shop, books) = (self.shop_at(&url)?, self.books().collect::<Vec<_>>());
            read_all(&shop, &books).await.map_err(LabError::asked("look at the books"))?;
        }
        Ok(())
    }

    fn shop_at(&self, url: &str) -> Result<Bookstore, LabError> {
        Bookstore::connect_admin(url, self.site.token.clone()).map_err(|error| LabError::Failed(error.to_string()))
    }

    /// The servers' present metrics.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, LabError> {
        let mut snapshot = Snapshot::default();
        for (tier, server) in self.servers() {
            snapshot.0.entry(tier).or_default().add(&server.metrics().await?);
        }
        Ok(snapshot)
    }

    /// The last lines of the servers' logs.
    pub(super) fn logs(&self) -> String {
        self.servers().map(|(_, server)| server.last_log()).collect()
    }

    /// Hands out an order server, to kill it and to start it again during a load.
    pub(super) fn take_order_server(&mut self) -> Option<(Server, Start<'a>)> {
        let number = self.orders.len().checked_sub(1)?;
        let server = self.orders.pop()?;
        Some((server, self.order_server(number)))
    }

    /// Takes it back.
    pub(super) fn give_order_server(&mut self, server: Server) {
        self.orders.push(server);
    }

    /// Stops the servers, from the frontends to the catalog.
    pub(super) async fn stop(self) -> Result<(), LabError> {
        for server in self.frontends.into_iter().chain(self.orders).chain([self.first]) {
            server.stop().await?;
        }
        Ok(())
    }
}

/// Reads these books, a few at a time.
async fn read_all(shop: &Bookstore, books: &[BookId]) -> Result<(), Error> {
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

/// How to start a server of this site; `args` without those that all servers have.
fn start<'a>(site: &'a Site, folder: &Path, name: &str, args: &[&str]) -> Start<'a> {
    let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    if matches!(args[0].as_str(), "monolith" | "frontend") {
        args.extend(["--admin-token-file", "admin.token"].map(str::to_owned));
    }
    if args[0] != "monolith" {
        args.extend(["--server-token-file", "server.token"].map(str::to_owned));
    }
    Start { executable: &site.executable, directory: folder.to_path_buf(), name: name.to_owned(), args }
}

/// The store of an order server's copy.
pub(super) fn copy(number: usize) -> String {
    format!("sqlite:orders-{}.db", number + 1)
}

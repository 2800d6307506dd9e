//! Whole servers inside this process, on loopback, with purchases over HTTP.

use bookstore::{
    AccessToken, Bookstore, ConnectOptions,
    deploy::{self, CatalogServer, FrontendServer, Monolith, OrderServer, Server, Serving, StoreUrl},
};
use bookstore_core::{NewBook, catalog::ADD_BOOKS_MAX, orders::Ack};
use bookstore_transport_http::{api, server::ServerLimits};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

/// How many servers the shop consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All in one server.
    OneServer,
    /// A catalog server, an order server, a frontend.
    ThreeServers,
}

/// Servers that run until dropped.
#[derive(Debug)]
pub struct Deployed {
    /// Where purchases go.
    pub address: SocketAddr,
    servers: Vec<JoinHandle<()>>,
}

/// More buyers than a real server admits at once: here the queue itself is measured.
const CONNECTIONS_MAX: usize = 8192;
/// Books that a frontend keeps in memory, as the executable's.
const CACHED_BOOKS: usize = 10_000;

impl Deployed {
    /// Starts servers with a ledger in memory, or in a SQLite file in `folder`, and adds these books.
    ///
    /// # Panics
    /// If a server does not start.
    pub async fn start(shape: Shape, folder: Option<&Path>, books: Vec<NewBook>) -> Self {
        let token = AccessToken::new(&"t".repeat(64)).expect("a good token");
        let serving = Serving {
            limits: ServerLimits { connections_max: CONNECTIONS_MAX, in_flight_max: CONNECTIONS_MAX, ..api::limits() },
            metrics: None,
        };
        let store = |name| folder.map_or(StoreUrl::Memory, |folder| StoreUrl::Sqlite(folder.join(name)));
        let deployed = match shape {
            Shape::OneServer => {
                let config = Monolith {
                    store: store("shop.db"),
                    currency: None,
                    sample: false,
                    tokens: token.clone().into(),
                    serving,
                    public_holds: false,
                    contacts: Default::default(),
                };
                let server = deploy::monolith(config).await.expect("the store opens");
                let (address, task) = run(server).await;
                Self { address, servers: vec![task] }
            }
            Shape::ThreeServers => three(store("catalog.db"), store("orders.db"), token.clone(), serving).await,
        };
        let timeout = Duration::from_secs(30);
        let options = ConnectOptions { admin_token: Some(token), timeout };
        let shop = Bookstore::connect_with(&format!("http://{}", deployed.address), options).expect("an address");
        for some in books.chunks(ADD_BOOKS_MAX) {
            shop.add_books(some.to_vec()).await.expect("books can be added");
        }
        deployed
    }
}

async fn three(ledger: StoreUrl, copy: StoreUrl, admin_token: AccessToken, serving: Serving) -> Deployed {
    let catalog = CatalogServer {
        store: ledger,
        currency: None,
        sample: false,
        server_token: None,
        contacts: Default::default(),
        serving: serving.clone(),
    };
    let (catalog, first) = run(deploy::catalog_server(catalog).await.expect("the store opens")).await;
    let catalog = vec![format!("http://{catalog}")];
    let order = OrderServer {
        store: copy,
        catalog: catalog.clone(),
        ack: Ack::Ledger,
        server_token: None,
        serving: serving.clone(),
    };
    let (orders, second) = run(deploy::order_server(order).await.expect("the store opens")).await;
    let orders = vec![format!("http://{orders}")];
    let frontend = FrontendServer {
        catalog,
        orders,
        cache_books_max: CACHED_BOOKS,
        tokens: admin_token.into(),
        server_token: None,
        serving,
        public_holds: false,
    };
    let (address, third) = run(deploy::frontend_server(frontend).expect("good addresses")).await;
    Deployed { address, servers: vec![first, second, third] }
}

async fn run(server: Server) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (address, tokio::spawn(server.run(listener, std::future::pending::<()>())))
}

impl Drop for Deployed {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

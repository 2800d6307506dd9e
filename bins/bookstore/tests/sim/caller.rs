//! How actors call: recorded, traced, counted, by a route of their choice.

use bookstore_core::{
    Amend, Book, BookId, BookPage, CatalogService, Error, Lines, Order, OrderAction, OrderId, OrderQuery, OrderService,
    Query, Receipt, Result, Seq, check::Recorded,
};
use bookstore_transport_http::{
    api::RemoteShop,
    client::{Client, ClientOptions},
    internal::{catalog::RemoteCatalog, orders::RemoteOrders},
};
use rand::{RngExt as _, rngs::StdRng};
use std::{fmt, sync::Arc, time::Duration};

use super::{coverage::Seen, editors, holders, hosts::Host, net::connector, world::Shared};

/// A way into the shop.
struct Route {
    name: &'static str,
    catalog: Recorded<dyn CatalogService>,
    orders: Recorded<dyn OrderService>,
}

/// The ways into the shop from one machine.
pub(crate) struct Routes {
    world: Shared,
    routes: Vec<Route>,
    /// The catalog and both order servers themselves, for what is not recorded.
    pub(crate) ledger: Arc<dyn CatalogService>,
    pub(crate) copies: [Arc<dyn OrderService>; 2],
    pub(crate) shop: Arc<dyn CatalogService>,
}

impl Routes {
    /// Through the frontend, and directly to the servers behind it.
    pub(crate) fn new(world: &Shared, from: Host) -> Self {
        let client = |to: Host| {
            let seed = world.seed_for(100 + from as u64 * 10 + to as u64);
            let (deadline, attempt_timeout) = world.plan.timeouts();
            let options =
                ClientOptions { deadline, attempt_timeout, waiting_max: 100, ..world.client_options(false, seed) };
            Client::new(connector(world, from), &[to.url()], options).expect("these are URLs")
        };
        let shop = Arc::new(RemoteShop::new(client(Host::Frontend)));
        let ledger: Arc<dyn CatalogService> = Arc::new(RemoteCatalog::new(client(Host::Catalog)));
        let order = |host| -> Arc<dyn OrderService> { Arc::new(RemoteOrders::new(client(host))) };
        let copies = [order(Host::Order1), order(Host::Order2)];
        let route = |name, catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>| Route {
            name,
            catalog: Recorded::new(catalog, &world.recorder, name),
            orders: Recorded::new(orders, &world.recorder, name),
        };
        let routes = vec![
            route("frontend", shop.clone(), shop.clone()),
            route("order-1", Arc::clone(&ledger), Arc::clone(&copies[0])),
            route("order-2", Arc::clone(&ledger), Arc::clone(&copies[1])),
        ];
        Self { world: world.clone(), routes, ledger, copies, shop }
    }

    /// A caller that is process `process` in the history.
    pub(crate) fn caller(&self, process: u64) -> Caller {
        let of_process = |route: &Route| Route {
            name: route.name,
            catalog: route.catalog.of_process(process),
            orders: route.orders.of_process(process),
        };
        Caller { world: self.world.clone(), process, routes: self.routes.iter().map(of_process).collect(), at: 0 }
    }
}

/// One process of the history.
pub(crate) struct Caller {
    pub(crate) world: Shared,
    process: u64,
    routes: Vec<Route>,
    at: usize,
}

impl Caller {
    /// Chooses a route for the next calls, the frontend most often.
    pub(crate) fn choose_route(&mut self, rng: &mut StdRng) {
        self.at = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..self.routes.len()) };
    }

    /// Takes the routes in turns.
    pub(crate) fn next_route(&mut self) {
        self.at = (self.at + 1) % self.routes.len();
    }

    fn note_answer<T>(&self, what: fmt::Arguments<'_>, answer: &Result<T>, shown: impl Fn(&T) -> String) {
        let (process, route) = (self.process, self.routes[self.at].name);
        match answer {
            Ok(answer) => self.world.note(format_args!("p{process} {route}: {what} -> {}", shown(answer))),
            Err(error) => self.world.note(format_args!("p{process} {route}: {what} -> {error}")),
        }
        if let Err(error) = answer {
            count(&self.world, error);
        }
    }

    fn note_receipt(&self, what: fmt::Arguments<'_>, answer: &Result<Receipt>) {
        if let Ok(receipt) = answer {
            if receipt.replayed {
                self.world.coverage.saw(Seen::Replayed);
            }
            self.world.facts().orders.push(receipt.order.id);
        }
        self.note_answer(what, answer, |receipt| {
            let Receipt { order, replayed } = receipt;
            format!("entry {}, {:?}{}", order.seq, order.status, if *replayed { ", replayed" } else { "" })
        });
    }

    pub(crate) async fn purchase(&self, id: OrderId, lines: &Lines) -> Result<Receipt> {
        let answer = self.routes[self.at].orders.purchase(id, lines.clone()).await;
        let wanted: Vec<_> = lines.iter().map(|line| (line.book.0, line.quantity)).collect();
        self.note_receipt(format_args!("purchase {id} {wanted:?}"), &answer);
        answer
    }

    pub(crate) async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let answer = self.routes[self.at].orders.cancel(id).await;
        self.note_receipt(format_args!("cancel {id}"), &answer);
        answer
    }

    pub(crate) async fn change(&self, id: OrderId, action: &OrderAction) -> Result<Receipt> {
        let answer = self.routes[self.at].orders.change(id, action.clone(), None).await;
        holders::count(&self.world, &answer);
        self.note_receipt(format_args!("change {id} {action:?}"), &answer);
        answer
    }

    pub(crate) async fn order(&self, id: OrderId) -> Result<Order> {
        let answer = self.routes[self.at].orders.order(id).await;
        self.note_answer(format_args!("read {id}"), &answer, |order| {
            format!("entry {}, {:?}", order.seq, order.status)
        });
        answer
    }

    pub(crate) async fn orders(&self) {
        let answer = self.routes[self.at]
            .orders
            .orders(OrderQuery { page_size: Some(10), page_token: None, ..OrderQuery::default() })
            .await;
        self.note_answer(format_args!("orders"), &answer, |page| format!("{}", page.orders.len()));
    }

    pub(crate) async fn info(&self, book: BookId) -> Result<Book> {
        let answer = self.routes[self.at].catalog.info(book).await;
        self.note_answer(format_args!("info {book}"), &answer, |book| {
            format!("{} in stock, {}", book.stock, book.version)
        });
        answer
    }

    pub(crate) async fn search(&self, query: Query) -> Result<BookPage> {
        let what = format!("search {}", query.words.as_deref().unwrap_or_default());
        let answer = self.routes[self.at].catalog.search(query).await;
        let shown = |books: &BookPage| {
            books
                .books
                .iter()
                .map(|book| format!("{}:{}@{}", book.id, book.stock, book.version))
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.note_answer(format_args!("{what}"), &answer, shown);
        answer
    }

    pub(crate) async fn amend(&self, book: BookId, change: Amend, key: OrderId) -> Result<Book> {
        let answer = self.routes[self.at].catalog.amend(book, change.clone(), Some(key), None).await;
        editors::count(&self.world, &change, &answer);
        self.note_answer(format_args!("amend {book} {change:?} {key}"), &answer, |book| {
            format!("{} in stock, {}", book.stock, book.version)
        });
        answer
    }
}

/// Counts a failure by its kind.
pub(crate) fn count(world: &Shared, error: &Error) {
    let what = match error {
        Error::Overloaded { message } if !message.contains("injected") => Seen::Overloaded,
        Error::OutcomeUnknown { message, .. } => match message {
            text if text.contains("an earlier attempt") => Seen::UnknownEarlier,
            text if text.contains("injected") => Seen::UnknownInjected,
            text if text.contains("the store failed") => Seen::UnknownStore,
            text if text.contains("not yet in this server's copy") => Seen::UnknownNotCopied,
            text if text.contains("in time") || text.contains("time limit") => Seen::UnknownTimeout,
            _ => Seen::UnknownOther,
        },
        Error::BookWithdrawn { .. } => Seen::SaleRefused,
        Error::Unavailable { message } if message.contains("started again") => Seen::PinnedOpening,
        Error::Unavailable { message } if message.contains("which was seen") => Seen::PinnedEntry,
        _ => return,
    };
    world.coverage.saw(what);
}

/// The ledger's entries after `after`, not recorded.
pub(crate) async fn follow(routes: &Routes, after: Seq) -> Result<bookstore_core::Entries> {
    routes.ledger.entries(after, 100, Duration::from_millis(500)).await
}

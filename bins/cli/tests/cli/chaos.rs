//! Servers are killed in turn while buyers buy; afterwards nothing may be oversold, lost or doubled.

use crate::support::{Dir, Server, admin};
use bookstore::{
    Bookstore,
    core::{BookId, Error, Executed, Line, Lines, OrderId},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const BUYERS: u64 = 24;
/// Bought from, with few enough copies to run out.
const BOOKS: u64 = 7;

/// What is known about the buyers' orders when all have their answers.
#[derive(Default)]
struct Told {
    bought: Vec<(OrderId, Lines)>,
    refused: Vec<OrderId>,
    /// Refused after a try whose outcome nobody knew.
    unsettled: Vec<OrderId>,
    retries: u64,
    /// Bought by a try whose answer was lost, and told of by a later one.
    rescued: u64,
}

struct Market {
    shop: Bookstore,
    open: AtomicBool,
    answered: AtomicU64,
}

impl Market {
    fn open(shop: Bookstore) -> Arc<Self> {
        // Little timeout: the buyers themselves try again, with the same id, so that it shows.
        let shop = shop.with_timeout(Duration::from_millis(700));
        Arc::new(Self { shop, open: AtomicBool::new(true), answered: AtomicU64::new(0) })
    }

    fn buyers(self: &Arc<Self>) -> JoinSet<Told> {
        (0..BUYERS).map(|n| Arc::clone(self).buy(n)).collect()
    }

    async fn buy(self: Arc<Self>, buyer: u64) -> Told {
        let mut told = Told::default();
        for round in 0.. {
            if !self.open.load(Ordering::Relaxed) {
                return told;
            }
            let book = |n: u64| Line::new(BookId(1 + n % BOOKS), 1);
            let lines = Lines::new([book(buyer + round), book(buyer * round)]).unwrap();
            let id = self.shop.new_order_id();
            let mut unknown = false;
            loop {
                match self.shop.purchase(id, lines.iter().copied()).await {
                    Ok(receipt) => {
                        assert!(receipt.order.sold(&lines), "{receipt:?}");
                        told.rescued += u64::from(receipt.replayed);
                        told.bought.push((id, lines));
                        break;
                    }
                    Err(Error::OutOfStock { .. }) if unknown => {
                        told.unsettled.push(id);
                        break;
                    }
                    Err(Error::OutOfStock { .. }) => {
                        told.refused.push(id);
                        break;
                    }
                    Err(error) => {
                        assert!(error.may_retry(true), "{error:?}");
                        unknown |= error.executed() == Executed::Unknown;
                        told.retries += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        told
    }

    /// Waits until so many more purchases have been answered: the shop is at work.
    async fn busy(&self, more: u64) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let at_work = async {
            while self.answered.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), at_work).await.expect("the shop sells on");
    }

    async fn close(&self, buyers: JoinSet<Told>) -> Told {
        self.open.store(false, Ordering::Relaxed);
        let mut all = Told::default();
        for told in buyers.join_all().await {
            all.bought.extend(told.bought);
            all.refused.extend(told.refused);
            all.unsettled.extend(told.unsettled);
            all.retries += told.retries;
            all.rescued += told.rescued;
        }
        all
    }
}

/// Kills each server while the shop is busy, and starts it again a moment later.
async fn kill_in_turn(market: &Market, servers: &mut [Server], rounds: usize) {
    for _ in 0..rounds {
        for server in servers.iter_mut() {
            market.busy(40).await;
            server.kill();
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.restart();
            restock(&market.shop).await;
        }
    }
    market.busy(40).await;
}

/// Some more copies now and then, so that buying and selling out go on.
async fn restock(shop: &Bookstore) {
    for book in 1..=BOOKS {
        shop.clone().with_timeout(Duration::from_secs(20)).restock(BookId(book), 40).await.unwrap();
    }
}

/// Every order that was acknowledged is there as it was acknowledged, through every server; no refused one is.
/// Says how many orders there must be.
async fn check(told: Told, shops: &[Bookstore]) -> usize {
    let Told { bought, refused, unsettled, retries, rescued } = told;
    let (sold, sold_out) = (bought.len(), refused.len());
    println!(
        "{sold} bought ({rescued} rescued by a retry), {sold_out} refused, {} unsettled, {retries} retries",
        unsettled.len()
    );
    assert!(sold > 100 && sold_out > 0, "too little happened to prove anything");
    assert!(retries > 0, "no purchase was ever cut off: nothing was proven");
    for shop in shops {
        at_once(&bought, |(id, lines)| there(shop.clone(), id, lines)).await;
    }
    at_once(&refused, |id| not_there(shops[0].clone(), id)).await;
    let mut settled = 0;
    for id in unsettled {
        settled += usize::from(shops[0].order(id).await.is_ok());
    }
    sold + settled
}

async fn there(shop: Bookstore, id: OrderId, lines: Lines) {
    let order = shop.order(id).await.unwrap_or_else(|error| panic!("order {id} is lost: {error}"));
    assert!(order.sold(&lines), "{order:?}");
}

async fn not_there(shop: Bookstore, id: OrderId) {
    let order = shop.order(id).await;
    assert!(matches!(order, Err(Error::OrderNotFound { .. })), "it was refused: {order:?}");
}

/// Runs a check for each, some at a time.
async fn at_once<T: Clone, F: Future<Output = ()> + Send + 'static>(all: &[T], check: impl Fn(T) -> F) {
    for some in all.chunks(32) {
        let checks: JoinSet<()> = some.iter().cloned().map(&check).collect();
        checks.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monolith_killed_while_it_sells_keeps_every_promise() {
    let dir = Dir::new();
    let server = dir.monolith();
    let market = Market::open(server.shop());
    let buyers = market.buyers();
    let mut servers = [server];
    kill_in_turn(&market, &mut servers, 4).await;
    let told = market.close(buyers).await;
    let orders = check(told, &[servers[0].shop()]).await;
    drop(servers);
    let audit = dir.run(&["audit", "--json"]).ok().json();
    assert_eq!((&audit["ok"], &audit["orders"]), (&true.into(), &orders.into()), "as many sold as were told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_killed_in_turn_while_they_sell_keep_every_promise() {
    let dir = Dir::new();
    let admin_token = ["--admin-token-file", "admin.token"];
    let catalog = dir.serve(&["catalog", "--sample"]);
    let order =
        |store: &str, ack: &str| dir.serve(&["order", "--catalog", &catalog.url, "--store", store, "--ack", ack]);
    let orders = [order("sqlite:one.db", "ledger"), order("sqlite:two.db", "copied")];
    let both = format!("{},{}", orders[0].url, orders[1].url);
    let frontend =
        || dir.serve(&[&["frontend", "--catalog", &catalog.url, "--order", &both], &admin_token[..]].concat());
    let frontends = [frontend(), frontend()];
    frontends.iter().for_each(Server::ready);
    let urls = [frontends[0].url.clone(), frontends[1].url.clone()];

    let market = Market::open(admin(&urls.join(",")));
    let buyers = market.buyers();
    let mut servers: Vec<Server> = [catalog].into_iter().chain(orders).chain(frontends).collect();
    kill_in_turn(&market, &mut servers, 2).await;
    let told = market.close(buyers).await;
    servers.iter().for_each(Server::ready);
    let sold = check(told, &[admin(&urls[0]), admin(&urls[1])]).await;
    servers.into_iter().for_each(|server| assert_eq!(server.stop(), Some(0)));

    let stores = ["--store", "sqlite:catalog.db", "--copy", "sqlite:one.db", "--copy", "sqlite:two.db"];
    let audit = dir.run(&[&["audit", "--json"], &stores[..]].concat()).ok().json();
    assert_eq!((&audit["ok"], &audit["orders"]), (&true.into(), &sold.into()), "as many sold as were told of");
}

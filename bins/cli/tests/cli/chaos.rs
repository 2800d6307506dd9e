//! Servers are killed in turn while buyers buy; afterwards nothing may be oversold, lost or doubled.

use crate::support::{Dir, Server, TIMEOUT, admin};
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

/// What became of the buyers' orders.
#[derive(Default)]
struct Outcomes {
    bought: Vec<(OrderId, Lines)>,
    refused: Vec<OrderId>,
    /// Refused after an attempt whose outcome was unknown.
    unsettled: Vec<OrderId>,
    retries: u64,
    /// Bought by an attempt whose answer was lost, and acknowledged to a later one.
    rescued: u64,
}

struct Market {
    shop: Bookstore,
    open: AtomicBool,
    /// Purchases that were answered, and those among them that were acknowledged, or refused, for the shop was sold out.
    answered: AtomicU64,
    bought: AtomicU64,
    refused: AtomicU64,
}

impl Market {
    fn open(shop: Bookstore) -> Arc<Self> {
        // A short timeout: the buyers themselves try again, with the same id, and count it.
        let shop = shop.with_timeout(Duration::from_millis(700));
        let [answered, bought, refused] = [(); 3].map(|()| AtomicU64::new(0));
        Arc::new(Self { shop, open: AtomicBool::new(true), answered, bought, refused })
    }

    fn buyers(self: &Arc<Self>) -> JoinSet<Outcomes> {
        (0..BUYERS).map(|n| Arc::clone(self).buy(n)).collect()
    }

    async fn buy(self: Arc<Self>, buyer: u64) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for round in 0.. {
            if !self.open.load(Ordering::Relaxed) {
                return outcomes;
            }
            let book = |n: u64| Line::new(BookId(1 + n % BOOKS), 1);
            let lines = Lines::new([book(buyer + round), book(buyer * round)]).unwrap();
            let id = self.shop.new_order_id();
            let mut unknown = false;
            loop {
                match self.shop.purchase(id, lines.iter().copied()).await {
                    Ok(receipt) => {
                        assert!(receipt.order.sold(&lines), "{receipt:?}");
                        self.bought.fetch_add(1, Ordering::Relaxed);
                        outcomes.rescued += u64::from(receipt.replayed);
                        outcomes.bought.push((id, lines));
                        break;
                    }
                    Err(Error::OutOfStock { .. }) if unknown => {
                        outcomes.unsettled.push(id);
                        break;
                    }
                    Err(Error::OutOfStock { .. }) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        outcomes.refused.push(id);
                        break;
                    }
                    Err(error) => {
                        assert!(error.may_retry(true), "{error:?}");
                        unknown |= error.executed() == Executed::Unknown;
                        outcomes.retries += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        outcomes
    }

    /// Waits until so many more purchases have been answered: the shop sells.
    async fn busy(&self, more: u64) {
        at_least(&self.answered, self.answered.load(Ordering::Relaxed) + more).await;
    }

    /// Waits until so much was sold, and so much sold out, that the check afterwards means something.
    async fn has_sold_out(&self) {
        at_least(&self.bought, 101).await;
        at_least(&self.refused, 1).await;
    }

    async fn close(&self, buyers: JoinSet<Outcomes>) -> Outcomes {
        self.open.store(false, Ordering::Relaxed);
        let mut all = Outcomes::default();
        for outcomes in buyers.join_all().await {
            all.bought.extend(outcomes.bought);
            all.refused.extend(outcomes.refused);
            all.unsettled.extend(outcomes.unsettled);
            all.retries += outcomes.retries;
            all.rescued += outcomes.rescued;
        }
        all
    }
}

/// Waits until a count has grown.
async fn at_least(count: &AtomicU64, wanted: u64) {
    let grown = async {
        while count.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, grown).await.expect("the shop sells on");
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
    // Nothing is restocked any more: in the end everything is sold.
    market.has_sold_out().await;
}

/// Some more copies now and then, so that buying and selling out go on.
async fn restock(shop: &Bookstore) {
    for book in 1..=BOOKS {
        shop.clone().with_timeout(TIMEOUT).restock(BookId(book), 40).await.unwrap();
    }
}

/// Every acknowledged order reads as it was acknowledged, through every server; no refused one exists. Returns how many orders
/// there must be.
async fn check(outcomes: Outcomes, shops: &[Bookstore]) -> usize {
    let Outcomes { bought, refused, unsettled, retries, rescued } = outcomes;
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
    let outcomes = market.close(buyers).await;
    let orders = check(outcomes, &[servers[0].shop()]).await;
    drop(servers);
    let audit = dir.run(&["audit", "--json"]).ok().json();
    assert_eq!((&audit["ok"], &audit["orders"]), (&true.into(), &orders.into()), "as many sold as were acknowledged");
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
    let outcomes = market.close(buyers).await;
    servers.iter().for_each(Server::ready);
    let sold = check(outcomes, &[admin(&urls[0]), admin(&urls[1])]).await;
    servers.into_iter().for_each(|server| assert_eq!(server.stop(), Some(0)));

    let stores = ["--store", "sqlite:catalog.db", "--copy", "sqlite:one.db", "--copy", "sqlite:two.db"];
    let audit = dir.run(&[&["audit", "--json"], &stores[..]].concat()).ok().json();
    assert_eq!((&audit["ok"], &audit["orders"]), (&true.into(), &sold.into()), "as many sold as were acknowledged");
}

//! The order service: purchases and cancels through a catalog, and reads orders from a copy or from the ledger.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

use crate::{
    batch::each,
    contact::Contact,
    error::{Error, Result},
    follow::Pinned,
    history::LedgerIdentity,
    id::{OrderId, Seq},
    order::{Actor, Order, Receipt},
    page::{OrderPage, OrderQuery},
    request::{Lines, OrderAction},
    service::CatalogService,
};

pub use crate::service::{Ack, OrderReader, OrderService};

/// The order service over a catalog.
///
/// It keeps no orders: the ledger does. It remembers the last orders that were changed through it, because a copy may still show them as
/// they were before.
///
/// ```
/// use bookstore_core::{BookId, Catalog, CatalogOptions, CatalogService as _, Cents, Clock as _, Lines, NewBook, OrderService as _};
/// use bookstore_core::{BookText, Orders, SystemClock, store::memory};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, reader) = memory::open(&SystemClock);
/// let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default())?;
/// let catalog = Arc::new(catalog);
/// let text = BookText { title: "Paxos Made Simple".into(), topic: "consensus".into(), ..BookText::default() };
/// catalog.add_books(vec![NewBook { text, price_cents: Cents::new(1500)?, stock: 3 }], None).await?;
///
/// let orders = Orders::new(catalog.clone(), catalog.clone());
/// let id = SystemClock.new_order_id();
/// let receipt = orders.purchase(id, Lines::one(BookId(1), 2)?).await?;
/// assert_eq!(receipt.order.total_cents, Cents::new(3000)?);
/// let again = orders.purchase(id, Lines::one(BookId(1), 2)?).await?;
/// assert!(again.replayed && again.order == receipt.order, "the same id never buys twice");
/// assert_eq!(catalog.info(BookId(1)).await?.stock, 1);
/// # Ok(())
/// # }
/// ```
pub struct Orders {
    catalog: Arc<dyn CatalogService>,
    reader: Arc<dyn OrderReader>,
    /// How far the copy is, and how long a purchase waits for it; `None` if purchases do not wait for a copy.
    copied: Option<(watch::Receiver<Seq>, Duration)>,
    /// Why nothing may be sold; `None` if it may.
    refused: Option<watch::Receiver<Option<String>>>,
    /// Which history the copy follows; `None` if there is only one.
    followed: Option<Pinned>,
    /// Orders that were changed through this server, as they were then, newest last, and the history that was followed then.
    changed: Mutex<VecDeque<(Order, History)>>,
}

/// A history of the ledger, if one was followed.
type History = Option<Arc<LedgerIdentity>>;

/// Cancelled orders that one server remembers: more than pass through it while its copy catches up.
const CHANGED_MAX: usize = 1024;

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("copied", &self.copied).finish_non_exhaustive()
    }
}

impl Orders {
    /// Sells through `catalog` and reads orders from `reader`: the [`Catalog`](crate::Catalog) itself in one process, a
    /// [`Follower`](crate::follow::Follower) with a copy on a machine of its own.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, reader: Arc<dyn OrderReader>) -> Self {
        Self { catalog, reader, copied: None, refused: None, followed: None, changed: Mutex::default() }
    }

    /// Acknowledges purchases as `ack` says. `followed` is how far the copy is, see
    /// [`Follower::followed`](crate::follow::Follower::followed).
    #[must_use]
    pub fn acknowledge(mut self, ack: Ack, followed: watch::Receiver<Seq>) -> Self {
        self.copied = match ack {
            Ack::Ledger => None,
            Ack::Copied { wait } => Some((followed, wait)),
        };
        self
    }

    /// Refuses purchases and cancellations, as not executed, while `refused` says why. Orders can still be read. See
    /// [`Follower::refused`](crate::follow::Follower::refused).
    #[must_use]
    pub fn refuse_while(self, refused: watch::Receiver<Option<String>>) -> Self {
        Self { refused: Some(refused), ..self }
    }

    /// Forgets changes of orders that passed through this server when the ledger goes on under another timeline, which may not have them.
    /// See [`Follower::pinned`](crate::follow::Follower::pinned).
    #[must_use]
    pub fn forget_with(self, followed: Pinned) -> Self {
        Self { followed: Some(followed), ..self }
    }

    fn history(&self) -> History {
        self.followed.as_ref().and_then(Pinned::history)
    }

    fn may_sell(&self) -> Result<()> {
        match self.refused.as_ref().and_then(|refused| refused.borrow().clone()) {
            Some(why) => Err(Error::unavailable(why)),
            None => Ok(()),
        }
    }

    /// Remembers the order in an answer or a refusal. `history` is what was followed when it was asked for.
    fn remember(&self, answer: &Result<Receipt>, history: &History) {
        let order = match answer {
            Ok(receipt) => Some(&receipt.order),
            Err(error) => error.order(),
        };
        let Some(order) = order else { return };
        // A copy that has an order has it at least as it began.
        if order.version > order.seq {
            let mut changed = self.changed.lock().expect("nobody panics with it");
            if changed.len() == CHANGED_MAX {
                changed.pop_front();
            }
            changed.push_back((order.clone(), history.clone()));
        }
    }

    /// The order as the reader shows it, or newer if its change passed through here.
    fn newest(&self, order: Order) -> Order {
        let history = self.history();
        let changed = self.changed.lock().expect("nobody panics with it");
        let newer = changed
            .iter()
            .filter(|(changed, then)| changed.id == order.id && changed.version > order.version && *then == history);
        newer.map(|(order, _)| order).max_by_key(|order| order.version).cloned().unwrap_or(order)
    }

    /// Waits until the copy has followed up to entry `seq`, if purchases wait for a copy.
    async fn wait_until_followed(&self, seq: Seq) -> Result<()> {
        let Some((mut followed, wait)) = self.copied.clone() else { return Ok(()) };
        let copied = async {
            let Some(pinned) = &self.followed else {
                return followed.wait_for(|followed| *followed >= seq).await.is_ok();
            };
            // In order, see `Pinned`.
            loop {
                let further = pinned.follows_on();
                if *followed.borrow() >= seq {
                    return true;
                }
                further.await;
            }
        };
        match tokio::time::timeout(wait, copied).await {
            Ok(true) => Ok(()),
            _ => Err(not_copied()),
        }
    }

    /// Takes the catalog's answer about an order, and waits until the copy has what it says, if calls wait for a copy.
    async fn answer(&self, id: OrderId, answer: Result<Receipt>, history: &History) -> Result<Receipt> {
        self.remember(&answer, history);
        let receipt = answer.map_err(|error| error.for_order(id))?;
        if self.copied.is_some() {
            let copied = async {
                self.wait_until_followed(receipt.order.version).await?;
                self.check_copied(&receipt).await
            };
            copied.await.map_err(|error| error.for_order(id))?;
        }
        Ok(receipt)
    }

    /// Checks that the copy has this very order. That it has followed so far is not enough: until it notices that the ledger was
    /// restored, it has other orders under the same numbers.
    async fn check_copied(&self, Receipt { order, .. }: &Receipt) -> Result<()> {
        match self.reader.order(order.id).await {
            Ok(Some(copied)) if copied.seq == order.seq && copied.version >= order.version => Ok(()),
            _ => Err(not_copied().for_order(order.id)),
        }
    }
}

fn not_copied() -> Error {
    Error::unknown("the order is in the ledger, but not yet in this server's copy")
}

#[async_trait]
impl OrderService for Orders {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.may_sell()?;
        let history = self.history();
        let answer = self.catalog.sell(id, lines).await;
        if self.copied.is_none() {
            self.remember(&answer, &history);
            return answer.map_err(|error| error.for_order(id));
        }
        // Boxed, so that the future of a purchase that does not wait for a copy stays small.
        Box::pin(self.answer(id, answer, &history)).await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        if let Err(refused) = self.may_sell() {
            return purchases.iter().map(|_| Err(refused.clone())).collect();
        }
        let history = self.history();
        let mut answers = self.catalog.sell_many(purchases).await;
        answers.iter().for_each(|answer| self.remember(answer, &history));
        // The copy follows the ledger in order: when it has the last of them it has all of them.
        let last = answers.iter().flatten().map(|receipt| receipt.order.version).max();
        if let (true, Some(last)) = (self.copied.is_some(), last) {
            // If that takes too long, some of them may be there all the same.
            let _ = self.wait_until_followed(last).await;
            let check = |answer| -> BoxFuture<'_, _> {
                Box::pin(async {
                    let receipt: Receipt = answer?;
                    self.check_copied(&receipt).await.map(|()| receipt)
                })
            };
            answers = each(answers, check).await;
        }
        answers
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.may_sell()?;
        let history = self.history();
        self.answer(id, self.catalog.release(id).await, &history).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.may_sell()?;
        let history = self.history();
        self.answer(id, self.catalog.change_order(id, action, by).await, &history).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        match self.reader.order(id).await? {
            Some(order) => Ok(self.newest(order)),
            None => self.catalog.find_order(id).await,
        }
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        let scan = query.check()?;
        Ok(scan.page(self.reader.find_orders(scan.clone()).await?))
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.catalog.find_contact(id).await
    }
}

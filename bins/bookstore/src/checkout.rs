//! The calls of [`Bookstore`] between a basket and a delivery: hold, confirm, extend, fulfil, take back.

use bookstore_core::{Actor, Error, Line, Lines, OrderAction, OrderId, Receipt, Reference, Result, Timestamp};
use std::time::Duration;

use crate::facade::Bookstore;

/// # Checkout
/// Copies are held while a payment is made, and placed when it succeeds. What this program holds, only this program places: a buyer who
/// knows the order id can read and cancel the order, and nothing else. A hold whose time is up lapses by itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use bookstore::{Bookstore, sample};
/// use bookstore::core::{BookId, Line, Status};
/// use std::time::Duration;
///
/// # let shop = Bookstore::open("memory:").await?;
/// # shop.add_books(sample::books()).await?;
/// let id = shop.new_order_id(); // store it before anything is sent
/// let hold = shop.hold(id, [Line::new(BookId(1), 1)], Duration::from_secs(600), Some("payment 17".parse()?)).await?;
/// assert_eq!(hold.order.status, Status::Held);
/// // … authorise the payment of hold.order.total_cents …
/// let placed = shop.confirm(id).await?; // again and again, until there is an answer
/// assert_eq!(placed.order.status, Status::Placed);
/// // … capture the payment …
/// # Ok(())
/// # }
/// ```
///
/// In a shop that runs elsewhere these calls need a token with the role `stock`, whose name the ledger keeps with the change; a shop in
/// this process keeps the name [`Bookstore::ACTOR`].
///
/// Each call may be sent again: what it asks for is done once, and a repetition is answered with the order as it is.
impl Bookstore {
    /// Who changes orders and books in the ledger of a shop in this process.
    pub const ACTOR: &str = "embedder";

    pub(crate) fn actor() -> Result<Option<Actor>> {
        Self::ACTOR.parse().map(Some)
    }

    async fn change(&self, id: OrderId, action: OrderAction) -> Result<Receipt> {
        let by = Self::actor()?;
        self.once(|| self.order_service().change(id, action.clone(), by.clone())).await
    }

    /// Sets copies aside for an order, all lines or none, for `time`: 1 second to 24 hours, in whole seconds.
    ///
    /// # Errors
    /// - As [`purchase`](Self::purchase).
    /// - [`Error::Overloaded`] if 100,000 orders are held.
    /// - [`Error::Invalid`] for another time.
    pub async fn hold(
        &self,
        id: OrderId,
        lines: impl IntoIterator<Item = Line>,
        time: Duration,
        reference: Option<Reference>,
    ) -> Result<Receipt> {
        let seconds = u32::try_from(time.as_secs()).map_err(|_| Error::invalid("hold_seconds", "is too long"))?;
        self.change(id, OrderAction::Hold { lines: Lines::new(lines)?, seconds, reference }).await
    }

    /// Buys all lines or none, as [`purchase`](Self::purchase) does, and names what the order is called elsewhere.
    ///
    /// # Errors
    /// As [`purchase`](Self::purchase). [`Error::OrderIdReused`] also for another reference.
    pub async fn purchase_for(
        &self,
        id: OrderId,
        lines: impl IntoIterator<Item = Line>,
        reference: Reference,
    ) -> Result<Receipt> {
        self.change(id, OrderAction::Purchase { lines: Lines::new(lines)?, reference: Some(reference) }).await
    }

    /// Places a held order: the copies are sold at the prices at which they were held.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    /// - [`Error::OrderLapsed`], [`Error::OrderCancelled`], [`Error::OrderVoided`]: nothing is sold.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn confirm(&self, id: OrderId) -> Result<Receipt> {
        self.change(id, OrderAction::Confirm).await
    }

    /// Holds an order for longer: until `expires_at`, at most 24 hours from now. `seen` is the end that the caller saw.
    ///
    /// # Errors
    /// - As [`confirm`](Self::confirm).
    /// - [`Error::HoldChanged`]: it ends at another time than `seen`.
    /// - [`Error::Invalid`]: the new end is not later, or too late.
    pub async fn extend(&self, id: OrderId, seen: Timestamp, expires_at: Timestamp) -> Result<Receipt> {
        self.change(id, OrderAction::Extend { seen, expires_at }).await
    }

    /// Notes that an order was handed over.
    ///
    /// # Errors
    /// - As [`confirm`](Self::confirm).
    /// - [`Error::OrderHeld`]: it is not placed yet.
    pub async fn fulfil(&self, id: OrderId) -> Result<Receipt> {
        self.change(id, OrderAction::Fulfil).await
    }

    /// Puts some copies of an order into stock again, once per key.
    ///
    /// # Errors
    /// - As [`fulfil`](Self::fulfil).
    /// - [`Error::Invalid`]: more copies than were bought and have not come back yet.
    /// - [`Error::OrderIdReused`]: the key was used for something else.
    pub async fn take_back(&self, id: OrderId, lines: impl IntoIterator<Item = Line>, key: OrderId) -> Result<Receipt> {
        self.change(id, OrderAction::Return { lines: Lines::new(lines)?, key }).await
    }
}

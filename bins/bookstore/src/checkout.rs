//! The calls of [`Bookstore`] between a basket and a delivery: hold, confirm, extend, fulfil, take back; and who the order is for.

use bookstore_core::{Actor, Contact, Error, Line, Lines, OrderAction, OrderId, Receipt, Reference, Result, Timestamp};
use std::time::Duration;

use crate::facade::Bookstore;

/// What an order carries beside its lines. Neither is asked for again when an order is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the order is called elsewhere. It is part of the ledger for ever.
    pub reference: Option<Reference>,
    /// Who it is for: no part of the ledger, so that it can be corrected and erased.
    pub contact: Option<Contact>,
}

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
        self.hold_with(id, lines, time, Terms { reference, contact: None }).await
    }

    /// Sets copies aside as [`hold`](Self::hold) does, on these terms.
    ///
    /// # Errors
    /// - As [`hold`](Self::hold).
    /// - [`Error::Invalid`] for a contact in a shop that keeps none.
    pub async fn hold_with(
        &self,
        id: OrderId,
        lines: impl IntoIterator<Item = Line>,
        time: Duration,
        Terms { reference, contact }: Terms,
    ) -> Result<Receipt> {
        let seconds = u32::try_from(time.as_secs()).map_err(|_| Error::invalid("hold_seconds", "is too long"))?;
        let (lines, contact) = (Lines::new(lines)?, contact.map(Box::new));
        self.change(id, OrderAction::Hold { lines, seconds, reference, contact }).await
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
        self.purchase_with(id, lines, Terms { reference: Some(reference), contact: None }).await
    }

    /// Buys all lines or none, as [`purchase`](Self::purchase) does, on these terms.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bookstore::{Bookstore, Terms, core::{BookId, Contact, ContactFields, Line}, sample};
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// let fields = ContactFields { email: Some("ada@example.org".into()), ..ContactFields::default() };
    /// let terms = Terms { contact: Some(Contact::new(fields)?), ..Terms::default() };
    /// let id = shop.new_order_id();
    /// shop.purchase_with(id, [Line::new(BookId(1), 1)], terms).await?;
    /// assert_eq!(shop.contact(id).await?.as_ref().and_then(Contact::email), Some("ada@example.org"));
    /// shop.erase_contact(id).await?;
    /// assert_eq!(shop.contact(id).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - As [`purchase_for`](Self::purchase_for).
    /// - [`Error::Invalid`] for a contact in a shop that keeps none.
    pub async fn purchase_with(
        &self,
        id: OrderId,
        lines: impl IntoIterator<Item = Line>,
        Terms { reference, contact }: Terms,
    ) -> Result<Receipt> {
        let (lines, contact) = (Lines::new(lines)?, contact.map(Box::new));
        self.change(id, OrderAction::Purchase { lines, reference, contact }).await
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

    /// Who an order is for; `None` if no contact was given, or it was erased. It is read where the ledger is, and MUST NOT be logged.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.read(|| self.order_service().contact(id)).await
    }

    /// Gives an order a contact, or another one in place of the whole contact before. It makes no entry in the ledger.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`], [`Error::OrderVoided`].
    /// - [`Error::Invalid`]: the shop keeps none, or the order's was erased.
    /// - In a shop that runs elsewhere, without a token, as well [`Error::OrderFulfilled`], [`Error::OrderCancelled`] and
    ///   [`Error::OrderLapsed`].
    pub async fn set_contact(&self, id: OrderId, contact: Contact) -> Result<Receipt> {
        self.change(id, OrderAction::SetContact { contact: Box::new(contact) }).await
    }

    /// Erases the contact of an order, for good. That it was erased, when and by whom is in the ledger; what it said is nowhere in the store
    /// any more. Backups that were made before still have it.
    ///
    /// # Errors
    /// As [`set_contact`](Self::set_contact), but not [`Error::Invalid`].
    pub async fn erase_contact(&self, id: OrderId) -> Result<Receipt> {
        self.change(id, OrderAction::EraseContact).await
    }
}

//! What the entries of an order make of it.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

use crate::{
    clock::Timestamp,
    id::{OrderId, Seq},
    inline_list::InlineList,
    ledger::{Entry, Kind},
    money::Cents,
};

use super::{Lines, OrderLine, Reference, Status};

/// An order. It exists if and only if its first entry is in the ledger; there is no other record of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OrderFields")]
pub struct Order {
    /// The buyer's key.
    pub id: OrderId,
    /// Its state.
    pub status: Status,
    /// What was bought or held, sorted by book. A voided order has none.
    pub lines: InlineList<OrderLine>,
    /// The sum over the lines.
    pub total_cents: Cents,
    /// When its first entry was committed: its sale or its hold.
    pub placed_at: Timestamp,
    /// The number of its first ledger entry.
    pub seq: Seq,
    /// The number of its newest ledger entry.
    pub version: Seq,
    /// When the return was committed, if the order was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// What few orders have.
    pub details: Option<Box<OrderDetails>>,
}

/// What few orders have. In JSON these fields stand beside the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderDetails {
    /// What the order is called elsewhere.
    pub reference: Option<Reference>,
    /// When its copies are not held any longer. It stays when the order is confirmed.
    pub expires_at: Option<Timestamp>,
    /// Whether the shop made the hold: then only the shop confirms, extends or purchases it.
    pub held_by_shop: bool,
    /// When it was handed over.
    pub fulfilled_at: Option<Timestamp>,
    /// When its time was up.
    pub lapsed_at: Option<Timestamp>,
    /// Copies that came back without a cancellation, sorted by book.
    pub returned: Vec<OrderLine>,
}

impl OrderDetails {
    /// `None` for the details of nearly all orders.
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// An order as JSON has it.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Order))]
struct OrderFields {
    /// The buyer's key.
    id: OrderId,
    /// Its state.
    status: Status,
    /// What was bought or held, sorted by book. A voided order has none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<OrderLine>))]
    lines: InlineList<OrderLine>,
    /// The sum over the lines.
    total_cents: Cents,
    /// When its first entry was committed: its sale or its hold.
    placed_at: Timestamp,
    /// The number of its first ledger entry.
    seq: Seq,
    /// The number of its newest ledger entry.
    version: Seq,
    /// When the order was cancelled.
    #[serde(default)]
    cancelled_at: Option<Timestamp>,
    /// What the order is called elsewhere.
    #[serde(default)]
    reference: Option<Reference>,
    /// When its copies are not held any longer.
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// Whether the shop made the hold: then only the shop confirms, extends or purchases it.
    #[serde(default)]
    held_by_shop: bool,
    /// When it was handed over.
    #[serde(default)]
    fulfilled_at: Option<Timestamp>,
    /// When its time was up.
    #[serde(default)]
    lapsed_at: Option<Timestamp>,
    /// Copies that came back without a cancellation, sorted by book.
    #[serde(default)]
    returned: Vec<OrderLine>,
}

impl From<OrderFields> for Order {
    fn from(fields: OrderFields) -> Self {
        let OrderFields { id, status, lines, total_cents, placed_at, seq, version, cancelled_at, .. } = fields;
        let OrderFields { reference, expires_at, held_by_shop, fulfilled_at, lapsed_at, returned, .. } = fields;
        let details = OrderDetails { reference, expires_at, held_by_shop, fulfilled_at, lapsed_at, returned }.boxed();
        Self { id, status, lines, total_cents, placed_at, seq, version, cancelled_at, details }
    }
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut order = serializer.serialize_struct("Order", 9)?;
        order.serialize_field("id", &self.id)?;
        order.serialize_field("status", &self.status)?;
        order.serialize_field("lines", &self.lines)?;
        order.serialize_field("total_cents", &self.total_cents)?;
        order.serialize_field("placed_at", &self.placed_at)?;
        order.serialize_field("seq", &self.seq)?;
        order.serialize_field("version", &self.version)?;
        if let Some(at) = &self.cancelled_at {
            order.serialize_field("cancelled_at", at)?;
        }
        if let Some(details) = &self.details {
            details.serialize_fields(&mut order)?;
        }
        order.end()
    }
}

impl OrderDetails {
    fn serialize_fields<S: serde::ser::SerializeStruct>(&self, order: &mut S) -> Result<(), S::Error> {
        let Self { reference, expires_at, held_by_shop, fulfilled_at, lapsed_at, returned } = self;
        if let Some(reference) = reference {
            order.serialize_field("reference", reference)?;
        }
        for (name, at) in [("expires_at", expires_at), ("fulfilled_at", fulfilled_at), ("lapsed_at", lapsed_at)] {
            if let Some(at) = at {
                order.serialize_field(name, at)?;
            }
        }
        if *held_by_shop {
            order.serialize_field("held_by_shop", held_by_shop)?;
        }
        if !returned.is_empty() {
            order.serialize_field("returned", returned)?;
        }
        Ok(())
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use super::{Order, OrderFields};
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, Schema},
    };

    impl PartialSchema for Order {
        fn schema() -> RefOr<Schema> {
            OrderFields::schema()
        }
    }

    impl ToSchema for Order {
        fn name() -> std::borrow::Cow<'static, str> {
            OrderFields::name()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            OrderFields::schemas(schemas);
        }
    }
}

impl Order {
    /// Whether this order has the same books and numbers of copies as `lines` ask for. Prices do not count: a retry may have seen
    /// another one.
    #[must_use]
    pub fn sold(&self, lines: &Lines) -> bool {
        let sold = self.lines.iter().map(|line| (line.book, line.quantity));
        sold.eq(lines.iter().map(|line| (line.book, line.quantity)))
    }

    /// When its copies are not held any longer, if they are or were held.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.details.as_ref()?.expires_at
    }

    /// What the order is called elsewhere.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.details.as_ref()?.reference.as_ref()
    }

    /// Whether the shop made the hold: then only the shop confirms, extends or purchases it.
    #[must_use]
    pub fn is_held_by_shop(&self) -> bool {
        self.details.as_ref().is_some_and(|details| details.held_by_shop)
    }

    /// The copies that came back without a cancellation.
    #[must_use]
    pub fn returned(&self) -> &[OrderLine] {
        self.details.as_ref().map_or(&[], |details| &details.returned)
    }

    /// What has not come back yet, line by line. A line of which all has come back is left out.
    pub(crate) fn kept(&self) -> impl Iterator<Item = OrderLine> {
        self.lines.iter().filter_map(|line| {
            let back = self.returned().iter().find(|back| back.book == line.book).map_or(0, |back| back.quantity);
            let quantity = line.quantity.saturating_sub(back);
            (quantity > 0).then_some(OrderLine { quantity, ..*line })
        })
    }

    /// The order that an entry begins: a sale, a hold or a void. `None` for other entries.
    pub(crate) fn begun(entry: &Entry) -> Option<Self> {
        let status = match entry.kind {
            Kind::Sale => Status::Placed,
            Kind::Hold => Status::Held,
            Kind::Void => Status::Voided,
            _ => return None,
        };
        let lines: InlineList<OrderLine> = entry.changes.iter().map(sold_line).collect();
        let total = lines.iter().try_fold(Cents::ZERO, |sum, line| {
            line.unit_price_cents.times(line.quantity).and_then(|cents| sum.plus(cents))
        });
        let details = entry.details.as_ref().and_then(|details| {
            let held_by_shop = status == Status::Held && details.actor.is_some();
            let (reference, expires_at) = (details.reference.clone(), details.expires_at);
            OrderDetails { reference, expires_at, held_by_shop, ..OrderDetails::default() }.boxed()
        });
        Some(Self {
            id: entry.key?,
            status,
            lines,
            // Decided before the entry was appended: a total never overflows.
            total_cents: total.unwrap_or(Cents::MAX),
            placed_at: entry.at,
            seq: entry.seq,
            version: entry.seq,
            cancelled_at: None,
            details,
        })
    }

    /// This order after a later entry of its own.
    #[must_use]
    pub fn after(mut self, entry: &Entry) -> Self {
        self.version = entry.seq;
        match entry.kind {
            Kind::Confirm => self.status = Status::Placed,
            Kind::Return if entry.is_partial_return() => self.take_back(entry),
            Kind::Return => {
                self.status = Status::Cancelled;
                self.cancelled_at = Some(entry.at);
            }
            Kind::Lapse => {
                self.status = Status::Lapsed;
                self.details.get_or_insert_default().lapsed_at = Some(entry.at);
            }
            Kind::Fulfil => {
                self.status = Status::Fulfilled;
                self.details.get_or_insert_default().fulfilled_at = Some(entry.at);
            }
            Kind::Extend => {
                if let Some(expires_at) = entry.details.as_ref().and_then(|details| details.expires_at) {
                    self.details.get_or_insert_default().expires_at = Some(expires_at);
                }
            }
            _ => {}
        }
        self
    }

    fn take_back(&mut self, entry: &Entry) {
        for change in &entry.changes {
            let returned = &mut self.details.get_or_insert_default().returned;
            let (book, quantity) = (change.book, u32::try_from(change.delta).unwrap_or_default());
            match returned.binary_search_by_key(&book, |line| line.book) {
                Ok(at) => returned[at].quantity = returned[at].quantity.saturating_add(quantity),
                Err(at) => returned.insert(at, OrderLine { book, quantity, unit_price_cents: change.price_cents }),
            }
        }
    }

    /// The order that these entries make, if they are an order's: all of them, oldest first.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Option<Self> {
        let mut entries = entries.into_iter();
        let begun = Self::begun(entries.next()?)?;
        Some(entries.fold(begun, Self::after))
    }
}

fn sold_line(change: &crate::ledger::Change) -> OrderLine {
    let quantity = u32::try_from(-change.delta).unwrap_or_default();
    OrderLine { book: change.book, quantity, unit_price_cents: change.price_cents }
}

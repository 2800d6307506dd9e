//! What the entries of an order make of it.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    id::{OrderId, Seq},
    inline_list::InlineList,
    json::{put_number, put_string},
    money::Cents,
};

use super::{OrderLine, Reference, Status};

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
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
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

impl Order {
    /// Appends its JSON, byte for byte as serde writes it: the answer to every purchase. An order that is more than bought is left to serde.
    pub fn write_json(&self, to: &mut Vec<u8>) {
        let Self { id, status, lines, total_cents, placed_at, seq, version, cancelled_at: None, details: None } = self
        else {
            return serde_json::to_writer(to, self).expect("an order is JSON, and a Vec takes it");
        };
        to.extend_from_slice(br#"{"id":""#);
        to.extend_from_slice(id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
        to.extend_from_slice(br#"","status":""#);
        to.extend_from_slice(status.as_str().as_bytes());
        to.extend_from_slice(br#"","lines":["#);
        for (place, OrderLine { book, quantity, unit_price_cents }) in lines.iter().enumerate() {
            if place > 0 {
                to.push(b',');
            }
            to.extend_from_slice(br#"{"book":"#);
            put_number(to, book.0);
            to.extend_from_slice(br#","quantity":"#);
            put_number(to, *quantity);
            to.extend_from_slice(br#","unit_price_cents":"#);
            put_number(to, unit_price_cents.get());
            to.push(b'}');
        }
        to.extend_from_slice(br#"],"total_cents":"#);
        put_number(to, total_cents.get());
        to.extend_from_slice(br#","placed_at":"#);
        put_string(to, &placed_at.rfc3339());
        to.extend_from_slice(br#","seq":"#);
        put_number(to, seq.0);
        to.extend_from_slice(br#","version":"#);
        put_number(to, version.0);
        to.push(b'}');
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
    /// The most bytes of its JSON.
    pub(crate) fn json_bytes(&self) -> usize {
        /// Of an order without lines, with the longest numbers and times, and of a line.
        const BYTES: (usize, usize) = (512, 88);
        let reference = self.reference().map_or(0, |reference| crate::json::string_bytes(reference.as_str()));
        BYTES.0 + BYTES.1 * (self.lines.len() + self.returned().len()) + reference
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
}

//! Orders: what a buyer asks for, and what was sold.

use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;
use std::{fmt, str::FromStr};
use uuid::Uuid;

use crate::{book::BookId, clock::Timestamp, error::Error, ledger::Seq, money::Cents};

/// The buyer's name for one purchase intent, and the key that makes it happen once: a UUID.
///
/// Version 7 is preferred: time-ordered keys keep the ledger's index append-only.
/// Whoever holds the id may read and cancel the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

impl OrderId {
    /// The longest `Idempotency-Key`, in characters.
    pub const KEY_MAX: usize = 255;

    /// The order id that an `Idempotency-Key` stands for: the key itself if it is a UUID, otherwise a hash (UUID v5) of it.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the key is empty, longer than [`OrderId::KEY_MAX`] or has control characters.
    pub fn from_key(key: &str) -> Result<Self, Error> {
        if let Ok(id) = key.parse() {
            return Ok(id);
        }
        if key.is_empty() || key.chars().count() > Self::KEY_MAX || key.contains(|c: char| c.is_control()) {
            return Err(Error::malformed(format!(
                "an idempotency key has 1 to {} printable characters",
                Self::KEY_MAX
            )));
        }
        Ok(Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes())))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|_| Error::malformed(format!("an order id is a UUID, not {text:?}")))
    }
}

/// One line of a purchase request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// Which book.
    pub book: BookId,
    /// How many copies, 1 to [`Lines::QUANTITY_MAX`].
    pub quantity: u32,
    /// The price that the buyer saw; if it has changed since, nothing is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<Cents>,
}

impl Line {
    /// `quantity` copies of `book` at whatever it costs.
    #[must_use]
    pub fn new(book: BookId, quantity: u32) -> Self {
        Self { book, quantity, price_cents: None }
    }
}

/// The checked lines of a purchase: 1 to [`Lines::MAX`], sorted by book, each book once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Line>")]
pub struct Lines(SmallVec<[Line; 1]>);

impl Lines {
    /// The most lines of one order.
    pub const MAX: usize = 100;
    /// The most copies of one line.
    pub const QUANTITY_MAX: u32 = 1000;

    /// Checks the lines, sorts them and sums those of the same book.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no lines, more than [`Lines::MAX`], a quantity outside 1..=[`Lines::QUANTITY_MAX`] (also
    /// of one book in sum), or two prices for the same book.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, Error> {
        let mut checked: SmallVec<[Line; 1]> = SmallVec::new();
        for line in lines {
            if checked.len() == Self::MAX {
                return Err(Error::invalid("lines", format!("an order has at most {} lines", Self::MAX)));
            }
            check_quantity(line.quantity)?;
            checked.push(line);
        }
        if checked.is_empty() {
            return Err(Error::invalid("lines", "an order has at least one line"));
        }
        if checked.len() > 1 {
            checked = summed(checked)?;
        }
        Ok(Self(checked))
    }

    /// One line.
    ///
    /// # Errors
    /// As [`Lines::new`].
    pub fn one(book: BookId, quantity: u32) -> Result<Self, Error> {
        Self::new([Line::new(book, quantity)])
    }

    /// The lines, sorted by book.
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.0.iter()
    }
}

/// The lines sorted by book, with one for each book.
fn summed(mut lines: SmallVec<[Line; 1]>) -> Result<SmallVec<[Line; 1]>, Error> {
    lines.sort_by_key(|line| line.book);
    let mut summed: SmallVec<[Line; 1]> = SmallVec::new();
    for line in lines {
        match summed.last_mut() {
            Some(last) if last.book == line.book => {
                if last.price_cents != line.price_cents {
                    return Err(Error::invalid("price_cents", "two lines of one book must agree on its price"));
                }
                last.quantity = check_quantity(last.quantity + line.quantity)?;
            }
            _ => summed.push(line),
        }
    }
    Ok(summed)
}

fn check_quantity(quantity: u32) -> Result<u32, Error> {
    if (1..=Lines::QUANTITY_MAX).contains(&quantity) {
        return Ok(quantity);
    }
    Err(Error::invalid("quantity", format!("must be from 1 to {}, not {quantity}", Lines::QUANTITY_MAX)))
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'a> IntoIterator for &'a Lines {
    type Item = &'a Line;
    type IntoIter = std::slice::Iter<'a, Line>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl TryFrom<Vec<Line>> for Lines {
    type Error = Error;
    fn try_from(lines: Vec<Line>) -> Result<Self, Error> {
        Self::new(lines)
    }
}

/// One line of an order: what was sold, at which price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderLine {
    /// Which book.
    pub book: BookId,
    /// Copies sold.
    pub quantity: u32,
    /// What one copy cost then.
    pub unit_price_cents: Cents,
}

/// Whether an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Sold.
    Placed,
    /// Sold and returned: the copies are back in stock.
    Cancelled,
}

impl Status {
    /// As it is written, here and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An order: it exists if and only if its sale is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Order {
    /// The buyer's key.
    pub id: OrderId,
    /// Whether it stands.
    pub status: Status,
    /// What was sold, sorted by book.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<OrderLine>))]
    pub lines: SmallVec<[OrderLine; 1]>,
    /// The sum over the lines.
    pub total_cents: Cents,
    /// When the sale was committed.
    pub placed_at: Timestamp,
    /// The sale's place in the ledger.
    pub seq: Seq,
    /// When it was cancelled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
}

impl Order {
    /// Whether this order sold just what `lines` ask for (prices aside: a retry may have seen another).
    #[must_use]
    pub fn sold(&self, lines: &Lines) -> bool {
        let sold = self.lines.iter().map(|line| (line.book, line.quantity));
        sold.eq(lines.iter().map(|line| (line.book, line.quantity)))
    }
}

/// The answer to a purchase or a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The order as it is now.
    pub order: Order,
    /// True if an earlier call with this id had done it already: this one changed nothing.
    pub replayed: bool,
}

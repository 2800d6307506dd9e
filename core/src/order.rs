//! Orders: the lines that a buyer asks for, and what was sold.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

use crate::{error::Error, id::BookId, inline_list::InlineList, money::Cents};

mod action;
mod state;

pub use crate::id::OrderId;
pub use action::{Actor, OrderAction, Reference};
pub use state::{Order, OrderDetails};

/// One line of a purchase request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// Which book.
    pub book: BookId,
    /// How many copies, 1 to [`Lines::QUANTITY_MAX`].
    pub quantity: u32,
    /// The price of one copy that the buyer saw. If the book costs another one now, nothing is bought
    /// ([`Error::PriceChanged`]). `None` accepts any price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<Cents>,
}

impl Line {
    /// `quantity` copies of `book`, at any price.
    #[must_use]
    pub fn new(book: BookId, quantity: u32) -> Self {
        Self { book, quantity, price_cents: None }
    }
}

/// The checked lines of a purchase: 1 to [`Lines::MAX`], sorted by book, each book once.
///
/// There is no other way to make `Lines` than its constructors, so nothing that takes them checks them again.
///
/// ```
/// use bookstore_core::{BookId, Line, Lines};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let lines = Lines::new([Line::new(BookId(7), 1), Line::new(BookId(3), 2), Line::new(BookId(7), 1)])?;
/// let sorted: Vec<_> = lines.iter().map(|line| (line.book.0, line.quantity)).collect();
/// assert_eq!(sorted, [(3, 2), (7, 2)], "sorted by book, and those of one book are summed");
/// assert!(Lines::new([]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Line>")]
pub struct Lines(InlineList<Line>);

impl Lines {
    /// The most lines of one order.
    pub const MAX: usize = 100;
    /// The most copies of one line.
    pub const QUANTITY_MAX: u32 = 1000;

    /// Checks the lines, sorts them and sums those of the same book.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `lines` for no lines, or more than [`Lines::MAX`] before they are summed.
    /// - [`Error::Invalid`] in `quantity` outside 1..=[`Lines::QUANTITY_MAX`], also of the sum over one book.
    /// - [`Error::Invalid`] in `price_cents` if two lines of one book expect different prices.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, Error> {
        let mut checked: InlineList<Line> = InlineList::new();
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

    /// `quantity` copies of one book, at any price.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `quantity` outside 1..=[`Lines::QUANTITY_MAX`].
    pub fn one(book: BookId, quantity: u32) -> Result<Self, Error> {
        Self::new([Line::new(book, quantity)])
    }

    /// The lines, sorted by book.
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.0.iter()
    }
}

/// The lines sorted by book, with one for each book.
fn summed(mut lines: InlineList<Line>) -> Result<InlineList<Line>, Error> {
    lines.sort_by_key(|line| line.book);
    let mut summed: InlineList<Line> = InlineList::new();
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

/// One line of an order: copies of one book, and the price at which they were sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderLine {
    /// Which book.
    pub book: BookId,
    /// Copies sold.
    pub quantity: u32,
    /// The price of one copy at the time of the sale, in cents.
    pub unit_price_cents: Cents,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its copies are set aside until it is confirmed, or until its time is up.
    Held,
    /// Bought.
    Placed,
    /// Handed over.
    Fulfilled,
    /// Cancelled: the copies are back in stock.
    Cancelled,
    /// Held and not confirmed in time: the copies are back in stock.
    Lapsed,
    /// Never bought: its id was given up before it bought anything.
    Voided,
}

impl Status {
    /// The name that JSON and the pages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Placed => "placed",
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
            Self::Voided => "voided",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer to a call that changes an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The order as it is now.
    pub order: Order,
    /// True if an earlier call with this id did it already. Then this call changed nothing, and the receipt shows the
    /// order as it is now.
    pub replayed: bool,
}

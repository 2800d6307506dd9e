//! What a buyer or the shop asks of an order: the lines of a purchase, and everything else that can be done with it.

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    clock::Timestamp,
    contact::Contact,
    error::Error,
    id::{BookId, OrderId},
    inline_list::InlineList,
    money::Cents,
    order::{Order, Reference},
};

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

/// A change of one order, as [`OrderService::change`](crate::OrderService::change) takes it.
///
/// Each may be sent again: what the order's state says already is answered with the order, and nothing is changed. What each does in
/// each state is the table in [`decide`](crate::decide).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum OrderAction {
    /// Buys all lines or none, as [`OrderService::purchase`](crate::OrderService::purchase) does.
    Purchase {
        /// What to buy.
        lines: Lines,
        /// What the order is called elsewhere, for example by a payment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
        /// Who it is for. A repetition with another one does not change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<Box<Contact>>,
    },
    /// Sets copies aside, all lines or none, until the order is confirmed or the time is up.
    Hold {
        /// What to hold.
        lines: Lines,
        /// For how long, from the moment when it is decided: 1 to [`Self::HOLD_SECONDS_MAX`], without an [`Actor`](crate::Actor) at most
        /// [`Self::PUBLIC_HOLD_SECONDS_MAX`].
        seconds: u32,
        /// What the order is called elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
        /// Who it is for. A repetition with another one does not change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<Box<Contact>>,
    },
    /// Places a held order: the copies are sold at the prices at which they were held.
    Confirm,
    /// Holds the copies for longer.
    Extend {
        /// The [`Order::expires_at`] that the caller saw.
        seen: Timestamp,
        /// The new one: later than that, and at most [`Self::HOLD_SECONDS_MAX`] from now. A hold without an [`Actor`](crate::Actor) ends at most
        /// [`Self::PUBLIC_HOLD_SECONDS_MAX`] after it began.
        expires_at: Timestamp,
    },
    /// Cancels the order, as [`OrderService::cancel`](crate::OrderService::cancel) does.
    Cancel,
    /// Cancels the order; if there is none, its id will never buy anything. So an unknown outcome becomes a known one.
    Void,
    /// Notes that the order was handed over.
    Fulfil,
    /// Puts some copies of a placed or fulfilled order into stock again.
    Return {
        /// What comes back: at most what was bought and has not come back yet. Prices do not count.
        lines: Lines,
        /// Makes it happen once.
        key: OrderId,
    },
    /// Gives the order a contact, or another one. It makes no entry, and of two at the same time either may stay.
    SetContact {
        /// Who the order is for.
        contact: Box<Contact>,
    },
    /// Erases the order's contact for good: it takes none any more. Without a contact nothing is changed.
    EraseContact,
}

impl OrderAction {
    /// The longest hold, in seconds.
    pub const HOLD_SECONDS_MAX: u32 = 86_400;
    /// The longest hold without an [`Actor`](crate::Actor), in seconds, extensions included.
    pub const PUBLIC_HOLD_SECONDS_MAX: u32 = 900;
}

impl Order {
    /// Whether this order has the same books and numbers of copies as `lines` ask for. Prices do not count: a retry may have seen
    /// another one.
    #[must_use]
    pub fn sold(&self, lines: &Lines) -> bool {
        let sold = self.lines.iter().map(|line| (line.book, line.quantity));
        sold.eq(lines.iter().map(|line| (line.book, line.quantity)))
    }
}

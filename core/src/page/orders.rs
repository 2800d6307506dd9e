//! Lists of orders: which ones are looked for, and how a page of them is found.

use serde::{Deserialize, Serialize};

use super::{fitting, page_size, read_token, write_token};
use crate::{
    clock::Timestamp,
    contact::Contact,
    error::{Error, Result},
    id::{BookId, OrderId, Seq},
    order::{Order, Reference, Status},
};

#[cfg_attr(not(doc), expect(unused_imports, reason = "the docs name it"))]
use super::{PAGE_BYTES_MAX, Query};

/// Which orders are looked for, newest first, a page at a time. All, if no field is set; otherwise those for which every field holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderQuery {
    /// Orders that are called so elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Orders in this state. Voided ones are in no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Orders of this book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<BookId>,
    /// Orders that were placed or held then or later, by the clock of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Orders that were placed or held before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Orders whose contact has all these words in its name or e-mail address, case aside. At most
    /// [`OrderQuery::WORDS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Orders a page, 1 to [`Query::PAGE_MAX`]; [`Query::PAGE_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The [`OrderPage::next_page_token`] of the page before. It is opaque, and good for the same query only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl OrderQuery {
    /// The most characters of [`Self::contact`].
    pub const WORDS_MAX: usize = 200;

    /// Checks the fields. Gives what is to be looked for, for one page.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits.
    pub fn check(&self) -> Result<OrderScan> {
        if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) {
            return Err(Error::invalid("to", "must be later than from"));
        }
        let words = self.contact.as_deref().map(|words| words.chars().count());
        if words.is_some_and(|count| !(1..=Self::WORDS_MAX).contains(&count)) {
            return Err(Error::invalid("contact", format!("must have 1 to {} characters", Self::WORDS_MAX)));
        }
        let before = self.page_token.as_deref().map(|token| read_token(token, &self.about())).transpose()?;
        let words = self.contact.as_deref().map(str::to_lowercase).unwrap_or_default();
        let words = words.split_whitespace().map(str::to_owned).collect();
        Ok(OrderScan { query: self.clone(), words, before, limit: page_size(self.page_size)? })
    }

    /// Whether some orders are left out.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        let Self { reference, status, book, from, to, contact, page_size: _, page_token: _ } = self;
        contact.is_some() || reference.is_some() || status.is_some() || book.is_some() || from.is_some() || to.is_some()
    }

    /// The query of which a token is the token.
    fn about(&self) -> String {
        let query = Self { page_size: None, page_token: None, ..self.clone() };
        let query = serde_json::to_string(&query).expect("a query is JSON");
        format!("orders{query}")
    }

    /// Whether an order is looked for, its state aside.
    fn admits(&self, order: &Order) -> bool {
        let has = |book: BookId| order.lines.iter().any(|line| line.book == book);
        self.reference.as_ref().is_none_or(|reference| order.reference() == Some(reference))
            && self.book.is_none_or(has)
            && self.from.is_none_or(|from| from <= order.placed_at)
            && self.to.is_none_or(|to| order.placed_at < to)
    }
}

/// A checked [`OrderQuery`] for one page.
#[derive(Clone, Debug)]
pub struct OrderScan {
    query: OrderQuery,
    /// The words of [`OrderQuery::contact`], in lower case.
    words: Vec<String>,
    before: Option<Seq>,
    limit: usize,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundOrders {
    /// The orders, newest first.
    pub orders: Vec<Order>,
    /// Set if older orders than this were not looked at.
    pub unseen_before: Option<Seq>,
}

impl OrderScan {
    /// The most orders that one scan looks at in vain: then its page ends, and another one may follow.
    pub const VAIN_MAX: usize = 10_000;

    /// Up to `limit` orders of all kinds that began before `before`.
    #[must_use]
    pub fn all(before: Option<Seq>, limit: usize) -> Self {
        Self { query: OrderQuery::default(), words: Vec::new(), before, limit }
    }

    /// Only orders that began before this entry are looked for.
    #[must_use]
    pub fn before(&self) -> Option<Seq> {
        self.before
    }

    /// Only orders with this reference are looked for.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.query.reference.as_ref()
    }

    /// Whether contacts are looked at.
    #[must_use]
    pub fn needs_contacts(&self) -> bool {
        self.query.contact.is_some()
    }

    fn is_of(&self, contact: Option<Contact>) -> bool {
        let Some(contact) = contact else { return false };
        let text = [contact.name(), contact.email()].map(|text| text.unwrap_or_default().to_lowercase()).join(" ");
        self.words.iter().all(|word| text.contains(word.as_str()))
    }

    /// Looks through orders as they began, newest first and all older than [`Self::before`]. `now` gives one as it is, `contact` its
    /// contact.
    ///
    /// # Errors
    /// The first error of either.
    pub fn run<E>(
        &self,
        begun: impl Iterator<Item = Result<Order, E>>,
        mut now: impl FnMut(OrderId) -> Result<Option<Order>, E>,
        mut contact: impl FnMut(OrderId) -> Result<Option<Contact>, E>,
    ) -> Result<FoundOrders, E> {
        let mut looking = self.look();
        for begun in begun {
            if !looking.take(begun?, &mut now, &mut contact)? {
                break;
            }
        }
        Ok(looking.found())
    }

    /// Begins to look, for a store that cannot give one order after the other.
    pub(crate) fn look(&self) -> Looking<'_> {
        Looking { scan: self, found: FoundOrders::default(), vain: 0 }
    }

    /// Whether more has to be known of an order that began so.
    pub(crate) fn admits(&self, begun: &Order) -> bool {
        self.query.admits(begun)
    }

    /// A page of what the scan found, whose JSON is at most [`PAGE_BYTES_MAX`] long.
    #[must_use]
    pub fn page(&self, found: FoundOrders) -> OrderPage {
        let FoundOrders { mut orders, mut unseen_before } = found;
        let fits = fitting(orders.iter().map(Order::json_bytes));
        if fits < orders.len() {
            orders.truncate(fits);
            unseen_before = orders.last().map(|last| last.seq);
        }
        let next_page_token = unseen_before.map(|seq| write_token(&seq, &self.query.about()));
        OrderPage { orders, next_page_token }
    }
}

/// A scan under way.
pub(crate) struct Looking<'a> {
    scan: &'a OrderScan,
    found: FoundOrders,
    vain: usize,
}

impl Looking<'_> {
    /// Looks at the next order, see [`OrderScan::run`]. Returns whether it goes on.
    pub(crate) fn take<E>(
        &mut self,
        begun: Order,
        now: impl FnOnce(OrderId) -> Result<Option<Order>, E>,
        contact: impl FnOnce(OrderId) -> Result<Option<Contact>, E>,
    ) -> Result<bool, E> {
        let Self { scan, found, vain } = self;
        if found.orders.len() == scan.limit {
            found.unseen_before = found.orders.last().map(|last| last.seq);
            return Ok(false);
        }
        let admitted = scan.admits(&begun) && (!scan.needs_contacts() || scan.is_of(contact(begun.id)?));
        let order = if admitted { now(begun.id)? } else { None };
        let wanted = |order: &Order| scan.query.status.is_none_or(|status| order.status == status);
        match order.filter(wanted) {
            Some(order) => found.orders.push(order),
            None => *vain += 1,
        }
        if *vain == OrderScan::VAIN_MAX {
            found.unseen_before = Some(begun.seq);
        }
        Ok(*vain < OrderScan::VAIN_MAX)
    }

    /// What was found so far.
    pub(crate) fn found(self) -> FoundOrders {
        self.found
    }
}

/// A page of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderPage {
    /// The orders, newest first. A page can have fewer than its size, even none, although another one follows: its JSON is at most
    /// [`PAGE_BYTES_MAX`] long, and [`OrderScan::VAIN_MAX`] orders are looked at in vain for one page.
    pub orders: Vec<Order>,
    /// Leads to the next page; `None` on the last page.
    pub next_page_token: Option<String>,
}

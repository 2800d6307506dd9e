//! Contacts: given with an order, corrected, and erased for good; never a part of the ledger.

use super::support::assert_invalid;
use crate::{
    book::BookId,
    conformance::deployment::Deployment,
    contact::{Contact, ContactFields},
    error::{Error, Result},
    fixtures::{lines, order_id},
    ledger::{Entry, Kind},
    order::{Actor, Order, OrderId, Receipt, Status},
    page::OrderQuery,
    request::OrderAction,
};

/// In every text, and nowhere else.
const SECRET: &str = "Ada Lovelace";

fn contact(note: &str) -> Box<Contact> {
    let fields = ContactFields {
        name: Some(SECRET.into()),
        email: Some("ada@example.org".into()),
        address: Some(format!("{SECRET}, 12 St James's Square, London")),
        note: Some(format!("{SECRET}: {note}")),
    };
    Box::new(Contact::new(fields).expect("a good contact"))
}

fn office() -> Option<Actor> {
    Some("office".parse().expect("a name"))
}

impl Deployment {
    async fn buy_for(&self, id: OrderId, contact: Option<Box<Contact>>) -> Result<Receipt> {
        let lines = lines(&[(BookId(1), 1)]);
        self.orders.change(id, OrderAction::Purchase { lines, reference: None, contact }, None).await
    }

    async fn hold_for(&self, contact: Option<Box<Contact>>) -> Order {
        let hold = OrderAction::Hold { lines: lines(&[(BookId(1), 1)]), seconds: 600, reference: None, contact };
        self.orders.change(order_id(), hold, office()).await.expect("there are enough").order
    }

    /// An order with a contact.
    async fn bought_for(&self, note: &str) -> Order {
        self.buy_for(order_id(), Some(contact(note))).await.expect("there are enough").order
    }

    async fn set(&self, id: OrderId, note: &str, by: Option<Actor>) -> Result<Receipt> {
        self.orders.change(id, OrderAction::SetContact { contact: contact(note) }, by).await
    }

    async fn erase(&self, id: OrderId) -> Result<Receipt> {
        self.orders.change(id, OrderAction::EraseContact, office()).await
    }

    /// Both services' answer.
    async fn contact(&self, id: OrderId) -> Option<Contact> {
        let contact = self.orders.contact(id).await.expect("there is such an order");
        assert_eq!(self.catalog.find_contact(id).await.as_ref(), Ok(&contact));
        contact
    }
}

/// A purchase and a hold may carry one; an order without one has none.
pub(super) async fn are_kept_with_their_order(d: Deployment) {
    d.add_book(100).await;
    let bought = d.bought_for("gift").await;
    assert_eq!(d.contact(bought.id).await.as_ref(), Some(&*contact("gift")));
    let held = d.hold_for(Some(contact("held"))).await;
    d.orders.change(held.id, OrderAction::Confirm, office()).await.expect("it is held");
    assert_eq!(d.contact(held.id).await.as_ref(), Some(&*contact("held")));
    let plain = d.buy(BookId(1), 1).await.expect("there are enough").order;
    assert_eq!(d.contact(plain.id).await, None);
    let short = OrderAction::Purchase {
        lines: lines(&[(BookId(1), 1000)]),
        reference: None,
        contact: Some(contact("refused")),
    };
    let refused = order_id();
    d.orders.change(refused, short, None).await.expect_err("there are not so many");
    assert_eq!(d.orders.contact(refused).await, Err(Error::OrderNotFound { order: refused }));
    assert_eq!(d.catalog.find_contact(refused).await, Err(Error::OrderNotFound { order: refused }));
}

/// A repetition under the id with another contact, or with none, changes nothing.
pub(super) async fn are_not_changed_by_a_repetition(d: Deployment) {
    d.add_book(100).await;
    let order = d.bought_for("first").await;
    for other in [Some(contact("second")), None] {
        let again = d.buy_for(order.id, other).await.expect("it is bought");
        assert!(again.replayed && again.order == order, "{again:?}");
    }
    assert_eq!(d.contact(order.id).await, Some(*contact("first")));
    let plain = d.buy_for(order_id(), None).await.expect("there are enough").order;
    d.buy_for(plain.id, Some(contact("late"))).await.expect("it is bought");
    assert_eq!(d.contact(plain.id).await, None);
}

/// A correction makes no entry, and changes nothing of the order.
pub(super) async fn are_corrected_without_an_entry(d: Deployment) {
    d.add_book(100).await;
    for order in [d.bought_for("wrong").await, d.buy_for(order_id(), None).await.expect("there are enough").order] {
        let before = d.head().await;
        let first = d.set(order.id, "right", None).await.expect("the order is open");
        d.assert_first(&first);
        let again = d.set(order.id, "right", None).await.expect("the order is open");
        assert!(again.replayed, "{again:?}");
        assert_eq!((&first.order, &again.order, d.head().await), (&order, &order, before));
        assert_eq!(d.contact(order.id).await, Some(*contact("right")));
        d.set(order.id, "righter", office()).await.expect("the shop may, too");
        assert_eq!(d.contact(order.id).await, Some(*contact("righter")));
    }
}

/// An erasure is an entry with its actor, once; after it, nothing brings a contact back.
pub(super) async fn are_erased_for_good(d: Deployment) {
    d.add_book(100).await;
    let order = d.bought_for("gone").await;
    let before = d.head().await;
    let erased = d.erase(order.id).await.expect("there is such an order");
    d.assert_first(&erased);
    assert!(erased.order.version > order.version && erased.order.status == Status::Placed, "{erased:?}");
    assert_eq!(d.contact(order.id).await, None);
    let again = d.erase(order.id).await.expect("there is such an order");
    assert!(again.replayed && again.order == erased.order, "{again:?}");

    let (_, entries) = d.entries(before).await;
    let [Entry { kind: Kind::Erase, key: None, changes, details: Some(details), .. }] = &entries[..] else {
        panic!("one erasure, not {entries:?}");
    };
    assert!(changes.is_empty() && details.order == Some(order.id) && details.actor.is_some(), "{details:?}");

    for by in [None, office()] {
        assert_invalid(d.set(order.id, "back", by).await, "contact");
    }
    d.buy_for(order.id, Some(contact("back"))).await.expect("it is bought");
    assert_eq!(d.contact(order.id).await, None);
    assert_eq!(d.orders.order(order.id).await, Ok(erased.order));
}

/// An order without a contact has nothing to erase, and may have one later.
pub(super) async fn erases_nothing_where_nothing_is(d: Deployment) {
    d.add_book(100).await;
    let order = d.buy_for(order_id(), None).await.expect("there are enough").order;
    let before = d.head().await;
    let erased = d.erase(order.id).await.expect("there is such an order");
    assert!(erased.replayed && erased.order == order, "{erased:?}");
    assert_eq!(d.head().await, before);
    d.set(order.id, "later", None).await.expect("nothing was erased");
    assert_eq!(d.contact(order.id).await, Some(*contact("later")));
}

/// The buyer corrects while the order is open, the shop as long as there is an order.
pub(super) async fn are_the_buyers_while_the_order_is_open(d: Deployment) {
    d.add_book(100).await;
    let fulfilled = d.bought_for("a").await.id;
    d.orders.change(fulfilled, OrderAction::Fulfil, office()).await.expect("it is placed");
    let cancelled = d.bought_for("b").await.id;
    d.orders.cancel(cancelled).await.expect("it is placed");
    let held = d.hold_for(Some(contact("c"))).await.id;
    d.set(held, "held", None).await.expect("it is open");
    for (id, code) in [(fulfilled, "order-fulfilled"), (cancelled, "order-cancelled")] {
        let refused = d.set(id, "late", None).await.expect_err("it is closed");
        assert_eq!(refused.code(), code);
        d.set(id, "by the shop", office()).await.expect("the shop may");
        assert_eq!(d.contact(id).await, Some(*contact("by the shop")));
        d.erase(id).await.expect("the shop may");
        assert_eq!(d.contact(id).await, None);
    }
    let voided = order_id();
    d.orders.change(voided, OrderAction::Void, office()).await.expect("nobody has used the id");
    assert_eq!(d.set(voided, "no", office()).await.expect_err("it is voided").code(), "order-voided");
    assert!(d.erase(voided).await.expect("it has none").replayed);
    let unknown = order_id();
    for refused in [d.set(unknown, "no", office()).await, d.erase(unknown).await] {
        assert_eq!(refused, Err(Error::OrderNotFound { order: unknown }));
    }
}

/// Entries, orders and lists of orders are the same with a contact as without one.
pub(super) async fn are_no_part_of_the_ledger(d: Deployment) {
    d.add_book(100).await;
    let order = d.bought_for("secret").await;
    d.set(order.id, "still secret", None).await.expect("it is open");
    let held = d.hold_for(Some(contact("secret"))).await;
    d.erase(held.id).await.expect("there is such an order");
    let page = d.catalog.entries(crate::Seq(0), 1000, std::time::Duration::ZERO).await.expect("the ledger can be read");
    let orders = d.orders.orders(OrderQuery::default()).await.expect("orders can be read");
    let shown = [
        serde_json::to_string(&page).expect("JSON"),
        serde_json::to_string(&orders).expect("JSON"),
        serde_json::to_string(&order).expect("JSON"),
    ];
    assert!(shown.iter().all(|text| !text.contains(SECRET) && !text.contains("ada@")), "{shown:?}");
}

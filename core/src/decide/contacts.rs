//! Deciding about the contact of an order: it is given with the order, corrected, and erased once and for all.

use crate::{
    contact::{Contact, ContactChange, ContactRule},
    error::{Error, Result},
    id::OrderId,
    inline_list::InlineList,
    ledger::{Details, Kind},
    order::{Order, Receipt, Status},
};

use super::{Batch, Context, State, orders::replayed};

impl State {
    /// Notes the contact of an order, or that it was erased.
    pub(super) fn keep_contact(&mut self, order: &Order, contact: Option<&Contact>, batch: &mut Batch) {
        let contact = contact.map(|contact| Box::new(contact.clone()));
        self.contact_version += 1;
        let (version, placed_at) = (self.contact_version, order.placed_at);
        self.contacts.insert(order.id, contact.clone());
        batch.contacts.push(ContactChange { order: order.id, placed_at, version, contact });
    }

    /// Gives or corrects a contact. A buyer may while the order is open, the shop at any time.
    pub(super) fn set_contact(&mut self, id: OrderId, contact: &Contact, context: Context<'_>) -> Result<Receipt> {
        self.contact_rule.check(Some(contact), context.by.is_some())?;
        let order = self.existing(id, context.batch)?;
        match order.status {
            Status::Held | Status::Placed => {}
            Status::Fulfilled | Status::Cancelled | Status::Lapsed if context.by.is_some() => {}
            Status::Fulfilled | Status::Cancelled | Status::Lapsed | Status::Voided => {
                return Err(Error::of_state(order));
            }
        }
        match self.contacts.get(&id) {
            Some(None) => return Err(Error::invalid("contact", "was erased, so this order takes none any more")),
            Some(Some(kept)) if **kept == *contact => return Ok(replayed(order)),
            _ => {}
        }
        self.keep_contact(&order, Some(contact), context.batch);
        Ok(Receipt { order, replayed: false })
    }

    /// Erases a contact, in any state of its order.
    pub(super) fn erase_contact(&mut self, id: OrderId, context: Context<'_>) -> Result<Receipt> {
        let order = self.existing(id, context.batch)?;
        if !matches!(self.contacts.get(&id), Some(Some(_))) {
            return Ok(replayed(order));
        }
        self.keep_contact(&order, None, context.batch);
        let details = Details { order: Some(id), ..Details::default() };
        let order = self.change(Kind::Erase, order, InlineList::new(), details, context);
        Ok(Receipt { order, replayed: false })
    }

    /// Checks what a new order gives.
    pub(super) fn check_contact(&self, contact: Option<&Contact>, context: &Context<'_>) -> Result<()> {
        // The plain purchase of a shop that needs no contact takes no further look.
        if contact.is_none() && self.contact_rule != ContactRule::Required {
            return Ok(());
        }
        self.contact_rule.check(contact, context.by.is_some())
    }
}

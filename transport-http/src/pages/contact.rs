//! Who an order is for, as people type it into a form.

use axum::extract::State;
use bookstore_core::{Contact, ContactFields, Error, OrderAction, Result};

use super::{
    form::Fields,
    order::{ORDERS, failed},
    render::see_other,
    timeouts::{read_in_time, write_in_time},
};
use crate::api::{Answer, Shared, contacts::check_open, extract::Payload, order_id::ExistingOrderId};

/// What was typed; a field with white space alone was left empty.
pub(super) fn typed(fields: &Fields) -> ContactFields {
    let [name, email, address, note] =
        ["contact_name", "contact_email", "contact_address", "contact_note"].map(|name| fields.filled(name));
    ContactFields { name, email, address, note }
}

/// Whether an error is about a contact or a text of it.
pub(super) fn is_of_contact(field: &str) -> bool {
    ["contact", "name", "email", "address", "note"].contains(&field)
}

/// `POST /orders/{id}/contact` with a form: changes the contact, or erases it.
pub(super) async fn change(State(shop): Shared, ExistingOrderId(id): ExistingOrderId, payload: Payload) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let changed = async {
        let action = action(&fields)?;
        if action == OrderAction::EraseContact {
            check_open(read_in_time(shop.orders.order(id)).await?)?;
        }
        write_in_time(shop.orders.change(id, action, None)).await
    };
    match changed.await {
        Ok(_) => Ok(see_other(&format!("{ORDERS}/{id}"))),
        Err(error @ Error::OrderNotFound { .. }) => Err(error.into()),
        Err(error) => failed(ORDERS, &shop, id, &error, "This did not change the contact.").await,
    }
}

fn action(fields: &Fields) -> Result<OrderAction> {
    if !fields.text("erase").is_empty() {
        return Ok(OrderAction::EraseContact);
    }
    Ok(OrderAction::SetContact { contact: Box::new(Contact::new(typed(fields))?) })
}

//! `bookstore hold`, `confirm`, `fulfil`, `return`: what becomes of an order; `contact`, `erase-contact`: who it is for.

use bookstore::{Bookstore, Terms};
use bookstore_core::{Clock as _, Error, Executed, Line, OrderId, Receipt, Result, Status, SystemClock};
use std::{process::ExitCode, time::Duration};

use super::{
    Failure,
    admin::same_admin,
    output::{self, print, print_json, quoted},
    shop::{self, answer, contact_again, failed_order},
};
use crate::{
    cli::{AdminArgs, ChangeArgs, ContactOrderArgs, HoldArgs, ReturnArgs},
    config,
};

/// Connects with the token, if there is one.
fn connect(args: &AdminArgs) -> Result<Bookstore, Failure> {
    let file = args.admin_token_file.as_deref();
    let token = file.map(|file| config::admin_token_for(Some(file), &args.shop.server, args.insecure)).transpose()?;
    shop::connect(&args.shop, token)
}

/// Prints the order, or why it was not changed.
async fn show(
    (args, store): (&AdminArgs, &Bookstore),
    id: OrderId,
    done: Result<Receipt>,
    before: &str,
    again: &str,
) -> Result<Receipt, Failure> {
    let receipt = done.map_err(|error: Error| {
        let hint = format!("It may have happened. Running it again is safe:\n  {again}{}", same_admin(args));
        let hint = (error.executed() == Executed::Unknown).then_some(hint);
        failed_order(&args.shop, Some(id), error, hint)
    })?;
    if args.shop.json {
        print_json(&receipt.order);
        return Ok(receipt);
    }
    if receipt.replayed {
        print(before);
    }
    print(&output::order(&receipt.order, shop::currency(&args.shop, store).await));
    Ok(receipt)
}

/// `bookstore hold`
pub(super) async fn hold(args: &HoldArgs) -> Result<ExitCode, Failure> {
    let HoldArgs { book, quantity, seconds, reference, order_id, contact, admin } = args;
    let terms = Terms { reference: reference.clone(), contact: shop::contact(contact.fields())? };
    let id = order_id.unwrap_or_else(|| SystemClock.new_order_id());
    let store = connect(admin)?;
    let time = Duration::from_secs((*seconds).into());
    let held = answer(&admin.shop, store.hold_with(id, [Line::new(*book, *quantity)], time, terms)).await;
    let reference =
        reference.as_ref().map(|text| format!(" --reference {}", quoted(text.as_str()))).unwrap_or_default();
    let contact = contact_again(&contact.fields());
    let again =
        format!("bookstore hold {book} --quantity {quantity} --seconds {seconds}{reference} --order-id {id}{contact}");
    let before = "This order was held before; nothing was held again.\n";
    let receipt = show((admin, &store), id, held, before, &again).await?;
    if !admin.shop.json && receipt.order.status == Status::Held {
        print(&format!("\nPlace it in time: bookstore confirm {id}{}", same_admin(admin)));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore confirm`
pub(super) async fn confirm(args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let ChangeArgs { id, admin } = args;
    let store = connect(admin)?;
    let confirmed = answer(&admin.shop, store.confirm(*id)).await;
    let again = format!("bookstore confirm {id}");
    show((admin, &store), *id, confirmed, "This order was placed before.\n", &again).await?;
    Ok(ExitCode::SUCCESS)
}

/// `bookstore fulfil`
pub(super) async fn fulfil(args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let ChangeArgs { id, admin } = args;
    let store = shop::connect(&admin.shop, Some(config::admin_token(admin)?))?;
    let fulfilled = answer(&admin.shop, store.fulfil(*id)).await;
    let again = format!("bookstore fulfil {id}");
    show((admin, &store), *id, fulfilled, "This order was handed over before.\n", &again).await?;
    Ok(ExitCode::SUCCESS)
}

/// `bookstore return`
pub(super) async fn take_back(args: &ReturnArgs) -> Result<ExitCode, Failure> {
    let ReturnArgs { id, book, quantity, key, admin } = args;
    let key = key.unwrap_or_else(|| SystemClock.new_order_id());
    let store = shop::connect(&admin.shop, Some(config::admin_token(admin)?))?;
    let back = answer(&admin.shop, store.take_back(*id, [Line::new(*book, *quantity)], key)).await;
    let again = format!("bookstore return {id} {book} --quantity {quantity} --key {key}");
    show((admin, &store), *id, back, "These copies had come back before.\n", &again).await?;
    Ok(ExitCode::SUCCESS)
}

/// `bookstore contact`
pub(super) async fn contact(args: &ContactOrderArgs) -> Result<ExitCode, Failure> {
    let ContactOrderArgs { id, contact, admin } = args;
    let store = connect(admin)?;
    if let Some(contact) = shop::contact(contact.fields())? {
        let set = answer(&admin.shop, store.set_contact(*id, contact)).await;
        let again = format!("bookstore contact {id}{}", contact_again(&args.contact.fields()));
        show((admin, &store), *id, set, "This was the order's contact before.\n", &again).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let contact = answer(&admin.shop, store.contact(*id)).await;
    let contact = contact.map_err(|error| failed_order(&admin.shop, Some(*id), error, None))?;
    if admin.shop.json {
        print_json(&contact);
    } else {
        print(&contact.map_or_else(|| "This order has no contact.".to_owned(), |contact| output::contact(&contact)));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore erase-contact`
pub(super) async fn erase_contact(args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let ChangeArgs { id, admin } = args;
    let store = connect(admin)?;
    let erased = answer(&admin.shop, store.erase_contact(*id)).await;
    let again = format!("bookstore erase-contact {id}");
    show((admin, &store), *id, erased, "This order had no contact before.\n", &again).await?;
    Ok(ExitCode::SUCCESS)
}

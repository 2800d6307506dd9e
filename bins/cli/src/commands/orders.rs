//! `bookstore hold`, `confirm`, `fulfil`, `return`: what becomes of an order.

use bookstore::Bookstore;
use bookstore_core::{Clock as _, Error, Executed, Line, OrderId, Receipt, Result, Status, SystemClock};
use std::{process::ExitCode, time::Duration};

use super::{
    Failure,
    admin::same_admin,
    output::{self, print, print_json, quoted},
    shop::{self, answer, failed_order},
};
use crate::{
    cli::{AdminArgs, ChangeArgs, HoldArgs, ReturnArgs},
    config,
};

/// Connects with the token, if there is one.
fn connect(args: &AdminArgs) -> Result<Bookstore, Failure> {
    let file = args.admin_token_file.as_deref();
    let token = file.map(|file| config::admin_token_for(Some(file), &args.shop.server, args.insecure)).transpose()?;
    shop::connect(&args.shop, token)
}

/// Prints the order, or why it was not changed.
fn show(args: &AdminArgs, id: OrderId, done: Result<Receipt>, before: &str, again: &str) -> Result<Receipt, Failure> {
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
    print(&output::order(&receipt.order));
    Ok(receipt)
}

/// `bookstore hold`
pub(super) async fn hold(args: &HoldArgs) -> Result<ExitCode, Failure> {
    let HoldArgs { book, quantity, seconds, reference, order_id, admin } = args;
    let id = order_id.unwrap_or_else(|| SystemClock.new_order_id());
    let store = connect(admin)?;
    let time = Duration::from_secs((*seconds).into());
    let held = answer(&admin.shop, store.hold(id, [Line::new(*book, *quantity)], time, reference.clone())).await;
    let reference =
        reference.as_ref().map(|text| format!(" --reference {}", quoted(text.as_str()))).unwrap_or_default();
    let again = format!("bookstore hold {book} --quantity {quantity} --seconds {seconds}{reference} --order-id {id}");
    let receipt = show(admin, id, held, "This order was held before; nothing was held again.\n", &again)?;
    if !admin.shop.json && receipt.order.status == Status::Held {
        print(&format!("\nPlace it in time: bookstore confirm {id}{}", same_admin(admin)));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore confirm`
pub(super) async fn confirm(args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let ChangeArgs { id, admin } = args;
    let confirmed = answer(&admin.shop, connect(admin)?.confirm(*id)).await;
    show(admin, *id, confirmed, "This order was placed before.\n", &format!("bookstore confirm {id}"))?;
    Ok(ExitCode::SUCCESS)
}

/// `bookstore fulfil`
pub(super) async fn fulfil(args: &ChangeArgs) -> Result<ExitCode, Failure> {
    let ChangeArgs { id, admin } = args;
    let store = shop::connect(&admin.shop, Some(config::admin_token(admin)?))?;
    let fulfilled = answer(&admin.shop, store.fulfil(*id)).await;
    show(admin, *id, fulfilled, "This order was handed over before.\n", &format!("bookstore fulfil {id}"))?;
    Ok(ExitCode::SUCCESS)
}

/// `bookstore return`
pub(super) async fn take_back(args: &ReturnArgs) -> Result<ExitCode, Failure> {
    let ReturnArgs { id, book, quantity, key, admin } = args;
    let key = key.unwrap_or_else(|| SystemClock.new_order_id());
    let store = shop::connect(&admin.shop, Some(config::admin_token(admin)?))?;
    let back = answer(&admin.shop, store.take_back(*id, [Line::new(*book, *quantity)], key)).await;
    let again = format!("bookstore return {id} {book} --quantity {quantity} --key {key}");
    show(admin, *id, back, "These copies had come back before.\n", &again)?;
    Ok(ExitCode::SUCCESS)
}

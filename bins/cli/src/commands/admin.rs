//! The admin commands: orders, stock, prices, new books.

use bookstore::Bookstore;
use bookstore_cli::load::counted;
use bookstore_core::{
    Amend, Book, BookText, Cents, Clock as _, Error, Executed, Isbn, NewBook, OrderId, OrderPage, OrderQuery, Seq,
    SystemClock,
};
use std::process::ExitCode;

use super::{
    Failure,
    output::{self, print, print_json, quoted},
    shop::{self, amounts, answer, failed, failed_order, same_shop},
};
use crate::{
    cli::{AddArgs, AdminArgs, OrdersArgs, PriceArgs, RestockArgs},
    config,
};

pub(super) fn connect(args: &AdminArgs) -> Result<Bookstore, Failure> {
    shop::connect(&args.shop, Some(config::admin_token(args)?))
}

/// The flags for the same shop and token, for a command to run again.
pub(super) fn same_admin(args: &AdminArgs) -> String {
    let file = args.admin_token_file.as_ref();
    let file = file.map(|file| format!(" --admin-token-file {}", quoted(&file.to_string_lossy()))).unwrap_or_default();
    let insecure = if args.insecure { " --insecure" } else { "" };
    format!("{}{file}{insecure}", same_shop(&args.shop))
}

/// `bookstore orders`
pub(super) async fn orders(args: &OrdersArgs) -> Result<ExitCode, Failure> {
    let query = OrderQuery {
        reference: args.reference.clone(),
        status: args.status,
        book: args.book,
        from: args.from,
        to: args.to,
        contact: args.contact.clone(),
        page_size: args.page_size,
        page_token: args.page_token.clone(),
    };
    let shop = &args.admin.shop;
    let store = connect(&args.admin)?;
    let filtered = query.is_filtered();
    let page = answer(shop, orders_page(&store, query)).await.map_err(|error| failed(shop, error, None))?;
    if shop.json {
        print_json(&page);
        return Ok(ExitCode::SUCCESS);
    }
    if page.orders.is_empty() {
        print(if filtered { "No such orders." } else { "No orders yet." });
        return Ok(ExitCode::SUCCESS);
    }
    print(&output::orders(&page.orders, shop::currency(shop, &store).await));
    if let Some(token) = page.next_page_token {
        print(&format!(
            "\nOlder ones: bookstore orders{}{} --page-token {token}",
            same_orders(args),
            same_admin(&args.admin)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A page that has an order, if there is one: pages on which there was nothing to be found are passed over.
async fn orders_page(store: &Bookstore, mut query: OrderQuery) -> Result<OrderPage, Error> {
    loop {
        let page = store.orders(query.clone()).await?;
        if !page.orders.is_empty() || page.next_page_token.is_none() {
            return Ok(page);
        }
        query.page_token = page.next_page_token;
    }
}

/// The options that look for the same orders.
fn same_orders(args: &OrdersArgs) -> String {
    let OrdersArgs { reference, status, book, from, to, contact, page_size, page_token: _, admin: _ } = args;
    let mut options = String::new();
    let mut add = |name: &str, value: Option<String>| options.extend(value.map(|value| format!(" --{name} {value}")));
    add("reference", reference.as_ref().map(|text| quoted(text.as_str())));
    add("status", status.map(|status| status.to_string()));
    add("book", book.map(|book| book.to_string()));
    add("from", from.map(|from| from.to_string()));
    add("to", to.map(|to| to.to_string()));
    add("contact", contact.as_ref().map(|words| quoted(words)));
    add("page-size", page_size.map(|size| size.to_string()));
    options
}

/// `bookstore restock`
pub(super) async fn restock(args: &RestockArgs) -> Result<ExitCode, Failure> {
    let key = args.key.unwrap_or_else(|| SystemClock.new_order_id());
    let again = format!("bookstore restock {} {} --key {key}{}", args.book, args.delta, same_admin(&args.admin));
    let shop = connect(&args.admin)?;
    let change = Amend::StockDelta { delta: args.delta };
    let amended = answer(&args.admin.shop, shop.amend(args.book, change, key)).await;
    show_amended(&args.admin, &shop, key, &again, amended).await
}

/// `bookstore price`
pub(super) async fn price(args: &PriceArgs) -> Result<ExitCode, Failure> {
    let key = args.key.unwrap_or_else(|| SystemClock.new_order_id());
    let version = args.if_version.map(|version| format!(" --if-version {version}")).unwrap_or_default();
    let rest = format!("{version} --key {key}{}", same_admin(&args.admin));
    let command = |yes: &str| format!("bookstore price {} {}{yes}{rest}", args.book, quoted(&args.price));
    let shop = connect(&args.admin)?;
    let [price_cents] = amounts(&args.admin.shop, &shop, [("the price", Some(&args.price))]).await?;
    if let Some(price) = price_cents.filter(|_| !args.yes) {
        ask_for_a_change(args, &shop, price, &command(" --yes")).await?;
    }
    let change = Amend::Set { price_cents, stock: None, version: args.if_version.map(Seq) };
    let amended = answer(&args.admin.shop, shop.amend(args.book, change, key)).await;
    show_amended(&args.admin, &shop, key, &command(if args.yes { " --yes" } else { "" }), amended).await
}

/// Refuses a price that is likely to be a slip.
async fn ask_for_a_change(args: &PriceArgs, shop: &Bookstore, price: Cents, again: &str) -> Result<(), Failure> {
    let to = &args.admin.shop;
    let book = answer(to, shop.info(args.book)).await.map_err(|error| failed(to, error, None))?;
    if !price.is_unlikely(Some(book.price_cents)) {
        return Ok(());
    }
    let currency = shop::currency(to, shop).await;
    let [before, after] = [book.price_cents, price].map(|cents| output::amount(currency, cents));
    let why = if price == Cents::ZERO { "a price of 0" } else { "more than a factor of 5" };
    Err(Failure::Failed(format!(
        "the price of book {} would change from {before} to {after}, {why}. Nothing was changed. If that is meant:\n  {again}",
        args.book
    )))
}

pub(super) async fn show_amended(
    args: &AdminArgs,
    shop: &Bookstore,
    key: OrderId,
    again: &str,
    amended: bookstore_core::Result<Book>,
) -> Result<ExitCode, Failure> {
    let book = amended.map_err(|error| {
        let hint = format!("It may have been changed. Running it again with the same key changes it once:\n  {again}");
        let hint = (error.executed() == Executed::Unknown).then_some(hint);
        failed_order(&args.shop, Some(key), error, hint)
    })?;
    if args.shop.json {
        print_json(&book);
    } else {
        print(&output::book(&book, shop::currency(&args.shop, shop).await));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore add`
pub(super) async fn add(args: AddArgs) -> Result<ExitCode, Failure> {
    let shop = &args.admin.shop;
    let store = connect(&args.admin)?;
    let [price] = amounts(shop, &store, [("--price", Some(&args.price))]).await?;
    let price_cents = price.unwrap_or_default();
    if price_cents.is_unlikely(None) && !args.yes {
        let why = "the price would be 0. Nothing was added. If the book is to be given away, run the command again with --yes";
        return Err(Failure::Failed(why.into()));
    }
    let text = BookText {
        title: args.title,
        authors: args.authors,
        topic: args.topic,
        isbn: args.isbn.as_deref().map_or(Ok(None), Isbn::read)?,
        year: args.year,
        subjects: args.subjects,
        subtitle: args.subtitle,
        sku: args.sku,
        condition: args.condition,
        publisher: args.publisher,
        language: args.language,
        format: args.format,
        description: args.description,
    };
    let book = NewBook { text, price_cents, stock: args.stock };
    let listed = answer(shop, store.add_book(book)).await.map_err(|error| {
        let again = "It may have been listed. Running it again is safe: a book is listed once.".to_owned();
        let hint = (error.executed() == Executed::Unknown).then_some(again);
        failed(shop, error, hint)
    })?;
    if shop.json {
        print_json(&serde_json::json!({ "listed": [listed] }));
    } else if listed.created {
        print(&format!("Added as book {} with {}.", listed.id, counted(args.stock.into(), "copy", "copies")));
    } else {
        print(&format!("It was listed before, as book {}; nothing was changed.", listed.id));
    }
    Ok(ExitCode::SUCCESS)
}

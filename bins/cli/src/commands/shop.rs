//! The buyers' commands: search, look, buy, read and cancel orders.

use bookstore::{AccessToken, Bookstore, ConnectOptions, Terms};
use bookstore_core::{
    Cents, Clock as _, Contact, ContactFields, Currency, Error, Executed, Line, OrderId, Query, Sort, Status,
    SystemClock,
};
use bookstore_transport_http::problem::Problem;
use serde::Serialize;
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use super::{
    Failure,
    output::{self, print, print_json, quoted},
};
use crate::{
    cli::{BuyArgs, CancelArgs, InfoArgs, OrderArgs, SearchArgs, ShopArgs},
    config,
};

/// The default of `--server`.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Connects to the shop that the flags name.
pub(super) fn connect(args: &ShopArgs, admin_token: Option<AccessToken>) -> Result<Bookstore, Failure> {
    let servers = config::servers("--server", &args.server)?;
    let timeout = config::seconds("--timeout", args.timeout)?;
    Ok(Bookstore::connect_with(&servers.join(","), ConnectOptions { timeout, admin_token })?)
}

/// How long a command waits before it says so.
const QUIET: Duration = Duration::from_secs(1);

/// Waits for an answer, and says so on a terminal if it takes a while.
pub(super) async fn answer<T>(
    args: &ShopArgs,
    call: impl Future<Output = bookstore_core::Result<T>>,
) -> bookstore_core::Result<T> {
    let mut call = pin!(call);
    if let Ok(answer) = tokio::time::timeout(QUIET, call.as_mut()).await {
        return answer;
    }
    if io::stderr().is_terminal() {
        eprintln!("No answer from {} yet; trying for {} s in all …", args.server.join(", "), args.timeout);
    }
    call.await
}

/// The shop's currency for showing amounts, if it says so.
pub(super) async fn currency(args: &ShopArgs, shop: &Bookstore) -> Option<Currency> {
    answer(args, shop.currency()).await.ok()
}

/// Reads amounts that were typed, in the shop's currency. Without any, the shop is not asked.
pub(super) async fn amounts<const N: usize>(
    args: &ShopArgs,
    shop: &Bookstore,
    typed: [(&str, Option<&str>); N],
) -> Result<[Option<Cents>; N], Failure> {
    let mut amounts = [None; N];
    if typed.iter().all(|(_, typed)| typed.is_none()) {
        return Ok(amounts);
    }
    let currency = answer(args, shop.currency()).await.map_err(|error| failed(args, error, None))?;
    for (amount, (flag, typed)) in amounts.iter_mut().zip(typed) {
        let read = typed.map(|typed| currency.read(typed)).transpose();
        *amount = read.map_err(|error| match error {
            Error::Invalid { message, .. } => Failure::Usage(format!("{flag} {message}")),
            other => other.into(),
        })?;
    }
    Ok(amounts)
}

/// A failed call. With `--json` its problem goes to stdout; people get a hint on stderr.
pub(super) fn failed(args: &ShopArgs, error: Error, hint: Option<String>) -> Failure {
    failed_order(args, None, error, hint)
}

/// A problem, with the order id or key of the command.
#[derive(Serialize)]
struct OrderProblem {
    #[serde(flatten)]
    problem: Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
}

pub(super) fn failed_order(args: &ShopArgs, order_id: Option<OrderId>, error: Error, hint: Option<String>) -> Failure {
    if args.json {
        print_json(&OrderProblem { problem: error.clone().into(), order_id });
    }
    let unreachable = matches!(error, Error::Unavailable { .. });
    let hint = hint.or_else(|| {
        unreachable.then(|| {
            format!("Is the shop running at {}? Give another address with --server URL.", args.server.join(", "))
        })
    });
    Failure::Answer { error, hint }
}

/// The flags for the same shop, for a command to run again.
pub(super) fn same_shop(args: &ShopArgs) -> String {
    let servers = args.server.join(",");
    if servers == DEFAULT_SERVER { String::new() } else { format!(" --server {}", quoted(&servers)) }
}

/// `bookstore search`
pub(super) async fn search(args: &SearchArgs) -> Result<ExitCode, Failure> {
    let shop = connect(&args.shop, None)?;
    let prices = [("--price-min", args.price_min.as_deref()), ("--price-max", args.price_max.as_deref())];
    let query = query(args, amounts(&args.shop, &shop, prices).await?);
    let page = answer(&args.shop, shop.search(query)).await.map_err(|error| failed(&args.shop, error, None))?;
    if args.shop.json {
        print_json(&page);
        return Ok(ExitCode::SUCCESS);
    }
    if page.books.is_empty() {
        print("No books found. The topics are listed by: bookstore topics");
        did_you_mean(args, page.did_you_mean);
        return Ok(ExitCode::SUCCESS);
    }
    print(&output::books(&page.books, currency(&args.shop, &shop).await));
    print(&format!("\n{} of {} found", page.books.len(), output::count(page.total, "book")));
    page.facets.iter().for_each(|facets| print(&output::facets(facets)));
    did_you_mean(args, page.did_you_mean);
    if let Some(token) = page.next_page_token {
        print(&format!("\nMore: {} --page-token {token}", search_again(args, &args.words)));
    }
    Ok(ExitCode::SUCCESS)
}

fn query(args: &SearchArgs, [price_min, price_max]: [Option<Cents>; 2]) -> Query {
    let words = args.words.join(" ");
    Query {
        words: (!words.is_empty()).then_some(words),
        topic: args.topic.clone(),
        author: args.author.clone(),
        in_stock: args.in_stock,
        price_min,
        price_max,
        year_min: args.year_min,
        year_max: args.year_max,
        sold: args.sold,
        facets: args.facets.clone(),
        sort: args.sort,
        page_size: args.page_size,
        page_token: args.page_token.clone(),
    }
}

/// Prints the search with another spelling, if there is one that finds more.
fn did_you_mean(args: &SearchArgs, words: Option<String>) {
    if let Some(words) = words {
        print(&format!("\nDid you mean: {}", search_again(args, &[words])));
    }
}

fn search_again(args: &SearchArgs, words: &[String]) -> String {
    let mut command = "bookstore search".to_owned();
    for word in words {
        command.push_str(&format!(" {}", quoted(word)));
    }
    let mut flag = |name: &str, value: Option<String>| {
        command.extend(value.map(|value| format!(" {name} {}", quoted(&value))));
    };
    flag("--topic", args.topic.clone());
    flag("--author", args.author.clone());
    flag("--price-min", args.price_min.clone());
    flag("--price-max", args.price_max.clone());
    flag("--year-min", args.year_min.map(|year| year.to_string()));
    flag("--year-max", args.year_max.map(|year| year.to_string()));
    flag("--sold", args.sold.map(|period| period.to_string()));
    flag("--sort", (args.sort != Sort::default()).then(|| args.sort.name().to_owned()));
    flag("--page-size", args.page_size.map(|size| size.to_string()));
    if args.in_stock {
        command.push_str(" --in-stock");
    }
    command + &same_shop(&args.shop)
}

/// `bookstore topics`
pub(super) async fn topics(args: &ShopArgs) -> Result<ExitCode, Failure> {
    let shop = connect(args, None)?;
    let topics = answer(args, shop.topics()).await.map_err(|error| failed(args, error, None))?;
    if args.json {
        print_json(&serde_json::json!({ "topics": topics }));
    } else if topics.is_empty() {
        print("No books are listed yet.");
    } else {
        print(&output::topics(&topics));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore info`
pub(super) async fn info(args: &InfoArgs) -> Result<ExitCode, Failure> {
    let shop = connect(&args.shop, None)?;
    let book = answer(&args.shop, shop.info(args.book)).await.map_err(|error| failed(&args.shop, error, None))?;
    if args.shop.json {
        print_json(&book);
        return Ok(ExitCode::SUCCESS);
    }
    print(&output::book(&book, currency(&args.shop, &shop).await));
    if book.stock > 0 && book.on_sale {
        print(&format!("\nBuy it: bookstore buy {}{}", book.id, same_shop(&args.shop)));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore buy`
pub(super) async fn buy(args: &BuyArgs) -> Result<ExitCode, Failure> {
    let shop = connect(&args.shop, None)?;
    let id = args.order_id.unwrap_or_else(|| SystemClock.new_order_id());
    let [price_cents] = amounts(&args.shop, &shop, [("--price", args.price.as_deref())]).await?;
    let line = Line { book: args.book, quantity: args.quantity, price_cents };
    let terms = Terms { reference: args.reference.clone(), contact: contact(args.contact.fields())? };
    let bought = if terms == Terms::default() {
        answer(&args.shop, shop.purchase(id, [line])).await
    } else {
        answer(&args.shop, shop.purchase_with(id, [line], terms)).await
    };
    let receipt = match bought {
        Ok(receipt) => receipt,
        Err(error) => {
            let priced = matches!(error, Error::PriceChanged { .. });
            let currency = if priced { currency(&args.shop, &shop).await } else { None };
            let hint = buying_hint(args, id, &error, currency);
            return Err(failed_order(&args.shop, Some(id), error, hint));
        }
    };
    if args.shop.json {
        print_json(&receipt.order);
        return Ok(ExitCode::SUCCESS);
    }
    if receipt.replayed {
        print("This order was bought before; nothing was bought again.\n");
    }
    print(&output::order(&receipt.order, currency(&args.shop, &shop).await));
    if receipt.order.status == Status::Placed {
        print(&format!(
            "\nKeep the order id: it reads and cancels the order.\n  bookstore order {id}{0}\n  bookstore cancel {id}{0}",
            same_shop(&args.shop)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The contact that flags give, if they give any.
pub(super) fn contact(fields: ContactFields) -> Result<Option<Contact>, Failure> {
    let is_given = fields != ContactFields::default();
    Ok(is_given.then(|| Contact::new(fields)).transpose()?)
}

/// Stands in a command to run again for the flags that say who the order is for: they are not repeated where they might be logged.
pub(super) fn contact_again(fields: &ContactFields) -> &'static str {
    if *fields == ContactFields::default() { "" } else { " --contact-… (as before)" }
}

fn buying_hint(args: &BuyArgs, id: OrderId, error: &Error, currency: Option<Currency>) -> Option<String> {
    let book = args.book;
    match error {
        Error::OutOfStock { available: 0, .. } => Some("It is sold out. Nothing was bought.".to_owned()),
        Error::OutOfStock { available, .. } => Some(format!(
            "Nothing was bought. To take what there is: bookstore buy {book} --quantity {available}{}",
            same_shop(&args.shop)
        )),
        Error::PriceChanged { price_cents, .. } => currency.map(|currency| {
            format!(
                "Nothing was bought. To accept {}: bookstore buy {book} --quantity {} --price {}{}",
                currency.show(*price_cents),
                args.quantity,
                currency.plain(*price_cents),
                same_shop(&args.shop)
            )
        }),
        Error::OrderCancelled { .. } | Error::OrderLapsed { .. } | Error::OrderVoided { .. } => {
            Some("Nothing was bought. Leave --order-id out to make a new order.".to_owned())
        }
        Error::OrderIdReused { .. } => Some("Nothing was bought. Leave --order-id out to make a new order.".to_owned()),
        _ if error.executed() == Executed::Unknown => Some(format!(
            "The order may have been placed. To find out, run the same order again; it never buys twice:\n  {}\n\
             Or give it up, so that it certainly buys nothing:\n  bookstore cancel {id} --void{}",
            buy_again(args, id),
            same_shop(&args.shop)
        )),
        _ => None,
    }
}

fn buy_again(args: &BuyArgs, id: OrderId) -> String {
    let price = args.price.as_ref().map(|price| format!(" --price {}", quoted(price))).unwrap_or_default();
    let reference = args.reference.as_ref().map(|text| format!(" --reference {}", quoted(text.as_str())));
    let reference = reference.unwrap_or_default();
    let (book, quantity) = (args.book, args.quantity);
    let contact = contact_again(&args.contact.fields());
    format!(
        "bookstore buy {book} --quantity {quantity}{price}{reference} --order-id {id}{}{contact}",
        same_shop(&args.shop)
    )
}

/// Connects for one order. The admin token is read and sent only if the order's id needs it.
fn connect_for(id: OrderId, args: &ShopArgs, token_file: Option<&Path>, insecure: bool) -> Result<Bookstore, Failure> {
    let file = token_file.filter(|_| !id.is_random());
    connect(args, file.map(|file| config::admin_token_for(Some(file), &args.server, insecure)).transpose()?)
}

/// `bookstore order ORDER_ID`
pub(super) async fn order(id: OrderId, args: &OrderArgs) -> Result<ExitCode, Failure> {
    let shop = connect_for(id, &args.shop, args.admin_token_file.as_deref(), args.serve.insecure)?;
    let args = &args.shop;
    let order = answer(args, shop.order(id)).await.map_err(|error| failed(args, error, None))?;
    if args.json {
        print_json(&order);
    } else {
        print(&output::order(&order, currency(args, &shop).await));
    }
    Ok(ExitCode::SUCCESS)
}

/// `bookstore cancel`
pub(super) async fn cancel(args: &CancelArgs) -> Result<ExitCode, Failure> {
    let shop = connect_for(args.id, &args.shop, args.admin_token_file.as_deref(), args.insecure)?;
    let cancelled = match args.void {
        true => answer(&args.shop, shop.give_up(args.id)).await,
        false => answer(&args.shop, shop.cancel(args.id)).await,
    };
    let receipt = cancelled.map_err(|error| {
        let again = format!(
            "It may have been cancelled. Running it again is safe:\n  bookstore cancel {}{}{}",
            args.id,
            if args.void { " --void" } else { "" },
            same_shop(&args.shop)
        );
        let hint = (error.executed() == Executed::Unknown).then_some(again);
        failed(&args.shop, error, hint)
    })?;
    if args.shop.json {
        print_json(&receipt.order);
        return Ok(ExitCode::SUCCESS);
    }
    if receipt.replayed {
        print(match receipt.order.status {
            Status::Lapsed => "This order's time was up before.\n",
            Status::Voided => "This order id was given up before.\n",
            _ => "This order was cancelled before.\n",
        });
    }
    print(&output::order(&receipt.order, currency(&args.shop, &shop).await));
    Ok(ExitCode::SUCCESS)
}

//! A checkout with payment, in an axum app that has the shop built in: `cargo run --example checkout -- DIRECTORY PROVIDER_ADDRESS`
//!
//! Copies are held while the payment is authorised, the order is placed, and only then is the payment captured:
//!
//! 1. The checkout is written into the app's journal, before anything is sent.
//! 2. `hold`: the copies are nobody else's for ten minutes.
//! 3. The provider authorises the payment. If it declines, the order is given up.
//! 4. `confirm`: the order is placed. If the hold has lapsed meanwhile, the authorisation is voided and nothing is charged.
//! 5. The provider captures the payment.
//! 6. The journal notes how it ended.
//!
//! Every step may be repeated, under the order's id. So after a crash at any moment the app begins each open checkout again from its first step,
//! and whatever was done already is answered with what it was. The app never decides by its own memory: step 5 happens only after an `Ok` of
//! step 4, and a void only after the order certainly is, and stays, not placed.

mod journal;
mod provider;

use axum::{
    Json, Router,
    extract::{Path as InPath, State},
    http::StatusCode,
    routing::{get, post},
};
use bookstore::{
    Bookstore,
    core::{BookId, Error, Line, OrderId},
    sample,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, env, error::Error as StdError, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Mutex;

use journal::Journal;
use provider::{Payment, Provider};

/// Longer than the provider takes, as a rule; see [`settle`] for when it takes longer. `HOLD_SECONDS` sets another time.
const HOLD: Duration = Duration::from_secs(600);

/// A basket that somebody pays for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Checkout {
    /// The order's id, and the payment's.
    order: OrderId,
    book: BookId,
    quantity: u32,
}

/// How a checkout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    /// The books are the buyer's, and paid.
    Paid,
    /// The shop has too few copies, or none at this id.
    OutOfStock,
    /// The provider declined.
    Declined,
    /// The hold lapsed before the payment was authorised. Nothing was charged.
    TooLate,
}

struct App {
    shop: Bookstore,
    provider: Provider,
    journal: Mutex<Journal>,
    ended: Mutex<HashMap<OrderId, Ended>>,
    hold: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [directory, provider] = &args[..] else { return Err("usage: checkout DIRECTORY PROVIDER_ADDRESS".into()) };
    let directory = PathBuf::from(directory);
    let shop = Bookstore::open(&format!("sqlite:{}", directory.join("shop.db").display())).await?;
    shop.add_books(sample::books()).await?;
    let (journal, open, ended) = Journal::open(&directory.join("checkouts.jsonl"))?;
    let hold = env::var("HOLD_SECONDS").ok().map(|text| text.parse().map(Duration::from_secs)).transpose()?;
    let app = Arc::new(App {
        shop,
        provider: Provider::new(provider),
        journal: Mutex::new(journal),
        ended: Mutex::new(ended),
        hold: hold.unwrap_or(HOLD),
    });
    // What was open when the app ended is brought to an end first.
    for checkout in open {
        tokio::spawn(finish(Arc::clone(&app), checkout));
    }
    let routes = Router::new().route("/checkouts", post(begin)).route("/checkouts/{id}", get(show)).with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

/// `POST /checkouts`: written down, and then settled whether the caller waits or not.
async fn begin(State(app): State<Arc<App>>, Json(checkout): Json<Checkout>) -> Result<StatusCode, StatusCode> {
    app.journal.lock().await.begin(&checkout).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    tokio::spawn(finish(app, checkout));
    Ok(StatusCode::ACCEPTED)
}

/// `GET /checkouts/{id}`: how it ended, if it has.
async fn show(State(app): State<Arc<App>>, InPath(id): InPath<OrderId>) -> Json<Option<Ended>> {
    Json(app.ended.lock().await.get(&id).copied())
}

/// Settles a checkout, however often a step has to be tried.
async fn finish(app: Arc<App>, checkout: Checkout) {
    let ended = loop {
        match settle(&app, &checkout).await {
            Ok(ended) => break ended,
            // A lost reply, or somebody is down: nothing is decided, so it begins again.
            Err(error) => eprintln!("order {}: {error}; trying again", checkout.order),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    if app.journal.lock().await.end(checkout.order, ended).is_ok() {
        app.ended.lock().await.insert(checkout.order, ended);
    }
}

/// One pass over all steps. An error decides nothing.
async fn settle(app: &App, checkout: &Checkout) -> Result<Ended, Box<dyn StdError + Send + Sync>> {
    let Checkout { order, book, quantity } = *checkout;
    let reference = Some(format!("payment {order}").parse()?);
    let held = match app.shop.hold(order, [Line::new(book, quantity)], app.hold, reference).await {
        Ok(receipt) => receipt.order,
        Err(Error::OutOfStock { .. } | Error::BookNotFound { .. }) => return Ok(Ended::OutOfStock),
        // It lapsed, or was given up, in an earlier pass: the same as below.
        Err(error) if error.is_final() => return not_placed(app, order).await,
        Err(error) => return Err(error.into()),
    };
    if app.provider.authorise(order, held.total_cents.get()).await? == Payment::Declined {
        // From here on nobody can place it.
        app.shop.give_up(order).await?;
        return Ok(Ended::Declined);
    }
    match app.shop.confirm(order).await {
        Ok(_) => {}
        Err(error) if error.is_final() => return not_placed(app, order).await,
        Err(error) => return Err(error.into()),
    }
    match app.provider.capture(order).await? {
        Payment::Captured => Ok(Ended::Paid),
        other => Err(format!("an authorised payment is {other:?}").into()),
    }
}

/// The order is not placed, and never will be: the payment must not be captured, and an authorisation that is still on its way must not
/// last.
async fn not_placed(app: &App, order: OrderId) -> Result<Ended, Box<dyn StdError + Send + Sync>> {
    match app.provider.void(order).await? {
        Payment::Declined => Ok(Ended::Declined),
        Payment::Voided => Ok(Ended::TooLate),
        other => Err(format!("a payment without an order is {other:?}").into()),
    }
}

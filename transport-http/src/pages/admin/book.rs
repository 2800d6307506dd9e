//! Changing one book's stock and price.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Amend, Book, BookId, Cents, Error, OrderId, Result, Seq};

use super::{
    frame::{Tab, page},
    login::SignedIn,
};
use crate::{
    api::{
        Answer, Shared, Shop,
        extract::{InPath, Payload},
    },
    error_status,
    pages::{
        assets,
        form::{self, Fields},
        money::Money,
        notice::{Notice, sentence},
        render::see_other,
        text,
        timeouts::{read_in_time, write_in_time},
    },
    token::Actor,
};

/// How often a price change is tried while sales keep moving the book's version.
const PRICE_TRIES: usize = 5;

#[derive(Template)]
#[template(path = "admin/book.html")]
struct Edit {
    tab: Tab,
    book: Book,
    money: Money,
    restock: Field,
    price: Field,
    /// A price that is likely to be a slip: it is set if the button is pressed again.
    sure: Option<Cents>,
    notice: Option<Notice>,
}

/// One form with one field.
struct Field {
    /// Makes it happen once, however often it is sent.
    key: OrderId,
    typed: String,
    problem: Option<String>,
}

impl Field {
    fn new(shop: &Shop) -> Self {
        Self { key: shop.clock.new_order_id(), typed: String::new(), problem: None }
    }

    /// As it was sent, with the same key: nothing was done under it, or the outcome is unknown.
    fn again(shop: &Shop, fields: &Fields, name: &str) -> Self {
        let key = fields.id("key").unwrap_or_else(|| shop.clock.new_order_id());
        Self { key, typed: fields.text(name).trim().to_owned(), problem: None }
    }
}

impl Edit {
    async fn new(shop: &Shop, book: Book) -> Self {
        let (restock, price, money) = (Field::new(shop), Field::new(shop), Money::of(shop).await);
        Self { tab: Tab::Books, book, money, restock, price, sure: None, notice: None }
    }

    /// The page again.
    ///
    /// # Errors
    /// `error` itself if the book cannot be read now.
    async fn after(shop: &Shop, id: BookId, error: &Error) -> Result<Self> {
        let book = read_in_time(shop.catalog.info(id)).await.map_err(|_| error.clone())?;
        Ok(Self::new(shop, book).await)
    }
}

/// `GET /admin/books/{id}`
pub(super) async fn edit(State(shop): Shared, _: SignedIn, InPath(id): InPath<BookId>, uri: Uri) -> Answer {
    let mut edit = Edit::new(&shop, shop.catalog.info(id).await?).await;
    edit.notice = match Fields::of_uri(&uri).text("done") {
        "stock" => Some(Notice::good("The stock is changed.")),
        "price" => Some(Notice::good("The price is changed.")),
        "listed" => Some(Notice::good("The book is listed.")),
        "known" => Some(Notice::good("This book was listed before. Nothing was changed: here it is.")),
        _ => None,
    };
    page(StatusCode::OK, &edit)
}

fn done(id: BookId, what: &str) -> Answer {
    Ok(see_other(&format!("/admin/books/{id}?done={what}")))
}

/// `POST /admin/books/{id}/restock`
pub(super) async fn restock(
    State(shop): Shared,
    SignedIn { actor, .. }: SignedIn,
    InPath(id): InPath<BookId>,
    payload: Payload,
) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let mut field = Field::again(&shop, &fields, "delta");
    let delta = form::whole(&field.typed).filter(|delta| *delta != 0);
    let changed = match delta {
        Some(delta) => {
            let change = Amend::StockDelta { delta };
            write_in_time(shop.catalog.amend(id, change, Some(field.key), Some(actor.for_ledger()?))).await.map(drop)
        }
        None => Err(Error::invalid("stock_delta", "please enter a whole number other than 0, such as 10 or -2")),
    };
    let Err(error) = changed else {
        actor.changed(format_args!("book {id}: stock changed by {}", field.typed));
        return done(id, "stock");
    };
    let mut edit = Edit::after(&shop, id, &error).await?;
    let notice = match &error {
        Error::Invalid { message, .. } => {
            field.problem = Some(sentence(message));
            Notice::bad("Nothing was changed: please look at the number of copies.")
        }
        Error::OutOfStock { available, .. } => {
            edit.book.stock = *available;
            Notice::bad(format!("Nothing was changed: there are only {} to take away.", text::number(available)))
        }
        error => failure(&shop, error, &mut field),
    };
    (edit.restock, edit.notice) = (field, Some(notice));
    page(error_status::status(&error).0, &edit)
}

/// `POST /admin/books/{id}/price`
pub(super) async fn reprice(
    State(shop): Shared,
    SignedIn { actor, .. }: SignedIn,
    InPath(id): InPath<BookId>,
    payload: Payload,
) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let mut field = Field::again(&shop, &fields, "price");
    let seen = fields.cents("seen");
    let changed = match (typed_price(&shop, &field.typed).await, seen) {
        (Ok(price), Some(seen)) if price.is_unlikely(Some(seen)) && fields.cents("sure") != Some(price) => {
            return ask(&shop, id, (price, seen), field).await;
        }
        (Ok(price), Some(seen)) => write_in_time(set_price(&shop, &actor, id, (price, seen), field.key)).await,
        (Ok(_), None) => Err(Error::malformed("the form came incomplete, please press the button again")),
        (Err(error), _) => Err(error),
    };
    let Err(error) = changed else {
        actor.changed(format_args!("book {id}: price set to {}", field.typed));
        return done(id, "price");
    };
    let mut edit = Edit::after(&shop, id, &error).await?;
    let notice = match &error {
        Error::Invalid { message, .. } => {
            field.problem = Some(sentence(message));
            Notice::bad("Nothing was changed: please look at the price.")
        }
        Error::VersionMismatch { .. } => conflict(edit.book.price_cents, seen, edit.money),
        error => failure(&shop, error, &mut field),
    };
    (edit.price, edit.notice) = (field, Some(notice));
    page(error_status::status(&error).0, &edit)
}

/// Reads a price in the shop's currency.
async fn typed_price(shop: &Shop, typed: &str) -> Result<Cents> {
    let currency = read_in_time(shop.catalog.currency()).await?;
    form::price(typed, currency).map_err(|problem| Error::invalid("price_cents", problem))
}

/// The form again, which asks whether a price is meant.
async fn ask(shop: &Shop, id: BookId, (price, seen): (Cents, Cents), field: Field) -> Answer {
    let mut edit = Edit::new(shop, read_in_time(shop.catalog.info(id)).await?).await;
    let (before, after) = (edit.money.show(&seen), edit.money.show(&price));
    let what = if price == Cents::ZERO { "a price of 0" } else { "more than five times, or less than a fifth" };
    let text = format!(
        "Nothing was changed yet: {before} would become {after}, {what}. If that is meant, press the button again."
    );
    (edit.price, edit.sure, edit.notice) = (field, Some(price), Some(Notice::bad(text)));
    page(StatusCode::UNPROCESSABLE_ENTITY, &edit)
}

/// Sets the price if it is still the one that was seen. A sale moves the book's version and not its price: no conflict.
async fn set_price(shop: &Shop, actor: &Actor, id: BookId, (price, seen): (Cents, Cents), key: OrderId) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let book = shop.catalog.info(id).await?;
        let unmoved = book.price_cents == seen;
        // Version 0 never fits, but under a key that was used already the answer is that it is done.
        let version = if unmoved { book.version } else { Seq::default() };
        let change = Amend::Set { price_cents: Some(price), stock: None, version: Some(version) };
        match shop.catalog.amend(id, change, Some(key), Some(actor.for_ledger()?)).await {
            Ok(_) => return Ok(()),
            Err(Error::VersionMismatch { .. }) if unmoved && tries < PRICE_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn conflict(now: Cents, seen: Option<Cents>, money: Money) -> Notice {
    if Some(now) == seen {
        return Notice::bad("Nothing was changed: the book sells too fast just now. Please press the button again.");
    }
    let now = money.show(&now);
    Notice::bad(format!(
        "Nothing was changed: meanwhile the price was set to {now}. Press the button again if yours is the right one."
    ))
}

/// All other errors: the form may be sent again, under a new key if this one is taken.
fn failure(shop: &Shop, error: &Error, field: &mut Field) -> Notice {
    if matches!(error, Error::OrderIdReused { .. }) {
        field.key = shop.clock.new_order_id();
        return Notice::bad("Nothing was changed: this form was used before. Please press the button again.");
    }
    Notice::failure(error, "This changed nothing.")
}

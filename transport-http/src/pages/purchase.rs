//! The page with the buy button, and what pressing it does.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
};
use bookstore_core::{Book, BookId, Cents, Contact, ContactFields, Error, Line, Lines, OrderAction, OrderId};

use super::{
    assets,
    contact::{is_of_contact, typed},
    form::{self, Fields},
    money::Money,
    notice::{Notice, sentence},
    render::{page, see_other},
    text,
    timeouts::{read_in_time, write_in_time},
};
use crate::{
    api::{
        Answer, Shared, Shop,
        extract::{InPath, Payload},
    },
    error_status,
};

/// One purchase intent: what was typed, and the order id that makes it happen once, however often it is sent.
#[derive(Template)]
#[template(path = "purchase.html")]
struct Purchase {
    id: BookId,
    /// `None` if the catalogue does not answer; the form works all the same.
    book: Option<Book>,
    money: Money,
    order_id: OrderId,
    /// The price on this page, and so the one that the buyer agrees to.
    price_cents: Option<Cents>,
    /// As typed.
    quantity: String,
    /// What is wrong with the quantity.
    problem: Option<String>,
    notice: Option<Notice>,
    /// The press before may have bought this quantity: with another one it would be another order.
    locked: bool,
    /// Who the order is for, as typed.
    contact: ContactFields,
    /// Whether the page asks for that.
    asks_contact: bool,
}

/// `GET /purchase/{id}`: a new intent.
pub(super) async fn show(State(shop): Shared, InPath(id): InPath<BookId>, uri: Uri) -> Answer {
    let book = shop.catalog.info(id).await?;
    let quantity = Fields::of_uri(&uri).filled("quantity").unwrap_or_else(|| "1".into());
    let mut page = Purchase::new(id, shop.clock.new_order_id(), Some(book.price_cents), quantity);
    page.money = Money::of(&shop).await;
    page.book = Some(book);
    page.answer(StatusCode::OK)
}

/// `POST /purchase/{id}` with a form: buys, once per order id in it.
pub(super) async fn buy(State(shop): Shared, InPath(id): InPath<BookId>, payload: Payload) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let order_id = fields.id("order_id").filter(|id| id.is_random());
    let kept = order_id.unwrap_or_else(|| shop.clock.new_order_id());
    let mut page = Purchase::new(id, kept, fields.cents("price_cents"), fields.text("quantity").trim().to_owned());
    page.locked = !fields.text("unknown").is_empty();
    page.contact = typed(&fields);
    page.asks_contact = page.contact != ContactFields::default();
    let (lines, contact) = match page.lines(order_id.is_some()).and_then(|lines| Ok((lines, page.contact()?))) {
        Ok(asked) => asked,
        Err(error) => return page.refuse(&shop, error).await,
    };
    let bought = match contact {
        None => write_in_time(shop.orders.purchase(page.order_id, lines)).await,
        contact => {
            let purchase = OrderAction::Purchase { lines, reference: None, contact };
            write_in_time(shop.orders.change(page.order_id, purchase, None)).await
        }
    };
    match bought {
        Ok(receipt) => Ok(see_other(&format!("/orders/{}", receipt.order.id))),
        Err(error) => page.refuse(&shop, error).await,
    }
}

impl Purchase {
    fn new(id: BookId, order_id: OrderId, price_cents: Option<Cents>, quantity: String) -> Self {
        let (contact, asks_contact) = (ContactFields::default(), false);
        let (book, money, problem, notice, locked) = (None, Money::UNKNOWN, None, None, false);
        Self { id, book, money, order_id, price_cents, quantity, problem, notice, locked, contact, asks_contact }
    }

    /// What the form asks for.
    fn lines(&self, has_order_id: bool) -> Result<Lines, Error> {
        let (true, Some(seen)) = (has_order_id, self.price_cents) else {
            return Err(Error::malformed("the form does not say which order it is for, or at which price"));
        };
        let quantity = form::quantity(&self.quantity).map_err(|problem| Error::invalid("quantity", problem))?;
        Lines::new([Line { book: self.id, quantity, price_cents: Some(seen) }])
    }

    /// Who the order is for, if anything was typed.
    fn contact(&self) -> Result<Option<Box<Contact>>, Error> {
        self.asks_contact.then(|| Contact::new(self.contact.clone()).map(Box::new)).transpose()
    }

    /// The fields that ask for it: their labels, names and what was typed.
    fn contact_fields(&self) -> [(&'static str, &'static str, &str); 4] {
        let ContactFields { name, email, address, note } = &self.contact;
        [
            ("Name", "name", name.as_deref().unwrap_or_default()),
            ("E-mail", "email", email.as_deref().unwrap_or_default()),
            ("Address", "address", address.as_deref().unwrap_or_default()),
            ("Note", "note", note.as_deref().unwrap_or_default()),
        ]
    }

    /// The page again: as typed, as things stand now, and with what is wrong.
    async fn refuse(mut self, shop: &Shop, error: Error) -> Answer {
        if matches!(error, Error::BookNotFound { .. }) {
            return Err(error.into());
        }
        let seen = self.price_cents;
        self.money = Money::of(shop).await;
        self.look_again(shop, &error).await?;
        self.explain(shop, &error).await;
        self.mention_price(seen);
        let (status, _) = error_status::status(&error);
        self.answer(status)
    }

    /// Reads the book again. What the error says of it may be newer than the catalogue's answer, which may come from a cache.
    async fn look_again(&mut self, shop: &Shop, error: &Error) -> Result<(), Error> {
        self.book = match read_in_time(shop.catalog.info(self.id)).await {
            Ok(book) => Some(book),
            Err(unknown @ Error::BookNotFound { .. }) => return Err(unknown),
            Err(_) => None,
        };
        if let Some(book) = &mut self.book {
            match error {
                Error::OutOfStock { available, .. } => book.stock = *available,
                Error::PriceChanged { price_cents, .. } => book.price_cents = *price_cents,
                Error::BookWithdrawn { .. } => book.on_sale = false,
                _ => {}
            }
            self.price_cents = Some(book.price_cents);
        } else if let Error::PriceChanged { price_cents, .. } = error {
            self.price_cents = Some(*price_cents);
        }
        Ok(())
    }

    async fn explain(&mut self, shop: &Shop, error: &Error) {
        self.notice = Some(match error {
            Error::OutOfStock { available, .. } => Notice::bad(too_few(*available)),
            Error::PriceChanged { .. } => Notice::bad("Nothing was bought: the price has changed."),
            Error::BookWithdrawn { .. } => Notice::bad("Nothing was bought: this book is not on sale any more."),
            Error::OrderIdReused { order } => self.start_over(shop, *order).await,
            Error::Invalid { field, message } if field == "quantity" => {
                self.problem = Some(sentence(message));
                Notice::bad("Nothing was bought: please look at the quantity.")
            }
            Error::Invalid { field, message } if is_of_contact(field) => {
                self.asks_contact = true;
                Notice::bad(format!("Nothing was bought. Who the order is for: {field} {message}."))
            }
            Error::Malformed { .. } => {
                Notice::bad("Nothing was bought: the form came incomplete. Please press the button again.")
            }
            // This press did nothing; the one before may have.
            error if self.locked && is_no_answer(error) => Notice::still_unknown(),
            _ => Notice::failure(error, "Nothing was bought."),
        });
        self.locked = matches!(error, Error::OutcomeUnknown { .. }) || (self.locked && is_no_answer(error));
    }

    /// This page has bought another quantity before: pressing the button again is a new intent.
    async fn start_over(&mut self, shop: &Shop, used: OrderId) -> Notice {
        self.order_id = shop.clock.new_order_id();
        let notice = Notice::bad("This page has placed an order before. Pressing the button again places one more.");
        match read_in_time(shop.orders.order(used)).await {
            Ok(_) => notice.link(format!("/orders/{used}"), "See the first order"),
            Err(_) => notice,
        }
    }

    /// The button must not buy at a price that the page has not shown.
    fn mention_price(&mut self, seen: Option<Cents>) {
        let (Some(notice), Some(seen), Some(now)) = (&mut self.notice, seen, self.price_cents) else { return };
        if seen != now {
            let (now, seen) = (self.money.show(&now), self.money.show(&seen));
            notice.text.push_str(&format!(" It was {seen} and is {now} now; the button buys at {now}."));
        }
    }

    fn answer(self, status: StatusCode) -> Answer {
        let mut response = page(status, &self)?;
        let headers = response.headers_mut();
        // Private, for it has an order id in it. Going back in history may show it again: that id still buys once.
        let cache = if self.asks_contact { "no-store" } else { "private, no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(error_status::RETRY_AFTER_S));
        }
        Ok(response)
    }

    fn title(&self) -> String {
        self.book.as_ref().map_or_else(|| format!("book {}", self.id), |book| book.text.title().to_owned())
    }

    /// Whether there is no button: no copy is left, and the button was not pressed before (then it may be pressed again).
    fn sold_out(&self) -> bool {
        self.notice.is_none() && self.book.as_ref().is_some_and(|book| book.stock == 0)
    }

    /// Whether there is no button because the book is off sale, and an earlier press may not have bought it.
    fn withdrawn(&self) -> bool {
        !self.locked && self.book.as_ref().is_some_and(|book| !book.on_sale)
    }

    /// Copies that one order can have now.
    fn most(&self) -> u32 {
        let stock = self.book.as_ref().map_or(0, |book| book.stock);
        if stock == 0 { Lines::QUANTITY_MAX } else { stock.min(Lines::QUANTITY_MAX) }
    }
}

/// Whether a refusal says nothing about an earlier press.
fn is_no_answer(error: &Error) -> bool {
    matches!(error, Error::Overloaded { .. } | Error::Unavailable { .. } | Error::DeadlineExpired { .. })
}

fn too_few(available: u32) -> String {
    match available {
        0 => "Nothing was bought: the last copy is sold. If one comes back, you can press the button again.".into(),
        1 => "Nothing was bought: there is only one copy left. Please ask for fewer.".into(),
        _ => format!(
            "Nothing was bought: there are only {} copies left. Please ask for fewer.",
            text::number(&available)
        ),
    }
}

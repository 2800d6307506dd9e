//! The page with the buy button, and what pressing it does.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use bookstore_core::{Book, BookId, Cents, Error, Line, Lines, OrderId};

use super::{
    assets, at_a_glance,
    form::{self, Fields},
    notice::Notice,
    page, patiently, see_other, text,
};
use crate::{
    api::{Answer, Shop},
    error_status,
};

/// One purchase intent: what was typed, and the order id that makes it happen once, however often it is sent.
#[derive(Template)]
#[template(path = "purchase.html")]
struct Purchase {
    id: BookId,
    /// `None` if the catalogue does not answer; the form works all the same.
    book: Option<Book>,
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
}

/// `GET /purchase/{id}`: a new intent.
pub(crate) async fn purchase(shop: &Shop, id: BookId, uri: &Uri) -> Answer {
    let book = shop.catalog.info(id).await?;
    let quantity = Fields::of_uri(uri).filled("quantity").unwrap_or_else(|| "1".into());
    let mut page = Purchase::new(id, shop.clock.new_order_id(), Some(book.price_cents), quantity);
    page.book = Some(book);
    page.answer(StatusCode::OK)
}

/// `POST /purchase/{id}` with a form: buys, once per order id in it.
pub(crate) async fn buy(shop: &Shop, id: BookId, body: &[u8]) -> Answer {
    let fields = Fields::of_body(body);
    let order_id = fields.id("order_id");
    let kept = order_id.unwrap_or_else(|| shop.clock.new_order_id());
    let mut page = Purchase::new(id, kept, fields.cents("price_cents"), fields.text("quantity").trim().to_owned());
    page.locked = !fields.text("unknown").is_empty();
    let lines = match page.lines(order_id.is_some()) {
        Ok(lines) => lines,
        Err(error) => return page.refuse(shop, error).await,
    };
    match patiently(shop.orders.purchase(page.order_id, lines)).await {
        Ok(receipt) => Ok(see_other(&format!("/orders/{}", receipt.order.id))),
        Err(error) => page.refuse(shop, error).await,
    }
}

impl Purchase {
    fn new(id: BookId, order_id: OrderId, price_cents: Option<Cents>, quantity: String) -> Self {
        Self { id, book: None, order_id, price_cents, quantity, problem: None, notice: None, locked: false }
    }

    /// What the form asks for.
    fn lines(&self, has_order_id: bool) -> Result<Lines, Error> {
        let (true, Some(seen)) = (has_order_id, self.price_cents) else {
            return Err(Error::malformed("the form does not say which order it is for, or at which price"));
        };
        let quantity = form::quantity(&self.quantity).map_err(|problem| Error::invalid("quantity", problem))?;
        Lines::new([Line { book: self.id, quantity, price_cents: Some(seen) }])
    }

    /// The page again: as typed, as things stand now, and with what is wrong.
    async fn refuse(mut self, shop: &Shop, error: Error) -> Answer {
        if matches!(error, Error::BookNotFound { .. }) {
            return Err(error.into());
        }
        let seen = self.price_cents;
        self.look_again(shop, &error).await?;
        self.explain(shop, &error).await;
        self.mention_price(seen);
        let (status, _) = error_status::status(&error);
        self.answer(status)
    }

    /// Reads the book again. The error itself knows better than a cache may.
    async fn look_again(&mut self, shop: &Shop, error: &Error) -> Result<(), Error> {
        self.book = match at_a_glance(shop.catalog.info(self.id)).await {
            Ok(book) => Some(book),
            Err(unknown @ Error::BookNotFound { .. }) => return Err(unknown),
            Err(_) => None,
        };
        if let Some(book) = &mut self.book {
            match error {
                Error::OutOfStock { available, .. } => book.stock = *available,
                Error::PriceChanged { price_cents, .. } => book.price_cents = *price_cents,
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
            Error::OrderIdReused { order } => self.start_over(shop, *order).await,
            Error::Invalid { field, message } if field == "quantity" => {
                self.problem = Some(super::notice::sentence(message));
                Notice::bad("Nothing was bought: please look at the quantity.")
            }
            Error::Malformed { .. } => {
                Notice::bad("Nothing was bought: the form came incomplete. Please press the button again.")
            }
            // This press did nothing; the one before may have.
            error if self.locked && is_no_answer(error) => Notice::still_open(),
            _ => Notice::trouble(error, "Nothing was bought."),
        });
        self.locked = matches!(error, Error::OutcomeUnknown { .. }) || (self.locked && is_no_answer(error));
    }

    /// This page has bought already, another quantity: whatever is pressed now is a new intent.
    async fn start_over(&mut self, shop: &Shop, used: OrderId) -> Notice {
        self.order_id = shop.clock.new_order_id();
        let notice = Notice::bad("This page has placed an order before. Pressing the button again places one more.");
        match at_a_glance(shop.orders.order(used)).await {
            Ok(_) => notice.link(format!("/orders/{used}"), "See the first order"),
            Err(_) => notice,
        }
    }

    /// The button must not buy at a price that nobody was told of.
    fn mention_price(&mut self, seen: Option<Cents>) {
        let (Some(notice), Some(seen), Some(now)) = (&mut self.notice, seen, self.price_cents) else { return };
        if seen != now {
            let (now, seen) = (text::price(&now), text::price(&seen));
            notice.text.push_str(&format!(" It was {seen} and is {now} now; the button buys at {now}."));
        }
    }

    fn answer(self, status: StatusCode) -> Answer {
        let mut response = page(status, &self)?;
        let headers = response.headers_mut();
        // Private, for it has an order id in it. Going back in history may show it again: that id still buys once.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(error_status::RETRY_AFTER_S));
        }
        Ok(response)
    }

    fn title(&self) -> String {
        self.book.as_ref().map_or_else(|| format!("book {}", self.id), |book| book.text.title().to_owned())
    }

    /// Nothing to press for, unless it has been pressed already: then the same intent may be tried again.
    fn sold_out(&self) -> bool {
        self.notice.is_none() && self.book.as_ref().is_some_and(|book| book.stock == 0)
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

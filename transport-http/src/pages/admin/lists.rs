//! The lists of books and orders.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Book, Error, Order, OrderQuery, Query, Result, Status};
use std::str::FromStr;

use super::{
    frame::{Tab, page},
    login::SignedIn,
};
use crate::{
    api::{Answer, READS_CONTACTS, Shared},
    error_status,
    pages::{
        assets,
        form::Fields,
        money::Money,
        notice::{Notice, sentence},
        text,
    },
};

#[derive(Template)]
#[template(path = "admin/books.html")]
struct Books {
    tab: Tab,
    words: String,
    books: Vec<Book>,
    money: Money,
    next: Option<String>,
    notice: Option<Notice>,
}

/// `GET /admin`
pub(super) async fn books(State(shop): Shared, _: SignedIn, uri: Uri) -> Answer {
    let fields = Fields::of_uri(&uri);
    let words = fields.filled("q");
    let query = Query { words: words.clone(), page_token: fields.filled("page_token"), ..Query::default() };
    let (words, money) = (words.unwrap_or_default(), Money::of(&shop).await);
    match shop.catalog.search(query).await {
        Ok(found) => {
            let next = found.next_page_token;
            let next = next.map(|token| text::url("/admin", &[("q", &words), ("page_token", &token)]));
            page(StatusCode::OK, &Books { tab: Tab::Books, words, books: found.books, money, next, notice: None })
        }
        Err(error @ Error::Invalid { .. }) => {
            let notice = Some(Notice::bad(sentence(&error.to_string())));
            let (status, _) = error_status::status(&error);
            page(status, &Books { tab: Tab::Books, words, books: Vec::new(), money, next: None, notice })
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "admin/orders.html")]
struct Orders {
    tab: Tab,
    orders: Vec<Order>,
    money: Money,
    /// What is looked for, as it was typed.
    filter: Filter,
    /// Whether this is the first page.
    newest: bool,
    next: Option<String>,
    notice: Option<Notice>,
}

/// `GET /admin/orders`
pub(super) async fn orders(State(shop): Shared, SignedIn { actor, .. }: SignedIn, uri: Uri) -> Answer {
    let fields = Fields::of_uri(&uri);
    let (filter, page_token) = (Filter::of(&fields), fields.filled("page_token"));
    let newest = page_token.is_none();
    if !filter.contact.is_empty() {
        actor.allow(READS_CONTACTS)?;
    }
    let money = Money::of(&shop).await;
    let found = match filter.query(page_token) {
        Ok(query) => shop.orders.orders(query).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let next = found.next_page_token.map(|token| filter.url(&token));
            page(
                StatusCode::OK,
                &Orders { tab: Tab::Orders, filter, orders: found.orders, money, newest, next, notice: None },
            )
        }
        Err(error @ (Error::Invalid { .. } | Error::Malformed { .. })) => {
            let notice = match &error {
                Error::Invalid { field, .. } if field == "page_token" => {
                    Notice::bad("This link does not lead to a page of orders.")
                }
                error => Notice::bad(sentence(&error.to_string())),
            };
            let notice = Some(notice.link("/admin/orders", "See the newest orders"));
            let (status, _) = error_status::status(&error);
            page(status, &Orders { tab: Tab::Orders, filter, orders: Vec::new(), money, newest, next: None, notice })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the form above the orders asks for, as it was typed.
#[derive(Default)]
struct Filter {
    reference: String,
    status: String,
    book: String,
    from: String,
    to: String,
    contact: String,
}

impl Filter {
    /// The states that the form offers.
    const STATES: [Status; 5] = [Status::Held, Status::Placed, Status::Fulfilled, Status::Cancelled, Status::Lapsed];

    fn of(fields: &Fields) -> Self {
        let text = |name| fields.filled(name).unwrap_or_default();
        let [reference, status, book, from, to, contact] =
            ["reference", "status", "book", "from", "to", "contact"].map(text);
        Self { reference, status, book, from, to, contact }
    }

    fn is_empty(&self) -> bool {
        self.pairs().into_iter().all(|(_, typed)| typed.is_empty())
    }

    fn pairs(&self) -> [(&'static str, &str); 6] {
        let Self { reference, status, book, from, to, contact } = self;
        [("reference", reference), ("status", status), ("book", book), ("from", from), ("to", to), ("contact", contact)]
    }

    fn query(&self, page_token: Option<String>) -> Result<OrderQuery> {
        fn read<T: FromStr<Err = Error>>(typed: &str) -> Result<Option<T>> {
            if typed.is_empty() { Ok(None) } else { typed.parse().map(Some) }
        }
        let Self { reference, status, book, from, to, contact } = self;
        let (reference, status, book) = (read(reference)?, read(status)?, read(book)?);
        let contact = Some(contact.clone()).filter(|words| !words.is_empty());
        let (from, to) = (read(from)?, read(to)?);
        Ok(OrderQuery { reference, status, book, from, to, contact, page_size: None, page_token })
    }

    /// The page after the one that gave `token`.
    fn url(&self, token: &str) -> String {
        let typed = self.pairs().into_iter().filter(|(_, typed)| !typed.is_empty());
        let pairs: Vec<_> = typed.chain([("page_token", token)]).collect();
        text::url("/admin/orders", &pairs)
    }
}

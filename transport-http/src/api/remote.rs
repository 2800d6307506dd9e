//! A whole shop behind its public interface: both services, for whoever has nothing but its URL.

use async_trait::async_trait;
use axum::http::{HeaderName, HeaderValue, Method, header, response::Parts};
use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, CatalogService, Entries, Error, Lines, NewBook, Order, OrderId, OrderPage,
    OrderQuery, OrderService, Query, Receipt, Result, Seq, Sort, Topic,
    catalog::{ADD_BOOKS_MAX, ENTRIES_MAX, WAIT_MAX},
};
use bytes::Bytes;
use form_urlencoded::Serializer;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use std::time::Duration;

use super::{
    admin::{AddedBooks, AmendRequest},
    books::Topics,
    orders::{LineRequest, OrderRequest, REPLAYED},
};
use crate::{
    client::retry::Effect,
    client::{Ask, Client, FromAnswer, Unreadable, json},
    internal::catalog::{ADD_BOOKS_TIMEOUT, cut},
};

/// A shop on another machine, through the interface that everybody uses: one request a call.
///
/// Amending, listing, `entries` and `orders` need a client with the shop's admin token.
pub struct RemoteShop<C = HttpConnector> {
    client: Client<C>,
}

impl<C> RemoteShop<C> {
    /// The shop behind `client`'s servers.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { client }
    }
}

/// An order, and whether the answer's headers call it a replay.
struct Told(Receipt);

impl FromAnswer for Told {
    fn from_answer(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        let order = serde_json::from_slice(body)?;
        let replayed = match head.headers.get(REPLAYED).map(HeaderValue::as_bytes) {
            None => false,
            Some(b"true") => true,
            Some(_) => return Err("idempotency-replayed is neither missing nor true".into()),
        };
        Ok(Self(Receipt { order, replayed }))
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> RemoteShop<C> {
    async fn buy(&self, id: OrderId, lines: &Lines) -> Result<Receipt> {
        let lines = lines.iter().map(|line| LineRequest::from(*line)).collect();
        let body = json(&OrderRequest { lines })?;
        let ask = Ask::send(Method::PUT, format!("/orders/{id}"), body, Effect::Keyed);
        self.client.call::<Told>(ask).await.map(|Told(receipt)| receipt)
    }

    async fn take_back(&self, id: OrderId) -> Result<Receipt> {
        let ask = Ask::send(Method::POST, format!("/orders/{id}/cancel"), Bytes::from_static(b"{}"), Effect::Keyed);
        self.client.call::<Told>(ask).await.map(|Told(receipt)| receipt)
    }

    async fn read_order(&self, id: OrderId) -> Result<Order> {
        self.client.call(Ask::get(format!("/orders/{id}"))).await
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> CatalogService for RemoteShop<C> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        query.check()?;
        self.client.call(Ask::get(search_path(&query))).await
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.client.call::<Topics>(Ask::get("/topics")).await.map(|found| found.topics)
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.client.call(Ask::get(format!("/info/{book}"))).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.buy(order, &lines).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.take_back(order).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let (request, condition) = amend_request(change);
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Unkeyed };
        let mut ask = Ask::send(Method::PATCH, format!("/books/{book}"), json(&request)?, effect);
        if let Some(condition) = condition {
            ask = ask.header(header::IF_MATCH, condition);
        }
        if let Some(key) = key {
            ask = ask.header(HeaderName::from_static("idempotency-key"), visible(&key.to_string()));
        }
        self.client.call(ask).await
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        if books.len() > ADD_BOOKS_MAX {
            return Err(Error::invalid("books", format!("at most {ADD_BOOKS_MAX} at once")));
        }
        // All are checked before the first is sent: a bad one means that none is listed.
        books.iter().try_for_each(NewBook::check)?;
        let mut listed: Vec<Added> = Vec::with_capacity(books.len());
        for body in cut(&books)? {
            let ask = Ask::send(Method::POST, "/books", body, Effect::Keyed).patience(ADD_BOOKS_TIMEOUT);
            match self.client.call::<AddedBooks>(ask).await {
                Ok(more) => listed.extend(more.listed),
                Err(error) if listed.is_empty() => return Err(error),
                Err(error) => return Err(Error::unknown(format!("only some of the books were listed: {error}"))),
            }
        }
        Ok(listed)
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let (limit, wait) = (limit.clamp(1, ENTRIES_MAX), wait.min(WAIT_MAX));
        // The interface takes signed numbers; no ledger is longer.
        let after = after.0.min(i64::MAX.cast_unsigned());
        let path = format!("/entries?after={after}&limit={limit}&wait_ms={}", wait.as_millis());
        self.client.call(Ask::get(path).patience(wait)).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.read_order(order).await
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> OrderService for RemoteShop<C> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.buy(id, &lines).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.take_back(id).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.read_order(id).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        query.check()?;
        self.client.call(Ask::get(orders_path(&query))).await
    }
}

fn search_path(query: &Query) -> String {
    let mut pairs = after("/search?");
    if let Some(words) = &query.words {
        pairs.append_pair("q", words);
    }
    if let Some(topic) = &query.topic {
        pairs.append_pair("topic", topic);
    }
    let sort = match query.sort {
        Sort::Relevance => None,
        Sort::Title => Some("title"),
        Sort::Price => Some("price"),
        Sort::Newest => Some("newest"),
    };
    if let Some(sort) = sort {
        pairs.append_pair("sort", sort);
    }
    page(&mut pairs, query.page_size, query.page_token.as_deref());
    pairs.finish()
}

fn orders_path(query: &OrderQuery) -> String {
    let mut pairs = after("/orders?");
    page(&mut pairs, query.page_size, query.page_token.as_deref());
    pairs.finish()
}

/// Pairs to be put after `path`.
fn after(path: &str) -> Serializer<'static, String> {
    Serializer::for_suffix(path.to_owned(), path.len())
}

fn page(pairs: &mut Serializer<'_, String>, size: Option<u32>, token: Option<&str>) {
    if let Some(size) = size {
        pairs.append_pair("page_size", &size.to_string());
    }
    if let Some(token) = token {
        pairs.append_pair("page_token", token);
    }
}

/// A change as the public interface takes it: the body, and the `If-Match` beside it.
fn amend_request(change: Amend) -> (AmendRequest, Option<HeaderValue>) {
    match change {
        Amend::StockDelta { delta } => (AmendRequest { stock_delta: Some(delta), ..AmendRequest::default() }, None),
        Amend::Set { price_cents, stock, version } => {
            let condition =
                version.map_or_else(|| HeaderValue::from_static("*"), |seen| visible(&format!("\"{seen}\"")));
            (AmendRequest { stock_delta: None, stock, price_cents }, Some(condition))
        }
    }
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, quotes and UUIDs are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_becomes_a_path() {
        let mut query = Query { topic: Some("a&b=c".into()), page_size: Some(5), ..Query::words("café noir") };
        query.sort = Sort::Newest;
        assert_eq!(search_path(&query), "/search?q=caf%C3%A9+noir&topic=a%26b%3Dc&sort=newest&page_size=5");
        assert_eq!(search_path(&Query::default()), "/search?");
    }
}

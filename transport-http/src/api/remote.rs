//! The client of the public interface: a whole shop behind its URL.
//!
//! It sends what any other program would send, so it works with every server of the public interface. Between servers of one
//! deployment `RemoteCatalog` and `RemoteOrders` are faster, since they send waiting calls together.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Cents, Contact, Currency, Entries, Lines, NewBook,
    Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Query, Receipt, Reference, Result, Seq, Sort,
    Status, SuggestQuery, Suggestions, TopicPage, TopicQuery, TopicSort,
    catalog::{ENTRIES_MAX, WAIT_MAX},
    retry::Effect,
    service::at_most_books_max,
};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue, Method, header, response::Parts};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use serde::Serialize;
use std::time::Duration;

use super::messages::{AddedBooks, AmendRequest, FoundBooks, REPLAYED, ShopInfo};
use crate::{
    book_ids::write_ids,
    client::{
        Client,
        request::{OutboundRequest, json},
        response::{Contacted, FromResponse, Unreadable},
    },
};

/// A shop on another machine, through its public interface: one request for each call.
///
/// `amend`, `add_books`, `entries`, `orders` and some of `change` need a client with a token of the shop, which also says who asks: the
/// `by` of a change only says whether the token is sent. Buyers' own calls go without it, unless the order's id needs it. `sell` and `release` are the same as
/// `purchase` and `cancel`: the public interface has no others.
///
/// ```
/// use bookstore_transport_http::{api::RemoteShop, client::{Client, ClientOptions}};
///
/// let shop = RemoteShop::new(Client::http(&["http://shop.example:8080"], ClientOptions::default())?);
/// # Ok::<(), bookstore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteShop<C = HttpConnector> {
    client: Client<C>,
}

impl<C> RemoteShop<C> {
    /// The shop behind the client's servers. Nothing is sent before the first call.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { client }
    }
}

/// The body of a purchase. [`Lines`] have the same JSON form here and everywhere.
#[derive(Serialize)]
struct PurchaseRequest<'a> {
    lines: &'a Lines,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a Contact>,
}

impl<'a> PurchaseRequest<'a> {
    fn plain(lines: &'a Lines) -> Self {
        Self { lines, reference: None, hold_seconds: None, contact: None }
    }
}

/// The response to a purchase or a cancellation: an order, and a header that says whether it is a replay.
struct PurchaseResponse(Receipt);

impl FromResponse for PurchaseResponse {
    fn from_response(head: &Parts, body: &[u8]) -> Result<Self, Unreadable> {
        let order = serde_json::from_slice(body)?;
        let replayed = match head.headers.get(REPLAYED).map(HeaderValue::as_bytes) {
            None => false,
            Some(b"true") => true,
            Some(_) => return Err("idempotency-replayed is neither missing nor true".into()),
        };
        Ok(Self(Receipt { order, replayed }))
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> CatalogService for RemoteShop<C> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        query.check()?;
        self.client.call(OutboundRequest::get(search_path(&query))).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        query.check()?;
        self.client.call(OutboundRequest::get(suggest_path(&query))).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        query.check()?;
        self.client.call(OutboundRequest::get(topics_path(&query))).await
    }

    async fn currency(&self) -> Result<Currency> {
        let ShopInfo { currency, .. } = self.client.call(OutboundRequest::get("/shop")).await?;
        Ok(currency)
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.client.call(OutboundRequest::get(format!("/info/{book}"))).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        let ids = at_most_books_max(ids)?;
        let FoundBooks { books } =
            self.client.call(OutboundRequest::get(format!("/books?ids={}", write_ids(&ids)))).await?;
        Ok(ids.into_iter().map(|id| books.iter().find(|book| book.id == id).cloned()).collect())
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.purchase(order, lines).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.cancel(order).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.change(order, action, by).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, _: Option<Actor>) -> Result<Book> {
        let (request, condition) = amend_request(change);
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Unkeyed };
        let mut outbound = OutboundRequest::send(Method::PATCH, format!("/books/{book}"), json(&request)?, effect);
        if let Some(condition) = condition {
            outbound = outbound.header(header::IF_MATCH, condition);
        }
        if let Some(key) = key {
            outbound = outbound.header(IDEMPOTENCY_KEY, visible(&key.to_string()));
        }
        self.client.call(outbound).await
    }

    async fn add_books(&self, books: Vec<NewBook>, _: Option<Actor>) -> Result<Vec<Added>> {
        self.client.add_books::<AddedBooks>("/books", &books).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let (limit, wait) = (limit.clamp(1, ENTRIES_MAX), wait.min(WAIT_MAX));
        // The interface takes signed numbers; no ledger is longer.
        let after = after.0.min(i64::MAX.cast_unsigned());
        let path = format!("/entries?after={after}&limit={limit}&wait_ms={}", wait.as_millis());
        self.client.call(OutboundRequest::get(path).extra_time(wait)).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.order(order).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.contact(order).await
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> OrderService for RemoteShop<C> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let body = json(&PurchaseRequest::plain(&lines))?;
        let request = OutboundRequest::send(Method::PUT, format!("/orders/{id}"), body, Effect::Keyed);
        self.client.call(request.anonymous(true)).await.map(|PurchaseResponse(receipt)| receipt)
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let (path, body) = (format!("/orders/{id}/cancel"), Bytes::from_static(b"{}"));
        let request = OutboundRequest::send(Method::POST, path, body, Effect::Keyed).anonymous(id.is_random());
        self.client.call(request).await.map(|PurchaseResponse(receipt)| receipt)
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let request = change_request(id, &action)?.anonymous(by.is_none() && id.is_random());
        self.client.call(request).await.map(|PurchaseResponse(receipt)| receipt)
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.client.call(OutboundRequest::get(format!("/orders/{id}"))).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        query.check()?;
        self.client.call(OutboundRequest::get(orders_path(&query))).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        let answer = self.client.call(OutboundRequest::get(format!("/orders/{id}/contact"))).await;
        answer.map(|Contacted(contact)| contact)
    }
}

/// The request for a change of an order. Who of the shop asks for it, the server knows by the token.
fn change_request(id: OrderId, action: &OrderAction) -> Result<OutboundRequest> {
    let at = |what: &str| format!("/orders/{id}{what}");
    let post = |what: &str, body| OutboundRequest::send(Method::POST, at(what), body, Effect::Keyed);
    let nothing = || Bytes::from_static(b"{}");
    Ok(match action {
        OrderAction::Purchase { lines, reference, contact } => {
            let (reference, contact) = (reference.as_ref(), contact.as_deref());
            let body = json(&PurchaseRequest { lines, reference, hold_seconds: None, contact })?;
            OutboundRequest::send(Method::PUT, at(""), body, Effect::Keyed)
        }
        OrderAction::Hold { lines, seconds, reference, contact } => {
            let (reference, contact) = (reference.as_ref(), contact.as_deref());
            let body = json(&PurchaseRequest { lines, reference, hold_seconds: Some(*seconds), contact })?;
            OutboundRequest::send(Method::PUT, at(""), body, Effect::Keyed)
        }
        OrderAction::Confirm => post("/confirm", nothing()),
        OrderAction::Extend { seen, expires_at } => {
            post("/extend", json(&serde_json::json!({ "seen": seen, "expires_at": expires_at }))?)
        }
        OrderAction::Cancel => post("/cancel", nothing()),
        OrderAction::Void => post("/cancel", Bytes::from_static(b"{\"void\":true}")),
        OrderAction::Fulfil => post("/fulfil", nothing()),
        OrderAction::Return { lines, key } => {
            let body = json(&PurchaseRequest::plain(lines))?;
            post("/return", body).header(IDEMPOTENCY_KEY, visible(&key.to_string()))
        }
        OrderAction::SetContact { contact } => {
            OutboundRequest::send(Method::PUT, at("/contact"), json(contact)?, Effect::Keyed)
        }
        OrderAction::EraseContact => OutboundRequest::send(Method::DELETE, at("/contact"), nothing(), Effect::Keyed),
    })
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The path of a search, with its query percent-encoded.
fn search_path(query: &Query) -> String {
    let mut pairs = after("/search?");
    let facets: Vec<&str> = query.facets.iter().map(|facet| facet.name()).collect();
    for (name, text) in [("q", &query.words), ("topic", &query.topic), ("author", &query.author)] {
        given(&mut pairs, name, text.as_ref());
    }
    given(&mut pairs, "in_stock", query.in_stock.then_some(true));
    given(&mut pairs, "price_min", query.price_min.map(Cents::get));
    given(&mut pairs, "price_max", query.price_max.map(Cents::get));
    given(&mut pairs, "year_min", query.year_min);
    given(&mut pairs, "year_max", query.year_max);
    given(&mut pairs, "sold", query.sold);
    given(&mut pairs, "facets", (!facets.is_empty()).then(|| facets.join(",")));
    given(&mut pairs, "sort", (query.sort != Sort::default()).then(|| query.sort.name()));
    page(&mut pairs, query.page_size, query.page_token.as_deref());
    pairs.finish()
}

/// The path of suggestions.
fn suggest_path(query: &SuggestQuery) -> String {
    let mut pairs = after("/suggest?");
    pairs.append_pair("q", &query.text);
    given(&mut pairs, "limit", query.limit);
    pairs.finish()
}

/// Adds a parameter that has a value.
fn given(pairs: &mut Serializer<'_, String>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        pairs.append_pair(name, &value.to_string());
    }
}

/// The path of a page of topics.
fn topics_path(query: &TopicQuery) -> String {
    let mut pairs = after("/topics?");
    if query.sort == TopicSort::Books {
        pairs.append_pair("sort", "books");
    }
    page(&mut pairs, query.page_size, query.page_token.as_deref());
    pairs.finish()
}

/// The path of a page of orders.
fn orders_path(query: &OrderQuery) -> String {
    let mut pairs = after("/orders?");
    given(&mut pairs, "reference", query.reference.as_ref());
    given(&mut pairs, "status", query.status.map(Status::as_str));
    given(&mut pairs, "book", query.book);
    given(&mut pairs, "from", query.from);
    given(&mut pairs, "to", query.to);
    given(&mut pairs, "contact", query.contact.as_ref());
    page(&mut pairs, query.page_size, query.page_token.as_deref());
    pairs.finish()
}

/// A serializer of query pairs, which are put after `path`.
fn after(path: &str) -> Serializer<'static, String> {
    Serializer::for_suffix(path.to_owned(), path.len())
}

/// Adds the page's size and token, which all lists have.
fn page(pairs: &mut Serializer<'_, String>, size: Option<u32>, token: Option<&str>) {
    if let Some(size) = size {
        pairs.append_pair("page_size", &size.to_string());
    }
    if let Some(token) = token {
        pairs.append_pair("page_token", token);
    }
}

/// A change as the public interface takes it: the body, and the `If-Match` beside it. Without a version it is `*`, which the
/// interface accepts for a price alone.
fn amend_request(change: Amend) -> (AmendRequest, Option<HeaderValue>) {
    match change {
        Amend::StockDelta { delta } => (AmendRequest { stock_delta: Some(delta), ..AmendRequest::default() }, None),
        Amend::Set { price_cents, stock, version } => {
            let condition =
                version.map_or_else(|| HeaderValue::from_static("*"), |seen| visible(&format!("\"{seen}\"")));
            (AmendRequest { stock, price_cents, ..AmendRequest::default() }, Some(condition))
        }
        Amend::Revise { text, text_version } => (AmendRequest::of_text(*text, text_version), None),
        Amend::Withdraw => (AmendRequest { on_sale: Some(false), ..AmendRequest::default() }, None),
        Amend::Relist => (AmendRequest { on_sale: Some(true), ..AmendRequest::default() }, None),
    }
}

/// A header value from text that is visible ASCII.
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
        let best_sellers = Query::best_sellers(bookstore_core::Period::Ever);
        assert_eq!(search_path(&best_sellers), "/search?sold=ever&sort=best_selling");
        assert_eq!(search_path(&Query::default()), "/search?");
    }
}

//! The documented operations: one empty function for each, so that the handlers stay plain. A function's name is the
//! operation's id, its doc comment the operation's text.
#![expect(dead_code, reason = "documents the handlers in `api` and the routes of every server")]

use bookstore_core::{
    Book, BookId, BookPage, Contact, Entries, Order, OrderId, OrderPage, Quote, Seq, Suggestions, TopicPage, TopicSort,
};

use super::schemas::{AmendBody, NewBooks, SearchParameters};
use crate::api::{
    books::QuoteRequest,
    changes::{Extension, ReturnRequest},
    events::StockEvent,
    messages::{AddedBooks, FoundBooks, ShopInfo},
    orders::{Cancellation, OrderRequest, Purchase},
};

/// Finds books by words, by topic, or both, with filters; stock and price are those of now.
#[utoipa::path(get, path = "/search", tag = "books",
    params(
        ("topic" = Option<String>, Query, max_length = 200, description = "Only books of this topic, case aside"),
        ("author" = Option<String>, Query, max_length = 500, description = "Only books of this author: the whole name, case aside"),
        SearchParameters,
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) fn search() {}

/// The books of one topic.
#[utoipa::path(get, path = "/search/{topic}", tag = "books",
    params(
        ("topic" = String, Path, min_length = 1, max_length = 200, description = "The topic, case aside"),
        ("author" = Option<String>, Query, max_length = 500, description = "Only books of this author: the whole name, case aside"),
        SearchParameters,
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) fn search_topic() {}

/// The books of one author.
#[utoipa::path(get, path = "/authors/{name}", tag = "books",
    params(
        ("name" = String, Path, min_length = 1, max_length = 500, description = "The author's whole name, case aside"),
        ("topic" = Option<String>, Query, max_length = 200, description = "Only books of this topic, case aside"),
        SearchParameters,
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) fn author() {}

/// All books, those first that were listed last.
#[utoipa::path(get, path = "/new", tag = "books",
    params(
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Books a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of books", body = BookPage)))]
pub(super) fn new() {}

/// The books of which copies were sold, those first of which most were. Copies that came back are counted back on the day when they did.
///
/// The same list with words and filters is a search with `sort=best_selling` and `sold`.
#[utoipa::path(get, path = "/bestsellers", tag = "books",
    params(
        ("days" = Option<u16>, Query, minimum = 7, maximum = 365,
            description = "Sold in 7, 30 or 365 days, today by UTC included; ever, unless asked otherwise"),
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Books a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of books", content((BookPage = "application/json"), (String = "text/html")))))]
pub(super) fn best_sellers() {}

/// Titles, authors and topics that begin as what somebody has typed.
#[utoipa::path(get, path = "/suggest", tag = "books",
    params(
        ("q" = Option<String>, Query, max_length = 200, description = "What was typed so far"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10, description = "Suggestions of each kind, 5 unless asked otherwise"),
    ),
    responses((status = 200, description = "Suggestions", body = Suggestions)))]
pub(super) fn suggest() {}

/// The topics with their numbers of books, a page at a time.
#[utoipa::path(get, path = "/topics", tag = "books",
    params(
        ("sort" = Option<TopicSort>, Query, description = "By `name`, or those with the most `books` first"),
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Topics a page, 100 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of topics", content((TopicPage = "application/json"), (String = "text/html")))))]
pub(super) fn topics() {}

/// What holds for the whole shop: the currency of all amounts.
#[utoipa::path(get, path = "/shop", tag = "books",
    responses((status = 200, description = "The currency", body = ShopInfo)))]
pub(super) fn shop_info() {}

/// One book as it stands.
#[utoipa::path(get, path = "/info/{id}", tag = "books",
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the copy at hand"),
    ),
    responses(
        (status = 200, description = "The book", content((Book = "application/json"), (String = "text/html")),
            headers(("ETag" = String, description = "Its version, in quotes; not for the page"))),
        (status = 304, description = "The copy at hand is still good")))]
pub(super) fn info() {}

/// Several books as they stand, in the order of their numbers; those that there are not are left out.
#[utoipa::path(get, path = "/books", tag = "books",
    params(("ids" = Option<String>, Query, pattern = "^([0-9]{1,18}(,[0-9]{1,18}){0,99})?$", description = "Up to 100 books' numbers, with commas")),
    responses((status = 200, description = "The books", body = FoundBooks)))]
pub(super) fn books() {}

/// What these books cost now and how many there are, before anything is bought. It binds nobody.
#[utoipa::path(post, path = "/quote", tag = "books",
    request_body = QuoteRequest,
    responses((status = 200, description = "Prices, stock, and what is short", body = Quote)))]
pub(super) fn quote() {}

/// The page with the buy button, for browsers only; a GET never buys.
#[utoipa::path(get, path = "/purchase/{id}", tag = "orders",
    params(("id" = BookId, Path, description = "The book's number")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub(super) fn purchase_page() {}

/// Buys copies of one book, once per `Idempotency-Key`.
///
/// The key names the purchase intent: draw a UUID, keep it until there is an answer, and send it again after a lost
/// one. Whoever knows the order id may read and cancel the order, so any other key is refused: it could be guessed.
#[utoipa::path(post, path = "/purchase/{id}", tag = "orders",
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("Idempotency-Key" = Option<String>, Header,
            pattern = "^(\"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[47][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}\"|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[47][0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12})$",
            description = "The order id: a random UUID of version 4 or 7, version 7 preferred; it may stand in quotes. Without it a retry buys again"),
    ),
    request_body(content = inline(Option<Purchase>), description = "One copy if there is no body"),
    responses(
        (status = 201, description = "Bought", body = Order, headers(("Location" = String, description = "The order"))),
        (status = 200, description = "Bought earlier under this key", body = Order,
            headers(("Idempotency-Replayed" = String, description = "`true`"), ("Location" = String, description = "The order")))))]
pub(super) fn purchase() {}

/// Buys several books at once, all or none, once per order id.
#[utoipa::path(put, path = "/orders/{id}", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id, made by the buyer once per purchase intent: a random UUID of version 4 or 7")),
    request_body = OrderRequest,
    responses(
        (status = 201, description = "Bought", body = Order),
        (status = 200, description = "Bought earlier under this id", body = Order,
            headers(("Idempotency-Replayed" = String, description = "`true`")))))]
pub(super) fn place_order() {}

/// Reads an order. One whose id is no UUID of version 4 or 7 needs a token.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses((status = 200, description = "The order", content((Order = "application/json"), (String = "text/html")))))]
pub(super) fn order() {}

/// Places a held order: its copies are bought at the prices at which they were held. An order that the shop holds needs a token with the role
/// `stock`.
#[utoipa::path(post, path = "/orders/{id}/confirm", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses(
        (status = 200, description = "Placed, now or earlier", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was placed already")))))]
pub(super) fn confirm() {}

/// Holds an order's copies for longer. An order that the shop holds needs a token with the role `stock`.
#[utoipa::path(post, path = "/orders/{id}/extend", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    request_body = Extension,
    responses(
        (status = 200, description = "Held until then", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was already")))))]
pub(super) fn extend() {}

/// Notes that an order was handed over; it cannot be cancelled any more.
#[utoipa::path(post, path = "/orders/{id}/fulfil", tag = "admin", security(("token" = [])),
    params(("id" = OrderId, Path, description = "The order id")),
    responses(
        (status = 200, description = "Handed over, now or earlier", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was already")))))]
pub(super) fn fulfil() {}

/// Puts some copies of an order into stock again, once per `Idempotency-Key`.
#[utoipa::path(post, path = "/orders/{id}/return", tag = "admin", security(("token" = [])),
    params(
        ("id" = OrderId, Path, description = "The order id"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, pattern = r#"^([!#-~]([ -~]*[!-~])?|"([ !#-\[\]-~])+")$"#,
            description = "Makes it happen once, however often it is sent"),
    ),
    request_body = ReturnRequest,
    responses(
        (status = 200, description = "The order with what has come back", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was done already")))))]
pub(super) fn take_back() {}

/// Who an order is for, where the shop keeps that. An order whose id is no UUID of version 4 or 7 needs a token.
#[utoipa::path(get, path = "/orders/{id}/contact", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses(
        (status = 200, description = "Its contact", body = Contact),
        (status = 204, description = "It has none: none was given, or it was erased")))]
pub(super) fn contact() {}

/// Gives an order a contact, or another one, in place of the whole contact before. Once the order is handed over, cancelled or lapsed this
/// needs a token with the role `stock`. A contact that was erased does not come back.
#[utoipa::path(put, path = "/orders/{id}/contact", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    request_body = Contact,
    responses(
        (status = 200, description = "The order, whose contact is this one now", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was already")))))]
pub(super) fn set_contact() {}

/// Erases the contact of an order, for good. Once the order is handed over, cancelled or lapsed this needs a token with the role `stock`.
#[utoipa::path(delete, path = "/orders/{id}/contact", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    responses(
        (status = 200, description = "The order, which has no contact", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it had none before")))))]
pub(super) fn erase_contact() {}

/// Cancels an order and puts its copies back into stock; again and again is the same as once. An order whose id is no UUID of version 4 or 7 needs a
/// token with the role `admin`.
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders",
    params(("id" = OrderId, Path, description = "The order id")),
    request_body(content = inline(Option<Cancellation>), description = "Only an order that there is, if there is no body"),
    responses(
        (status = 200, description = "Cancelled, now or earlier", body = Order,
            headers(("Idempotency-Replayed" = Option<String>, description = "`true` if it was cancelled already")))))]
pub(super) fn cancel() {}

/// Orders, newest first: all, or those for which every parameter holds. A page can have fewer than its size although another one follows.
#[utoipa::path(get, path = "/orders", tag = "admin", security(("token" = [])),
    params(
        ("reference" = Option<String>, Query, max_length = 200, description = "Only orders that are called so elsewhere"),
        ("status" = Option<String>, Query, pattern = "^(held|placed|fulfilled|cancelled|lapsed|voided)?$", description = "Only orders in this state"),
        ("book" = Option<u64>, Query, maximum = 999999999999999999u64, description = "Only orders of this book"),
        ("from" = Option<String>, Query, pattern = "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?)?$",
            description = "Only orders of then or later: a day, in UTC, or a moment as RFC 3339 has it"),
        ("to" = Option<String>, Query, pattern = "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?)?$",
            description = "Only orders before then"),
        ("contact" = Option<String>, Query, max_length = 200, description = "Only orders whose contact has these words in its name or e-mail address; needs the role `stock`"),
        ("page_size" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Orders a page, 20 unless asked otherwise"),
        ("page_token" = Option<String>, Query, description = "The `next_page_token` of the page before; any other text is refused"),
    ),
    responses((status = 200, description = "A page of orders", body = OrderPage)))]
pub(super) fn orders() {}

/// Stock and price changes as they happen.
///
/// Each event is named `stock`; its `id` is the ledger's `seq`. An order of several books is several events, of which the
/// last carries the id. To resume more than 10,000 entries back takes a token; without it the stream begins now, with an
/// event named `reset`: what is shown may be out of date, and has to be read again.
#[utoipa::path(get, path = "/events", tag = "books",
    params(("Last-Event-ID" = Option<Seq>, Header, description = "Resume after this event; without it the stream begins now")),
    responses((status = 200, description = "Server-sent events without end", body = StockEvent, content_type = "text/event-stream")))]
pub(super) fn events() {}

/// Changes a book's price or stock, its text, or whether it is on sale.
#[utoipa::path(patch, path = "/books/{id}", tag = "admin", security(("token" = [])),
    params(
        ("id" = BookId, Path, description = "The book's number"),
        ("If-Match" = Option<String>, Header, pattern = r#"^(\*|"[0-9]{1,18}")$"#, description = "The `ETag` that the caller saw; `*` is enough for a price alone"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, pattern = r#"^([!#-~]([ -~]*[!-~])?|"([ !#-\[\]-~])+")$"#,
            description = "Makes the change happen once, however often it is sent"),
    ),
    request_body = AmendBody,
    responses(
        (status = 200, description = "The book as it stands now", body = Book,
            headers(("ETag" = String, description = "Its version, in quotes")))))]
pub(super) fn amend() {}

/// Lists new books; one that is listed already is left as it is, so sending the same list again is harmless.
#[utoipa::path(post, path = "/books", operation_id = "list", tag = "admin", security(("token" = [])),
    request_body(content = NewBooks, description = "At most 4 MiB"),
    responses(
        (status = 201, description = "Listed; `Location` if it is one book", body = AddedBooks),
        (status = 200, description = "All of them were listed before", body = AddedBooks)))]
pub(super) fn add_books() {}

/// The ledger itself, for audits and for those who follow it.
#[utoipa::path(get, path = "/entries", tag = "admin", security(("token" = [])),
    params(
        ("after" = Option<Seq>, Query, description = "The last entry that the caller has; 0 is before the first"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Entries a page, 100 unless asked otherwise"),
        ("wait_ms" = Option<u64>, Query, maximum = 30000, description = "How long to wait for an entry if there is none yet, in milliseconds"),
    ),
    responses((status = 200, description = "Consecutive entries, oldest first", body = Entries)))]
pub(super) fn entries() {}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "An OpenAPI document", body = Object)))]
pub(super) fn openapi() {}

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "It does")))]
pub(super) fn livez() {}

/// The server can do its work.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "It can")))]
pub(super) fn readyz() {}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")))]
pub(super) fn metrics() {}

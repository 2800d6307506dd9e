//! Server-sent events over a real connection.

use crate::support::{Running, TEST_TIMEOUT, TOKEN, book, shop};
use bookstore_core::{Amend, BookId, CatalogService, Cents, Clock, Line, Lines, OrderId, SystemClock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines as TextLines},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    time::timeout,
};

/// An open stream of events.
struct Stream {
    lines: TextLines<BufReader<OwnedReadHalf>>,
    _writer: OwnedWriteHalf,
}

#[derive(Debug, PartialEq)]
struct Event {
    id: Option<u64>,
    data: Value,
}

impl Stream {
    /// Subscribes and reads the head of the answer.
    async fn open(shop: &Running, last_event_id: Option<&str>) -> Self {
        Self::open_as(shop, last_event_id, "").await
    }

    /// As [`Stream::open`], with more headers.
    async fn open_as(shop: &Running, last_event_id: Option<&str>, headers: &str) -> Self {
        let resume = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let (reader, mut writer) = TcpStream::connect(shop.addr).await.unwrap().into_split();
        let request = format!("GET /events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{headers}{resume}\r\n");
        writer.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self { lines: BufReader::new(reader).lines(), _writer: writer };
        assert_eq!(stream.line().await.as_deref(), Some("HTTP/1.1 200 OK"));
        while stream.line().await.is_some_and(|line| line != "retry: 2000") {}
        stream
    }

    async fn line(&mut self) -> Option<String> {
        timeout(TEST_TIMEOUT, self.lines.next_line()).await.expect("a line in time").unwrap_or_default()
    }

    /// The next event; chunk sizes, comments and blank lines between events are skipped.
    async fn next(&mut self) -> Option<Event> {
        while self.line().await? != "event: stock" {}
        let data = self.line().await?;
        let data = serde_json::from_str(data.strip_prefix("data: ").expect("data after the event's name")).unwrap();
        let id = self.line().await?.strip_prefix("id: ").map(|id| id.parse().unwrap());
        Some(Event { id, data })
    }

    async fn expect(&mut self, id: u64, data: Value) {
        assert_eq!(self.next().await, Some(Event { id: Some(id), data }));
    }
}

fn id() -> OrderId {
    SystemClock.new_order_id()
}

async fn buy(shop: &Running, lines: &[(u64, u32)]) -> OrderId {
    let order = id();
    let lines = Lines::new(lines.iter().map(|(book, quantity)| Line::new(BookId(*book), *quantity))).unwrap();
    shop.catalog.sell(order, lines).await.unwrap();
    order
}

#[tokio::test]
async fn every_change_of_stock_or_price_is_sent_once() {
    let shop = shop().await;
    let (mut one, mut two) = (Stream::open(&shop, None).await, Stream::open(&shop, None).await);
    buy(&shop, &[(1, 2)]).await;
    shop.catalog.amend(BookId(3), Amend::StockDelta { delta: 4 }, None, None).await.unwrap();
    let price = Amend::Set { price_cents: Some(Cents::new(999).unwrap()), stock: None, version: None };
    shop.catalog.amend(BookId(1), price, None, None).await.unwrap();
    shop.catalog.add_books(vec![book("New", "testing", 7)], None).await.unwrap();
    for stream in [&mut one, &mut two] {
        stream.expect(4, json!({"book": 1, "stock": 10, "price_cents": 1999})).await;
        stream.expect(5, json!({"book": 3, "stock": 4, "price_cents": 1999})).await;
        stream.expect(6, json!({"book": 1, "stock": 10, "price_cents": 999})).await;
        stream.expect(7, json!({"book": 4, "stock": 7, "price_cents": 1999})).await;
    }
}

#[tokio::test]
async fn a_return_shows_the_price_of_today() {
    let shop = shop().await;
    let order = buy(&shop, &[(1, 2)]).await;
    let price = Amend::Set { price_cents: Some(Cents::new(999).unwrap()), stock: None, version: None };
    shop.catalog.amend(BookId(1), price, None, None).await.unwrap();
    let mut stream = Stream::open(&shop, None).await;
    shop.catalog.release(order).await.unwrap();
    stream.expect(6, json!({"book": 1, "stock": 12, "price_cents": 999})).await;
}

#[tokio::test]
async fn resuming_misses_nothing_and_repeats_nothing() {
    let shop = shop().await;
    let mut stream = Stream::open(&shop, Some("2")).await;
    stream.expect(3, json!({"book": 3, "stock": 0, "price_cents": 1999})).await;
    buy(&shop, &[(1, 1)]).await;
    stream.expect(4, json!({"book": 1, "stock": 11, "price_cents": 1999})).await;
    drop(stream);
    buy(&shop, &[(1, 1)]).await;
    buy(&shop, &[(2, 1)]).await;
    let mut stream = Stream::open(&shop, Some("4")).await;
    stream.expect(5, json!({"book": 1, "stock": 10, "price_cents": 1999})).await;
    stream.expect(6, json!({"book": 2, "stock": 0, "price_cents": 1999})).await;
    // An id beyond the ledger's end: as if from now on.
    let mut stream = Stream::open(&shop, Some("999")).await;
    buy(&shop, &[(1, 1)]).await;
    stream.expect(7, json!({"book": 1, "stock": 9, "price_cents": 1999})).await;
}

/// Reading far back is dear, and anybody may ask for events: strangers begin at the present, and are told so.
#[tokio::test]
async fn a_stranger_resumes_within_a_bounded_past() {
    let shop = shop().await;
    for chunk in (0..10_000).collect::<Vec<_>>().chunks(1000) {
        let books = chunk.iter().map(|n| book(&format!("Book {n}"), "testing", 1)).collect();
        shop.catalog.add_books(books, None).await.unwrap();
    }
    let mut stream = Stream::open(&shop, Some("3")).await;
    assert_eq!(stream.next().await.unwrap().id, Some(4), "10,000 entries back");
    let mut stream = Stream::open(&shop, Some("2")).await;
    while stream.line().await.expect("an event") != "event: reset" {}
    assert_eq!(stream.line().await.as_deref(), Some("data: {\"after\":10003}"));
    assert_eq!(stream.line().await.as_deref(), Some("id: 10003"));
    buy(&shop, &[(1, 1)]).await;
    stream.expect(10_004, json!({"book": 1, "stock": 11, "price_cents": 1999})).await;
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    let mut stream = Stream::open_as(&shop, Some("0"), &token).await;
    assert_eq!(stream.next().await.unwrap().id, Some(1), "the shop's own people resume anywhere");
    let proxy = "authorization: Basic eDp4\r\n";
    let mut stream = Stream::open_as(&shop, Some("10003"), proxy).await;
    stream.expect(10_004, json!({"book": 1, "stock": 11, "price_cents": 1999})).await;
}

#[tokio::test]
async fn of_an_order_of_several_books_the_last_event_has_the_id() {
    let shop = shop().await;
    let mut stream = Stream::open(&shop, None).await;
    buy(&shop, &[(1, 1), (2, 1)]).await;
    let first = stream.next().await.unwrap();
    assert_eq!(first, Event { id: None, data: json!({"book": 1, "stock": 11, "price_cents": 1999}) });
    stream.expect(4, json!({"book": 2, "stock": 0, "price_cents": 1999})).await;
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    const ENTRIES: u64 = 30_000;
    let shop = shop().await;
    shop.catalog.amend(BookId(1), Amend::StockDelta { delta: 100_000 }, None, None).await.unwrap();
    let mut stream = Stream::open(&shop, None).await;
    // Far more than fits the sockets' buffers and the feed's queue, and the reader does not read meanwhile.
    for _ in 0..ENTRIES / 1000 {
        let buys = (0..1000).map(|_| shop.catalog.sell(id(), Lines::one(BookId(1), 1).unwrap()));
        futures_util::future::join_all(buys).await.into_iter().for_each(|bought| drop(bought.unwrap()));
    }
    for seq in 5..5 + ENTRIES {
        let event = stream.next().await.expect("the stream goes on");
        assert_eq!(event.id, Some(seq));
        assert_eq!(event.data["stock"], 100_012 - (seq - 4));
    }
}

#[tokio::test]
async fn a_catalogue_that_fails_for_a_while_loses_nothing() {
    let shop = shop().await;
    let mut stream = Stream::open(&shop, None).await;
    buy(&shop, &[(1, 1)]).await;
    stream.expect(4, json!({"book": 1, "stock": 11, "price_cents": 1999})).await;
    shop.shaky.set_down(true);
    buy(&shop, &[(1, 1)]).await;
    // Ends the poll that is under way, and sees the next one fail.
    shop.shaky.read_again(1).await;
    shop.get("/events").await.problem(503, "unavailable");
    buy(&shop, &[(2, 1)]).await;
    shop.shaky.set_down(false);
    stream.expect(5, json!({"book": 1, "stock": 10, "price_cents": 1999})).await;
    stream.expect(6, json!({"book": 2, "stock": 0, "price_cents": 1999})).await;
}

#[tokio::test]
async fn a_stream_ends_when_the_server_does() {
    let shop = shop().await;
    let mut stream = Stream::open(&shop, None).await;
    shop.stop().await;
    assert_eq!(stream.next().await, None);
    let mut rest = String::new();
    let _ = stream.lines.get_mut().read_to_string(&mut rest).await;
    assert_eq!(rest, "");
}

#[tokio::test]
async fn what_cannot_be_resumed_is_refused() {
    let shop = shop().await;
    for bad in ["x", "-1", "1.5", "18446744073709551616"] {
        shop.send("GET", "/events", &[("last-event-id", bad)], "").await.problem(400, "malformed");
    }
    shop.get("/events?after=1").await.problem(400, "malformed");
}

#[tokio::test]
async fn subscribers_are_limited_and_places_are_given_back() {
    let shop = shop().await;
    let max = bookstore_transport_http::api::SUBSCRIBERS_MAX;
    let opened = futures_util::future::join_all((0..max).map(|_| Stream::open(&shop, None))).await;
    let refused = shop.get("/events").await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    drop(opened);
    let again = async {
        while shop.send("HEAD", "/events", &[], "").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, again).await.expect("a place is given back");
}

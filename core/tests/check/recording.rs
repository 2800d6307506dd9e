//! Histories in files, and the recorder's limits.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Book, BookId, BookText, Cents, Contact, Error, Lines, Order, OrderAction, OrderId, OrderPage, OrderQuery,
    OrderService, Receipt, Result, Seq,
    check::{BookState, Call, History, ListedBook, Operation, Outcome, ReadError, Recorded, Recorder},
    decide::Level,
    fixtures::lines,
};
use std::sync::{Arc, Mutex};

use crate::fixture::{Shop, delta, key};

/// A call of every kind and every outcome.
fn everything() -> History {
    let mut shop = Shop::open();
    shop.buy((10, 11), 1, &[(1, 3), (2, 1)]);
    shop.buy((12, 13), 2, &[(2, 5)]);
    shop.cancel((14, 15), 1);
    shop.cancel((14, 15), 7);
    shop.info((16, 17), 1);
    shop.info((16, 17), 7);
    shop.read((18, 19), 1);
    shop.read((18, 19), 7);
    shop.amend((20, 21), 1, delta(-3), None);
    shop.amend((20, 21), 1, delta(3), Some(key(9)));
    shop.set((22, 23), 2, Some(150), Some(7));
    let page = vec![shop.shown(1), shop.shown(2)];
    shop.record((24, 25), Operation::Search { outcome: Outcome::Answered(page) });
    let page = vec![shop.order(1).expect("sold")];
    shop.record((24, 25), Operation::ReadOrders { outcome: Outcome::Answered(page) });
    for outcome in [Outcome::NotExecuted, Outcome::Unknown] {
        let call = shop.buy((26, 27), 3, &[(1, 1)]);
        shop.end(call, &outcome);
    }
    let lost = shop.info((28, u64::MAX), 1);
    shop.forget(lost);
    History { calls: shop.calls, unrecorded: 3 }
}

fn written(history: &History) -> Vec<u8> {
    let mut file = Vec::new();
    history.write(&mut file).expect("memory can be written");
    file
}

#[test]
fn what_was_written_is_read_back() {
    for history in [everything(), History::default()] {
        let file = written(&history);
        assert_eq!(History::read(&file[..]).expect("just written"), history);
        assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), history.calls.len() + 1);
    }
}

#[test]
fn a_line_is_a_call_that_people_can_read() {
    let (shop, _) = Shop::sold();
    let file = String::from_utf8(written(&shop.history())).expect("JSON is text");
    let line = concat!(
        r#"{"process":0,"server":"a","invoked":10,"completed":11,"operation":{"purchase":{"#,
        r#""order":"00000000-0000-0000-0000-000000000001","lines":[{"book":1,"quantity":3}],"outcome":{"answered":{"#,
        r#""order":{"id":"00000000-0000-0000-0000-000000000001","status":"placed","#,
        r#""lines":[{"book":1,"quantity":3,"unit_price_cents":100}],"total_cents":300,"#,
        r#""placed_at":"2023-11-14T22:13:20.002Z","seq":3,"version":3},"replayed":false}}}}}"#,
    );
    assert_eq!(file.lines().nth(2), Some(line));
    assert_eq!(file.lines().last(), Some(r#"{"calls":3,"unrecorded":0}"#));
}

#[test]
fn a_file_that_is_not_a_whole_history_is_refused() {
    let file = written(&everything());
    let ends: Vec<usize> = (0..file.len()).filter(|at| file[*at] == b'\n').map(|at| at + 1).collect();
    let before_last = ends[ends.len() - 2];
    for cut in [0, ends[0], before_last] {
        assert!(matches!(History::read(&file[..cut]), Err(ReadError::Cut { .. })), "cut at {cut}");
    }
    assert!(matches!(History::read(&file[..ends[3] + 10]), Err(ReadError::Line { line: 5, .. })));
    // A line less or more than the end says, or something after it.
    let without = [&file[..ends[0]], &file[ends[1]..]].concat();
    let doubled = [&file[..ends[0]], &file[..]].concat();
    let longer = [&file[..], b"\n"].concat();
    for file in [without, doubled, longer] {
        assert!(matches!(History::read(&file[..]), Err(ReadError::Cut { .. })));
    }
    assert!(matches!(History::read(&b"{}\n"[..]), Err(ReadError::Line { line: 1, .. })));
    let long = vec![b' '; usize::try_from(History::LINE_MAX).expect("small") + 1];
    assert!(matches!(History::read(&long[..]), Err(ReadError::TooLong { line: 1 })));
    let error = History::read(&file[..ends[0]]).expect_err("cut").to_string();
    assert_eq!(error, "the history is not complete: 1 calls were read, and the last line does not say so");
}

#[test]
fn histories_of_one_clock_are_one_history() {
    let mut history = everything();
    let (calls, other) = (history.calls.len(), everything());
    history.merge(other);
    assert_eq!((history.calls.len(), history.unrecorded), (2 * calls, 6));
}

#[test]
fn a_full_recorder_counts_what_it_leaves_out() {
    let recorder = Recorder::new(2);
    let server: Arc<str> = Arc::from("a");
    let read = || Operation::Info { book: BookId(1), outcome: Outcome::Unknown };
    let tickets: Vec<_> = (0..5).map(|process| recorder.begin(process, &server, read())).collect();
    for ticket in tickets {
        recorder.end(ticket, Operation::Info { book: BookId(1), outcome: Outcome::NotExecuted });
    }
    let history = recorder.history();
    assert_eq!((history.calls.len(), history.unrecorded), (2, 3));
    assert!(history.calls.iter().all(|call| call.completed.is_some()));
    assert_eq!(history.calls[1].process, 1);
}

#[test]
fn the_recorders_clock_counts_or_is_given() {
    let server: Arc<str> = Arc::from("a");
    let read = || Operation::Search { outcome: Outcome::Unknown };
    let times = |recorder: &Recorder| {
        let first = recorder.begin(0, &server, read());
        let second = recorder.begin(0, &server, read());
        recorder.end(second, read());
        recorder.end(first, read());
        let calls = recorder.history().calls;
        calls.iter().map(|call| (call.invoked, call.completed)).collect::<Vec<_>>()
    };
    assert_eq!(times(&Recorder::default()), [(0, Some(3)), (1, Some(2))]);
    let now = Arc::new(Mutex::new(100));
    let given = Recorder::with_clock(10, move || {
        *now.lock().expect("no code panics while it is locked") += 10;
        *now.lock().expect("no code panics while it is locked")
    });
    assert_eq!(times(&given), [(110, Some(140)), (120, Some(130))]);
}

/// Answers every purchase with the same error, and no other call at all.
struct Broken(Error);

#[async_trait]
impl OrderService for Broken {
    async fn purchase(&self, _: OrderId, _: Lines) -> Result<Receipt> {
        Err(self.0.clone())
    }
    async fn cancel(&self, _: OrderId) -> Result<Receipt> {
        std::future::pending().await
    }
    async fn change(&self, _: OrderId, _: OrderAction, _: Option<Actor>) -> Result<Receipt> {
        std::future::pending().await
    }
    async fn order(&self, _: OrderId) -> Result<Order> {
        std::future::pending().await
    }
    async fn orders(&self, _: OrderQuery) -> Result<OrderPage> {
        std::future::pending().await
    }
    async fn contact(&self, _: OrderId) -> Result<Option<Contact>> {
        std::future::pending().await
    }
}

async fn outcome_of(error: Error) -> Outcome<Receipt> {
    let recorder = Arc::new(Recorder::default());
    let service = Recorded::new(Arc::new(Broken(error.clone())), &recorder, "a");
    assert_eq!(service.purchase(key(1), lines(&[(1, 1)])).await, Err(error));
    match recorder.history().calls.remove(0).operation {
        Operation::Purchase { outcome, .. } => outcome,
        other => panic!("expected a purchase, not {other:?}"),
    }
}

#[tokio::test]
async fn an_error_is_a_refusal_or_not_executed_or_unknown() {
    let refusals = [
        Error::OutOfStock { book: BookId(1), available: 0, short: Vec::new() },
        Error::BookNotFound { book: BookId(1) },
        Error::OrderNotFound { order: key(1) },
        Error::OrderIdReused { order: key(1) },
        Error::PriceChanged { book: BookId(1), price_cents: Cents::ZERO },
        Error::VersionMismatch { book: BookId(1), version: Seq(1) },
        Error::VersionRequired,
    ];
    for error in refusals {
        assert_eq!(outcome_of(error.clone()).await, Outcome::Refused(error));
    }
    let not_executed = [
        Error::invalid("a", "b"),
        Error::malformed("a"),
        Error::Unauthorized { message: "a".into() },
        Error::Forbidden { message: "a".into() },
        Error::overloaded("a"),
        Error::unavailable("a"),
        Error::DeadlineExpired { message: "a".into() },
    ];
    for error in not_executed {
        assert_eq!(outcome_of(error).await, Outcome::NotExecuted);
    }
    assert_eq!(outcome_of(Error::unknown("a")).await, Outcome::Unknown);
}

#[tokio::test]
async fn a_call_that_never_returns_is_recorded() {
    let recorder = Arc::new(Recorder::default());
    let service = Recorded::new(Arc::new(Broken(Error::VersionRequired)), &recorder, "a").of_process(7);
    let cancel = service.cancel(key(1));
    tokio::select! {
        biased;
        _ = cancel => panic!("it never returns"),
        () = tokio::task::yield_now() => {}
    }
    let expected = Call {
        process: 7,
        server: Arc::from("a"),
        invoked: 0,
        completed: None,
        operation: Operation::Cancel { order: key(1), outcome: Outcome::Unknown },
    };
    assert_eq!(recorder.history().calls, [expected]);
}

#[test]
fn a_book_is_shown_without_its_text() {
    let text = BookText { title: "t".into(), ..BookText::default() };
    let book = Book {
        id: BookId(3),
        text: text.into(),
        price_cents: Cents::ZERO,
        stock: 4,
        version: Seq(5),
        text_version: Seq(2),
        on_sale: false,
    };
    let level = Level::shown(&book);
    assert_eq!((level.text_version, level.on_sale), (Seq(2), false));
    let shown = BookState::new(BookId(3), level);
    assert_eq!(BookState::from(&book), shown);
    assert_eq!(
        serde_json::to_string(&ListedBook { price_cents: Cents::ZERO, stock: 1 }).expect("JSON"),
        r#"{"price_cents":0,"stock":1}"#
    );
}

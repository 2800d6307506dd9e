//! The SQL of `docs/operating.md`, over a store with a known history.

use bookstore_core::{
    Amend, BookId, BookText, Catalog, CatalogOptions, CatalogService as _, Cents, Lines, ManualClock, OrderAction,
    OrderId, Timestamp,
    fixtures::{book, lines},
    store::sqlite::{self, SqliteOptions},
};
use rusqlite::{Connection, OpenFlags, types::Value};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

const DAY: i64 = 86_400_000;

/// The statements of the document, in its order.
fn statements() -> Vec<&'static str> {
    let document = include_str!("../../../docs/operating.md");
    document.split("```sql\n").skip(1).filter_map(|block| block.split("```").next()).collect()
}

fn answer(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a store");
    let mut statement = connection.prepare(sql).expect("a statement");
    let columns = statement.column_count();
    let cell = |value| match value {
        Value::Null => "-".to_owned(),
        Value::Text(text) if text.is_empty() => "-".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    let rows =
        statement.query_map([], |row| (0..columns).map(|at| row.get(at).map(cell)).collect::<Result<Vec<_>, _>>());
    rows.expect("an answer").map(|row| row.expect("a row").join(" | ")).collect()
}

fn id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

/// Three days of a shop. Returns when its store is closed.
async fn live(path: &Path) {
    let clock = Arc::new(ManualClock::new(Timestamp(20_000 * DAY)));
    let (store, reader) = sqlite::open(path, clock.as_ref(), SqliteOptions::default()).expect("a store");
    let options = CatalogOptions::default();
    let catalog = Catalog::start(store, reader.clone(), reader, clock.clone(), options).expect("a ledger");
    let office = || Some("office".parse().expect("a name"));
    let change = async |order, action, by| catalog.change_order(order, action, by).await.expect("it can be done");
    let hold = |lines, seconds| OrderAction::Hold {
        lines,
        seconds,
        reference: Some("payment 17".parse().expect("a reference")),
        contact: None,
    };
    let amend = async |change| catalog.amend(BookId(1), change, Some(id(99)), office()).await;

    catalog.add_books(vec![book("Ledgers", 10), book("Queues", 5)], office()).await.expect("good books");
    catalog.sell(id(1), lines(&[(1, 2)])).await.expect("enough");
    change(id(2), hold(lines(&[(1, 1)]), 86_400), office()).await;

    clock.set(Timestamp(20_001 * DAY - 1));
    change(id(2), OrderAction::Confirm, office()).await;
    clock.set(Timestamp(20_001 * DAY));
    catalog.sell(id(3), lines(&[(1, 1), (2, 2)])).await.expect("enough");
    catalog.release(id(1)).await.expect("it was sold");
    change(id(4), hold(lines(&[(1, 3)]), 60), office()).await;
    change(id(5), hold(lines(&[(1, 4)]), 60), office()).await;
    change(id(5), OrderAction::Cancel, None).await;

    clock.set(Timestamp(20_002 * DAY));
    change(id(3), OrderAction::Return { lines: lines(&[(2, 1)]), key: id(6) }, office()).await;
    amend(Amend::StockDelta { delta: 5 }).await.expect("it fits");
    let seen = catalog.info(BookId(1)).await.expect("it is there");
    let price_cents = Some(Cents::new(2000).expect("an amount"));
    let set = Amend::Set { price_cents, stock: Some(20), version: Some(seen.version) };
    catalog.amend(BookId(1), set, None, office()).await.expect("nobody changed it");
    let text = BookText { title: "Ledgers: a start".into(), ..BookText::from(&seen.text) };
    let revise = Amend::Revise { text: Box::new(text), text_version: Some(seen.text_version) };
    catalog.amend(BookId(1), revise, None, office()).await.expect("nobody changed it");
    catalog.sell(id(7), Lines::one(BookId(1), 1).expect("a line")).await.expect("enough");
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_of_the_document_answer_rightly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    live(&path).await;
    let statements = statements();
    let [sales, stock, books] = statements[..] else { panic!("{} statements", statements.len()) };
    assert_eq!(
        answer(&path, sales),
        [
            // Two were sold, and one that was held before midnight was confirmed.
            "2024-10-04 | 3 | 0 | 3000",
            // Three were sold, and the first two came back. What was held and cancelled was never sold.
            "2024-10-05 | 3 | 2 | 1000",
            // One at the new price; one came back at the old one.
            "2024-10-06 | 1 | 1 | 1000",
        ]
    );
    let id = |n: u32| format!("{n:032}");
    let expected = [
        "1 | 2024-10-04 00:00:00 | listed | 10 | 10 | - | - | office".to_owned(),
        format!("3 | 2024-10-04 00:00:00 | sold | -2 | 8 | {} | - | -", id(1)),
        format!("4 | 2024-10-04 00:00:00 | held | -1 | 7 | {} | payment 17 | office", id(2)),
        format!("6 | 2024-10-05 00:00:00 | sold | -1 | 6 | {} | - | -", id(3)),
        format!("7 | 2024-10-05 00:00:00 | came back | 2 | 8 | {} | - | -", id(1)),
        format!("8 | 2024-10-05 00:00:00 | held | -3 | 5 | {} | payment 17 | office", id(4)),
        format!("9 | 2024-10-05 00:00:00 | held | -4 | 1 | {} | payment 17 | office", id(5)),
        format!("10 | 2024-10-05 00:00:00 | came back | 4 | 5 | {} | - | -", id(5)),
        format!("11 | 2024-10-06 00:00:00 | hold lapsed | 3 | 8 | {} | - | -", id(4)),
        format!("13 | 2024-10-06 00:00:00 | restocked | 5 | 13 | {} | - | office", format_args!("{:032x}", 99)),
        "14 | 2024-10-06 00:00:00 | set | 7 | 20 | - | - | office".to_owned(),
        format!("16 | 2024-10-06 00:00:00 | sold | -1 | 19 | {} | - | -", id(7)),
    ];
    assert_eq!(answer(&path, stock), expected);
    assert_eq!(answer(&path, books), ["1 | Ledgers: a start | Anna Author", "2 | Queues | Anna Author"]);
}

//! What is between a catalog and its database fails, and the database itself: what was acknowledged is in the ledger, once.

use bookstore_core::{
    BookId, CatalogOptions, Clock as _, Error, Executed, Lines, OrderId, Receipt, Result, SystemClock,
    conformance::{Deployment, audit},
    store::postgres::{self, PostgresOptions},
    writer::WriterLimits,
};
use std::{sync::Arc, time::Duration};

use super::{
    open,
    proxy::{Fault, Proxy},
    server::{Database, Server, database},
};
use crate::fixture::{book, deployment};

fn options() -> CatalogOptions {
    let limits = WriterLimits { recover_after: Duration::ZERO, ..WriterLimits::default() };
    CatalogOptions { limits, ..CatalogOptions::default() }
}

async fn start(url: &str) -> Deployment {
    let short = PostgresOptions {
        write_timeout: Duration::from_millis(700),
        resolve_timeout: Duration::from_secs(2),
        ..PostgresOptions::default()
    };
    let opened = postgres::open(&url.parse().expect("a URL"), Arc::new(SystemClock), short).await;
    let (store, reader) = opened.expect("the database can be opened");
    deployment(store, reader, options())
}

async fn shop(url: &str) -> Deployment {
    let d = start(url).await;
    d.catalog.add_books(vec![book("A book", 1000)], None).await.expect("added");
    d
}

async fn buy(d: &Deployment, id: OrderId) -> Result<Receipt> {
    d.orders.purchase(id, Lines::one(BookId(1), 1).expect("a good line")).await
}

/// A purchase after which the statement is prepared: a fault meanwhile would not be one of the append.
async fn prepared(d: &Deployment) -> (OrderId, Result<Receipt>) {
    let id = SystemClock.new_order_id();
    (id, Ok(buy(d, id).await.expect("sold")))
}

/// Asserts that the ledger holds what was acknowledged and nothing that was refused, then buys each once.
async fn settle(d: &Deployment, database: &Database, told: &[(OrderId, Result<Receipt>)]) {
    for (id, outcome) in told {
        let count = database.sql(&format!("SELECT count(*) FROM bookstore.entry WHERE key = '{id}'"));
        match outcome {
            Ok(_) => assert_eq!(count, "1", "what was acknowledged is there"),
            Err(error) if error.executed() == Executed::No => assert_eq!(count, "0", "{error:?}"),
            Err(_) => {}
        }
        let mut receipt = buy(d, *id).await;
        for _ in 0..50 {
            if receipt.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            receipt = buy(d, *id).await;
        }
        assert_eq!(receipt.expect("it works again").replayed, count == "1");
    }
    let stock = d.catalog.info(BookId(1)).await.expect("added").stock;
    assert_eq!(stock as usize, 1000 - told.len(), "each was bought once");
    assert_eq!(audit(d).await.sales, told.len() as u64);
}

/// The next catalog takes the ledger over; the one before refuses everything, as not executed, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_was_replaced_writes_nothing_any_more() {
    let Some(database) = database() else { return };
    let first = shop(&database.url()).await;
    let sold = SystemClock.new_order_id();
    let receipt = buy(&first, sold).await.expect("sold");
    let second = start(&database.url()).await;
    // A refusal and a replay rest on what the first one knows: neither is told.
    let (unknown, late) = (SystemClock.new_order_id(), SystemClock.new_order_id());
    let refused = [
        first.orders.cancel(unknown).await.map(drop),
        buy(&first, sold).await.map(drop),
        buy(&first, late).await.map(drop),
        first.catalog.add_books(vec![book("Another", 1)], None).await.map(drop),
        buy(&first, late).await.map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("it was replaced");
        assert_eq!(error.executed(), Executed::No);
        assert!(error.to_string().contains("another catalog has taken over"), "{error}");
    }
    assert_eq!(buy(&second, sold).await.map(|receipt| receipt.order), Ok(receipt.order));
    settle(
        &second,
        &database,
        &[(sold, Err(Error::unknown("asked again"))), (late, Err(Error::unavailable("refused")))],
    )
    .await;
    assert_eq!(database.sql("SELECT epoch FROM bookstore.ledger"), "2", "the first one did not take it back");
}

/// An append that was decided before the ledger was claimed by another one is not in the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_of_an_earlier_epoch_is_fenced() {
    let Some(database) = database() else { return };
    let d = shop(&database.url()).await;
    database.sql("UPDATE bookstore.ledger SET epoch = epoch + 1, leader = gen_random_uuid()");
    let id = SystemClock.new_order_id();
    let error = buy(&d, id).await.expect_err("it was fenced");
    assert_eq!(error.executed(), Executed::No);
    assert!(error.to_string().contains("another catalog has taken over"), "{error}");
    assert_eq!(database.sql("SELECT seq FROM bookstore.ledger"), "1");
    assert_eq!(database.sql("SELECT count(*) FROM bookstore.entry"), "1");
}

/// Whatever is lost on the way, the ledger is asked, and the buyer hears the truth at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_around_an_append_leaves_no_doubt() {
    let Some(database) = database() else { return };
    let proxy = Proxy::to(database.server.port()).await;
    let d = shop(&database.server.url_at(proxy.port, &database.name)).await;
    let mut told = Vec::new();
    for fault in [Fault::CutAnswer, Fault::CutRequest, Fault::LoseAnswer, Fault::LoseRequest, Fault::CutAnswer] {
        told.push(prepared(&d).await);
        let before: u32 = database.sql("SELECT epoch FROM bookstore.ledger").parse().expect("a number");
        proxy.fail_next(fault);
        let id = SystemClock.new_order_id();
        let outcome = buy(&d, id).await;
        assert!(!proxy.is_armed(), "{fault:?} struck");
        assert_eq!(outcome.as_ref().map(|receipt| receipt.replayed), Ok(false), "{fault:?}");
        assert_eq!(database.sql("SELECT epoch FROM bookstore.ledger"), (before + 1).to_string(), "it was claimed");
        told.push((id, outcome));
    }
    settle(&d, &database, &told).await;
}

/// While the ledger cannot be asked either, the outcome is unknown, and the same call tells it later.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_nobody_can_be_asked_about_is_unknown() {
    let Some(database) = database() else { return };
    let proxy = Proxy::to(database.server.port()).await;
    let d = shop(&database.server.url_at(proxy.port, &database.name)).await;
    let mut told = Vec::new();
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        told.push(prepared(&d).await);
        proxy.fail_next(fault);
        let id = SystemClock.new_order_id();
        let buying = tokio::spawn({
            let d = d.clone();
            async move { buy(&d, id).await }
        });
        while proxy.is_armed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.close(true);
        let outcome = buying.await.expect("no panic");
        assert!(matches!(outcome, Err(Error::OutcomeUnknown { order: Some(of), .. }) if of == id), "{outcome:?}");
        let meanwhile = buy(&d, SystemClock.new_order_id()).await.expect_err("nothing can be written");
        assert_eq!(meanwhile.executed(), Executed::No);
        proxy.close(false);
        // Some command has the store opened again; what was lost on its way is not there, and what arrived is.
        while d.catalog.add_books(vec![book("Another book", 1)], None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(d.orders.order(id).await.is_ok(), fault == Fault::LoseAnswer, "{fault:?}");
        told.push((id, outcome));
    }
    settle(&d, &database, &told).await;
}

/// Somebody else takes over between an append and its answer: the entries tell whether it happened.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_replaced_during_an_append_learns_what_became_of_it() {
    for (fault, arrives) in [(Fault::LoseAnswer, true), (Fault::LoseRequest, false)] {
        let Some(database) = database() else { return };
        let proxy = Proxy::to(database.server.port()).await;
        let first = shop(&database.server.url_at(proxy.port, &database.name)).await;
        let before = prepared(&first).await;
        proxy.fail_next(fault);
        let id = SystemClock.new_order_id();
        let buying = tokio::spawn({
            let first = first.clone();
            async move { buy(&first, id).await }
        });
        while proxy.is_armed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Long enough for what arrives to be there, and shorter than the writer waits.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let second = start(&database.url()).await;
        let other = SystemClock.new_order_id();
        buy(&second, other).await.expect("sold by the second one");
        let outcome = buying.await.expect("no panic");
        match arrives {
            true => assert_eq!(outcome.as_ref().map(|receipt| receipt.replayed), Ok(false)),
            false => assert_eq!(outcome.as_ref().map_err(Error::executed).err(), Some(Executed::No), "{outcome:?}"),
        }
        assert_eq!(buy(&first, SystemClock.new_order_id()).await.map_err(|error| error.executed()), Err(Executed::No));
        settle(&second, &database, &[before, (id, outcome), (other, Err(Error::unknown("sold above")))]).await;
    }
}

/// Somebody has written into the tables by hand: nothing is appended on top of it, and nothing is in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_there_already_refuses_an_append() {
    let Some(database) = database() else { return };
    let d = shop(&database.url()).await;
    let id = SystemClock.new_order_id();
    for (seq, key) in [("2", "NULL".to_owned()), ("1000", format!("'{id}'"))] {
        let strange =
            format!("INSERT INTO bookstore.entry (seq, at_ms, kind, key, changes) VALUES ({seq}, 0, 1, {key}, '[]')");
        database.sql(&strange);
        let error = buy(&d, id).await.expect_err("it is there already");
        assert_eq!(error.executed(), Executed::No, "{error:?}");
        assert_eq!(database.sql("SELECT seq FROM bookstore.ledger"), "1");
        database.sql(&format!("DELETE FROM bookstore.entry WHERE seq = {seq}"));
    }
    settle(&d, &database, &[(id, Err(Error::unavailable("refused above")))]).await;
}

/// A lock that is held for longer than the server waits: the append certainly did nothing, and is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_waits_for_a_lock_and_is_sent_again() {
    let Some(database) = database() else { return };
    let (store, reader) = open(&database.url()).await.expect("opened");
    let d = deployment(store, reader, options());
    d.catalog.add_books(vec![book("A book", 1000)], None).await.expect("added");
    let held = std::thread::scope(|threads| {
        let lock = "BEGIN; SELECT pg_sleep(3) FROM bookstore.ledger FOR UPDATE; COMMIT";
        let holder = threads.spawn(|| database.sql(lock));
        while database.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "0" {
            std::thread::sleep(Duration::from_millis(5));
        }
        let buying = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(async { (SystemClock.new_order_id(), buy(&d, SystemClock.new_order_id()).await) })
        });
        holder.join().expect("no panic");
        buying
    });
    assert_eq!(held.1.as_ref().map(|receipt| receipt.replayed), Ok(false));
    assert_eq!(database.sql("SELECT seq, epoch FROM bookstore.ledger"), "2|1", "without another claim");
}

/// A commit whose wait for a standby was cancelled is there for all to see, and is not replicated: nobody may be told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_not_replicated_is_unknown() {
    let Some(server) = Server::start(&["fsync=off"]) else { return };
    let database = server.database();
    let d = shop(&database.url()).await;
    let before = prepared(&d).await;
    let wait_for = |standby: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{standby}'"));
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    wait_for("nobody");
    let id = SystemClock.new_order_id();
    let buying = tokio::spawn({
        let d = d.clone();
        async move { buy(&d, id).await }
    });
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let cancelled = tokio::task::block_in_place(|| {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(600) {
            if database.sql(cancel) == "1" {
                return true;
            }
        }
        false
    });
    assert!(cancelled, "it waits for a standby that there is not");
    let outcome = buying.await.expect("no panic");
    assert!(matches!(outcome, Err(Error::OutcomeUnknown { order: Some(of), .. }) if of == id), "{outcome:?}");
    assert_eq!(
        database.sql(&format!("SELECT count(*) FROM bookstore.entry WHERE key = '{id}'")),
        "1",
        "all can see it"
    );
    let replay = buy(&d, id).await.expect_err("it may be lost with the primary");
    assert_eq!(replay.executed(), Executed::No, "{replay:?}");
    wait_for("");
    settle(&d, &database, &[before, (id, outcome)]).await;
}

/// Buyers while `harm` is done, again and again; each is told the truth.
async fn among_buyers(d: &Deployment, database: &Database, mut harm: impl FnMut(u32)) {
    let mut told = Vec::new();
    for round in 0..4 {
        let buyers: Vec<_> = (0..40)
            .map(|n| {
                let (d, id) = (d.clone(), SystemClock.new_order_id());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(n * 3)).await;
                    (id, buy(&d, id).await)
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(60)).await;
        tokio::task::block_in_place(|| harm(round));
        for buyer in buyers {
            told.push(buyer.await.expect("no panic"));
        }
    }
    let sold = told.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    assert!(sold > 0, "{told:?}");
    settle(d, database, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_by_the_operator_lose_nothing() {
    let Some(database) = database() else { return };
    let d = shop(&database.url()).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut ended = 0;
    among_buyers(&d, &database, |_| {
        ended += database.sql(end).parse::<u32>().expect("a number");
    })
    .await;
    assert!(ended >= 4, "each time the writer's at least");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_loses_nothing() {
    // With its disk: what is killed here has flushed what it acknowledged.
    let Some(server) = Server::start(&[]) else { return };
    let database = server.database();
    let d = shop(&database.url()).await;
    among_buyers(&d, &database, |round| {
        server.stop(round % 2 == 0);
        server.run();
    })
    .await;
    drop(d);
}

/// A start does not read the whole ledger: the stock snapshot is written when a catalog is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_leaves_nothing_to_replay_and_nobody_in_charge() {
    let Some(database) = database() else { return };
    let (store, reader) = open(&database.url()).await.expect("opened");
    let catalog = bookstore_core::Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options())
        .expect("started");
    use bookstore_core::CatalogService as _;
    catalog.add_books(vec![book("A book", 5)], None).await.expect("added");
    catalog.sell(SystemClock.new_order_id(), Lines::one(BookId(1), 2).expect("a good line")).await.expect("sold");
    assert_eq!(database.sql("SELECT applied, leader IS NULL FROM bookstore.ledger"), "0|f");
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
    assert_eq!(database.sql("SELECT applied, leader IS NULL FROM bookstore.ledger"), "2|t");
    let d = start(&database.url()).await;
    assert_eq!(d.catalog.info(BookId(1)).await.map(|book| book.stock), Ok(3));
    assert_eq!(database.sql("SELECT epoch FROM bookstore.ledger"), "2");
}

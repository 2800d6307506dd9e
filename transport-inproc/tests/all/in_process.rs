//! The limit of calls and the deadline.

use bookstore_core::{
    BookId, CatalogService as _, Error, OrderId, OrderService as _, Seq,
    conformance::{self, Deployment},
    decide::{Batch, State},
    fixtures::{any_book, lines},
    store::{AppendError, LedgerStore, Recovered, StoreError, memory::MemoryStore},
    writer::Execution,
};
use bookstore_transport_inproc::InProcess;
use std::{sync::Arc, sync::mpsc, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{catalog, monolith};

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise() {
    conformance::run_all("in process", async |_| {
        let (catalog, orders) = monolith(catalog(|store| store, Execution::Threads));
        Deployment::new(Arc::new(InProcess::new(catalog)), Arc::new(InProcess::new(orders)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise_under_a_deadline_and_retries() {
    conformance::run_all("in process, within 60 s, each call twice", async |_| {
        let (catalog, orders) = monolith(catalog(|store| store, Execution::Threads));
        let minute = Duration::from_secs(60);
        let catalog = InProcess::new(catalog).within(minute).at_most(2000);
        Deployment::new(Arc::new(catalog), Arc::new(InProcess::new(orders).within(minute))).repeated()
    })
    .await;
}

/// A store whose appends wait for a message, or until the sender is dropped.
struct Gated {
    store: MemoryStore,
    gate: mpsc::Receiver<()>,
}

impl LedgerStore for Gated {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        self.store.recover().await
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        self.store.load(keys, identities, state).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.store.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        // An error means that the sender was dropped.
        let _ = self.gate.recv();
        self.store.append(batch, state).await
    }
}

#[tokio::test]
async fn a_purchase_past_its_deadline_is_unknown_and_happens_all_the_same() {
    let (open, gate) = mpsc::channel();
    open.send(()).expect("the gate is there");
    let (catalog, orders) = monolith(catalog(|store| Gated { store, gate }, Execution::Threads));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    let hasty = InProcess::new(Arc::clone(&orders)).within(Duration::from_millis(50));
    let late = hasty.purchase(order(1), lines(&[(1, 1)])).await;
    assert!(matches!(late, Err(Error::OutcomeUnknown { .. })), "{late:?}");
    drop(open);
    let retried =
        InProcess::new(orders).purchase(order(1), lines(&[(1, 1)])).await.expect("a retry says what became of it");
    assert!(retried.replayed);
    assert_eq!(catalog.info(BookId(1)).await.map(|book| book.stock), Ok(4));
}

#[tokio::test]
async fn a_read_past_its_deadline_was_not_executed() {
    let (catalog, _) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    let at = Instant::now() + Duration::from_millis(50);
    let late = InProcess::new(Arc::clone(&catalog)).until(at).entries(Seq(1), 1, Duration::from_secs(20)).await;
    assert!(matches!(late, Err(Error::DeadlineExpired { .. })), "{late:?}");
    // A deadline per call leaves a long poll the time it asked for.
    let hasty = InProcess::new(catalog).within(Duration::from_millis(200));
    let page = hasty.entries(Seq(1), 1, Duration::from_millis(300)).await.expect("nothing is an answer");
    assert!(page.entries.is_empty());
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_does_not_begin() {
    let (catalog, orders) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    let late = InProcess::new(Arc::clone(&orders)).until(Instant::now()).purchase(order(1), lines(&[(1, 1)])).await;
    assert!(matches!(late, Err(Error::DeadlineExpired { .. })), "{late:?}");
    let never = InProcess::new(orders).within(Duration::ZERO).order(order(1)).await;
    assert!(matches!(never, Err(Error::DeadlineExpired { .. })), "{never:?}");
    assert_eq!(catalog.info(BookId(1)).await.map(|book| book.stock), Ok(5));
}

#[tokio::test]
async fn too_many_calls_are_refused_until_one_has_ended() {
    let (catalog, _) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    let bounded = InProcess::new(catalog).at_most(2);
    let long_poll =
        |catalog: InProcess<_>| tokio::spawn(async move { catalog.entries(Seq(1), 1, Duration::from_secs(20)).await });
    let (one, other) = (long_poll(bounded.clone()), long_poll(bounded.clone()));
    tokio::task::yield_now().await;
    for _ in 0..3 {
        let refused = bounded.info(BookId(1)).await;
        assert!(matches!(refused, Err(Error::Overloaded { .. })), "{refused:?}");
    }
    one.abort();
    assert!(one.await.expect_err("aborted").is_cancelled());
    assert_eq!(bounded.info(BookId(1)).await.map(|book| book.stock), Ok(5), "a cancelled call makes room");
    other.abort();
}

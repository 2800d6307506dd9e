//! What `/readyz` of each server answers.

use bookstore_core::{BookId, Catalog, CatalogService, Clock as _, Error, OrderService, SystemClock};
use bookstore_transport_http::server::{Readiness, ReadyCheck};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::watch;

use super::Task;

/// How often a ledger that cannot be written is tried again by a server that is not ready, and so may get no calls.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// For servers that hold the ledger: ready while it can be written. A load balancer sends no calls to a server that is not ready,
/// so the task has the store opened again without any.
pub(super) fn ready_while_writable(catalog: &Arc<Catalog>) -> (ReadyCheck, Task) {
    let writable = catalog.writable();
    let task = tokio::spawn(reopen_when_failed(writable.clone(), Arc::downgrade(catalog)));
    let superseded = Arc::downgrade(catalog);
    let check = move || match *writable.borrow() {
        true => Readiness::Ready,
        false if superseded.upgrade().is_some_and(|catalog| catalog.is_superseded()) => Readiness::NotReady(
            "the ledger goes on elsewhere under a newer timeline, so nothing is sold here any more; books can be read"
                .into(),
        ),
        false => {
            Readiness::NotReady("the ledger cannot be written, so nothing can be bought; books can be read".into())
        }
    };
    (Arc::new(check), Task(task))
}

async fn reopen_when_failed(mut writable: watch::Receiver<bool>, catalog: Weak<Catalog>) {
    while writable.wait_for(|writable| !*writable).await.is_ok() {
        tokio::time::sleep(REOPEN_EVERY).await;
        let Some(catalog) = catalog.upgrade() else { return };
        catalog.reopen().await;
    }
}

/// Ready once the copy has caught up for the first time, unless the ledger has another history than the copy. It stays ready when the
/// catalog cannot be reached later: orders can still be read.
pub(super) fn ready_once_caught_up(
    mut caught_up: watch::Receiver<bool>,
    refused: watch::Receiver<Option<String>>,
) -> (ReadyCheck, Task) {
    let (send, ready) = watch::channel(false);
    let told = refused.clone();
    let task = tokio::spawn(async move {
        let once_ready = async {
            if caught_up.wait_for(|caught_up| *caught_up).await.is_ok() {
                send.send_replace(true);
            }
        };
        tokio::join!(once_ready, tell_refusals(told));
    });
    let check = move || match (*ready.borrow(), refused.borrow().clone()) {
        (_, Some(why)) => Readiness::NotReady(why),
        (true, None) => Readiness::Ready,
        (false, None) => Readiness::NotReady("this server's copy has not caught up with the ledger yet".into()),
    };
    (Arc::new(check), Task(task))
}

/// Tells the operator why nothing is sold, each time that begins.
async fn tell_refusals(mut refused: watch::Receiver<Option<String>>) {
    while refused.changed().await.is_ok() {
        if let Some(why) = &*refused.borrow_and_update() {
            tracing::error!("nothing is sold: {why}");
        }
    }
}

/// How often a frontend checks the servers behind it.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Ready while the catalog server and an order server answer.
pub(super) fn ready_while_reachable(
    catalog: Arc<dyn CatalogService>,
    orders: Arc<dyn OrderService>,
) -> (ReadyCheck, Task) {
    let (send, ready) = watch::channel(Readiness::NotReady("the servers behind this one were not asked yet".into()));
    let task = tokio::spawn(async move {
        loop {
            send.send_replace(reachable(catalog.as_ref(), orders.as_ref()).await);
            tokio::time::sleep(PROBE_EVERY).await;
        }
    });
    (Arc::new(move || ready.borrow().clone()), Task(task))
}

/// Asks for a book and an order that do not exist: a server that says so is reachable, and so is what it depends on.
async fn reachable(catalog: &dyn CatalogService, orders: &dyn OrderService) -> Readiness {
    let (book, order) = tokio::join!(catalog.info(BookId(0)), orders.order(SystemClock.new_order_id()));
    match (book, order) {
        (Err(error), _) if !matches!(error, Error::BookNotFound { .. }) => {
            Readiness::NotReady(format!("the catalog server: {error}"))
        }
        (_, Err(error)) if !matches!(error, Error::OrderNotFound { .. }) => {
            Readiness::NotReady(format!("the order servers: {error}"))
        }
        _ => Readiness::Ready,
    }
}

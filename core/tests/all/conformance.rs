//! The conformance suite over the stores of this crate.

use bookstore_core::{
    CatalogOptions, SystemClock,
    conformance::{Deployment, run_all},
    orders::Ack,
    store::memory,
};
use std::{sync::Arc, time::Duration};

use crate::fixture::{deployment, monolith, with_copy};

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_every_promise() {
    run_all("memory", async |_| {
        let (store, reader) = memory::open(&SystemClock);
        deployment(store, reader, CatalogOptions::default())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_every_promise_under_retries() {
    run_all("memory, each call twice", async |_| {
        let (store, reader) = memory::open(&SystemClock);
        deployment(store, reader, CatalogOptions::default()).repeated()
    })
    .await;
}

#[cfg(feature = "search")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_with_an_index_keeps_every_promise() {
    run_all("memory, index", async |_| {
        let (store, reader) = memory::open(&SystemClock);
        crate::fixture::indexed(store, reader, None)
    })
    .await;
}

async fn memory_with_copy(ack: Ack) -> Deployment {
    let (store, reader) = memory::open(&SystemClock);
    let (catalog, _) = monolith(store, reader, CatalogOptions::default());
    let orders = with_copy(Arc::clone(&catalog), Arc::new(memory::MemoryCopy::new()), ack).await;
    Deployment::new(catalog, orders)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_server_with_a_copy_keeps_every_promise() {
    run_all("memory, copy", async |_| memory_with_copy(Ack::Ledger).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_server_that_waits_for_its_copy_keeps_every_promise() {
    let ack = Ack::Copied { wait: Duration::from_secs(10) };
    run_all("memory, copied, each call twice", async |_| memory_with_copy(ack).await.repeated()).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use bookstore_core::{
        CatalogOptions, SystemClock,
        conformance::{Deployment, run_all},
        store::sqlite::{self, SqliteOptions},
    };

    use crate::fixture::deployment;

    fn fresh() -> Deployment {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let opened = sqlite::open(&dir.path().join("bookstore.db"), &SystemClock, SqliteOptions::default());
        let (store, reader) = opened.expect("a new file can be opened");
        deployment(store, reader, CatalogOptions::default()).keep(dir)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite_keeps_every_promise() {
        run_all("sqlite", async |_| fresh()).await;
    }

    #[cfg(feature = "search")]
    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite_with_an_index_keeps_every_promise() {
        run_all("sqlite, index", async |_| {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let opened = sqlite::open(&dir.path().join("shop.db"), &SystemClock, SqliteOptions::default());
            let (store, reader) = opened.expect("a new file can be opened");
            crate::fixture::indexed(store, reader, Some(&dir.path().join("shop.db.search"))).keep(dir)
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite_keeps_every_promise_under_retries() {
        run_all("sqlite, each call twice", async |_| fresh().repeated()).await;
    }
}

#[cfg(all(unix, feature = "postgres"))]
mod postgres {
    use bookstore_core::{CatalogOptions, conformance::run_all};

    use crate::{
        fixture::deployment,
        postgres::{open, server},
    };

    async fn fresh(server: &std::sync::Arc<server::Server>) -> bookstore_core::conformance::Deployment {
        let database = server.database();
        let (store, reader) = open(&database.url()).await.expect("a new database can be opened");
        deployment(store, reader, CatalogOptions::default()).keep(database)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_keeps_every_promise() {
        let Some(server) = server::shared() else { return };
        run_all("postgres", async |_| fresh(&server).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_keeps_every_promise_under_retries() {
        let Some(server) = server::shared() else { return };
        run_all("postgres, each call twice", async |_| fresh(&server).await.repeated()).await;
    }

    #[cfg(feature = "search")]
    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_with_an_index_keeps_every_promise() {
        let Some(server) = server::shared() else { return };
        run_all("postgres, index", async |_| {
            let database = server.database();
            let (store, reader) = open(&database.url()).await.expect("a new database can be opened");
            crate::fixture::indexed(store, reader, None).keep(database)
        })
        .await;
    }
}

//! A shop through its public interface keeps the promises of both services.

use crate::support::{ID, Running, TOKEN, book, shop, start, start_with};
use bookstore_core::{
    CatalogService, Error, Lines, OrderId, OrderQuery, OrderService, Query, Seq, TopicQuery,
    conformance::{self, Deployment},
};
use bookstore_transport_http::{
    api::RemoteShop,
    client::{Client, ClientOptions},
    token::{AccessToken, NamedToken, Role, Tokens},
};
use std::{sync::Arc, time::Duration};

fn remote(shop: &Running, token: Option<&str>) -> RemoteShop {
    let token = token.map(|token| AccessToken::new(token).unwrap());
    RemoteShop::new(Client::http(&[shop.url()], ClientOptions { token, ..ClientOptions::default() }).unwrap())
}

async fn deployment(_case: &str) -> Deployment {
    // The name that the cases go by; buyers hold for themselves, too.
    let shop =
        start_with(Tokens::new([NamedToken::new("office", Role::Admin, &AccessToken::new(TOKEN).unwrap()).unwrap()]))
            .await;
    let remote = Arc::new(remote(&shop, Some(TOKEN)));
    Deployment::new(remote.clone(), remote).keep(shop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    conformance::run_all("public interface", deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_when_every_keyed_call_is_sent_twice() {
    conformance::run_all("public interface, twice", async |case: &str| deployment(case).await.repeated()).await;
}

#[tokio::test]
async fn without_a_token_a_buyer_can_do_all_that_buyers_do() {
    let shop = shop().await;
    let remote = remote(&shop, None);
    let id: OrderId = ID.parse().unwrap();
    let lines = Lines::one(bookstore_core::BookId(1), 2).unwrap();
    assert_eq!(remote.search(Query::topic("distributed systems")).await.unwrap().books.len(), 2);
    assert_eq!(remote.topics(TopicQuery::default()).await.unwrap().topics.len(), 2);
    assert_eq!(remote.currency().await.unwrap().code(), "USD");
    assert!(!remote.purchase(id, lines.clone()).await.unwrap().replayed);
    assert!(remote.purchase(id, lines).await.unwrap().replayed);
    assert_eq!(remote.order(id).await.unwrap().total_cents.get(), 3998);
    assert!(!remote.cancel(id).await.unwrap().replayed);
    assert!(remote.cancel(id).await.unwrap().replayed);

    let refused = |outcome: Error| assert!(matches!(outcome, Error::Unauthorized { .. }), "{outcome:?}");
    refused(remote.add_books(vec![book("a", "b", 1)], None).await.unwrap_err());
    refused(remote.entries(Seq(0), 1, Duration::ZERO).await.unwrap_err());
    refused(remote.orders(OrderQuery::default()).await.unwrap_err());
}

#[tokio::test]
async fn where_admin_is_off_the_answer_says_so() {
    let shop = start(None).await;
    let error = remote(&shop, Some(TOKEN)).entries(Seq(0), 1, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("--admin-token-file"), "{error}");
}

#[tokio::test]
async fn a_shop_that_is_gone_executed_nothing() {
    let shop = shop().await;
    let remote = remote(&shop, None);
    shop.stop().await;
    let outcome = remote.purchase(ID.parse().unwrap(), Lines::one(bookstore_core::BookId(1), 1).unwrap()).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
}

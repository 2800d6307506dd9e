//! A cache that does not know where in the ledger it is keeps nothing, and answers that may be from elsewhere are not kept.

use bookstore_core::{CatalogService as _, Change, Entries, Error, LedgerId, Query, Seq};
use bookstore_transport_http::cache::CacheOptions;
use tokio::time::advance;

use crate::support::{ONE, frontend, settle, starting};

/// Reads a book, sells a copy while the feed misbehaves, and asserts that the cache forgets all and is right again.
async fn forgets_when(what: &str, tamper: impl FnOnce(&mut Entries) + Send + 'static) {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.upstream.tamper(tamper);
    shop.stop_the_feed().await;
    shop.sell_elsewhere(ONE).await;
    shop.sell_elsewhere(ONE).await;
    shop.upstream.feed.open();
    shop.dropped_everything().await;
    let stats = shop.cache.stats();
    assert_eq!((stats.resets, stats.books), (1, 0), "{what}");
    assert_eq!(shop.stock(ONE).await, 8, "{what}");
    shop.caught_up().await;
    shop.read(ONE).await;
    shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    let asked = shop.upstream.infos_asked();
    assert_eq!(shop.stock(ONE).await, 7, "{what}");
    assert_eq!((shop.upstream.infos_asked(), shop.cache.stats().resets), (asked, 1), "{what}: it follows again");
}

#[tokio::test(start_paused = true)]
async fn it_starts_over_when_the_ledger_is_not_what_it_was() {
    forgets_when("another ledger", |page| page.identity.ledger = LedgerId::from_u128(7)).await;
    forgets_when("an entry is missing", |page| drop(page.entries.remove(0))).await;
    forgets_when("all entries are missing", |page| page.entries.clear()).await;
    forgets_when("the ledger has become shorter", |page| {
        page.head = Seq(1);
        page.entries.clear();
    })
    .await;
    forgets_when("an entry of another history", |page| {
        let Change { stock, .. } = &mut page.entries[0].changes[0];
        *stock += 1;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_new_start_is_not_kept() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let reader = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.upstream.tamper(|page| page.identity.ledger = LedgerId::from_u128(7));
    shop.sell_elsewhere(ONE).await;
    shop.dropped_everything().await;
    let later = shop.reader(ONE);
    settle().await;
    assert_eq!(shop.upstream.infos.len(), 2, "no reader joins a request from before");
    shop.caught_up().await;
    // The new start is after the sale, so no entry will ever bring the first answer forward.
    shop.upstream.infos.open();
    assert_eq!((reader.await.unwrap().unwrap().stock, later.await.unwrap().unwrap().stock), (10, 9));
    assert_eq!(shop.cache.stats().books, 0);
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.upstream.infos_asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_first_start_is_not_kept() {
    let shop = starting(CacheOptions::default(), false).await;
    shop.upstream.feed.until(1).await;
    shop.upstream.infos.close();
    let reader = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.sell_elsewhere(ONE).await;
    shop.upstream.feed.open();
    shop.caught_up().await;
    shop.upstream.infos.open();
    assert_eq!(reader.await.unwrap().unwrap().stock, 10);
    assert_eq!(shop.stock(ONE).await, 9);
}

#[tokio::test(start_paused = true)]
async fn a_search_of_another_ledger_does_not_touch_the_cache() {
    let shop = frontend(CacheOptions::default()).await;
    let mut strange = shop.read(ONE).await;
    (strange.stock, strange.version) = (77, Seq(99));
    shop.upstream.lie(Some(strange));
    shop.upstream.searches.close();
    let meanwhile = async {
        shop.upstream.searches.until(1).await;
        shop.upstream.lie(None);
        shop.upstream.tamper(|page| page.identity.ledger = LedgerId::from_u128(7));
        shop.sell_elsewhere(ONE).await;
        shop.dropped_everything().await;
        shop.caught_up().await;
        assert_eq!(shop.stock(ONE).await, 9);
        shop.upstream.searches.open();
    };
    let (page, ()) = tokio::join!(shop.cache.search(Query::topic("testing")), meanwhile);
    assert_eq!(page.unwrap().books[0].stock, 77);
    assert_eq!(shop.stock(ONE).await, 9);
}

#[tokio::test(start_paused = true)]
async fn a_catalogue_that_falls_behind_does_not_take_the_cache_along() {
    let options = CacheOptions::default();
    let shop = frontend(options).await;
    let old = shop.read(ONE).await;
    shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    shop.stop_the_feed().await;
    advance(options.max_staleness * 2).await;
    shop.upstream.lie(Some(old));
    assert_eq!(shop.stock(ONE).await, 9, "what is cached is newer than the answer");
    assert_eq!(shop.upstream.infos_asked(), 2);
    // A reader has seen something newer than both.
    shop.buy(ONE).await.unwrap();
    let behind = shop.cache.info(ONE).await.unwrap_err();
    assert!(matches!(behind, Error::Unavailable { .. }), "{behind:?}");
    shop.upstream.lie(None);
    assert_eq!(shop.stock(ONE).await, 8);
}

//! A cache that has lost touch asks the catalogue; only one that cannot be reached is stood in for.

use bookstore_core::{BookId, CatalogService as _, Currency, Error};
use bookstore_transport_http::cache::CacheOptions;
use std::time::Duration;
use tokio::time::{Instant, advance};

use crate::support::{ONE, TWO, frontend};

const OPTIONS: CacheOptions =
    CacheOptions { books_max: 10, max_staleness: Duration::from_secs(2), timeout: Duration::from_secs(1) };

#[tokio::test(start_paused = true)]
async fn a_quiet_ledger_keeps_the_cache_fresh() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(777)).await;
        shop.read(ONE).await;
    }
    assert_eq!((shop.upstream.infos_asked(), shop.cache.stats().hits), (1, 20));
}

#[tokio::test(start_paused = true)]
async fn the_currency_needs_no_catalogue_once_the_ledger_was_found() {
    let shop = frontend(OPTIONS).await;
    shop.set_unreachable(true);
    assert_eq!(shop.cache.currency().await, Ok(Currency::USD));
}

#[tokio::test(start_paused = true)]
async fn without_the_feed_the_cache_is_bypassed_and_then_stands_in() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    shop.stop_the_feed().await;
    let stopped = Instant::now();
    shop.sell_elsewhere(ONE).await;
    // The last poll that ended was sent some time before the feed stopped.
    while shop.stock(ONE).await == 10 {
        assert!(stopped.elapsed() <= OPTIONS.max_staleness, "an old answer after {:?}", stopped.elapsed());
        advance(Duration::from_millis(100)).await;
    }
    assert!(stopped.elapsed() >= OPTIONS.max_staleness / 2, "a fresh cache was bypassed");
    let stats = shop.cache.stats();
    assert_eq!((stats.bypasses, stats.served_stale), (1, 0));

    shop.set_unreachable(true);
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.cache.stats().served_stale, 1);
    let lost = shop.cache.info(TWO).await.unwrap_err();
    assert!(matches!(lost, Error::Unavailable { .. }), "what is not cached cannot be shown: {lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_catalogue_that_is_away_is_not_asked_for_every_read() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    shop.stop_the_feed().await;
    advance(OPTIONS.max_staleness * 2).await;
    shop.set_unreachable(true);
    for _ in 0..10 {
        assert_eq!(shop.stock(ONE).await, 10);
    }
    assert_eq!(shop.upstream.infos_asked(), 2);
    advance(Duration::from_secs(1)).await;
    assert_eq!(shop.stock(ONE).await, 10);
    assert_eq!(shop.upstream.infos_asked(), 3, "asked again after a while");
    assert_eq!(shop.cache.stats().served_stale, 11);

    // It comes back, still without its feed: then it is asked again.
    shop.set_unreachable(false);
    shop.sell_elsewhere(ONE).await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.cache.stats().served_stale, 11);
}

#[tokio::test(start_paused = true)]
async fn a_catalogue_that_does_not_answer_is_waited_for_until_the_timeout() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    shop.stop_the_feed().await;
    advance(OPTIONS.max_staleness * 2).await;
    shop.upstream.infos.close();
    let asked = Instant::now();
    assert_eq!(shop.stock(ONE).await, 10);
    assert_eq!(asked.elapsed(), OPTIONS.timeout);
    assert_eq!(shop.stock(ONE).await, 10);
    assert_eq!(asked.elapsed(), OPTIONS.timeout, "the next reader does not wait");
    assert_eq!(shop.upstream.infos.len(), 0, "no reader is left waiting");
}

#[tokio::test(start_paused = true)]
async fn hits_come_back_with_the_feed() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    shop.set_unreachable(true);
    tokio::time::sleep(OPTIONS.max_staleness * 5).await;
    shop.read(ONE).await;
    shop.set_unreachable(false);
    let order = shop.sell_elsewhere(ONE).await;
    shop.followed(order.seq).await;
    let stats = shop.cache.stats();
    assert_eq!((stats.served_stale, stats.hits), (1, 0));
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.cache.stats().hits, 1);
    assert_eq!(shop.cache.stats().resets, 0, "nothing was forgotten meanwhile");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shown_less_than_they_bought_not_even_in_an_outage() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    shop.read(TWO).await;
    shop.stop_the_feed().await;
    shop.buy(ONE).await.unwrap();
    advance(OPTIONS.max_staleness * 2).await;
    shop.set_unreachable(true);
    let refused = shop.cache.info(ONE).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    assert_eq!(shop.stock(TWO).await, 10, "others are shown as they stood");
}

#[tokio::test(start_paused = true)]
async fn what_the_catalogue_says_itself_is_no_outage() {
    let shop = frontend(OPTIONS).await;
    shop.read(ONE).await;
    let unknown = shop.cache.info(BookId(99)).await.unwrap_err();
    assert_eq!(unknown, Error::BookNotFound { book: BookId(99) });
    let stats = shop.cache.stats();
    assert_eq!((stats.misses, stats.books, stats.served_stale), (2, 1, 0));
}

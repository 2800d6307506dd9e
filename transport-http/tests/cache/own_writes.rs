//! A write through a frontend is read there at once, although its cache has not followed the ledger that far.

use bookstore_core::{Amend, CatalogService as _, Error, OrderService as _, Seq};
use bookstore_transport_http::cache::CacheOptions;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use crate::support::{ONE, TWO, cents, frontend, one_at, price_of};

#[tokio::test(start_paused = true)]
async fn a_purchase_is_read_back() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (10, 10));
    shop.stop_the_feed().await;
    let receipt = shop.buy(ONE).await.unwrap();
    let book = shop.read(ONE).await;
    assert_eq!((book.stock, book.version), (9, receipt.order.seq));
    let asked = shop.upstream.infos_asked();
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (9, 10));
    assert_eq!(shop.upstream.infos_asked(), asked, "the new state is kept, and other books are not touched");
    shop.upstream.feed.open();
    shop.caught_up().await;
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.cache.stats().resets, 0);
}

#[tokio::test(start_paused = true)]
async fn the_feed_makes_a_bought_book_good_again() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.buy(ONE).await.unwrap();
    shop.caught_up().await;
    assert_eq!(shop.stock(ONE).await, 9);
    assert_eq!(shop.upstream.infos_asked(), 1, "no reader had to ask");
}

#[tokio::test(start_paused = true)]
async fn a_request_from_before_the_purchase_cannot_put_the_old_stock_back() {
    let shop = frontend(CacheOptions::default()).await;
    shop.stop_the_feed().await;
    shop.upstream.infos.close();
    let early = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.buy(ONE).await.unwrap();
    let late = shop.reader(ONE);
    shop.upstream.infos.until(2).await;
    // The new answer first, then the old one.
    assert!(shop.upstream.infos.release(1));
    assert_eq!(late.await.unwrap().unwrap().stock, 9);
    shop.upstream.infos.open();
    early.await.unwrap().unwrap();
    assert_eq!(shop.stock(ONE).await, 9);
}

#[tokio::test(start_paused = true)]
async fn the_old_answer_alone_is_not_kept_either() {
    let shop = frontend(CacheOptions::default()).await;
    shop.stop_the_feed().await;
    shop.upstream.infos.close();
    let early = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.buy(ONE).await.unwrap();
    shop.upstream.infos.open();
    assert_eq!(early.await.unwrap().unwrap().stock, 10, "it was asked before the purchase");
    assert_eq!(shop.stock(ONE).await, 9);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_is_read_back() {
    let shop = frontend(CacheOptions::default()).await;
    let order = shop.buy(ONE).await.unwrap().order;
    shop.caught_up().await;
    assert_eq!(shop.stock(ONE).await, 9);
    shop.stop_the_feed().await;
    shop.orders.cancel(order.id).await.unwrap();
    assert_eq!(shop.stock(ONE).await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_request_from_before_the_cancellation_is_not_joined() {
    let shop = frontend(CacheOptions::default()).await;
    let order = shop.buy(ONE).await.unwrap().order;
    shop.caught_up().await;
    shop.stop_the_feed().await;
    shop.upstream.infos.close();
    let early = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.orders.cancel(order.id).await.unwrap();
    let late = shop.reader(ONE);
    shop.upstream.infos.until(2).await;
    shop.upstream.infos.open();
    assert_eq!((early.await.unwrap().unwrap().stock, late.await.unwrap().unwrap().stock), (9, 10));
    assert_eq!(shop.stock(ONE).await, 10);
}

#[tokio::test(start_paused = true)]
async fn an_amended_book_is_read_back_without_asking() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.stop_the_feed().await;
    let amended = shop.cache.amend(ONE, price_of(500), None, None).await.unwrap();
    assert_eq!(shop.read(ONE).await, amended);
    let amended = shop.cache.amend(ONE, Amend::StockDelta { delta: 5 }, None, None).await.unwrap();
    assert_eq!((amended.stock, amended.price_cents), (15, cents(500)));
    assert_eq!(shop.read(ONE).await, amended);
    assert_eq!(shop.upstream.infos_asked(), 1);
    shop.upstream.feed.open();
    shop.caught_up().await;
    assert_eq!((shop.read(ONE).await, shop.cache.stats().resets), (amended, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_knows_better_is_heeded() {
    let shop = frontend(CacheOptions::default()).await;
    let seen = shop.read(ONE).await;
    shop.stop_the_feed().await;
    shop.reprice_elsewhere(ONE, 500).await;
    assert_eq!(shop.read(ONE).await.price_cents, cents(1000), "the feed stands still");
    let refused = shop.orders.purchase(shop.id(), one_at(ONE, 1000)).await.unwrap_err();
    assert!(matches!(refused, Error::PriceChanged { .. }), "{refused:?}");
    let now = shop.read(ONE).await;
    assert_eq!(now.price_cents, cents(500));
    // And a version that was refused.
    shop.reprice_elsewhere(ONE, 600).await;
    let change = Amend::Set { price_cents: Some(cents(1)), stock: None, version: Some(seen.version) };
    shop.cache.amend(ONE, change, None, None).await.unwrap_err();
    assert_eq!(shop.read(ONE).await.price_cents, cents(600));
    // And an empty shelf.
    shop.upstream.catalog.amend(ONE, Amend::StockDelta { delta: -10 }, None, None).await.unwrap();
    shop.buy(ONE).await.unwrap_err();
    assert_eq!(shop.stock(ONE).await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_an_entry_reads_nothing_from_before_it() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (10, 10));
    shop.stop_the_feed().await;
    // Through this frontend's feed of events: only the book that is touched is asked for.
    shop.sell_elsewhere(ONE).await;
    let polling = shop.cache.entries(Seq(3), 100, Duration::ZERO);
    let let_one_pass = async {
        // The follower stands in line before it.
        shop.upstream.feed.until(2).await;
        assert!(shop.upstream.feed.release(1));
    };
    let (page, ()) = tokio::join!(polling, let_one_pass);
    assert_eq!(page.unwrap().entries.len(), 1);
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (9, 10));
    assert_eq!(shop.upstream.infos_asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_knows_of_an_entry_bypasses_the_cache_until_it_has_followed() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (10, 10));
    shop.stop_the_feed().await;
    let order = shop.sell_elsewhere(ONE).await;
    shop.cache.observed(order.seq);
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (9, 10));
    assert_eq!(shop.upstream.infos_asked(), 4);
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (9, 10));
    assert_eq!(shop.upstream.infos_asked(), 5, "one is as new as the entry, two cannot say");
    shop.upstream.feed.open();
    shop.caught_up().await;
    assert_eq!((shop.stock(ONE).await, shop.stock(TWO).await), (9, 10));
    assert_eq!(shop.upstream.infos_asked(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_order_read_shows_its_sale() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.stop_the_feed().await;
    let order = shop.sell_elsewhere(ONE).await;
    assert_eq!(shop.orders.order(order.id).await.unwrap(), order);
    assert_eq!(shop.stock(ONE).await, 9);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_shown_counts_though_it_is_not_kept() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.stop_the_feed().await;
    shop.buy(ONE).await.unwrap();
    let second = shop.sell_elsewhere(ONE).await;
    shop.sell_elsewhere(ONE).await;
    shop.upstream.infos.close();
    let reader = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    // The request goes off the register, though its answer is newer than this.
    shop.orders.order(second.id).await.unwrap();
    shop.upstream.infos.open();
    let shown = reader.await.unwrap().unwrap();
    assert_eq!(shown.stock, 7);
    // The feed gets as far as the second sale: all that the cache has been shown.
    shop.upstream.page_max.store(2, SeqCst);
    assert!(shop.upstream.feed.release(0));
    shop.followed(second.seq).await;
    assert_eq!(shop.read(ONE).await, shown);
}

#[tokio::test(start_paused = true)]
async fn who_knows_of_an_entry_does_not_join_a_request_from_before() {
    let shop = frontend(CacheOptions::default()).await;
    shop.stop_the_feed().await;
    shop.upstream.infos.close();
    let early = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    let order = shop.sell_elsewhere(ONE).await;
    shop.cache.observed(order.seq);
    let late = shop.reader(ONE);
    shop.upstream.infos.until(2).await;
    shop.upstream.infos.open();
    assert_eq!(early.await.unwrap().unwrap().stock, 10, "it was asked before");
    assert_eq!(late.await.unwrap().unwrap().stock, 9);
}

//! The cache is bounded, and asks once for many.

use bookstore_core::{BookId, CatalogService as _};
use bookstore_transport_http::cache::{CacheOptions, CacheStats};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::{Frontend, ONE, THREE, TWO, frontend, settle};

async fn of_two_books() -> Frontend {
    frontend(CacheOptions { books_max: 2, ..CacheOptions::default() }).await
}

#[tokio::test(start_paused = true)]
async fn the_book_read_longest_ago_makes_room() {
    let shop = of_two_books().await;
    for book in [ONE, TWO, ONE, THREE] {
        shop.read(book).await;
    }
    assert_eq!((shop.upstream.infos_asked(), shop.cache.stats().books), (3, 2));
    // An entry is not a read, and one about a book that has gone is no news.
    for book in [TWO, ONE, THREE] {
        shop.sell_elsewhere(book).await;
    }
    shop.caught_up().await;
    assert_eq!((shop.stock(ONE).await, shop.stock(THREE).await), (9, 9));
    assert_eq!(shop.upstream.infos_asked(), 3);
    assert_eq!(shop.stock(TWO).await, 9);
    assert_eq!((shop.upstream.infos_asked(), shop.cache.stats().books), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn books_that_do_not_exist_push_none_out() {
    let shop = of_two_books().await;
    shop.read(ONE).await;
    shop.read(TWO).await;
    for stranger in 100..110 {
        shop.cache.info(BookId(stranger)).await.unwrap_err();
    }
    let asked = shop.upstream.infos_asked();
    shop.read(ONE).await;
    shop.read(TWO).await;
    assert_eq!(shop.upstream.infos_asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn many_readers_of_one_book_are_one_request() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let readers: Vec<_> = (0..50).map(|_| shop.reader(ONE)).collect();
    let other = shop.reader(TWO);
    settle().await;
    assert_eq!((shop.upstream.infos_asked(), shop.upstream.infos.len()), (2, 2));
    shop.upstream.infos.open();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().id, ONE);
    }
    assert_eq!(other.await.unwrap().unwrap().id, TWO);
    let stats = shop.cache.stats();
    assert_eq!((stats.misses, stats.joined, stats.hits), (51, 49, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_hangs_up_takes_nobody_along() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let first = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    let second = shop.reader(ONE);
    settle().await;
    first.abort();
    settle().await;
    shop.upstream.infos.open();
    assert_eq!(second.await.unwrap().unwrap().stock, 10);
    assert_eq!(shop.upstream.infos_asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_waits_for_ends() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let only = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    only.abort();
    settle().await;
    assert_eq!(shop.upstream.infos.len(), 0);
    shop.upstream.infos.open();
    assert_eq!(shop.stock(ONE).await, 10);
    assert_eq!(shop.upstream.infos_asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn everything_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let shop = frontend(CacheOptions::default()).await;
    shop.read(ONE).await;
    shop.read(ONE).await;
    shop.read(TWO).await;
    shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    shop.stop_the_feed().await;
    shop.buy(ONE).await.unwrap();
    shop.read(ONE).await;
    let expected =
        CacheStats { hits: 1, misses: 2, bypasses: 1, entries_followed: 1, books: 2, ..CacheStats::default() };
    assert_eq!(shop.cache.stats(), expected);
    let text = metrics.render();
    for line in [
        "bookstore_cache_hits_total 1",
        "bookstore_cache_misses_total 2",
        "bookstore_cache_bypasses_total 1",
        "bookstore_cache_entries_followed_total 1",
        "bookstore_cache_staleness_seconds_count 1",
        "bookstore_cache_books 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
}

//! Topics are kept until a book is listed.

use bookstore_core::{CatalogService as _, TopicQuery, TopicSort};
use bookstore_transport_http::cache::CacheOptions;
use tokio::time::advance;

use crate::support::{Frontend, frontend, new_book, settle};

async fn books(shop: &Frontend) -> u64 {
    shop.cache.topics(TopicQuery::default()).await.unwrap().total_books
}

#[tokio::test(start_paused = true)]
async fn they_are_asked_for_once_until_a_book_is_listed() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!((books(&shop).await, books(&shop).await), (3, 3));
    assert_eq!(shop.upstream.topics_asked(), 1);
    shop.upstream.catalog.add_books(vec![new_book("Book 4", 1)], None).await.unwrap();
    shop.caught_up().await;
    assert_eq!((books(&shop).await, books(&shop).await), (4, 4));
    assert_eq!(shop.upstream.topics_asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_lists_a_book_here_sees_it_counted() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(books(&shop).await, 3);
    shop.stop_the_feed().await;
    shop.cache.add_books(vec![new_book("Book 4", 1)], None).await.unwrap();
    assert_eq!(books(&shop).await, 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_listing_is_not_kept() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.topics.close();
    let meanwhile = async {
        shop.upstream.topics.until(1).await;
        shop.upstream.catalog.add_books(vec![new_book("Book 4", 1)], None).await.unwrap();
        shop.caught_up().await;
        shop.upstream.topics.open();
    };
    assert_eq!(tokio::join!(books(&shop), meanwhile).0, 3, "it was asked before the listing");
    assert_eq!(books(&shop).await, 4);
}

#[tokio::test(start_paused = true)]
async fn they_go_the_way_of_books_in_an_outage() {
    let options = CacheOptions::default();
    let shop = frontend(options).await;
    assert_eq!(books(&shop).await, 3);
    shop.stop_the_feed().await;
    advance(options.max_staleness * 2).await;
    shop.upstream.catalog.add_books(vec![new_book("Book 4", 1)], None).await.unwrap();
    assert_eq!(books(&shop).await, 4, "not fresh: asked for");
    shop.set_unreachable(true);
    assert_eq!(books(&shop).await, 4, "out of reach: as they were last");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_overtaken_is_not_kept() {
    let options = CacheOptions::default();
    let shop = frontend(options).await;
    assert_eq!(books(&shop).await, 3);
    shop.stop_the_feed().await;
    advance(options.max_staleness * 2).await;
    shop.upstream.topics.close();
    let second = async {
        shop.upstream.topics.until(1).await;
        shop.upstream.catalog.add_books(vec![new_book("Book 4", 1)], None).await.unwrap();
        books(&shop).await
    };
    let overtaking = async {
        shop.upstream.topics.until(2).await;
        assert!(shop.upstream.topics.release(1));
        settle().await;
        shop.upstream.topics.open();
    };
    let (first, second, ()) = tokio::join!(books(&shop), second, overtaking);
    assert_eq!((first, second), (3, 4));
    shop.set_unreachable(true);
    assert_eq!(books(&shop).await, 4);
}

#[tokio::test(start_paused = true)]
async fn each_page_is_kept_by_itself_and_not_too_many() {
    let shop = frontend(CacheOptions::default()).await;
    let of_size = |size| TopicQuery { sort: TopicSort::Books, page_size: Some(size), page_token: None };
    for asked in [1, 1] {
        shop.cache.topics(of_size(24)).await.unwrap();
        assert_eq!(shop.upstream.topics_asked(), asked);
    }
    for size in 100..200 {
        shop.cache.topics(of_size(size)).await.unwrap();
    }
    assert_eq!(shop.upstream.topics_asked(), 101);
    shop.cache.topics(of_size(199)).await.unwrap();
    assert_eq!(shop.upstream.topics_asked(), 101, "the newest are kept");
    shop.cache.topics(of_size(24)).await.unwrap();
    assert_eq!(shop.upstream.topics_asked(), 102, "the oldest are not");
}

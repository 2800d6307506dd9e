//! The ledger moves the cache forward, and nothing moves it back.

use bookstore_core::{Amend, CatalogService as _, Kind, Query};
use bookstore_transport_http::cache::CacheOptions;

use crate::support::{ONE, TWO, cents, frontend};

#[tokio::test(start_paused = true)]
async fn a_sale_elsewhere_moves_a_cached_book() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    let order = shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    let book = shop.read(ONE).await;
    assert_eq!((book.stock, book.version), (9, order.seq));
    assert_eq!(shop.upstream.infos_asked(), 1, "the ledger said it all");
    assert_eq!(book, shop.upstream.catalog.info(ONE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_brought_forward_by_the_sale_that_overtook_it() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let reader = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    let order = shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    shop.upstream.infos.open();
    let read = reader.await.unwrap().unwrap();
    assert_eq!((read.stock, read.version), (9, order.seq));
    assert_eq!(shop.read(ONE).await, read);
    assert_eq!(shop.cache.stats().hits, 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_learns_of_a_new_price_before_a_sale() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let reader = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    shop.reprice_elsewhere(ONE, 500).await;
    shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    shop.upstream.infos.open();
    let read = reader.await.unwrap().unwrap();
    assert_eq!((read.stock, read.price_cents), (9, cents(500)));
    assert_eq!(read, shop.upstream.catalog.info(ONE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_answer_ahead_of_the_feed_stays() {
    let shop = frontend(CacheOptions::default()).await;
    shop.stop_the_feed().await;
    shop.sell_elsewhere(ONE).await;
    let order = shop.sell_elsewhere(ONE).await;
    assert_eq!(shop.read(ONE).await.version, order.seq);
    shop.upstream.feed.open();
    shop.caught_up().await;
    let book = shop.read(ONE).await;
    assert_eq!((book.stock, book.version), (8, order.seq));
    let stats = shop.cache.stats();
    assert_eq!((stats.resets, stats.misses), (0, 1), "entries from before the answer are no gap");
}

#[tokio::test(start_paused = true)]
async fn a_return_at_an_old_price_leaves_the_new_one() {
    let shop = frontend(CacheOptions::default()).await;
    let order = shop.sell_elsewhere(ONE).await;
    shop.caught_up().await;
    assert_eq!(shop.read(ONE).await.price_cents, cents(1000));
    shop.reprice_elsewhere(ONE, 500).await;
    shop.upstream.catalog.release(order.id).await.unwrap();
    shop.caught_up().await;
    let last = shop.upstream.ledger().await.pop().unwrap();
    assert_eq!(
        (last.kind, last.changes[0].price_cents),
        (Kind::Return, cents(1000)),
        "the entry carries the old price"
    );
    let book = shop.read(ONE).await;
    assert_eq!((book.price_cents, book.stock, book.version), (cents(500), 10, last.seq));
    assert_eq!(shop.upstream.infos_asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn entries_come_in_pages() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.upstream.page_max.store(2, std::sync::atomic::Ordering::SeqCst);
    shop.stop_the_feed().await;
    for _ in 0..5 {
        shop.sell_elsewhere(ONE).await;
    }
    shop.upstream.feed.open();
    shop.caught_up().await;
    assert_eq!(shop.stock(ONE).await, 5);
    assert_eq!((shop.cache.stats().entries_followed, shop.upstream.infos_asked()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_search_never_shows_a_book_older_than_the_cache() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    shop.upstream.searches.close();
    let searching = shop.cache.search(Query::topic("testing"));
    let meanwhile = async {
        shop.upstream.searches.until(1).await;
        shop.sell_elsewhere(ONE).await;
        shop.caught_up().await;
        shop.upstream.searches.open();
    };
    let (page, ()) = tokio::join!(searching, meanwhile);
    assert_eq!(page.unwrap().books[0], shop.upstream.catalog.info(ONE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_cache_never_shows_a_book_older_than_a_search() {
    let shop = frontend(CacheOptions::default()).await;
    assert_eq!(shop.stock(ONE).await, 10);
    // A request for the second book is on its way with an old answer.
    shop.upstream.infos.close();
    let slow = shop.reader(TWO);
    shop.upstream.infos.until(1).await;
    shop.stop_the_feed().await;
    shop.sell_elsewhere(ONE).await;
    shop.sell_elsewhere(TWO).await;
    let page = shop.cache.search(Query::topic("testing")).await.unwrap();
    assert_eq!((page.books[0].stock, page.books[1].stock), (9, 9));
    shop.upstream.infos.open();
    slow.await.unwrap().unwrap();
    assert_eq!(shop.read(ONE).await, page.books[0]);
    assert_eq!(shop.read(TWO).await, page.books[1]);
}

#[tokio::test(start_paused = true)]
async fn a_revised_book_is_shown_as_it_is_now_without_asking() {
    let shop = frontend(CacheOptions::default()).await;
    let before = shop.read(ONE).await;
    let revised = shop.revise_elsewhere(ONE, "The Right Title").await;
    shop.caught_up().await;
    assert_eq!(shop.read(ONE).await, revised);
    assert!(revised.text.title() == "The Right Title" && revised.text_version > before.text_version);
    shop.upstream.catalog.amend(ONE, Amend::Withdraw, None, None).await.unwrap();
    shop.caught_up().await;
    assert!(!shop.read(ONE).await.on_sale);
    shop.upstream.catalog.amend(ONE, Amend::Relist, None, None).await.unwrap();
    shop.caught_up().await;
    let now = shop.read(ONE).await;
    assert_eq!((now.on_sale, now.text.title()), (true, "The Right Title"));
    assert_eq!(shop.upstream.infos_asked(), 1, "the feed has it all");
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_revision_is_brought_forward() {
    let shop = frontend(CacheOptions::default()).await;
    shop.upstream.infos.close();
    let early = shop.reader(ONE);
    shop.upstream.infos.until(1).await;
    let revised = shop.revise_elsewhere(ONE, "The Right Title").await;
    shop.caught_up().await;
    shop.upstream.infos.open();
    early.await.unwrap().unwrap();
    assert_eq!(shop.read(ONE).await, revised);
}

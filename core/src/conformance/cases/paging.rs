//! Pages of books: order, tokens and sizes.
//!
//! A page goes on after a position in the order, which its token names. Books that are listed or changed meanwhile must
//! not make a client see a book twice or miss one that was there all the time; in the cases here the catalogue stands
//! still.

use std::{cmp::Reverse, collections::BTreeSet};

use super::support::assert_invalid;
use crate::{
    book::{Book, BookText, NewBook},
    conformance::deployment::Deployment,
    fixtures::{book, cents},
    page::{Facet, OrderQuery, PAGE_BYTES_MAX, Query, Sort},
    search::title_key,
    topics::{TopicQuery, TopicSort},
};

/// Books with many equal titles, prices and years, and some without a year.
fn many_alike(count: u32) -> Vec<NewBook> {
    (0..count)
        .map(|n| {
            let title = ["Alike", "alike", "Älike", "Zebra alike", "alike 2"][n as usize % 5];
            let book = book(title, 10);
            let year = (n % 4 > 0).then(|| 2000 + i32::try_from(n % 3).unwrap_or_default());
            // The author tells books of one title apart, and is no part of any order.
            let text = BookText { year, authors: vec![format!("Author {n}")], topic: "paging".into(), ..book.text };
            NewBook { text, price_cents: cents(u64::from(n % 3) * 500), stock: n }
        })
        .collect()
}

impl Deployment {
    /// Every page of a query, joined. No page may have more books than asked for, and every page but the last must be
    /// full.
    async fn read_all(&self, mut query: Query) -> Vec<Book> {
        let mut all = Vec::new();
        loop {
            let page = self.catalog.search(query.clone()).await;
            let page = page.unwrap_or_else(|error| panic!("{query:?} must be answered, not {error:?}"));
            let size = query.page_size.unwrap_or(Query::PAGE_DEFAULT) as usize;
            assert!(page.books.len() <= size, "a page has at most {size} books");
            let full = page.books.len() == size;
            all.extend(page.books);
            if page.next_page_token.is_none() {
                assert_eq!(page.total, all.len() as u64, "{query:?}: the total is that of all pages");
            }
            match page.next_page_token {
                Some(_) if !full => panic!("{query:?}: a page that is not the last one is full"),
                Some(token) => query.page_token = Some(token),
                None => return all,
            }
        }
    }
}

/// Whether `a` comes before `b` in this sort. Books that the sort's field does not tell apart are in the order of their
/// numbers.
fn in_order(sort: Sort, a: &Book, b: &Book) -> bool {
    let year = |book: &Book, newest: bool| match book.text.year() {
        Some(year) if newest => -i64::from(year),
        Some(year) => i64::from(year),
        None => i64::MAX,
    };
    match sort {
        // Nothing was sold.
        Sort::Relevance | Sort::BestSelling => a.id < b.id,
        Sort::Title => (title_key(a.text.title()), a.id) < (title_key(b.text.title()), b.id),
        Sort::Price => (a.price_cents, a.id) < (b.price_cents, b.id),
        Sort::PriceDesc => (Reverse(a.price_cents), a.id) < (Reverse(b.price_cents), b.id),
        Sort::Newest => (year(a, true), a.id) < (year(b, true), b.id),
        Sort::Oldest => (year(a, false), a.id) < (year(b, false), b.id),
        Sort::NewlyListed => a.id > b.id,
    }
}

/// Whatever the page size, the pages together show every book once, in the order of one large page.
///
/// Many books here have the same title, price and year, so an order by that field alone does not tell them apart: a
/// page that goes on after "the last title" skips or repeats books. The order must go on by number.
pub(super) async fn shows_every_book_once_in_every_sort(d: Deployment) {
    d.add_books(many_alike(57)).await;
    d.add_books(vec![book("Stranger", 10)]).await;
    for sort in Sort::ALL {
        for (words, topic) in
            [(None, None), (None, Some("paging")), (Some("alike"), None), (Some("ali"), Some("paging"))]
        {
            // Whether diacritics count is the store's business: one page says how many books there are.
            let query = Query { words: words.map(Into::into), topic: topic.map(Into::into), sort, ..Query::default() };
            let at_once = d.read_all(Query { page_size: Some(100), ..query.clone() }).await;
            assert!(at_once.len() >= if words.is_some() { 45 } else { 57 }, "{query:?} found {}", at_once.len());
            for page_size in [None, Some(1), Some(7)] {
                let books = d.read_all(Query { page_size, ..query.clone() }).await;
                let numbers: BTreeSet<_> = books.iter().map(|book| book.id).collect();
                assert_eq!(numbers.len(), books.len(), "{query:?} by {page_size:?} repeats a book");
                assert_eq!(books, at_once, "{query:?} by {page_size:?}");
            }
        }
    }
}

/// Every sort orders by its field and then by number, and sees a price that was changed after the listing.
///
/// Titles are compared as [`title_key`] says; newest and oldest mean the year of publication, and books without a year come
/// last. Words choose the books, and do not change the order but for the sort by relevance.
pub(super) async fn sorts_as_asked(d: Deployment) {
    let ids = d.add_books(many_alike(30)).await;
    // A price that changed after the listing counts.
    d.set_price(ids[0], 250).await;
    for sort in Sort::ALL {
        let books = d.read_all(Query { sort, page_size: Some(7), ..Query::default() }).await;
        assert_eq!(books.len(), 30);
        assert!(books.is_sorted_by(|a, b| in_order(sort, a, b)), "{sort:?}: {books:?}");
        if sort != Sort::Relevance {
            let found = d.read_all(Query { sort, page_size: Some(7), ..Query::words("author") }).await;
            assert_eq!(found, books, "words choose the books, not the order by {sort:?}");
        }
    }
}

/// The last full page has no token for a page that would be empty.
///
/// A client that follows tokens would otherwise show its user a last page without books. The store reads one book more
/// than the page has.
pub(super) async fn ends_without_an_empty_page(d: Deployment) {
    d.add_books(many_alike(20)).await;
    for size in [5, 10, 20] {
        let mut query = Query { page_size: Some(size), sort: Sort::Title, ..Query::default() };
        for page in 1..=20 / size {
            let found = d.catalog.search(query.clone()).await.expect("a page");
            assert_eq!(found.books.len(), size as usize);
            assert_eq!(found.next_page_token.is_some(), page < 20 / size, "page {page} of {size}");
            query.page_token = found.next_page_token;
        }
    }
}

/// Titles that differ only in their last character are different titles, and a token has at most 200 bytes: it fits a URI.
///
/// A token must not contain the whole title it goes on after, and must not cut it where two titles are still equal.
pub(super) async fn pages_through_long_titles(d: Deployment) {
    let long = |n: usize| book(&format!("{}{n}", "書".repeat(BookText::TITLE_MAX - 1)), 1);
    d.add_books((0..4).map(long).collect()).await;
    let books = d.read_all(Query { sort: Sort::Title, page_size: Some(1), ..Query::default() }).await;
    assert_eq!(books.iter().map(|book| book.id.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let first = Query { sort: Sort::Title, page_size: Some(1), ..Query::default() };
    let token = d.catalog.search(first).await.expect("a page").next_page_token.expect("there are more");
    assert!(token.len() <= 200, "a token fits a URI, whatever the title: {} bytes", token.len());
}

/// A token that was made up, altered, or made for another query is [`Error::Invalid`](crate::Error::Invalid). The page
/// size may change.
///
/// A token must be bound to its query and protected against changes. Otherwise a token for one sort would silently skip
/// books in another. A token of a page of books is no token of a page of orders.
pub(super) async fn rejects_invalid_tokens(d: Deployment) {
    let ids = d.add_books(many_alike(9)).await;
    for _ in 0..3 {
        d.buy(ids[8], 1).await.expect("there are eight");
    }
    let first = Query { page_size: Some(2), sort: Sort::Price, ..Query::default() };
    let token = d.catalog.search(first.clone()).await.expect("a page").next_page_token.expect("there are more");
    let with = |query: Query, token: &str| Query { page_token: Some(token.into()), ..query };
    let mut spoiled = token.clone().into_bytes();
    spoiled[3] ^= 1;
    let spoiled = String::from_utf8_lossy(&spoiled).into_owned();
    let strange = ["x", "!", "=", "%00", "AAAA", &"A".repeat(500), &format!("{token}A"), &spoiled, "🦀"];
    for strange in strange {
        assert_invalid(d.catalog.search(with(first.clone(), strange)).await, "page_token");
    }
    let others = [
        Query { sort: Sort::Title, ..first.clone() },
        Query { topic: Some("paging".into()), ..first.clone() },
        Query { words: Some("alike".into()), ..first.clone() },
        Query { in_stock: true, ..first.clone() },
    ];
    for other in others {
        assert_invalid(d.catalog.search(with(other, &token)).await, "page_token");
    }
    let more = Query { page_size: Some(100), ..first };
    assert_eq!(d.catalog.search(with(more.clone(), &token)).await.map(|page| page.books.len()), Ok(7));
    let of_orders = OrderQuery { page_size: None, page_token: Some(token), ..OrderQuery::default() };
    assert_invalid(d.orders.orders(of_orders).await, "page_token");
}

/// A page has 1 to [`Query::PAGE_MAX`] books or orders; other sizes are [`Error::Invalid`](crate::Error::Invalid).
///
/// A size is refused rather than lowered to the limit: a client that counts on larger pages must learn that.
pub(super) async fn rejects_page_sizes_out_of_range(d: Deployment) {
    d.add_book(1).await;
    for page_size in [0, Query::PAGE_MAX + 1, u32::MAX] {
        let query = Query { page_size: Some(page_size), ..Query::default() };
        assert_invalid(d.catalog.search(query).await, "page_size");
        let query = OrderQuery { page_size: Some(page_size), ..OrderQuery::default() };
        assert_invalid(d.orders.orders(query).await, "page_size");
    }
    let query = Query { page_size: Some(Query::PAGE_MAX), ..Query::default() };
    assert_eq!(d.catalog.search(query).await.map(|page| page.books.len()), Ok(1));
}

/// Whatever the page size, the pages together show every topic once, by name or the largest first.
///
/// Topics with as many books are in the order of their names, so that a page can go on between them.
pub(super) async fn shows_every_topic_once_in_every_sort(d: Deployment) {
    let on = |n: usize| NewBook {
        text: BookText {
            topic: format!("{} {}", ["b", "A", "Ü"][n % 3], n % 23 % 11), ..book(&n.to_string(), 1).text
        },
        ..book("", 1)
    };
    d.add_books((0..70).map(on).collect()).await;
    for sort in [TopicSort::Name, TopicSort::Books] {
        let read_all = async |size: u32| {
            let (mut all, mut query) = (Vec::new(), TopicQuery { sort, page_size: Some(size), page_token: None });
            loop {
                let page = d.catalog.topics(query.clone()).await.expect("a good query");
                assert_eq!((page.total_topics, page.total_books), (33, 70), "{query:?}");
                assert!(page.topics.len() == size as usize || page.next_page_token.is_none(), "{query:?}");
                all.extend(page.topics);
                let Some(token) = page.next_page_token else { return all };
                query.page_token = Some(token);
            }
        };
        let at_once = read_all(1000).await;
        let in_order = at_once.windows(2).all(|pair| {
            let (a, b) = (&pair[0], &pair[1]);
            let by_name = a.topic.to_ascii_lowercase() < b.topic.to_ascii_lowercase();
            if sort == TopicSort::Name { by_name } else { a.books > b.books || (a.books == b.books && by_name) }
        });
        assert!(in_order && at_once.len() == 33, "{at_once:?}");
        for size in [1, 7, 11, 33, 34] {
            assert_eq!(read_all(size).await, at_once, "{size} a page");
        }
    }
}

/// A page of topics has 1 to [`TopicQuery::PAGE_MAX`] of them, and a token is good for its own order only.
pub(super) async fn rejects_bad_queries_for_topics(d: Deployment) {
    d.add_books(many_alike(3)).await;
    d.add_books(vec![book("Stranger", 10)]).await;
    for size in [0, TopicQuery::PAGE_MAX + 1, u32::MAX] {
        let query = TopicQuery { page_size: Some(size), ..TopicQuery::default() };
        assert_invalid(d.catalog.topics(query).await, "page_size");
    }
    let first = TopicQuery { page_size: Some(1), ..TopicQuery::default() };
    let token = d.catalog.topics(first.clone()).await.expect("a good query").next_page_token;
    let other = TopicQuery { sort: TopicSort::Books, page_token: token.clone(), ..first.clone() };
    assert_invalid(d.catalog.topics(other).await, "page_token");
    assert_invalid(d.catalog.search(Query { page_token: token, ..Query::default() }).await, "page_token");
    let nonsense = TopicQuery { page_token: Some("nonsense".into()), ..first };
    assert_invalid(d.catalog.topics(nonsense).await, "page_token");
}

/// A page ends before its JSON is longer than [`PAGE_BYTES_MAX`], and its token leads to the rest.
///
/// A transport that fails here has too small a limit for answers; a service that cuts pages by number alone gives
/// strangers answers of many times that length.
pub(super) async fn ends_pages_of_long_texts_early(d: Deployment) {
    let long = |n: usize, length: usize| format!("{n:03}{}", "\u{1F4DA}".repeat(length - 3));
    let longest = |n: usize| NewBook {
        text: BookText {
            title: long(n, BookText::TITLE_MAX),
            authors: vec![long(n, BookText::FIELD_MAX)],
            topic: long(n, BookText::FIELD_MAX),
            subjects: (0..BookText::SUBJECTS_MAX).map(|s| long(s, BookText::FIELD_MAX)).collect(),
            ..BookText::default()
        },
        ..book("", 1)
    };
    for n in 0..40 {
        d.add_books(vec![longest(n)]).await;
    }
    let (mut found, mut query) = (Vec::new(), Query { page_size: Some(Query::PAGE_MAX), ..Query::default() });
    loop {
        let facets = Facet::ALL.to_vec();
        let page = d.catalog.search(Query { facets, ..query.clone() }).await.expect("a page of an acceptable length");
        let json = serde_json::to_string(&page).expect("JSON").len();
        assert!(json <= PAGE_BYTES_MAX, "{json} bytes");
        assert!(page.books.len() >= 8 || page.next_page_token.is_none(), "only {} books", page.books.len());
        found.extend(page.books.iter().map(|book| book.id.0));
        let Some(token) = page.next_page_token else { break };
        query.page_token = Some(token);
    }
    assert_eq!(found, (1..=40).collect::<Vec<_>>());
    let topics = d.catalog.topics(TopicQuery::default()).await.expect("topics can be read");
    assert_eq!((topics.topics.len(), topics.total_topics), (40, 40));
}

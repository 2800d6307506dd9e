//! Finding books: [`search`](crate::CatalogService::search) and [`topics`](crate::CatalogService::topics).
//!
//! The cases say what a query finds, not how: a full-text engine, an index of one's own and a scan may all pass. They
//! leave open whether diacritics count (`Alike` and `Älike`), and how books are ordered whose best match is in the same
//! field.

use super::support::assert_invalid;
use crate::{
    book::{BookId, BookText, NewBook, Topic},
    conformance::deployment::Deployment,
    fixtures::{book, cents, lines, order_id},
    order::{Actor, OrderId},
    page::{Facet, FacetCount, Period, Query, Sort, SuggestQuery},
    request::OrderAction,
    topics::{TopicPage, TopicQuery},
};

/// A book of this topic, with words that other books have too.
fn on(topic: &str, title: &str) -> NewBook {
    let book = book(title, 10);
    NewBook { text: BookText { topic: topic.into(), ..book.text }, ..book }
}

/// A book with these words in title, author and subjects.
fn saying(title: &str, author: &str, subjects: &[&str]) -> NewBook {
    let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let book = book(title, 10);
    NewBook { text: BookText { authors: vec![author.into()], subjects, ..book.text }, ..book }
}

impl Deployment {
    /// The numbers of the books found, in the order of the answer. They must fit one page.
    async fn found(&self, query: Query) -> Vec<u64> {
        let page = self.catalog.search(query.clone()).await;
        let page = page.unwrap_or_else(|error| panic!("{query:?} must be answered, not {error:?}"));
        assert_eq!(page.next_page_token, None, "{query:?} fits one page");
        page.books.iter().map(|book| book.id.0).collect()
    }

    /// The numbers of the books that match these words, sorted by number.
    async fn found_by_words(&self, words: &str) -> Vec<u64> {
        let mut found = self.found(Query::words(words)).await;
        found.sort_unstable();
        found
    }

    /// Asserts that each of these queries matches these books.
    async fn assert_found(&self, expected: &[(&str, &[u64])]) {
        for (words, books) in expected {
            assert_eq!(self.found_by_words(words).await, *books, "{words:?}");
        }
    }
}

/// A topic matches as a whole, in any case and however its spaces are made. An empty topic is none, and finds all
/// books.
///
/// A store that fails here splits the topic into words, or hands `%`, `*` and `_` to a pattern match.
pub(super) async fn finds_by_topic(d: Deployment) {
    d.add_books(vec![on("distributed systems", "A"), on("undergraduate school", "B"), on("distributed systems", "C")])
        .await;
    assert_eq!(d.found(Query::topic("distributed systems")).await, [1, 3]);
    assert_eq!(d.found(Query::topic("  Distributed \u{a0}SYSTEMS ")).await, [1, 3]);
    assert_eq!(d.found(Query::topic("undergraduate school")).await, [2]);
    assert_invalid(d.catalog.search(Query::author("é".repeat(Query::NAME_MAX + 1))).await, "author");
    for other in ["distributed", "systems", "distributedsystems", "%", "distributed_systems", "*", "'", "\0"] {
        assert_eq!(d.found(Query::topic(other)).await, [0; 0], "a topic matches as a whole, {other:?} does not");
    }
    assert_eq!(d.found(Query::topic(" ")).await, [1, 2, 3], "an empty topic is none");
    assert_eq!(d.found(Query::default()).await, [1, 2, 3]);
}

/// A word of the query matches the beginning of a word in title, author or subjects, in any case; punctuation separates
/// words.
///
/// The query is no substring: `pcs` does not find `RPCs`. Numbers inside a word such as `x86-64` are words too, and so
/// is what follows an apostrophe.
pub(super) async fn finds_by_beginnings_of_words(d: Deployment) {
    d.add_books(vec![
        saying("RPCs for Noobs", "Grace Hopper", &["remote calls"]),
        saying("Xen and the Art of Surviving", "Alan O'Turing", &["Xen", "x86-64"]),
        saying("Naming", "Hopper, G.", &["post-graduate"]),
    ])
    .await;
    d.assert_found(&[
        ("rpcs", &[1]),
        ("RPC", &[1]),
        ("n", &[1, 3]),
        ("hopper", &[1, 3]),
        ("grace", &[1]),
        ("grad", &[3]),
        ("calls", &[1]),
        ("pcs", &[]),
        ("ing", &[]),
        ("x86", &[2]),
        ("64", &[2]),
        ("turing", &[2]),
        ("  the \t", &[2]),
        ("rpcsxyz", &[]),
    ])
    .await;
}

/// A book must have all words of the query, in any of its fields and in any order.
///
/// The same word twice counts once, and a word may match in one field while another word matches in another field.
pub(super) async fn finds_only_what_has_all_words(d: Deployment) {
    d.add_books(vec![
        saying("Alpha beta", "Gamma", &["delta"]),
        saying("Alpha", "Beta", &[]),
        saying("Beta", "Nobody", &["alpha", "gamma rays"]),
        saying("Delta", "Nobody", &["gamut"]),
    ])
    .await;
    d.assert_found(&[
        ("alpha beta", &[1, 2, 3]),
        ("beta alpha", &[1, 2, 3]),
        ("alpha gamma", &[1, 3]),
        ("alpha,gamma;delta", &[1]),
        ("alpha alpha alp", &[1, 2, 3]),
        ("del gam nob", &[4]),
        ("alpha missing", &[]),
    ])
    .await;
}

/// Words and topic must both match. Words do not match the topic.
///
/// A store that searches one index of all texts must leave the topic out of it, or the topic would be found as a word.
pub(super) async fn finds_by_words_within_a_topic(d: Deployment) {
    d.add_books(vec![
        on("gastronomy", "Impatient cook"),
        on("systems", "Impatient system"),
        on("gastronomy", "Patient cook"),
    ])
    .await;
    let query = Query { topic: Some("Gastronomy".into()), ..Query::words("impatient") };
    assert_eq!(d.found(query).await, [1]);
    let query = Query { topic: Some("nothing".into()), ..Query::words("impatient") };
    assert_eq!(d.found(query).await, [0; 0]);
    assert_eq!(d.found_by_words("gastronomy").await, [0; 0], "a topic is not searched for words");
}

/// Each author of a book is one: found, counted and filtered by. Words of subtitle, publisher and description are found, those of
/// the subtitle as those of the title, the others last.
pub(super) async fn finds_each_author_and_the_later_fields(d: Deployment) {
    let by = |title: &str, authors: &[&str]| {
        let book = book(title, 1);
        let authors = authors.iter().map(|author| (*author).to_owned()).collect();
        NewBook { text: BookText { authors, ..book.text }, ..book }
    };
    let (first, second, third) =
        (by("One", &["Roe, Ada", "Doe"]), by("Two", &["doe"]), by("Three", &["Ray; Roe, Ada"]));
    let described = |book: NewBook, text: BookText| {
        let BookText { title, authors, topic, .. } = book.text;
        NewBook { text: BookText { title, authors, topic, ..text }, ..book }
    };
    let zebra = |text| described(by("Four", &["None"]), text);
    d.add_books(vec![
        first,
        second,
        third,
        zebra(BookText { description: "Striped:\n\nZebras.".into(), ..BookText::default() }),
        described(by("Five", &["None"]), BookText { subjects: vec!["zebras".into()], ..BookText::default() }),
        described(by("Six", &["None"]), BookText { subtitle: "a zebra".into(), ..BookText::default() }),
        described(by("Seven", &["None"]), BookText { publisher: "Zebra House".into(), ..BookText::default() }),
    ])
    .await;
    assert_eq!(d.found(Query::author("doe")).await, [1, 2]);
    assert_eq!(d.found(Query::author("Roe, Ada")).await, [1, 3]);
    assert_eq!(d.found(Query::author("Roe, Ada; Doe")).await, [0; 0], "two names are nobody's");
    assert_eq!(d.found(Query::words("ada doe")).await, [1]);
    let page = d.catalog.search(Query { facets: vec![Facet::Author], ..Query::default() }).await.expect("found");
    let counted = page.facets.and_then(|facets| facets.author).expect("asked for");
    let counted: Vec<_> = counted.iter().map(|count| (&count.value[..], count.books)).collect();
    assert_eq!(counted, [("None", 4), ("Doe", 2), ("Roe, Ada", 2), ("Ray", 1)]);
    let page = d.catalog.search(Query::words("zebra")).await.expect("found");
    let order: Vec<u64> = page.books.iter().map(|book| book.id.0).collect();
    assert_eq!(order[..2], [6, 5], "title or subtitle, then subjects: {order:?}");
    assert_eq!(order.len(), 4, "then description and publisher: {order:?}");
}

/// A match in the title comes before one in the author, and that before one in the subjects, however long the fields
/// are.
///
/// Usual full-text ranks weigh a match by the length of its field. This case has a very long title and very short
/// subjects, which such a rank puts in the wrong order.
pub(super) async fn ranks_title_over_author_over_subjects(d: Deployment) {
    let long = "a subject of many words that go on and on";
    let endless = format!("{}near whose end there is a ledger", "A title of many words, ".repeat(40));
    d.add_books(vec![
        saying("One", "", &["ledger"]),
        saying("Two", "Ledger", &[]),
        saying(&endless, "Nobody", &[long; 32]),
        saying("Four", &format!("{}, Ledger", "Nobody in particular".repeat(20)), &[long; 32]),
        saying("Ledger", "", &[]),
        saying("Six", "Nobody", &[long, "ledger"]),
    ])
    .await;
    let found = d.found(Query::words("ledger")).await;
    let field_of = |id: &u64| match id {
        3 | 5 => "title",
        2 | 4 => "author",
        _ => "subjects",
    };
    let fields: Vec<_> = found.iter().map(field_of).collect();
    assert_eq!(fields, ["title", "title", "author", "author", "subjects", "subjects"], "{found:?}");
}

/// The syntax of a full-text engine or of SQL is plain text in a query: it neither fails nor changes the meaning.
///
/// A store that fails here puts the query into the language of its engine without quoting each word. A NUL character
/// must not end the query.
pub(super) async fn takes_query_syntax_as_plain_words(d: Deployment) {
    d.add_books(vec![
        book("AND OR NOT near title quote", 10),
        book("Robert'); DROP TABLE book;--", 10),
        book("100 % C++ * \"q\"", 10),
    ])
    .await;
    d.assert_found(&[
        ("AND", &[1]),
        ("OR NOT", &[1]),
        ("quote OR missing", &[]),
        ("NEAR(and, title)", &[1]),
        ("title: quote", &[1]),
        ("title:quote", &[1]),
        ("{title author}: quote", &[1]),
        ("-quote", &[1]),
        ("^and", &[1]),
        ("quo*", &[1]),
        ("\"quote", &[1]),
        ("quote\"", &[1]),
        ("'quote'", &[1]),
        ("(quote", &[1]),
        ("quote)", &[1]),
        ("Robert'); DROP TABLE book;--", &[2]),
        ("100%", &[3]),
        ("c++", &[3]),
        ("qu\0ote", &[]),
        ("quote\\", &[1]),
    ])
    .await;
}

/// A query of punctuation alone matches no book; a query of spaces alone asks for no words, and matches all.
///
/// A store that fails here leaves out the words it cannot use, and then answers a query without words, which finds
/// everything.
pub(super) async fn finds_nothing_by_punctuation(d: Deployment) {
    d.add_books(vec![book("100 % C++ * \"q\"", 10)]).await;
    for words in ["%", "*", "\"", "\"\"", "''", "()", "-", "+ +", "^:{}", "\0", "…", "\u{200b}"] {
        assert_eq!(d.found_by_words(words).await, [0; 0], "{words:?} is not a word");
    }
    for none in ["", "  ", "\t"] {
        assert_eq!(d.found_by_words(none).await, [1], "{none:?} does not ask for words");
    }
}

/// Words and topic may have [`Query::TEXT_MAX`] characters; more are [`Error::Invalid`](crate::Error::Invalid).
///
/// The limit counts characters. At the limit a query may have a hundred words, and the store must be able to search for
/// them at once.
pub(super) async fn rejects_what_is_too_long(d: Deployment) {
    d.add_books(vec![book("Short", 10)]).await;
    let (long, longest) = ("é".repeat(Query::TEXT_MAX + 1), "é".repeat(Query::TEXT_MAX));
    assert_invalid(d.catalog.search(Query::words(&long)).await, "q");
    assert_invalid(d.catalog.search(Query::topic(&long)).await, "topic");
    assert_eq!(d.found(Query::words(&longest)).await, [0; 0]);
    assert_eq!(d.found(Query::words("a ".repeat(Query::TEXT_MAX / 2))).await, [1; 1], "the author begins with it");
    assert_eq!(d.found(Query::topic(&longest)).await, [0; 0]);
}

/// A filter leaves out what is sold out or does not cost or is not what was asked for, by the stock and the price of now.
///
/// A store that keeps stock or prices in an index of its own fails here, and one that takes a book without a year for a very old one.
pub(super) async fn filters_by_what_a_book_is_now(d: Deployment) {
    let by = |author: &str, year: Option<i32>, price: u64, stock: u32| NewBook {
        text: BookText { authors: vec![author.into()], year, ..book(&format!("{author} {year:?} {price}"), 1).text },
        price_cents: cents(price),
        stock,
    };
    d.add_books(vec![
        by("Zoë Roe", Some(1999), 100, 1),
        by("Roe", Some(2001), 200, 5),
        by("zoë roe", None, 300, 0),
        by("ZOË ROE", Some(-5), 400, 5),
    ])
    .await;
    assert_eq!(d.found(Query::author("ZOË roe")).await, [1, 3, 4], "the whole name, in any case");
    assert_eq!(d.found(Query { in_stock: true, ..Query::author("Zoë Roe") }).await, [1, 4]);
    assert_eq!(d.found(Query::author("nobody")).await, [0; 0]);
    assert_eq!(d.found(Query { year_min: Some(1999), ..Query::default() }).await, [1, 2]);
    assert_eq!(d.found(Query { year_max: Some(1999), ..Query::words("roe") }).await.len(), 2);
    assert_eq!(d.found(Query { year_min: Some(2001), year_max: Some(1999), ..Query::default() }).await, [0; 0]);
    let between = Query { price_min: Some(cents(200)), price_max: Some(cents(300)), ..Query::default() };
    assert_eq!(d.found(between.clone()).await, [2, 3]);
    let bought = d.buy(BookId(1), 1).await;
    bought.expect("there is one");
    d.set_price(BookId(4), 250).await;
    assert_eq!(d.found(Query { in_stock: true, ..Query::default() }).await, [2, 4]);
    assert_eq!(d.found(between).await, [2, 3, 4]);
    assert_eq!(d.found(Query { topic: Some("TESTING".into()), in_stock: true, ..Query::words("zoë") }).await, [4]);
}

/// The total is that of all pages, and facets count all books that are found, whatever the page: the values with the most
/// books first, spelled as in the book that was added first, at most [`FacetCount::MAX`].
pub(super) async fn counts_what_is_found(d: Deployment) {
    let of = |n: usize| {
        let authors = vec![["Ada", "ada", "Bob", ""][n % 4].to_owned()];
        let text =
            BookText { authors, year: i32::try_from(1900 + n).ok(), ..on(["Ärzte", "ärzte"][n % 2], "Counted").text };
        NewBook { text: BookText { title: format!("Counted {n}"), ..text }, ..book("", 1) }
    };
    d.add_books((0..30).map(of).collect()).await;
    let query = Query { facets: Facet::ALL.to_vec(), page_size: Some(3), ..Query::words("counted") };
    let page = d.catalog.search(query.clone()).await.expect("found");
    let count = |value: &str, books| FacetCount { value: value.into(), books };
    let facets = page.facets.expect("asked for");
    assert_eq!((page.books.len(), page.total), (3, 30));
    assert_eq!(facets.topic, Some(vec![count("Ärzte", 30)]));
    assert_eq!(facets.author, Some(vec![count("Ada", 16), count("Bob", 7)]));
    let years = facets.year.expect("asked for");
    assert_eq!((years.len(), &years[0]), (FacetCount::MAX, &count("1900", 1)), "as many as there may be, in order");
    let next = Query { page_token: page.next_page_token, facets: vec![Facet::Author], author: None, ..query };
    let page = d.catalog.search(next).await.expect("a token is good for other facets");
    assert_eq!((page.total, page.facets.expect("asked for").topic), (30, None));
    let none = Query { facets: vec![Facet::Topic], ..Query::author("nobody") };
    let page = d.catalog.search(none).await.expect("an answer");
    assert_eq!((page.total, page.facets.expect("asked for").topic), (0, Some(Vec::new())));
    assert_eq!(d.catalog.search(Query::default()).await.expect("all").facets, None, "not asked for");
}

/// The best sellers are the books of which most copies were sold, as soon as a purchase was answered. What came back does not count, and
/// what is held counts once the order is placed.
///
/// A catalog that counts orders and not copies fails here, one that counts a hold or its lapse, and one that lags behind its own answers.
pub(super) async fn lists_best_sellers(d: Deployment) {
    let office: Option<Actor> = Some("office".parse().expect("a name"));
    let books = d.add_books((1..=6).map(|n| book(&format!("Book {n}"), 50)).collect()).await;
    let change = async |order: OrderId, action| {
        d.orders.change(order, action, office.clone()).await.expect("it is allowed");
    };
    let hold = async |at: usize, copies| {
        let (order, lines) = (order_id(), lines(&[(books[at], copies)]));
        change(order, OrderAction::Hold { lines, seconds: 600, reference: None, contact: None }).await;
        order
    };
    assert_eq!(d.found(Query::best_sellers(Period::Ever)).await, [0; 0], "nothing was sold");
    let mut first = None;
    for (at, copies) in [(0, 2), (1, 7), (2, 3), (2, 3), (4, 9)] {
        let bought = d.buy(books[at], copies).await.expect("there are enough");
        first.get_or_insert(bought.order.id);
        if at == 4 {
            d.orders.cancel(bought.order.id).await.expect("it was placed");
        }
    }
    let (confirmed, released, _held) = (hold(0, 6).await, hold(3, 20).await, hold(5, 30).await);
    for period in Period::ALL {
        assert_eq!(d.found(Query::best_sellers(period)).await, [2, 3, 1], "{period}");
    }
    change(confirmed, OrderAction::Confirm).await;
    change(released, OrderAction::Cancel).await;
    assert_eq!(d.found(Query::best_sellers(Period::Week)).await, [1, 2, 3]);
    let back = lines(&[(books[0], 2)]);
    change(first.expect("one was"), OrderAction::Return { lines: back, key: order_id() }).await;
    assert_eq!(d.found(Query::best_sellers(Period::Week)).await, [2, 1, 3], "two came back, in an order of their own");
    let sold = Query { sold: Some(Period::Month), sort: Sort::Title, ..Query::words("book") };
    assert_eq!(d.found(sold).await, [1, 2, 3], "the time is a filter in every order");
    let all = Query { sort: Sort::BestSelling, ..Query::topic("testing") };
    assert_eq!(d.found(all).await, [2, 1, 3, 4, 5, 6], "what was not sold comes last");
    let page =
        d.catalog.search(Query { page_size: Some(2), ..Query::best_sellers(Period::Year) }).await.expect("found");
    let next = Query { page_token: page.next_page_token, ..Query::best_sellers(Period::Year) };
    assert_eq!((page.total, d.found(next.clone()).await), (3, vec![3]));
    assert_invalid(d.catalog.search(Query { sold: Some(Period::Week), ..next }).await, "page_token");
}

/// Titles, authors and topics are suggested that begin as what was typed, letters folded; at most as many as were asked for.
pub(super) async fn suggests_what_begins_so(d: Deployment) {
    let by = |title: &str, author: &str, topic: &str| {
        let text = BookText { authors: vec![author.into()], topic: topic.into(), ..book(title, 1).text };
        NewBook { text, ..book(title, 1) }
    };
    d.add_books(vec![
        by("The Łódź Notebook", "Roe, Ada", "Lodging"),
        by("Lodestar", "Lodge, Zoë", "Systems"),
        by("Zoo", "Lodge, Zoë", "Zoology"),
    ])
    .await;
    let suggest = async |text: &str, limit| {
        let query = SuggestQuery { text: text.into(), limit };
        let found = d.catalog.suggest(query).await.expect("a good query");
        (found.titles.into_iter().map(|title| title.id.0).collect::<Vec<_>>(), found.authors, found.topics)
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    assert_eq!(suggest("LÓD", None).await, (vec![2, 1], words(&["Lodge, Zoë"]), words(&["Lodging"])));
    assert_eq!(suggest("zo", Some(1)).await, (vec![3], words(&["Lodge, Zoë"]), words(&["Zoology"])));
    assert_eq!(suggest("ada r", None).await, (vec![], words(&["Roe, Ada"]), vec![]));
    assert_eq!(suggest(" ", None).await, (vec![], vec![], vec![]));
    let long = SuggestQuery { text: "é".repeat(Query::TEXT_MAX + 1), limit: None };
    assert_invalid(d.catalog.suggest(long).await, "q");
    assert_invalid(d.catalog.suggest(SuggestQuery { text: "a".into(), limit: Some(11) }).await, "limit");
}

/// A page shows every book with the price and the stock that `info` shows.
///
/// A store whose index keeps the price or the stock of the day it was built fails here.
pub(super) async fn shows_current_price_and_stock(d: Deployment) {
    let book = d.add_books(vec![book("Changing", 10)]).await[0];
    d.buy(book, 3).await.expect("there are ten");
    let amended = d.set_price(book, 777).await;
    let page = d.catalog.search(Query::words("changing")).await.expect("found");
    assert_eq!((amended.price_cents, amended.stock), (cents(777), 7));
    assert_eq!(page.books, [amended]);
    assert_eq!(page.books, [d.info(book).await]);
}

/// `topics` counts the books of every topic. It takes the first spelling, ignores case beyond ASCII, sorts by name, and counts
/// books without stock too.
///
/// The spelling that is shown is that of the book with the lowest number. Names are sorted without regard to case, by
/// their characters and not by a language.
pub(super) async fn counts_topics(d: Deployment) {
    let topics = async || d.catalog.topics(TopicQuery::default()).await.expect("topics can be read");
    assert_eq!(topics().await, TopicPage::default());
    let listed = [
        ("Systems", "A"),
        ("cooking", "B"),
        ("systems", "C"),
        ("über alles", "D"),
        ("Cooking", "E"),
        ("SYSTEMS", "F"),
        ("ÜBER ALLES", "G"),
    ];
    d.add_books(listed.into_iter().map(|(topic, title)| on(topic, title)).collect()).await;
    let topic = |topic: &str, books| Topic { topic: topic.into(), books };
    let expected = TopicPage {
        topics: vec![topic("cooking", 2), topic("Systems", 3), topic("über alles", 2)],
        next_page_token: None,
        total_topics: 3,
        total_books: 7,
    };
    assert_eq!(topics().await, expected);
    d.buy(BookId(2), 10).await.expect("there are ten");
    assert_eq!(topics().await, expected, "a sold-out book is still a book");
}

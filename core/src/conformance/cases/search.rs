//! Finding books: [`search`](crate::CatalogService::search) and [`topics`](crate::CatalogService::topics).

use super::support::assert_invalid;
use crate::{
    book::{BookId, BookText, NewBook, Topic},
    conformance::deployment::Deployment,
    fixtures::{book, cents},
    page::Query,
};

/// A book of a topic.
fn on(topic: &str, title: &str) -> NewBook {
    let book = book(title, 10);
    NewBook { text: BookText { topic: topic.into(), ..book.text }, ..book }
}

/// A book of these words.
fn saying(title: &str, author: &str, subjects: &[&str]) -> NewBook {
    let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
    let book = book(title, 10);
    NewBook { text: BookText { author: author.into(), subjects, ..book.text }, ..book }
}

impl Deployment {
    /// The numbers of the books found, as they were sorted.
    async fn found(&self, query: Query) -> Vec<u64> {
        let page = self.catalog.search(query.clone()).await;
        let page = page.unwrap_or_else(|error| panic!("{query:?} must be answered, not {error:?}"));
        assert_eq!(page.next_page_token, None, "{query:?} fits one page");
        page.books.iter().map(|book| book.id.0).collect()
    }

    async fn found_by_words(&self, words: &str) -> Vec<u64> {
        let mut found = self.found(Query::words(words)).await;
        found.sort_unstable();
        found
    }
}

/// A topic matches as a whole, in any case and without the spaces around it. An empty topic is none, and finds all
/// books.
pub(super) async fn finds_by_topic(d: Deployment) {
    d.add_books(vec![on("distributed systems", "A"), on("undergraduate school", "B"), on("distributed systems", "C")])
        .await;
    assert_eq!(d.found(Query::topic("distributed systems")).await, [1, 3]);
    assert_eq!(d.found(Query::topic("  Distributed SYSTEMS ")).await, [1, 3]);
    assert_eq!(d.found(Query::topic("undergraduate school")).await, [2]);
    for other in ["distributed", "systems", "distributed  systems", "%", "distributed_systems", "*", "'", "\0"] {
        assert_eq!(d.found(Query::topic(other)).await, [0; 0], "a topic matches as a whole, {other:?} does not");
    }
    assert_eq!(d.found(Query::topic(" ")).await, [1, 2, 3], "an empty topic is none");
    assert_eq!(d.found(Query::default()).await, [1, 2, 3]);
}

/// A word of the query matches the beginning of a word in title, author or subjects, in any case; punctuation separates
/// words.
pub(super) async fn finds_by_beginnings_of_words(d: Deployment) {
    d.add_books(vec![
        saying("RPCs for Noobs", "Grace Hopper", &["remote calls"]),
        saying("Xen and the Art of Surviving", "Alan O'Turing", &["Xen", "x86-64"]),
        saying("Naming", "Hopper, G.", &["post-graduate"]),
    ])
    .await;
    let expected: [(&str, &[u64]); 14] = [
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
        ("rpcsx", &[]),
    ];
    for (words, books) in expected {
        assert_eq!(d.found_by_words(words).await, books, "{words:?}");
    }
}

/// A book must have all words of the query, in any of its fields and in any order.
pub(super) async fn finds_only_what_has_all_words(d: Deployment) {
    d.add_books(vec![
        saying("Alpha beta", "Gamma", &["delta"]),
        saying("Alpha", "Beta", &[]),
        saying("Beta", "Nobody", &["alphabet", "gamma rays"]),
    ])
    .await;
    let expected: [(&str, &[u64]); 6] = [
        ("alpha beta", &[1, 2, 3]),
        ("beta alpha", &[1, 2, 3]),
        ("alpha gamma", &[1, 3]),
        ("alpha,gamma;delta", &[1]),
        ("alpha alpha alp", &[1, 2, 3]),
        ("alpha missing", &[]),
    ];
    for (words, books) in expected {
        assert_eq!(d.found_by_words(words).await, books, "{words:?}");
    }
}

/// Words and topic must both match. Words do not match the topic.
pub(super) async fn finds_by_words_within_a_topic(d: Deployment) {
    d.add_books(vec![
        on("cooking", "Impatient cook"),
        on("systems", "Impatient system"),
        on("cooking", "Patient cook"),
    ])
    .await;
    let query = Query { topic: Some("Cooking".into()), ..Query::words("impatient") };
    assert_eq!(d.found(query).await, [1]);
    let query = Query { topic: Some("nothing".into()), ..Query::words("impatient") };
    assert_eq!(d.found(query).await, [0; 0]);
    assert_eq!(d.found_by_words("cooking").await, [0; 0], "a topic is not searched for words");
}

/// A match in the title comes before one in the author, and that before one in the subjects, however long the fields
/// are.
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
pub(super) async fn takes_query_syntax_as_plain_words(d: Deployment) {
    d.add_books(vec![
        book("AND OR NOT near title quote", 10),
        book("Robert'); DROP TABLE book;--", 10),
        book("100 % C++ * \"q\"", 10),
    ])
    .await;
    let expected: [(&str, &[u64]); 20] = [
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
    ];
    for (words, books) in expected {
        assert_eq!(d.found_by_words(words).await, books, "{words:?}");
    }
}

/// A query of punctuation alone matches no book; a query of spaces alone asks for no words, and matches all.
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
pub(super) async fn rejects_what_is_too_long(d: Deployment) {
    d.add_books(vec![book("Short", 10)]).await;
    let (long, longest) = ("é".repeat(Query::TEXT_MAX + 1), "é".repeat(Query::TEXT_MAX));
    assert_invalid(d.catalog.search(Query::words(&long)).await, "q");
    assert_invalid(d.catalog.search(Query::topic(&long)).await, "topic");
    assert_eq!(d.found(Query::words(&longest)).await, [0; 0]);
    assert_eq!(d.found(Query::words("a ".repeat(Query::TEXT_MAX / 2))).await, [1; 1], "the author begins with it");
    assert_eq!(d.found(Query::topic(&longest)).await, [0; 0]);
}

/// A page shows every book with the price and the stock that `info` shows.
pub(super) async fn shows_current_price_and_stock(d: Deployment) {
    let book = d.add_books(vec![book("Changing", 10)]).await[0];
    d.buy(book, 3).await.expect("there are ten");
    let amended = d.set_price(book, 777).await;
    let page = d.catalog.search(Query::words("changing")).await.expect("found");
    assert_eq!((amended.price_cents, amended.stock), (cents(777), 7));
    assert_eq!(page.books, [amended]);
    assert_eq!(page.books, [d.info(book).await]);
}

/// `topics` counts the books of every topic. It takes the first spelling, ignores case, sorts by name, and counts books
/// without stock too.
pub(super) async fn counts_topics(d: Deployment) {
    assert_eq!(d.catalog.topics().await, Ok(Vec::new()));
    let listed =
        [("Systems", "A"), ("cooking", "B"), ("systems", "C"), ("über alles", "D"), ("Cooking", "E"), ("SYSTEMS", "F")];
    d.add_books(listed.into_iter().map(|(topic, title)| on(topic, title)).collect()).await;
    let topic = |topic: &str, books| Topic { topic: topic.into(), books };
    assert_eq!(d.catalog.topics().await, Ok(vec![topic("cooking", 2), topic("Systems", 3), topic("über alles", 1)]));
    d.buy(BookId(2), 10).await.expect("there are ten");
    assert_eq!(d.catalog.topics().await.map(|topics| topics.len()), Ok(3), "a sold-out book is still a book");
}

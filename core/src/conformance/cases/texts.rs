//! Corrections of texts, and taking books off sale: [`amend`](crate::CatalogService::amend) with [`Amend::Revise`],
//! [`Amend::Withdraw`] and [`Amend::Relist`].

use super::support::assert_invalid;
use crate::{
    book::{Amend, Book, BookId, BookText, Condition, NewBook, Text},
    conformance::deployment::Deployment,
    error::{Error, Result},
    fixtures::{book, isbn, lines, order_id},
    ledger::{Kind, Seq},
    order::{Actor, Status},
    page::{Facet, Query, SuggestQuery},
    quote::Quote,
    request::OrderAction,
    topics::TopicQuery,
};

fn revise(text: BookText, text_version: Seq) -> Amend {
    Amend::Revise { text: Box::new(text), text_version: Some(text_version) }
}

fn titled(title: &str) -> BookText {
    book(title, 1).text
}

fn office() -> Option<Actor> {
    Some("office".parse().expect("a name"))
}

impl Deployment {
    /// Replaces a text that was just read.
    async fn revise(&self, id: BookId, text: BookText) -> Result<Book> {
        let seen = self.info(id).await.text_version;
        self.catalog.amend(id, revise(text, seen), None, None).await
    }

    async fn withdraw(&self, id: BookId) -> Book {
        self.catalog.amend(id, Amend::Withdraw, None, None).await.expect("any book can be withdrawn")
    }

    async fn titles(&self, query: Query) -> Vec<String> {
        let page = self.catalog.search(query).await.expect("a good query");
        assert_eq!(page.total, page.books.len() as u64);
        page.books.iter().map(|book| book.text.title().to_owned()).collect()
    }
}

/// A revision replaces every field of the text, in its normal form, and changes neither stock nor price.
///
/// Fields that the new text does not have are gone. A text outside its limits is refused as when a book is added.
pub(super) async fn replace_every_field(d: Deployment) {
    let id = d.add_book(5).await;
    let before = d.info(id).await;
    assert_eq!((before.text_version, before.on_sale), (before.version, true));
    let full = BookText {
        title: "  The\u{a0}Right Title ".into(),
        authors: vec!["García Márquez".into()],
        topic: "novels".into(),
        isbn: Some(isbn(7)),
        year: Some(1967),
        subjects: vec!["solitude".into(), "C++".into()],
        subtitle: "a novel".into(),
        sku: "17".into(),
        condition: Condition::Fine,
        publisher: "Nobody".into(),
        language: "es".into(),
        format: "Paperback".into(),
        description: "Years.\nMany.".into(),
    };
    let revised = d.revise(id, full.clone()).await.expect("a good text");
    let text = BookText { title: "The Right Title".into(), authors: vec!["García Márquez".into()], ..full };
    assert_eq!(BookText::from(&revised.text), text);
    assert_eq!((revised.stock, revised.price_cents), (before.stock, before.price_cents));
    assert_eq!((revised.version, revised.text_version), (d.head().await, d.head().await));
    assert_eq!(d.info(id).await, revised);
    let plain = d.revise(id, titled("Plain")).await.expect("a good text");
    assert_eq!(BookText::from(&plain.text), titled("Plain"));
    for (bad, field) in [
        (BookText { title: " ".into(), ..titled("x") }, "title"),
        (BookText { topic: String::new(), ..titled("x") }, "topic"),
        (BookText { year: Some(10_000), ..titled("x") }, "year"),
        (BookText { subjects: vec![String::new()], ..titled("x") }, "subjects"),
    ] {
        assert_invalid(d.revise(id, bad).await, field);
    }
    assert_eq!(d.info(id).await, plain);
}

/// The version of the text guards a revision: sales, stock and prices do not move it, another revision does.
///
/// Without it a revision is refused, so that no correction undoes another one unseen.
pub(super) async fn are_guarded_by_their_own_version(d: Deployment) {
    let id = d.add_book(5).await;
    let seen = d.info(id).await.text_version;
    d.buy(id, 1).await.expect("there are five");
    d.restock(id, 3).await.expect("a good delta");
    d.set_price(id, 700).await;
    let now = d.info(id).await;
    assert_eq!((now.text_version, now.version), (seen, Seq(4)));
    let none = Amend::Revise { text: Box::new(titled("x")), text_version: None };
    assert_eq!(d.catalog.amend(id, none, None, None).await, Err(Error::VersionRequired));
    let revised =
        d.catalog.amend(id, revise(titled("One"), seen), None, None).await.expect("nobody has changed the text");
    for stale in [seen, Seq(0), Seq(4), Seq(u64::MAX >> 1)] {
        let mismatch = Error::TextVersionMismatch { book: id, text_version: revised.text_version };
        assert_eq!(d.catalog.amend(id, revise(titled("Two"), stale), None, None).await, Err(mismatch));
    }
    d.buy(id, 1).await.expect("there are seven");
    let after = d.info(id).await;
    assert_eq!((after.text_version, after.text.title()), (revised.text_version, "One"));
    let missing = BookId(id.0 + 1);
    let refused = d.catalog.amend(missing, revise(titled("x"), seen), Some(order_id()), None).await;
    assert_eq!(refused, Err(Error::BookNotFound { book: missing }));
}

/// With a key a revision happens once; the answer shows the book as it is by then.
///
/// The version in a repetition is stale by its own doing, and does not count. Another text under the key is refused.
pub(super) async fn are_revised_once_under_a_key(d: Deployment) {
    let id = d.add_book(5).await;
    let (seen, key) = (d.info(id).await.text_version, order_id());
    let first = d.catalog.amend(id, revise(titled("First"), seen), Some(key), None).await.expect("a good text");
    let second = d.revise(id, titled("Second")).await.expect("a good text");
    let again = d.catalog.amend(id, revise(titled("First"), seen), Some(key), None).await.expect("it was done");
    assert_eq!((again.text.title(), again.version), ("Second", second.version));
    for other in [revise(titled("Other"), second.text_version), Amend::Withdraw, Amend::StockDelta { delta: 1 }] {
        let refused = d.catalog.amend(id, other, Some(key), None).await;
        assert_eq!(refused, Err(Error::OrderIdReused { order: key }));
    }
    let order = d.orders.purchase(key, lines(&[(id, 1)])).await;
    assert_eq!(order, Err(Error::OrderIdReused { order: key }));
    assert_eq!((first.version, d.head().await), (Seq(2), Seq(3)));
}

/// A revision may change what makes a book the same as another; every earlier identity still leads to it.
///
/// So an import of a line as it was before the correction finds the book that was corrected, and adds none.
pub(super) async fn lead_from_earlier_identities_to_the_book(d: Deployment) {
    let id = d.add_books(vec![book("Teh Book", 5)]).await[0];
    let with_isbn = BookText { isbn: Some(isbn(1)), ..titled("The Book") };
    for text in [titled("The Book"), with_isbn.clone(), titled("Teh Book"), with_isbn.clone()] {
        d.revise(id, text).await.expect("all of them are its own");
    }
    let head = d.head().await;
    for text in [titled("Teh Book"), titled("The Book"), with_isbn] {
        let again = d.catalog.add_books(vec![NewBook { text, ..book("", 9) }], None).await.expect("good books");
        assert_eq!((again[0].id, again[0].created), (id, false));
    }
    assert_eq!(d.head().await, head, "it is known");
    let other = d.add_books(vec![book("Another Book", 5)]).await[0];
    assert_eq!(other, BookId(2));
}

/// A revision that would make a book the same as another one, as that is or was called, is [`Error::BookExists`].
pub(super) async fn refuse_the_identity_of_another_book(d: Deployment) {
    let [one, two] = [book("One", 5), book("Two", 5)];
    let ids = d.add_books(vec![one.clone(), two.clone()]).await;
    d.revise(ids[0], titled("Uno")).await.expect("it is free");
    let head = d.head().await;
    for taken in ["One", "Uno", " Uno "] {
        assert_eq!(d.revise(ids[1], titled(taken)).await, Err(Error::BookExists { book: ids[0] }));
    }
    assert_eq!((d.head().await, d.info(ids[1]).await.text), (head, Text::from(&two.text)));
    let topic = BookText { topic: "elsewhere".into(), ..two.text };
    d.revise(ids[1], topic).await.expect("its own identity");
}

/// A revised book is found by its new words and not by its old ones, and counted under its new topic and author.
pub(super) async fn are_found_as_they_are_now(d: Deployment) {
    let ids = d.add_books(vec![book("Whales", 5), book("Owls", 5)]).await;
    let text = BookText { authors: vec!["Herman Melville".into()], topic: "novels".into(), ..titled("Moby Dick") };
    d.revise(ids[0], BookText { subjects: vec!["sea".into()], ..text }).await.expect("a good text");
    for (words, found) in [("whales", None), ("moby", Some("Moby Dick")), ("melville", Some("Moby Dick"))] {
        assert_eq!(d.titles(Query::words(words)).await.first().map(String::as_str), found, "{words}");
    }
    assert_eq!(d.titles(Query::words("sea")).await, ["Moby Dick"]);
    assert_eq!(d.titles(Query::topic("testing")).await, ["Owls"]);
    assert_eq!(d.titles(Query::author("herman melville")).await, ["Moby Dick"]);
    let topics = d.catalog.topics(TopicQuery::default()).await.expect("topics").topics;
    let topics: Vec<_> = topics.iter().map(|topic| (topic.topic.as_str(), topic.books)).collect();
    assert_eq!(topics, [("novels", 1), ("testing", 1)]);
}

/// Entries carry what they change: the whole text of a revision, and which text a relisted book has.
///
/// Whoever has followed the ledger has the shop, without asking anything else.
pub(super) async fn are_in_the_feed(d: Deployment) {
    let id = d.add_book(5).await;
    let key = order_id();
    let text = Text::from(titled("Revised"));
    d.revise(id, titled("Revised")).await.expect("a good text");
    d.catalog.amend(id, Amend::Withdraw, Some(key), None).await.expect("withdrawn");
    d.revise(id, titled("Unseen")).await.expect("a good text");
    d.catalog.amend(id, Amend::Relist, None, None).await.expect("relisted");
    let (_, entries) = d.entries(Seq(1)).await;
    let found: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.key, entry.text.clone())).collect();
    let unseen = Some(Text::from(titled("Unseen")));
    let expected = [
        (Kind::Revise, None, Some(text)),
        (Kind::Withdraw, Some(key), None),
        (Kind::Revise, None, unseen),
        (Kind::Relist, None, None),
    ];
    assert_eq!(found, expected);
    for entry in &entries {
        let change = entry.changes[0];
        assert_eq!((entry.changes.len(), change.book, change.delta, change.stock), (1, id, 0, 5));
    }
    let details = entries.iter().map(|entry| entry.details.clone().unwrap_or_default());
    let details: Vec<_> = details.map(|details| (details.withdrawn, details.text_version)).collect();
    assert_eq!(details, [(false, None), (false, None), (true, None), (false, Some(Seq(4)))]);
}

/// A withdrawn book is in no list, but its page stays and says so. Relisted it is back, with the text that it has by then.
pub(super) async fn of_withdrawn_books_are_in_no_list(d: Deployment) {
    let ids = d.add_books(vec![book("Whales and Walruses", 5), book("Whalers", 5)]).await;
    let withdrawn = d.withdraw(ids[0]).await;
    assert_eq!((withdrawn.on_sale, withdrawn.stock, withdrawn.version), (false, 5, d.head().await));
    assert_eq!(d.info(ids[0]).await, withdrawn);
    let lists = async |expected: &[&str]| {
        let facets = vec![Facet::Topic, Facet::Author];
        for query in [Query::default(), Query::words("whal"), Query::topic("testing"), Query::author("anna author")] {
            assert_eq!(d.titles(query.clone()).await, expected, "{query:?}");
            let page = d.catalog.search(Query { facets: facets.clone(), ..query }).await.expect("a good query");
            let counts = page.facets.expect("facets were asked for");
            for facet in [counts.topic, counts.author] {
                let books: u64 = facet.into_iter().flatten().map(|count| count.books).sum();
                assert_eq!(books, expected.len() as u64);
            }
        }
        let topics = d.catalog.topics(TopicQuery::default()).await.expect("topics");
        assert_eq!(topics.total_books, expected.len() as u64);
        let suggested =
            d.catalog.suggest(SuggestQuery { text: "whal".into(), limit: None }).await.expect("suggestions");
        let suggested = suggested.titles.into_iter().map(|title| title.title);
        assert!(suggested.clone().all(|title| expected.contains(&&*title)), "{suggested:?}");
    };
    lists(&["Whalers"]).await;
    assert_eq!(d.titles(Query::words("walruses")).await, [""; 0]);
    d.revise(ids[0], titled("Whale Songs")).await.expect("a withdrawn book can be corrected");
    lists(&["Whalers"]).await;
    assert_eq!(d.titles(Query::words("songs")).await, [""; 0]);
    let relisted = d.catalog.amend(ids[0], Amend::Relist, Some(order_id()), None).await.expect("relisted");
    assert_eq!((relisted.on_sale, relisted.text.title(), relisted.stock), (true, "Whale Songs", 5));
    assert_eq!(d.titles(Query::words("songs")).await, ["Whale Songs"]);
    assert_eq!(d.titles(Query::words("walruses")).await, [""; 0]);
    assert_eq!(d.titles(Query::default()).await, ["Whale Songs", "Whalers"]);
}

/// A withdrawn book is neither sold nor held: [`Error::BookWithdrawn`]. What was bought or held before stays as it is.
///
/// A hold may be confirmed, an order cancelled, copies may come back, and stock and price may change.
pub(super) async fn of_withdrawn_books_sell_nothing_more(d: Deployment) {
    let ids = d.add_equal_books(2, 9).await;
    let held = order_id();
    let hold = |quantity| OrderAction::Hold {
        lines: lines(&[(ids[0], quantity)]),
        seconds: 600,
        reference: None,
        contact: None,
    };
    d.orders.change(held, hold(2), office()).await.expect("there are nine");
    let placed = d.buy(ids[0], 3).await.expect("there are seven").order;
    d.withdraw(ids[0]).await;
    let (refused, id) = (Error::BookWithdrawn { book: ids[0] }, order_id());
    let both = lines(&[(ids[1], 1), (ids[0], 1)]);
    for lines in [lines(&[(ids[0], 1)]), both.clone(), lines(&[(ids[0], 100)])] {
        assert_eq!(d.orders.purchase(id, lines).await.as_ref(), Err(&refused));
    }
    assert_eq!(d.orders.change(id, hold(1), office()).await.as_ref(), Err(&refused));
    assert_eq!(Quote::ask(d.catalog.as_ref(), &both).await.as_ref(), Err(&refused));
    let again = d.orders.purchase(placed.id, lines(&[(ids[0], 3)])).await.expect("it was bought");
    assert!(again.replayed);
    let confirmed = d.orders.change(held, OrderAction::Confirm, office()).await.expect("it is held");
    assert_eq!(confirmed.order.status, Status::Placed);
    d.orders.cancel(placed.id).await.expect("it can be cancelled");
    d.restock(ids[0], -1).await.expect("there are seven");
    assert_eq!((d.stock(ids[0]).await, d.stock(ids[1]).await), (6, 9));
    d.catalog.amend(ids[0], Amend::Relist, None, None).await.expect("relisted");
    d.orders.purchase(id, both).await.expect("a refusal leaves no trace");
}

/// To withdraw a withdrawn book, or to relist one that is on sale, is answered with the book and adds no entry without a key. A key does
/// once what it was sent for, also if that had been done already.
///
/// A call that is delivered again late must not undo what happened since.
pub(super) async fn of_books_are_withdrawn_and_relisted_once(d: Deployment) {
    let id = d.add_book(5).await;
    let amend = async |change: &Amend, key| d.catalog.amend(id, change.clone(), key, None).await.expect("any book");
    assert_eq!(amend(&Amend::Relist, None).await, d.info(id).await);
    assert_eq!(d.head().await, Seq(1));
    let (key, late) = (order_id(), order_id());
    for (key, version) in [(Some(key), 2), (None, 2), (Some(late), 3), (Some(key), 3), (None, 3)] {
        let withdrawn = amend(&Amend::Withdraw, key).await;
        assert_eq!((withdrawn.on_sale, withdrawn.version), (false, Seq(version)));
    }
    assert_eq!(amend(&Amend::Relist, None).await.version, Seq(4));
    for key in [key, late] {
        let replayed = amend(&Amend::Withdraw, Some(key)).await;
        assert_eq!((replayed.on_sale, replayed.version), (true, Seq(4)), "the key has withdrawn it once");
    }
    let reused = d.catalog.amend(id, Amend::Relist, Some(key), None).await;
    assert_eq!(reused, Err(Error::OrderIdReused { order: key }));
    let missing = BookId(id.0 + 1);
    for change in [Amend::Withdraw, Amend::Relist] {
        assert_eq!(d.catalog.amend(missing, change, None, None).await, Err(Error::BookNotFound { book: missing }));
    }
    assert_eq!(d.head().await, Seq(4));
}

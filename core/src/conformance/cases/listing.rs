//! Listing books: [`add_books`](crate::CatalogService::add_books) and [`info`](crate::CatalogService::info).
//!
//! A book is listed once, and then only its price and its stock change. The cases use the limits of [`BookText`] and
//! [`NewBook`], so they hold whatever these are.

use super::support::assert_invalid;
use crate::{
    book::{BookId, BookText, Condition, NewBook},
    catalog::ADD_BOOKS_MAX,
    conformance::deployment::Deployment,
    error::Error,
    fixtures::{any_book, book, cents, isbn, lines},
    ledger::Seq,
    page::Query,
    quote::{Quote, QuotedLine},
    service::BOOKS_MAX,
};

/// New books get the numbers 1, 2, 3, … in the order of the list, and `info` shows every field as it was given, in any
/// script.
///
/// A transport that fails here alters text on its way: it trims it, normalises it, or escapes it once too often. A
/// store that fails here numbers books by something else than the order of their entries.
pub(super) async fn numbers_books_and_keeps_their_text(d: Deployment) {
    let full = NewBook {
        text: BookText {
            title: "Das Buch, «das» <b>alles</b> & \"mehr\" hat: 書店 📚".into(),
            authors: vec!["Žofie O'Brien-Ångström".into(), "Roe, Ada, 1815–1852".into()],
            topic: "distributed systems".into(),
            isbn: Some("155860832X".parse().expect("an ISBN")),
            year: Some(-300),
            subjects: vec!["logs".into(), "C++, 2nd ed.".into()],
            subtitle: "<i>oder</i> nicht; ja".into(),
            sku: "0815/b".into(),
            condition: Condition::VeryGood,
            publisher: "Nobody & Sons".into(),
            language: "Deutsch".into(),
            format: "Gebunden".into(),
            description: "Erstens \"dies\".\n\nZweitens das: 📚".into(),
        },
        price_cents: cents(1999),
        stock: 12,
    };
    let bare = NewBook { price_cents: cents(0), ..book("Bare", 0) };
    let listed = d.catalog.add_books(vec![full.clone(), bare.clone()], None).await.expect("good books can be listed");
    assert_eq!(listed.iter().map(|listed| listed.id).collect::<Vec<_>>(), [BookId(1), BookId(2)]);
    assert!(listed.iter().all(|listed| listed.created != d.repeats), "{listed:?}");
    for (number, new) in (1..).zip([full, bare]) {
        let book = d.info(BookId(number)).await;
        assert_eq!(book.id, BookId(number));
        assert_eq!((book.text, book.price_cents, book.stock), (new.text.into(), new.price_cents, new.stock));
        assert_eq!(book.version, Seq(number));
    }
    assert_eq!(d.add_books(vec![book("Third", 10)]).await, [BookId(3)]);
}

/// Listing a book again answers with its number and `created: false`. It changes neither price nor stock, and adds no
/// entry.
///
/// A client sends a list again if it had no answer. A store that fails here looks for known books only among those of
/// earlier lists, or takes the newer price.
pub(super) async fn leaves_listed_books_as_they_are(d: Deployment) {
    let books = vec![book("One", 10), book("Two", 10)];
    let ids = d.add_books(books.clone()).await;
    let (before, head) = (d.info(ids[0]).await, d.head().await);
    let dearer = NewBook { price_cents: cents(5), ..book("One", 99) };
    let again = d
        .catalog
        .add_books(vec![books[1].clone(), dearer, book("Three", 10), book("Three", 10)], None)
        .await
        .expect("listed");
    let numbers: Vec<_> = again.iter().map(|listed| (listed.id.0, listed.created)).collect();
    assert_eq!(numbers, [(2, false), (1, false), (3, !d.repeats), (3, false)]);
    assert_eq!(d.info(ids[0]).await, before);
    assert_eq!(d.head().await, head.next(), "one new book is one entry");
}

/// Two listings are the same book if they share the ISBN, however it is spelled; without an ISBN, if they share title, author and year.
///
/// The list in this case contains the same book several times, so the store must compare a book with the books before
/// it in the same list. A book without an ISBN is another book than one with an ISBN, whatever their titles.
pub(super) async fn identifies_a_book_by_isbn_or_else_by_title_author_and_year(d: Deployment) {
    let with = |title: &str, author: &str, isbn: Option<&str>, year| {
        let book = book(title, 10);
        let text = BookText {
            authors: vec![author.into()],
            isbn: isbn.map(|isbn| isbn.parse().expect("an ISBN")),
            year,
            ..book.text.clone()
        };
        NewBook { text, ..book }
    };
    let books = vec![
        with("A", "a", Some("9781558608320"), None),
        with("B", "b", Some("1-55860-832-X"), Some(2004)),
        with("A", "a", None, None),
        with("A", "a", None, Some(2004)),
        with("A", "b", None, None),
        with("B", "a", None, None),
        with("A", "a", None, Some(2004)),
    ];
    let ids: Vec<u64> = d.add_books(books).await.iter().map(|id| id.0).collect();
    assert_eq!(ids, [1, 1, 2, 3, 4, 5, 3]);
}

/// The shop's own article number comes before the ISBN, and a used book is another one than a new one: several copies of one ISBN stand
/// side by side, and each is known again.
///
/// A store that fails here sells three used copies of a book as three copies of a new one.
pub(super) async fn identifies_a_book_by_its_article_number_and_condition(d: Deployment) {
    let with = |title: &str, sku: &str, condition, has_isbn: bool| {
        let book = book(title, 1);
        let isbn = has_isbn.then(|| isbn(7));
        NewBook { text: BookText { sku: sku.into(), condition, isbn, ..book.text }, ..book }
    };
    let books = vec![
        with("A", "", Condition::New, true),
        with("A", "", Condition::Good, true),
        with("A", "", Condition::Poor, true),
        with("A", "S1", Condition::Good, true),
        with("A", "S2", Condition::Good, true),
        with("B", "S2", Condition::New, false),
        with("A", "", Condition::Good, true),
        with("A", "", Condition::Good, false),
        with("A", "", Condition::New, false),
    ];
    let ids: Vec<u64> = d.add_books(books).await.iter().map(|id| id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 5, 2, 6, 7]);
}

/// Texts that look the same are the same: a book is kept, known again and found whatever way its letters are composed and its spaces
/// are made.
///
/// A catalog that fails here takes a title in as it was typed, so the same book is listed twice, and found by one of its two
/// spellings only.
pub(super) async fn keeps_texts_in_their_normal_form(d: Deployment) {
    let with = |title: &str, author: &str| {
        let book = book(title, 10);
        NewBook { text: BookText { authors: vec![author.into()], ..book.text.clone() }, ..book }
    };
    let composed = with("Cien años de soledad", "Gabriel García Márquez");
    let typed = with("\u{feff}Cien an\u{303}os\tde  sole\u{ad}dad\n", "Gabriel Garci\u{301}a\u{a0}Ma\u{301}rquez ");
    assert_eq!(d.add_books(vec![typed.clone(), composed.clone(), typed]).await, [BookId(1); 3]);
    assert_eq!(d.info(BookId(1)).await.text, composed.text.into());
    for words in ["García", "Garci\u{301}a", "sole\u{ad}dad"] {
        let page = d.catalog.search(Query::words(words)).await.expect("a page");
        assert_eq!(page.books.iter().map(|book| book.id).collect::<Vec<_>>(), [BookId(1)], "{words:?}");
    }
}

/// One field outside its limits makes the whole list [`Error::Invalid`] with that field, and so does a list that is too
/// long. Then no book is listed.
///
/// The good books around the bad one must not be listed either, so all books are checked before the first entry is
/// made.
pub(super) async fn rejects_the_whole_list_for_one_bad_book(d: Deployment) {
    let bad = |spoil: fn(&mut NewBook)| {
        let mut book = book("Bad", 10);
        spoil(&mut book);
        book
    };
    let bad_books = [
        ("title", bad(|book| book.text.title.clear())),
        ("title", bad(|book| book.text.title = "x".repeat(BookText::TITLE_MAX + 1))),
        ("title", bad(|book| book.text.title.push('\u{0}'))),
        ("title", bad(|book| book.text.title = " \u{200b}\n".into())),
        ("authors", bad(|book| book.text.authors = vec!["ä".repeat(BookText::FIELD_MAX + 1)])),
        ("authors", bad(|book| book.text.authors = vec!["x".into(); BookText::AUTHORS_MAX + 1])),
        ("subtitle", bad(|book| book.text.subtitle = "x".repeat(BookText::TITLE_MAX + 1))),
        ("sku", bad(|book| book.text.sku = "x".repeat(BookText::SKU_MAX + 1))),
        ("publisher", bad(|book| book.text.publisher = "x".repeat(BookText::FIELD_MAX + 1))),
        ("description", bad(|book| book.text.description = "x".repeat(BookText::DESCRIPTION_MAX + 1))),
        ("topic", bad(|book| book.text.topic.clear())),
        ("topic", bad(|book| book.text.topic = "x".repeat(BookText::FIELD_MAX + 1))),
        ("year", bad(|book| book.text.year = Some(10_000))),
        ("year", bad(|book| book.text.year = Some(-3001))),
        ("subjects", bad(|book| book.text.subjects = vec!["x".into(); BookText::SUBJECTS_MAX + 1])),
        ("subjects", bad(|book| book.text.subjects = vec![String::new()])),
        ("stock", bad(|book| book.stock = NewBook::STOCK_MAX + 1)),
    ];
    for (field, book) in bad_books {
        assert_invalid(d.catalog.add_books(vec![any_book(1), book, any_book(1)], None).await, field);
    }
    assert_invalid(d.catalog.add_books((0..=ADD_BOOKS_MAX).map(|_| any_book(1)).collect(), None).await, "books");
    assert_eq!(d.head().await, Seq(0), "nothing may be listed");
}

/// Every field may be as long, and every number as large, as its limit says.
///
/// Limits count characters, not bytes: a title here has three bytes a character. A transport that fails here has a
/// smaller limit for bodies than such a book needs.
pub(super) async fn accepts_fields_at_their_limits(d: Deployment) {
    let text = BookText {
        title: "書".repeat(BookText::TITLE_MAX),
        authors: vec!["é".repeat(BookText::FIELD_MAX); BookText::AUTHORS_MAX],
        topic: "t".repeat(BookText::FIELD_MAX),
        isbn: Some("9781558608320".parse().expect("an ISBN")),
        year: Some(9999),
        subjects: vec!["s".repeat(BookText::FIELD_MAX); BookText::SUBJECTS_MAX],
        subtitle: "書".repeat(BookText::TITLE_MAX),
        sku: "書".repeat(BookText::SKU_MAX),
        condition: Condition::Poor,
        publisher: "書".repeat(BookText::FIELD_MAX),
        language: "書".repeat(BookText::SKU_MAX),
        format: "書".repeat(BookText::SKU_MAX),
        description: "書".repeat(BookText::DESCRIPTION_MAX),
    };
    let new = NewBook { text, price_cents: crate::money::Cents::MAX, stock: NewBook::STOCK_MAX };
    let id = d.add_books(vec![new.clone()]).await[0];
    let book = d.info(id).await;
    assert_eq!((book.text, book.price_cents, book.stock), (new.text.into(), new.price_cents, new.stock));
}

/// A list may be empty, and may have [`ADD_BOOKS_MAX`] books.
///
/// A store that writes one batch per list must take a batch of this size, and a transport a body of it.
pub(super) async fn accepts_as_many_books_as_the_limit(d: Deployment) {
    assert_eq!(d.catalog.add_books(Vec::new(), None).await, Ok(Vec::new()));
    let ids = d.add_equal_books(ADD_BOOKS_MAX, 1).await;
    assert!(ids.iter().map(|id| id.0).eq(1..=ADD_BOOKS_MAX as u64), "numbers are dense and in the order of the list");
    assert_eq!(d.head().await, Seq(ADD_BOOKS_MAX as u64));
}

/// Any other number is [`Error::BookNotFound`], however large.
///
/// A number may not fit the store's own type. That must be the same answer, not a failure of the store and not another
/// book.
pub(super) async fn does_not_find_unknown_books(d: Deployment) {
    d.add_book(1).await;
    for book in [0, 2, 1 << 32, i64::MAX as u64, u64::MAX].map(BookId) {
        assert_eq!(d.catalog.info(book).await, Err(Error::BookNotFound { book }));
    }
}

/// Several books are read at once, in the order of their ids, each as it is now; there is nothing for an unknown one.
pub(super) async fn reads_several_books(d: Deployment) {
    let ids = d.add_equal_books(3, 10).await;
    d.buy(ids[1], 4).await.expect("there are enough");
    let asked = vec![ids[2], BookId(99), ids[1]];
    let books = d.catalog.books(asked).await.expect("books can be read");
    assert_eq!(books, [Some(d.info(ids[2]).await), None, Some(d.info(ids[1]).await)]);
    assert_eq!(d.catalog.books(Vec::new()).await, Ok(Vec::new()));
    assert_invalid(d.catalog.books(vec![ids[0]; BOOKS_MAX + 1]).await, "ids");
}

/// A quote has price, stock and what is short of each line, and the sum; it sells nothing.
pub(super) async fn quotes_without_selling(d: Deployment) {
    let ids = d.add_equal_books(2, 10).await;
    d.set_price(ids[1], 250).await;
    let before = d.head().await;
    let quote = Quote::ask(d.catalog.as_ref(), &lines(&[(ids[0], 10), (ids[1], 12)])).await.expect("known books");
    let line = |line: &QuotedLine| (line.book, line.quantity, line.unit_price_cents, line.stock, line.short);
    let expected = [(ids[0], 10, cents(1000), 10, 0), (ids[1], 12, cents(250), 10, 2)];
    assert_eq!(quote.lines.iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!((quote.total_cents, quote.in_stock), (cents(13_000), false));
    let unknown = Quote::ask(d.catalog.as_ref(), &lines(&[(ids[0], 1), (BookId(99), 1)])).await;
    assert_eq!(unknown, Err(Error::BookNotFound { book: BookId(99) }));
    assert_eq!((d.head().await, d.stock(ids[0]).await), (before, 10));
}

//! What is exported is imported unchanged, whatever it is.

use super::*;
use crate::import::{ImportOptions, Line, csv, json_lines};
use bookstore_core::{Book, BookId, BookText, Cents, Condition, NewBook, Seq, fixtures::isbn};
use proptest::{collection::vec, prelude::*, sample::select};

/// Texts that an importer, a table or a spreadsheet might take for something else.
fn odd() -> impl Strategy<Value = String> {
    let odd = [
        "Krasno, Jonathan S.",
        "Buying time : television /",
        "1984",
        "0042",
        "=1+1",
        "+49 30",
        "-x",
        "@home",
        "Science, Medieval",
        "one; two;; three;",
        ";",
        "a \"quoted\" one",
        "\"",
        "'x",
        "n/a",
        "null",
        "true",
        "{\"a\":1}",
        "\\n",
        "c2004",
        "Caf\u{fffd}",
        "書店 📚",
        "\u{feff}x",
        "sep=;",
        "x\ty|z",
    ];
    prop_oneof![2 => select(odd.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,12}", 1 => "[ -~]{1,30}", 1 => "[;, ]{0,3}[a-c;,\" ]{1,9}"]
}

fn some() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 2 => odd()]
}

fn text() -> impl Strategy<Value = BookText> {
    let names = (odd(), vec(odd(), 0..4), odd(), vec(odd(), 0..4), some());
    let shop = (some(), select(Condition::ALL.to_vec()), some(), some(), some(), vec(odd(), 0..4));
    let numbers = (prop::option::of(0..1_000_000_000_u64), prop::option::of(-3000..=9999));
    (names, shop, numbers).prop_map(|(names, shop, (number, year))| {
        let (title, authors, topic, subjects, subtitle) = names;
        let (sku, condition, publisher, language, format, lines) = shop;
        let (isbn, description) = (number.map(isbn), lines.join("\n\n"));
        let year = if title.len() % 7 == 0 { Some(0) } else { year };
        BookText {
            title,
            authors,
            topic,
            isbn,
            year,
            subjects,
            subtitle,
            sku,
            condition,
            publisher,
            language,
            format,
            description,
        }
    })
}

/// A book as a shop has it: in its normal form, within its limits.
fn book() -> impl Strategy<Value = Book> {
    let level = (0..=Cents::MAX.get(), 0..=NewBook::STOCK_MAX, any::<bool>());
    (text(), level).prop_filter_map("within the limits", |(text, (cents, stock, on_sale))| {
        let new = NewBook { text, price_cents: Cents::new(cents).ok()?, stock }.checked().ok()?;
        let (text, price_cents) = (new.text.into(), new.price_cents);
        Some(Book { id: BookId(7), text, price_cents, stock, version: Seq(9), text_version: Seq(8), on_sale })
    })
}

fn exported(format: Format, books: &[Book]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = BookWriter::new(format, &mut file).unwrap();
    books.iter().for_each(|book| writer.write(book).unwrap());
    writer.finish().unwrap();
    file
}

fn assert_same(books: &[Book], read: Vec<Result<Line, crate::import::BrokenLine>>) -> Result<(), TestCaseError> {
    prop_assert_eq!(read.len(), books.len(), "{:?}", read);
    for (book, line) in books.iter().zip(read) {
        let line = line.map_err(|broken| TestCaseError::fail(format!("{broken}: {book:?}")))?;
        let expected = NewBook { text: BookText::from(&book.text), price_cents: book.price_cents, stock: book.stock };
        prop_assert_eq!(line.book, expected);
        prop_assert_eq!((line.on_sale, line.exact), (Some(book.on_sale), true));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_read_as_it_was_written(books in vec(book(), 1..6)) {
        let file = exported(Format::Csv, &books);
        assert_same(&books, csv(&file[..], &ImportOptions::default()).collect())?;
    }

    #[test]
    fn json_lines_are_read_as_they_were_written(books in vec(book(), 1..6)) {
        let file = exported(Format::JsonLines, &books);
        assert_same(&books, json_lines(&file[..], &ImportOptions::default()).collect())?;
    }
}

#[test]
fn a_table_says_all_of_a_book() {
    let text = BookText {
        title: "=Ledgers".into(),
        authors: vec!["Roe, Ada".into(), "Bob Doe".into()],
        topic: "Accounting".into(),
        isbn: Some("9780306406157".parse().unwrap()),
        year: Some(1999),
        subjects: vec!["Books; Keeping".into(), "Logs".into()],
        description: "One\nTwo".into(),
        ..BookText::default()
    };
    let (text, price_cents) = (text.into(), Cents::new(1234).unwrap());
    let book =
        Book { id: BookId(7), text, price_cents, stock: 3, version: Seq(9), text_version: Seq(8), on_sale: false };
    let isbn = book.text.isbn().unwrap();
    assert_eq!(
        String::from_utf8(exported(Format::Csv, &[book])).unwrap(),
        format!(
            "id,title,subtitle,authors,topic,isbn,year,subjects,sku,condition,publisher,language,format,description,price_cents,stock,on_sale\n\
             7,=Ledgers,,\"Roe, Ada; Bob Doe\",Accounting,{isbn},1999,Books;; Keeping; Logs,,new,,,,\"One\nTwo\",1234,3,no\n"
        )
    );
}

#[test]
fn only_an_export_says_what_is_on_sale() {
    let read = |header: &str| {
        let table = format!("{header}\n\"Roe, Ada\",a /,t,100,1,no,9\n");
        let line = csv(table.as_bytes(), &ImportOptions::default()).next().unwrap();
        line.map(|line| (line.book.text.authors[0].clone(), line.book.text.title, line.on_sale))
            .map_err(|broken| broken.message)
    };
    let exact = ("Roe, Ada".to_owned(), "a /".to_owned(), Some(false));
    assert_eq!(read("author,title,topic,price_cents,stock,on_sale,id"), Ok(exact));
    for other in ["author,title,topic,price_cents,stock,On Sale,year", "author,title,topic,price,stock,on_sale,year"] {
        assert!(read(other).unwrap_err().contains("not used: "), "{other}");
    }
    let wrong = "title,topic,price_cents,stock,on_sale\na,t,1,1,perhaps\n";
    let broken = csv(wrong.as_bytes(), &ImportOptions::default()).next().unwrap().unwrap_err();
    assert_eq!(broken.to_string(), "line 2: on_sale must be yes or no, not \"perhaps\"");
}

//! A line of a file beside the book that the catalog has.

use bookstore::import::Line;
use bookstore_core::{Amend, Book, BookText, Cents, Isbn, Text};

/// What a line has otherwise than the catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The fields of the text, in words.
    text: Vec<String>,
    /// The file's price and the catalog's.
    price: Option<(Cents, Cents)>,
    /// The file's stock and the catalog's.
    stock: Option<(u32, u32)>,
}

impl Difference {
    /// Compares what stands in the file; a price or stock that was made up is none.
    pub(super) fn between(line: &Line, book: &Book) -> Self {
        let (price, stock) = ((line.book.price_cents, book.price_cents), (line.book.stock, book.stock));
        Self {
            text: text(&line.book.text, &book.text),
            price: Some(price).filter(|(file, here)| line.has_price && file != here),
            stock: Some(stock).filter(|(file, here)| line.has_stock && file != here),
        }
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The change that gives the book the file's text, if that is still as it was read. A book keeps its ISBN if the file has none.
    pub(super) fn revise(&self, line: &Line, book: &Book) -> Option<Amend> {
        if self.text.is_empty() {
            return None;
        }
        let isbn = line.book.text.isbn.or_else(|| book.text.isbn());
        let text = Box::new(BookText { isbn, ..line.book.text.clone() });
        Some(Amend::Revise { text, text_version: Some(book.text_version) })
    }

    /// The change that gives the book the file's price and stock, if it is still as it was read.
    pub(super) fn amend(&self, book: &Book) -> Option<Amend> {
        let (price_cents, stock) = (self.price.map(|(file, _)| file), self.stock.map(|(file, _)| file));
        (price_cents.is_some() || stock.is_some()).then_some(Amend::Set {
            price_cents,
            stock,
            version: Some(book.version),
        })
    }

    /// In words.
    pub(super) fn in_words(&self) -> String {
        let price = self.price.map(|(file, here)| format!("price {file} (here {here})"));
        let stock = self.stock.map(|(file, here)| format!("stock {file} (here {here})"));
        let all: Vec<String> = self.text.iter().cloned().chain(price).chain(stock).collect();
        all.join(", ")
    }
}

fn text(file: &BookText, here: &Text) -> Vec<String> {
    let year = |year: Option<i32>| year.map_or_else(|| "none".to_owned(), |year| year.to_string());
    let isbn = |isbn: Option<Isbn>| isbn.map_or_else(|| "none".to_owned(), |isbn| isbn.to_string());
    let subjects = here.subjects().collect::<Vec<_>>().join("; ");
    [
        ("title", file.title.clone(), here.title().to_owned()),
        ("author", file.author.clone(), here.author().to_owned()),
        ("topic", file.topic.clone(), here.topic().to_owned()),
        ("ISBN", isbn(file.isbn.or_else(|| here.isbn())), isbn(here.isbn())),
        ("year", year(file.year), year(here.year())),
        ("subjects", file.subjects.join("; "), subjects),
    ]
    .into_iter()
    .filter(|(_, file, here)| file != here)
    .map(|(name, file, here)| format!("{name} {file:?} (here {here:?})"))
    .collect()
}

//! A line of a file beside the book that the catalog has.

use bookstore::import::Line;
use bookstore_core::{Amend, Book, BookText, Cents, Currency, Text};

/// What a line has otherwise than the catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The fields of the text, in words.
    text: Vec<String>,
    /// The file's price and the catalog's.
    price: Option<(Cents, Cents)>,
    /// The file's stock and the catalog's.
    stock: Option<(u32, u32)>,
    /// Whether it is on sale in the file, if it is not so in the catalog.
    on_sale: Option<bool>,
}

impl Difference {
    /// Compares what stands in the file; a price or stock that was made up is none.
    pub(super) fn between(line: &Line, book: &Book) -> Self {
        let (price, stock) = ((line.book.price_cents, book.price_cents), (line.book.stock, book.stock));
        Self {
            text: text(&merged(line, &book.text), &BookText::from(&book.text)),
            price: Some(price).filter(|(file, here)| line.has_price && file != here),
            stock: Some(stock).filter(|(file, here)| line.has_stock && file != here),
            on_sale: line.on_sale.filter(|on_sale| *on_sale != book.on_sale),
        }
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The change that gives the book the file's text, if that is still as it was read.
    pub(super) fn revise(&self, line: &Line, book: &Book) -> Option<Amend> {
        let text = || Box::new(merged(line, &book.text));
        (!self.text.is_empty()).then(|| Amend::Revise { text: text(), text_version: Some(book.text_version) })
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

    /// The change that takes the book off sale or puts it on sale again.
    pub(super) fn sale(&self) -> Option<Amend> {
        self.on_sale.map(|on_sale| if on_sale { Amend::Relist } else { Amend::Withdraw })
    }

    /// Whether the price is one that a person should be asked about.
    pub(super) fn has_unlikely_price(&self) -> bool {
        self.price.is_some_and(|(file, here)| file.is_unlikely(Some(here)))
    }

    /// In words.
    pub(super) fn in_words(&self, currency: Currency) -> String {
        let show = |price| currency.show(price);
        let price = self.price.map(|(file, here)| format!("price {} (here {})", show(file), show(here)));
        let stock = self.stock.map(|(file, here)| format!("stock {file} (here {here})"));
        let on_sale =
            self.on_sale.map(|on_sale| if on_sale { "on sale (here not)" } else { "off sale (here on sale)" });
        let all: Vec<String> =
            self.text.iter().cloned().chain(price).chain(stock).chain(on_sale.map(str::to_owned)).collect();
        all.join(", ")
    }
}

/// The file's text. What many files do not have, a book keeps if the file has none: its ISBN, article number and so on. An export has
/// all that there is.
fn merged(line: &Line, here: &Text) -> BookText {
    let file = line.book.text.clone();
    if line.exact {
        return file;
    }
    let or = |file: String, here: &str| if file.is_empty() { here.to_owned() } else { file };
    BookText {
        isbn: file.isbn.or_else(|| here.isbn()),
        condition: if line.has_condition { file.condition } else { here.condition() },
        subtitle: or(file.subtitle, here.subtitle()),
        sku: or(file.sku, here.sku()),
        publisher: or(file.publisher, here.publisher()),
        language: or(file.language, here.language()),
        format: or(file.format, here.format()),
        description: or(file.description, here.description()),
        ..file
    }
}

/// The fields that differ, in words.
fn text(file: &BookText, here: &BookText) -> Vec<String> {
    let [file, here] = [file, here].map(|text| {
        [
            ("title", text.title.clone()),
            ("subtitle", text.subtitle.clone()),
            ("author", text.author()),
            ("topic", text.topic.clone()),
            ("ISBN", text.isbn.map_or_else(|| "none".to_owned(), |isbn| isbn.to_string())),
            ("year", text.year.map_or_else(|| "none".to_owned(), |year| year.to_string())),
            ("subjects", text.subjects.join("; ")),
            ("article number", text.sku.clone()),
            ("condition", text.condition.to_string()),
            ("publisher", text.publisher.clone()),
            ("language", text.language.clone()),
            ("format", text.format.clone()),
            ("description", text.description.clone()),
        ]
    });
    let differ = file.into_iter().zip(here).filter(|(file, here)| file != here);
    differ.map(|((name, file), (_, here))| format!("{name} {file:?} (here {here:?})")).collect()
}

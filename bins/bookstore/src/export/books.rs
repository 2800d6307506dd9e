//! Books.

use bookstore_core::{Book, Isbn, Text};
use std::io::{self, Write};

use super::{Format, Output, write_line};

/// The columns. `price_cents` and `on_sale` together tell the importer that it reads an export.
const COLUMNS: [&str; 17] = [
    "id",
    "title",
    "subtitle",
    "authors",
    "topic",
    "isbn",
    "year",
    "subjects",
    "sku",
    "condition",
    "publisher",
    "language",
    "format",
    "description",
    "price_cents",
    "stock",
    "on_sale",
];

/// Writes books, each with all that the shop knows of it.
///
/// As CSV, several authors or subjects have `; ` between them, and a semicolon within a subject is doubled. No cell is changed that
/// a spreadsheet would run as a formula (`=`, `+`, `-` or `@` at its beginning): what is written is read unchanged. JSON lines are the
/// books as the shop's interface has them.
#[derive(Debug)]
pub struct BookWriter<W: Write>(Output<W>);

impl<W: Write> BookWriter<W> {
    /// Writes the header line, if the format has one.
    ///
    /// # Errors
    /// As `to` fails.
    pub fn new(format: Format, to: W) -> io::Result<Self> {
        Output::start(format, to, COLUMNS).map(Self)
    }

    /// Writes a book.
    ///
    /// # Errors
    /// As the writer fails.
    pub fn write(&mut self, book: &Book) -> io::Result<()> {
        match &mut self.0 {
            Output::Csv(table) => table.write_record(cells(book)).map_err(io::Error::from),
            Output::JsonLines(to) => write_line(to, book),
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// As the writer fails: then what was written is not whole.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

/// The cells in the order of [`COLUMNS`].
fn cells(Book { id, text, price_cents, stock, on_sale, .. }: &Book) -> [String; COLUMNS.len()] {
    [
        id.to_string(),
        text.title().into(),
        text.subtitle().into(),
        text.author().into(),
        text.topic().into(),
        // With hyphens it is no number to a spreadsheet, which would round it.
        text.isbn().as_ref().map(Isbn::to_string).unwrap_or_default(),
        text.year().map(|year| year.to_string()).unwrap_or_default(),
        subjects(text),
        text.sku().into(),
        text.condition().name().into(),
        text.publisher().into(),
        text.language().into(),
        text.format().into(),
        text.description().into(),
        price_cents.get().to_string(),
        stock.to_string(),
        if *on_sale { "yes" } else { "no" }.into(),
    ]
}

fn subjects(text: &Text) -> String {
    text.subjects().map(|subject| subject.replace(';', ";;")).collect::<Vec<_>>().join("; ")
}

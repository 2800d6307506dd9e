//! The output of commands: tables and cards for people, the interface's JSON for programs.

use bookstore_core::{Book, Cents, Condition, Contact, Currency, Facets, Order, Status, Timestamp, Topic};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use super::Failure;

/// Writes to stdout. If the reader has gone (`| head`), the process ends quietly.
pub(crate) fn print(text: &str) {
    let written = writeln!(io::stdout().lock(), "{}", text.trim_end());
    if let Err(error) = written {
        std::process::exit(i32::from(error.kind() != io::ErrorKind::BrokenPipe));
    }
}

/// Writes JSON to stdout, on one line unless it is a terminal.
pub(crate) fn print_json(value: &impl Serialize) {
    let text =
        if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    // The domain's own types have string keys only: this cannot fail.
    print(&text.unwrap_or_default());
}

/// Checks that a flag's file can be written, before there is anything to write.
pub(crate) fn writable(flag: &str, file: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map(drop).map_err(|error| Failure::Usage(format!("{flag} {}: {error}", file.display())))
}

/// The width of the terminal in columns; `None` if stdout is not one, and nothing need be cut.
fn width() -> Option<usize> {
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    size.map(|(width, _)| usize::from(width.0))
}

/// The columns of a table.
pub(crate) struct Columns {
    pub(crate) header: &'static [&'static str],
    /// Columns that are aligned to the right.
    pub(crate) right: &'static [usize],
    /// Columns whose text may be cut, and their share of the available width, in percent.
    pub(crate) elastic: &'static [(usize, usize)],
}

/// The rows as text.
pub(crate) fn table(columns: &Columns, mut rows: Vec<Vec<String>>) -> String {
    if let Some(width) = width() {
        fit(columns, &mut rows, width);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.header);
    table.add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if columns.right.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Cuts the texts so that a row fits one line of the terminal.
fn fit(columns: &Columns, rows: &mut [Vec<String>], width: usize) {
    let longest = |at: usize, rows: &[Vec<String>]| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([columns.header[at].len()]).max().unwrap_or(0)
    };
    let fixed = (0..columns.header.len()).filter(|at| columns.elastic.iter().all(|(elastic, _)| elastic != at));
    let fixed: usize = fixed.map(|at| longest(at, rows) + 2).sum();
    let mut room = width.saturating_sub(fixed + 2 * columns.elastic.len());
    let mut share = 100;
    for (at, percent) in columns.elastic {
        let most = (room * percent / share).max(8);
        let used = longest(*at, rows).min(most);
        for row in rows.iter_mut() {
            row[*at] = shortened(&row[*at], most);
        }
        room = room.saturating_sub(used);
        share -= percent;
    }
}

/// `text` in at most `most` characters, with an ellipsis if something is missing.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// An amount in the shop's currency; if the shop has not said which it is, in its smallest units.
pub(crate) fn amount(currency: Option<Currency>, amount: Cents) -> String {
    currency.map_or_else(|| format!("{} in the smallest units", amount.get()), |currency| currency.show(amount))
}

/// Books, one a line.
pub(crate) fn books(books: &[Book], currency: Option<Currency>) -> String {
    const COLUMNS: Columns = Columns {
        header: &["ID", "TITLE", "AUTHOR", "YEAR", "TOPIC", "PRICE", "STOCK"],
        right: &[0, 3, 5, 6],
        elastic: &[(2, 22), (4, 22), (1, 56)],
    };
    let rows = books.iter().map(|book| {
        vec![
            book.id.to_string(),
            book.text.title().into(),
            or_dash(book.text.author()),
            book.text.year().map_or_else(dash, |year| year.to_string()),
            book.text.topic().into(),
            amount(currency, book.price_cents),
            if book.stock == 0 { "sold out".into() } else { book.stock.to_string() },
        ]
    });
    table(&COLUMNS, rows.collect())
}

/// `1 book`, `2 books`
pub(crate) fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// What was counted, a table for each property.
pub(crate) fn facets(facets: &Facets) -> String {
    let named: [(&'static [&'static str], _); 3] = [
        (&["BOOKS", "TOPIC"], &facets.topic),
        (&["BOOKS", "AUTHOR"], &facets.author),
        (&["BOOKS", "YEAR"], &facets.year),
    ];
    let mut text = String::new();
    for (header, counts) in named.into_iter().filter_map(|(header, counts)| Some((header, counts.as_ref()?))) {
        let columns = Columns { header, right: &[0], elastic: &[(1, 100)] };
        let rows = counts.iter().map(|count| vec![count.books.to_string(), count.value.clone()]);
        text.push_str(&format!("\n{}\n", table(&columns, rows.collect())));
    }
    text
}

/// One book, with a line for each field.
pub(crate) fn book(book: &Book, currency: Option<Currency>) -> String {
    let text = &book.text;
    let mut card = Card::new(text.title());
    card.line("Book", book.id);
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            card.line(name, text);
        }
    };
    line("Subtitle", text.subtitle());
    line("Author", &or_dash(text.author()));
    line("Topic", text.topic());
    if text.condition() != Condition::New {
        line("Condition", text.condition().label());
    }
    line("Publisher", text.publisher());
    line("Language", text.language());
    line("Format", text.format());
    line("Article", text.sku());
    line("About", text.description());
    let subjects: Vec<&str> = text.subjects().collect();
    if !subjects.is_empty() {
        card.line("Subjects", subjects.join("; "));
    }
    if let Some(year) = text.year() {
        card.line("Year", year);
    }
    if let Some(isbn) = text.isbn() {
        card.line("ISBN", isbn);
    }
    card.line("Price", amount(currency, book.price_cents));
    card.line("In stock", if book.stock == 0 { "none, sold out".into() } else { book.stock.to_string() });
    if !book.on_sale {
        card.line("On sale", "no, it was withdrawn");
    }
    card.line("Version", book.version);
    card.text
}

/// Topics, one a line.
pub(crate) fn topics(topics: &[Topic]) -> String {
    const COLUMNS: Columns = Columns { header: &["BOOKS", "TOPIC"], right: &[0], elastic: &[(1, 100)] };
    table(&COLUMNS, topics.iter().map(|topic| vec![topic.books.to_string(), topic.topic.clone()]).collect())
}

/// Orders, one a line.
pub(crate) fn orders(orders: &[Order], currency: Option<Currency>) -> String {
    const COLUMNS: Columns = Columns {
        header: &["ORDER", "PLACED", "STATUS", "COPIES", "TOTAL", "BOOKS"],
        right: &[3, 4],
        elastic: &[(5, 100)],
    };
    let rows = orders.iter().map(|order| {
        let books: Vec<String> =
            order.lines.iter().map(|line| format!("{} × book {}", line.quantity, line.book)).collect();
        vec![
            order.id.to_string(),
            order.placed_at.to_string(),
            order.status.to_string(),
            order.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>().to_string(),
            amount(currency, order.total_cents),
            books.join(", "),
        ]
    });
    table(&COLUMNS, rows.collect())
}

/// One order with its lines.
pub(crate) fn order(order: &Order, currency: Option<Currency>) -> String {
    const COLUMNS: Columns =
        Columns { header: &["BOOK", "COPIES", "PRICE", "SUM"], right: &[0, 1, 2, 3], elastic: &[] };
    let mut card = Card::new(&format!("Order {}", order.id));
    card.line("Status", order.status);
    card.line(began(order), order.placed_at);
    for (name, at) in later(order) {
        if let Some(at) = at {
            card.line(name, at);
        }
    }
    if let Some(reference) = order.reference() {
        card.line("Reference", reference);
    }
    card.line("Total", amount(currency, order.total_cents));
    let rows = order.lines.iter().map(|line| {
        let sum = line.unit_price_cents.times(line.quantity).unwrap_or(Cents::MAX);
        let [each, sum] = [line.unit_price_cents, sum].map(|cents| amount(currency, cents));
        let cells = [line.book.to_string(), line.quantity.to_string(), each, sum];
        cells.to_vec()
    });
    let mut text = format!("{}\n{}", card.text, indented(&table(&COLUMNS, rows.collect())));
    for line in order.returned() {
        text.push_str(&format!("  {} of book {} came back.\n", line.quantity, line.book));
    }
    text
}

/// Who an order is for. Its texts have no control characters.
pub(crate) fn contact(contact: &Contact) -> String {
    let mut card = Card::new("Contact");
    let texts = [
        ("Name", contact.name()),
        ("E-mail", contact.email()),
        ("Address", contact.address()),
        ("Note", contact.note()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            card.line(name, text);
        }
    }
    card.text
}

/// What its first entry did.
fn began(order: &Order) -> &'static str {
    match (order.status, order.expires_at()) {
        (Status::Voided, _) => "Given up",
        (_, Some(_)) => "Held",
        (_, None) => "Placed",
    }
}

/// What happened to it later, and when.
fn later(order: &Order) -> [(&'static str, Option<Timestamp>); 4] {
    let details = order.details.as_deref();
    let until = details.and_then(|details| details.expires_at).filter(|_| order.status == Status::Held);
    [
        ("Held until", until),
        ("Lapsed", details.and_then(|details| details.lapsed_at)),
        ("Cancelled", order.cancelled_at),
        ("Handed over", details.and_then(|details| details.fulfilled_at)),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A title, and below it names with values.
pub(crate) struct Card {
    pub(crate) text: String,
}

impl Card {
    pub(crate) fn new(title: &str) -> Self {
        Self { text: format!("{title}\n") }
    }

    pub(crate) fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text.push_str(&format!("  {name:<10} {value}\n"));
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { dash() } else { text.to_owned() }
}

/// A word, quoted for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_survives_the_shell() {
        assert_eq!(quoted("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(quoted("it's 5 o'clock"), r"'it'\''s 5 o'\''clock'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn texts_are_cut_to_be_read() {
        assert_eq!(shortened("Ünïcödé title", 8), "Ünïcödé…");
        assert_eq!(shortened("short", 5), "short");
    }

    #[test]
    fn rows_fit_the_terminal() {
        let columns = Columns { header: &["ID", "TITLE", "TOPIC"], right: &[0], elastic: &[(2, 30), (1, 70)] };
        let mut rows =
            vec![vec!["12".into(), "t".repeat(200), "x".repeat(200)], vec!["3".into(), "a".into(), "b".into()]];
        fit(&columns, &mut rows, 60);
        let width: usize = rows[0].iter().map(|cell| cell.chars().count() + 2).sum();
        assert!((50..=60).contains(&width), "{width}");
        assert_eq!(rows[1], ["3", "a", "b"]);
    }
}

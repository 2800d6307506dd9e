//! One book as a file has it.

use bookstore_core::{BookText, Cents, Condition, Isbn, NewBook};
use std::collections::HashMap;

use super::{
    Line, amounts, habits,
    options::{Field, ImportOptions},
};

/// A book as a file has it: the texts of its fields, none of them empty.
#[derive(Debug)]
pub(super) struct Record {
    /// Whether it is of an export, and its texts are read as they are.
    exact: bool,
    /// The fields that can have one text only.
    single: HashMap<Field, String>,
    isbns: Vec<String>,
    subjects: Vec<String>,
}

impl Record {
    pub(super) fn new(exact: bool) -> Self {
        Self { exact, single: HashMap::new(), isbns: Vec::new(), subjects: Vec::new() }
    }

    /// Adds a field's text. Without semicolons, subjects are separated by `subjects_by`.
    pub(super) fn put(&mut self, field: Field, text: &str, subjects_by: char) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match field {
            Field::Isbn => self.isbns.push(text.to_owned()),
            Field::Subjects if self.exact => self.subjects.extend(exact_parts(text)),
            Field::Subjects => {
                let separator = if text.contains(';') { ';' } else { subjects_by };
                self.subjects.extend(parts(text, separator));
            }
            field => drop(self.single.insert(field, text.to_owned())),
        }
    }

    /// Adds subjects.
    pub(super) fn put_subjects(&mut self, subjects: impl Iterator<Item = String>) {
        self.subjects.extend(subjects);
    }

    /// The book, or what is wrong with it.
    pub(super) fn check(mut self, number: u64, options: &ImportOptions) -> Result<Line, String> {
        let exact = self.exact;
        let whole = |text| if exact { Ok(text) } else { whole(text) };
        let mut single = |field| self.single.remove(&field);
        let mut filled = |field| whole(single(field).unwrap_or_default());
        let (subtitle, sku, publisher) = (filled(Field::Subtitle)?, filled(Field::Sku)?, filled(Field::Publisher)?);
        let (language, format) = (filled(Field::Language)?, filled(Field::Format)?);
        let (author, description) = (filled(Field::Author)?, filled(Field::Description)?);
        let condition = single(Field::Condition).map(|condition| condition.parse::<Condition>());
        let condition = condition.transpose().map_err(|error| error.to_string())?;
        let on_sale = single(Field::OnSale).map(on_sale).transpose()?;
        let title = single(Field::Title).ok_or("title is missing")?;
        let text = BookText {
            title: whole(if exact { title } else { habits::title(&title) })?,
            authors: if exact { parts(&author, ';').collect() } else { habits::authors(&author) },
            topic: whole(single(Field::Topic).or_else(|| options.default_topic.clone()).ok_or("topic is missing")?)?,
            isbn: isbn(&self.isbns)?,
            year: single(Field::Year).map_or(Ok(None), |year| year_of(&year, exact))?,
            subjects: self.subjects,
            subtitle,
            sku,
            condition: condition.unwrap_or_default(),
            publisher,
            language,
            format,
            description,
        };
        let (in_cents, in_units) = (single(Field::PriceCents), single(Field::Price));
        let given_stock = single(Field::Stock).map(stock).transpose()?;
        let given_price = price(in_cents, in_units, options)?;
        let book = NewBook { text, price_cents: Cents::ZERO, stock: 0 };
        let mut book = book.checked().map_err(|error| error.to_string())?;
        let (filled_price, filled_stock) = derived_price_and_stock(&book.text.identity());
        let fill_in = options.fill_in;
        book.price_cents = given_price.or_else(|| fill_in.then_some(filled_price)).ok_or("price is missing")?;
        let default = options.default_stock.or_else(|| fill_in.then_some(filled_stock));
        book.stock = given_stock.or(default).ok_or("stock is missing")?;
        let book = book.checked().map_err(|error| error.to_string())?;
        Ok(Line {
            number,
            book,
            has_price: given_price.is_some(),
            has_stock: given_stock.is_some(),
            has_condition: condition.is_some(),
            on_sale,
            exact,
        })
    }
}

/// The parts of a list that are not empty.
fn parts(list: &str, separator: char) -> impl Iterator<Item = String> {
    list.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned)
}

/// The subjects of an export: a semicolon within one is doubled.
fn exact_parts(list: &str) -> impl Iterator<Item = String> {
    /// No text has it.
    const WITHIN: &str = "\u{1f}";
    let list = list.replace(";;", WITHIN);
    let subjects: Vec<String> = parts(&list, ';').map(|subject| subject.replace(WITHIN, ";")).collect();
    subjects.into_iter()
}

/// Of an export also the year 0, which elsewhere means that nobody knows it.
fn year_of(text: &str, exact: bool) -> Result<Option<i32>, String> {
    match text.parse() {
        Ok(year) if exact => Ok(Some(year)),
        _ => habits::year(text),
    }
}

fn on_sale(text: String) -> Result<bool, String> {
    match &text.to_lowercase()[..] {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(format!("on_sale must be yes or no, not {text:?}")),
    }
}

/// A text in which no character was lost on its way.
fn whole(text: String) -> Result<String, String> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(format!("{text:?} has a character that was lost (U+FFFD); export the file again as UTF-8"));
    }
    Ok(text)
}

/// The ISBN that all of these are.
fn isbn(spelled: &[String]) -> Result<Option<Isbn>, String> {
    let mut isbn: Option<Isbn> = None;
    for text in spelled.iter().filter(|text| !is_none(text)) {
        let read = Isbn::read(text).map_err(|error| error.to_string())?;
        match (isbn, read) {
            (Some(first), Some(other)) if first != other => {
                return Err(format!("isbn: {first} and {other} are two books"));
            }
            _ => isbn = isbn.or(read),
        }
    }
    Ok(isbn)
}

/// Whether somebody has written that there is none.
fn is_none(text: &str) -> bool {
    matches!(&text.to_lowercase()[..], "n/a" | "na" | "none" | "null" | "no isbn" | "unknown")
}

fn price(in_cents: Option<String>, price: Option<String>, options: &ImportOptions) -> Result<Option<Cents>, String> {
    let cents = match (in_cents, price) {
        (Some(cents), Some(price)) => return Err(format!("it has two prices, {cents:?} in cents and {price:?}")),
        (Some(cents), None) => {
            cents.parse().map_err(|_| format!("price_cents must be a whole number in its range, not {cents:?}"))?
        }
        (None, Some(price)) => {
            let amount = amounts::amount(&price, options.currency, options.decimal_comma)?;
            if let Some(sign) = amount.sign.filter(|sign| !options.currency.may_be(sign)) {
                return Err(format!("price {price:?} is in {sign}, the shop in {}", options.currency));
            }
            amount.cents
        }
        (None, None) => return Ok(None),
    };
    Cents::new(cents).map(Some).map_err(|error| error.to_string())
}

fn stock(stock: String) -> Result<u32, String> {
    stock.parse().map_err(|_| format!("stock must be a whole number in its range, not {stock:?}"))
}

/// A price and a stock for a book whose file has none: from the 64-bit FNV-1a hash `h` of its
/// [identity](BookText::identity), `499 + 100 * (h mod 60)` cents and `1 + (h >> 32) mod 40` copies.
#[must_use]
pub fn derived_price_and_stock(identity: &str) -> (Cents, u32) {
    let hash = identity
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let price = Cents::new(499 + 100 * (hash % 60)).unwrap_or(Cents::MAX);
    let stock = u32::try_from(1 + (hash >> 32) % 40).unwrap_or(1);
    (price, stock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_price_never_changes() {
        // These numbers are documented: a change of the formula would reprice other people's shops.
        assert_eq!(derived_price_and_stock("9780028638843"), (Cents::new(1199).unwrap(), 40));
        assert_eq!(derived_price_and_stock("9780793820672"), (Cents::new(6399).unwrap(), 12));
    }
}

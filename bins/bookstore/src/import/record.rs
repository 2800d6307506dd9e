//! One book as a file has it.

use bookstore_core::{BookText, Cents, Isbn, NewBook};
use serde::Deserialize;

/// A book as a file has it. Fields that a file does not have are `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) title: Option<String>,
    pub(super) author: Option<String>,
    pub(super) topic: Option<String>,
    #[serde(alias = "isbn13")]
    pub(super) isbn: Option<String>,
    pub(super) year: Option<i32>,
    pub(super) subjects: Option<Vec<String>>,
    pub(super) price_cents: Option<u64>,
    pub(super) stock: Option<u32>,
}

impl Record {
    /// The book, or what is wrong with it.
    pub(super) fn check(self) -> Result<NewBook, String> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let text = BookText {
            title: trimmed(self.title).ok_or("title is missing")?,
            author: trimmed(self.author).unwrap_or_default(),
            topic: trimmed(self.topic).ok_or("topic is missing")?,
            isbn: self.isbn.as_deref().map_or(Ok(None), Isbn::read).map_err(|error| error.to_string())?,
            year: self.year,
            subjects: self.subjects.unwrap_or_default(),
        };
        let (price, stock) = derived_price_and_stock(&text.identity());
        let price_cents = self.price_cents.map_or(Ok(price), Cents::new).map_err(|error| error.to_string())?;
        let book = NewBook { text, price_cents, stock: self.stock.unwrap_or(stock) };
        book.checked().map_err(|error| error.to_string())
    }
}

/// The price and the stock of a book whose file has none: from the 64-bit FNV-1a hash `h` of its
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

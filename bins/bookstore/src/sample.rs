//! The sample catalogue: the seven textbook titles, then fifteen real books of each topic of the Library of Congress.

use bookstore_core::NewBook;

use crate::import::{self, ImportOptions};

/// Real books are from the Library of Congress's open MARC records; price and stock are [derived](import::derived_price_and_stock).
const SAMPLE: &[u8] = include_bytes!("../assets/sample.jsonl");

/// The sample books, in the order in which they are numbered from 1.
///
/// # Panics
/// Never: the books are part of the program, and a test reads them.
#[must_use]
pub fn books() -> Vec<NewBook> {
    let lines = import::json_lines(SAMPLE, &ImportOptions::default());
    lines.map(|line| line.expect("the sample is well-formed").book).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_with_the_textbook_titles_and_goes_on_with_real_books() {
        let books = books();
        let topics: Vec<_> = books[..7].iter().map(|book| book.text.topic.as_str()).collect();
        let (ds, us) = ("distributed systems", "undergraduate school");
        assert_eq!(topics, [ds, ds, us, us, ds, us, us]);
        assert_eq!(books[1].text.title, "RPCs for Noobs");
        assert!(books.len() > 300 && books.len() <= bookstore_core::catalog::ADD_BOOKS_MAX);
        for book in &books[7..] {
            let derived = import::derived_price_and_stock(&book.text.identity());
            assert_eq!((book.price_cents, book.stock), derived, "{}", book.text.title);
        }
        let identities: std::collections::HashSet<_> = books.iter().map(|book| book.text.identity()).collect();
        assert_eq!(identities.len(), books.len());
    }
}

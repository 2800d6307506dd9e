//! The titles of the books of orders.

use bookstore_core::{BookId, Order, service::BOOKS_MAX};
use std::collections::{BTreeSet, HashMap};

use super::{Failure, source::Source};

/// The most titles that are kept: more than a page of orders has lines.
const KEPT_MAX: usize = 20_000;

/// Titles that were read.
#[derive(Default)]
pub(super) struct Titles(HashMap<BookId, String>);

impl Titles {
    /// Reads those of the books of these orders.
    pub(super) async fn read(&mut self, orders: &[Order], source: &mut Source) -> Result<(), Failure> {
        let books =
            || orders.iter().flat_map(|order| order.lines.iter().map(|line| line.book)).collect::<BTreeSet<_>>();
        if self.0.len() + books().len() > KEPT_MAX {
            self.0.clear();
        }
        let missing: Vec<BookId> = books().into_iter().filter(|book| !self.0.contains_key(book)).collect();
        for ids in missing.chunks(BOOKS_MAX) {
            let books = source.books(ids.to_vec()).await?;
            self.0.extend(books.into_iter().flatten().map(|book| (book.id, book.text.title().to_owned())));
        }
        Ok(())
    }

    /// The titles of an order's lines.
    pub(super) fn of(&self, order: &Order) -> Vec<&str> {
        order.lines.iter().map(|line| self.0.get(&line.book).map(String::as_str).unwrap_or_default()).collect()
    }
}

//! A book's JSON, rendered once for each of its versions.

use bookstore_core::{Book, BookId};
use bytes::Bytes;
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

/// Books whose JSON is kept.
const BOOKS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");
/// Longer ones are rendered every time, so that the memory is bounded in bytes too: 4 MiB.
const BYTES_MAX: usize = 1024;

/// The JSON of the books that were asked for last.
pub(super) struct Rendered(Mutex<LruCache<BookId, (Book, Bytes)>>);

impl Default for Rendered {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(BOOKS_MAX)))
    }
}

impl Rendered {
    /// The book as JSON. Kept as long as all of the book is the same: its texts are shared, so that is quick to see.
    pub(super) fn json(&self, book: &Book) -> Bytes {
        if let Some((kept, json)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&book.id)
            && kept == book
        {
            return json.clone();
        }
        let json = Bytes::from(serde_json::to_vec(book).expect("a book is JSON"));
        if json.len() <= BYTES_MAX {
            let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            books.put(book.id, (book.clone(), json.clone()));
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookText, Cents, Seq};

    fn book(title: String, stock: u32) -> Book {
        let text = BookText { title, topic: "t".into(), ..BookText::default() };
        Book { id: BookId(1), text: text.into(), price_cents: Cents::ZERO, stock, version: Seq(4) }
    }

    #[test]
    fn what_is_kept_is_shown_only_for_the_very_same_book() {
        let rendered = Rendered::default();
        // The same id and version, as after a restored backup.
        for shown in [book("One".into(), 3), book("One".into(), 2), book("Two".into(), 2), book("Two".into(), 2)] {
            let json = rendered.json(&shown);
            assert_eq!(serde_json::from_slice::<Book>(&json).unwrap(), shown);
        }
    }

    #[test]
    fn a_book_is_rendered_once_per_version_unless_it_is_long() {
        let rendered = Rendered::default();
        let (short, long) = (book("One".into(), 3), book("x".repeat(BYTES_MAX), 3));
        assert_eq!(rendered.json(&short).as_ptr(), rendered.json(&short.clone()).as_ptr());
        assert_ne!(rendered.json(&long).as_ptr(), rendered.json(&short).as_ptr());
        assert!(!rendered.0.lock().unwrap().iter().any(|(_, (book, _))| *book == long));
    }
}

//! The books' texts in memory: those that were asked for last as they are, many more packed.

use lru::LruCache;
use std::{num::NonZeroUsize, sync::Arc};

use crate::book::{BookId, BookText};

/// Texts that are kept as they are.
const WHOLE_MAX: usize = 4_096;
/// Longer ones are not packed, in bytes; so memory is bounded in bytes, too. The texts of 60,638 real books have 170 bytes on average.
const PACKED_BYTES_MAX: usize = 1_024;

/// What was read once is not read from the disk again, as long as there is room.
///
/// A text is some ten strings, which take several times as much memory as their letters. Packed, all texts of a large catalogue
/// fit, and unpacking one takes a fraction of what reading it from a table takes.
pub(super) struct Texts {
    whole: LruCache<BookId, Arc<BookText>>,
    packed: LruCache<BookId, Box<[u8]>>,
}

impl Texts {
    /// Keeps at most `packed_max` texts, and of these at most [`WHOLE_MAX`] as they are.
    pub(super) fn new(packed_max: usize) -> Self {
        let room = |most: usize| NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self { whole: LruCache::new(room(packed_max.min(WHOLE_MAX))), packed: LruCache::new(room(packed_max)) }
    }

    pub(super) fn get(&mut self, book: BookId) -> Option<Arc<BookText>> {
        if let Some(text) = self.whole.get(&book) {
            return Some(Arc::clone(text));
        }
        let text = Arc::new(unpack(self.packed.get(&book)?));
        self.whole.put(book, Arc::clone(&text));
        Some(text)
    }

    pub(super) fn put(&mut self, book: BookId, text: &Arc<BookText>) {
        self.whole.put(book, Arc::clone(text));
        let packed = pack(text);
        if packed.len() <= PACKED_BYTES_MAX {
            self.packed.put(book, packed.into());
        }
    }
}

fn pack(BookText { title, author, topic, isbn, year, subjects }: &BookText) -> Vec<u8> {
    serde_json::to_vec(&(title, author, topic, isbn, year, subjects)).expect("strings are JSON")
}

fn unpack(packed: &[u8]) -> BookText {
    let (title, author, topic, isbn, year, subjects) = serde_json::from_slice(packed).expect("it was packed here");
    BookText { title, author, topic, isbn, year, subjects }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(title: &str) -> Arc<BookText> {
        let subjects = vec!["\u{1F4DA} \"quoted\"".to_owned(), String::new()];
        Arc::new(BookText { title: title.into(), topic: "t".into(), year: Some(-44), subjects, ..BookText::default() })
    }

    #[test]
    fn a_text_is_the_same_whole_or_packed() {
        let mut texts = Texts::new(WHOLE_MAX + 1);
        texts.put(BookId(1), &text("One"));
        assert_eq!(texts.get(BookId(1)), Some(text("One")));
        for other in 2..WHOLE_MAX as u64 + 2 {
            texts.put(BookId(other), &text("Other"));
        }
        assert!(!texts.whole.contains(&BookId(1)), "it has been pushed out");
        assert_eq!(texts.get(BookId(1)), Some(text("One")), "unpacked");
        assert!(texts.whole.contains(&BookId(1)), "and at hand again");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut texts = Texts::new(2);
        (1..=3).for_each(|book| texts.put(BookId(book), &text("One")));
        assert_eq!([1, 2, 3].map(|book| texts.get(BookId(book)).is_some()), [false, true, true]);
        let long = text(&"x".repeat(PACKED_BYTES_MAX));
        texts.put(BookId(4), &long);
        assert!(!texts.packed.contains(&BookId(4)));
        assert_eq!(texts.get(BookId(4)), Some(long), "while it is among the last");
    }
}

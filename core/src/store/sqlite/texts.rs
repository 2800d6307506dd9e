//! The texts that were read last, in memory.

use lru::LruCache;
use std::num::NonZeroUsize;

use crate::book::{BookId, Text};

/// Bytes that the texts may take on average, so that memory is bounded in bytes, too. Those of real books take 170.
const BYTES_EACH: usize = 1_024;

/// What was read once is not read from the disk again, as long as there is room.
pub(super) struct Texts {
    texts: LruCache<BookId, Text>,
    bytes: usize,
    bytes_max: usize,
}

impl Texts {
    /// Keeps at most `max` texts, and at most [`BYTES_EACH`] times as many bytes of them.
    pub(super) fn new(max: usize) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        Self { texts: LruCache::new(max), bytes: 0, bytes_max: max.get().saturating_mul(BYTES_EACH) }
    }

    pub(super) fn get(&mut self, book: BookId) -> Option<Text> {
        self.texts.get(&book).cloned()
    }

    pub(super) fn put(&mut self, book: BookId, text: Text) {
        self.bytes += text.size();
        self.bytes -= size(self.texts.push(book, text));
        while self.bytes > self.bytes_max {
            self.bytes -= size(self.texts.pop_lru());
        }
    }
}

/// Of what is no longer kept: the one used least recently, or the same book's text before.
fn size(gone: Option<(BookId, Text)>) -> usize {
    gone.map_or(0, |(_, text)| text.size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::BookText;

    fn text(title: &str) -> Text {
        BookText { title: title.into(), topic: "t".into(), ..BookText::default() }.into()
    }

    fn kept(texts: &mut Texts) -> [bool; 4] {
        [1, 2, 3, 4].map(|book| texts.get(BookId(book)).is_some())
    }

    #[test]
    fn the_texts_used_last_are_kept() {
        let mut texts = Texts::new(2);
        [1, 2].into_iter().for_each(|book| texts.put(BookId(book), text("One")));
        assert_eq!(texts.get(BookId(1)), Some(text("One")));
        texts.put(BookId(3), text("Two"));
        assert_eq!(kept(&mut texts), [true, false, true, false]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut texts = Texts::new(2);
        for book in [1, 2, 3, 3] {
            texts.put(BookId(book), text("One"));
        }
        assert_eq!((kept(&mut texts), texts.bytes), ([false, true, true, false], 2 * text("One").size()));
        let long = text(&"x".repeat(2 * BYTES_EACH - 40));
        texts.put(BookId(4), long.clone());
        assert_eq!((kept(&mut texts), texts.bytes), ([false, false, true, true], long.size() + text("One").size()));
        texts.put(BookId(3), long.clone());
        assert_eq!((kept(&mut texts), texts.bytes), ([false, false, true, false], long.size()), "in bytes");
        texts.put(BookId(2), text(&"x".repeat(2 * BYTES_EACH)));
        assert_eq!((kept(&mut texts), texts.bytes), ([false; 4], 0), "one that is too long for all");
    }
}

//! The texts that were read last, in memory: of a shop with up to 65,536 books, nearly always all of them.

use foldhash::fast::FixedState;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{
    book::Text,
    error::Result,
    id::{BookId, Seq},
};

/// A text counts as at least this many bytes, so that one limit bounds both their number and their bytes. Texts of real books
/// take about 170.
const WEIGHT_MIN: usize = 1_024;
/// Parts of the cache, each with a lock of its own.
const SHARDS: usize = 16;

/// A bounded cache of texts, one of each book. Each is kept with the entry that it is from, so none is taken for a newer one.
#[derive(Debug)]
pub(super) struct TextCache(Cache<BookId, (Seq, Text), Bytes, FixedState>);

/// Weighs a text by its bytes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<BookId, (Seq, Text)> for Bytes {
    fn weight(&self, _: &BookId, (_, text): &(Seq, Text)) -> u64 {
        text.size().max(WEIGHT_MIN) as u64
    }
}

impl TextCache {
    /// Keeps at most about `max` texts, and [`WEIGHT_MIN`] times `max` bytes of them.
    pub(super) fn new(max: usize) -> Self {
        let room = (max.max(1) as u64).saturating_mul(WEIGHT_MIN as u64);
        let mut options = OptionsBuilder::new();
        let options = options.shards(SHARDS).estimated_items_capacity(max).weight_capacity(room).build();
        let options = options.expect("both capacities are given");
        // A fixed hash is safe: the shop itself numbers its books, so no client can choose numbers that collide.
        Self(Cache::with_options(options, Bytes, FixedState::default(), DefaultLifecycle::default()))
    }

    /// A book's text, if the one from the entry `version` is kept.
    fn get(&self, book: BookId, version: Seq) -> Option<Text> {
        self.0.get(&book).filter(|(kept, _)| *kept == version).map(|(_, text)| text)
    }

    /// The same; one that is not kept is read, and kept then.
    pub(super) async fn get_or_read(
        &self,
        book: BookId,
        version: Seq,
        read: impl Future<Output = Result<Option<Text>>>,
    ) -> Result<Option<Text>> {
        let kept = self.get(book, version);
        if kept.is_some() {
            return Ok(kept);
        }
        let text = read.await?;
        if let Some(text) = &text {
            self.put(book, version, text.clone());
        }
        Ok(text)
    }

    fn put(&self, book: BookId, version: Seq, text: Text) {
        self.0.insert(book, (version, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::BookText;

    const V: Seq = Seq(1);

    fn text(title: &str) -> Text {
        BookText { title: title.into(), topic: "t".into(), ..BookText::default() }.into()
    }

    #[test]
    fn a_text_is_kept_until_there_are_too_many() {
        let texts = TextCache::new(20);
        assert_eq!(texts.get(BookId(1), V), None);
        (1..=20).for_each(|book| texts.put(BookId(book), V, text(&format!("Book {book}"))));
        assert!((1..=20).all(|book| texts.get(BookId(book), V) == Some(text(&format!("Book {book}")))));
        (21..=100).for_each(|book| texts.put(BookId(book), V, text("Another")));
        assert_eq!((1..=100).filter(|book| texts.get(BookId(*book), V).is_some()).count(), 20);
        texts.put(BookId(100), V, text("Anew"));
        assert_eq!(texts.get(BookId(100), V), Some(text("Anew")));
        assert_eq!(texts.get(BookId(100), Seq(2)), None, "it is older than the one that is asked for");
    }

    #[test]
    fn long_texts_take_the_room_of_many() {
        let texts = TextCache::new(20);
        (1..=20).for_each(|book| texts.put(BookId(book), V, text("Short")));
        let long = text(&"x".repeat(10 * WEIGHT_MIN));
        texts.put(BookId(21), V, long.clone());
        assert_eq!(texts.get(BookId(21), V), Some(long));
        assert_eq!((1..=20).filter(|book| texts.get(BookId(*book), V).is_some()).count(), 9);
        texts.put(BookId(22), V, text(&"x".repeat(20 * WEIGHT_MIN)));
        assert_eq!(texts.get(BookId(22), V), None, "one that is too long for all");
        assert!(texts.0.weight() <= 20 * WEIGHT_MIN as u64);
    }

    #[test]
    fn all_texts_of_a_large_shop_fit() {
        let texts = TextCache::new(65_536);
        (1..=60_638).for_each(|book| texts.put(BookId(book), V, text("Book")));
        assert!((1..=60_638).all(|book| texts.get(BookId(book), V).is_some()));
    }
}

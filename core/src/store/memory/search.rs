//! The reference search: it scans every text. Right by being simple; other searches are tested against it.

use async_trait::async_trait;
use std::{cmp::Ordering, collections::BTreeMap};

use super::{Ledger, MemoryReader, lock};
use crate::{
    book::{Text, Topic},
    error::Result,
    id::BookId,
    page::{CheckedQuery, Position, Sort, SortKey},
    search::{BookSearch, Found, FoundPage, reference::rank},
    topics::{CheckedTopicQuery, TopicList, TopicPage},
};
#[cfg(feature = "search")]
use crate::{history::LedgerIdentity, search::BookList, store::LedgerReader as _};

#[async_trait]
impl BookSearch for MemoryReader {
    async fn find(&self, query: CheckedQuery, _: BookId) -> Result<FoundPage> {
        Ok(lock(&self.ledger).find(&query).into())
    }

    async fn topics(&self, query: CheckedTopicQuery) -> Result<TopicPage> {
        let mut topics = BTreeMap::<String, Topic>::new();
        for text in lock(&self.ledger).texts.values() {
            let first = || Topic { topic: text.topic().into(), books: 0 };
            topics.entry(text.topic().to_ascii_lowercase()).or_insert_with(first).books += 1;
        }
        Ok(TopicList::new(topics.into_values().collect()).page(&query))
    }
}

#[cfg(feature = "search")]
#[async_trait]
impl BookList for MemoryReader {
    fn ledger(&self) -> &LedgerIdentity {
        self.identity()
    }

    async fn text_of(&self, book: BookId) -> Result<Option<Text>> {
        self.text(book).await
    }

    async fn texts_after(&self, after: BookId, last: BookId, limit: usize) -> Result<Vec<(BookId, Text)>> {
        let ledger = lock(&self.ledger);
        let later = ledger.texts.range(BookId(after.0.saturating_add(1))..).take_while(|(id, _)| **id <= last);
        Ok(later.take(limit).map(|(id, text)| (*id, text.clone())).collect())
    }

    async fn sorted(&self, books: Vec<BookId>, query: CheckedQuery) -> Result<Vec<Found>> {
        let ledger = lock(&self.ledger);
        let texts = books.iter().filter_map(|id| ledger.texts.get_key_value(id));
        Ok(ledger.page(texts, &query))
    }
}

impl Ledger {
    fn find(&self, query: &CheckedQuery) -> Vec<Found> {
        self.page(self.texts.iter(), query)
    }

    /// The page of those of these books that match.
    fn page<'a>(&self, books: impl Iterator<Item = (&'a BookId, &'a Text)>, query: &CheckedQuery) -> Vec<Found> {
        let matches = books.filter_map(|(book, text)| {
            let position = self.position(*book, text, query)?;
            Some(Found { position, text: text.clone() })
        });
        let after = query.after.as_ref().map(|after| match query.sort {
            // The page token has no title.
            Sort::Title => Position { key: self.title(after.id), id: after.id },
            _ => after.clone(),
        });
        let later = |found: &Found| after.as_ref().is_none_or(|after| compare(after, &found.position).is_lt());
        let mut found: Vec<Found> = matches.filter(later).collect();
        found.sort_by(|a, b| compare(&a.position, &b.position));
        found.truncate(query.size + 1);
        found
    }

    fn title(&self, book: BookId) -> SortKey {
        SortKey::Text(self.texts.get(&book).map(|text| text.title().to_ascii_lowercase()).unwrap_or_default())
    }

    /// The position of a book among those that match, or `None` if it does not match.
    fn position(&self, book: BookId, text: &Text, query: &CheckedQuery) -> Option<Position> {
        if query.topic.as_ref().is_some_and(|topic| !topic.eq_ignore_ascii_case(text.topic())) {
            return None;
        }
        let rank = query.words.as_ref().map_or(Some(0.0), |words| rank(words, text))?;
        let key = match query.sort {
            Sort::Relevance if query.words.is_some() => SortKey::Real(rank),
            Sort::Relevance => SortKey::Integer(0),
            Sort::Title => self.title(book),
            Sort::Price => {
                let price = self.levels.get(book)?.price_cents.get();
                SortKey::Integer(i64::try_from(price).unwrap_or(i64::MAX))
            }
            Sort::Newest => SortKey::Integer(text.year().map_or(i64::MAX, |year| -i64::from(year))),
        };
        Some(Position { key, id: book })
    }
}

/// By key, then by id.
fn compare(a: &Position, b: &Position) -> Ordering {
    a.key.partial_cmp(&b.key).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

//! The simplest search by words: it looks at every text. It is the model in tests, and the answer where there is no index.

use async_trait::async_trait;
use std::collections::BTreeMap;

use super::{BookSearch, Match, Matches};
use crate::{
    book::Text,
    error::Result,
    id::Seq,
    ledger::Entry,
    page::{CheckedQuery, terms},
    store::LedgerReader,
};

/// Texts that are looked at without a pause.
const AT_ONCE: usize = 256;

/// Any ledger searches by reading all of its texts.
#[async_trait]
impl<R: LedgerReader + ?Sized> BookSearch for R {
    async fn matches(&self, query: &CheckedQuery, texts: Seq) -> Result<Matches> {
        let words = query.words.as_deref().unwrap_or_default();
        let mut ranks = BTreeMap::new();
        let mut after = Seq(0);
        loop {
            let entries = self.texts(after, texts, AT_ONCE).await?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            // A later text takes the place of an earlier one.
            ranks.extend(entries.iter().filter_map(Entry::book_text).map(|(book, text)| (book, rank(words, text))));
            tokio::task::yield_now().await;
        }
        let books = ranks.into_iter().filter_map(|(book, rank)| Some(Match { book, rank: rank? }));
        Ok(Matches { books: books.collect(), did_you_mean: None })
    }
}

/// How well a text matches these words, the best has the lowest rank: the sum over the words of 0 for the title or subtitle, 1 for an
/// author, 2 for a subject, 3 for publisher or description. `None` if a word begins no word of them, or if there are no words.
fn rank(words: &[String], text: &Text) -> Option<f32> {
    let begins = |field: &str, word: &String| terms(field).iter().any(|term| term.starts_with(word.as_str()));
    let ranks = words.iter().map(|word| {
        if begins(text.title(), word) || begins(text.subtitle(), word) {
            Some(0.0)
        } else if begins(text.author(), word) {
            Some(1.0)
        } else if text.subjects().any(|subject| begins(subject, word)) {
            Some(2.0)
        } else {
            (begins(text.publisher(), word) || begins(text.description(), word)).then_some(3.0)
        }
    });
    ranks.sum::<Option<f32>>().filter(|_| !words.is_empty())
}

//! The cached pages of topics: kept until a book is added, revised, withdrawn or relisted.

use bookstore_core::{TopicPage, TopicQuery};
use std::collections::VecDeque;

/// The most pages that are kept, of at most 1 MiB of JSON each; one more drops the oldest.
const PAGES_MAX: usize = 16;

/// The pages of topics that are known.
#[derive(Default)]
pub(super) struct CachedTopics {
    /// Newest last.
    pages: VecDeque<(TopicQuery, TopicPage)>,
    /// Grows whenever topics that are on their way may be out of date.
    generation: u64,
}

impl CachedTopics {
    /// A page, if it is current.
    pub(super) fn get(&self, query: &TopicQuery) -> Option<TopicPage> {
        self.pages.iter().find(|(kept, _)| kept == query).map(|(_, page)| page.clone())
    }

    /// To be passed to [`CachedTopics::store`] with the answer to a request that starts now.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A book may have been added, revised, withdrawn or relisted.
    pub(super) fn invalidate(&mut self) {
        self.pages.clear();
        self.generation += 1;
    }

    /// Stores an answer, unless it was invalidated since it was asked for, or the answer to a later request came first. Most changes add
    /// books, so of two answers the one with more books is taken for the newer; the entry that made it otherwise drops both.
    pub(super) fn store(&mut self, query: TopicQuery, page: &TopicPage, generation: u64) {
        if self.generation != generation {
            return;
        }
        let kept = self.pages.iter().position(|(kept, _)| *kept == query);
        match kept.and_then(|at| self.pages.get_mut(at)) {
            Some((_, kept)) if kept.total_books < page.total_books => *kept = page.clone(),
            Some(_) => {}
            None => {
                if self.pages.len() == PAGES_MAX {
                    self.pages.pop_front();
                }
                self.pages.push_back((query, page.clone()));
            }
        }
    }
}

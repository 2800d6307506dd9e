//! The cached topics: kept until a book is added.

use bookstore_core::Topic;

/// The topics, if they are known.
#[derive(Default)]
pub(super) struct CachedTopics {
    topics: Option<Vec<Topic>>,
    /// Grows whenever topics that are on their way may be out of date.
    generation: u64,
}

impl CachedTopics {
    /// The topics, if they are current.
    pub(super) fn get(&self) -> Option<Vec<Topic>> {
        self.topics.clone()
    }

    /// To be passed to [`CachedTopics::store`] with the answer to a request that starts now.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A book may have been added.
    pub(super) fn invalidate(&mut self) {
        self.topics = None;
        self.generation += 1;
    }

    /// Stores an answer, unless a book was added since it was asked for, or the answer to a later request came first. Books are
    /// only ever added, so of two answers the one with more books is the newer.
    pub(super) fn store(&mut self, topics: &[Topic], generation: u64) {
        let books = |topics: &[Topic]| topics.iter().map(|topic| topic.books).sum::<u64>();
        let newer = self.topics.as_deref().is_none_or(|kept| books(kept) < books(topics));
        if self.generation == generation && newer {
            self.topics = Some(topics.to_vec());
        }
    }
}

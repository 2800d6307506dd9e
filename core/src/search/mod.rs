//! The search contract: what a search finds, and in which order.
//!
//! A search is a component beside the store: [`Catalog::start`](crate::Catalog::start) takes one. The stores of this crate
//! bring their own, which looks at every text for words: right for tests and small shops. With feature `search`,
//! `IndexedSearch` finds words in an index of its own beside any of them, and understands more. Stock and live prices are not
//! the search's business: the catalog adds them to what was found.

#[cfg(feature = "search")]
mod analysis;
#[cfg(feature = "search")]
pub mod index;
#[cfg(feature = "search")]
mod indexed;
#[cfg(feature = "search")]
mod language;

#[cfg(feature = "search")]
pub use indexed::{BookList, IndexedSearch};

pub(crate) mod reference;

use async_trait::async_trait;

use crate::{
    book::Text,
    error::Result,
    id::BookId,
    page::{CheckedQuery, Position},
    topics::{CheckedTopicQuery, TopicPage},
};

/// Finds books by words and topic.
///
/// # Matching
/// A book matches a query if both hold:
/// - Its topic is `query.topic`, if there is one. ASCII upper and lower case are the same.
/// - Each of `query.words`, if there are some, begins a [term](crate::page::terms) of its title, author or subjects; each word may
///   do so in another field. `Some` and empty words match nothing. A search MAY set diacritics aside.
///
/// # Order
/// Ascending by [`SortKey`](crate::page::SortKey), then by id:
/// - [`Relevance`](crate::page::Sort::Relevance) without words: by id alone. With words: a book that has them all in its title
///   comes before one that has them all in its author and nowhere else, and that one before one that has them all in its
///   subjects and nowhere else. The order between other books is the search's own, but it MUST be the same for every page.
/// - [`Title`](crate::page::Sort::Title): by the bytes of the title in ASCII lower case.
/// - [`Price`](crate::page::Sort::Price): by the price after the last appended entry, cheapest first.
/// - [`Newest`](crate::page::Sort::Newest): by year, latest first; books without a year come last.
///
/// # Freshness
/// A search takes the last book whose addition is durable. It MUST find every book up to that one. It MAY find a later one: the
/// catalog leaves these out.
///
/// # Where it runs
/// Callers call it on their own runtime, any number at once, so it MUST NOT block the thread: work that waits for a disk goes to
/// threads of its own.
#[async_trait]
pub trait BookSearch: Send + Sync {
    /// The books that match, after `query.after`, in order: up to `query.size + 1` of them, so that the caller sees whether
    /// another page follows. `last` is the last book whose addition is durable.
    ///
    /// # Errors
    /// - [`Error::Overloaded`](crate::Error::Overloaded) if too many reads wait.
    /// - [`Error::Unavailable`](crate::Error::Unavailable) if the index cannot be read.
    async fn find(&self, query: CheckedQuery, last: BookId) -> Result<FoundPage>;

    /// A page of the topics with their numbers of books; a [`TopicList`](crate::topics::TopicList) cuts it.
    ///
    /// As in a search, topics that differ in ASCII case only are one topic, spelled as in the book that was added first.
    ///
    /// # Errors
    /// - As [`Self::find`].
    async fn topics(&self, query: CheckedTopicQuery) -> Result<TopicPage>;

    /// Says that there are books up to `last`, durably: after the start, and after some were added. A search that has to take them in
    /// may begin with that; it MUST return at once. It is called on a runtime.
    fn books_added(&self, last: BookId) {
        let _ = last;
    }
}

/// A page of what a search found.
#[derive(Clone, Debug, Default)]
pub struct FoundPage {
    /// The books, in order.
    pub books: Vec<Found>,
    /// Another spelling of the query, if few books were found and it would find more.
    pub did_you_mean: Option<String>,
}

impl From<Vec<Found>> for FoundPage {
    fn from(books: Vec<Found>) -> Self {
        Self { books, did_you_mean: None }
    }
}

/// A book that a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id, and its sort key in this search.
    pub position: Position,
    /// Its text.
    pub text: Text,
}

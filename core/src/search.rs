//! The search contract: what a search finds, and in which order.
//!
//! A search is a component beside the store: [`Catalog::start`](crate::Catalog::start) takes one. The stores of this crate
//! bring their own: [`MemoryReader`](crate::store::memory::MemoryReader) scans all texts and is the reference, and the reader
//! of a SQLite store uses the full-text index of its file. Stock and live prices are not the search's business: the catalog
//! adds them to what was found.

use async_trait::async_trait;

use crate::{
    book::Text,
    error::Result,
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
/// A search takes no head. It MUST find every book whose addition was acknowledged before the call. It MAY find a book whose
/// addition is not durable yet: the catalog leaves these out.
///
/// # Where it runs
/// Callers call it on their own runtime, any number at once, so it MUST NOT block the thread: work that waits for a disk goes to
/// threads of its own.
#[async_trait]
pub trait BookSearch: Send + Sync {
    /// The books that match, after `query.after`, in order: up to `query.size + 1` of them, so that the caller sees whether
    /// another page follows.
    ///
    /// # Errors
    /// - [`Error::Overloaded`](crate::Error::Overloaded) if too many reads wait.
    /// - [`Error::Unavailable`](crate::Error::Unavailable) if the index cannot be read.
    async fn find(&self, query: CheckedQuery) -> Result<Vec<Found>>;

    /// A page of the topics with their numbers of books; a [`TopicList`](crate::topics::TopicList) cuts it.
    ///
    /// As in a search, topics that differ in ASCII case only are one topic, spelled as in the book that was added first.
    ///
    /// # Errors
    /// - As [`Self::find`].
    async fn topics(&self, query: CheckedTopicQuery) -> Result<TopicPage>;
}

/// A book that a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id, and its sort key in this search.
    pub position: Position,
    /// Its text.
    pub text: Text,
}

//! Finding books: the contract of a search by words, the reference, and the index.
//!
//! A search is a component beside the store: [`Catalog::start`](crate::Catalog::start) takes one. It says which books have the
//! words of a query, and how well. Any [`LedgerReader`](crate::store::LedgerReader) is one, which looks at every text: right for tests
//! and small shops. With feature `search`, `IndexedSearch` finds words in an index of its own beside any store, and understands more.
//!
//! The catalog does everything else for all of them alike: it keeps topic, author, year and title of every book in memory, and how many
//! copies were sold; filters, counts and sorts by them and by the stock and price of now; and reads the texts of one page from the store.

#[cfg(feature = "search")]
mod analysis;
mod best_sellers;
mod books;
mod finder;
mod folding;
#[cfg(feature = "search")]
pub mod index;
#[cfg(feature = "search")]
mod indexed;
#[cfg(feature = "search")]
mod language;
mod places;
mod reference;
mod sales;
mod select;

pub(crate) use finder::{Finder, FoundPage};
pub use folding::title_key;
#[cfg(feature = "search")]
pub use indexed::{IndexedOptions, IndexedSearch};

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{BookId, Seq},
    page::CheckedQuery,
};

/// Finds books by words.
///
/// # Matching
/// A book matches if each of `query.words` begins a [term](crate::page::terms) of its title, subtitle, authors, subjects, publisher or
/// description; each word may do so in another field. `Some` and empty words match nothing. A search MAY set diacritics aside, and MAY understand more than words.
/// Everything else in a query is the caller's.
///
/// # Rank
/// The lowest rank is the best: a book that has all words in its title or subtitle comes before one that has them all in its authors
/// and nowhere else, that one before one that has them all in its subjects and nowhere else, and that one before one that has them all
/// in its description or publisher and nowhere else. The order between other books is the
/// search's own, but it MUST be the same for every page.
///
/// # Freshness
/// The texts of a ledger are those of its entries; a later one of a book takes the place of an earlier one. A search MUST know
/// every text up to the entry `texts`, which is durable, and MAY know later ones, but MUST NOT take in any that is not durable.
/// Books that are off sale it MAY find: its caller leaves them out.
///
/// # Where it runs
/// Callers call it on their own runtime, any number at once, so it MUST NOT block the thread: work that waits for a disk goes to
/// threads of its own.
#[async_trait]
pub trait BookSearch: Send + Sync {
    /// The books that have the words of a query, in any order, each once.
    ///
    /// # Errors
    /// - [`Error::Overloaded`](crate::Error::Overloaded) if too many reads wait.
    /// - [`Error::Unavailable`](crate::Error::Unavailable) if the store cannot be read.
    async fn matches(&self, query: &CheckedQuery, texts: Seq) -> Result<Matches>;

    /// Says that there are texts up to the entry `texts`, durably: after the start, and after books were added. A search that has to
    /// take them in may begin with that; it MUST return at once. It is called on a runtime.
    fn texts_added(&self, texts: Seq) {
        let _ = texts;
    }
}

/// The books that have the words of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// The books, in no order.
    pub books: Vec<Match>,
    /// Another spelling of the query, if few books have its words and it would find more.
    pub did_you_mean: Option<String>,
}

/// A book that has the words of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The book.
    pub book: BookId,
    /// How well it matches: the best has the lowest.
    pub rank: f32,
}

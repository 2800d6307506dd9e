//! The places for searches by words.
//!
//! Such a search may rank every book of the shop, which takes a processor for as long as a second in a large one. With few places of
//! their own these searches neither take all connections from other reads nor all processors from purchases.

use std::sync::{Arc, atomic::AtomicUsize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::Waiting;
use crate::error::{Error, Result};

/// Searches by words that run at once, if there are at least twice as many connections.
const AT_ONCE_MAX: usize = 2;
/// Searches by words that wait for a place; more are refused as overloaded.
const WAITING_MAX: usize = 32;

/// The places of one store.
#[derive(Debug)]
pub(super) struct WordSearches {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl WordSearches {
    /// Places beside other reads over this many connections.
    pub(super) fn new(connections: usize) -> Self {
        let at_once = (connections / 2).clamp(1, AT_ONCE_MAX);
        Self { free: Arc::new(Semaphore::new(at_once)), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a place. The search MUST keep it until it has ended, also if its caller has gone.
    ///
    /// # Errors
    /// - [`Error::Overloaded`] if too many wait already.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let full = "too many searches by words wait; a topic's books can be listed meanwhile";
        let _waiting = Waiting::enter(&self.waiting, WAITING_MAX, full)?;
        let place = Arc::clone(&self.free).acquire_owned().await;
        place.map_err(|_| Error::unavailable("shutting down"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Catalog, CatalogOptions, CatalogService as _, Query, SystemClock,
        fixtures::book,
        id::BookId,
        store::sqlite::{self, SqliteOptions},
    };
    use futures_util::future::{join_all, poll_immediate};

    /// While searches by words hold all of their places, everything else is answered; a bounded number of searches waits.
    #[tokio::test]
    async fn searches_by_words_hold_nobody_else_up() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("shop.db");
        let (store, reader) = sqlite::open(&path, &SystemClock, SqliteOptions::default()).expect("a new file");
        let catalog =
            Catalog::start(store, reader.clone(), reader.clone(), Arc::new(SystemClock), CatalogOptions::default());
        let catalog = catalog.expect("a new ledger");
        catalog.add_books(vec![book("A book", 1)]).await.expect("a good book");

        let running = [reader.word_searches.enter().await, reader.word_searches.enter().await];
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| catalog.search(Query::words("book"))).collect();
        for search in &mut waiting {
            assert!(poll_immediate(search).await.is_none(), "it waits for a place");
        }
        let refused = catalog.search(Query::words("book")).await;
        assert!(matches!(refused, Err(Error::Overloaded { .. })), "{refused:?}");
        catalog.search(Query::topic("testing")).await.expect("a topic is no words");
        catalog.info(BookId(1)).await.expect("a book");
        drop(running);
        assert!(join_all(waiting).await.into_iter().all(|found| found.is_ok_and(|page| page.books.len() == 1)));
    }

    #[test]
    fn other_reads_keep_a_connection_where_there_are_two() {
        for (connections, expected) in [(1, 1), (2, 1), (3, 1), (4, 2), (64, 2)] {
            assert_eq!(WordSearches::new(connections).free.available_permits(), expected, "{connections}");
        }
    }
}

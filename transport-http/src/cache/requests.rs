//! The requests for books that are on their way.

use bookstore_core::{Book, BookId, Result, Seq};
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;

use super::book::Update;

/// A request that any number of readers wait for.
pub(super) type BookRequest = Shared<BoxFuture<'static, Result<Book>>>;

/// A request on its way, as the register has it.
pub(super) struct Registration {
    number: u64,
    /// Weak, so that a request without readers ends.
    request: WeakShared<BoxFuture<'static, Result<Book>>>,
    /// What the ledger did to the book since the request was registered.
    pub(super) update: Option<Update>,
}

/// The register: at most one request for each book, never more than there are readers that wait.
///
/// An answer may lack entries that were appended while it was on its way. The register collects them, so that the answer can be
/// brought forward. A request that is taken off the register early still answers its readers, but later readers do not join it,
/// and its answer does not enter the cache.
#[derive(Default)]
pub(super) struct Requests {
    by_book: HashMap<BookId, Registration>,
    started: u64,
}

/// What a reader waits for.
pub(super) struct Joined {
    pub(super) request: BookRequest,
    /// The newest version of the book that the ledger has shown since the request began.
    pub(super) seen: Seq,
    /// Whether the request was on its way already.
    pub(super) shared: bool,
}

impl Requests {
    /// The request for a book: the registered one, or a new one that `start` makes from its number.
    pub(super) fn join(&mut self, book: BookId, start: impl FnOnce(u64) -> BookRequest) -> Joined {
        if let Some(registration) = self.by_book.get(&book)
            && let Some(request) = registration.request.upgrade()
        {
            let seen = registration.update.as_ref().map_or(Seq(0), |update| update.seq);
            return Joined { request, seen, shared: true };
        }
        let number = self.started;
        self.started += 1;
        let request = start(number);
        let weak = request.downgrade().expect("it has not been polled yet");
        self.by_book.insert(book, Registration { number, request: weak, update: None });
        Joined { request, seen: Seq(0), shared: false }
    }

    /// Takes a request off the register, if it is still there.
    pub(super) fn end(&mut self, book: BookId, number: u64) -> Option<Registration> {
        let registered = self.by_book.get(&book).is_some_and(|registration| registration.number == number);
        if registered { self.by_book.remove(&book) } else { None }
    }

    /// Makes the next reader of a book start a new request.
    pub(super) fn abandon(&mut self, book: BookId) {
        self.by_book.remove(&book);
    }

    /// Makes all later readers start new requests.
    pub(super) fn abandon_all(&mut self) {
        self.by_book.clear();
    }

    /// Records what an entry did to a book.
    pub(super) fn record(&mut self, book: BookId, update: Update) {
        if let Some(registration) = self.by_book.get_mut(&book) {
            let earlier = registration.update.take();
            registration.update = Some(match earlier {
                Some(earlier) => earlier.then(update),
                None => update,
            });
        }
    }
}

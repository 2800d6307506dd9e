//! Asking the catalogue on behalf of the cache: with a timeout where there is something older to show, and once for all readers
//! that want the same book at the same time.

use bookstore_core::{BookId, CatalogService, Error, Result, Seq, follow::Pinned};
use futures_util::FutureExt as _;
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    options::CacheOptions,
    requests::BookRequest,
    state::{State, reading::Lookup},
};

/// The catalogue and what is known of it: shared by the readers, their requests, and the task that follows the ledger.
pub(super) struct Upstream {
    pub(super) catalog: Arc<dyn CatalogService>,
    pub(super) options: CacheOptions,
    /// How far the ledger has been followed.
    pub(super) followed: watch::Sender<Seq>,
    /// The newest history of the ledger that was followed.
    pub(super) history: Pinned,
    /// Never locked across an await.
    state: Mutex<State>,
}

/// How a call ended that may be answered from the cache.
pub(super) enum Reached<T, S> {
    /// As the catalogue answered, or, without anything to show instead, as the call failed.
    Answer(Result<T>),
    /// The catalogue could not be reached: this is what the cache has.
    Stale(S),
}

impl Upstream {
    pub(super) fn new(catalog: Arc<dyn CatalogService>, options: CacheOptions) -> Self {
        let state = Mutex::new(State::new(options.books_max, options.max_staleness));
        Self { catalog, options, followed: watch::Sender::new(Seq(0)), history: Pinned::default(), state }
    }

    /// The cache's memory.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// A book from the cache, or the request to wait for. The lock is held for the lookup alone.
    pub(super) fn look_up(self: &Arc<Self>, book: BookId) -> Lookup {
        let found = self.state().look_up(book, Instant::now(), |number| self.request(book, number));
        found.count();
        found
    }

    /// One request for all readers that wait for a book. It is dropped when the last of them is.
    fn request(self: &Arc<Self>, book: BookId, number: u64) -> BookRequest {
        let registered = Registered { upstream: Arc::clone(self), book, number };
        let answer = async move {
            let upstream = &registered.upstream;
            let epoch = upstream.state().epoch();
            let found = upstream.ask(upstream.catalog.info(book)).await?;
            Ok(upstream.state().complete_request(number, epoch, found))
        };
        answer.boxed().shared()
    }

    /// Awaits a call to the catalogue, and records whether that could be reached.
    pub(super) async fn ask<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = call.await;
        let unreachable = answer.as_ref().is_err_and(is_unreachable);
        self.state().record_reachability(unreachable, Instant::now());
        answer
    }

    /// Awaits a call to the catalogue, but no longer than [`CacheOptions::timeout`] if there is something older to show.
    ///
    /// A catalogue that was too slow counts as one that cannot be reached, so that the next readers do not wait for it.
    pub(super) async fn ask_unless_stale<T, S>(
        &self,
        call: impl Future<Output = Result<T>>,
        stale: Option<S>,
    ) -> Reached<T, S> {
        let Some(stale) = stale else { return Reached::Answer(call.await) };
        match timeout(self.options.timeout, call).await {
            Ok(Err(error)) if is_unreachable(&error) => Reached::Stale(stale),
            Ok(answer) => Reached::Answer(answer),
            Err(_) => {
                self.state().record_reachability(true, Instant::now());
                Reached::Stale(stale)
            }
        }
    }
}

/// Whether a call ended without the catalogue's own answer.
fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable { .. }
            | Error::Overloaded { .. }
            | Error::DeadlineExpired { .. }
            | Error::OutcomeUnknown { .. }
    )
}

/// A request on its way. Dropping it takes it off the register, however it ended.
struct Registered {
    upstream: Arc<Upstream>,
    book: BookId,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.upstream.state().end_request(self.book, self.number);
    }
}

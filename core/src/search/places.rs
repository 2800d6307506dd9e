//! The places for searches that take long.
//!
//! Such a search may look at every book of the shop, which takes a processor for as long as a second in a large one. With few places
//! of their own these searches neither take all connections from other reads nor all processors from purchases.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    thread,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    error::{Error, Result},
    execution::Execution,
    waiting::Waiting,
};

/// Searches that run at once, at most; on fewer than eight processors half as many as processors.
const AT_ONCE_MAX: usize = 4;
/// Searches that wait for a place; more are refused as overloaded.
const WAITING_MAX: usize = 256;
const FULL: &str = "too many searches by words wait; a topic's books can be listed meanwhile";

/// The places of one shop.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Places {
    /// As many as this machine can do with; one in a simulation, which is the same on every machine.
    pub(super) fn of(execution: Execution) -> Self {
        Self::new(match execution {
            Execution::Threads => {
                let processors = thread::available_parallelism().map_or(1, usize::from);
                (processors / 2).clamp(1, AT_ONCE_MAX)
            }
            Execution::Task => 1,
        })
    }

    fn new(places: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a place. The search MUST keep it until it has ended, also if its caller has gone.
    ///
    /// # Errors
    /// - [`Error::Overloaded`] if too many wait already.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&self.waiting, WAITING_MAX, FULL)?;
        let place = Arc::clone(&self.free).acquire_owned().await;
        place.map_err(|_| Error::unavailable("shutting down"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{join_all, poll_immediate};

    /// A bounded number of searches waits; one that is given up gives its place in the line back.
    #[tokio::test]
    async fn a_bounded_number_waits() {
        let places = Places::new(1);
        let running = places.enter().await.expect("a place");
        let search = || Box::pin(async { places.enter().await.map(drop) });
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| search()).collect();
        for search in &mut waiting {
            assert!(poll_immediate(search).await.is_none(), "it waits for a place");
        }
        let refused = places.enter().await;
        assert!(matches!(refused, Err(Error::Overloaded { .. })), "{refused:?}");
        waiting.pop();
        waiting.push(search());
        drop(running);
        assert!(join_all(waiting).await.into_iter().all(|place| place.is_ok()));
    }
}

//! Keeps calls, with the times between which each must have happened.
//!
//! A call happened after the moment that [`Recorder::begin`] reads from the clock, and before the moment that
//! [`Recorder::end`] reads. The checker relies on nothing else, so the clock need not run evenly.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    history::{Call, History},
    operation::Operation,
};

/// Keeps the calls of any number of tasks and threads, up to a limit.
///
/// A call takes about 300 bytes, and more only for orders of several books and for pages. It is kept from the moment it
/// is made, so a call that never returns is in the history with an unknown outcome. Calls beyond the limit are only
/// counted: such a history can still show that a promise was broken, but no longer that nothing else happened.
///
/// [`Recorded`](super::Recorded) calls [`Recorder::begin`] and [`Recorder::end`] around every call of a service. A test
/// that talks to something else than the services calls them itself:
///
/// ```
/// use bookstore_core::{BookId, check::{Operation, Outcome, Recorder}};
/// use std::sync::Arc;
///
/// let recorder = Recorder::default();
/// let server: Arc<str> = "catalog".into();
/// let read = |outcome| Operation::Info { book: BookId(1), outcome };
/// let ticket = recorder.begin(7, &server, read(Outcome::Unknown));
/// // … the call …
/// recorder.end(ticket, read(Outcome::NotExecuted));
/// assert_eq!(recorder.history().calls[0].completed, Some(1));
/// ```
pub struct Recorder {
    limit: usize,
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    calls: Mutex<Vec<Call>>,
    unrecorded: AtomicU64,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, unrecorded) = (self.calls().len(), &self.unrecorded);
        let mut recorder = f.debug_struct("Recorder");
        recorder.field("limit", &self.limit).field("calls", &calls).field("unrecorded", unrecorded);
        recorder.finish_non_exhaustive()
    }
}

/// A call that was begun, for [`Recorder::end`].
#[derive(Debug)]
#[must_use = "a call that is not ended counts as one that never returned"]
pub struct Ticket(Option<usize>);

impl Default for Recorder {
    /// A recorder of at most [`Recorder::LIMIT_DEFAULT`] calls.
    fn default() -> Self {
        Self::new(Self::LIMIT_DEFAULT)
    }
}

impl Recorder {
    /// How many calls [`Recorder::default`] keeps: about 300 MB.
    pub const LIMIT_DEFAULT: usize = 1_000_000;

    /// A recorder of at most `limit` calls. Its clock ticks once at the beginning and once at the end of every call.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let ticks = AtomicU64::new(0);
        Self::with_clock(limit, move || ticks.fetch_add(1, Ordering::SeqCst))
    }

    /// A recorder of at most `limit` calls that reads the time from `now`: for histories of several processes that are
    /// to be [merged](History::merge).
    ///
    /// The clock MUST never go back, and all processes MUST share it: the machine's monotonic clock in nanoseconds,
    /// say.
    #[must_use]
    pub fn with_clock(limit: usize, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { limit, now: Box::new(now), calls: Mutex::default(), unrecorded: AtomicU64::new(0) }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("only the clock can panic while it is locked")
    }

    /// Records a call that is about to be made. Its outcome is unknown until [`Recorder::end`].
    ///
    /// `process` says which client calls, `server` through which server.
    pub fn begin(&self, process: u64, server: &Arc<str>, operation: Operation) -> Ticket {
        let mut calls = self.calls();
        if calls.len() >= self.limit {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
            return Ticket(None);
        }
        let invoked = (self.now)();
        calls.push(Call { process, server: Arc::clone(server), invoked, completed: None, operation });
        Ticket(Some(calls.len() - 1))
    }

    /// Records that a call has returned; `operation` is what it asked for, with its outcome.
    pub fn end(&self, ticket: Ticket, operation: Operation) {
        let Some(at) = ticket.0 else { return };
        let completed = Some((self.now)());
        let mut calls = self.calls();
        let call = &mut calls[at];
        (call.completed, call.operation) = (completed, operation);
    }

    /// The calls so far, also those that have not returned yet.
    ///
    /// # Panics
    /// If the given clock panicked before.
    #[must_use]
    pub fn history(&self) -> History {
        let calls = self.calls().clone();
        History { calls, unrecorded: self.unrecorded.load(Ordering::Relaxed) }
    }
}

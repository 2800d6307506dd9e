//! Bounds how many calls wait for something.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Counts one waiting call until it is dropped.
pub(crate) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// # Errors
    /// - [`Error::Overloaded`], with this message, if `max` wait already.
    pub(crate) fn enter(waiting: &'a AtomicUsize, max: usize, full: &str) -> Result<Self> {
        let guard = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= max {
            return Err(Error::overloaded(full));
        }
        Ok(guard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

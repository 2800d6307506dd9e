//! Ending a run early.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Ends a run early: the first call ends the load (what was bought is still checked), one during the check ends that.
///
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<u32>>);

impl Stop {
    /// Nothing is stopped yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the present phase.
    pub fn stop(&self) {
        self.0.send_modify(|calls| *calls = calls.saturating_add(1));
    }

    /// A phase that begins now, ended by the next call.
    pub(super) fn next(&self) -> Ending {
        Ending { stop: self.clone(), calls: *self.0.borrow() }
    }

    /// The first phase, ended by any call, also an earlier one.
    pub(super) fn first(&self) -> Ending {
        Ending { stop: self.clone(), calls: 0 }
    }
}

/// Tells one phase of a run when to end.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    stop: Stop,
    calls: u32,
}

impl Ending {
    /// Whether it must end.
    pub(super) fn is_asked(&self) -> bool {
        *self.stop.0.borrow() > self.calls
    }

    /// Waits until it must end.
    pub(super) async fn asked(&self) {
        // This holds the sender, so the wait cannot fail.
        let _ = self.stop.0.subscribe().wait_for(|calls| *calls > self.calls).await;
    }

    /// Sleeps; false if the phase ended meanwhile.
    pub(super) async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.asked() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_ends_one_phase() {
        let stop = Stop::new();
        let load = stop.first();
        assert!(!load.is_asked());
        stop.stop();
        assert!(load.is_asked() && stop.first().is_asked());
        let check = stop.next();
        assert!(!check.is_asked());
        stop.clone().stop();
        assert!(check.is_asked());
    }
}

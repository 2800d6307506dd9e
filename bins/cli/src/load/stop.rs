//! Ending a run early.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Ends a run early: the first call ends the load (what was bought is still checked), one during the check ends that.
///
/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<u32>>);

impl Stop {
    /// Nobody has called yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what is going on now.
    pub fn stop(&self) {
        self.0.send_modify(|calls| *calls = calls.saturating_add(1));
    }

    /// What is going on from now on: ended by the next call.
    pub(super) fn next(&self) -> Ending {
        Ending { stop: self.clone(), calls: *self.0.borrow() }
    }

    /// What is going on from the beginning: ended by any call, also one before this.
    pub(super) fn first(&self) -> Ending {
        Ending { stop: self.clone(), calls: 0 }
    }
}

/// Whether one phase of a run is to end.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    stop: Stop,
    calls: u32,
}

impl Ending {
    /// Whether it is.
    pub(super) fn is_asked(&self) -> bool {
        *self.stop.0.borrow() > self.calls
    }

    /// Waits until it is.
    pub(super) async fn asked(&self) {
        // The sender is alive: it is held right here.
        let _ = self.stop.0.subscribe().wait_for(|calls| *calls > self.calls).await;
    }

    /// Sleeps; false if it was cut short.
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

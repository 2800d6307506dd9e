//! Who gets to decide about something that may be sent once: the sender or the one who stops waiting.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const REVOKED: u8 = 2;

/// Taken by the sender before it sends, or revoked by the one who gives up: never both.
///
/// So "not executed" is said only of what will certainly not be sent any more, and "unknown" only of the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// Before sending: false if it must not be sent any more.
    pub(crate) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// When giving up: true if it was not sent and never will be.
    pub(crate) fn revoke(&self) -> bool {
        match self.0.compare_exchange(OPEN, REVOKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == REVOKED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_or_revoked() {
        let taken = Claim::default();
        assert!(taken.take());
        assert!(!taken.take());
        assert!(!taken.revoke());
        let revoked = Claim::default();
        assert!(revoked.revoke());
        assert!(revoked.revoke());
        assert!(!revoked.take());
    }
}
